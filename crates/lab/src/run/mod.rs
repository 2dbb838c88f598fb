//! Training runs: a new one, or the rest of an old one ([`Run::resume`]), which ends with the same bytes as if it had never
//! stopped.
//!
//! ```no_run
//! use spikegrad_lab::run::{Run, When};
//! use spikegrad_lab::settings::{RunConfig, Settings};
//! use spikegrad_lab::{Error, Silent};
//! use spikegrad::tensor::Level;
//!
//! # fn main() -> Result<(), Error> {
//! let settings = Settings::check(RunConfig::default())?;
//! let mut run = Run::start(settings, None, Level::BASELINE, When::default(), &Silent)?;
//! while !run.train()? {
//!     // The monitor asked to stop; everything is in the folder.
//! }
//! println!("{}", run.at.best_accuracy);
//! # Ok(())
//! # }
//! ```

pub mod folder;
mod identity;
pub mod metrics;
mod provenance;
mod resume;
pub mod state;
mod when;

pub use folder::RunFolder;
pub use identity::{DataIdentity, settings_that_differ};
pub use metrics::Metrics;
pub use provenance::provenance;
pub use resume::taken_up;
pub use state::{DATA_CHECKSUM, LastScore, Position, RunState};
pub use when::When;

use crate::dataset::Dataset;
use crate::monitor::{Monitor, Outline};
use crate::score::{Score, score};
use crate::settings::{CONFIG, Settings};
use crate::{Error, Result};
use folder::{BEST, CHECKPOINT, METRICS, SETTINGS, STATE};
use spikegrad::Trainer;
use spikegrad::data::{Batch, Loader};
use spikegrad::tensor::Level;
use spikegrad_report::escape::shell_path;
use spikegrad_report::run_page::{self, Epoch, RunPage, Scored};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// A run in the making.
pub struct Run<'m> {
    /// Its settings, resolved.
    pub settings: Settings,
    /// Its folder, held.
    pub folder: RunFolder,
    /// Its net and optimiser.
    pub trainer: Trainer,
    /// What it is trained on.
    pub train: Loader,
    /// What it is scored on.
    pub test: Loader,
    /// What data these are.
    pub data: DataIdentity,
    /// How far it has come.
    pub at: Position,
    /// One entry for each finished epoch.
    pub metrics: Vec<Metrics>,
    /// How the scoring images were answered after the last of them.
    pub scored: Option<LastScore>,
    /// Firing rates of the last training batch.
    pub rates: BTreeMap<String, f64>,
    /// When it stops and saves.
    pub when: When,
    /// What was wrong with its folder when it was taken up, a line each.
    pub told: Vec<String>,
    monitor: &'m dyn Monitor,
}

/// A run that has come to its end.
pub struct Finished {
    /// The net after the last epoch.
    pub trainer: Trainer,
    /// What it was trained on.
    pub train: Loader,
    /// What it was scored on.
    pub test: Loader,
    /// One entry per epoch.
    pub metrics: Vec<Metrics>,
}

/// Trains the run of `settings` in a folder claimed for it, from its beginning or from where it stopped; none where
/// a signal stops it.
///
/// # Errors
/// All that training can end with.
pub fn train_in(
    folder: RunFolder,
    settings: Settings,
    level: Level,
    monitor: &dyn Monitor,
) -> Result<Option<Finished>> {
    let prepared = Prepared::new(settings, level, monitor)?;
    let when = When::default();
    let mut run = match folder.file(STATE).is_file() {
        true => Run::take_up(prepared, folder, when, monitor)?,
        false => Run::begin(prepared, folder, when, monitor)?,
    };
    let ended = run.train()?;
    let Run { trainer, train, test, metrics, .. } = run;
    Ok(ended.then_some(Finished { trainer, train, test, metrics }))
}

impl<'m> Run<'m> {
    /// Starts a new run in the new folder `out`, or in the next free one of `runs/`. The folder is made last, when
    /// nothing can be wrong with the settings any more.
    ///
    /// # Errors
    /// Settings that make no sense, bad data, a folder in use.
    pub fn start(
        settings: Settings,
        out: Option<&Path>,
        level: Level,
        when: When,
        monitor: &'m dyn Monitor,
    ) -> Result<Self> {
        let prepared = Prepared::new(settings, level, monitor)?;
        let folder = RunFolder::create(out, &prepared.settings.title())?;
        Self::begin(prepared, folder, when, monitor)
    }

