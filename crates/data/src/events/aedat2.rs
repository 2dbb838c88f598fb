//! AEDAT 2.0 (jAER): text lines that begin with `#`, then pairs of big-endian words, address and time in µs.
//!
//! | chip | x | y | ON | no event where |
//! |---|---|---|---|---|
//! | DVS128 | bits 1–7 | bits 8–14 | bit 0 is 0 | bit 15 is set |
//! | DAVIS240, 346 | bits 12–21 | bits 22–30 | bit 11 is 1 | bit 31 (frames, motion) or bit 10 (trigger) is set |
//!
//! The chip's axes are not the picture's. jAER shows a DVS128 with x′ = 127 − x, and y from below: y′ = 127 − y from the
//! top. CIFAR10-DVS, as SpikingJelly loads it, takes x′ = 127 − y, y′ = 127 − x. [`Axes`] says which; a header line
//! `# Axes: jAER` or `# Axes: CIFAR10-DVS`, which [`encode`] writes, settles it. A DAVIS is turned by half,
//! x′ = W − 1 − x, y′ = H − 1 − y, as in jAER, v2e and Tonic.
//!
//! The chip is the one that the header's `AEChip` line names; a chip that is not in the table is an error, since its addresses
//! mean something else. Without such a line it is the camera that the caller names, else a DVS128. A time far below the last
//! one means that its 32 bits ran over, every 71.6 minutes.
//!
//! Trap: data whose first byte is 0x23 looks like another header line. Where the header ends is certain only after
//! jAER's line `#End Of ASCII Header`; without it a first address of 0x23…… is misread, which a DVS128 never has.

use super::clock::Clock;
use super::decoder::{Decode, Fault, Sink};
use super::header::{Line, line};
use super::{Axes, Event, Events, ReadOptions, Sensor, SensorFrom};
use crate::error::DataError;

/// The first line.
pub(super) const MAGIC: &[u8] = b"#!AER-DAT2.0";
/// Bytes of an event.
const RECORD: usize = 8;
/// Rows and columns of a DVS128.
const SIDE: usize = 128;

/// The chip whose addresses a recording has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chip {
    Dvs128,
    Davis(Sensor),
}

/// Rows and columns of the DAVIS cameras, by the beginning of their chip's name.
const DAVIS: [(&str, Sensor); 2] =
    [("davis346", Sensor { width: 346, height: 260 }), ("davis240", Sensor { width: 240, height: 180 })];

/// Decodes header and events.
#[derive(Debug)]
pub(super) struct Aedat2 {
    in_header: bool,
    chip: Chip,
    named_by: SensorFrom,
    axes: Axes,
    clock: Clock,
}

impl Decode for Aedat2 {
    fn decode(&mut self, bytes: &[u8], sink: &mut Sink) -> Result<usize, Fault> {
        let mut used = 0;
        while self.in_header {
            match line(&bytes[used..], b"#") {
                Line::Whole(text, len) => {
                    self.header_line(text).map_err(|what| Fault::new(used, what))?;
                    sink.sensor = Some((self.sensor(), self.named_by));
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
            let (address, t) = (word(0), self.clock.time(word(4).into()));
            match self.event(address) {
                Ok(event) => sink.events.push(Event { t, ..event }),
                Err(Some(what)) => sink.skip(what, 1),
                Err(None) => {
                    let what = format!("address 0x{address:08x} is none of a chip of {}", self.sensor());
                    return Err(Fault::new(used + k * RECORD, what + self.hint()));
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
    /// A decoder for a camera and axes, where the header names none.
    pub fn new(options: &ReadOptions) -> Self {
        let davis = DAVIS.iter().map(|(_, sensor)| *sensor).find(|sensor| options.camera == Some(*sensor));
        let given = davis.is_some() || options.camera == Some(Sensor { width: SIDE, height: SIDE });
        Self {
            in_header: true,
            chip: davis.map_or(Chip::Dvs128, Chip::Davis),
            named_by: if given { SensorFrom::Caller } else { SensorFrom::Format },
            axes: options.axes,
            clock: Clock::new(32),
        }
    }

    /// Takes the chip, the axes and the end out of a line.
    fn header_line(&mut self, text: &str) -> Result<(), String> {
        let text = text.trim_start_matches('#').trim();
        if let Some(name) = text.strip_prefix("AEChip:") {
            self.chip = chip(name.trim())?;
            self.named_by = SensorFrom::Recording;
        } else if let Some(name) = text.strip_prefix("Axes:") {
            self.axes = match name.trim() {
                "jAER" => Axes::Jaer,
                "CIFAR10-DVS" => Axes::Cifar10Dvs,
                other => return Err(format!("axes {other:?}, expected jAER or CIFAR10-DVS")),
            };
        }
        self.in_header = text != "End Of ASCII Header";
        Ok(())
    }

    /// The message about an address that no chip has.
    fn hint(&self) -> &'static str {
        match self.named_by {
            SensorFrom::Format => {
                "; the header names no AEChip, so that a DVS128 is assumed: give the camera, --sensor 346x260 or 240x180 \
                 for a DAVIS"
            }
            _ => "",
        }
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
                let (column, row) = (last - bits(1, 7), last - bits(8, 7));
                let (x, y) = match self.axes {
                    Axes::Jaer => (column, row),
                    Axes::Cifar10Dvs => (row, column),
                };
                Ok(Event { t: 0, x, y, on: bits(0, 1) == 0 })
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

/// The chip of a name in jAER's manner, `ch.unizh.ini.jaer.chip.retina.DVS128`.
fn chip(name: &str) -> Result<Chip, String> {
    let class = name.rsplit('.').next().unwrap_or(name).to_ascii_lowercase();
    if class == "dvs128" || class == "tmpdiff128" {
        return Ok(Chip::Dvs128);
    }
    let davis = DAVIS.iter().find(|(prefix, _)| class.starts_with(prefix));
    let known = "DVS128, Tmpdiff128, DAVIS240 and DAVIS346 are known";
    davis.map(|(_, sensor)| Chip::Davis(*sensor)).ok_or_else(|| format!("AEChip {name:?}: {known}"))
}

/// Encodes events as a DVS128's recording, with CIFAR10-DVS's axes, which a line of the header names.
///
/// Errors: a pixel outside 128×128 or a time of 2³² µs or more.
pub fn encode(events: &Events) -> Result<Vec<u8>, DataError> {
    let mut bytes = b"#!AER-DAT2.0\r\n# int32 address, int32 timestamp, big endian\r\n\
        # Timestamps tick: 1 us\r\n# AEChip: DVS128\r\n# Axes: CIFAR10-DVS\r\n#End Of ASCII Header\r\n"
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
