//! The settings of event data: how recordings become what a net reads.

use crate::failure::Failure;
use crate::flags::Flags;
use crate::settings::name;
use spikegrad::data::Source;
use spikegrad::data::events::{EventAugment, FrameConfig, Resample, Sensor, Slicing, Values};
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
    /// An unknown name, a size out of range, settings of events for a data set of images.
    pub fn new(source: &Source, flags: &Flags) -> Result<Option<Self>, Failure> {
        if !source.is_events() {
            let given = [&flags.frames, &flags.values, &flags.resample, &flags.cache].map(Option::is_some);
            let names = ["frames", "values", "resample", "cache"];
            let first = names.into_iter().zip(given).find_map(|(name, given)| given.then_some(name));
            return match first.or(flags.frame_size.map(|_| "frame-size")) {
                Some(name) => Err(Failure::Usage(format!("--{name} is for events, {source} holds images"))),
                None => Ok(None),
            };
        }
        let size = flags.frame_size.filter(|&side| side > 0);
        if let Some(side) = size.filter(|&side| side > SIDE_LIMIT) {
            return Err(Failure::Usage(format!("--frame-size is {side}, must be at most {SIDE_LIMIT}")));
        }
        let values = name("values", &flags.values)?;
        let resample = name("resample", &flags.resample)?;
        if values == Values::Binary && resample == Resample::Area {
            let why = "--values binary needs --resample nearest: a share of an event is no spike";
            return Err(Failure::Usage(why.into()));
        }
        Ok(Some(Self {
            slicing: name("frames", &flags.frames)?,
            values,
            size,
            resample,
            augment: name("augment", &flags.augment)?,
            cache: flags.cache.as_ref().filter(|folder| *folder != "none").map(PathBuf::from),
            steps: flags.timesteps.unwrap_or(1),
        }))
    }

    /// What the net reads: bits where the frames are bits.
    pub fn input(&self) -> Input {
        if self.values == Values::Binary { Input::Spikes } else { Input::Frames }
    }

    /// The frames' configuration for a sensor.
    pub fn frames(&self, sensor: Sensor) -> FrameConfig {
        let size = self.size.map_or(sensor, |side| Sensor { width: side, height: side });
        let Self { slicing, values, resample, steps, .. } = *self;
        FrameConfig { steps, slicing, values, size, resample }
    }
}
