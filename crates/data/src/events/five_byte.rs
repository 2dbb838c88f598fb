//! N-MNIST's and N-Caltech101's records of five bytes (`.bin`, also `.bs2`).
//!
//! | byte | holds |
//! |---|---|
//! | 0 | x |
//! | 1 | y |
//! | 2, bit 7 | 1: ON |
//! | 2 (low seven bits), 3, 4 | t in µs, high bits first |
//!
//! A record with y = 240 is no event: it says that 8,192 µs are to be added to all times from here on (Orchard et
//! al. 2015). There is no header, so the sensor is not told.

use super::decoder::{Decode, Fault, Sink};
use super::{Event, Events};
use crate::error::DataError;

/// Bytes of a record.
pub(super) const RECORD: usize = 5;
/// The row that marks a record as an overflow of time.
const OVERFLOW_ROW: u8 = 240;
/// Microseconds that an overflow adds.
const OVERFLOW: u64 = 1 << 13;
/// The first time that 23 bits do not hold.
const TIME_LIMIT: u64 = 1 << 23;

/// Decodes the records.
#[derive(Debug, Default)]
pub(super) struct FiveByte {
    /// Microseconds that overflows have added.
    added: u64,
}

impl Decode for FiveByte {
    fn decode(&mut self, bytes: &[u8], sink: &mut Sink) -> Result<usize, Fault> {
        let (records, _) = bytes.as_chunks::<RECORD>();
        for part in records.split_inclusive(|record| record[1] == OVERFLOW_ROW) {
            let (last, before) = part.split_last().expect("a part has a record");
            let added = self.added;
            sink.events.extend(before.iter().map(|record| event(added, record)));
            if last[1] == OVERFLOW_ROW {
                self.added += OVERFLOW;
                sink.skip("overflows of time (counted into the times)", 1);
            } else {
                sink.events.push(event(added, last));
            }
        }
        Ok(records.len() * RECORD)
    }

    fn least_record(&self) -> Option<usize> {
        Some(RECORD)
    }
}

/// The time of a record.
pub(super) fn time(record: &[u8]) -> u64 {
    u64::from(u32::from_be_bytes([0, record[2] & 0x7f, record[3], record[4]]))
}

fn event(added: u64, record: &[u8; RECORD]) -> Event {
    Event { t: added + time(record), x: record[0].into(), y: record[1].into(), on: record[2] & 0x80 != 0 }
}

/// Encodes events as records.
///
/// Errors: a column above 255, row 240 or above, or a time of 8,388,608 µs or more, which the format cannot hold.
pub fn encode(events: &Events) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::with_capacity(RECORD * events.len());
    for &Event { t, x, y, on } in &events.list {
        let (Ok(x), Some(y)) = (u8::try_from(x), u8::try_from(y).ok().filter(|&y| y < OVERFLOW_ROW)) else {
            let found = format!("column {x}, row {y}");
            return Err(DataError::argument("the pixel of a 5-byte event", "one of 256×240", found));
        };
        if t >= TIME_LIMIT {
            let expected = format!("below {TIME_LIMIT} µs");
            return Err(DataError::argument("the time of a 5-byte event", expected, t));
        }
        let [_, high, middle, low] = (t as u32).to_be_bytes();
        bytes.extend([x, y, u8::from(on) << 7 | high, middle, low]);
    }
    Ok(bytes)
}
