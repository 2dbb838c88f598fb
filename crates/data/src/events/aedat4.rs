//! AEDAT 4 (iniVation DV): a line of text, a header and packets, each a FlatBuffer.
//!
//! ```text
//! "#!AER-DAT4.0\r\n"   size   header: compression, position of the table of packets, description (XML)
//! stream   size   packet …                                the table of packets, which is not needed
//! ```
//! Streams and sizes are little-endian words. A packet is packed as one LZ4 frame, or not at all; unpacked it is again
//! size and FlatBuffer, marked `EVTS` where it holds events of sixteen bytes: t (8, µs), x (2), y (2), ON (1). The
//! description tells each stream's kind and the sensor's size. Packets of other kinds are counted.

use super::decoder::{Decode, Fault, Sink};
use super::flatbuffer::Table;
use super::header::u32_at;
use super::{Event, Sensor, lz4};

/// The first line.
pub(super) const MAGIC: &[u8] = b"#!AER-DAT4.0\r\n";
/// Bytes of an event.
const RECORD: usize = 16;
/// The most that one packet may announce.
const PACKET_LIMIT: usize = 1 << 30;

/// How packets are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    None,
    Lz4,
}

/// Where the decoder stands.
#[derive(Clone, Copy, Debug, Default)]
enum Stage {
    #[default]
    Header,
    /// Packets up to the table of packets, at this offset (0: to the end).
    Packets { compression: Compression, table: u64 },
}

/// Decodes header and packets.
#[derive(Debug, Default)]
pub(super) struct Aedat4 {
    stage: Stage,
    /// Bytes used so far.
    at: u64,
}

impl Decode for Aedat4 {
    fn decode(&mut self, bytes: &[u8], sink: &mut Sink) -> Result<usize, Fault> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            let one = match self.stage {
                Stage::Header => self.header(rest, sink),
                // The table of packets ends the packets; what follows is not needed.
                Stage::Packets { table, .. } if table > 0 && self.at >= table => Ok(rest.len()),
                Stage::Packets { compression, .. } => packet(rest, compression, sink),
            };
            let one = one.map_err(|fault| Fault::new(used + fault.offset, fault.what))?;
            if one == 0 {
                return Ok(used);
            }
            used += one;
            self.at += one as u64;
        }
    }

    fn missing(&self) -> Option<String> {
        match self.stage {
            Stage::Header => Some("a header".into()),
            Stage::Packets { table, .. } if table > self.at => {
                Some(format!("packets up to byte offset {table}, and the table of packets there"))
            }
            Stage::Packets { .. } => None,
        }
    }
}

impl Aedat4 {
    /// Reads the header once it is whole; returns its bytes, 0 where it is not.
    fn header(&mut self, bytes: &[u8], sink: &mut Sink) -> Result<usize, Fault> {
        let start = MAGIC.len() + 4;
        if bytes.len() < start {
            return Ok(0);
        }
        let size = announced(u32_at(bytes, MAGIC.len()), MAGIC.len())?;
        let Some(buffer) = bytes.get(start..start + size) else { return Ok(0) };
        let damaged = || Fault::new(start, "the header's table is damaged");
        let table = Table::root(buffer).ok_or_else(damaged)?;
        let compression = match table.i32(0).ok_or_else(damaged)? {
            0 => Compression::None,
            1 | 2 => Compression::Lz4,
            other => {
                return Err(Fault::new(
                    start,
                    format!("compression {other}, expected 0 (none) or 1, 2 (LZ4)"),
                ));
            }
        };
        let packets = table.i64(1).ok_or_else(damaged)?;
        let text = String::from_utf8_lossy(table.vector(2, 1).ok_or_else(damaged)?);
        sink.sensor = sensor(&text);
        self.stage = Stage::Packets { compression, table: u64::try_from(packets).unwrap_or(0) };
        Ok(start + size)
    }
}

/// A length that a file announces, if it can be.
fn announced(size: u32, offset: usize) -> Result<usize, Fault> {
    match usize::try_from(size) {
        Ok(size) if size <= PACKET_LIMIT => Ok(size),
        _ => Err(Fault::new(offset, format!("{size} bytes announced, at most {PACKET_LIMIT} can be there"))),
    }
}

/// The sensor that the description's stream of events names.
fn sensor(description: &str) -> Option<Sensor> {
    let events = &description[description.find(">EVTS<")?..];
    let number = |key: &str| -> Option<usize> {
        let from = &events[events.find(&format!("key=\"{key}\""))?..];
        let from = &from[from.find('>')? + 1..];
        from[..from.find('<')?].trim().parse().ok()
    };
    Some(Sensor { width: number("sizeX")?, height: number("sizeY")? })
}

/// Reads a packet once it is whole; returns its bytes, 0 where it is not.
fn packet(bytes: &[u8], compression: Compression, sink: &mut Sink) -> Result<usize, Fault> {
    if bytes.len() < 8 {
        return Ok(0);
    }
    let end = 8 + announced(u32_at(bytes, 4), 4)?;
    let Some(packed) = bytes.get(8..end) else { return Ok(0) };
    let unpacked;
    let content = match compression {
        Compression::None => packed,
        Compression::Lz4 => {
            unpacked = lz4::unpack(packed).map_err(|(k, what)| Fault::new(8 + k, what))?;
            &unpacked
        }
    };
    let damaged = || Fault::new(8, "the packet's table is damaged");
    let buffer = content.get(4..).ok_or_else(damaged)?;
    if Table::identifier(buffer).ok_or_else(damaged)? != *b"EVTS" {
        sink.skip("packets of other kinds", 1);
        return Ok(end);
    }
    let table = Table::root(buffer).ok_or_else(damaged)?;
    let records = table.vector(0, RECORD).ok_or_else(damaged)?;
    sink.events.reserve(records.len() / RECORD);
    for record in records.chunks_exact(RECORD) {
        let t = i64::from_le_bytes(std::array::from_fn(|k| record[k]));
        let side = |at: usize| u16::try_from(i16::from_le_bytes([record[at], record[at + 1]]));
        let (Ok(t), Ok(x), Ok(y)) = (u64::try_from(t), side(8), side(10)) else {
            return Err(Fault::new(8, "an event has a negative time or pixel"));
        };
        sink.events.push(Event { t, x, y, on: record[12] != 0 });
    }
    Ok(end)
}
