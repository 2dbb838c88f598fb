//! The folder of a run: what is in it, and the rule that nothing in it is ever overwritten by another run.
//!
//! | file | holds |
//! |---|---|
//! | `config.toml` | the resolved settings |
//! | `metrics.jsonl` | one object per epoch |
//! | `checkpoint.safetensors` | weights and running statistics after the last epoch, and the resolved settings |
//! | `best.safetensors` | the same, after the best epoch |
//! | `state.safetensors` | everything that resuming needs |
//! | `curves.svg`, `report.html` | for people |
//! | `.lock` | nothing: whoever trains here has it locked |

use crate::failure::Failure;
use crate::files;
use crate::flags::Flags;
use serde::{Deserialize, Serialize};
use spikegrad::models::durable::sweep;
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Epochs finished, from 1.
    pub epoch: usize,
    /// Mean training loss.
    pub train_loss: f64,
    /// Share of training images answered right while training.
    pub train_accuracy: f64,
    /// Share of test images answered right after the epoch.
    pub test_accuracy: f64,
    /// Cross-entropy on the test images.
    pub test_loss: f64,
    /// Learning rate of the last batch.
    pub lr: f32,
    /// Training images a second.
    pub images_per_second: f64,
    /// Seconds spent training.
    pub seconds: f64,
    /// Mean of `rates`.
    pub mean_rate: f64,
    /// Firing rate of each spiking layer, in the last batch.
    pub rates: BTreeMap<String, f64>,
}

/// A run's folder, held by one trainer at a time.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Locked as long as it is open; the system unlocks it when a process ends, however it ends.
    _lock: File,
}

/// The file that is locked.
const LOCK: &str = ".lock";

impl RunFolder {
    /// Makes a new folder: `out`, or the next free `runs/<title>-<n>`.
    ///
    /// # Errors
    /// `out` is a file or a folder that is not empty; the file system refuses.
    pub fn create(out: Option<&Path>, title: &str) -> Result<Self, Failure> {
        if let Some(out) = out {
            if out.exists() && !out.is_dir() {
                return Err(Failure::at(out, "exists and is not a folder; --out wants a new or empty one"));
            }
            fs::create_dir_all(out).map_err(|why| Failure::at(out, why))?;
            let mut entries = fs::read_dir(out).map_err(|why| Failure::at(out, why))?;
            if entries.next().is_some() {
                let why = "exists and is not empty; choose another --out, or continue the run with --resume";
                return Err(Failure::at(out, why));
            }
            return Self::hold(out);
        }
        let runs = Path::new("runs");
        fs::create_dir_all(runs).map_err(|why| Failure::at(runs, why))?;
        for n in 1.. {
            let path = runs.join(format!("{title}-{n}"));
            match fs::create_dir(&path) {
                Ok(()) => return Self::hold(&path),
                Err(why) if why.kind() == ErrorKind::AlreadyExists => {}
                Err(why) => return Err(Failure::at(&path, why)),
            }
        }
        Err(Failure::at(runs, "no number is free"))
    }

    /// Takes `path`, new or begun, for the run with these settings.
    ///
    /// # Errors
    /// It holds a run with other settings, but for where the data lie; the file system refuses.
    pub fn claim(path: &Path, settings: &Flags) -> Result<Self, Failure> {
        fs::create_dir_all(path).map_err(|why| Failure::at(path, why))?;
        let folder = Self::hold(path)?;
        let config = folder.file("config.toml");
        if config.is_file() {
            let there = Flags::read(&config)?;
            // Where no sensor is given, the one there was found in the data.
            let sensor = settings.sensor.as_ref().and(there.sensor.clone());
            let there = Flags { data: settings.data.clone(), sensor, ..there };
            if there != *settings {
                return Err(Failure::at(
                    &config,
                    "holds other settings than this run's; choose another folder",
                ));
            }
        }
        Ok(folder)
    }

    /// Opens a run's folder.
    ///
    /// # Errors
    /// No such folder, or none with a `config.toml`.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        if !path.is_dir() {
            return Err(Failure::at(path, "no such run folder"));
        }
        if !path.join("config.toml").is_file() {
            return Err(Failure::at(path, "is not a run folder: it has no config.toml"));
        }
        Self::hold(path)
    }

    /// Takes the folder for this process alone, and removes what a killed one left half written.
    fn hold(path: &Path) -> Result<Self, Failure> {
        let at = path.join(LOCK);
        let lock = File::create(&at).map_err(|why| Failure::at(&at, why))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::at(path, "another trainer is at work in this folder; stop it first"));
            }
            Err(TryLockError::Error(why)) => {
                return Err(Failure::at(&at, format!("cannot be locked: {why}")));
            }
        }
        sweep(path).map_err(|why| Failure::at(path, why))?;
        Ok(Self { path: path.to_path_buf(), _lock: lock })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file of the folder, whole or not at all.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        files::write(&self.file(name), text)
    }

    /// Reads the metrics of the first `epochs` epochs; a missing file holds none.
    ///
    /// # Errors
    /// A line that is not an epoch's object, with its number.
    pub fn metrics(&self, epochs: usize) -> Result<Vec<Metrics>, Failure> {
        let path = self.file("metrics.jsonl");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(why) if why.kind() == ErrorKind::NotFound => String::new(),
            Err(why) => return Err(Failure::at(&path, why)),
        };
        let mut metrics = Vec::new();
        for (n, line) in text.lines().enumerate() {
            let line: Metrics = serde_json::from_str(line)
                .map_err(|why| Failure::at(&path, format!("line {}: {why}", n + 1)))?;
            metrics.push(line);
        }
        metrics.retain(|line| line.epoch <= epochs);
        Ok(metrics)
    }

    /// Writes all metrics, one object a line.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn write_metrics(&self, metrics: &[Metrics]) -> Result<(), Failure> {
        let mut text = String::new();
        for line in metrics {
            text += &serde_json::to_string(line).map_err(Failure::input)?;
            text.push('\n');
        }
        self.write("metrics.jsonl", &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spikegrad::data::rng::Rng;

    #[test]
    fn metrics_come_back_to_the_last_bit() {
        let mut rng = Rng::new(1);
        for _ in 0..20_000 {
            let rates = BTreeMap::from([("spike".to_string(), rng.f64())]);
            let metrics = Metrics {
                epoch: 1,
                train_loss: 3.0 * rng.f64(),
                train_accuracy: rng.f64(),
                test_accuracy: rng.f64(),
                test_loss: 1e-3 * rng.f64(),
                lr: rng.uniform(),
                images_per_second: 1e4 * rng.f64(),
                seconds: rng.f64(),
                mean_rate: rng.f64(),
                rates,
            };
            let text = serde_json::to_string(&metrics).unwrap();
            assert_eq!(serde_json::from_str::<Metrics>(&text).unwrap(), metrics, "{text}");
        }
    }
}
