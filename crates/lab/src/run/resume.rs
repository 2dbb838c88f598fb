//! Taking a run up where it stopped: everything in its folder is checked against its state first.
//!
//! | what differs from the state | what happens |
//! |---|---|
//! | a setting in `config.toml` | refused, setting by setting |
//! | the data | refused, with what differs |
//! | `metrics.jsonl` | told, and written anew |
//! | `checkpoint.safetensors`, the pages | written anew |
//! | `best.safetensors` | told; written anew where the state is of the best epoch, else chosen anew |

use super::folder::{BEST, CHECKPOINT, METRICS, RunFolder, SETTINGS, STATE, is_vacant};
use super::identity::settings_that_differ;
use super::metrics;
use super::state::{DATA_CHECKSUM, Position, RunState};
use super::{Prepared, Run, When};
use crate::files;
use crate::monitor::{Monitor, Silent};
use crate::settings::{self, CONFIG, RunConfig, Settings, defaults};
use crate::{Error, Result};
use spikegrad::files::extra_of_bytes;
use spikegrad::tensor::Level;
use spikegrad_report::escape::shell_path;
use std::io::ErrorKind;
use std::path::Path;

/// Settings that may be given with `--resume`: places, where the same things may lie elsewhere now.
const PLACES: [&str; 2] = ["data", "cache"];

impl<'m> Run<'m> {
    /// Takes up the run in `path`; the settings `given` may move its data and its cache.
    ///
    /// # Errors
    /// A folder that is none of a run or in use, other flags, settings or data other than the run's, a damaged state.
    pub fn resume(
        path: &Path,
        given: &RunConfig,
        level: Level,
        when: When,
        monitor: &'m dyn Monitor,
    ) -> Result<Self> {
        if let Some(name) = given.given().into_iter().find(|name| !PLACES.contains(&&name[..])) {
            let why = format!("--resume continues with the run's own settings; leave --{name} out");
            return Err(Error::setting(why));
        }
        let folder = RunFolder::open(path)?;
        let state = folder.file(STATE);
        if !state.is_file() {
            let out = shell_path(path);
            let next = match is_vacant(path)? {
                true => format!("train --out {out} begins it anew there"),
                false => "delete the folder, or begin anew in another".into(),
            };
            let why = format!("no such file: the run stopped before its first checkpoint; {next}");
            return Err(Error::at(&state, why));
        }
        let settings = Settings::resolve(given.clone(), Some(&folder.file(SETTINGS)))?;
        // The settings are compared before the data are read, which may take long; and again with all in place.
        check_settings(&settings, &RunState::read(&state)?, &folder)?;
        let settings = trusted(settings, given, monitor);
        Self::take_up(Prepared::new(settings, level, monitor)?, folder, when, monitor)
    }

    /// Continues from the state in the folder.
    ///
    /// # Errors
    /// A damaged state, settings or data other than the run's; the file system refuses.
    pub fn take_up(
        prepared: Prepared,
        folder: RunFolder,
        when: When,
        monitor: &'m dyn Monitor,
    ) -> Result<Self> {
        let Prepared { settings, mut trainer, train, test, data } = prepared;
        let state = folder.file(STATE);
        let saved = RunState::read(&state)?;
        check_settings(&settings, &saved, &folder)?;
        let differences = data.differences(&saved.data);
        if !differences.is_empty() {
            let why = format!("these are not the data that the run began with: {}", differences.join("; "));
            return Err(Error::input(format!("{}: {why}", settings.source)));
        }
        trainer.load_state(&state)?;
        let RunState { at, rates, metrics, scored, .. } = saved;
        let told = Vec::new();
        let mut run = Self {
            settings,
            folder,
            trainer,
            train,
            test,
            data,
            at,
            metrics,
            scored,
            rates,
            when,
            told,
            monitor,
        };
        run.mend()?;
        run.told.iter().for_each(|line| monitor.say(&format!("{line}\n")));
        let Position { epoch, batch, .. } = run.at;
        let path = run.folder.path().display();
        monitor.say(&format!(
            "resuming {path} at epoch {}, batch {}, on {}\n",
            epoch + 1,
            batch + 1,
            run.settings.source
        ));
        Ok(run)
    }

