//! AEDAT 2.0 (jAER): text lines that begin with `#`, then pairs of big-endian words, address and time in µs.
//!
//! | chip | x | y | ON | no event where |
//! |---|---|---|---|---|
//! | DVS128 | bits 1–7 | bits 8–14 | bit 0 is 0 | bit 15 is set |
//! | DAVIS240, 346 | bits 12–21 | bits 22–30 | bit 11 is 1 | bit 31 (frames, motion) or bit 10 (trigger) is set |
//!
//! The chip's axes are not the picture's. CIFAR10-DVS, as SpikingJelly loads it, takes x′ = 127 − y, y′ = 127 − x,
//! p′ = 1 − p of a DVS128; that is done here for every DVS128 recording. A DAVIS is turned by half, x′ = W − 1 − x,
//! y′ = H − 1 − y, as Tonic does. The chip is the one that the header's `AEChip` line names, else a DVS128.
//!
//! Trap: data whose first byte is 0x23 looks like another header line. Where the header ends is certain only after
//! jAER's line `#End Of ASCII Header`; without it a first address of 0x23…… is misread, which a DVS128 never has.

use super::decoder::{Decode, Fault, Sink};
use super::header::{Line, line};
use super::{Event, Events, Sensor};
use crate::error::DataError;

/// The first line.
pub(super) const MAGIC: &[u8] = b"#!AER-DAT2.0";
/// Bytes of an event.
const RECORD: usize = 8;
/// Rows and columns of a DVS128.
const SIDE: usize = 128;

/// Which chip's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chip {
    Dvs128,
    Davis(Sensor),
}

/// Decodes header and events.
#[derive(Debug)]
pub(super) struct Aedat2 {
    in_header: bool,
    chip: Chip,
}

impl Default for Aedat2 {
    fn default() -> Self {
        Self { in_header: true, chip: Chip::Dvs128 }
    }
}

impl Decode for Aedat2 {
    fn decode(&mut self, bytes: &[u8], sink: &mut Sink) -> Result<usize, Fault> {
        let mut used = 0;
        while self.in_header {
            match line(&bytes[used..], b"#") {
                Line::Whole(text, len) => {
                    self.header_line(text);
                    sink.sensor = Some(self.sensor());
                    used += len;
                }
                Line::Partial => return Ok(used),
                Line::Other => self.in_header = false,
            }
        }
        let records = bytes[used..].chunks_exact(RECORD);
        let end = bytes.len() - records.remainder().len();
        for (k, record) in records.enumerate() {
            let word = |at: usize| u32::from_be_bytes(std::array::from_fn(|k| record[at + k]));
            let (address, t) = (word(0), u64::from(word(4)));
            match self.event(address) {
                Ok(event) => sink.events.push(Event { t, ..event }),
                Err(Some(what)) => sink.skip(what, 1),
                Err(None) => {
                    let Sensor { width, height } = self.sensor();
                    let what = format!("address 0x{address:08x} is none of a chip of {width}×{height}");
                    return Err(Fault::new(used + k * RECORD, what));
                }
            }
        }
        Ok(end)
    }

    fn least_record(&self) -> Option<usize> {
        Some(RECORD)
    }
}

impl Aedat2 {
    fn header_line(&mut self, text: &str) {
        if text.contains("AEChip:") {
            let davis = |width, height| Chip::Davis(Sensor { width, height });
            if text.contains("Davis346") {
                self.chip = davis(346, 260);
            } else if text.contains("Davis240") || text.contains("DAVIS240") {
                self.chip = davis(240, 180);
            }
        }
        self.in_header = !text.contains("End Of ASCII Header");
    }

    fn sensor(&self) -> Sensor {
        match self.chip {
            Chip::Dvs128 => Sensor { width: SIDE, height: SIDE },
            Chip::Davis(sensor) => sensor,
        }
    }

    /// The event of an address; else what it is instead, if it is something.
    fn event(&self, address: u32) -> Result<Event, Option<&'static str>> {
        let bits = |from: u32, count: u32| (address >> from & ((1 << count) - 1)) as u16;
        match self.chip {
            Chip::Dvs128 if address >> 16 != 0 => Err(None),
            Chip::Dvs128 if bits(15, 1) == 1 => Err(Some("special events")),
            Chip::Dvs128 => {
                let last = SIDE as u16 - 1;
                Ok(Event { t: 0, x: last - bits(8, 7), y: last - bits(1, 7), on: bits(0, 1) == 0 })
            }
            Chip::Davis(_) if bits(31, 1) == 1 => Err(Some("samples of frames and motion")),
            Chip::Davis(_) if bits(10, 1) == 1 => Err(Some("external triggers")),
            Chip::Davis(Sensor { width, height }) => {
                let turned = |side: usize, at: u16| (side as u16).checked_sub(1 + at).ok_or(None);
                let (x, y) = (turned(width, bits(12, 10))?, turned(height, bits(22, 9))?);
                Ok(Event { t: 0, x, y, on: bits(11, 1) == 1 })
            }
        }
    }
}

/// Encodes events as a DVS128's recording.
///
/// Errors: a pixel outside 128×128 or a time of 2³² µs or more.
pub fn encode(events: &Events) -> Result<Vec<u8>, DataError> {
    let mut bytes = b"#!AER-DAT2.0\r\n# int32 address, int32 timestamp, big endian\r\n\
        # Timestamps tick: 1 us\r\n# AEChip: DVS128\r\n#End Of ASCII Header\r\n"
        .to_vec();
    for &Event { t, x, y, on } in &events.list {
        if usize::from(x.max(y)) >= SIDE {
            let found = format!("column {x}, row {y}");
            return Err(DataError::argument("the pixel of a DVS128 event", "one of 128×128", found));
        }
        let Ok(t) = u32::try_from(t) else {
            return Err(DataError::argument("the time of an AEDAT 2.0 event", "below 2³² µs", t));
        };
        let last = SIDE as u32 - 1;
        let address = (last - u32::from(x)) << 8 | (last - u32::from(y)) << 1 | u32::from(!on);
        bytes.extend(address.to_be_bytes());
        bytes.extend(t.to_be_bytes());
    }
    Ok(bytes)
}
