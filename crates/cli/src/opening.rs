//! How commands that look at a trained net are told which one.

use crate::host::Terminal;
use clap::Args;
use spikegrad::data::Source;
use spikegrad::tensor::Level;
use spikegrad_lab::settings::level;
use spikegrad_lab::{Checkpoint, Opening, Result};
use std::path::{Path, PathBuf};

/// The flags of every command that looks at a trained net.
#[derive(Args, Clone, Debug, Default)]
pub struct OpeningArgs {
    /// Take the best epoch's weights of a run rather than the last's
    #[arg(long)]
    best: bool,
    /// Another place or data set to take the images from
    #[arg(long, value_name = "NAME[:DIR]")]
    data: Option<Source>,
    /// Score on the last N training images instead of the test images
    #[arg(long, value_name = "N")]
    holdout: Option<usize>,
    /// Folder that keeps frames of recordings from run to run; default: none, nothing is written
    #[arg(long, value_name = "DIR")]
    cache: Option<String>,
    /// Settings to take instead of those in the checkpoint
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// SIMD level: baseline, avx2 or avx512; default: the best
    #[arg(long, value_name = "NAME")]
    level: Option<Level>,
}

impl OpeningArgs {
    /// What the flags ask for.
    ///
    /// # Errors
    /// This processor has no level that the kernels are compiled for.
    pub fn opening(&self) -> Result<Opening> {
        let Self { best, data, holdout, cache, config, level: asked } = self.clone();
        Ok(Opening { best, config, data, holdout, cache, level: level(asked)? })
    }

    /// Opens a run or a checkpoint as the flags say.
    ///
    /// # Errors
    /// A missing or damaged file, weights that do not fit the settings, bad data.
    pub fn open(&self, run: &Path) -> Result<Checkpoint> {
        Checkpoint::open(run, &self.opening()?, &Terminal::deaf())
    }
}
