//! Recordings in packets, AEDAT 3.1 and 4: streams, and what is damaged in them.

mod common;

use common::says;
use spikegrad_data::DataError;
use spikegrad_data::events::{Event, ReadOptions, Recording, Sensor, SensorFrom, decode};
use std::path::Path;

fn from(bytes: &[u8]) -> Result<Recording, DataError> {
    decode(Path::new("a file"), bytes)
}

fn times(recording: &Recording) -> Vec<u64> {
    recording.events.list.iter().map(|event| event.t).collect()
}

/// A FlatBuffer behind its size, as AEDAT 4 has them: one table of one vector of `records`, with a mark.
fn packet(stream: u32, mark: &[u8; 4], records: &[u8], count: u32) -> Vec<u8> {
    let mut buffer = 16u32.to_le_bytes().to_vec();
    buffer.extend(mark);
    buffer.extend([0, 0, 6, 0, 8, 0, 4, 0]);
    buffer.extend(6u32.to_le_bytes());
    buffer.extend(4u32.to_le_bytes());
    buffer.extend(count.to_le_bytes());
    buffer.extend(records);
    let mut bytes = stream.to_le_bytes().to_vec();
    bytes.extend((buffer.len() as u32 + 4).to_le_bytes());
    bytes.extend((buffer.len() as u32).to_le_bytes());
    bytes.extend(buffer);
    bytes
}

fn record(t: i64, x: i16, polarity: u8) -> Vec<u8> {
    [&t.to_le_bytes()[..], &x.to_le_bytes(), &7i16.to_le_bytes(), &[polarity, 0, 0, 0]].concat()
}

/// An AEDAT 4 file with two streams of events, 0 and 3, and one of frames, 1, without compression.
fn aedat4(packets: &[Vec<u8>]) -> Vec<u8> {
    let stream = |number: u32, kind: &str, name: &str, side: u32| {
        format!(
            "<node name=\"{number}\" path=\"/x\"><attr key=\"originalOutputName\">{name}</attr><attr \
             key=\"typeIdentifier\">{kind}</attr><node name=\"info\"><attr key=\"sizeX\">{side}</attr><attr \
             key=\"sizeY\">20</attr></node></node>"
        )
    };
    let text = format!(
        "<dv><node name=\"outInfo\">{}{}{}</node></dv>",
        stream(1, "FRME", "frames", 5),
        stream(0, "EVTS", "events", 40),
        stream(3, "EVTS", "filtered", 30)
    );
    let mut header = 20u32.to_le_bytes().to_vec();
    header.extend(b"IOHE");
    header.extend([0, 0, 10, 0, 16, 0, 0, 0, 0, 0, 4, 0]);
    header.extend(10u32.to_le_bytes());
    header.extend(4u32.to_le_bytes());
    header.extend((text.len() as u32).to_le_bytes());
    header.extend(text.as_bytes());
    let mut bytes = b"#!AER-DAT4.0\r\n".to_vec();
    bytes.extend((header.len() as u32).to_le_bytes());
    bytes.extend(header);
    packets.iter().for_each(|packet| bytes.extend(packet));
    bytes
}

fn two_streams() -> Vec<Vec<u8>> {
    vec![
        packet(3, b"EVTS", &[record(1, 2, 1), record(4, 2, 0)].concat(), 2),
        packet(1, b"FRME", &[0; 40], 1),
        packet(0, b"EVTS", &[record(2, 39, 1), record(3, 4, 0), record(5, 4, 1)].concat(), 3),
    ]
}

#[test]
fn one_stream_of_several_is_read() {
    let bytes = aedat4(&two_streams());
    let with = |stream| ReadOptions { stream, ..ReadOptions::default() }.decode(Path::new("a file"), &bytes);
    let first = with(None).unwrap();
    assert_eq!((times(&first), first.events.sensor), (vec![2, 3, 5], Sensor { width: 40, height: 20 }));
    let listed: Vec<_> = first.streams.iter().map(|s| (s.number, s.name.as_str(), s.events)).collect();
    assert_eq!(listed, [(1, "frames", None), (0, "events", Some(3)), (3, "filtered", Some(2))]);
    let left_out: Vec<String> = first.skipped.iter().map(ToString::to_string).collect();
    assert_eq!(left_out, ["2 events of other streams", "1 packets of other kinds"]);
    let other = with(Some(3)).unwrap();
    assert_eq!((times(&other), other.events.sensor.width), (vec![1, 4], 30));
    says(with(Some(1)), &["no stream 1 of events", "there are 0, 3"]);
    says(with(Some(9)), &["no stream 9 of events", "there are 0, 3"]);
    // Formats without streams have stream 0 alone.
    let five = [3, 4, 0x80, 0, 9];
    let with = |stream| ReadOptions { stream, ..ReadOptions::default() }.decode(Path::new("a file"), &five);
    assert_eq!(with(Some(0)).unwrap().events.len(), 1);
    says(with(Some(1)), &["no stream 1 of events", "the only one is 0"]);
}

