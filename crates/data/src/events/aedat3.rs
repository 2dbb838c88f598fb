//! AEDAT 3.1 (cAER; DVS128 Gesture): text lines to `#!END-HEADER`, then packets, little endian.
//!
//! A packet's header has 28 bytes: type and source (two bytes each), then size of an event, offset of the time in
//! it, overflows of time, capacity, number, valid (four each). `capacity` events follow. Packets of type 1 hold
//! polarity events of eight bytes: bit 0 valid, bit 1 ON, bits 2–16 y, bits 17–31 x, then the time; the whole time is
//! overflows·2³¹ + time, in µs. Other packets are passed over. DVS128 Gesture cuts its recordings by a table of
//! labels: [`labels`](super::labels).
//!
//! The packets of a source are a stream of events of their own: one source's are read, the others' are counted. A header line
//! `#Source 1: DVS128` names a source.

use super::decoder::{Decode, Fault, Sink};
use super::header::{Line, line, u32_at};
use super::{Event, ReadOptions, Sensor, SensorFrom, Stream};

/// The first line's beginning.
pub(super) const MAGIC: &[u8] = b"#!AER-DAT3.1";
/// Bytes of a packet's header.
const HEADER: usize = 28;
/// The type of packets with polarity events, and the size of one.
const POLARITY: (u16, u64) = (1, 8);

/// A packet under way.
#[derive(Clone, Copy, Debug)]
struct Packet {
    is_polarity: bool,
    source: u32,
    /// Bytes still to come.
    left: u64,
    overflows: u64,
    /// Events still to be taken; the rest is room.
    events: u64,
}

/// Decodes header and packets.
#[derive(Debug)]
pub(super) struct Aedat3 {
    in_header: bool,
    packet: Option<Packet>,
    /// The source that is read; none: the first that has events.
    source: Option<u32>,
}

/// The cameras whose size is known, by the beginning of a source's name.
const CAMERAS: [(&str, Sensor); 3] = [
    ("DVS128", Sensor { width: 128, height: 128 }),
    ("DAVIS240", Sensor { width: 240, height: 180 }),
    ("DAVIS346", Sensor { width: 346, height: 260 }),
];

impl Decode for Aedat3 {
    fn decode(&mut self, bytes: &[u8], sink: &mut Sink) -> Result<usize, Fault> {
        let mut used = 0;
        while self.in_header {
            match line(&bytes[used..], b"#") {
                Line::Whole(text, len) => {
                    sink.streams.extend(source(text));
                    self.in_header = !text.starts_with("#!END-HEADER");
                    used += len;
                }
                Line::Partial => return Ok(used),
                Line::Other => return Err(Fault::new(used, "the header has no line #!END-HEADER")),
            }
        }
        loop {
            let rest = &bytes[used..];
            match &mut self.packet {
                Some(packet) if packet.is_other(self.source) => {
                    let count = packet.pass(rest);
                    used += count;
                    if packet.left > 0 {
                        return Ok(used);
                    }
                    self.packet = None;
                }
                Some(packet) => {
                    let taken = packet.take(rest, sink).map_err(|f| Fault::new(used + f.offset, f.what))?;
                    used += taken;
                    if packet.left > 0 {
                        return Ok(used);
                    }
                    self.packet = None;
                }
                None if rest.len() < HEADER => return Ok(used),
                None => {
                    let packet = Packet::begin(rest, sink).map_err(|what| Fault::new(used, what))?;
                    if packet.is_polarity {
                        self.choose(packet, sink);
                    }
                    self.packet = Some(packet);
                    used += HEADER;
                }
            }
        }
    }

    fn missing(&self) -> Option<String> {
        match self.packet {
            _ if self.in_header => Some("a header that ends with #!END-HEADER".into()),
            Some(Packet { left, .. }) => Some(format!("{left} more bytes of a packet")),
            None => None,
        }
    }
}

impl Aedat3 {
    /// A decoder of one source's events.
    pub fn new(options: &ReadOptions) -> Self {
        Self { in_header: true, packet: None, source: options.stream }
    }

    /// Counts a packet's events for its source, and takes the first source where none is asked for.
    fn choose(&mut self, packet: Packet, sink: &mut Sink) {
        let chosen = *self.source.get_or_insert(packet.source);
        // Some writers number their only source otherwise in the header than in the packets.
        if let [only] = &mut sink.streams[..]
            && only.events.is_none()
        {
            only.number = packet.source;
        }
        let stream = sink.stream(packet.source);
        stream.events = Some(stream.events.unwrap_or(0) + packet.events);
        stream.kind = "polarity".into();
        match stream.sensor.filter(|_| packet.source == chosen) {
            Some(sensor) => sink.sensor = Some((sensor, SensorFrom::Recording)),
            None if packet.source != chosen => sink.skip("events of other streams", packet.events),
            None => {}
        }
    }
}

/// The source that a header line names, if it is such a line: `#Source 1: DVS128`.
fn source(text: &str) -> Option<Stream> {
    let (number, name) = text.strip_prefix("#Source ")?.split_once(':')?;
    let (number, name) = (number.trim().parse().ok()?, name.trim().to_string());
    let sensor = CAMERAS.iter().find(|(camera, _)| name.starts_with(camera)).map(|(_, sensor)| *sensor);
    Some(Stream { number, name, sensor, ..Stream::default() })
}

impl Packet {
    /// Tells whether the packet holds something else than the events of `chosen`.
    fn is_other(&self, chosen: Option<u32>) -> bool {
        !self.is_polarity || chosen != Some(self.source)
    }

    /// Passes over the bytes of the packet that are there; returns their number.
    fn pass(&mut self, bytes: &[u8]) -> usize {
        let there = (bytes.len() as u64).min(self.left) as usize;
        self.left -= there as u64;
        there
    }

    /// Reads a header.
    fn begin(bytes: &[u8], sink: &mut Sink) -> Result<Self, String> {
        let [kind, source] = [0, 2].map(|at| u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        let [size, offset, overflows, capacity, number] =
            [4, 8, 12, 16, 20].map(|at| u64::from(u32_at(bytes, at)));
        if number > capacity {
            return Err(format!("the packet holds {number} events, its capacity is {capacity}"));
        }
        let is_polarity = kind == POLARITY.0;
        if is_polarity && (size, offset) != (POLARITY.1, 4) {
            return Err(format!(
                "polarity events have {size} bytes and the time at {offset}, expected 8 and 4"
            ));
        }
        if !is_polarity {
            sink.skip("events of other kinds", number);
        }
        Ok(Self { is_polarity, source: source.into(), left: size * capacity, overflows, events: number })
    }

    /// Takes the events that there are of the packet; returns the bytes used.
    fn take(&mut self, bytes: &[u8], sink: &mut Sink) -> Result<usize, Fault> {
        let used = (bytes.len() as u64).min(self.left) as usize / 8 * 8;
        self.left -= used as u64;
        for record in bytes[..used].chunks_exact(8) {
            if self.events == 0 {
                break;
            }
            self.events -= 1;
            let (data, t) = (u32_at(record, 0), u32_at(record, 4));
            if data & 1 == 0 {
                sink.skip("events marked invalid", 1);
                continue;
            }
            let (x, y) = ((data >> 17) as u16, (data >> 2 & 0x7fff) as u16);
            sink.events.push(Event { t: self.overflows << 31 | u64::from(t), x, y, on: data & 2 != 0 });
        }
        Ok(used)
    }
}
