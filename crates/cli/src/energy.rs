//! `spikegrad energy`: what an inference of a trained net would cost.

use crate::opening::OpeningArgs;
use crate::outputs::{JsonTarget, claim_folder};
use crate::terminal::print;
use clap::Args;
use spikegrad_lab::energy::{CONSTANTS, count, parse};
use spikegrad_lab::{Error, Result, files};
use std::path::PathBuf;

/// What `energy` takes.
#[derive(Args, Clone, Debug)]
pub struct EnergyArgs {
    /// Run folder, or a checkpoint
    #[arg(required_unless_present = "print_constants")]
    run: Option<PathBuf>,
    #[command(flatten)]
    opening: OpeningArgs,
    /// Count on the first N test images only
    #[arg(long, value_name = "N")]
    images: Option<usize>,
    /// Energies from a TOML file
    #[arg(long, value_name = "FILE")]
    constants: Option<PathBuf>,
    /// Print the file of energies that is used otherwise, with its sources
    #[arg(long)]
    print_constants: bool,
    /// Folder for energy.md, energy.json and energy.svg
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write the figures as JSON to a new file, or to stdout for -
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// Counts and charges.
///
/// # Errors
/// A run that cannot be loaded, constants that make no sense, files that exist already.
pub fn run(args: EnergyArgs) -> Result<()> {
    let Some(run) = args.run.as_ref().filter(|_| !args.print_constants) else {
        print(CONSTANTS);
        return Ok(());
    };
    let constants = match &args.constants {
        Some(path) => {
            let text = files::read_text(path).map_err(|why| Error::at(path, why))?;
            parse(&text).map_err(|why| Error::at(path, why))?
        }
        None => parse(CONSTANTS).map_err(Error::input)?,
    };
    if args.images == Some(0) {
        return Err(Error::setting("--images is 0, must be at least 1"));
    }
    let json = JsonTarget::claim(args.json.as_deref())?;
    let out = claim_folder(args.out.as_deref(), &["energy.md", "energy.svg", "energy.json"], &json)?;
    let mut opened = args.opening.open(run)?;
    let figures = count(run, &mut opened, args.images.unwrap_or(usize::MAX), constants)?;
    json.report(&figures.json(), &figures.text(run))?;
    let Some(out) = out else { return Ok(()) };
    out.write("energy.md", &figures.markdown())?;
    out.write("energy.svg", &figures.chart())?;
    out.write("energy.json", &format!("{:#}\n", figures.json()))
}