#[test]
fn one_source_of_aedat3_is_read() {
    let packet = |source: u16, times: &[u32]| {
        let mut bytes = [1u16.to_le_bytes(), source.to_le_bytes()].concat();
        let count = times.len() as u32;
        [8, 4, 0, count, count, count].iter().for_each(|n: &u32| bytes.extend(n.to_le_bytes()));
        times.iter().for_each(|t| bytes.extend([(5u32 << 17 | 1).to_le_bytes(), t.to_le_bytes()].concat()));
        bytes
    };
    let mut bytes = b"#!AER-DAT3.1\r\n#Source 1: DVS128\r\n#Source 2: DAVIS240C\r\n#!END-HEADER\r\n".to_vec();
    [packet(2, &[7, 8]), packet(1, &[3]), packet(2, &[9])].iter().for_each(|packet| bytes.extend(packet));
    let with = |stream| ReadOptions { stream, ..ReadOptions::default() }.decode(Path::new("a file"), &bytes);
    let first = with(None).unwrap();
    assert_eq!((times(&first), first.events.sensor), (vec![7, 8, 9], Sensor { width: 240, height: 180 }));
    assert_eq!(first.skipped[0].to_string(), "1 events of other streams");
    let other = with(Some(1)).unwrap();
    assert_eq!((times(&other), other.events.sensor.width), (vec![3], 128));
    assert_eq!(other.streams.iter().map(|s| s.events).collect::<Vec<_>>(), [Some(1), Some(3)]);
    says(with(Some(4)), &["no stream 4", "1, 2"]);
}

/// A packet of four places with two events in it, one of them marked invalid; the room behind holds what looks like events.
#[test]
fn aedat3_counts_invalid_events_and_passes_over_the_room() {
    let mut bytes = b"#!AER-DAT3.1\r\n#!END-HEADER\r\n".to_vec();
    bytes.extend([1, 0, 0, 0]);
    [8u32, 4, 0, 4, 2, 1].iter().for_each(|n| bytes.extend(n.to_le_bytes()));
    for (data, t) in [(6u32 << 17, 1u32), (7 << 17 | 1, 2), (8 << 17 | 1, 3), (9 << 17 | 1, 4)] {
        bytes.extend([data.to_le_bytes(), t.to_le_bytes()].concat());
    }
    let recording = from(&bytes).unwrap();
    assert_eq!(recording.events.list, [Event { t: 2, x: 7, y: 0, on: false }]);
    assert_eq!(
        recording.skipped.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["1 events marked invalid"]
    );
    assert_eq!(recording.sensor_from, SensorFrom::Events);
}

/// The header says where the table of packets is, and the packets must end there.
#[test]
fn the_table_of_packets_is_where_the_header_says() {
    let packets = two_streams();
    let plain = aedat4(&packets);
    let start = plain.len() - packets.iter().map(Vec::len).sum::<usize>();
    let with_table = |at: u64| {
        let mut bytes = plain.clone();
        // The header's second field: its place in the table is 4 bytes after the third's.
        bytes[34..36].copy_from_slice(&8u16.to_le_bytes());
        let table = 18 + 20;
        bytes.splice(table + 8..table + 8, at.to_le_bytes());
        let size = u32::from_le_bytes(bytes[14..18].try_into().unwrap()) + 8;
        bytes[14..18].copy_from_slice(&size.to_le_bytes());
        let text = table + 4;
        bytes[text..text + 4].copy_from_slice(&12u32.to_le_bytes());
        bytes
    };
    let end = plain.len() as u64 + 8;
    let table = [20u32.to_le_bytes(), 16u32.to_le_bytes(), *b"FTAB", [0; 4], [0; 4], [0; 4]].concat();
    let whole = |at: u64, tail: &[u8]| from(&[&with_table(at)[..], tail].concat());
    assert_eq!(whole(end, &table).unwrap().events.len(), 3);
    says(whole(end, b"12345678FTXB"), &["no table of packets where the header says"]);
    says(whole(end, b""), &["the end is missing", &format!("byte offset {end}")]);
    says(whole(end - 5, &table), &[&format!("byte offset {}", end - 5), "inside a packet"]);
    // After the first packet: the others would be lost without a word.
    says(whole(start as u64 + 8 + packets[0].len() as u64, &table), &["no table of packets where"]);
}

#[test]
fn damaged_packets_of_aedat4_are_told() {
    let good = packet(0, b"EVTS", &[record(2, 39, 1), record(3, 4, 0)].concat(), 2);
    let broken = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut packet = good.clone();
        change(&mut packet);
        from(&aedat4(&[packet]))
    };
    assert_eq!(broken(&|_| ()).unwrap().events.len(), 2);
    says(broken(&|p| p[17] ^= 0x20), &["stream 0 is marked EvTS", "the header says EVTS"]);
    says(broken(&|p| p[16..20].copy_from_slice(b"IMUS")), &["marked IMUS"]);
    says(broken(&|p| p[0] = 5), &["stream 5", "does not describe"]);
    says(broken(&|p| p[0] = 1), &["stream 1 is marked EVTS", "the header says FRME"]);
    // Fewer events than there are, by its count or by its table, would be lost without a word.
    let long = |count| packet(0, b"EVTS", &record(2, 39, 1).repeat(20), count);
    says(from(&aedat4(&[long(3)])), &["holds 3 events", "bytes more"]);
    assert_eq!(from(&aedat4(&[long(20)])).unwrap().events.len(), 20);
    let mut absent = long(20);
    absent[26..28].copy_from_slice(&[0, 0]);
    says(from(&aedat4(&[absent])), &["holds 0 events"]);
    says(broken(&|p| p[52] = 7), &["polarity 7"]);
    says(broken(&|p| p[47] = 0x80), &["negative time"]);
    let mut header = aedat4(&two_streams());
    let at = header.windows(4).position(|w| w == b"EVTS").unwrap();
    header[at] = b'X';
    says(from(&header), &["marked EVTS", "the header says XVTS"]);
}

#[test]
fn sizes_that_no_sensor_has_are_refused() {
    for size in ["-0", "0 ", "x1", "  "] {
        let mut bytes = aedat4(&two_streams());
        let at = bytes.windows(13).position(|w| w == b"\"sizeX\">40</a").unwrap();
        bytes[at + 8..at + 10].copy_from_slice(size.as_bytes());
        says(from(&bytes), &["AEDAT 4", "1 to 65536", size.trim()]);
    }
}
