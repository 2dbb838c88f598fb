//! The images or recordings of a run: read, held out, limited, handed out.

use crate::settings::{EventSettings, Settings, Shape};
use crate::{Error, Result};
use spikegrad::TrainConfig;
use spikegrad::data::events::{EventAugment, EventSplit, Fit, FrameOptions, FrameSet, Sample, Sensor, Tally};
use spikegrad::data::{Augment, Loader, LoaderConfig, Normalise, SampleSet};
use std::sync::Arc;

/// Generated data sets are the same for every seed of training.
const DATA_SEED: u64 = 0;
/// Batches made ahead of training.
const PREFETCH: usize = 2;

/// Training and scoring images or recordings.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// To train on.
    pub train: SampleSet,
    /// To score on.
    pub test: SampleSet,
    /// What is to be said of how it was read: lines for recordings, nothing for images.
    pub note: String,
    /// The sensor on which recordings were put, where the data set's name does not say it.
    sensor: Option<Sensor>,
    normalise: Normalise,
}

impl Dataset {
    /// The trainer's configuration for these data, with the names of their classes, one each.
    pub fn train_config(&self, settings: &Settings) -> TrainConfig {
        let names = self.train.class_names();
        let are_lines = names.len() == self.shape().classes && !names.iter().any(|name| name.contains('\n'));
        let class_names = if are_lines { names.to_vec() } else { Vec::new() };
        settings.train_config(self.shape()).class_names(class_names)
    }

    /// Reads the data set that the settings name; `holdout` first, then `limit`.
    ///
    /// # Errors
    /// A missing or damaged file; more images held out than there are.
    pub fn load(settings: &Settings) -> Result<Self> {
        let source = &settings.source;
        if let Some(events) = &settings.events {
            return Self::load_events(settings, events);
        }
        let split = source.load(DATA_SEED).map_err(Error::input)?;
        let (mut train, mut test) = (split.train, split.test);
        if let Some(n) = settings.config.holdout {
            check_holdout(n, train.len())?;
            (train, test) = train.split_tail(n).map_err(Error::input)?;
        }
        if let Some(n) = settings.config.limit {
            train.truncate(n);
        }
        let (train, test) = (Arc::new(train).into(), Arc::new(test).into());
        Ok(Self { train, test, note: String::new(), sensor: None, normalise: source.normalisation() })
    }

    /// Lists the recordings, holds some out, limits them, and only then reads them.
    fn load_events(settings: &Settings, events: &EventSettings) -> Result<Self> {
        let split = settings.source.list_events(DATA_SEED).map_err(Error::input)?;
        let EventSplit { mut train, mut test, class_names, fit, rule } = split;
        let rule = match settings.config.holdout {
            Some(n) => {
                check_holdout(n, train.len())?;
                test = train.split_off(train.len() - n);
                "the last training recordings are held out"
            }
            None => rule,
        };
        let lacking = untested(&test, &class_names);
        if test.is_empty() {
            let why = "no recording is left to test on, each class has one; hold some out with --holdout N";
            return Err(Error::input(format!("{}: {why}", settings.source)));
        }
        train.truncate(settings.config.limit.unwrap_or(usize::MAX));
        let named = fit.sensor.is_some();
        let mut fit = events.fit(fit);
        let sensor = match fit.sensor {
            Some(sensor) => sensor,
            None => common_sensor(train.iter().chain(&test), &fit)?,
        };
        fit.sensor = Some(sensor);
        let load = |samples: &[Sample], augment: EventAugment| {
            let (config, cache) = (events.frames(sensor), events.cache.as_deref());
            let options = FrameOptions { config, fit, augment, cache };
            FrameSet::load(samples, class_names.clone(), &options).map_err(Error::input)
        };
        let (train, test) = (load(&train, events.augment)?, load(&test, EventAugment::NONE)?);
        let mut tally = train.tally;
        tally.add(test.tally);
        let note = format!(
            "{} and {} recordings ({rule}) of a sensor of {sensor}; {} from the cache, {} were out of order and have been \
             sorted\n{}{lacking}",
            train.len(),
            test.len(),
            train.cached + test.cached,
            tally.disordered,
            losses(tally, sensor)
        );
        let (normalise, sensor) = (settings.source.normalisation(), (!named).then_some(sensor));
        Ok(Self { train: Arc::new(train).into(), test: Arc::new(test).into(), note, sensor, normalise })
    }

