//! `spikegrad parity`: one training step against reference files that PyTorch wrote.

use crate::outputs::JsonTarget;
use crate::terminal::print;
use clap::Args;
use serde_json::json;
use spikegrad::parity::{Parity, TOLERANCE, check_at};
use spikegrad::tensor::Level;
use spikegrad_lab::settings::level;
use spikegrad_lab::{Error, Result};
use spikegrad_report::row;
use spikegrad_report::table::table;
use std::path::PathBuf;

/// What `parity` takes.
#[derive(Args, Clone, Debug)]
pub struct ParityArgs {
    /// Reference files
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Print every tensor, not only the worst of each file
    #[arg(long)]
    all: bool,
    /// SIMD level: baseline, avx2 or avx512; default: the best
    #[arg(long, value_name = "NAME")]
    level: Option<Level>,
    /// Write the errors as JSON to a new file, or to stdout for -
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// Compares.
///
/// # Errors
/// A file that cannot be used, or an error above the tolerance.
pub fn run(args: ParityArgs) -> Result<()> {
    let json = JsonTarget::claim(args.json.as_deref())?;
    let level = level(args.level)?;
    let mut figures = Vec::new();
    let mut failed = Vec::new();
    for path in &args.files {
        let parity = check_at(path, level)?;
        let worst = parity.worst().map(|row| (row.name.as_str(), row.error_relative));
        let (name, error) = worst.unwrap_or(("nothing compared", f64::INFINITY));
        if !parity.passed() {
            failed.push(format!("{}: {name} is off by {error:.2e}", path.display()));
        }
        if !json.is_stdout() {
            let verdict = if parity.passed() { "ok" } else { "FAILED" };
            let count = parity.rows.len();
            let path = path.display();
            print(&format!(
                "{verdict}  {path}: largest relative error {error:.2e} in {name} ({count} tensors)\n"
            ));
            if args.all {
                print(&listing(&parity));
            }
        }
        let rows: Vec<_> = parity
            .rows
            .iter()
            .map(|r| json!({ "name": r.name, "error_relative": r.error_relative }))
            .collect();
        figures.push(json!({ "file": path.display().to_string(), "passed": parity.passed(), "rows": rows }));
    }
    json.write(&json!(figures))?;
    match failed.is_empty() {
        true => Ok(()),
        false => Err(Error::input(format!("above the tolerance {TOLERANCE:.0e}: {}", failed.join("; ")))),
    }
}

/// All tensors of a file.
fn listing(parity: &Parity) -> String {
    let rows: Vec<Vec<String>> = parity
        .rows
        .iter()
        .map(|r| row![format!("    {}", r.name), format!("{:.2e}", r.error_relative)])
        .collect();
    table(&rows)
}
