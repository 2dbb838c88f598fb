//! What the results of an ablation amount to: means, paired differences, files, plots.

use super::cell::CellResult;
use super::grid::Cell;
use crate::statistics::Summary;
use serde_json::{Value, json};
use spikegrad_report::csv::Csv;
use spikegrad_report::dot_plot::{self, Dots, Panel};
use spikegrad_report::{row, table};

/// All points of a grid.
#[derive(Clone, Debug)]
pub struct Table {
    pub(super) rows: Vec<Row>,
}

/// One point of the grid, over its seeds.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub label: String,
    pub results: Vec<CellResult>,
    pub accuracy: Summary,
    best: Summary,
    train_accuracy: Summary,
    /// Share of membranes inside the surrogate's window.
    inside: Summary,
    /// Mean |SGS factor − 1|.
    scaling: Summary,
    /// Differences of the accuracy to the first point's, seed by seed; none for the first itself.
    differences: Option<(Vec<f64>, Summary)>,
}

impl Table {
    /// Sums up the results, which come seed by seed in the order of the grid.
    pub fn of(results: &[(Cell, CellResult)]) -> Self {
        let mut labels: Vec<String> = Vec::new();
        for (cell, _) in results {
            if !labels.contains(&cell.label()) {
                labels.push(cell.label());
            }
        }
        let of_label = |label: &String| -> Vec<CellResult> {
            results.iter().filter(|(cell, _)| cell.label() == *label).map(|(_, r)| r.clone()).collect()
        };
        let baseline: Vec<f64> =
            labels.first().map(of_label).unwrap_or_default().iter().map(|r| r.accuracy).collect();
        let rows = labels.iter().enumerate().map(|(i, label)| {
            let results = of_label(label);
            let column = |value: fn(&CellResult) -> f64| results.iter().map(value).collect::<Vec<f64>>();
            let accuracy = column(|r| r.accuracy);
            let differences: Vec<f64> = accuracy.iter().zip(&baseline).map(|(a, b)| a - b).collect();
            let summary = Summary::of(&differences);
            Row {
                label: label.clone(),
                accuracy: Summary::of(&accuracy),
                best: Summary::of(&column(|r| r.best_accuracy)),
                train_accuracy: Summary::of(&column(|r| r.train_accuracy)),
                inside: Summary::of(&column(|r| r.census.mean_inside)),
                scaling: Summary::of(&column(|r| r.census.factor.mean_size())),
                differences: (i > 0).then_some((differences, summary)),
                results,
            }
        });
        Self { rows: rows.collect() }
    }

    /// Head and cells, in percent and points.
    fn cells(&self) -> Vec<Vec<String>> {
        let mut rows = vec![row![
            "",
            "seeds",
            "accuracy, %",
            "best, %",
            "training, %",
            "difference, points",
            "95 % (t)",
            "95 % (bootstrap)",
            "in window, %",
            "SGS factor off 1 by"
        ]];
        for row in &self.rows {
            let mut cells = row![
                row.label,
                row.accuracy.n,
                percent(&row.accuracy),
                percent(&row.best),
                percent(&row.train_accuracy)
            ];
            cells.extend(match &row.differences {
                Some((_, s)) => {
                    row![format!("{:+.2}", 100.0 * s.mean), span(s.t_interval), span(s.bootstrap)]
                }
                None => row!["baseline", "", ""],
            });
            cells.push(format!("{:.1}", 100.0 * row.inside.mean));
            cells.push(format!("{:.1e}", row.scaling.mean));
            rows.push(cells);
        }
        rows
    }

    /// The table for a terminal.
    pub fn text(&self) -> String {
        table::table(&self.cells())
    }

    /// The table in Markdown.
    pub fn markdown(&self) -> String {
        table::markdown(&self.cells())
    }

