//! What the points of an ablation are worth under noise: at its strongest, along the curve, cell by cell.

use super::cell::CellResult;
use super::grid::Cell;
use super::table::{Table, percent, span};
use crate::robustness::{self, CurveScores, NamedScores, SCORE_COLUMNS};
use crate::statistics::Summary;
use spikegrad_report::csv::Csv;
use spikegrad_report::{row, table};

/// Accuracy at one kind of noise's strongest level, and what is lost against clean images.
fn strongest(result: &CellResult, kind: usize) -> [f64; 2] {
    let noisy = result.noise[kind].means().last().copied().unwrap_or(result.accuracy);
    [noisy, result.accuracy - noisy]
}

/// Head and cells, in percent and points; nothing where no noise was asked for.
pub fn cells(table: &Table) -> Option<Vec<Vec<String>>> {
    let (baseline, kinds) = (table.rows.first()?, &table.rows.first()?.results.first()?.noise);
    if kinds.is_empty() {
        return None;
    }
    let mut rows = vec![row![
        "",
        "noise",
        "level",
        "accuracy, %",
        "difference, points",
        "95 % (t)",
        "lost to noise, points",
        "difference, points",
        "95 % (t)"
    ]];
    for (kind, scores) in kinds.iter().enumerate() {
        for (i, row) in table.rows.iter().enumerate() {
            let column = |figure: usize| -> Vec<f64> {
                row.results.iter().map(|result| strongest(result, kind)[figure]).collect()
            };
            let difference = |figure: usize| -> Vec<f64> {
                let pairs = row.results.iter().zip(&baseline.results);
                pairs.map(|(r, b)| strongest(r, kind)[figure] - strongest(b, kind)[figure]).collect()
            };
            let level = scores.curve.levels.last().copied().unwrap_or_default();
            let mut cells = row![row.label, scores.curve.kind, level];
            for figure in [0, 1] {
                cells.push(percent(&Summary::of(&column(figure))));
                let difference = Summary::of(&difference(figure));
                cells.extend(match i {
                    0 => row!["baseline", ""],
                    _ => row![format!("{:+.2}", 100.0 * difference.mean), span(difference.t_interval)],
                });
            }
            rows.push(cells);
        }
    }
    Some(rows)
}

/// Every score, one line each.
pub fn csv(results: &[(Cell, CellResult)]) -> String {
    let mut csv = Csv::with_head(&[&["point", "seed"][..], &SCORE_COLUMNS].concat());
    for (cell, result) in results {
        for row in result.noise.iter().flat_map(CurveScores::csv_rows) {
            csv.row(row![cell.label(), cell.seed].into_iter().chain(row));
        }
    }
    csv.finish()
}

/// Mean accuracy of each point over the level, with intervals over the seeds, a panel for each kind.
pub fn chart(table: &Table, on_papers_data: bool) -> Option<String> {
    let kinds = &table.rows.first()?.results.first()?.noise;
    let of_kind = |k: usize| {
        let curves = table.rows.iter().map(|row| {
            let curve = &row.results[0].noise[k].curve;
            let means: Vec<Vec<f64>> = row.results.iter().map(|result| result.noise[k].means()).collect();
            let of_level = |i: usize| means.iter().map(|seed| seed[i]).collect();
            let accuracy = (0..curve.levels.len()).map(of_level).collect();
            NamedScores { name: &row.label, curve, clean: row.accuracy.mean, accuracy }
        });
        curves.collect()
    };
    let charts: Vec<_> = (0..kinds.len()).map(of_kind).collect();
    (!charts.is_empty()).then(|| robustness::chart(&charts, on_papers_data))
}

impl Table {
    /// The table of what noise costs, for a terminal; none where no noise was asked for.
    pub fn noise_text(&self) -> Option<String> {
        cells(self).map(|cells| table::table(&cells))
    }
}
