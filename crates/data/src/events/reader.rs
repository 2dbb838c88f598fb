//! Reading a recording: format told by the content, decoded while it is read.

use super::decoder::Sink;
use super::{EventFormat, Events, ReadOptions, SensorFrom, Skipped, Stream, five_byte, magic};
use crate::error::DataError;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Bytes read at a time.
const CHUNK: usize = 1 << 18;
/// The most events of a recording: 4 GiB of them.
pub const EVENTS_LIMIT: usize = 1 << 28;
/// The most bytes that are read of a pipe or of a device.
pub const PIPE_LIMIT: u64 = 1 << 32;

/// Holds a recording and the remarks on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// The events, in the order of the file.
    pub events: Events,
    /// The format.
    pub format: EventFormat,
    /// The source of the sensor's size.
    pub sensor_from: SensorFrom,
    /// The streams, in the file's order; empty in formats that have but one.
    pub streams: Vec<Stream>,
    /// The contents that were left out.
    pub skipped: Vec<Skipped>,
}

/// Reads a recording from a file, as [`ReadOptions::read`] does with the default options. Errors as there.
pub fn read(path: &Path) -> Result<Recording, DataError> {
    ReadOptions::default().read(path)
}

/// Reads a recording from memory; `path` is for messages alone. Errors as [`ReadOptions::read`].
///
/// ```
/// let bytes = [3, 4, 0x80, 0, 9, 5, 6, 0, 0, 11];
/// let recording = spikegrad_data::events::decode("a.bin".as_ref(), &bytes)?;
/// assert_eq!(recording.events.len(), 2);
/// assert!(recording.events.list[0].on && recording.events.list[1].t == 11);
/// # Ok::<(), spikegrad_data::DataError>(())
/// ```
pub fn decode(path: &Path, bytes: &[u8]) -> Result<Recording, DataError> {
    ReadOptions::default().decode(path, bytes)
}

/// Reads a recording as it comes, as [`ReadOptions::read_from`] does with the default options. Errors as there.
pub fn read_from(path: &Path, source: impl Read, size: Option<u64>) -> Result<Recording, DataError> {
    ReadOptions::default().read_from(path, source, size)
}

impl ReadOptions {
    /// Reads a recording from a regular file, or from a pipe where `path` is `/dev/stdin` or an open file's (`/dev/fd/63`).
    ///
    /// Errors: [`DataError::Io`], also for a folder, a device, or a named pipe; [`DataError::Empty`];
    /// [`DataError::Recording`] with the byte offset where the format is unknown, a word makes no sense, an event lies outside
    /// the stated sensor, or the end is missing; a file that grows or shrinks meanwhile; more than [`EVENTS_LIMIT`] events; no
    /// such stream.
    pub fn read(&self, path: &Path) -> Result<Recording, DataError> {
        let io = |source| DataError::Io { path: path.to_path_buf(), source };
        let refuse = |what| Err(io(io::Error::new(io::ErrorKind::InvalidInput, what)));
        let kind = std::fs::metadata(path).map_err(io)?;
        let is_open = ["/dev/stdin", "/dev/fd", "/proc/self/fd"].iter().any(|open| path.starts_with(open));
        if kind.is_dir() {
            return refuse("is a folder, not a recording");
        }
        if !kind.is_file() && !is_open {
            return refuse("is a pipe or a device, not a file; pipe its bytes in: spikegrad info - < FILE");
        }
        let file = File::open(path).map_err(io)?;
        self.read_from(path, file, kind.is_file().then_some(kind.len()))
    }

    /// Reads a recording from memory; `path` is for messages alone. Errors as [`read`](Self::read).
    pub fn decode(&self, path: &Path, bytes: &[u8]) -> Result<Recording, DataError> {
        self.read_from(path, bytes, Some(bytes.len() as u64))
    }