    /// The table with all digits; accuracies and differences are shares of 1.
    pub fn csv(&self) -> String {
        let mut csv = Csv::with_head(&[
            "point",
            "seeds",
            "accuracy_mean",
            "accuracy_sd",
            "best_mean",
            "best_sd",
            "difference_mean",
            "t_low",
            "t_high",
            "bootstrap_low",
            "bootstrap_high",
            "inside_mean",
            "scaling_mean",
        ]);
        let bounds = |interval: Option<(f64, f64)>| interval.map_or(row!["", ""], |(a, b)| row![a, b]);
        for Row { label, accuracy, best, differences, inside, scaling, .. } in &self.rows {
            let mut fields =
                row![label, accuracy.n, accuracy.mean, accuracy.deviation, best.mean, best.deviation];
            match differences {
                Some((_, s)) => {
                    fields.push(s.mean.to_string());
                    fields.extend([s.t_interval, s.bootstrap].into_iter().flat_map(bounds));
                }
                None => fields.extend([""; 5].map(String::from)),
            }
            fields.extend(row![inside.mean, scaling.mean]);
            csv.row(fields);
        }
        csv.finish()
    }

    /// The table as JSON.
    pub fn json(&self) -> Value {
        let summary = |s: &Summary| {
            json!({
                "n": s.n, "mean": s.mean, "sd": s.deviation, "t_interval": s.t_interval, "bootstrap": s.bootstrap,
            })
        };
        let row = |row: &Row| {
            json!({
                "point": row.label,
                "accuracy": summary(&row.accuracy),
                "best_accuracy": summary(&row.best),
                "train_accuracy": summary(&row.train_accuracy),
                "inside_window": summary(&row.inside),
                "mean_scaling": summary(&row.scaling),
                "difference": row.differences.as_ref().map(|(_, s)| summary(s)),
                "cells": row.results,
            })
        };
        json!({ "points": self.rows.iter().map(row).collect::<Vec<_>>() })
    }

    /// Accuracy and paired difference of each point, single seeds faint, with 95 % t intervals.
    pub fn chart(&self) -> String {
        let names: Vec<String> = self.rows.iter().map(|row| row.label.clone()).collect();
        let percent = |single: &[f64], s: &Summary| {
            let scale = |x: f64| 100.0 * x;
            let interval = s.t_interval.map(|(a, b)| (scale(a), scale(b)));
            Dots { single: single.iter().copied().map(scale).collect(), mean: scale(s.mean), interval }
        };
        let accuracy = self.rows.iter().map(|row| {
            let single: Vec<f64> = row.results.iter().map(|result| result.accuracy).collect();
            Some(percent(&single, &row.accuracy))
        });
        let difference =
            self.rows.iter().map(|row| row.differences.as_ref().map(|(single, s)| percent(single, s)));
        let panels = [
            Panel {
                title: "Accuracy after the last epoch",
                axis: "right answers, %, mean and 95 % t interval",
                rows: accuracy.collect(),
                zero: false,
            },
            Panel {
                title: "Difference to the first, seed by seed",
                axis: "points, mean and 95 % t interval",
                rows: difference.collect(),
                zero: true,
            },
        ];
        dot_plot::draw(&names, &panels)
    }
}

/// Mean and standard deviation, in percent.
pub(super) fn percent(s: &Summary) -> String {
    format!("{:.2} ± {:.2}", 100.0 * s.mean, 100.0 * s.deviation)
}

/// An interval, in points.
pub(super) fn span(interval: Option<(f64, f64)>) -> String {
    interval.map_or("–".into(), |(a, b)| format!("{:+.2} … {:+.2}", 100.0 * a, 100.0 * b))
}

/// Every cell, one line each.
pub fn cells_csv(results: &[(Cell, CellResult)]) -> String {
    let mut csv = Csv::with_head(&[
        "point",
        "seed",
        "accuracy",
        "best_accuracy",
        "test_loss",
        "train_loss",
        "train_accuracy",
        "mean_rate",
    ]);
    for (cell, r) in results {
        let figures = [r.accuracy, r.best_accuracy, r.test_loss, r.train_loss, r.train_accuracy, r.mean_rate];
        csv.row(row![cell.label(), cell.seed].into_iter().chain(figures.map(|figure| figure.to_string())));
    }
    csv.finish()
}
