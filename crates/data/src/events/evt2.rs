//! Prophesee EVT 2.0 (`.raw`): a header of lines, then little-endian words of four bytes.
//!
//! | bits 28–31 | the other bits |
//! |---|---|
//! | 0x0 OFF, 0x1 ON | 22–27 low six bits of t, 11–21 x, 0–10 y |
//! | 0x8 time | 0–27: t from bit 6 on, in µs; valid until the next |
//! | 0xa trigger, 0xe other, 0xf continued | counted, not used |
//!
//! Changes before the first word of time are counted and left out: their time is unknown. A time far below the last
//! one means that its 28 bits ran over, 2³⁴ µs later.

use super::decoder::{Decode, Fault, Sink};
use super::header::u32_at;
use super::prophesee::Header;
use super::{Event, Events};
use crate::error::DataError;

/// Bytes of a word.
const WORD: usize = 4;
/// The name of changes without a time.
pub(super) const UNTIMED: &str = "changes before the first time";
/// Half the range of a word of time.
const HALF_TURN: u32 = 1 << 27;

/// Decodes header and words.
#[derive(Debug, Default)]
pub(super) struct Evt2 {
    header: Header,
    /// The last word of time, and how often it ran over.
    high: Option<u32>,
    turns: u64,
}

impl Decode for Evt2 {
    fn decode(&mut self, bytes: &[u8], sink: &mut Sink) -> Result<usize, Fault> {
        let start = self.header.read(bytes, sink)?;
        if self.header.open {
            return Ok(start);
        }
        let words = bytes[start..].chunks_exact(WORD);
        let end = bytes.len() - words.remainder().len();
        let mut base = self.base();
        for (k, word) in words.enumerate() {
            let word = u32_at(word, 0);
            match word >> 28 {
                kind @ 0..=1 => match base {
                    Some(base) => {
                        let t = base | u64::from(word >> 22 & 0x3f);
                        let (x, y) = ((word >> 11 & 0x7ff) as u16, (word & 0x7ff) as u16);
                        sink.events.push(Event { t, x, y, on: kind == 1 });
                    }
                    None => sink.skip(UNTIMED, 1),
                },
                8 => {
                    let high = word & 0x0fff_ffff;
                    self.turns +=
                        u64::from(self.high.is_some_and(|last| last > high.saturating_add(HALF_TURN)));
                    self.high = Some(high);
                    base = self.base();
                }
                0xa => sink.skip("external triggers", 1),
                0xe | 0xf => sink.skip("other words", 1),
                kind => {
                    let what = format!("word 0x{word:08x} is of the unknown type 0x{kind:x}");
                    return Err(Fault::new(start + k * WORD, what));
                }
            }
        }
        Ok(end)
    }

    fn missing(&self) -> Option<String> {
        self.header.open.then(|| "words behind the header".into())
    }

    fn least_record(&self) -> Option<usize> {
        Some(WORD)
    }
}

impl Evt2 {
    /// The time without its low six bits.
    fn base(&self) -> Option<u64> {
        self.high.map(|high| (self.turns << 28 | u64::from(high)) << 6)
    }
}

/// Encodes events in the order of their times.
///
/// Errors: a pixel outside 2048×2048, a time of 2³⁴ µs or more, or one before the event before it.
pub fn encode(events: &Events) -> Result<Vec<u8>, DataError> {
    let (width, height) = (events.sensor.width, events.sensor.height);
    let mut bytes = format!("% evt 2.0\n% geometry {width}x{height}\n% end\n").into_bytes();
    let (mut last, mut high) = (0, None);
    for &Event { t, x, y, on } in &events.list {
        if x.max(y) > 0x7ff {
            let found = format!("column {x}, row {y}");
            return Err(DataError::argument("the pixel of an EVT2 event", "one of 2048×2048", found));
        }
        if t < last || t >> 34 != 0 {
            let expected = format!("from {last} to below 2³⁴ µs");
            return Err(DataError::argument("the time of an EVT2 event", expected, t));
        }
        last = t;
        if high != Some(t >> 6) {
            high = Some(t >> 6);
            bytes.extend((8 << 28 | (t >> 6) as u32).to_le_bytes());
        }
        let word = u32::from(on) << 28 | ((t & 0x3f) as u32) << 22 | u32::from(x) << 11 | u32::from(y);
        bytes.extend(word.to_le_bytes());
    }
    Ok(bytes)
}
