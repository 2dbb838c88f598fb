//! Recordings: hand-made ones of each format, round trips, damage, and real ones.

mod common;

use common::{real, says};
use proptest::prelude::*;
use spikegrad_data::DataError;
use spikegrad_data::events::{
    Axes, Event, EventFormat, Events, ReadOptions, Recording, Sensor, SensorFrom, aedat2, dat, decode, evt2,
    five_byte, labels, read, read_from,
};
use std::path::Path;

fn event(t: u64, x: u16, y: u16, on: bool) -> Event {
    Event { t, x, y, on }
}

fn from(bytes: &[u8]) -> Result<Recording, DataError> {
    decode(Path::new("a file"), bytes)
}

/// A sensor of 34×34, small enough for every format.
const SENSOR: Sensor = Sensor { width: 34, height: 34 };

fn some_events() -> Events {
    let list = vec![
        event(5, 0, 33, true),
        event(70, 33, 0, false),
        event(70, 1, 2, true),
        event(9000, 12, 7, false),
    ];
    Events::new(SENSOR, list)
}

/// Words of two bytes behind an EVT3 header.
fn evt3(words: &[u16]) -> Vec<u8> {
    let mut bytes = b"% evt 3.0\n% geometry 1280x720\n% end\n".to_vec();
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    bytes
}

/// An AEDAT 3.1 file of one packet of another kind and one of `events`, with room for two more.
fn aedat3(events: &[Event], overflows: u32) -> Vec<u8> {
    let mut bytes = b"#!AER-DAT3.1\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n".to_vec();
    let header = |kind: u16, numbers: [u32; 6]| {
        let mut header = kind.to_le_bytes().to_vec();
        header.extend([0, 0]);
        header.extend(numbers.iter().flat_map(|n| n.to_le_bytes()));
        header
    };
    bytes.extend(header(0, [8, 4, 0, 1, 1, 1]));
    bytes.extend([0; 8]);
    let count = events.len() as u32;
    bytes.extend(header(1, [8, 4, overflows, count + 2, count, count]));
    for e in events {
        let data = u32::from(e.x) << 17 | u32::from(e.y) << 2 | u32::from(e.on) << 1 | 1;
        bytes.extend(data.to_le_bytes());
        bytes.extend((e.t as u32).to_le_bytes());
    }
    bytes.extend([0; 16]);
    bytes
}

/// A FlatBuffer of one table with these fields: (offset of the field in the table, its bytes), and a tail behind it.
fn flatbuffer(identifier: &[u8; 4], fields: &[(u16, Vec<u8>)], tail: &[u8]) -> Vec<u8> {
    let size = 4 + fields.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
    let vtable = 8 + 4 + 2 * fields.len();
    let mut buffer = (vtable as u32).to_le_bytes().to_vec();
    buffer.extend(identifier);
    buffer.extend((4 + 2 * fields.len() as u16).to_le_bytes());
    buffer.extend((size as u16).to_le_bytes());
    fields.iter().for_each(|(offset, _)| buffer.extend(offset.to_le_bytes()));
    buffer.extend(((vtable - 8) as i32).to_le_bytes());
    fields.iter().for_each(|(_, bytes)| buffer.extend(bytes));
    buffer.extend(tail);
    let mut sized = (buffer.len() as u32).to_le_bytes().to_vec();
    sized.extend(buffer);
    sized
}

