//! `spikegrad robustness`: accuracy under Gaussian and salt-and-pepper noise.

use crate::host::Terminal;
use crate::interrupt;
use crate::noise::NoiseFlags;
use crate::opening::OpeningArgs;
use crate::outputs::{JsonTarget, claim_folder};
use clap::Args;
use serde_json::json;
use spikegrad_lab::robustness::{NoiseConfig, csv, measure, rows, svg};
use spikegrad_lab::{Error, Result};
use spikegrad_report::table::{markdown, table};
use std::path::PathBuf;

/// What `robustness` takes.
#[derive(Args, Clone, Debug)]
pub struct RobustnessArgs {
    /// Run folders, or checkpoints
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    #[command(flatten)]
    opening: OpeningArgs,
    #[command(flatten)]
    noise: NoiseFlags,
    /// Folder for noise.md, noise.csv and noise.svg
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write the figures as JSON to a new file, or to stdout for -
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// Scores runs under noise.
///
/// # Errors
/// A run that cannot be loaded, noise that makes no sense, files that exist already.
pub fn run(args: RobustnessArgs) -> Result<()> {
    let both = NoiseConfig { kinds: Some("gaussian,salt-and-pepper".into()), ..NoiseConfig::default() };
    let curves = NoiseConfig::from(args.noise).over(both).curves()?;
    let json = JsonTarget::claim(args.json.as_deref())?;
    let out = claim_folder(args.out.as_deref(), &["noise.csv", "noise.md", "noise.svg"], &json)?;
    interrupt::listen()?;
    let (terminal, opening) = (Terminal::new(), args.opening.opening()?);
    let mut scores = Vec::new();
    for path in &args.runs {
        scores.push(measure(path, &opening, &curves, &terminal)?.ok_or(Error::Stopped)?);
    }
    json.report(&json!({ "runs": scores }), &table(&rows(&scores)))?;
    let Some(out) = out else { return Ok(()) };
    out.write("noise.csv", &csv(&scores))?;
    out.write("noise.md", &markdown(&rows(&scores)))?;
    out.write("noise.svg", &svg(&scores))
}
