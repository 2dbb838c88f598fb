//! The settings of event data: how recordings become what a net reads.

use super::{RunConfig, augmentation, given, wrong_augmentation};
use crate::{Error, Result};
use spikegrad::data::Source;
use spikegrad::data::events::{EventAugment, Fit, FrameConfig, Resample, Sensor, Slicing, Values};
use spikegrad::models::Input;
use std::path::PathBuf;

/// The largest side of a frame.
const SIDE_LIMIT: usize = 4096;

/// How events become frames, parsed and checked.
#[derive(Clone, Debug)]
pub struct EventSettings {
    /// Which events make which frame.
    pub slicing: Slicing,
    /// What a cell holds.
    pub values: Values,
    /// Rows and columns; none: the sensor's.
    pub size: Option<usize>,
    /// How the sensor is brought to that size.
    pub resample: Resample,
    /// The sensor that `--sensor` or an earlier reading says.
    pub sensor: Option<Sensor>,
    /// The stream of events, where one is asked for.
    pub stream: Option<u32>,
    /// How recordings are varied in training.
    pub augment: EventAugment,
    /// The folder that keeps frames, if one does.
    pub cache: Option<PathBuf>,
    steps: usize,
}

impl EventSettings {
    /// Reads the settings of a data set of events; none for images.
    ///
    /// # Errors
    /// An unknown name, a size out of range, settings of events for a data set of images, a sensor for a set that has one.
    pub fn new(source: &Source, config: &RunConfig) -> Result<Option<Self>> {
        if !source.is_events() {
            let of_events = [
                ("frames", config.frames.is_some()),
                ("values", config.values.is_some()),
                ("resample", config.resample.is_some()),
                ("sensor", config.sensor.is_some()),
                ("cache", config.cache.is_some()),
                ("frame-size", config.frame_size.is_some()),
                ("stream", config.stream.is_some()),
            ];
            return match of_events.iter().find_map(|(name, is_given)| is_given.then_some(name)) {
                Some(name) => Err(Error::setting(format!("--{name} is for events, {source} holds images"))),
                None => Ok(None),
            };
        }
        let size = config.frame_size.filter(|&side| side > 0);
        if let Some(side) = size.filter(|&side| side > SIDE_LIMIT) {
            return Err(Error::setting(format!("--frame-size is {side}, must be at most {SIDE_LIMIT}")));
        }
        if config.sensor.is_some() && !matches!(source, Source::Events(_)) {
            let why = format!("--sensor is for events:DIR, the camera of {source} is known");
            return Err(Error::setting(why));
        }
        if config.stream.is_some() && *source == Source::Motion {
            return Err(Error::setting(format!("--stream is for recordings, {source} has none")));
        }
        let values = given("values", config.values)?;
        let resample = given("resample", config.resample)?;
        if values == Values::Binary && resample == Resample::Area {
            let why = "--values binary needs --resample nearest: a share of an event is no spike";
            return Err(Error::setting(why));
        }
        Ok(Some(Self {
            slicing: given("frames", config.frames)?,
            values,
            size,
            resample,
            sensor: config.sensor,
            stream: config.stream,
            augment: augmentation(config)?.of_events().map_err(|why| wrong_augmentation(config, &why))?,
            cache: config.cache.as_ref().filter(|folder| *folder != "none").map(PathBuf::from),
            steps: given("timesteps", config.timesteps)?,
        }))
    }

    /// What the net reads: bits where the frames are bits.
    pub fn input(&self) -> Input {
        if self.values == Values::Binary { Input::Spikes } else { Input::Frames }
    }

    /// How the recordings of a set are read, given what the set itself says.
    pub fn fit(&self, set: Fit) -> Fit {
        Fit { sensor: set.sensor.or(self.sensor), stream: self.stream, ..set }
    }

    /// The frames' configuration for a sensor.
    pub fn frames(&self, sensor: Sensor) -> FrameConfig {
        let size = self.size.map_or(sensor, |side| Sensor { width: side, height: side });
        let Self { slicing, values, resample, steps, .. } = *self;
        FrameConfig { steps, slicing, values, size, resample }
    }
}
