//! Reading a recording: format told by the content, decoded while it is read.

use super::decoder::Sink;
use super::{EventFormat, Events, Skipped};
use crate::error::DataError;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes read at a time.
const CHUNK: usize = 1 << 18;

/// Holds a recording, and what is to be said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// The events, in the order of the file.
    pub events: Events,
    /// The format.
    pub format: EventFormat,
    /// Whether the recording names its sensor; else the sensor is the smallest that holds the events.
    pub sensor_stated: bool,
    /// What was left out.
    pub skipped: Vec<Skipped>,
}

/// Reads a recording from a file.
///
/// Errors: [`DataError::Io`]; [`DataError::Empty`]; [`DataError::Recording`] with the byte offset where the format is
/// unknown, a word makes no sense, an event lies outside the sensor, or the end is missing.
pub fn read(path: &Path) -> Result<Recording, DataError> {
    let io = |source| DataError::Io { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(io)?;
    let kind = file.metadata().map_err(io)?;
    if kind.is_dir() {
        return Err(io(std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            "is a folder, not a recording",
        )));
    }
    let size = kind.is_file().then_some(kind.len());
    read_from(path, file, size)
}

/// Reads a recording from memory; `path` is for messages alone. Errors as [`read`].
///
/// ```
/// let bytes = [3, 4, 0x80, 0, 9, 5, 6, 0, 0, 11];
/// let recording = spikegrad_data::events::decode("a.bin".as_ref(), &bytes)?;
/// assert_eq!(recording.events.len(), 2);
/// assert!(recording.events.list[0].on && recording.events.list[1].t == 11);
/// # Ok::<(), spikegrad_data::DataError>(())
/// ```
pub fn decode(path: &Path, bytes: &[u8]) -> Result<Recording, DataError> {
    read_from(path, bytes, Some(bytes.len() as u64))
}

/// Reads a recording as it comes, of `size` bytes if that is known; `path` is for messages alone.
///
/// Memory: 16 bytes an event, and for packets as much as came in and what it unpacks to; no length in the file is
/// trusted with an allocation. Errors as [`read`].
pub fn read_from(path: &Path, mut source: impl Read, size: Option<u64>) -> Result<Recording, DataError> {
    let fail = |offset: u64, what: String| DataError::Recording { path: path.to_path_buf(), offset, what };
    let mut fill = |buffer: &mut Vec<u8>| {
        let chunk = source.by_ref().take(CHUNK as u64).read_to_end(buffer);
        chunk.map_err(|source| DataError::Io { path: path.to_path_buf(), source })
    };
    let mut buffer = Vec::new();
    if fill(&mut buffer)? == 0 {
        return Err(DataError::Empty { path: path.to_path_buf(), expected: "events" });
    }
    let format = EventFormat::detect(&buffer, size).map_err(|what| fail(0, what))?;
    let (mut decoder, mut sink, mut at) = (format.decoder(), Sink::default(), 0u64);
    if let (Some(size), Some(record)) = (size, decoder.least_record()) {
        // No more than four times what is there, and only if it is to be had.
        let _ = sink.events.try_reserve_exact(size as usize / record);
    }
    loop {
        let used = decoder
            .decode(&buffer, &mut sink)
            .map_err(|fault| fail(at + fault.offset as u64, format!("{format}: {}", fault.what)))?;
        buffer.drain(..used);
        at += used as u64;
        if fill(&mut buffer)? == 0 {
            break;
        }
    }
    let left = buffer.len();
    match decoder.missing() {
        Some(missing) => {
            return Err(fail(at, format!("{format}: the end is missing: {missing}, {left} bytes there")));
        }
        None if left > 0 => {
            return Err(fail(at, format!("{format}: {left} bytes at the end are no whole event")));
        }
        None => {}
    }
    finish(sink, format).map_err(|what| fail(at, format!("{format}: {what}")))
}

/// Checks the events against the sensor, or finds the smallest.
fn finish(sink: Sink, format: EventFormat) -> Result<Recording, String> {
    let Sink { events, skipped, sensor } = sink;
    let mut events = Events::new(sensor.unwrap_or_default(), events);
    match sensor {
        Some(_) => events.check().map_err(|why| why.to_string())?,
        None => events.sensor = events.extent(),
    }
    Ok(Recording { events, format, sensor_stated: sensor.is_some(), skipped })
}
