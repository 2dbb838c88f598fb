//! `spikegrad film`: an image data set becomes recordings of events, filmed by a simulated camera.
//!
//! The folder written is one that `nmnist:DIR`, `cifar10dvs:DIR` and `events:DIR` read: `Train/CLASS/NNNNN.END`,
//! `Test/CLASS/NNNNN.END`, and `film.toml`, which says how it was made.

use crate::failure::Failure;
use crate::files::{print, write};
use crate::interrupt;
use clap::Args;
use spikegrad::data::events::{Camera, Events, FilmConfig, aedat2, dat, evt2, five_byte};
use spikegrad::data::{DataError, ImageSet, Source};
use spikegrad::tensor::Workers;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Images filmed between two lines of progress.
const CHUNK: usize = 250;
/// Random streams of training and test images.
const STREAMS: [u64; 2] = [0x0074_7261_696e, 0x7465_7374];

/// What `film` takes.
#[derive(Args, Clone, Debug)]
pub struct FilmArgs {
    /// Images: cifar10:DIR, cifar100:DIR, mnist:DIR or synthetic:shapes
    #[arg(long, value_name = "NAME[:DIR]", default_value = "synthetic:shapes")]
    data: String,
    /// Folder to write, new or empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Format: aedat2 (DVS128, as CIFAR10-DVS), nmnist (five bytes an event), evt2 or dat
    #[arg(long, value_name = "NAME", default_value = "aedat2")]
    format: String,
    /// Film the first N training images; default: all
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Film the first N test images; default: all
    #[arg(long, value_name = "N")]
    test_limit: Option<usize>,
    /// Rows and columns of the camera
    #[arg(long, value_name = "N", default_value_t = 128)]
    size: usize,
    /// How often the image goes round its closed way
    #[arg(long, value_name = "N", default_value_t = 2)]
    loops: usize,
    /// Milliseconds of each of the four legs of the way
    #[arg(long, value_name = "MS", default_value_t = 50)]
    leg_ms: u64,
    /// How far a leg goes in each direction, as a share of the camera's side
    #[arg(long, value_name = "SHARE", default_value_t = 0.0625)]
    reach: f32,
    /// Change of the logarithm of brightness that makes an event
    #[arg(long, value_name = "THETA", default_value_t = 0.2)]
    threshold: f32,
    /// Standard deviation of that threshold between pixels
    #[arg(long, value_name = "SD", default_value_t = 0.02)]
    mismatch: f32,
    /// Microseconds for which a pixel is silent after an event
    #[arg(long, value_name = "US", default_value_t = 100)]
    refractory_us: u64,
    /// Noise events of a pixel each second
    #[arg(long, value_name = "HZ", default_value_t = 0.1)]
    noise_hz: f32,
    /// Microseconds between two looks at the scene
    #[arg(long, value_name = "US", default_value_t = 1000)]
    step_us: u64,
    /// Seed of noise and mismatch
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// How recordings are written.
#[derive(Clone, Copy)]
struct Format {
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

/// Films.
///
/// # Errors
/// Settings that make no sense or that the format cannot hold, bad images, a folder in use, or a file that cannot be
/// written.
pub fn run(args: FilmArgs) -> Result<(), Failure> {
    let (film, format) = check(&args)?;
    let source: Source = args.data.parse().map_err(Failure::usage)?;
    if source.is_events() {
        return Err(Failure::Usage(format!("--data {source} holds events already; film takes images")));
    }
    let mut split = source.load(0).map_err(Failure::input)?;
    split.train.truncate(args.limit.unwrap_or(usize::MAX));
    split.test.truncate(args.test_limit.unwrap_or(usize::MAX));
    prepare(&args.out)?;
    write(&args.out.join("film.toml"), settings(&args, &source))?;
    interrupt::listen()?;
    for (name, set, stream) in [("Train", &split.train, STREAMS[0]), ("Test", &split.test, STREAMS[1])] {
        let part = Part { set, folder: args.out.join(name), film, format, seed: args.seed ^ stream };
        if !part.film(name)? {
            print(&format!("stopped; {} holds a part of the recordings\n", args.out.display()));
            return Err(interrupt::stopped());
        }
    }
    Ok(())
}

/// Checks every setting.
fn check(args: &FilmArgs) -> Result<(FilmConfig, Format), Failure> {
    let Some(format) = FORMATS.into_iter().find(|format| format.name == args.format) else {
        let known = FORMATS.map(|format| format.name).join(", ");
        return Err(Failure::Usage(format!("--format is {:?}, must be one of {known}", args.format)));
    };
    let wrong = |name: &str, value: &dyn std::fmt::Display, must: &str| {
        Err(Failure::Usage(format!("--{name} is {value}, must be {must}")))
    };
    let positive = |x: f32| x > 0.0 && x.is_finite();
    let least = |x: f32| x >= 0.0 && x.is_finite();
    let (side, end) = format.limits;
    match args {
        a if !(8..=side).contains(&a.size) => {
            wrong("size", &a.size, &format!("8 to {side} for {}", a.format))
        }
        a if a.loops == 0 => wrong("loops", &a.loops, "at least 1"),
        a if a.leg_ms == 0 => wrong("leg-ms", &a.leg_ms, "at least 1"),
        a if a.step_us == 0 => wrong("step-us", &a.step_us, "at least 1"),
        a if !(0.0..=0.25).contains(&a.reach) => wrong("reach", &a.reach, "from 0 to 0.25"),
        a if !positive(a.threshold) => wrong("threshold", &a.threshold, "above 0"),
        a if !least(a.mismatch) => wrong("mismatch", &a.mismatch, "at least 0"),
        a if !(0.0..=1e4).contains(&a.noise_hz) => wrong("noise-hz", &a.noise_hz, "from 0 to 10000"),
        _ => Ok(()),
    }?;
    let duration = 4u64.saturating_mul(args.loops as u64).saturating_mul(args.leg_ms.saturating_mul(1000));
    if duration >= end {
        let format = &args.format;
        return Err(Failure::Usage(format!(
            "the way takes {duration} µs, {format} holds times below {end} µs"
        )));
    }
    let FilmArgs { threshold, mismatch, refractory_us, noise_hz, step_us, .. } = *args;
    let camera = Camera { threshold, mismatch, refractory: refractory_us, noise: noise_hz, step: step_us };
    let film =
        FilmConfig { side: args.size, loops: args.loops, leg: args.leg_ms * 1000, reach: args.reach, camera };
    Ok((film, format))
}

/// Makes the folder, which must be new or empty.
fn prepare(out: &Path) -> Result<(), Failure> {
    fs::create_dir_all(out).map_err(|why| Failure::at(out, why))?;
    match fs::read_dir(out).map_err(|why| Failure::at(out, why))?.next() {
        Some(_) => Err(Failure::at(out, "exists and is not empty; --out wants a new or empty folder")),
        None => Ok(()),
    }
}

/// The settings as TOML.
fn settings(args: &FilmArgs, source: &Source) -> String {
    format!(
        "data = {:?}\nformat = {:?}\nsize = {}\nloops = {}\nleg-ms = {}\nreach = {}\nthreshold = {}\nmismatch = {}\n\
         refractory-us = {}\nnoise-hz = {}\nstep-us = {}\nseed = {}\n",
        source.to_string(),
        args.format,
        args.size,
        args.loops,
        args.leg_ms,
        args.reach,
        args.threshold,
        args.mismatch,
        args.refractory_us,
        args.noise_hz,
        args.step_us,
        args.seed
    )
}

/// A part of the data set to film.
struct Part<'a> {
    set: &'a ImageSet,
    folder: PathBuf,
    film: FilmConfig,
    format: Format,
    seed: u64,
}

impl Part<'_> {
    /// Films all images, several at a time; false when told to stop on the way.
    fn film(&self, name: &str) -> Result<bool, Failure> {
        for class in 0..self.set.classes {
            let folder = self.class_folder(class);
            fs::create_dir_all(&folder).map_err(|why| Failure::at(&folder, why))?;
        }
        let (count, mut events) = (self.set.len(), 0u64);
        let mut workers = Workers::new();
        for start in (0..count).step_by(CHUNK) {
            let end = (start + CHUNK).min(count);
            let outcomes = Mutex::new(Vec::new());
            workers.run(start..end, |i, _| {
                if !interrupt::asked() {
                    let outcome = self.one(i);
                    outcomes.lock().unwrap_or_else(|broken| broken.into_inner()).push(outcome);
                }
            });
            for outcome in outcomes.into_inner().unwrap_or_else(|broken| broken.into_inner()) {
                events += outcome? as u64;
            }
            if interrupt::asked() {
                return Ok(false);
            }
            print(&format!("{name}: {end} of {count} images filmed, {} events each\n", events / end as u64));
        }
        Ok(true)
    }

    /// Films one image; returns the number of events.
    fn one(&self, i: usize) -> Result<usize, Failure> {
        // Another image, another seed: far apart, whatever the streams are.
        let seed = spikegrad::data::rng::Rng::keyed(&[self.seed, i as u64]).u64();
        let events = self.film.film(self.set, i, seed);
        let name = format!("{i:05}.{}", self.format.ending);
        let path = self.class_folder(self.set.labels[i].into()).join(name);
        let bytes = (self.format.encode)(&events).map_err(|why| Failure::at(&path, why))?;
        fs::write(&path, bytes).map_err(|why| Failure::at(&path, why))?;
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
