//! N-MNIST's and N-Caltech101's records of five bytes (`.bin`, also `.bs2`).
//!
//! | byte | holds |
//! |---|---|
//! | 0 | x |
//! | 1 | y |
//! | 2, bit 7 | 1: ON |
//! | 2 (low seven bits), 3, 4 | t in µs, high bits first |
//!
//! No row is above 240. A file of this format has no mark of its own, so the reader refuses what cannot be a camera's: a
//! text, one byte over and over, times out of order, events that repeat themselves. Times that fall by more than half of
//! their 23 bits ran over.
//!
//! A record with y = 240 is no event: it says that 8,192 µs are to be added to all times from here on (Orchard et
//! al. 2015). There is no header, so the sensor is not told.

use super::clock::Clock;
use super::decoder::{Decode, Fault, Sink};
use super::{Event, Events, magic};
use crate::error::DataError;

/// Bytes of a record.
pub(super) const RECORD: usize = 5;
/// The row that marks a record as an overflow of time.
const OVERFLOW_ROW: u8 = 240;
/// Microseconds that an overflow adds.
const OVERFLOW: u64 = 1 << 13;
/// The name of such records.
pub(super) const OVERFLOWS: &str = "overflows of time (counted into the times)";
/// The first time that 23 bits do not hold.
const TIME_LIMIT: u64 = 1 << 23;

/// Bits of a time.
const TIME_BITS: u32 = 23;

/// Decodes the records.
#[derive(Debug)]
pub(super) struct FiveByte {
    /// Microseconds that overflows have added.
    added: u64,
    clock: Clock,
}

impl Default for FiveByte {
    fn default() -> Self {
        Self { added: 0, clock: Clock::new(TIME_BITS) }
    }
}

impl Decode for FiveByte {
    fn decode(&mut self, bytes: &[u8], sink: &mut Sink) -> Result<usize, Fault> {
        let (records, _) = bytes.as_chunks::<RECORD>();
        if let Some(k) = records.iter().position(|record| record[1] > OVERFLOW_ROW) {
            let what = format!("row {}, the format has none above {OVERFLOW_ROW}", records[k][1]);
            return Err(Fault::new(k * RECORD, what));
        }
        for part in records.split_inclusive(|record| record[1] == OVERFLOW_ROW) {
            let (last, before) = part.split_last().expect("a part has a record");
            let added = self.added;
            let mut event = |record: &[u8; RECORD]| Event {
                t: added + self.clock.time(time(record)),
                x: record[0].into(),
                y: record[1].into(),
                on: record[2] & 0x80 != 0,
            };
            sink.events.extend(before.iter().map(&mut event));
            if last[1] == OVERFLOW_ROW {
                self.added += OVERFLOW;
                sink.skip(OVERFLOWS, 1);
            } else {
                sink.events.push(event(last));
            }
        }
        Ok(records.len() * RECORD)
    }

    fn least_record(&self) -> Option<usize> {
        Some(RECORD)
    }
}

/// The time of a record.
fn time(record: &[u8; RECORD]) -> u64 {
    u64::from(u32::from_be_bytes([0, record[2] & 0x7f, record[3], record[4]]))
}

/// The largest share of events, one in so many, that may be earlier than the one before; a few more in long recordings.
const BACKWARD: usize = 50;
/// The largest share of events, one in so many, that may be the same as the one before in place, time and polarity. In
/// real recordings it is up to one in twenty.
const REPEATED: usize = 4;

/// Says why the beginning of a file is no recording of this format, if something tells.
pub(super) fn doubt(head: &[u8]) -> Option<String> {
    let (records, _) = head.as_chunks::<RECORD>();
    if magic::is_text(head) {
        return Some("a text".into());
    }
    if records.is_empty() || head.iter().all(|byte| *byte == head[0]) {
        return Some("nothing but one byte over and over".into());
    }
    let mut sink = Sink::default();
    match FiveByte::default().decode(head, &mut sink) {
        Ok(_) => doubt_events(&sink.events),
        Err(fault) => Some(format!("damaged at byte offset {}: {}", fault.offset, fault.what)),
    }
}

/// Says why these events are those of no camera, if something tells.
pub(super) fn doubt_events(events: &[Event]) -> Option<String> {
    let (count, pairs) = (events.len(), events.windows(2));
    let backward = pairs.clone().filter(|pair| pair[1].t < pair[0].t).count();
    let repeated = pairs.filter(|pair| pair[1] == pair[0]).count();
    if backward > count / BACKWARD + (count / 10).min(2) {
        return Some(format!("out of order: {backward} of {count} times are earlier than the one before"));
    }
    (repeated > count / REPEATED)
        .then(|| format!("no camera's: {repeated} of {count} events are the same as the one before"))
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