/// An AEDAT 4 file without compression.
fn aedat4(events: &[Event]) -> Vec<u8> {
    let text = br#"<dv version="2.0"><node name="outInfo" path="/outInfo/">
        <node name="0" path="/outInfo/0/"><attr key="typeIdentifier">EVTS</attr>
            <node name="info"><attr key="sizeX" type="int">34</attr><attr key="sizeY" type="int">34</attr></node></node>
        <node name="1" path="/outInfo/1/"><attr key="typeIdentifier">IMUS</attr></node></node></dv>"#;
    let mut tail = (text.len() as u32).to_le_bytes().to_vec();
    tail.extend(text);
    // Compression, position of the table of packets, distance from the third field to the text.
    let fields = [
        (4, 0i32.to_le_bytes().to_vec()),
        (8, (-1i64).to_le_bytes().to_vec()),
        (16, 4u32.to_le_bytes().to_vec()),
    ];
    let mut bytes = b"#!AER-DAT4.0\r\n".to_vec();
    bytes.extend(flatbuffer(b"IOHE", &fields, &tail));
    let mut records = (events.len() as u32).to_le_bytes().to_vec();
    for e in events {
        records.extend((e.t as i64).to_le_bytes());
        records.extend((e.x as i16).to_le_bytes());
        records.extend((e.y as i16).to_le_bytes());
        records.extend([u8::from(e.on), 0, 0, 0]);
    }
    let other = flatbuffer(b"IMUS", &[(4, 4u32.to_le_bytes().to_vec())], &[0; 4]);
    for (stream, packet) in
        [(1u32, other), (0, flatbuffer(b"EVTS", &[(4, 4u32.to_le_bytes().to_vec())], &records))]
    {
        bytes.extend(stream.to_le_bytes());
        bytes.extend((packet.len() as u32).to_le_bytes());
        bytes.extend(packet);
    }
    bytes
}

/// The same events in every format.
fn in_every_format() -> Vec<(EventFormat, Vec<u8>)> {
    let events = some_events();
    let words = [
        0x8000, 0x6005, 0x0021, 0x2800, // t 5: (0, 33) ON
        0x6046, 0x0000, 0x2021, // t 70: (33, 0) OFF
        0x0002, 0x3801, 0x4001, // (1, 2) ON, by a vector
        0x8002, 0x6328, 0x0007, 0x3004, 0x5000,
        0x5001, // t 9000: (12, 7) OFF, in the second vector of eight
    ];
    vec![
        (EventFormat::FiveByte, five_byte::encode(&events).unwrap()),
        (EventFormat::Aedat2, aedat2::encode(&events).unwrap()),
        (EventFormat::Aedat3, aedat3(&events.list, 0)),
        (EventFormat::Aedat4, aedat4(&events.list)),
        (EventFormat::Evt2, evt2::encode(&events).unwrap()),
        (EventFormat::Evt3, evt3(&words)),
        (EventFormat::Dat, dat::encode(&events).unwrap()),
    ]
}

#[test]
fn every_format_is_told_and_read() {
    for (format, bytes) in in_every_format() {
        let recording = from(&bytes).unwrap();
        assert_eq!(recording.format, format);
        assert_eq!(recording.events.list, some_events().list, "{format}");
        let from = match format {
            EventFormat::FiveByte => SensorFrom::Events,
            _ => SensorFrom::Recording,
        };
        assert_eq!(recording.sensor_from, from, "{format}");
    }
}

#[test]
fn five_byte_records_are_the_published_ones() {
    // The first two records of a published N-MNIST recording.
    let recording = from(&[0x07, 0x0f, 0x80, 0x02, 0x8e, 0x13, 0x12, 0x00, 0x0b, 0xb7]).unwrap();
    assert_eq!(recording.events.list, [event(654, 7, 15, true), event(2999, 19, 18, false)]);
    assert_eq!(recording.events.sensor, Sensor { width: 20, height: 19 });
}

#[test]
fn row_240_adds_time() {
    let mut bytes = vec![1, 2, 0, 0, 100];
    bytes.extend([0, 240, 0, 0, 0]);
    bytes.extend([1, 2, 0x80, 0, 50]);
    let recording = from(&bytes).unwrap();
    assert_eq!(recording.events.list, [event(100, 1, 2, false), event(8192 + 50, 1, 2, true)]);
    assert_eq!((recording.skipped[0].count, recording.skipped.len()), (1, 1));
}