    /// Begins a run in a folder of its own.
    fn begin(prepared: Prepared, folder: RunFolder, when: When, monitor: &'m dyn Monitor) -> Result<Self> {
        let toml = prepared.settings.config.to_toml()?;
        if let Err(why) = folder.write(SETTINGS, &toml) {
            folder.give_up();
            return Err(why);
        }
        let Prepared { settings, trainer, train, test, data } = prepared;
        monitor.say(&format!(
            "{} with {} on {} images, scored on {} {} images; run folder {}\n",
            settings.train_config(settings.shape()).net.name(),
            settings.source,
            train.set().len(),
            test.set().len(),
            settings.scored_on(),
            folder.path().display()
        ));
        let (at, metrics, rates, told) = (Position::default(), Vec::new(), BTreeMap::new(), Vec::new());
        Ok(Self {
            settings,
            folder,
            trainer,
            train,
            test,
            data,
            at,
            metrics,
            scored: None,
            rates,
            when,
            told,
            monitor,
        })
    }

    /// Trains until the last epoch, or until [`When`] or the monitor says to stop; true where it was the last epoch. A
    /// run that stops has its state written.
    ///
    /// # Errors
    /// Numbers that are no longer finite; the file system refuses.
    pub fn train(&mut self) -> Result<bool> {
        let (epochs, batches) = (self.settings.epochs(), self.train.batches());
        let done = self.at.epoch * batches + self.at.batch;
        self.monitor.begins(&Outline { epochs, batches, done, scored_on: self.settings.scored_on() });
        self.when.start(self.done());
        while self.at.epoch < epochs {
            if self.must_stop() || !self.epoch()? {
                self.monitor.ends();
                self.stop()?;
                return Ok(false);
            }
        }
        self.monitor.ends();
        Ok(true)
    }

    /// Epochs done, with the part of the one at work.
    fn done(&self) -> f64 {
        self.at.epoch as f64 + self.at.batch as f64 / self.train.batches() as f64
    }

    /// Tells whether to stop before the next batch.
    fn must_stop(&self) -> bool {
        self.monitor.must_stop() || self.when.stops(self.done())
    }

    /// Trains the rest of an epoch, scores and writes; false when told to stop on the way.
    fn epoch(&mut self) -> Result<bool> {
        let batches = self.train.batches();
        let mut start = Instant::now();
        for batch in self.train.epoch_from(self.at.epoch as u64, self.at.batch) {
            if self.must_stop() {
                return Ok(false);
            }
            self.batch(&batch)?;
            self.at.seconds += start.elapsed().as_secs_f64();
            start = Instant::now();
            self.monitor.batch(&self.at, batches);
            if self.at.batch < batches && self.when.is_due(self.done()) {
                self.save()?;
            }
        }
        let scored = score(&mut self.trainer, &self.test, None, self.monitor);
        let Some(score) = scored.map_err(|why| self.broken(&why))? else { return Ok(false) };
        let metrics = self.metrics_with(&score);
        if let Some(figure) = metrics.not_finite() {
            return Err(self.broken(&format!("{figure} is not finite")));
        }
        self.monitor.epoch(&metrics);
        self.metrics.push(metrics);
        let Score { accuracy, confusion, answers, .. } = score;
        self.scored = Some(LastScore { confusion, answers });
        self.write_epoch(accuracy)?;
        Ok(true)
    }

    /// Learns a batch and adds to the epoch's sums.
    fn batch(&mut self, batch: &Batch) -> Result<()> {
        let step = self.trainer.train_batch(&batch.images, &batch.labels, self.done());
        let step = step.map_err(|why| self.broken(&why))?;
        let at = &mut self.at;
        at.batch += 1;
        at.images += batch.len;
        at.correct += step.correct;
        at.loss_sum += step.loss * batch.len as f64;
        at.lr = step.lr;
        if at.batch == self.train.batches() {
            self.rates = self.trainer.rates().into_iter().collect();
        }
        Ok(())
    }

    /// The figures of the epoch that has just been scored.
    fn metrics_with(&self, score: &Score) -> Metrics {
        let (at, rates) = (self.at, self.rates.clone());
        let images = at.images.max(1) as f64;
        Metrics {
            epoch: at.epoch + 1,
            train_loss: at.loss_sum / images,
            train_accuracy: at.correct as f64 / images,
            test_accuracy: score.accuracy,
            test_loss: score.loss,
            lr: at.lr,
            images_per_second: images / at.seconds.max(1e-9),
            seconds: at.seconds,
            mean_rate: rates.values().sum::<f64>() / rates.len().max(1) as f64,
            rates,
        }
    }

    /// Writes everything that an epoch leaves behind; the state first, since the other files can be made from it.
    fn write_epoch(&mut self, accuracy: f64) -> Result<()> {
        self.at.next_epoch();
        let is_best = accuracy > self.at.best_accuracy || self.at.best_epoch == 0;
        if is_best {
            (self.at.best_accuracy, self.at.best_epoch) = (accuracy, self.at.epoch);
        }
        if self.when.is_due(self.done()) || self.at.epoch == self.settings.epochs() {
            self.save()?;
        }
        if is_best {
            self.save_weights(BEST)?;
        }
        self.folder.write(METRICS, &metrics::to_text(&self.metrics)?)?;
        self.write_pages()
    }

