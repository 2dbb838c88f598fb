//! Folders of recordings: which files belong to which class, and which are for training.
//!
//! | layout | training and test |
//! |---|---|
//! | `Train/CLASS/…` and `Test/CLASS/…` (N-MNIST; what `film` writes) | as the folders say |
//! | `CLASS/…` (CIFAR10-DVS) | of each class, in an order shuffled by a fixed seed, the first ⌈0.9·n⌉ train, but at most n − 1 |
//!
//! A class's folder holds recordings alone: another entry is an error that names it, but for names that begin with a dot
//! (`.DS_Store`), which are passed over. Files beside the classes' folders are no part of the set.
//!
//! Both parts hold the classes' recordings in turn, so that every beginning is balanced.

use super::motion::Scene;
use super::reader::identify;
use super::{Axes, Events, ReadOptions, Sensor, five_byte};
use crate::error::DataError;
use crate::rng::Rng;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Key and seed of the split's random streams.
const SPLIT_STREAM: u64 = 0x0073_706c_6974;
/// The rules, in words.
const BY_FOLDERS: &str = "the folders Train and Test";
const BY_NINTHS: &str = "nine tenths of each class train, the rest tests, shuffled by a fixed seed";

/// Names a recording of a data set, and its class.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The class.
    pub label: u16,
    /// The folder or file that holds the events.
    pub origin: Origin,
}

/// Says where a recording is.
#[derive(Clone, Debug)]
pub enum Origin {
    /// In a file.
    File(PathBuf),
    /// In memory.
    Memory(Arc<Events>),
    /// Nowhere yet: the program films it.
    Scene(Scene),
}

/// Lists a data set of recordings, none of them read.
#[derive(Clone, Debug)]
pub struct EventSplit {
    /// The recordings to train on.
    pub train: Vec<Sample>,
    /// The recordings to score on.
    pub test: Vec<Sample>,
    /// The classes' names, in label order.
    pub class_names: Vec<String>,
    /// The options with which recordings are read.
    pub fit: Fit,
    /// The rule that tells training and test recordings apart, in words.
    pub rule: &'static str,
}

/// Says how the recordings of a data set are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// The sensor of all recordings; none: each recording's own.
    pub sensor: Option<Sensor>,
    /// Whether an event outside that sensor is an error; else it is left out and counted.
    pub strict: bool,
    /// The stream of events that is read; none: the first of each recording.
    pub stream: Option<u32>,
    /// The orientation of a DVS128's AEDAT 2.0 recordings.
    pub axes: Axes,
}

/// Counts the remarks on recordings that were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Recordings out of order, which have been sorted.
    pub disordered: u64,
    /// Events outside the sensor, which have been left out.
    pub outside: u64,
    /// The other contents of the recordings, which were left out: triggers, frames, changes without a time, other streams.
    pub left_out: u64,
}

impl Tally {
    /// Adds another count.
    pub fn add(&mut self, other: Self) {
        self.disordered += other.disordered;
        self.outside += other.outside;
        self.left_out += other.left_out;
    }
}

impl Sample {
    /// Reads the recording, puts it on the sensor and sorts it.
    ///
    /// Errors: any of [`ReadOptions::read`]; an event outside the sensor, where `fit` is strict.
    pub fn read(&self, fit: &Fit) -> Result<(Events, Tally), DataError> {
        let path = match &self.origin {
            Origin::Memory(events) => return Ok((Events::clone(events), Tally::default())),
            Origin::Scene(scene) => return Ok((scene.film(), Tally::default())),
            Origin::File(path) => path,
        };
        let options = ReadOptions { stream: fit.stream, camera: fit.sensor, axes: fit.axes };
        let recording = options.read(path)?;
        let mut events = recording.events;
        let mut tally = Tally::default();
        if let Some(sensor) = fit.sensor {
            if fit.strict {
                events.sensor = sensor;
                events.check().map_err(|why| DataError::Recording {
                    path: path.clone(),
                    offset: 0,
                    what: why.to_string(),
                })?;
            }
            tally.outside = events.fit(sensor) as u64;
        }
        let is_lost = |what: &str| what != five_byte::OVERFLOWS;
        tally.left_out =
            recording.skipped.iter().filter(|skipped| is_lost(skipped.what)).map(|s| s.count).sum();
        tally.disordered = u64::from(events.disorder() > 0);
        events.sort();
        Ok((events, tally))
    }
}

