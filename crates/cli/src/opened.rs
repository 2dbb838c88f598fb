//! A run opened again: its settings, its images, a trainer with its weights.

use crate::dataset::Dataset;
use crate::failure::Failure;
use crate::flags::Flags;
use crate::settings::{CONFIG, Settings};
use spikegrad::Trainer;
use spikegrad::files::extra;
use spikegrad::tensor::Level;
use std::path::{Path, PathBuf};

/// Settings, images and trainer of a run.
pub struct Opened {
    /// The resolved settings.
    pub settings: Settings,
    /// The images.
    pub data: Dataset,
    /// A trainer with the run's weights.
    pub trainer: Trainer,
}

/// Opens a run folder, or a checkpoint, with some settings laid over its own.
///
/// # Errors
/// A missing or damaged file, weights that do not fit the settings, bad data.
pub fn open(run: &Path, flags: Flags, level: Level) -> Result<Opened, Failure> {
    let checkpoint = weights(run)?;
    let settings = match extra(&checkpoint)?.get(CONFIG) {
        Some(text) => Settings::check(flags.over_saved(Flags::parse(text, &checkpoint)?))?,
        None => Settings::resolve(flags, Some(&beside(&checkpoint)?))?,
    };
    let data = Dataset::load(&settings)?;
    let mut trainer = Trainer::new(settings.train_config(data.shape()), level)?;
    trainer.load_weights(&checkpoint)?;
    Ok(Opened { settings, data, trainer })
}

/// Finds the weights of a run.
fn weights(run: &Path) -> Result<PathBuf, Failure> {
    match (run.exists(), run.is_dir()) {
        (false, _) => Err(Failure::at(run, "no such run folder or checkpoint")),
        (_, true) => Ok(run.join("checkpoint.safetensors")),
        _ => Ok(run.to_path_buf()),
    }
}

/// Finds the settings beside a checkpoint that holds none.
fn beside(checkpoint: &Path) -> Result<PathBuf, Failure> {
    let beside = checkpoint.with_file_name("config.toml");
    if beside.is_file() {
        return Ok(beside);
    }
    Err(Failure::at(checkpoint, "holds no settings, and no config.toml lies beside it"))
}
