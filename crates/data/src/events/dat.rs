//! Prophesee DAT (`.dat`; N-CARS): a header of lines, two bytes (type and size of an event), then events of eight.
//!
//! | bytes | holds, little endian |
//! |---|---|
//! | 0–3 | t in µs |
//! | 4–7 | bits 0–13 x, 14–27 y, 28 ON |
//!
//! A time far below the last one means that its 32 bits ran over, every 71.6 minutes. Types 0x00 (two-dimensional) and 0x0c (changes) are read, 0x0e (triggers) is refused. N-CARS names no sensor.

use super::clock::Clock;
use super::decoder::{Decode, Fault, Sink};
use super::header::u32_at;
use super::prophesee::Header;
use super::{Event, Events};
use crate::error::DataError;

/// Bytes of an event.
const RECORD: usize = 8;
/// The types that hold changes.
const TYPES: [u8; 2] = [0x00, 0x0c];

/// Tells whether these two bytes announce changes.
pub(super) fn announces_changes(bytes: [u8; 2]) -> bool {
    TYPES.contains(&bytes[0]) && usize::from(bytes[1]) == RECORD
}

/// Decodes header and events.
#[derive(Debug)]
pub(super) struct Dat {
    header: Header,
    announced: bool,
    clock: Clock,
}

impl Default for Dat {
    fn default() -> Self {
        Self { header: Header::default(), announced: false, clock: Clock::new(32) }
    }
}

impl Decode for Dat {
    fn decode(&mut self, bytes: &[u8], sink: &mut Sink) -> Result<usize, Fault> {
        let mut start = self.header.read(bytes, sink)?;
        if self.header.open {
            return Ok(start);
        }
        if !self.announced {
            let &[kind, size, ..] = &bytes[start..] else { return Ok(start) };
            if !announces_changes([kind, size]) {
                let what =
                    format!("events of type 0x{kind:02x} and {size} bytes, expected 0x00 or 0x0c and 8");
                return Err(Fault::new(start, what));
            }
            self.announced = true;
            start += 2;
        }
        let records = bytes[start..].chunks_exact(RECORD);
        let end = bytes.len() - records.remainder().len();
        sink.events.extend(records.map(|record| {
            let (t, data) = (u32_at(record, 0), u32_at(record, 4));
            let (x, y) = ((data & 0x3fff) as u16, (data >> 14 & 0x3fff) as u16);
            Event { t: self.clock.time(t.into()), x, y, on: data >> 28 & 1 == 1 }
        }));
        Ok(end)
    }

    fn missing(&self) -> Option<String> {
        (!self.announced).then(|| "type and size of the events".into())
    }

    fn least_record(&self) -> Option<usize> {
        Some(RECORD)
    }
}

/// Encodes events.
///
/// Errors: a pixel outside 16384×16384 or a time of 2³² µs or more.
pub fn encode(events: &Events) -> Result<Vec<u8>, DataError> {
    let (width, height) = (events.sensor.width, events.sensor.height);
    let mut bytes =
        format!("% Data file containing CD events.\n% Version 2\n% Height {height}\n% Width {width}\n")
            .into_bytes();
    bytes.extend([TYPES[1], RECORD as u8]);
    for &Event { t, x, y, on } in &events.list {
        if x.max(y) > 0x3fff {
            let found = format!("column {x}, row {y}");
            return Err(DataError::argument("the pixel of a DAT event", "one of 16384×16384", found));
        }
        let Ok(t) = u32::try_from(t) else {
            return Err(DataError::argument("the time of a DAT event", "below 2³² µs", t));
        };
        bytes.extend(t.to_le_bytes());
        bytes.extend((u32::from(on) << 28 | u32::from(y) << 14 | u32::from(x)).to_le_bytes());
    }
    Ok(bytes)
}
