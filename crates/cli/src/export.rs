//! `spikegrad export`: a run's weights for other programs.

use crate::outputs::NewFile;
use crate::terminal::print;
use clap::{Args, ValueEnum};
use spikegrad::tensor::Level;
use spikegrad_lab::export::safetensors;
use spikegrad_lab::{Opening, Result};
use std::path::PathBuf;

/// What `export` takes.
#[derive(Args, Clone, Debug)]
pub struct ExportArgs {
    /// Run folder, or a checkpoint
    run: PathBuf,
    /// Take the best epoch's weights of a run rather than the last's
    #[arg(long)]
    best: bool,
    /// Format of the file
    #[arg(long, value_name = "FORMAT", default_value = "safetensors")]
    to: Format,
    /// New file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// A format.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Weights and running estimates under PyTorch's names
    Safetensors,
}

/// Exports.
///
/// # Errors
/// A missing or damaged file, a file that exists already, or a file system that refuses.
pub fn run(args: ExportArgs) -> Result<()> {
    let out = NewFile::claim("--out", &args.out)?;
    let opening = Opening { best: args.best, ..Opening::at(Level::BASELINE) };
    let weights = opening.weights(&args.run)?;
    let tensors = match args.to {
        Format::Safetensors => safetensors(&weights, out.path())?,
    };
    print(&format!("wrote {tensors} tensors of {} to {}\n", weights.display(), out.path().display()));
    Ok(())
}
