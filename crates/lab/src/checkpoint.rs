//! A run or a checkpoint to look at: its settings, its net, its images.

use crate::dataset::Dataset;
use crate::monitor::Monitor;
use crate::run::folder::{BEST, CHECKPOINT, SETTINGS};
use crate::settings::{CONFIG, RunConfig, Settings};
use crate::{Error, Result};
use spikegrad::Trainer;
use spikegrad::data::Source;
use spikegrad::files::extra;
use spikegrad::tensor::Level;
use std::path::{Path, PathBuf};

/// How a trained net is to be opened.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Whether to take the best epoch's weights of a run folder rather than the last's.
    pub best: bool,
    /// A file of settings to take instead of those in the checkpoint.
    pub config: Option<PathBuf>,
    /// Another place or data set to take the images from.
    pub data: Option<Source>,
    /// How many of the last training images to score on instead of the test images.
    pub holdout: Option<usize>,
    /// The folder that keeps frames of recordings; without one nothing is written.
    pub cache: Option<String>,
    /// The instruction set of the kernels.
    pub level: Level,
}

impl Opening {
    /// Opens the last epoch's weights with the settings that are saved with them.
    pub fn at(level: Level) -> Self {
        Self { best: false, config: None, data: None, holdout: None, cache: None, level }
    }

    /// Finds the file of weights of `run`, a run folder or a checkpoint.
    ///
    /// # Errors
    /// There is no such thing.
    pub fn weights(&self, run: &Path) -> Result<PathBuf> {
        match (run.exists(), run.is_dir()) {
            (false, _) => Err(Error::at(run, "no such run folder or checkpoint")),
            (_, true) => Ok(run.join(if self.best { BEST } else { CHECKPOINT })),
            _ => Ok(run.to_path_buf()),
        }
    }

    /// The settings that are laid over those of the run.
    pub fn given(&self) -> RunConfig {
        let Self { data, holdout, cache, .. } = self.clone();
        RunConfig { data, holdout, cache, ..RunConfig::default() }
    }
}

/// A trained net with its images.
#[derive(Debug)]
pub struct Checkpoint {
    /// The file of its weights.
    pub weights: PathBuf,
    /// The run's settings.
    pub settings: Settings,
    /// Training and scoring images.
    pub data: Dataset,
    /// The net, its weights loaded.
    pub trainer: Trainer,
}

impl Checkpoint {
    /// Opens `run`, a run folder or a checkpoint. Where the data lie may be what the checkpoint says, and is told then;
    /// where frames are kept is not, for looking at a file must not write where the file says.
    ///
    /// # Errors
    /// A missing or damaged file, weights that do not fit the settings, bad data.
    pub fn open(run: &Path, opening: &Opening, monitor: &dyn Monitor) -> Result<Self> {
        let weights = opening.weights(run)?;
        let given = opening.given();
        let settings = match &opening.config {
            Some(config) => Settings::resolve(given.clone(), Some(config))?,
            None => settings(given.clone(), &weights)?,
        };
        let settings = if given.cache.is_none() { settings.without_cache() } else { settings };
        if given.data.is_none() && settings.source.folder().is_some() {
            monitor.say(&format!("reading {}, which {} names\n", settings.source, weights.display()));
        }
        let data = Dataset::load(&settings)?;
        let mut trainer = Trainer::new(data.train_config(&settings), opening.level)?;
        // Who gives other settings knows that they are others.
        match opening.config.is_some() {
            true => trainer.load_weights_of_any_neuron(&weights)?,
            false => trainer.load_weights(&weights)?,
        }
        Ok(Self { weights, settings, data, trainer })
    }
}

/// Finds the settings: the checkpoint's own, else those of the run folder it lies in; what is given wins.
fn settings(given: RunConfig, checkpoint: &Path) -> Result<Settings> {
    if let Some(text) = extra(checkpoint)?.get(CONFIG) {
        let saved = RunConfig::parse(text, checkpoint)?;
        return Settings::check(given.over_saved(saved)).map_err(|why| why.of_file(checkpoint));
    }
    let beside = checkpoint.with_file_name(SETTINGS);
    if !beside.is_file() {
        let why = "holds no settings, and no config.toml lies beside it; pass the run's settings with --config FILE";
        return Err(Error::at(checkpoint, why));
    }
    Settings::resolve(given, Some(&beside))
}
