//! Prophesee EVT 3.0 (`.raw`): a header of lines, then little-endian words of two bytes.
//!
//! | bits 12–15 | the other bits |
//! |---|---|
//! | 0x0 row | 0–10 y of the changes that follow |
//! | 0x2 change | 0–10 x, 11 ON |
//! | 0x3 base | 0–10 x of the vectors that follow, 11 ON |
//! | 0x4 vector of 12 | a bit for each of twelve pixels from the base, which moves on by 12 |
//! | 0x5 vector of 8 | the same with eight pixels, bits 0–7 |
//! | 0x6 low time | the low twelve bits of t, in µs |
//! | 0x8 high time | the next twelve bits |
//! | 0x7, 0xa, 0xe, 0xf | continued, trigger, other: counted, not used |
//!
//! A high time below the last one by half the range or more means that the 24 bits ran over (every 16.8 s). A new high
//! time sets the low time to 0; a high time said again leaves the low time alone, as in OpenEB. Changes before the first high time, or the first row or base, are counted and left out.

use super::Event;
use super::decoder::{Decode, Fault, Sink};
use super::evt2::UNTIMED;
use super::prophesee::Header;

/// Bytes of a word.
const WORD: usize = 2;
/// Half the range of a high time.
const HALF_TURN: u64 = 1 << 11;

/// Decodes header and words.
#[derive(Debug, Default)]
pub(super) struct Evt3 {
    header: Header,
    /// The last high time, its overflows included, and the low one.
    high: Option<u64>,
    low: u64,
    row: Option<u16>,
    /// x and polarity of the next vector.
    base: Option<(u16, bool)>,
}

impl Decode for Evt3 {
    fn decode(&mut self, bytes: &[u8], sink: &mut Sink) -> Result<usize, Fault> {
        let start = self.header.read(bytes, sink)?;
        if self.header.open {
            return Ok(start);
        }
        let words = bytes[start..].chunks_exact(WORD);
        let end = bytes.len() - words.remainder().len();
        for (k, word) in words.enumerate() {
            let word = u16::from_le_bytes([word[0], word[1]]);
            self.word(word, sink).map_err(|what| Fault::new(start + k * WORD, what))?;
        }
        Ok(end)
    }

    fn missing(&self) -> Option<String> {
        self.header.open.then(|| "words behind the header".into())
    }
}

impl Evt3 {
    fn word(&mut self, word: u16, sink: &mut Sink) -> Result<(), String> {
        let (low, place, flag) = (word & 0xfff, word & 0x7ff, word & 0x800 != 0);
        match word >> 12 {
            0x0 => self.row = Some(place),
            0x2 => self.change(place, flag, sink),
            0x3 => self.base = Some((place, flag)),
            0x4 => self.vector(low, 12, sink)?,
            0x5 => self.vector(low & 0xff, 8, sink)?,
            0x6 => self.low = low.into(),
            0x8 => {
                let turns = self
                    .high
                    .map_or(0, |last| (last >> 12) + u64::from(last & 0xfff >= u64::from(low) + HALF_TURN));
                let high = Some(turns << 12 | u64::from(low));
                if self.high != high {
                    (self.high, self.low) = (high, 0);
                }
            }
            0xa => sink.skip("external triggers", 1),
            0x7 | 0xe | 0xf => sink.skip("other words", 1),
            kind => return Err(format!("word 0x{word:04x} is of the unknown type 0x{kind:x}")),
        }
        Ok(())
    }

    fn change(&self, x: u16, on: bool, sink: &mut Sink) {
        match (self.high, self.row) {
            (Some(high), Some(y)) => sink.events.push(Event { t: high << 12 | self.low, x, y, on }),
            (None, _) => sink.skip(UNTIMED, 1),
            (_, None) => sink.skip("changes before the first row", 1),
        }
    }

    fn vector(&mut self, bits: u16, width: u16, sink: &mut Sink) -> Result<(), String> {
        let Some((x, on)) = self.base else {
            sink.skip("changes before the first base", u64::from(bits.count_ones()));
            return Ok(());
        };
        for k in (0..width).filter(|k| bits >> k & 1 == 1) {
            self.change(x + k, on, sink);
        }
        let next = x + width;
        if next > 0x7ff + width {
            return Err(format!("a vector begins at column {x}, beyond 2047"));
        }
        self.base = Some((next, on));
        Ok(())
    }
}
