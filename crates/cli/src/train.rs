//! `spikegrad train`: a new run, or the rest of an old one.

use crate::dataset::Dataset;
use crate::failure::Failure;
use crate::files::print;
use crate::flags::Flags;
use crate::progress::Progress;
use crate::report::{self, Report};
use crate::run_folder::{Metrics, RunFolder};
use crate::score::score;
use crate::settings::{CONFIG, Settings, level};
use crate::when::When;
use crate::{files, interrupt};
use clap::Args;
use serde_json::json;
use spikegrad::Trainer;
use spikegrad::data::Loader;
use spikegrad::models::{Lanczos, LipschitzConstant};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The file that resuming starts from.
const STATE: &str = "state.safetensors";

/// What `train` takes.
#[derive(Args, Clone, Debug)]
pub struct TrainArgs {
    #[command(flatten)]
    flags: Flags,
    /// Settings from a TOML file, under the flags' names; flags win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Run folder to write, new or empty; default: the next free runs/NET-DATA-N
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Continue the run in this folder where it stopped
    #[arg(long, value_name = "RUN", conflicts_with_all = ["out", "config"])]
    resume: Option<PathBuf>,
    /// Stop after so many epochs (1.5: in the middle of the second), to resume later
    #[arg(long, value_name = "EPOCHS")]
    stop_after: Option<f64>,
    /// Write a checkpoint every so many epochs (2, 0.5) or minutes (10m); default: every epoch
    #[arg(long, value_name = "EPOCHS|MINUTESm")]
    checkpoint_every: Option<String>,
    /// SIMD level: baseline, avx2 or avx512; default: the best
    #[arg(long, value_name = "NAME")]
    level: Option<String>,
    /// Write the final figures as JSON to a new file, or to stdout for -
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// How far a run has come, and the sums over the epoch it is in.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Position {
    /// Epochs finished.
    epoch: usize,
    /// Batches done of the next epoch.
    batch: usize,
    /// Best test accuracy so far.
    best: f64,
    /// Loss times images, over the epoch's batches.
    loss: f64,
    /// Images answered right.
    correct: usize,
    /// Images seen.
    images: usize,
    /// Seconds spent.
    seconds: f64,
    /// Learning rate of the last batch.
    lr: f32,
}

impl Position {
    /// The position as text, to be saved beside the state.
    fn save(&self) -> BTreeMap<String, String> {
        let entries = [
            ("epoch", self.epoch.to_string()),
            ("batch", self.batch.to_string()),
            ("best_accuracy", self.best.to_string()),
            ("loss_sum", self.loss.to_string()),
            ("correct", self.correct.to_string()),
            ("images", self.images.to_string()),
            ("seconds", self.seconds.to_string()),
            ("lr", self.lr.to_string()),
        ];
        entries.map(|(key, value)| (key.to_string(), value)).into()
    }

    /// Reads the position back.
    fn load(path: &Path, saved: &BTreeMap<String, String>) -> Result<Self, Failure> {
        fn get<T: std::str::FromStr>(
            path: &Path,
            saved: &BTreeMap<String, String>,
            key: &str,
        ) -> Result<T, Failure> {
            let value = saved.get(key).and_then(|value| value.parse().ok());
            value.ok_or_else(|| Failure::at(path, format!("metadata has no valid entry {key:?}")))
        }
        Ok(Self {
            epoch: get(path, saved, "epoch")?,
            batch: get(path, saved, "batch")?,
            best: get(path, saved, "best_accuracy")?,
            loss: get(path, saved, "loss_sum")?,
            correct: get(path, saved, "correct")?,
            images: get(path, saved, "images")?,
            seconds: get(path, saved, "seconds")?,
            lr: get(path, saved, "lr")?,
        })
    }

    /// Steps to the next epoch.
    fn next_epoch(&mut self) {
        *self = Self { epoch: self.epoch + 1, best: self.best, ..Self::default() };
    }
}