/// jAER's DVS128: x = 127 − c with flipx, y = r from below, so 127 − r from above; CIFAR10-DVS: x = 127 − r, y = 127 − c.
#[test]
fn a_dvs128_is_turned_as_its_set_or_its_header_says() {
    // Address 0x1402: bits 1–7 hold 1, bits 8–14 hold 20, bit 0 holds 0.
    let mut bytes = b"#!AER-DAT2.0\r\n#End Of ASCII Header\r\n".to_vec();
    bytes.extend([0, 0, 0x14, 0x02, 0, 0, 1, 0]);
    bytes.extend([0, 0, 0x80, 0x00, 0, 0, 1, 1]);
    let recording = from(&bytes).unwrap();
    assert_eq!(recording.events.list, [event(256, 127 - 1, 127 - 20, true)]);
    assert_eq!(recording.skipped[0].to_string(), "1 special events");
    assert_eq!(recording.sensor_from, SensorFrom::Format);
    let cifar = ReadOptions { axes: Axes::Cifar10Dvs, ..ReadOptions::default() };
    let turned = cifar.decode(Path::new("a file"), &bytes).unwrap();
    assert_eq!(turned.events.list, [event(256, 127 - 20, 127 - 1, true)]);
    for (line, place) in [("jAER", (126, 107)), ("CIFAR10-DVS", (107, 126))] {
        let mut said = format!("#!AER-DAT2.0\r\n# AEChip: DVS128\r\n# Axes: {line}\r\n").into_bytes();
        said.extend([0, 0, 0x14, 0x02, 0, 0, 1, 0]);
        for options in [ReadOptions::default(), cifar] {
            let recording = options.decode(Path::new("a file"), &said).unwrap();
            assert_eq!(recording.events.list, [event(256, place.0, place.1, true)], "{line}");
            assert_eq!(recording.sensor_from, SensorFrom::Recording);
        }
    }
    says(from(b"#!AER-DAT2.0\r\n# Axes: mine\r\n"), &["byte offset 14", "mine", "jAER or CIFAR10-DVS"]);
    bytes.extend([0, 1, 0, 0, 0, 0, 1, 1]);
    says(from(&bytes), &["a file: byte offset 52", "address 0x00010000"]);
}

#[test]
fn a_davis_is_turned_and_its_frames_are_left_out() {
    let mut bytes = b"#!AER-DAT2.0\r\n# AEChip: eu.seebetter.ini.chips.davis.Davis346red\r\n".to_vec();
    let mut add = |address: u32, t: u32| bytes.extend([address.to_be_bytes(), t.to_be_bytes()].concat());
    add(10 << 22 | 20 << 12 | 1 << 11, 7);
    add(1 << 31 | 5, 8);
    add(1 << 10, 9);
    let recording = from(&bytes).unwrap();
    assert_eq!(recording.events.list, [event(7, 345 - 20, 259 - 10, true)]);
    assert_eq!(recording.events.sensor, Sensor { width: 346, height: 260 });
    assert_eq!(recording.skipped.iter().map(|skipped| skipped.count).collect::<Vec<_>>(), [1, 1]);
    bytes.extend([(300u32 << 22).to_be_bytes(), [0; 4]].concat());
    says(from(&bytes), &["AEDAT 2.0", "is none of"]);
}

#[test]
fn evt2_words_without_a_time_are_counted() {
    let words: [u32; 8] = [
        0x1000_0000, // no time yet
        0x8000_0010, // 16·64
        0x1040_0803, // +1: (1, 3) ON
        0xa000_0000, // a trigger
        0x8fff_ffff,
        0x0000_0000, // (0, 0) OFF at the end of the range
        0x8000_0001, // ran over
        0x0000_0000,
    ];
    let mut bytes = b"% evt 2.0\n".to_vec();
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    let recording = from(&bytes).unwrap();
    let want = [
        event(1025, 1, 3, true),
        event(0x0fff_ffff << 6, 0, 0, false),
        event((0x1000_0001u64) << 6, 0, 0, false),
    ];
    assert_eq!(recording.events.list, want);
    let skipped: Vec<_> = recording.skipped.iter().map(ToString::to_string).collect();
    assert_eq!(skipped, ["1 changes before the first time", "1 external triggers"]);
    bytes.extend(0x2000_0000u32.to_le_bytes());
    says(from(&bytes), &["byte offset 42", "word 0x20000000", "unknown type 0x2"]);
}

