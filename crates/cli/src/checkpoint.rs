//! A run or a checkpoint that a command looks at: its settings, its net, its images.

use crate::dataset::Dataset;
use crate::failure::Failure;
use crate::files::print;
use crate::flags::Flags;
use crate::run_folder::{BEST, CHECKPOINT, SETTINGS};
use crate::settings::{CONFIG, Settings, level};
use clap::Args;
use spikegrad::Trainer;
use spikegrad::files::extra;
use spikegrad::tensor::Level;
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
    /// Score on the last N training images instead of the test images
    #[arg(long, value_name = "N")]
    holdout: Option<usize>,
    /// Folder that keeps frames of recordings from run to run; default: none, nothing is written
    #[arg(long, value_name = "DIR")]
    cache: Option<String>,
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
    /// The run's settings.
    pub settings: Settings,
    /// Training and scoring images.
    pub data: Dataset,
    /// The net, its weights loaded.
    pub trainer: Trainer,
}

impl CheckpointArgs {
    /// Finds the weights of `run`, a run folder or a checkpoint.
    ///
    /// # Errors
    /// There is no such thing.
    pub fn weights(&self, run: &Path) -> Result<PathBuf, Failure> {
        weights(run, self.best)
    }
}

impl Checkpoint {
    /// Loads weights as the flags say.
    ///
    /// # Errors
    /// A missing or damaged file, weights that do not fit the settings, bad data.
    pub fn load(weights: &Path, args: &CheckpointArgs) -> Result<Self, Failure> {
        let CheckpointArgs { data, holdout, cache, .. } = args.clone();
        let flags = Flags { data, holdout, cache, ..Flags::default() };
        let settings = match &args.config {
            Some(config) => Settings::resolve(flags.clone(), Some(config))?,
            None => settings(flags.clone(), weights)?,
        };
        // Who gives other settings knows that they are others.
        let for_any_neuron = args.config.is_some();
        Self::with(settings, &flags, weights, level(args.level.as_deref())?, for_any_neuron)
    }

    /// Loads the last epoch's weights of `run`, with some settings laid over its own.
    ///
    /// # Errors
    /// As [`Checkpoint::load`].
    pub fn open(run: &Path, flags: Flags, level: Level) -> Result<Self, Failure> {
        let weights = weights(run, false)?;
        Self::with(settings(flags.clone(), &weights)?, &flags, &weights, level, false)
    }

    /// Loads data and weights. Where the data lie may be what the checkpoint says, and is announced then; where
    /// frames are kept is not, for looking at a file must not write where the file says.
    fn with(
        settings: Settings,
        given: &Flags,
        weights: &Path,
        level: Level,
        for_any_neuron: bool,
    ) -> Result<Self, Failure> {
        let settings = if given.cache.is_none() { settings.without_cache() } else { settings };
        if given.data.is_none() && settings.source.folder().is_some() {
            print(&format!("reading {}, which {} names\n", settings.source, weights.display()));
        }
        let data = Dataset::load(&settings)?;
        let mut trainer = Trainer::new(settings.train_config(data.shape()), level)?;
        match for_any_neuron {
            true => trainer.load_weights_of_any_neuron(weights)?,
            false => trainer.load_weights(weights)?,
        }
        Ok(Self { settings, data, trainer })
    }
}

/// Finds the weights.
fn weights(run: &Path, best: bool) -> Result<PathBuf, Failure> {
    match (run.exists(), run.is_dir()) {
        (false, _) => Err(Failure::at(run, "no such run folder or checkpoint")),
        (_, true) => Ok(run.join(if best { BEST } else { CHECKPOINT })),
        _ => Ok(run.to_path_buf()),
    }
}

/// Finds the settings: the checkpoint's own, else those of the run folder it lies in; flags win.
fn settings(flags: Flags, checkpoint: &Path) -> Result<Settings, Failure> {
    if let Some(text) = extra(checkpoint)?.get(CONFIG) {
        let saved = Flags::parse(text, checkpoint)?;
        return Settings::check(flags.over_saved(saved)).map_err(|why| why.of_file(checkpoint));
    }
    let beside = checkpoint.with_file_name(SETTINGS);
    if !beside.is_file() {
        let why = "holds no settings, and no config.toml lies beside it; pass the run's settings with --config FILE";
        return Err(Failure::at(checkpoint, why));
    }
    Settings::resolve(flags, Some(&beside))
}
