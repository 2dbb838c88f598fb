//! Folders of recordings: which files belong to which class, and which are for training.
//!
//! | layout | training and test |
//! |---|---|
//! | `Train/CLASS/…` and `Test/CLASS/…` (N-MNIST; what `film` writes) | as the folders say |
//! | `CLASS/…` (CIFAR10-DVS) | of each class, in an order shuffled by a fixed seed, the first ⌈0.9·n⌉ train |
//!
//! Both parts hold the classes' recordings in turn, so that every beginning is balanced.

use super::motion::Scene;
use super::{Events, Recording, Sensor, read};
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
    /// Where the events are.
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
    /// The sensor of all recordings, where the data set has one.
    pub sensor: Option<Sensor>,
    /// How training and test are told apart, in words.
    pub rule: &'static str,
}

impl Sample {
    /// Reads the recording and sorts it; `sensor` is what it must fit, if that is known. Tells how many events were out of
    /// order.
    ///
    /// Errors: any of [`read`]; an event outside the sensor.
    pub fn read(&self, sensor: Option<Sensor>) -> Result<(Events, usize), DataError> {
        let path = match &self.origin {
            Origin::Memory(events) => return Ok((Events::clone(events), 0)),
            Origin::Scene(scene) => return Ok((scene.film(), 0)),
            Origin::File(path) => path,
        };
        let Recording { mut events, .. } = read(path)?;
        if let Some(sensor) = sensor {
            events.sensor = sensor;
            events.check().map_err(|why| DataError::Recording {
                path: path.clone(),
                offset: 0,
                what: why.to_string(),
            })?;
        }
        let disorder = events.disorder();
        events.sort();
        Ok((events, disorder))
    }
}

/// Lists the recordings below `directory`, whose sensor may be known.
///
/// Errors: a folder that cannot be read, no classes or only one, a class without recordings, test classes other than the
/// training's.
pub fn list(directory: &Path, sensor: Option<Sensor>) -> Result<EventSplit, DataError> {
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
    Ok(EventSplit { train: in_turn(train), test: in_turn(test), class_names, sensor, rule })
}

/// Splits a class's files: the first ⌈0.9·n⌉ of a shuffled order, and the rest.
fn split(class: usize, mut files: Vec<PathBuf>) -> (Vec<PathBuf>, Vec<PathBuf>) {
    Rng::keyed(&[SPLIT_STREAM, class as u64]).shuffle(&mut files);
    let test = files.split_off((9 * files.len()).div_ceil(10));
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
        names.push(folder.file_name().unwrap_or_default().to_string_lossy().into_owned());
        files.push(found);
    }
    Ok((names, files))
}

/// Lists the folders, or the files, in a folder, by name; names that begin with a dot are left out.
fn entries(directory: &Path, folders: bool) -> Result<Vec<PathBuf>, DataError> {
    let io = |source| DataError::Io { path: directory.to_path_buf(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && path.is_dir() == folders {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
