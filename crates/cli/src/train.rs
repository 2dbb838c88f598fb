//! `spikegrad train`: a new run, or the rest of an old one ([`crate::resume`]).

use crate::dataset::Dataset;
use crate::escape::shell_path;
use crate::failure::Failure;
use crate::files::print;
use crate::flags::Flags;
use crate::identity::DataIdentity;
use crate::interrupt;
use crate::metrics::{self, Metrics};
use crate::outputs::JsonTarget;
use crate::progress::Progress;
use crate::provenance::Provenance;
use crate::report::{self, Report};
use crate::run_folder::{BEST, CHECKPOINT, METRICS, RunFolder, SETTINGS, STATE};
use crate::run_state::{DATA_CHECKSUM, LastScore, Position, RunState};
use crate::score::{Score, score};
use crate::settings::{CONFIG, Settings, level};
use crate::when::When;
use clap::Args;
use serde_json::json;
use spikegrad::Trainer;
use spikegrad::data::{Batch, Loader};
use spikegrad::models::Lanczos;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

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

/// A run in the making.
pub struct Run {
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
}

/// Trains.
///
/// # Errors
/// Wrong settings, bad data, a folder in use, numbers that are no longer finite; a signal, after the state was written.
pub fn run(args: TrainArgs) -> Result<(), Failure> {
    let when = When::of(args.stop_after, args.checkpoint_every.as_deref())?;
    let json = JsonTarget::claim(args.json.as_deref())?;
    json.is_apart_from(args.out.as_deref().as_slice())?;
    interrupt::listen()?;
    let level = args.level.as_deref();
    let mut run = match &args.resume {
        Some(folder) => Run::resume(folder, &args.flags, level, when)?,
        None => {
            let settings = Settings::resolve(args.flags.clone(), args.config.as_deref())?;
            Run::start(settings, args.out.as_deref(), level, when)?
        }
    };
    let ended = run.train()?;
    if ended {
        run.say_what_next();
    }
    let figures = json!({
        "run": run.folder.path().display().to_string(),
        "best_accuracy": run.at.best_accuracy,
        "last": run.metrics.last(),
    });
    json.write(&figures)?;
    if !ended && interrupt::asked() { Err(interrupt::stopped()) } else { Ok(()) }
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
    level: Option<&str>,
) -> Result<Option<Finished>, Failure> {
    let prepared = Prepared::new(settings, level)?;
    let when = When::default();
    let mut run = match folder.file(STATE).is_file() {
        true => Run::take_up(prepared, folder, when)?,
        false => Run::begin(prepared, folder, when)?,
    };
    let ended = run.train()?;
    let Run { trainer, train, test, metrics, .. } = run;
    Ok(ended.then_some(Finished { trainer, train, test, metrics }))
}

impl Run {
    /// Starts a new run. The folder is made last, when nothing can be wrong with the settings any more.
    fn start(
        settings: Settings,
        out: Option<&std::path::Path>,
        level: Option<&str>,
        when: When,
    ) -> Result<Self, Failure> {
        let prepared = Prepared::new(settings, level)?;
        let folder = RunFolder::create(out, &prepared.settings.title())?;
        Self::begin(prepared, folder, when)
    }

    /// Begins a run in a folder of its own.
    fn begin(prepared: Prepared, folder: RunFolder, when: When) -> Result<Self, Failure> {
        let toml = prepared.settings.flags.to_toml()?;
        if let Err(why) = folder.write(SETTINGS, &toml) {
            folder.give_up();
            return Err(why);
        }
        let Prepared { settings, trainer, train, test, data } = prepared;
        print(&format!(
            "{} with {} on {} images, scored on {} {} images; run folder {}\n",
            settings.flags.net.as_deref().unwrap_or(""),
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
        })
    }

    /// Trains until the last epoch, `--stop-after` or a signal; true where it was the last epoch.
    fn train(&mut self) -> Result<bool, Failure> {
        let (epochs, batches) = (self.settings.epochs(), self.train.batches());
        let progress = Progress::new(&self.settings, batches, self.at.epoch * batches + self.at.batch);
        self.when.start(self.done());
        while self.at.epoch < epochs {
            if self.must_stop() || !self.epoch(&progress)? {
                progress.finish();
                self.stop()?;
                return Ok(false);
            }
        }
        progress.finish();
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
        let batches = self.train.batches();
        let mut start = Instant::now();
        for batch in self.train.epoch_from(self.at.epoch as u64, self.at.batch) {
            if self.must_stop() {
                return Ok(false);
            }
            self.batch(&batch)?;
            self.at.seconds += start.elapsed().as_secs_f64();
            start = Instant::now();
            progress.batch(&self.at, batches);
            if self.at.batch < batches && self.when.is_due(self.done()) {
                self.save()?;
            }
        }
        let scored = score(&mut self.trainer, &self.test, None, true);
        let Some(score) = scored.map_err(|why| self.broken(&why))? else { return Ok(false) };
        let metrics = self.metrics_with(&score);
        if let Some(figure) = metrics.not_finite() {
            return Err(self.broken(&format!("{figure} is not finite")));
        }
        progress.epoch(&metrics);
        self.metrics.push(metrics);
        let Score { accuracy, confusion, answers, .. } = score;
        self.scored = Some(LastScore { confusion, answers });
        self.write_epoch(accuracy)?;
        Ok(true)
    }

