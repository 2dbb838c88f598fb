//! `cargo xtask trend`: the history of benchmarks, from JSON to a chart.
//!
//! A new measurement is a line in `docs/benchmarks/history.json`; the chart shows time and memory of a training step,
//! commit by commit.

use crate::repository::{Result, read, root, write};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What `history.json` holds.
#[derive(Deserialize)]
struct History {
    machines: BTreeMap<String, String>,
    figures: Vec<Figure>,
}

/// One measured number.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Figure {
    benchmark: String,
    case: String,
    level: String,
    threads: u32,
    machine: String,
    commit: String,
    /// When the commit was made.
    date: String,
    unit: String,
    value: f64,
}

/// The cases of the chart, with their colours.
const CASES: [(&str, RGBColor); 2] = [
    ("ResNet-19, width 1, B 16, T 2, f32", RGBColor(9, 105, 218)),
    ("ResNet-19, width 0.25, B 64, T 4, f32", RGBColor(207, 34, 46)),
];

/// The panels of the chart: title, and the benchmarks that each draws.
const PANELS: [(&str, &[&str]); 2] = [
    ("seconds a training step", &["step"]),
    ("peak memory, MB", &["peak memory", "peak memory by turns with peers"]),
];

/// Draws `docs/figures/trend.svg`.
pub fn run() -> Result {
    let path = chart_path();
    write(&path, chart(&history()?)?)?;
    println!("wrote {}", path.display());
    Ok(())
}

fn chart_path() -> PathBuf {
    root().join("docs/figures/trend.svg")
}

/// Reads the history and checks what a chart relies on.
fn history() -> Result<History> {
    let path = root().join("docs/benchmarks/history.json");
    let history: History =
        serde_json::from_str(&read(&path)?).map_err(|why| format!("{}: {why}", path.display()))?;
    for figure in &history.figures {
        let Figure { benchmark, case, level, threads, machine, commit, value, unit, .. } = figure;
        let name = format!("{benchmark} of {case}, {level}, {threads} threads, at {commit}");
        if !history.machines.contains_key(machine) {
            return Err(format!("{}: {name}: there is no machine {machine}", path.display()));
        }
        if !(value.is_finite() && *value > 0.0) {
            return Err(format!("{}: {name}: {value} {unit} is no measurement", path.display()));
        }
    }
    Ok(history)
}

/// Draws the two panels side by side.
fn chart(history: &History) -> Result<String> {
    let mut svg = String::new();
    let drawn = draw(history, &mut svg);
    drawn.map_err(|why| format!("the trend chart: {why}"))?;
    Ok(svg)
}

/// What drawing returns.
type Drawn = std::result::Result<(), DrawingAreaErrorKind<std::io::Error>>;

fn draw(history: &History, svg: &mut String) -> Drawn {
    let area = SVGBackend::with_string(svg, (1000, 420)).into_drawing_area();
    area.fill(&WHITE)?;
    let area = area.titled("A training step, commit by commit", ("sans-serif", 18))?;
    let (panels, legend) = area.split_vertically(340);
    for (half, (title, benchmarks)) in panels.split_evenly((1, 2)).iter().zip(PANELS) {
        panel(half, history, title, benchmarks)?;
    }
    for (i, (case, colour)) in CASES.iter().enumerate() {
        let y = 4 + 18 * i as i32;
        legend.draw(&Circle::new((70, y + 6), 5, colour.filled()))?;
        legend.draw(&Text::new(format!("{case}, AVX-512, 2 threads"), (84, y), ("sans-serif", 13)))?;
    }
    let machines = "Letters are the machines of benchmarks.md; lines join figures of the same machine.";
    legend.draw(&Text::new(machines, (500, 4), ("sans-serif", 13)))?;
    area.present()?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// Draws one panel: commits by date from left to right, a line for each case and machine.
fn panel(area: &Area, history: &History, title: &str, benchmarks: &[&str]) -> Drawn {
    let is_shown = |figure: &&Figure| {
        let case = CASES.iter().any(|(case, _)| figure.case == *case);
        case && benchmarks.contains(&&figure.benchmark[..])
            && (&figure.level[..], figure.threads) == ("avx512", 2)
    };
    let shown: Vec<&Figure> = history.figures.iter().filter(is_shown).collect();
    let commits: BTreeSet<(&str, &str)> = shown.iter().map(|f| (&f.date[..], &f.commit[..])).collect();
    let commits: Vec<&str> = commits.into_iter().map(|(_, commit)| commit).collect();
    let place = |figure: &Figure| commits.iter().position(|c| figure.commit == *c).unwrap_or(0) as f64;
    let top = 1.2 * shown.iter().map(|figure| figure.value).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .caption(title, ("sans-serif", 14))
        .x_label_area_size(28)
        .y_label_area_size(52)
        .build_cartesian_2d(-0.5..commits.len() as f64 - 0.5, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .y_label_formatter(&|y| if top > 10.0 { format!("{y:.0}") } else { format!("{y:.1}") })
        .x_labels(0)
        .light_line_style(TRANSPARENT)
        .label_style(("sans-serif", 13))
        .draw()?;
    for (i, commit) in commits.iter().enumerate() {
        let (x, y) = chart.backend_coord(&(i as f64, 0.0));
        let (left, above) = area.get_base_pixel();
        let at = (x - left - 28, y - above + 10);
        area.draw(&Text::new(commit.to_string(), at, ("monospace", 13)))?;
    }
    // The labels of the first case stand right below its points, those of the second left above.
    for ((case, colour), (sign, side)) in CASES.into_iter().zip([(1, HPos::Left), (-1, HPos::Right)]) {
        let style = ("sans-serif", 12).into_font().into_text_style(area).pos(Pos::new(side, VPos::Center));
        for machine in history.machines.keys() {
            let of = |f: &&&Figure| f.case == case && f.machine == *machine;
            let mut points: Vec<(f64, f64)> =
                shown.iter().filter(of).map(|figure| (place(figure), figure.value)).collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            // Where a commit was measured twice, the first figure of the history counts.
            points.dedup_by_key(|point| point.0);
            chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?;
            chart.draw_series(points.iter().map(|&at| {
                let label = format!("{machine} {}", at.1);
                EmptyElement::at(at)
                    + Circle::new((0, 0), 5, colour.filled())
                    + Text::new(label, (8 * sign, 9 * sign), style.clone())
            }))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page states each figure, with its commit: the history holds no number of its own.
    #[test]
    fn every_figure_stands_in_the_page() {
        let page = read(&root().join("docs/benchmarks.md")).unwrap();
        for figure in history().unwrap().figures {
            let places = [0, 1, 2, 3].map(|places| format!("{:.places$}", figure.value));
            let exact = |text: &&String| text.parse::<f64>() == Ok(figure.value);
            let stands = places.iter().filter(exact).any(|text| page.contains(&text[..]));
            assert!(stands, "{} {} of {}", figure.value, figure.unit, figure.case);
            assert!(page.contains(&figure.commit), "{}", figure.commit);
        }
    }

    #[test]
    fn the_chart_is_that_of_the_history() {
        let made = chart(&history().unwrap()).unwrap();
        let committed = read(&chart_path()).unwrap_or_default();
        assert!(made == committed, "docs/figures/trend.svg is not of this history: cargo xtask trend");
    }
}
