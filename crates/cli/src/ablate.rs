//! `spikegrad ablate`: a grid of settings × seeds, paired by seed.

use crate::flags::Flags;
use crate::host::Terminal;
use crate::interrupt;
use crate::noise::NoiseFlags;
use crate::outputs::JsonTarget;
use clap::Args;
use spikegrad::tensor::Level;
use spikegrad_lab::Result;
use spikegrad_lab::ablate::{self, Plan, PlanConfig};
use spikegrad_lab::settings::level;
use std::path::{Path, PathBuf};

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
    level: Option<Level>,
    /// Write the table as JSON to a new file, or to stdout for -
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// Runs the cells that have no result yet, and makes the tables.
///
/// # Errors
/// A plan that makes no sense, a cell's folder with other settings, all that training can end with.
pub fn run(args: AblateArgs) -> Result<()> {
    let AblateArgs { flags, config: file, grid, seeds, noise, out, level: asked, json } = args;
    let plan = Plan::resolve(PlanConfig { config: flags.into(), file, grid, seeds, noise: noise.into() })?;
    let folder = out.unwrap_or_else(|| Path::new("ablations").join(plan.title()));
    let json = JsonTarget::claim(json.as_deref())?;
    json.is_apart_from(&[&folder])?;
    interrupt::listen()?;
    let table = ablate::run(&plan, &folder, level(asked)?, &Terminal::new())?;
    let noise = table.noise_text().map(|noise| format!("\n{noise}")).unwrap_or_default();
    let text = format!("\n{}{noise}\ntables and plots are in {}\n", table.text(), folder.display());
    json.report(&table.json(), &text)
}
