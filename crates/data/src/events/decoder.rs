//! The interface of every decoder: it receives bytes as they come, and hands out events.

use super::{Event, Sensor, SensorFrom, Stream};

/// Holds the fault, and its offset in the bytes given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub offset: usize,
    pub what: String,
}

impl Fault {
    pub fn new(offset: usize, what: impl Into<String>) -> Self {
        Self { offset, what: what.into() }
    }
}

/// Counts the contents that were left out, by their kind.
///
/// ```
/// use spikegrad_data::events::Skipped;
/// let skipped = Skipped { what: "external triggers", count: 3 };
/// assert_eq!(skipped.to_string(), "3 external triggers");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The kind of the contents that were left out.
    pub what: &'static str,
    /// The number of times.
    pub count: u64,
}

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.count, self.what)
    }
}

/// Receives the events and remarks of a decoder.
#[derive(Debug, Default)]
pub(super) struct Sink {
    pub events: Vec<Event>,
    pub skipped: Vec<Skipped>,
    /// The sensor and the source of its size, where the recording states it.
    pub sensor: Option<(Sensor, SensorFrom)>,
    /// The streams, where the format has several.
    pub streams: Vec<Stream>,
}

impl Sink {
    /// The stream of a number, which joins the list where it is new.
    pub fn stream(&mut self, number: u32) -> &mut Stream {
        let at = self.streams.iter().position(|stream| stream.number == number).unwrap_or_else(|| {
            self.streams.push(Stream { number, ..Stream::default() });
            self.streams.len() - 1
        });
        &mut self.streams[at]
    }

    /// Counts something that is left out.
    pub fn skip(&mut self, what: &'static str, count: u64) {
        match self.skipped.iter_mut().find(|skipped| skipped.what == what) {
            Some(skipped) => skipped.count += count,
            None => self.skipped.push(Skipped { what, count }),
        }
    }
}

/// Decodes a recording piece by piece.
pub(super) trait Decode {
    /// Decodes the whole records at the beginning of `bytes`; returns their number of bytes. The rest comes again with
    /// more behind it.
    fn decode(&mut self, bytes: &[u8], sink: &mut Sink) -> Result<usize, Fault>;

    /// The fewest bytes that an event takes, where they are not packed.
    fn least_record(&self) -> Option<usize> {
        None
    }

    /// Says what is missing when the bytes end between two pieces; `None` where they may.
    fn missing(&self) -> Option<String> {
        None
    }
}
