//! Both kernels of convolutions over spikes, from few spikes to many.

use super::Measured;
use super::peak::Bench;
use super::rows::{Distinct, rounds};
use super::subjects::{Maker, Subject};
use super::timing::threads;
use crate::statistics::median;
use crate::{Error, Result};
use serde_json::{Value, json};
use spikegrad::models::KernelKind;
use spikegrad::tensor::Workers;
use spikegrad::tensor::conv::SpikeKernel;
use spikegrad_report::plot::{Chart, Line, grid};
use spikegrad_report::row;
use spikegrad_report::table::table;

/// Densities, in percent.
const PERCENT: [f64; 12] = [1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0];
/// The kernels and their names.
const KERNELS: [(SpikeKernel, &str); 2] = [(SpikeKernel::Lookup, "lookup"), (SpikeKernel::Sparse, "lists")];
/// The passes that read spikes, as [`Subject::run`] numbers them.
const PASSES: usize = 2;

/// One kernel's pass at one density.
struct Point {
    /// Index of the shape, and of the pass.
    at: (usize, usize),
    pass: &'static str,
    kernel: &'static str,
    /// As asked for, and as drawn by chance.
    percent: f64,
    density: f64,
    seconds: Vec<f64>,
    gflops: f64,
}

/// Sweeps the convolutions over spikes among `shapes`; gives the figures and the chart.
///
/// # Errors
/// No such convolution.
pub fn sweep(maker: &Maker<'_>, shapes: &[Distinct], repeat: usize) -> Result<(Measured, String)> {
    let chosen: Vec<&Distinct> =
        shapes.iter().filter(|one| matches!(one.shape.kind, KernelKind::Conv { spikes: true, .. })).collect();
    if chosen.is_empty() {
        return Err(Error::setting("--sweep: none of the kernels is a convolution over spikes"));
    }
    let mut bench = Bench::new(maker.level, 0);
    let (mut points, mut peak) = (Vec::new(), 0.0f64);
    for (index, one) in chosen.iter().enumerate() {
        for percent in PERCENT {
            measure(maker, (index, one), percent, repeat, &mut points)?;
            peak = peak.max(bench.peak());
        }
    }
    let figures = json!({
        "level": maker.level.name(),
        "threads": threads(),
        "peak_gflops": peak,
        "repeats": repeat,
        "points": points.iter().map(|point| figure(point, &chosen)).collect::<Vec<_>>(),
    });
    let text = show(&chosen, &points, peak);
    Ok((Measured { figures, text }, draw(&chosen, &points, peak)))
}

/// Times both kernels at one density, by turns.
fn measure(
    maker: &Maker<'_>,
    (index, one): (usize, &Distinct),
    percent: f64,
    repeat: usize,
    points: &mut Vec<Point>,
) -> Result<()> {
    let mut subjects: Vec<Box<dyn Subject>> = Vec::new();
    for (spike_kernel, _) in KERNELS {
        let maker = Maker { density: percent / 100.0, spike_kernel, reference: maker.reference, ..*maker };
        // The input's gradient does not read spikes, so it is not planned.
        let mut shape = one.shape.clone();
        if let KernelKind::Conv { input_gradient, .. } = &mut shape.kind {
            *input_gradient = false;
        }
        subjects.push(maker.make(&shape).map_err(Error::setting)?);
    }
    let times = rounds(&mut subjects, repeat, &mut Workers::new(), || ());
    for (((_, kernel), subject), times) in KERNELS.into_iter().zip(&subjects).zip(times) {
        for ((number, pass), seconds) in subject.passes().iter().enumerate().zip(times) {
            let gflops = pass.flops as f64 / median(&seconds) / 1e9;
            let density = subject.density();
            points.push(Point {
                at: (index, number),
                pass: pass.name,
                kernel,
                percent,
                density,
                seconds,
                gflops,
            });
        }
    }
    Ok(())
}

/// A point as JSON.
fn figure(point: &Point, chosen: &[&Distinct]) -> Value {
    let kernel = chosen[point.at.0];
    json!({
        "layer": kernel.shape.name,
        "shape": kernel.words,
        "pass": point.pass,
        "spike_kernel": point.kernel,
        "density": point.density,
        "ms": 1e3 * median(&point.seconds),
        "samples_ms": point.seconds.iter().map(|time| 1e3 * time).collect::<Vec<_>>(),
        "effective_gflops": point.gflops,
    })
}

/// A chart for each shape and pass: a row a shape.
fn draw(chosen: &[&Distinct], points: &[Point], peak: f64) -> String {
    let mut titles = Vec::new();
    for one in chosen {
        titles.extend(["forward", "weight gradient"].map(|pass| format!("{}, {pass}", one.words)));
    }
    let line = |at: (usize, usize), kernel: &str| -> Vec<(f64, f64)> {
        let mine = points.iter().filter(|point| point.at == at && point.kernel == kernel);
        mine.map(|point| (point.percent, point.gflops)).collect()
    };
    let chart = |index: usize| {
        let at = (index / PASSES, index % PASSES);
        let lookup = Line { name: "look-up", points: line(at, "lookup"), dashed: false, ..Line::default() };
        let lists = Line { name: "lists", points: line(at, "lists"), dashed: false, ..Line::default() };
        let ends = [0.0, PERCENT[PERCENT.len() - 1]];
        let roof = Line {
            name: "FMA peak",
            points: ends.map(|x| (x, peak)).to_vec(),
            dashed: true,
            ..Line::default()
        };
        let lines = vec![lookup, lists, roof];
        let title = &titles[index][..];
        Chart {
            title,
            x: "neurons that fire, %",
            y: "effective GFLOP/s",
            lines,
            from_zero: true,
            least_x: 0.0,
        }
    };
    let charts: Vec<Chart<'_>> = (0..titles.len()).map(chart).collect();
    grid(&charts, PASSES)
}

/// The points as a table: a row a density.
fn show(chosen: &[&Distinct], points: &[Point], peak: f64) -> String {
    let mut text = String::new();
    for (index, one) in chosen.iter().enumerate() {
        let mut rows =
            vec![row!["density %", "look-up", "lists", "look-up (dW)", "lists (dW)", "effective GFLOP/s"]];
        let of = |pass: usize, kernel: &str| -> Vec<&Point> {
            points.iter().filter(|point| point.at == (index, pass) && point.kernel == kernel).collect()
        };
        let columns = [of(0, "lookup"), of(0, "lists"), of(1, "lookup"), of(1, "lists")];
        for (i, percent) in PERCENT.iter().enumerate() {
            let mut row = row![percent];
            row.extend(columns.iter().map(|column| format!("{:.0}", column[i].gflops)));
            rows.push(row);
        }
        text += &format!("{} ({})\n{}", one.shape.name, one.words, table(&rows));
    }
    text + &format!("Measured peak of multiply-adds: {peak:.1} GFLOP/s.\n")
}