    /// Writes the sensor that was found into the settings: it belongs to the run, so that another recording with one more
    /// event cannot change what a trained net sees.
    pub fn settle(&self, settings: &mut Settings) {
        if let (Some(sensor), Some(events)) = (self.sensor, &mut settings.events) {
            events.sensor = Some(sensor);
            settings.config.sensor = Some(sensor);
        }
    }

    /// Tells how many training samples sit out each epoch because they fill no batch; empty where none does.
    pub fn rest(&self, settings: &Settings) -> String {
        let (batch, samples) = (settings.batch(), self.train.len());
        match samples % batch {
            0 => String::new(),
            rest => format!(
                "{samples} training samples are {} batches of {batch}; each epoch leaves out another {rest}\n",
                samples / batch
            ),
        }
    }

    /// The shape of the images.
    pub fn shape(&self) -> Shape {
        Shape::of_set(&self.train)
    }

    /// Hands the training images out in full batches, shuffled and varied.
    ///
    /// # Errors
    /// Fewer images than a batch.
    pub fn train_loader(&self, settings: &Settings) -> Result<Loader> {
        let (batch, images) = (settings.batch(), self.train.len());
        if images < batch {
            return Err(Error::setting(format!("--batch is {batch}, there are {images} training images")));
        }
        let config = LoaderConfig {
            batch: settings.batch(),
            seed: settings.seed(),
            shuffle: true,
            augment: settings.augment,
            drop_last: true,
            prefetch: PREFETCH,
            normalise: self.normalise.clone(),
        };
        Loader::new(self.train.clone(), config).map_err(Error::input)
    }

    /// Hands the scoring images out as they are.
    ///
    /// # Errors
    /// An empty set.
    pub fn test_loader(&self, settings: &Settings) -> Result<Loader> {
        let config = LoaderConfig {
            batch: settings.batch(),
            seed: 0,
            shuffle: false,
            augment: Augment::NONE,
            drop_last: false,
            prefetch: PREFETCH,
            normalise: self.normalise.clone(),
        };
        Loader::new(self.test.clone(), config).map_err(Error::input)
    }
}

/// Checks that holding out leaves something to train on.
fn check_holdout(n: usize, samples: usize) -> Result<()> {
    if n < samples {
        return Ok(());
    }
    let most = samples.saturating_sub(1);
    Err(Error::setting(format!("--holdout is {n}, at most {most} can be held out")))
}

/// Names the classes without a recording to test on; empty where each has one.
fn untested(test: &[Sample], names: &[String]) -> String {
    let lacks = |k: &usize| test.iter().all(|sample| usize::from(sample.label) != *k);
    let lacking: Vec<&str> = (0..names.len()).filter(lacks).map(|k| names[k].as_str()).collect();
    match lacking.is_empty() {
        true => String::new(),
        false => format!("no recording to test on of {}\n", lacking.join(", ")),
    }
}

/// Says what recordings lost when they were read; empty where it is nothing.
fn losses(tally: Tally, sensor: Sensor) -> String {
    let mut text = String::new();
    if tally.outside > 0 {
        text += &format!("{} events lie outside the sensor of {sensor} and are left out\n", tally.outside);
    }
    if tally.left_out > 0 {
        let kinds = "triggers, frames, other streams, changes without a time";
        text +=
            &format!("{} entries that are no events of the stream are left out ({kinds})\n", tally.left_out);
    }
    text
}

/// The smallest sensor that holds all recordings: what a data set of unknown cameras needs.
fn common_sensor<'a>(samples: impl Iterator<Item = &'a Sample>, fit: &Fit) -> Result<Sensor> {
    let mut common = Sensor::default();
    for sample in samples {
        let (events, _) = sample.read(fit).map_err(Error::input)?;
        common.width = common.width.max(events.sensor.width);
        common.height = common.height.max(events.sensor.height);
    }
    match common.width * common.height {
        0 => Err(Error::input("no recording holds an event")),
        _ => Ok(common),
    }
}
