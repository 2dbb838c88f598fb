//! Ablations: a grid of settings × seeds, paired by seed.
//!
//! Each cell is a training run in a folder of its own; the same seed means the same initial weights and the same
//! order of images in every column. What a cell ends with goes to its `result.json`; a cell that has one is not run
//! again, a cell that was cut short goes on where it stopped. The tables are made of the results alone, so that they
//! have the same bytes however often the work was interrupted.
//!
//! | file | holds |
//! |---|---|
//! | `cells/<point>_seed=<n>/` | a run folder, and `result.json` |
//! | `cells.csv` | one line per cell |
//! | `table.csv`, `table.md` | one line per point of the grid |
//! | `ablation.svg` | accuracy of each point, and its difference to the first |
//! | `noise.csv`, `noise.md`, `noise.svg` | accuracy under noise, where the plan asks for it |

mod cell;
mod census;
mod grid;
mod table;
mod under_noise;

pub use cell::CellResult;
pub use census::{Census, Histogram};
pub use grid::{Cell, Plan, PlanConfig};
pub use table::Table;

use crate::files;
use crate::monitor::Monitor;
use crate::robustness::is_papers_data;
use crate::{Error, Result};
use spikegrad::tensor::Level;
use spikegrad_report::table::markdown;
use std::path::Path;

/// Runs the cells that have no result yet, and writes the tables into `folder`.
///
/// # Errors
/// A cell's folder with other settings, all that training can end with; [`Error::Stopped`] where the monitor asks to
/// stop, after which the same call goes on from there.
pub fn run(plan: &Plan, folder: &Path, level: Level, monitor: &dyn Monitor) -> Result<Table> {
    let cells = plan.cells()?;
    let mut results: Vec<(Cell, CellResult)> = Vec::new();
    let count = cells.len();
    for (i, cell) in cells.into_iter().enumerate() {
        let home = folder.join("cells").join(cell.name());
        let Some(result) = cell::result(&home, &cell, plan, level, (i + 1, count), monitor)? else {
            let number = i + 1;
            monitor
                .say(&format!("stopped in cell {number} of {count}; the same command goes on from here\n"));
            return Err(Error::Stopped);
        };
        results.push((cell, result));
    }
    let table = Table::of(&results);
    write_tables(folder, &table, &results)?;
    Ok(table)
}

/// Writes everything that the results amount to.
fn write_tables(folder: &Path, table: &Table, results: &[(Cell, CellResult)]) -> Result<()> {
    files::write(&folder.join("cells.csv"), table::cells_csv(results))?;
    files::write(&folder.join("table.csv"), table.csv())?;
    files::write(&folder.join("table.md"), table.markdown())?;
    files::write(&folder.join("ablation.svg"), table.chart())?;
    let on_papers_data = results.iter().all(|(cell, _)| is_papers_data(&cell.settings.source));
    let (Some(cells), Some(chart)) = (under_noise::cells(table), under_noise::chart(table, on_papers_data))
    else {
        return Ok(());
    };
    files::write(&folder.join("noise.csv"), under_noise::csv(results))?;
    files::write(&folder.join("noise.md"), markdown(&cells))?;
    files::write(&folder.join("noise.svg"), &chart)
}
