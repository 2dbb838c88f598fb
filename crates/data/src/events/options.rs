//! The options that a recording leaves open, and the remarks on it after it is read.

use super::event::Sensor;
use std::fmt;

/// Says how a recording is read where the recording leaves a choice.
///
/// ```
/// use spikegrad_data::events::ReadOptions;
/// let bytes = [3, 4, 0x80, 0, 9, 5, 6, 0, 0, 11];
/// let recording = ReadOptions::default().decode("a.bin".as_ref(), &bytes)?;
/// assert_eq!(recording.events.len(), 2);
/// # Ok::<(), spikegrad_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// The number of the stream of events that is read; none: the first that the recording describes or holds.
    pub stream: Option<u32>,
    /// The camera of an AEDAT 2.0 recording that names no chip; none: a DVS128.
    pub camera: Option<Sensor>,
    /// The orientation of a DVS128's AEDAT 2.0 recording, where its header does not state it.
    pub axes: Axes,
}

/// Says which way the addresses of a DVS128's AEDAT 2.0 recording are turned; c is bits 1–7, r bits 8–14.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Axes {
    /// The orientation in which jAER shows recordings: x = 127 − c, y = 127 − r, y from the top.
    #[default]
    Jaer,
    /// The orientation in which SpikingJelly loads CIFAR10-DVS: x = 127 − r, y = 127 − c.
    Cifar10Dvs,
}

/// Names a stream of a recording: a camera, or an output of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// The number in the file.
    pub number: u32,
    /// The stream's contents, in the format's word: `EVTS`, `FRME`, `IMUS`, …
    pub kind: String,
    /// The name in the file; empty where there is none.
    pub name: String,
    /// The sensor, where the stream names it.
    pub sensor: Option<Sensor>,
    /// The number of events; `None` where the stream holds something else.
    pub events: Option<u64>,
}

/// Says where a recording's sensor comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SensorFrom {
    /// The recording names it.
    Recording,
    /// The caller names it, since the recording does not.
    Caller,
    /// The format's usual camera, which the recording does not name.
    Format,
    /// The sensor is the smallest that holds the events.
    Events,
}

impl fmt::Display for SensorFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Recording => "stated",
            Self::Caller => "given",
            Self::Format => "assumed; the recording names no chip",
            Self::Events => "the smallest that holds the events; none is stated",
        })
    }
}
