//! AEDAT 4 (iniVation DV): a line of text, a header and packets, each a FlatBuffer.
//!
//! ```text
//! "#!AER-DAT4.0\r\n"   size   header: compression, position of the table of packets, description (XML)
//! stream   size   packet …                                the table of packets, which is not needed
//! ```
//! Streams and sizes are little-endian words. A packet is packed as one LZ4 frame, or not at all; unpacked it is again
//! size and FlatBuffer, marked `EVTS` where it holds events of sixteen bytes: t (8, µs), x (2), y (2), ON (1). The
//! description ([`description`](super::description)) tells each stream's kind, name and sensor. One stream of events is read;
//! the events of other streams and packets of other kinds are counted.
//!
//! What does not fit is an error, since a damaged packet without a checksum would else be a packet of another kind, or a
//! shorter one: a mark that is not the described one, a stream that is not described, bytes that are no events in a packet of
//! events, a polarity other than 0 and 1, a table of packets that is not where the header says.

use super::decoder::{Decode, Fault, Sink};
use super::description::streams;
use super::flatbuffer::Table;
use super::header::u32_at;
use super::{Event, ReadOptions, SensorFrom, Stream, lz4};

/// The first line.
pub(super) const MAGIC: &[u8] = b"#!AER-DAT4.0\r\n";
/// Bytes of an event.
const RECORD: usize = 16;
/// The mark of packets of events.
const EVENTS: &str = "EVTS";
/// The most that one packet may announce, and may unpack to.
const PACKET_LIMIT: usize = 1 << 28;
/// The most bytes that a packet of events has beside them: size, mark and table.
const BESIDE: usize = 128;

/// The compression of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    None,
    Lz4,
}

/// The state of the decoder.
#[derive(Clone, Copy, Debug, Default)]
enum Stage {
    #[default]
    Header,
    /// Packets up to the table of packets, at this offset (0: to the end).
    Packets { compression: Compression, table: u64 },
    /// Inside the table of packets, which is not needed.
    Table,
}

/// Decodes header and packets.
#[derive(Debug)]
pub(super) struct Aedat4 {
    stage: Stage,
    /// Bytes used so far.
    at: u64,
    /// The stream that is read; none before the header is read.
    stream: Option<u32>,
}

impl Decode for Aedat4 {
    fn decode(&mut self, bytes: &[u8], sink: &mut Sink) -> Result<usize, Fault> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            let one = match self.stage {
                Stage::Header => self.header(rest, sink),
                Stage::Packets { compression, table } if table > 0 && self.at >= table => {
                    self.table(rest, compression, table)
                }
                Stage::Packets { compression, .. } => self.packet(rest, compression, sink),
                Stage::Table => Ok(rest.len()),
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
            Stage::Packets { table, .. } if table > 0 => {
                Some(format!("packets up to byte offset {table}, and the table of packets there"))
            }
            Stage::Packets { .. } | Stage::Table => None,
        }
    }
}