/// Lists the recordings below `directory`, which are read as `fit` says.
///
/// Errors: a folder that cannot be read, no classes or only one, a class without recordings or with something else, test
/// classes other than the training's.
pub fn list(directory: &Path, fit: Fit) -> Result<EventSplit, DataError> {
    let folders = entries(directory, true)?;
    let part = |name: &str| {
        folders.iter().find(|path| path.file_name().is_some_and(|found| found.eq_ignore_ascii_case(name)))
    };
    let (train, test, class_names, rule) = match (part("train"), part("test")) {
        (Some(train), Some(test)) => {
            let (names, train_files) = classes(train)?;
            let (test_names, test_files) = classes(test)?;
            if names != test_names {
                let (first, second) = (train.clone(), test.clone());
                let what = "classes (and of the same names)";
                let (first_found, second_found) = (names.len(), test_names.len());
                return Err(DataError::Disagree { first, second, what, first_found, second_found });
            }
            (train_files, test_files, names, BY_FOLDERS)
        }
        _ => {
            let (names, files) = classes(directory)?;
            let (train, test) =
                files.into_iter().enumerate().map(|(class, files)| split(class, files)).unzip();
            (train, test, names, BY_NINTHS)
        }
    };
    Ok(EventSplit { train: in_turn(train), test: in_turn(test), class_names, fit, rule })
}

/// Splits a class's files: the first ⌈0.9·n⌉ of a shuffled order, and the rest, at least one where there are two.
fn split(class: usize, mut files: Vec<PathBuf>) -> (Vec<PathBuf>, Vec<PathBuf>) {
    Rng::keyed(&[SPLIT_STREAM, class as u64]).shuffle(&mut files);
    let most = files.len().saturating_sub(1).max(1);
    let test = files.split_off((9 * files.len()).div_ceil(10).min(most));
    (files, test)
}

/// Puts the classes' files into one list: the first of each class, the second of each, …
fn in_turn(classes: Vec<Vec<PathBuf>>) -> Vec<Sample> {
    let longest = classes.iter().map(Vec::len).max().unwrap_or(0);
    let mut samples = Vec::new();
    for k in 0..longest {
        for (class, files) in classes.iter().enumerate() {
            if let Some(path) = files.get(k) {
                samples.push(Sample { label: class as u16, origin: Origin::File(path.clone()) });
            }
        }
    }
    samples
}

/// Lists the folders of a folder, one a class, by name, and the files in each, by name.
fn classes(directory: &Path) -> Result<(Vec<String>, Vec<Vec<PathBuf>>), DataError> {
    let folders = entries(directory, true)?;
    if folders.len() < 2 {
        return Err(DataError::Missing {
            directory: directory.to_path_buf(),
            expected: vec!["a folder for each of two classes, or the folders Train and Test".into()],
            entries: folders.len(),
        });
    }
    if folders.len() > usize::from(u16::MAX) {
        let (path, found, limit) = (directory.to_path_buf(), folders.len() as u64, u16::MAX.into());
        return Err(DataError::TooLarge { path, what: "class folders", found, limit });
    }
    let (mut names, mut files) = (Vec::new(), Vec::new());
    for folder in folders {
        let found = entries(&folder, false)?;
        if found.is_empty() {
            return Err(DataError::Empty { path: folder, expected: "a recording of the class" });
        }
        for path in &found {
            identify(path)?;
        }
        names.push(folder.file_name().unwrap_or_default().to_string_lossy().into_owned());
        files.push(found);
    }
    Ok((names, files))
}

/// Lists the entries of a folder, or the folders alone, by name; names that begin with a dot are left out.
fn entries(directory: &Path, folders: bool) -> Result<Vec<PathBuf>, DataError> {
    let io = |source| DataError::Io { path: directory.to_path_buf(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && (!folders || path.is_dir()) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