#[test]
fn evt3_times_run_over_and_vectors_move_on() {
    let words = [
        0x2005, // no time yet
        0x8fff, 0x2005, // no row yet
        0x0003, 0x6001, 0x2805, // (5, 3) ON
        0x3010, 0x4801, 0x4002, // vectors from column 16: 16, 27, then 28 + 1
        0x8000, 0x2006, // ran over: 2²⁴, low time 0
        0xe000, 0x7123,
    ];
    let recording = from(&evt3(&words)).unwrap();
    let t = 0xfff << 12 | 1;
    let want = [
        event(t, 5, 3, true),
        event(t, 16, 3, false),
        event(t, 27, 3, false),
        event(t, 29, 3, false),
        event(1 << 24, 6, 3, false),
    ];
    assert_eq!(recording.events.list, want);
    let skipped: Vec<_> = recording.skipped.iter().map(ToString::to_string).collect();
    assert_eq!(
        skipped,
        ["1 changes before the first time", "1 changes before the first row", "2 other words"]
    );
    says(from(&evt3(&[0x8000, 0x0000, 0x2500])), &["column 1280, row 0", "1280×720"]);
    says(from(&evt3(&[0x1000])), &["byte offset 36", "unknown type 0x1"]);
    let endless: Vec<u16> = [0x8000, 0x0000, 0x37ff].into_iter().chain([0x4000; 20]).collect();
    says(from(&evt3(&endless)), &["beyond 2047"]);
}

#[test]
fn aedat3_adds_overflows_and_passes_over_other_packets() {
    let recording = from(&aedat3(&[event(5, 127, 0, true)], 2)).unwrap();
    assert_eq!(recording.events.list, [event((2 << 31) + 5, 127, 0, true)]);
    assert_eq!(recording.events.sensor, Sensor { width: 128, height: 128 });
    assert_eq!(recording.skipped[0].to_string(), "1 events of other kinds");
    says(from(&aedat3(&[event(5, 128, 0, true)], 0)), &["column 128"]);
}

#[test]
fn labels_cut_a_recording() {
    let table = "class,start,end\n3,5,71\n\n1,71,9001\n";
    let labels = labels::parse(Path::new("l.csv"), table).unwrap();
    let events = some_events();
    let parts: Vec<usize> = labels.iter().map(|label| labels::cut(&events, label).len()).collect();
    assert_eq!((labels[0].class, parts), (3, vec![3, 1]));
    // The end is excluded: of the two events at 70 and the one at 5, one lies before 70.
    let before = labels::parse(Path::new("l.csv"), "1,5,70\n").unwrap();
    assert_eq!(labels::cut(&events, &before[0]).list, [event(5, 0, 33, true)]);
    // A table without titles loses no label.
    let untitled = labels::parse(Path::new("l.csv"), "3,5,71\n1,71,9001\n").unwrap();
    assert_eq!(untitled, labels);
    says(labels::parse(Path::new("l.csv"), "3,5,x\n"), &["l.csv", "line 1"]);
    for bad in ["class,start,end\n1,2\n", "t\n1,9,9\n", "t\n1,x,9\n", "t\n-1,2,9\n"] {
        says(labels::parse(Path::new("l.csv"), bad), &["l.csv", "line 2"]);
    }
}

#[test]
fn writers_refuse_what_their_format_cannot_hold() {
    let one = |t, x, y| Events::new(SENSOR, vec![event(t, x, y, true)]);
    for (t, x, y) in [(1 << 23, 0, 0), (0, 256, 0), (0, 0, 240)] {
        assert!(five_byte::encode(&one(t, x, y)).is_err());
    }
    assert!(aedat2::encode(&one(0, 128, 0)).is_err() && aedat2::encode(&one(1 << 32, 0, 0)).is_err());
    assert!(evt2::encode(&one(0, 2048, 0)).is_err() && evt2::encode(&one(1 << 34, 0, 0)).is_err());
    assert!(dat::encode(&one(0, 0, 1 << 14)).is_err() && dat::encode(&one(1 << 32, 0, 0)).is_err());
    let backward = Events::new(SENSOR, vec![event(9, 0, 0, true), event(8, 0, 0, true)]);
    says(evt2::encode(&backward), &["is 8", "from 9"]);
}

