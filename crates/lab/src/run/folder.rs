//! The folder of a run: what is in it, and the rule that nothing in it is ever overwritten by another run.
//!
//! | file | holds |
//! |---|---|
//! | `config.toml` | the resolved settings |
//! | `metrics.jsonl` | one object per epoch |
//! | `checkpoint.safetensors` | weights and running statistics after the last epoch, and the resolved settings |
//! | `best.safetensors` | the same, after the best epoch |
//! | `state.safetensors` | everything that resuming needs ([`super::RunState`]) |
//! | `curves.svg`, `report.html` | for people |
//! | `.lock` | nothing: whoever trains here has it locked |
//!
//! Commands that only look at a run take no lock and write nothing: the trainer replaces its files as a whole.

use crate::files;
use crate::settings::RunConfig;
use crate::{Error, Result};
use spikegrad::models::durable::{is_part_of, sweep};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The resolved settings.
pub const SETTINGS: &str = "config.toml";
/// One object per epoch.
pub const METRICS: &str = "metrics.jsonl";
/// Everything that resuming needs.
pub const STATE: &str = "state.safetensors";
/// The weights after the last epoch.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// The weights after the best epoch.
pub const BEST: &str = "best.safetensors";
/// The file that is locked.
const LOCK: &str = ".lock";

/// Files that the program writes into folders that it has locked; a killed process may leave temporary ones.
const OWN: [&str; 11] = [
    SETTINGS,
    METRICS,
    STATE,
    CHECKPOINT,
    BEST,
    "curves.svg",
    "report.html",
    "result.json",
    "trace.csv",
    "layers.csv",
    "trace.html",
];

/// A run's folder, held by one trainer at a time.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Locked as long as it is open; the system unlocks it when a process ends, however it ends.
    _lock: File,
}

impl RunFolder {
    /// Makes a new folder: `out`, or the next free `runs/<title>-<n>`. An `out` with nothing but the leftovers of a
    /// start that never came to a checkpoint counts as empty.
    ///
    /// # Errors
    /// `out` is a file or a folder that is not empty; the file system refuses.
    pub fn create(out: Option<&Path>, title: &str) -> Result<Self> {
        if let Some(out) = out {
            if out.exists() && !out.is_dir() {
                return Err(Error::at(out, "exists and is not a folder; --out wants a new or empty one"));
            }
            fs::create_dir_all(out).map_err(|why| Error::at(out, why))?;
            if !is_vacant(out)? {
                let why = "exists and is not empty; choose another --out, or continue the run with --resume";
                return Err(Error::at(out, why));
            }
            return Self::hold(out);
        }
        let runs = Path::new("runs");
        fs::create_dir_all(runs).map_err(|why| Error::at(runs, why))?;
        for n in 1.. {
            let path = runs.join(format!("{title}-{n}"));
            match fs::create_dir(&path) {
                Ok(()) => return Self::hold(&path),
                Err(why) if why.kind() == ErrorKind::AlreadyExists => {}
                Err(why) => return Err(Error::at(&path, why)),
            }
        }
        Err(Error::at(runs, "no number is free"))
    }

    /// Takes `path`, new or begun, for the run with these settings.
    ///
    /// # Errors
    /// It holds a run with other settings, but for where the data lie; the file system refuses.
    pub fn claim(path: &Path, settings: &RunConfig) -> Result<Self> {
        fs::create_dir_all(path).map_err(|why| Error::at(path, why))?;
        let folder = Self::hold(path)?;
        let config = folder.file(SETTINGS);
        if config.is_file() {
            let there = RunConfig::read(&config)?;
            // Where no sensor is given, the one there was found in the data.
            let sensor = settings.sensor.and(there.sensor);
            let there = RunConfig { data: settings.data.clone(), sensor, ..there };
            if there != *settings {
                return Err(Error::at(
                    &config,
                    "holds other settings than this run's; choose another folder",
                ));
            }
        }
        Ok(folder)
    }

    /// Opens a run's folder to train in it.
    ///
    /// # Errors
    /// No such folder, or none of a run; a trainer is at work in it.
    pub fn open(path: &Path) -> Result<Self> {
        check_is_run(path)?;
        Self::hold(path)
    }

    /// Takes the folder for this process alone, and removes what a killed one left half written.
    fn hold(path: &Path) -> Result<Self> {
        let at = path.join(LOCK);
        if fs::symlink_metadata(&at).is_ok_and(|there| !there.is_file()) {
            return Err(Error::at(&at, "is no plain file, so it cannot be this folder's lock; remove it"));
        }
        let mut options = OpenOptions::new();
        let lock = options.read(true).write(true).create(true).truncate(false).open(&at);
        let lock = lock.map_err(|why| Error::at(&at, why))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::at(path, "another trainer is at work in this folder; stop it first"));
            }
            Err(TryLockError::Error(why)) => {
                return Err(Error::at(&at, format!("cannot be locked: {why}")));
            }
        }
        sweep(path, &OWN).map_err(|why| Error::at(path, why))?;
        Ok(Self { path: path.to_path_buf(), _lock: lock })
    }

    /// Gives a folder up in which nothing has been trained: what a start left there is removed, and the folder if
    /// nothing else is in it.
    pub fn give_up(self) {
        for name in [SETTINGS, LOCK] {
            let _ = fs::remove_file(self.file(name));
        }
        let _ = fs::remove_dir(&self.path);
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
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        files::write(&self.file(name), text)
    }
}

/// Checks that `path` is the folder of a run.
///
/// # Errors
/// No such folder, or none with a `config.toml`.
pub fn check_is_run(path: &Path) -> Result<()> {
    if !path.is_dir() {
        return Err(Error::at(path, "no such run folder"));
    }
    if !path.join(SETTINGS).is_file() {
        return Err(Error::at(path, format!("is not a run folder: it has no {SETTINGS}")));
    }
    Ok(())
}

/// Tells whether a folder is empty, or holds nothing but what a start left that never came to a checkpoint: the lock,
/// and perhaps settings and temporary files. Without the lock, a `config.toml` is somebody else's.
///
/// # Errors
/// The folder cannot be read.
pub fn is_vacant(folder: &Path) -> Result<bool> {
    let refused = |why| Error::at(folder, why);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(refused)? {
        names.push(entry.map_err(refused)?.file_name());
    }
    let is_leftover = |name: &std::ffi::OsString| {
        name == LOCK || name == SETTINGS || name.to_str().is_some_and(|name| is_part_of(name, &OWN))
    };
    Ok(names.is_empty() || names.iter().any(|name| name == LOCK) && names.iter().all(is_leftover))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_of_a_start_make_room_and_nothing_else_does() {
        let vacant = |names: &[&str]| {
            let folder = tempfile::tempdir().unwrap();
            names.iter().for_each(|name| fs::write(folder.path().join(name), b"x").unwrap());
            is_vacant(folder.path()).unwrap()
        };
        assert!(vacant(&[]));
        assert!(vacant(&[".lock"]));
        assert!(vacant(&[".lock", "config.toml", "state.safetensors.123.part"]));
        assert!(!vacant(&["config.toml"]), "without a lock they are a user's settings");
        for name in ["state.safetensors", "metrics.jsonl", "mine.123.part", "notes.txt", "best.safetensors"] {
            assert!(!vacant(&[".lock", "config.toml", name]), "{name}");
        }
    }
}
