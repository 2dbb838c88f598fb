//! The images or recordings of a run: read, held out, limited, handed out.

use crate::event_settings::EventSettings;
use crate::failure::Failure;
use crate::settings::{Settings, Shape};
use spikegrad::data::events::{EventAugment, EventSplit, FrameOptions, FrameSet, Sample, Sensor};
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
    /// What is to be said of how it was read: one line for recordings, nothing for images.
    pub note: String,
    normalise: Normalise,
}

impl Dataset {
    /// Reads the data set that the settings name; `holdout` first, then `limit`.
    ///
    /// # Errors
    /// A missing or damaged file; more images held out than there are.
    pub fn load(settings: &Settings) -> Result<Self, Failure> {
        let source = &settings.source;
        if let Some(events) = &settings.events {
            return Self::load_events(settings, events);
        }
        let split = source.load(DATA_SEED).map_err(Failure::input)?;
        let (mut train, mut test) = (split.train, split.test);
        if let Some(n) = settings.flags.holdout {
            check_holdout(n, train.len())?;
            (train, test) = train.split_tail(n).map_err(Failure::input)?;
        }
        if let Some(n) = settings.flags.limit {
            train.truncate(n);
        }
        let (train, test) = (Arc::new(train).into(), Arc::new(test).into());
        Ok(Self { train, test, note: String::new(), normalise: source.normalisation() })
    }

    /// Lists the recordings, holds some out, limits them, and only then reads them.
    fn load_events(settings: &Settings, events: &EventSettings) -> Result<Self, Failure> {
        let split = settings.source.list_events(DATA_SEED).map_err(Failure::input)?;
        let EventSplit { mut train, mut test, class_names, sensor, rule } = split;
        let rule = match settings.flags.holdout {
            Some(n) => {
                check_holdout(n, train.len())?;
                test = train.split_off(train.len() - n);
                "the last training recordings are held out"
            }
            None => rule,
        };
        train.truncate(settings.flags.limit.unwrap_or(usize::MAX));
        let sensor = match sensor {
            Some(sensor) => sensor,
            None => common_sensor(train.iter().chain(&test))?,
        };
        let load = |samples: &[Sample], augment: EventAugment| {
            let (config, cache) = (events.frames(sensor), events.cache.as_deref());
            let options = FrameOptions { config, sensor: Some(sensor), augment, cache };
            FrameSet::load(samples, class_names.clone(), &options).map_err(Failure::input)
        };
        let (train, test) = (load(&train, events.augment)?, load(&test, EventAugment::NONE)?);
        let note = format!(
            "{} and {} recordings ({rule}); {} from the cache, {} were out of order and have been sorted\n",
            train.len(),
            test.len(),
            train.cached + test.cached,
            train.disordered + test.disordered
        );
        let normalise = settings.source.normalisation();
        Ok(Self { train: Arc::new(train).into(), test: Arc::new(test).into(), note, normalise })
    }

    /// The shape of the images.
    pub fn shape(&self) -> Shape {
        Shape::of_set(&self.train)
    }

    /// Hands the training images out in full batches, shuffled and varied.
    ///
    /// # Errors
    /// Fewer images than a batch.
    pub fn train_loader(&self, settings: &Settings) -> Result<Loader, Failure> {
        let (batch, images) = (settings.batch(), self.train.len());
        if images < batch {
            return Err(Failure::Usage(format!("--batch is {batch}, there are {images} training images")));
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
        Loader::new(self.train.clone(), config).map_err(Failure::input)
    }

    /// Hands the scoring images out as they are.
    ///
    /// # Errors
    /// An empty set.
    pub fn test_loader(&self, settings: &Settings) -> Result<Loader, Failure> {
        let config = LoaderConfig {
            batch: settings.batch(),
            seed: 0,
            shuffle: false,
            augment: Augment::NONE,
            drop_last: false,
            prefetch: PREFETCH,
            normalise: self.normalise.clone(),
        };
        Loader::new(self.test.clone(), config).map_err(Failure::input)
    }
}

/// Checks that holding out leaves something to train on.
fn check_holdout(n: usize, samples: usize) -> Result<(), Failure> {
    if n < samples {
        return Ok(());
    }
    let most = samples.saturating_sub(1);
    Err(Failure::Usage(format!("--holdout is {n}, at most {most} can be held out")))
}

/// The smallest sensor that holds all recordings: what a data set of unknown cameras needs.
fn common_sensor<'a>(samples: impl Iterator<Item = &'a Sample>) -> Result<Sensor, Failure> {
    let mut common = Sensor::default();
    for sample in samples {
        let (events, _) = sample.read(None).map_err(Failure::input)?;
        common.width = common.width.max(events.sensor.width);
        common.height = common.height.max(events.sensor.height);
    }
    match common.width * common.height {
        0 => Err(Failure::Input("no recording holds an event".into())),
        _ => Ok(common),
    }
}