impl Aedat4 {
    /// A decoder of one stream of events.
    pub fn new(options: &ReadOptions) -> Self {
        Self { stage: Stage::Header, at: 0, stream: options.stream }
    }

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
            3 | 4 => {
                return Err(Fault::new(
                    start,
                    "packets are packed by Zstandard, which is not read; LZ4 and none are",
                ));
            }
            other => {
                return Err(Fault::new(
                    start,
                    format!("compression {other}, expected 0 (none) or 1, 2 (LZ4)"),
                ));
            }
        };
        let packets = table.i64(1).ok_or_else(damaged)?;
        let text = String::from_utf8_lossy(table.vector(2, 1).ok_or_else(damaged)?);
        sink.streams =
            streams(&text).map_err(|what| Fault::new(start, format!("the description: {what}")))?;
        let is_events = |stream: &&Stream| stream.kind == EVENTS;
        self.stream = self.stream.or(sink.streams.iter().find(is_events).map(|stream| stream.number));
        let sensor =
            sink.streams.iter().find(|stream| Some(stream.number) == self.stream).and_then(|s| s.sensor);
        sink.sensor = sensor.map(|sensor| (sensor, SensorFrom::Recording));
        self.stage = Stage::Packets { compression, table: u64::try_from(packets).unwrap_or(0) };
        Ok(start + size)
    }

    /// Reads the beginning of the table of packets, which ends them; returns its bytes, 0 where they are not there.
    fn table(&mut self, bytes: &[u8], compression: Compression, table: u64) -> Result<usize, Fault> {
        if self.at > table {
            let what = format!(
                "the header says that the table of packets is at byte offset {table}, inside a packet"
            );
            return Err(Fault::new(0, what));
        }
        let (at, mark): (usize, &[u8]) = match compression {
            Compression::None => (8, b"FTAB"),
            Compression::Lz4 => (0, &lz4::MAGIC.to_le_bytes()),
        };
        let Some(found) = bytes.get(at..at + 4) else { return Ok(0) };
        if found != mark {
            return Err(Fault::new(0, "no table of packets where the header says that it is"));
        }
        self.stage = Stage::Table;
        Ok(bytes.len())
    }

    /// Reads a packet once it is whole; returns its bytes, 0 where it is not.
    fn packet(&self, bytes: &[u8], compression: Compression, sink: &mut Sink) -> Result<usize, Fault> {
        if bytes.len() < 8 {
            return Ok(0);
        }
        let number = u32_at(bytes, 0);
        let end = 8 + announced(u32_at(bytes, 4), 4)?;
        let Some(packed) = bytes.get(8..end) else { return Ok(0) };
        let unpacked;
        let content = match compression {
            Compression::None => packed,
            Compression::Lz4 => {
                let outcome = lz4::unpack(packed, PACKET_LIMIT);
                unpacked = outcome.map_err(|(k, what)| Fault::new(8 + k, what))?;
                &unpacked
            }
        };
        let damaged = || Fault::new(8, "the packet's table is damaged");
        let buffer = content.get(4..).ok_or_else(damaged)?;
        let mark = Table::identifier(buffer).ok_or_else(damaged)?;
        let Some(stream) = sink.streams.iter_mut().find(|stream| stream.number == number) else {
            return Err(Fault::new(
                0,
                format!("a packet of stream {number}, which the header does not describe"),
            ));
        };
        if mark[..] != *stream.kind.as_bytes() {
            let (mark, kind) = (mark.escape_ascii(), &stream.kind);
            return Err(Fault::new(
                8,
                format!("a packet of stream {number} is marked {mark}, the header says {kind}"),
            ));
        }
        if stream.kind != EVENTS {
            sink.skip("packets of other kinds", 1);
            return Ok(end);
        }
        let table = Table::root(buffer).ok_or_else(damaged)?;
        let records = table.vector(0, RECORD).ok_or_else(damaged)?;
        if buffer.len() - records.len() > BESIDE {
            let (beside, count) = (buffer.len() - records.len(), records.len() / RECORD);
            return Err(Fault::new(
                8,
                format!("the packet says that it holds {count} events, and holds {beside} bytes more"),
            ));
        }
        let count = (records.len() / RECORD) as u64;
        stream.events = Some(stream.events.unwrap_or(0) + count);
        match Some(number) == self.stream {
            true => take(records, sink)?,
            false => sink.skip("events of other streams", count),
        }
        Ok(end)
    }
}

/// A length that a file announces, if it can be.
fn announced(size: u32, offset: usize) -> Result<usize, Fault> {
    match usize::try_from(size) {
        Ok(size) if size <= PACKET_LIMIT => Ok(size),
        _ => Err(Fault::new(offset, format!("{size} bytes announced, at most {PACKET_LIMIT} can be there"))),
    }
}

/// Takes a packet's events.
fn take(records: &[u8], sink: &mut Sink) -> Result<(), Fault> {
    if sink.events.try_reserve(records.len() / RECORD).is_err() {
        return Err(Fault::new(8, format!("no memory for more than {} events", sink.events.len())));
    }
    for record in records.chunks_exact(RECORD) {
        let t = i64::from_le_bytes(std::array::from_fn(|k| record[k]));
        let side = |at: usize| u16::try_from(i16::from_le_bytes([record[at], record[at + 1]]));
        let (Ok(t), Ok(x), Ok(y)) = (u64::try_from(t), side(8), side(10)) else {
            return Err(Fault::new(8, "an event has a negative time or pixel"));
        };
        if record[12] > 1 {
            return Err(Fault::new(8, format!("an event has the polarity {}, expected 0 or 1", record[12])));
        }
        sink.events.push(Event { t, x, y, on: record[12] == 1 });
    }
    Ok(())
}
