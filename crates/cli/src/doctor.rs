//! `spikegrad doctor`: how a trained net is doing, and what to try where it is not well.

use crate::opening::OpeningArgs;
use crate::outputs::{JsonTarget, NewFile};
use crate::terminal::print;
use clap::Args;
use spikegrad_lab::doctor::{examine, figures, findings, page, show};
use spikegrad_lab::{Error, Result};
use std::path::PathBuf;

/// What `doctor` takes.
#[derive(Args, Clone, Debug)]
pub struct DoctorArgs {
    /// Run folder, or a checkpoint
    run: PathBuf,
    #[command(flatten)]
    opening: OpeningArgs,
    /// Training batches to look at
    #[arg(long, value_name = "N", default_value_t = 8)]
    batches: usize,
    /// Write a page, to a new file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the figures as JSON to a new file, or to stdout for -
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// Examines a run.
///
/// # Errors
/// A run that cannot be opened, fewer images than a batch.
pub fn run(args: DoctorArgs) -> Result<()> {
    if args.batches == 0 {
        return Err(Error::setting("--batches is 0, must be at least 1"));
    }
    let json = JsonTarget::claim(args.json.as_deref())?;
    let html = NewFile::wanted("--html", args.html.as_ref())?;
    json.is_apart_from(args.html.as_deref().as_slice())?;
    let examination = examine(args.opening.open(&args.run)?, args.batches)?;
    let findings = findings(&examination);
    json.report(&figures(&examination, &findings), &show(&examination, &findings))?;
    let Some(html) = html else { return Ok(()) };
    html.write(page(&examination, &findings))?;
    print(&format!("\nwrote {}\n", html.path().display()));
    Ok(())
}
