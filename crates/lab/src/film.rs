//! Filming: an image data set becomes recordings of events, filmed by a simulated camera.
//!
//! The folder written is one that `nmnist:DIR`, `cifar10dvs:DIR` and `events:DIR` read: `Train/CLASS/NNNNN.END`,
//! `Test/CLASS/NNNNN.END`, and `film.toml`, which says how it was made.

use crate::files::write;
use crate::monitor::Monitor;
use crate::settings::names::UnknownName;
use crate::{Error, Result};
use spikegrad::data::events::{Camera, Events, FilmConfig, aedat2, dat, evt2, five_byte};
use spikegrad::data::{DataError, ImageSet, Source};
use spikegrad::tensor::Workers;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Mutex;

/// Images filmed between two lines of progress.
const CHUNK: usize = 250;
/// Random streams of training and test images.
const STREAMS: [u64; 2] = [0x0074_7261_696e, 0x7465_7374];

/// How a data set is filmed.
#[derive(Clone, Debug)]
pub struct FilmPlan {
    /// The images.
    pub source: Source,
    /// Folder to write, new or empty.
    pub out: PathBuf,
    /// How recordings are written.
    pub format: Format,
    /// Training images to film; none: all.
    pub limit: Option<usize>,
    /// Test images to film; none: all.
    pub test_limit: Option<usize>,
    /// Rows and columns of the camera.
    pub size: usize,
    /// How often the image goes round its closed way.
    pub loops: usize,
    /// Milliseconds of each of the four legs of the way.
    pub leg_ms: u64,
    /// How far a leg goes in each direction, as a share of the camera's side.
    pub reach: f32,
    /// The camera.
    pub camera: Camera,
    /// Seed of noise and mismatch.
    pub seed: u64,
}

/// How recordings are written.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    name: &'static str,
    ending: &'static str,
    encode: fn(&Events) -> Result<Vec<u8>, DataError>,
    /// The largest camera, and the first microsecond that the format cannot hold.
    limits: (usize, u64),
}

/// The formats, by name.
const FORMATS: [Format; 4] = [
    Format { name: "aedat2", ending: "aedat", encode: aedat2::encode, limits: (128, 1 << 32) },
    Format { name: "nmnist", ending: "bin", encode: five_byte::encode, limits: (240, 1 << 23) },
    Format { name: "evt2", ending: "raw", encode: evt2::encode, limits: (1024, 1 << 34) },
    Format { name: "dat", ending: "dat", encode: dat::encode, limits: (1024, 1 << 32) },
];

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl FromStr for Format {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        FORMATS.into_iter().find(|format| format.name == name).ok_or_else(|| UnknownName {
            what: "format",
            found: name.to_string(),
            known: FORMATS.map(|format| format.name).join(", "),
        })
    }
}

/// Films; true where all images were filmed, false where the monitor asked to stop.
///
/// # Errors
/// Settings that make no sense or that the format cannot hold, bad images, a folder in use, or a file that cannot be
/// written.
pub fn film(plan: &FilmPlan, monitor: &dyn Monitor) -> Result<bool> {
    let film = check(plan)?;
    let FilmPlan { source, out, format, .. } = plan;
    if source.is_events() {
        return Err(Error::setting(format!("--data {source} holds events already; film takes images")));
    }
    let mut split = source.load(0)?;
    split.train.truncate(plan.limit.unwrap_or(usize::MAX));
    split.test.truncate(plan.test_limit.unwrap_or(usize::MAX));
    prepare(out)?;
    write(&out.join("film.toml"), settings(plan))?;
    for (name, set, stream) in [("Train", &split.train, STREAMS[0]), ("Test", &split.test, STREAMS[1])] {
        let seed = plan.seed ^ stream;
        let part = Part { set, folder: out.join(name), film, format: *format, seed, monitor };
        if !part.film(name)? {
            monitor.say(&format!("stopped; {} holds a part of the recordings\n", out.display()));
            return Ok(false);
        }
    }
    Ok(true)
}

