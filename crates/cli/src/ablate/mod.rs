//! `spikegrad ablate`: a grid of settings × seeds, paired by seed.
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
mod paired;
mod table;
mod under_noise;

use crate::failure::Failure;
use crate::files::{self, print};
use crate::flags::Flags;
use crate::interrupt;
use crate::outputs::JsonTarget;
use crate::robustness::{NoiseFlags, is_papers_data};
use cell::CellResult;
use clap::Args;
use grid::{Cell, Plan};
pub use paired::Summary;
use std::path::{Path, PathBuf};
use table::Table;

/// What `ablate` takes.
#[derive(Args, Clone, Debug)]
pub struct AblateArgs {
    #[command(flatten)]
    flags: Flags,
    /// Plan from a TOML file: settings under the flags' names, seeds, a `[grid]` and perhaps `[noise]`; flags win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// An axis of the grid, the baseline first: --grid delta=0,1e-4,0.1; again for another axis
    #[arg(long, value_name = "NAME=A,B,…")]
    grid: Vec<String>,
    /// Seeds 1 to N
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    #[command(flatten)]
    noise: NoiseFlags,
    /// Folder of the ablation, new or begun; default: ablations/NAME, the plan's or the net's and data's
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// SIMD level: baseline, avx2 or avx512; default: the best
    #[arg(long, value_name = "NAME")]
    level: Option<String>,
    /// Write the table as JSON to a new file, or to stdout for -
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// Runs the cells that have no result yet, and makes the tables.
///
/// # Errors
/// A plan that makes no sense, a cell's folder with other settings, all that training can end with.
pub fn run(args: AblateArgs) -> Result<(), Failure> {
    let plan = Plan::resolve(&args)?;
    let folder = args.out.clone().unwrap_or_else(|| Path::new("ablations").join(plan.title()));
    let json = JsonTarget::claim(args.json.as_deref())?;
    json.is_apart_from(&[&folder])?;
    interrupt::listen()?;
    let cells = plan.cells()?;
    let mut results: Vec<(Cell, CellResult)> = Vec::new();
    let count = cells.len();
    for (i, cell) in cells.into_iter().enumerate() {
        let home = folder.join("cells").join(cell.name());
        let Some(result) = cell::result(&home, &cell, &plan, args.level.as_deref(), (i + 1, count))? else {
            print(&format!("stopped in cell {} of {count}; the same command goes on from here\n", i + 1));
            return Err(interrupt::stopped());
        };
        results.push((cell, result));
    }
    let table = Table::of(&results);
    write_tables(&folder, &table, &results)?;
    if !json.is_stdout() {
        let noise = under_noise::cells(&table).map(|cells| format!("\n{}", files::table(&cells)));
        let (text, noise) = (table.text(), noise.unwrap_or_default());
        print(&format!("\n{text}{noise}\ntables and plots are in {}\n", folder.display()));
    }
    json.write(&table.json())
}

/// Writes everything that the results amount to.
fn write_tables(folder: &Path, table: &Table, results: &[(Cell, CellResult)]) -> Result<(), Failure> {
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
    files::write(&folder.join("noise.md"), files::markdown(&cells))?;
    files::write(&folder.join("noise.svg"), &chart)
}