    /// Learns a batch and adds to the epoch's sums.
    fn batch(&mut self, batch: &Batch) -> Result<(), Failure> {
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
    fn write_epoch(&mut self, accuracy: f64) -> Result<(), Failure> {
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
    pub fn write_pages(&self) -> Result<(), Failure> {
        let report = Report {
            settings: &self.settings,
            metrics: &self.metrics,
            scored: self.scored.as_ref(),
            test: self.test.set(),
            provenance: &Provenance::of_this_process(self.trainer.level()),
            folder: self.folder.path(),
        };
        self.folder.write("curves.svg", &report::curves(&report))?;
        self.folder.write("report.html", &report.html()?)
    }

    /// Writes the weights to a file that also holds the settings, so that it can be scored on its own, the epoch, and the
    /// checksum of the data's identity.
    pub fn save_weights(&self, name: &str) -> Result<(), Failure> {
        let settings = self.settings.flags.to_toml()?;
        let (epoch, data) = (self.at.epoch.to_string(), self.data.checksum()?);
        let entries = [(CONFIG, settings), ("epoch", epoch), (DATA_CHECKSUM, data)];
        let entries = entries.map(|(key, text)| (key.to_string(), text)).into();
        self.trainer.save_weights_with(self.folder.file(name), &entries).map_err(Failure::input)
    }

    /// What the state says beside the trainer's numbers.
    pub fn state(&self) -> RunState {
        RunState {
            settings: self.settings.flags.clone(),
            data: self.data.clone(),
            at: self.at,
            rates: self.rates.clone(),
            metrics: self.metrics.clone(),
            scored: self.scored.clone(),
        }
    }

    /// Writes state and weights; the state first, since the weights can be made from it.
    pub fn save(&self) -> Result<(), Failure> {
        let entries = self.state().entries()?;
        self.trainer.save_state(self.folder.file(STATE), &entries).map_err(Failure::input)?;
        self.save_weights(CHECKPOINT)
    }

    /// Writes the state and says how to go on.
    fn stop(&mut self) -> Result<(), Failure> {
        self.save()?;
        let folder = shell_path(self.folder.path());
        let Position { epoch, batch, .. } = self.at;
        print(&format!(
            "stopped after {epoch} epochs and {batch} batches; continue with: spikegrad train --resume {folder}\n"
        ));
        Ok(())
    }

    /// Explains why training cannot go on, and names the last file that can be loaded.
    fn broken(&self, why: &impl std::fmt::Display) -> Failure {
        let can_be_loaded = |name: &&str| spikegrad::files::extra(self.folder.file(name)).is_ok();
        let left = match [CHECKPOINT, BEST].into_iter().find(can_be_loaded) {
            Some(name) => format!("the last good checkpoint is {}", self.folder.file(name).display()),
            None => {
                let folder = shell_path(self.folder.path());
                format!("there is no checkpoint yet; --out {folder} can be used again")
            }
        };
        Failure::Input(format!("epoch {}, batch {}: {why}; {left}", self.at.epoch + 1, self.at.batch + 1))
    }

    /// Tells what a finished run reached, what its layers are like, and what to do with it.
    fn say_what_next(&self) {
        let Position { best_accuracy, best_epoch, .. } = self.at;
        let (scored, best) = (self.settings.scored_on(), 100.0 * best_accuracy);
        print(&format!(
            "best accuracy {best:.2} % in epoch {best_epoch}, chosen on the same {scored} images that give the figure\n"
        ));
        if self.trainer.config().beta > 0.0 {
            print(&lipschitz_constants(&self.trainer));
        }
        let (page, folder) = (shell_path(&self.folder.file("report.html")), shell_path(self.folder.path()));
        print(&format!("next: open {page}; spikegrad eval {folder} --best; spikegrad doctor {folder}\n"));
    }
}

/// Tells what the Lipschitz term is about: the largest singular value of each layer, batch norm included.
fn lipschitz_constants(trainer: &Trainer) -> String {
    let constants = trainer.net().lipschitz_constants(&Lanczos::default());
    let Some(largest) = constants.iter().max_by(|a, b| a.sigma.total_cmp(&b.sigma)) else {
        return String::new();
    };
    let values: Vec<String> = constants.iter().map(|c| format!("{} {}", c.layer, c.shown())).collect();
    format!(
        "Lipschitz constants, which --beta holds down: the most by which each layer, its batch norm included, lets a \
         change grow. Largest {} ({}); all: {}\n",
        largest.shown(),
        largest.layer,
        values.join(", ")
    )
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
    pub fn new(mut settings: Settings, name: Option<&str>) -> Result<Self, Failure> {
        let level = level(name)?;
        let data = Dataset::load(&settings)?;
        data.settle(&mut settings);
        let (train, test) = (data.train_loader(&settings)?, data.test_loader(&settings)?);
        let trainer = Trainer::new(settings.train_config(data.shape()), level)?;
        trainer.config().warnings().iter().for_each(|line| print(&format!("note: {line}\n")));
        print(&(data.note.clone() + &data.rest(&settings)));
        let identity = DataIdentity::of(&settings.source, &data);
        Ok(Self { settings, trainer, train, test, data: identity })
    }
}