/// Checks every setting.
fn check(plan: &FilmPlan) -> Result<FilmConfig> {
    let FilmPlan { format, camera, .. } = plan;
    let wrong = |name: &str, value: &dyn std::fmt::Display, must: &str| {
        Err(Error::setting(format!("--{name} is {value}, must be {must}")))
    };
    let positive = |x: f32| x > 0.0 && x.is_finite();
    let least = |x: f32| x >= 0.0 && x.is_finite();
    let (side, end) = format.limits;
    match plan {
        p if !(8..=side).contains(&p.size) => wrong("size", &p.size, &format!("8 to {side} for {format}")),
        p if p.loops == 0 => wrong("loops", &p.loops, "at least 1"),
        p if p.leg_ms == 0 => wrong("leg-ms", &p.leg_ms, "at least 1"),
        _ if camera.step == 0 => wrong("step-us", &camera.step, "at least 1"),
        p if !(0.0..=0.25).contains(&p.reach) => wrong("reach", &p.reach, "from 0 to 0.25"),
        _ if !positive(camera.threshold) => wrong("threshold", &camera.threshold, "above 0"),
        _ if !least(camera.mismatch) => wrong("mismatch", &camera.mismatch, "at least 0"),
        _ if !(0.0..=1e4).contains(&camera.noise) => wrong("noise-hz", &camera.noise, "from 0 to 10000"),
        _ => Ok(()),
    }?;
    let duration = 4u64.saturating_mul(plan.loops as u64).saturating_mul(plan.leg_ms.saturating_mul(1000));
    if duration >= end {
        let why = format!("the way takes {duration} µs, {format} holds times below {end} µs");
        return Err(Error::setting(why));
    }
    let (side, loops, leg) = (plan.size, plan.loops, plan.leg_ms * 1000);
    Ok(FilmConfig { side, loops, leg, reach: plan.reach, camera: *camera })
}

/// Makes the folder, which must be new or empty.
fn prepare(out: &Path) -> Result<()> {
    fs::create_dir_all(out).map_err(|why| Error::at(out, why))?;
    match fs::read_dir(out).map_err(|why| Error::at(out, why))?.next() {
        Some(_) => Err(Error::at(out, "exists and is not empty; --out wants a new or empty folder")),
        None => Ok(()),
    }
}

/// The settings as TOML.
fn settings(plan: &FilmPlan) -> String {
    let FilmPlan { source, format, size, loops, leg_ms, reach, camera, seed, .. } = plan;
    let Camera { threshold, mismatch, refractory, noise, step } = camera;
    format!(
        "data = {:?}\nformat = \"{format}\"\nsize = {size}\nloops = {loops}\nleg-ms = {leg_ms}\nreach = {reach}\n\
         threshold = {threshold}\nmismatch = {mismatch}\nrefractory-us = {refractory}\nnoise-hz = {noise}\n\
         step-us = {step}\nseed = {seed}\n",
        source.to_string()
    )
}

/// A part of the data set to film.
struct Part<'a> {
    set: &'a ImageSet,
    folder: PathBuf,
    film: FilmConfig,
    format: Format,
    seed: u64,
    monitor: &'a dyn Monitor,
}

impl Part<'_> {
    /// Films all images, several at a time; false when told to stop on the way.
    fn film(&self, name: &str) -> Result<bool> {
        for class in 0..self.set.classes {
            let folder = self.class_folder(class);
            fs::create_dir_all(&folder).map_err(|why| Error::at(&folder, why))?;
        }
        let (count, mut events) = (self.set.len(), 0u64);
        let mut workers = Workers::new();
        for start in (0..count).step_by(CHUNK) {
            let end = (start + CHUNK).min(count);
            let outcomes = Mutex::new(Vec::new());
            workers.run(start..end, |i, _| {
                if !self.monitor.must_stop() {
                    let outcome = self.one(i);
                    outcomes.lock().unwrap_or_else(|broken| broken.into_inner()).push(outcome);
                }
            });
            for outcome in outcomes.into_inner().unwrap_or_else(|broken| broken.into_inner()) {
                events += outcome? as u64;
            }
            if self.monitor.must_stop() {
                return Ok(false);
            }
            let each = events / end as u64;
            self.monitor.say(&format!("{name}: {end} of {count} images filmed, {each} events each\n"));
        }
        Ok(true)
    }

    /// Films one image; returns the number of events.
    fn one(&self, i: usize) -> Result<usize> {
        // Another image, another seed: far apart, whatever the streams are.
        let seed = spikegrad::data::rng::Rng::keyed(&[self.seed, i as u64]).u64();
        let events = self.film.film(self.set, i, seed);
        let name = format!("{i:05}.{}", self.format.ending);
        let path = self.class_folder(self.set.labels[i].into()).join(name);
        let bytes = (self.format.encode)(&events).map_err(|why| Error::at(&path, why))?;
        fs::write(&path, bytes).map_err(|why| Error::at(&path, why))?;
        Ok(events.len())
    }

    /// The folder of a class; numbers have as many digits as the largest, so that names sort as labels do.
    fn class_folder(&self, class: usize) -> PathBuf {
        let digits = (self.set.classes.max(2) - 1).to_string().len();
        let number = format!("{class:0digits$}");
        match self.set.class_names.get(class).filter(|name| **name != class.to_string()) {
            Some(name) => self.folder.join(format!("{number}-{name}")),
            None => self.folder.join(number),
        }
    }
}