/// A run in the making.
struct Run {
    settings: Settings,
    folder: RunFolder,
    trainer: Trainer,
    train: Loader,
    test: Loader,
    at: Position,
    metrics: Vec<Metrics>,
    /// Firing rates of the last training batch.
    rates: BTreeMap<String, f64>,
    when: When,
}

/// Trains.
///
/// # Errors
/// Wrong settings, bad data, a folder in use, numbers that are no longer finite.
pub fn run(args: TrainArgs) -> Result<(), Failure> {
    let when = When::of(args.stop_after, args.checkpoint_every.as_deref())?;
    files::keep_stdout_for_json(args.json.as_deref());
    let mut run = match &args.resume {
        Some(folder) => Run::resume(folder, &args, when)?,
        None => Run::start(&args, when)?,
    };
    interrupt::listen()?;
    if run.train()? && run.trainer.config().beta > 0.0 {
        print(&lipschitz_constants(&run.trainer));
    }
    if let Some(target) = &args.json {
        let last = run.metrics.last();
        let figures = json!({ "run": run.folder.path(), "best_accuracy": run.at.best, "last": last });
        files::write_json(target, &figures)?;
    }
    Ok(())
}

/// Tells what the Lipschitz term is about: the largest singular value of each layer, batch norm included.
fn lipschitz_constants(trainer: &Trainer) -> String {
    let constants = trainer.net().lipschitz_constants(&Lanczos::default());
    let largest = constants.iter().max_by(|a, b| a.sigma.total_cmp(&b.sigma)).map(LipschitzConstant::shown);
    let values: Vec<String> = constants.iter().map(|c| format!("{} {}", c.layer, c.shown())).collect();
    format!("measured Lipschitz constants, largest {}: {}\n", largest.unwrap_or_default(), values.join(", "))
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
/// Ctrl-C stops it.
///
/// # Errors
/// All that training can end with.
pub fn train_in(
    folder: RunFolder,
    settings: Settings,
    level: Option<&str>,
) -> Result<Option<Finished>, Failure> {
    let prepared = prepare(&settings, level)?;
    let when = When::default();
    let mut run = match folder.file(STATE).is_file() {
        true => Run::take_up(settings, prepared, folder, when)?,
        false => Run::begin(settings, prepared, folder, when)?,
    };
    let ended = run.train()?;
    let Run { trainer, train, test, metrics, .. } = run;
    Ok(ended.then_some(Finished { trainer, train, test, metrics }))
}

impl Run {
    /// Starts a new run. The folder is made last, when nothing can be wrong with the settings any more.
    fn start(args: &TrainArgs, when: When) -> Result<Self, Failure> {
        let settings = Settings::resolve(args.flags.clone(), args.config.as_deref())?;
        let prepared = prepare(&settings, args.level.as_deref())?;
        let folder = RunFolder::create(args.out.as_deref(), &settings.title())?;
        Self::begin(settings, prepared, folder, when)
    }

    /// Takes up the run in `path`.
    fn resume(path: &Path, args: &TrainArgs, when: When) -> Result<Self, Failure> {
        let folder = RunFolder::open(path)?;
        if let Some(name) = args.flags.given().into_iter().find(|name| name != "data") {
            let why = format!("--resume continues with the run's own settings; leave --{name} out");
            return Err(Failure::Usage(why));
        }
        let settings = Settings::resolve(args.flags.clone(), Some(&folder.file("config.toml")))?;
        let prepared = prepare(&settings, args.level.as_deref())?;
        let state = folder.file(STATE);
        if !state.is_file() {
            return Err(Failure::at(&state, "no such file: the run stopped before its first checkpoint"));
        }
        Self::take_up(settings, prepared, folder, when)
    }

    /// Begins a run in a folder of its own.
    fn begin(
        settings: Settings,
        (trainer, train, test): Prepared,
        folder: RunFolder,
        when: When,
    ) -> Result<Self, Failure> {
        folder.write("config.toml", &settings.flags.to_toml()?)?;
        print(&format!(
            "{} with {} on {} images, tested on {}; run folder {}\n",
            settings.flags.net.as_deref().unwrap_or(""),
            settings.source,
            train.set().len(),
            test.set().len(),
            folder.path().display()
        ));
        let (at, metrics, rates) = (Position::default(), Vec::new(), BTreeMap::new());
        Ok(Self { settings, folder, trainer, train, test, at, metrics, rates, when })
    }

    /// Continues from the state in the folder.
    fn take_up(
        settings: Settings,
        (mut trainer, train, test): Prepared,
        folder: RunFolder,
        when: When,
    ) -> Result<Self, Failure> {
        let state = folder.file(STATE);
        let saved = trainer.load_state(&state).map_err(Failure::input)?;
        let at = Position::load(&state, &saved)?;
        let rates = saved.get("rates").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let metrics = folder.metrics(at.epoch)?;
        folder.write_metrics(&metrics)?;
        let path = folder.path().display();
        print(&format!("resuming {path} at epoch {}, batch {}\n", at.epoch + 1, at.batch + 1));
        Ok(Self { settings, folder, trainer, train, test, at, metrics, rates, when })
    }

    /// Trains until the last epoch, `--stop-after` or Ctrl-C; true where it was the last epoch.
    fn train(&mut self) -> Result<bool, Failure> {
        let (epochs, batches) = (self.settings.epochs(), self.train.batches());
        let progress = Progress::new(epochs, batches, self.at.epoch * batches + self.at.batch);
        self.when.start(self.done());
        while self.at.epoch < epochs {
            if self.must_stop() || !self.epoch(&progress)? {
                progress.finish();
                self.stop()?;
                return Ok(false);
            }
        }
        progress.finish();
        let folder = self.folder.path().display();
        let best = 100.0 * self.at.best;
        print(&format!(
            "best test accuracy {best:.2} %; {folder} holds report.html and checkpoint.safetensors\n"
        ));
        Ok(true)
    }

    /// Epochs done, with the part of the one at work.
    fn done(&self) -> f64 {
        self.at.epoch as f64 + self.at.batch as f64 / self.train.batches() as f64
    }

    /// Tells whether to stop before the next batch.
    fn must_stop(&self) -> bool {
        interrupt::asked() || self.when.stops(self.done())
    }

    /// Trains the rest of an epoch, scores and writes; false when told to stop on the way.
    fn epoch(&mut self, progress: &Progress) -> Result<bool, Failure> {
        let (epoch, batches) = (self.at.epoch, self.train.batches());
        let mut start = Instant::now();
        for batch in self.train.epoch_from(epoch as u64, self.at.batch) {
            if self.must_stop() {
                return Ok(false);
            }
            let share = epoch as f64 + self.at.batch as f64 / batches as f64;
            let step = self
                .trainer
                .train_batch(&batch.images, &batch.labels, share)
                .map_err(|why| self.broken(&why))?;
            let at = &mut self.at;
            at.batch += 1;
            at.seconds += start.elapsed().as_secs_f64();
            start = Instant::now();
            at.images += batch.len;
            at.correct += step.correct;
            at.loss += step.loss * batch.len as f64;
            at.lr = step.lr;
            if at.batch == batches {
                self.rates = self.trainer.rates().into_iter().collect();
            }
            let images = at.images as f64;
            let (loss, accuracy) = (at.loss / images, at.correct as f64 / images);
            progress.batch((epoch + 1, at.batch, batches), loss, accuracy, images / at.seconds.max(1e-9));
            if self.at.batch < batches && self.when.is_due(self.done()) {
                self.save()?;
            }
        }
        let Some(score) = score(&mut self.trainer, &self.test, None, true)? else { return Ok(false) };
        let (at, rates) = (self.at, self.rates.clone());
        let images = at.images.max(1) as f64;
        let metrics = Metrics {
            epoch: epoch + 1,
            train_loss: at.loss / images,
            train_accuracy: at.correct as f64 / images,
            test_accuracy: score.accuracy,
            test_loss: score.loss,
            lr: at.lr,
            images_per_second: images / at.seconds.max(1e-9),
            seconds: at.seconds,
            mean_rate: rates.values().sum::<f64>() / rates.len().max(1) as f64,
            rates,
        };
        progress.epoch(&metrics);
        self.metrics.push(metrics);
        self.write_epoch(score.accuracy)?;
        Ok(true)
    }

    /// Writes everything that an epoch leaves behind; the state last, since resuming starts from it.
    fn write_epoch(&mut self, accuracy: f64) -> Result<(), Failure> {
        self.folder.write_metrics(&self.metrics)?;
        if accuracy > self.at.best || self.at.epoch == 0 {
            self.at.best = accuracy;
            self.save_weights("best.safetensors")?;
        }
        self.at.next_epoch();
        if self.when.is_due(self.done()) || self.at.epoch == self.settings.epochs() {
            self.save()?;
        }
        let report = Report { settings: &self.settings.flags, metrics: &self.metrics };
        self.folder.write("curves.svg", &report::curves(&self.metrics))?;
        self.folder.write("report.html", &report.html()?)
    }

    /// Writes the weights to a file that also holds the settings, so that it can be scored on its own.
    fn save_weights(&self, name: &str) -> Result<(), Failure> {
        let settings = BTreeMap::from([(CONFIG.to_string(), self.settings.flags.to_toml()?)]);
        self.trainer.save_weights_with(self.folder.file(name), &settings).map_err(Failure::input)
    }

    /// Writes weights and state.
    fn save(&self) -> Result<(), Failure> {
        self.save_weights("checkpoint.safetensors")?;
        let state = self.folder.file(STATE);
        let mut position = self.at.save();
        position.insert("rates".into(), json!(self.rates).to_string());
        self.trainer.save_state(&state, &position).map_err(Failure::input)
    }

    /// Writes the state and says how to go on.
    fn stop(&mut self) -> Result<(), Failure> {
        self.save()?;
        let folder = self.folder.path().display();
        let Position { epoch, batch, .. } = self.at;
        print(&format!(
            "stopped after {epoch} epochs and {batch} batches; continue with: spikegrad train --resume {folder}\n"
        ));
        Ok(())
    }

    /// Explains a step that failed, and what is left.
    fn broken(&self, why: &spikegrad::Error) -> Failure {
        let checkpoint = self.folder.file("checkpoint.safetensors");
        let left = match checkpoint.is_file() {
            true => format!("the last good checkpoint is {}", checkpoint.display()),
            false => "there is no checkpoint yet".to_string(),
        };
        Failure::Input(format!("epoch {}, batch {}: {why}; {left}", self.at.epoch + 1, self.at.batch + 1))
    }
}

/// A trainer, and its images to train and to score on.
type Prepared = (Trainer, Loader, Loader);

/// Reads the data and makes the net.
fn prepare(settings: &Settings, name: Option<&str>) -> Result<Prepared, Failure> {
    let level = level(name)?;
    let data = Dataset::load(settings)?;
    let loaders = (data.train_loader(settings)?, data.test_loader(settings)?);
    let trainer = Trainer::new(settings.train_config(data.shape()), level)?;
    print(&data.note);
    Ok((trainer, loaders.0, loaders.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_come_back() {
        let at = Position {
            epoch: 3,
            batch: 7,
            best: 0.1 + 0.2,
            loss: 1.0 / 3.0,
            lr: 1e-7,
            ..Position::default()
        };
        assert_eq!(Position::load(Path::new("x"), &at.save()), Ok(at));
        assert!(Position::load(Path::new("x"), &BTreeMap::new()).is_err());
    }
}