/// Events on a sensor of `side`, with rising times below `last`.
fn events(side: u16, last: u64) -> impl Strategy<Value = Events> {
    let one = (0..last, 0..side, 0..side, any::<bool>()).prop_map(|(t, x, y, on)| event(t, x, y, on));
    prop::collection::vec(one, 1..400).prop_map(move |mut list| {
        list.sort_by_key(|event| event.t);
        Events::new(Sensor { width: side.into(), height: side.into() }, list)
    })
}

/// The format, and its bytes of these events.
type Written = (EventFormat, Result<Vec<u8>, DataError>);

fn assert_round_trip(events: &Events, written: Written) {
    let (format, bytes) = (written.0, written.1.unwrap());
    let recording = from(&bytes).unwrap();
    assert_eq!((recording.format, recording.skipped.len()), (format, 0));
    assert_eq!(recording.events.list, events.list);
    assert!(
        recording.sensor_from != SensorFrom::Recording || recording.events.sensor == events.sensor,
        "{format}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn five_bytes_come_back(events in events(240, 1 << 23)) {
        assert_round_trip(&events, (EventFormat::FiveByte, five_byte::encode(&events)));
    }

    #[test]
    fn aedat2_comes_back(events in events(128, 1 << 32)) {
        assert_round_trip(&events, (EventFormat::Aedat2, aedat2::encode(&events)));
    }

    #[test]
    fn evt2_comes_back(events in events(2048, 1 << 34)) {
        assert_round_trip(&events, (EventFormat::Evt2, evt2::encode(&events)));
    }

    #[test]
    fn dat_comes_back(events in events(1 << 14, 1 << 32)) {
        assert_round_trip(&events, (EventFormat::Dat, dat::encode(&events)));
    }

    /// Damaged recordings are read or refused, in any format, and hold no more than their bytes can unpack to.
    #[test]
    fn flipped_bytes_do_no_harm(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        for (format, mut bytes) in in_every_format() {
            for (at, byte) in &flips {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            match from(&bytes) {
                Ok(recording) => assert!(recording.events.len() <= 12 * bytes.len(), "{format}"),
                Err(error) => assert!(!error.to_string().contains('\n'), "{format}: {error}"),
            }
        }
    }

    /// Bytes of no format.
    #[test]
    fn noise_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = from(&bytes);
        for (_, mut start) in in_every_format() {
            start.truncate(start.len() / 2);
            start.extend(&bytes);
            let _ = from(&start);
        }
    }

    /// Whatever sizes the pieces come in, the recording is the same.
    #[test]
    fn pieces_change_nothing(size in 1usize..9) {
        struct Pieces<'a>(&'a [u8], usize);
        impl std::io::Read for Pieces<'_> {
            fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
                let count = self.1.min(self.0.len()).min(into.len());
                let (now, rest) = self.0.split_at(count);
                into[..count].copy_from_slice(now);
                self.0 = rest;
                Ok(count)
            }
        }
        for (format, bytes) in in_every_format() {
            let pieces = read_from(Path::new("a file"), Pieces(&bytes, size), None).unwrap();
            assert_eq!(pieces, from(&bytes).unwrap(), "{format}");
        }
    }
}

