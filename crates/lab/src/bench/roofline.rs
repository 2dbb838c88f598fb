//! The roofline of `bench layers`: operations a second over operations a byte, under the measured roofs.

use super::peak::Roofs;
use super::rows::Row;
use spikegrad_report::log_chart::{Legend, LogChart, Point, Roof};

/// Draws a point for each layer and pass.
pub fn draw(rows: &[Row], roofs: &Roofs) -> String {
    // The passes that most kernels have come first, whatever the first kernel has.
    let mut passes = vec!["forward", "input gradient", "weight gradient"];
    passes.retain(|pass| rows.iter().any(|row| row.pass.name == *pass));
    let mut layers: Vec<String> = Vec::new();
    let mut points = Vec::new();
    for row in rows {
        let group = index_of(&mut passes, row.pass.name);
        let layer = index_of(&mut layers, format!("{}  {}", row.kernel.shape.name, row.kernel.words));
        let x = row.pass.flops as f64 / row.pass.bytes as f64;
        points.push(Point { x, y: row.gflops(), group, label: (layer + 1).to_string() });
    }
    let roof = |name: String, slope: Option<f64>, dashed| Roof { name, slope, top: roofs.peak, dashed };
    LogChart {
        title: "Operations a second over operations a byte",
        note: "Operations are those of the dense form, so a kernel that skips zeros can lie above the roof.",
        x: "operations a byte (inputs and outputs, each moved once)",
        y: "GFLOP/s",
        points,
        groups: passes.into_iter().map(str::to_string).collect(),
        roofs: vec![
            roof(format!("FMA peak {:.0} GFLOP/s", roofs.peak), None, false),
            roof(format!("read {:.1} GB/s", roofs.read), Some(roofs.read), false),
            roof(format!("copy {:.1} GB/s", roofs.copy), Some(roofs.copy), true),
        ],
        key: Legend { title: "Kernels", lines: layers },
    }
    .document()
}

/// Where `value` stands in `values`, at the end if it was not there.
fn index_of<T: PartialEq>(values: &mut Vec<T>, value: T) -> usize {
    values.iter().position(|known| *known == value).unwrap_or_else(|| {
        values.push(value);
        values.len() - 1
    })
}
