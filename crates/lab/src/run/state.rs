//! What the state file of a run says beside the trainer's own numbers: all that a resumed run needs to be the same run.
//!
//! The file's checksum covers these entries, so that they are right or refused; the other files of the run folder are
//! compared with them.
//!
//! | entry | holds |
//! |---|---|
//! | `config` | the settings, as TOML |
//! | `data` | the identity of the data |
//! | `position` | how far the run has come |
//! | `rates` | firing rates of the last training batch |
//! | `metrics` | every finished epoch's line of `metrics.jsonl` |
//! | `scored` | how the scoring images were answered after the last epoch |

use super::identity::DataIdentity;
use super::metrics::{self, Metrics};
use crate::settings::CONFIG;
use crate::settings::RunConfig;
use crate::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use spikegrad::files::extra;
use std::collections::BTreeMap;
use std::path::Path;

/// Key of the data's checksum in files of weights.
pub const DATA_CHECKSUM: &str = "data-crc32";

/// How far a run has come, and the sums over the epoch it is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Epochs finished.
    pub epoch: usize,
    /// Batches done of the next epoch.
    pub batch: usize,
    /// Test accuracy of the weights in `best.safetensors`.
    pub best_accuracy: f64,
    /// Their epoch, from 1; 0 where there are none.
    pub best_epoch: usize,
    /// Loss times images, over the epoch's batches.
    pub loss_sum: f64,
    /// Images answered right.
    pub correct: usize,
    /// Images seen.
    pub images: usize,
    /// Seconds spent.
    pub seconds: f64,
    /// Learning rate of the last batch.
    pub lr: f32,
}

impl Position {
    /// Steps to the next epoch.
    pub fn next_epoch(&mut self) {
        let Self { epoch, best_accuracy, best_epoch, .. } = *self;
        *self = Self { epoch: epoch + 1, best_accuracy, best_epoch, ..Self::default() };
    }
}

/// How the scoring images were answered after an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastScore {
    /// `confusion[label][answer]`: how many images.
    pub confusion: Vec<Vec<u64>>,
    /// The answers to the first images.
    pub answers: Vec<usize>,
}

/// The entries of a state.
#[derive(Clone, Debug, PartialEq)]
pub struct RunState {
    /// The settings that the run began with.
    pub settings: RunConfig,
    /// The data that it began with.
    pub data: DataIdentity,
    /// How far it has come.
    pub at: Position,
    /// Firing rates of the last training batch.
    pub rates: BTreeMap<String, f64>,
    /// One entry for each finished epoch.
    pub metrics: Vec<Metrics>,
    /// How the scoring images were answered after the last of them.
    pub scored: Option<LastScore>,
}

impl RunState {
    /// The entries as text, to be saved with the trainer's numbers.
    ///
    /// # Errors
    /// None in practice; the serialiser's words if ever.
    pub fn entries(&self) -> Result<BTreeMap<String, String>> {
        fn json(value: &impl Serialize) -> Result<String> {
            serde_json::to_string(value).map_err(Error::input)
        }
        let entries = [
            (CONFIG, self.settings.to_toml()?),
            ("data", json(&self.data)?),
            ("position", json(&self.at)?),
            ("rates", json(&self.rates)?),
            ("metrics", metrics::to_text(&self.metrics)?),
            ("scored", json(&self.scored)?),
        ];
        Ok(entries.map(|(key, text)| (key.to_string(), text)).into())
    }

    /// Reads the entries of the state file at `path`.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or lacks an entry; epochs and metrics that do not fit each other.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(path, &extra(path)?)
    }

    /// Reads the entries that came from the state file at `path`.
    ///
    /// # Errors
    /// An entry that is missing or makes no sense.
    pub fn parse(path: &Path, entries: &BTreeMap<String, String>) -> Result<Self> {
        let text = |key: &str| {
            let text = entries.get(key);
            text.ok_or_else(|| {
                let why = format!("metadata has no entry {key:?}: no run of this version wrote it");
                Error::at(path, why)
            })
        };
        fn json<T: DeserializeOwned>(path: &Path, key: &str, text: &str) -> Result<T> {
            serde_json::from_str(text).map_err(|why| Error::at(path, format!("entry {key:?}: {why}")))
        }
        let state = Self {
            settings: RunConfig::parse(text(CONFIG)?, path)?,
            data: json(path, "data", text("data")?)?,
            at: json(path, "position", text("position")?)?,
            rates: json(path, "rates", text("rates")?)?,
            metrics: metrics::parse(text("metrics")?, path)?,
            scored: json(path, "scored", text("scored")?)?,
        };
        let (epochs, lines) = (state.at.epoch, state.metrics.len());
        if epochs != lines {
            return Err(Error::at(
                path,
                format!("{epochs} epochs are finished, metrics are there of {lines}"),
            ));
        }
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Dataset;
    use crate::settings::Settings;

    #[test]
    fn entries_come_back() {
        let flags: RunConfig = toml::from_str("net = \"mlp\"\nlr = 0.1\nlimit = 20").unwrap();
        let settings = Settings::check(flags).unwrap();
        let data = DataIdentity::of(&settings.source, &Dataset::load(&settings).unwrap());
        let at = Position {
            epoch: 1,
            batch: 7,
            best_accuracy: 0.1 + 0.2,
            best_epoch: 1,
            loss_sum: 1.0 / 3.0,
            correct: 5,
            images: 70,
            seconds: 1e-9,
            lr: 1e-7,
        };
        let state = RunState {
            settings: settings.config,
            data,
            at,
            rates: BTreeMap::from([("spike1".to_string(), 0.3)]),
            metrics: vec![Metrics { epoch: 1, lr: 0.1, ..Metrics::default() }],
            scored: Some(LastScore { confusion: vec![vec![3, 1], vec![0, 2]], answers: vec![1, 0, 0] }),
        };
        let (path, entries) = (Path::new("state"), state.entries().unwrap());
        assert_eq!(RunState::parse(path, &entries).unwrap(), state);
        for key in entries.keys() {
            let mut fewer = entries.clone();
            fewer.remove(key);
            let why = RunState::parse(path, &fewer).unwrap_err().to_string();
            assert!(why.contains(key), "{why}");
        }
        let ahead = RunState { at: Position { epoch: 2, ..at }, ..state };
        let why = RunState::parse(path, &ahead.entries().unwrap()).unwrap_err().to_string();
        assert!(why.contains("2 epochs are finished, metrics are there of 1"), "{why}");
    }

    #[test]
    fn an_epoch_ends_with_its_sums_at_0_and_the_best_kept() {
        let mut at = Position {
            epoch: 2,
            batch: 9,
            best_accuracy: 0.8,
            best_epoch: 2,
            correct: 3,
            ..Position::default()
        };
        at.next_epoch();
        assert_eq!(at, Position { epoch: 3, best_accuracy: 0.8, best_epoch: 2, ..Position::default() });
    }
}