    /// Draws the curves and the page.
    fn write_pages(&self) -> Result<()> {
        let scored = self.scored.as_ref();
        let toml = self.settings.config.to_toml()?;
        let entries = toml.lines().filter_map(|line| line.split_once(" = "));
        let page = RunPage {
            title: format!("{} on {}", self.trainer.config().net.name(), self.settings.source),
            epochs: self.settings.epochs(),
            scored_on: self.settings.scored_on(),
            settings: entries.map(|(key, value)| (key.into(), value.trim_matches('"').into())).collect(),
            metrics: self.metrics.iter().map(Epoch::from).collect(),
            scored: scored.map(|last| Scored { confusion: &last.confusion, answers: &last.answers }),
            test: self.test.set(),
            provenance: &provenance(self.trainer.level(), self.monitor.command()),
            folder: self.folder.path(),
        };
        self.folder.write("curves.svg", &run_page::curves(&page))?;
        self.folder.write("report.html", &page.html()?)
    }

    /// Writes the weights to a file that also holds the settings, so that it can be scored on its own, the epoch, and the
    /// checksum of the data's identity.
    pub fn save_weights(&self, name: &str) -> Result<()> {
        let settings = self.settings.config.to_toml()?;
        let (epoch, data) = (self.at.epoch.to_string(), self.data.checksum()?);
        let entries = [(CONFIG, settings), ("epoch", epoch), (DATA_CHECKSUM, data)];
        let entries = entries.map(|(key, text)| (key.to_string(), text)).into();
        self.trainer.save_weights_with(self.folder.file(name), &entries)?;
        Ok(())
    }

    /// What the state says beside the trainer's numbers.
    pub fn state(&self) -> RunState {
        RunState {
            settings: self.settings.config.clone(),
            data: self.data.clone(),
            at: self.at,
            rates: self.rates.clone(),
            metrics: self.metrics.clone(),
            scored: self.scored.clone(),
        }
    }

    /// Writes state and weights; the state first, since the weights can be made from it.
    pub fn save(&self) -> Result<()> {
        let entries = self.state().entries()?;
        self.trainer.save_state(self.folder.file(STATE), &entries)?;
        self.save_weights(CHECKPOINT)
    }

    /// Writes the state and says how to go on.
    fn stop(&mut self) -> Result<()> {
        self.save()?;
        let folder = shell_path(self.folder.path());
        let Position { epoch, batch, .. } = self.at;
        self.monitor.say(&format!(
            "stopped after {epoch} epochs and {batch} batches; continue with: spikegrad train --resume {folder}\n"
        ));
        Ok(())
    }

    /// Explains why training cannot go on, and names the last file that can be loaded.
    fn broken(&self, why: &impl std::fmt::Display) -> Error {
        let can_be_loaded = |name: &&str| spikegrad::files::extra(self.folder.file(name)).is_ok();
        let left = match [CHECKPOINT, BEST].into_iter().find(can_be_loaded) {
            Some(name) => format!("the last good checkpoint is {}", self.folder.file(name).display()),
            None => {
                let folder = shell_path(self.folder.path());
                format!("there is no checkpoint yet; --out {folder} can be used again")
            }
        };
        Error::input(format!("epoch {}, batch {}: {why}; {left}", self.at.epoch + 1, self.at.batch + 1))
    }
}

/// A checked configuration, its data read and its net planned.
pub struct Prepared {
    /// The settings.
    pub settings: Settings,
    /// The net and the optimiser at their beginning.
    pub trainer: Trainer,
    /// What to train on.
    pub train: Loader,
    /// What to score on.
    pub test: Loader,
    /// What data these are.
    pub data: DataIdentity,
}

impl Prepared {
    /// Reads the data and plans the net.
    ///
    /// # Errors
    /// Bad data, fewer images than a batch, settings that make no sense for these images.
    pub fn new(mut settings: Settings, level: Level, monitor: &dyn Monitor) -> Result<Self> {
        let data = Dataset::load(&settings)?;
        data.settle(&mut settings);
        let (train, test) = (data.train_loader(&settings)?, data.test_loader(&settings)?);
        let trainer = Trainer::new(data.train_config(&settings), level)?;
        trainer.config().warnings().iter().for_each(|line| monitor.say(&format!("note: {line}\n")));
        monitor.say(&(data.note.clone() + &data.rest(&settings)));
        let identity = DataIdentity::of(&settings.source, &data);
        Ok(Self { settings, trainer, train, test, data: identity })
    }
}