    /// Reads a recording as it comes, of `size` bytes if that is known, else of [`PIPE_LIMIT`] at most; `path` is for messages
    /// alone.
    ///
    /// Memory: 16 bytes an event, and for packets as much as came in and what it unpacks to, 256 MiB at most; no length in the
    /// file is trusted with an allocation. Errors as [`read`](Self::read).
    pub fn read_from(
        &self,
        path: &Path,
        mut source: impl Read,
        size: Option<u64>,
    ) -> Result<Recording, DataError> {
        let fail =
            |offset: u64, what: String| DataError::Recording { path: path.to_path_buf(), offset, what };
        let mut fill = |buffer: &mut Vec<u8>| {
            let chunk = source.by_ref().take(CHUNK as u64).read_to_end(buffer);
            chunk.map_err(|source| DataError::Io { path: path.to_path_buf(), source })
        };
        let (mut buffer, mut at) = (Vec::new(), 0u64);
        if fill(&mut buffer)? == 0 {
            return Err(DataError::Empty { path: path.to_path_buf(), expected: "events" });
        }
        let format = detect(path, &buffer, size).map_err(|what| fail(0, what))?;
        let (mut decoder, mut sink) = (format.decoder(self), Sink::default());
        if let (Some(size), Some(record)) = (size, decoder.least_record()) {
            // No more than four times what is there, and only if it is to be had.
            let _ = sink.events.try_reserve_exact((size as usize / record).min(EVENTS_LIMIT));
        }
        loop {
            // Twelve events in two bytes are the most; packets make room for themselves.
            if sink.events.try_reserve(6 * buffer.len().min(CHUNK)).is_err() {
                return Err(fail(
                    at,
                    format!("{format}: no memory for more than {} events", sink.events.len()),
                ));
            }
            let used = decoder
                .decode(&buffer, &mut sink)
                .map_err(|fault| fail(at + fault.offset as u64, format!("{format}: {}", fault.what)))?;
            buffer.drain(..used);
            at += used as u64;
            if sink.events.len() > EVENTS_LIMIT {
                return Err(fail(at, format!("{format}: more than {EVENTS_LIMIT} events")));
            }
            let more = fill(&mut buffer)?;
            check_size(at + buffer.len() as u64, size, more == 0).map_err(|what| fail(at, what))?;
            if more == 0 {
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
        finish(sink, format, self.stream).map_err(|what| fail(at, format!("{format}: {what}")))
    }
}

/// Tells the format; a name that ends as no recording's does is enough to refuse what has no mark of its own.
fn detect(path: &Path, head: &[u8], size: Option<u64>) -> Result<EventFormat, String> {
    let format = EventFormat::detect(head, size)?;
    match magic::foreign_ending(path).filter(|_| format == EventFormat::FiveByte) {
        Some(ending) => {
            Err(format!("no recording: its name ends in .{ending}, and no mark says that it is one"))
        }
        None => Ok(format),
    }
}

/// Tells the format of a file by its beginning, without reading the rest.
///
/// Errors: as [`ReadOptions::read`], as far as the beginning tells.
pub(super) fn identify(path: &Path) -> Result<EventFormat, DataError> {
    let io = |source| DataError::Io { path: path.to_path_buf(), source };
    let kind = std::fs::metadata(path).map_err(io)?;
    if !kind.is_file() {
        return Err(io(io::Error::new(
            io::ErrorKind::InvalidInput,
            "is no file, where recordings are expected",
        )));
    }
    let mut head = Vec::new();
    File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head)).map_err(io)?;
    if head.is_empty() {
        return Err(DataError::Empty { path: path.to_path_buf(), expected: "events" });
    }
    let fail = |what| DataError::Recording { path: path.to_path_buf(), offset: 0, what };
    detect(path, &head, Some(kind.len())).map_err(fail)
}

/// Bytes of a file's beginning that tell its format where the rest is not read.
const HEAD: u64 = 1 << 12;

/// Checks the bytes that came against those that were announced, or against what is read of a pipe.
fn check_size(came: u64, size: Option<u64>, is_end: bool) -> Result<(), String> {
    match size {
        Some(size) if came > size || (is_end && came < size) => {
            Err(format!("{came} bytes came, the file had {size} when it was opened: something writes to it"))
        }
        None if came > PIPE_LIMIT => {
            Err(format!("more than {PIPE_LIMIT} bytes from a pipe; read it from a file"))
        }
        _ => Ok(()),
    }
}

/// Checks the events against the sensor, or finds the smallest; checks that the stream was there.
fn finish(sink: Sink, format: EventFormat, stream: Option<u32>) -> Result<Recording, String> {
    let Sink { events, skipped, sensor, streams } = sink;
    if let Some(number) = stream {
        let known: Vec<String> = streams
            .iter()
            .filter(|s| s.events.is_some() || s.kind == "EVTS")
            .map(|s| s.number.to_string())
            .collect();
        let list = if known.is_empty() {
            "the only one is 0".into()
        } else {
            format!("there are {}", known.join(", "))
        };
        let is_there = if known.is_empty() { number == 0 } else { known.contains(&number.to_string()) };
        if !is_there {
            return Err(format!("no stream {number} of events; {list}"));
        }
    }
    if let Some(what) = five_byte::doubt_events(&events).filter(|_| format == EventFormat::FiveByte) {
        return Err(what);
    }
    let mut events = Events::new(sensor.map(|(sensor, _)| sensor).unwrap_or_default(), events);
    match sensor {
        Some(_) => events.check().map_err(|why| why.to_string())?,
        None => events.sensor = events.extent(),
    }
    let sensor_from = sensor.map_or(SensorFrom::Events, |(_, from)| from);
    Ok(Recording { events, format, sensor_from, streams, skipped })
}