    /// Makes the folder's other files agree with the state again, and notes what was wrong with them.
    fn mend(&mut self) -> Result<()> {
        self.folder.write(SETTINGS, &self.settings.config.to_toml()?)?;
        let path = self.folder.file(METRICS);
        if let Some(why) = metrics::damage(&metrics::read_text(&path)?, &self.metrics, &path) {
            self.told.push(format!("{why}; it is written anew from the state"));
        }
        self.folder.write(METRICS, &metrics::to_text(&self.metrics)?)?;
        if let Some(why) = self.damage_of_best()? {
            self.mend_best(&why)?;
        }
        self.save_weights(CHECKPOINT)?;
        if self.metrics.is_empty() { Ok(()) } else { self.write_pages() }
    }

    /// Says what is wrong with `best.safetensors`. One of a later epoch than the state's was written by a process that
    /// was killed before its next state, and will be written again.
    ///
    /// # Errors
    /// The file is there but cannot be read now: that is no damage yet.
    fn damage_of_best(&self) -> Result<Option<String>> {
        if self.at.best_epoch == 0 {
            return Ok(None);
        }
        let path = self.folder.file(BEST);
        let name = path.display();
        let bytes = match files::read(&path) {
            Ok(bytes) => bytes,
            Err(why) if why.kind() == ErrorKind::NotFound => return Ok(Some(format!("{name}: is missing"))),
            Err(why) => return Err(Error::at(&path, why)),
        };
        let entries = match extra_of_bytes(&path, bytes) {
            Ok(entries) => entries,
            Err(why) => return Ok(Some(why.to_string())),
        };
        let settings =
            entries.get(CONFIG).and_then(|text| RunConfig::parse(text, &path).ok()).unwrap_or_default();
        let differences = settings_that_differ(&settings, &self.settings.config)?;
        if !differences.is_empty() {
            return Ok(Some(format!("{name}: is of another run: {}", differences.join("; "))));
        }
        if entries.get(DATA_CHECKSUM) != Some(&self.data.checksum()?) {
            return Ok(Some(format!("{name}: is of a run on other data")));
        }
        let epoch = entries.get("epoch").and_then(|epoch| epoch.parse::<usize>().ok());
        Ok(match epoch {
            Some(epoch) if epoch == self.at.best_epoch || epoch > self.at.epoch => None,
            Some(epoch) => Some(format!("{name}: is of epoch {epoch}, the best is {}", self.at.best_epoch)),
            None => Some(format!("{name}: says no epoch")),
        })
    }

    fn mend_best(&mut self, why: &str) -> Result<()> {
        if (self.at.best_epoch, 0) == (self.at.epoch, self.at.batch) {
            self.told.push(format!("{why}; it is written anew from the state"));
            return self.save_weights(BEST);
        }
        let (epoch, accuracy) = (self.at.best_epoch, 100.0 * self.at.best_accuracy);
        self.told.push(format!(
            "{why}; the weights of epoch {epoch} ({accuracy:.2} %) are lost, the best are chosen anew from here"
        ));
        (self.at.best_epoch, self.at.best_accuracy) = (0, 0.0);
        Ok(())
    }
}

/// Keeps frames where the user says by flag, or where the program does by default, but not where only a file of the run
/// folder says.
fn trusted(settings: Settings, given: &RunConfig, monitor: &dyn Monitor) -> Settings {
    let own = defaults::of(&settings.source).cache;
    match &settings.config.cache {
        Some(cache) if given.cache.is_none() && settings.config.cache != own && cache != "none" => {
            monitor.say(&format!(
                "frames are not kept in {cache}, which the run folder names; --cache {cache} would\n"
            ));
            settings.without_cache()
        }
        _ => settings,
    }
}

/// Checks that settings are those that the run began with.
fn check_settings(settings: &Settings, saved: &RunState, folder: &RunFolder) -> Result<()> {
    let differences = settings_that_differ(&settings.config, &saved.settings)?;
    match differences.is_empty() {
        true => Ok(()),
        false => {
            let why = format!("{}; restore that, or start another run", differences.join("; "));
            Err(Error::at(&folder.file(SETTINGS), why))
        }
    }
}

/// Takes up the run in `folder`, and gives the state as it would be saved now and what was told of damage: what a
/// change to any file of the folder has come to. Nothing is trained; files that can be mended are.
///
/// # Errors
/// All that taking a run up can end with.
pub fn taken_up(folder: &Path) -> Result<(Vec<u8>, Vec<String>)> {
    let level = settings::level(None)?;
    let run = Run::resume(folder, &RunConfig::default(), level, When::default(), &Silent)?;
    run.save()?;
    let state = run.folder.file(STATE);
    let bytes = std::fs::read(&state).map_err(|why| Error::at(&state, why))?;
    Ok((bytes, run.told))
}
