//! The settings of event data: how recordings become what a net reads.

use crate::failure::Failure;
use crate::flags::Flags;
use crate::settings::name;
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
    pub fn new(source: &Source, flags: &Flags) -> Result<Option<Self>, Failure> {
        if !source.is_events() {
            let texts = [&flags.frames, &flags.values, &flags.resample, &flags.sensor, &flags.cache];
            let names = ["frames", "values", "resample", "sensor", "cache"];
            let first = names.into_iter().zip(texts).find_map(|(name, text)| text.is_some().then_some(name));
            let number = flags.frame_size.map(|_| "frame-size").or(flags.stream.map(|_| "stream"));
            return match first.or(number) {
                Some(name) => Err(Failure::Usage(format!("--{name} is for events, {source} holds images"))),
                None => Ok(None),
            };
        }
        let size = flags.frame_size.filter(|&side| side > 0);
        if let Some(side) = size.filter(|&side| side > SIDE_LIMIT) {
            return Err(Failure::Usage(format!("--frame-size is {side}, must be at most {SIDE_LIMIT}")));
        }
        let sensor = match &flags.sensor {
            Some(_) if !matches!(source, Source::Events(_)) => {
                return Err(Failure::Usage(format!(
                    "--sensor is for events:DIR, the camera of {source} is known"
                )));
            }
            Some(_) => Some(name("sensor", &flags.sensor)?),
            None => None,
        };
        if flags.stream.is_some() && *source == Source::Motion {
            return Err(Failure::Usage(format!("--stream is for recordings, {source} has none")));
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
            sensor,
            stream: flags.stream,
            augment: name("augment", &flags.augment)?,
            cache: flags.cache.as_ref().filter(|folder| *folder != "none").map(PathBuf::from),
            steps: flags.timesteps.unwrap_or(1),
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