/// Every beginning of every format is refused, or is a shorter recording.
#[test]
fn cut_off_recordings_are_errors_or_shorter() {
    for (format, bytes) in in_every_format() {
        let whole = from(&bytes).unwrap();
        for end in 0..bytes.len() {
            match from(&bytes[..end]) {
                Ok(cut) => {
                    let count = cut.events.len();
                    assert!(count <= whole.events.len(), "{format} {end}");
                    assert_eq!(cut.events.list, whole.events.list[..count], "{format} {end}");
                }
                Err(error) => assert!(error.to_string().starts_with("a file: "), "{format} {end}: {error}"),
            }
        }
    }
    // Cuts inside the last event are all told.
    for (bytes, record) in
        [(five_byte::encode(&some_events()).unwrap(), 5), (dat::encode(&some_events()).unwrap(), 8)]
    {
        for cut in 1..record {
            says(from(&bytes[..bytes.len() - cut]), &["a file: "]);
        }
    }
}

#[test]
fn lengths_that_cannot_be_are_refused_without_memory() {
    let mut bytes = b"#!AER-DAT4.0\r\n".to_vec();
    bytes.extend(u32::MAX.to_le_bytes());
    bytes.extend([0; 40]);
    says(from(&bytes), &["AEDAT 4", "4294967295 bytes announced"]);
    // A packet of 2³² − 1 events of 2³² − 1 bytes, which are not there.
    let mut bytes = b"#!AER-DAT3.1\r\n#!END-HEADER\r\n".to_vec();
    bytes.extend([0, 0, 0, 0]);
    bytes.extend([0xff; 24]);
    says(from(&bytes), &["AEDAT 3.1", "the end is missing", "more bytes of a packet"]);
    let mut bytes = aedat4(&[event(1, 2, 3, true)]);
    let at = bytes.len() - 20;
    bytes[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    says(from(&bytes), &["the packet's table is damaged"]);
}

#[test]
fn what_is_no_recording_is_refused() {
    says(from(b""), &["holds nothing"]);
    says(from(b"#!AER-DAT1.0\r\n"), &["no AEDAT of version"]);
    says(from(b"% evt 2.1\n% end\n"), &["evt 2.1", "EVT 2.0 and 3.0 are known"]);
    says(from(b"% a text\n% end\nxyz"), &["no DAT events"]);
    says(from(&[9, 8, 9]), &["no known beginning"]);
    let falling: Vec<u8> = (0..200u8).flat_map(|k| [1, 1, 0, 200 - k, 0]).collect();
    says(from(&falling), &["199 of 200 times are earlier"]);
    says(read(Path::new("/nowhere/at all")), &["/nowhere/at all"]);
    says(read(Path::new("/")), &["/: is a folder"]);
}

/// Real recordings: how many events, on which sensor, over how many milliseconds, and how many steps back in time.
#[test]
fn real_recordings() {
    let Some(folder) = real("events") else { return };
    let rows = [
        ("expelliarmus_evt2_sample.raw", EventFormat::Evt2, 539_481, (600, 476)),
        ("tonic_sample.aedat4", EventFormat::Aedat4, 111_954, (320, 240)),
        ("tonic_sample_aedat_header.aedat", EventFormat::Aedat2, 0, (346, 260)),
        ("tonic_sample_ncars.dat", EventFormat::Dat, 2009, (78, 42)),
        ("tonic_sample_nmnist.bin", EventFormat::FiveByte, 4325, (34, 34)),
        ("gesture/01_hand_clapping.bs2", EventFormat::FiveByte, 63_471, (128, 128)),
        ("gesture/02_right_hand_wave.bs2", EventFormat::FiveByte, 84_260, (128, 128)),
        ("gesture/03_left_hand_wave.bs2", EventFormat::FiveByte, 113_063, (128, 128)),
    ];
    for (name, format, count, (width, height)) in rows {
        let recording = read(&folder.join(name)).unwrap();
        let events = &recording.events;
        println!(
            "{name}: {} events, {:?}, {} µs, {} backward, {:?}",
            events.len(),
            events.sensor,
            events.duration(),
            events.disorder(),
            recording.skipped
        );
        assert_eq!((recording.format, events.len()), (format, count), "{name}");
        assert_eq!(events.sensor, Sensor { width, height }, "{name}");
        assert_eq!(events.disorder(), 0, "{name}");
    }
}
