//! A run or a checkpoint that a command looks at: its settings, its net, its images.

use crate::dataset::Dataset;
use crate::failure::Failure;
use crate::flags::Flags;
use crate::settings::{CONFIG, Settings, level};
use clap::Args;
use spikegrad::Trainer;
use spikegrad::files::extra;
use std::path::{Path, PathBuf};

/// The flags of every command that looks at a trained net.
#[derive(Args, Clone, Debug, Default)]
pub struct CheckpointArgs {
    /// Take the best epoch's weights rather than the last's
    #[arg(long)]
    best: bool,
    /// Another place or data set to take the images from
    #[arg(long, value_name = "NAME[:DIR]")]
    data: Option<String>,
    /// Settings to take instead of those in the checkpoint
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// SIMD level: baseline, avx2 or avx512; default: the best
    #[arg(long, value_name = "NAME")]
    level: Option<String>,
}

/// A trained net with its images.
#[derive(Debug)]
pub struct Checkpoint {
    /// The file of the weights.
    pub path: PathBuf,
    /// The run's settings.
    pub settings: Settings,
    /// Training and scoring images.
    pub data: Dataset,
    /// The net, its weights loaded.
    pub trainer: Trainer,
}

impl Checkpoint {
    /// Loads what `run`, a run folder or a checkpoint, holds.
    ///
    /// # Errors
    /// A missing or damaged file, weights that do not fit the settings, bad data.
    pub fn load(run: &Path, args: &CheckpointArgs) -> Result<Self, Failure> {
        let flags = Flags { data: args.data.clone(), ..Flags::default() };
        Self::open(locate(run, args.best)?, flags, args.config.as_deref(), args.level.as_deref())
    }

    /// Loads what `run` holds after its last epoch, with some settings laid over its own.
    ///
    /// # Errors
    /// As [`Checkpoint::load`].
    pub fn load_under(run: &Path, flags: Flags, level: Option<&str>) -> Result<Self, Failure> {
        Self::open(locate(run, false)?, flags, None, level)
    }

    fn open(
        path: PathBuf,
        flags: Flags,
        config: Option<&Path>,
        at_level: Option<&str>,
    ) -> Result<Self, Failure> {
        let settings = settings(flags, config, &path)?;
        let level = level(at_level)?;
        let data = Dataset::load(&settings)?;
        let mut trainer = Trainer::new(settings.train_config(data.shape()), level)?;
        trainer.load_weights(&path)?;
        Ok(Self { path, settings, data, trainer })
    }
}

/// Finds the weights.
fn locate(run: &Path, best: bool) -> Result<PathBuf, Failure> {
    if !run.exists() {
        return Err(Failure::at(run, "no such run folder or checkpoint"));
    }
    Ok(match run.is_dir() {
        true => run.join(if best { "best.safetensors" } else { "checkpoint.safetensors" }),
        false => run.to_path_buf(),
    })
}

/// Finds the settings: those of `--config`, else the checkpoint's own, else those of the run folder it lies in.
fn settings(flags: Flags, config: Option<&Path>, checkpoint: &Path) -> Result<Settings, Failure> {
    if config.is_some() {
        return Settings::resolve(flags, config);
    }
    if let Some(text) = extra(checkpoint)?.get(CONFIG) {
        return Settings::check(flags.over_saved(Flags::parse(text, checkpoint)?));
    }
    let beside = checkpoint.with_file_name("config.toml");
    if !beside.is_file() {
        let why = "holds no settings, and no config.toml lies beside it; pass the run's settings with --config FILE";
        return Err(Failure::at(checkpoint, why));
    }
    Settings::resolve(flags, Some(&beside))
}
