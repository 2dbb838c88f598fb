//! Recordings and files that people have, and that once were read wrongly: each against a value worked out by hand.

mod common;

use common::{TempDir, real, says};
use spikegrad_data::events::{
    Event, EventFormat, EventSplit, Events, Fit, FrameConfig, FrameOptions, FrameSet, NUMBERS_LIMIT, Origin,
    ReadOptions, Recording, Resample, Sample, Sensor, SensorFrom, Slicing, Tally, Values, decode, five_byte,
    read,
};
use spikegrad_data::{DataError, Source};
use std::path::{Path, PathBuf};

fn from(bytes: &[u8]) -> Result<Recording, DataError> {
    decode(Path::new("a file"), bytes)
}

fn times(recording: &Recording) -> Vec<u64> {
    recording.events.list.iter().map(|event| event.t).collect()
}

/// An AEDAT 2.0 file of events at these times, with these header lines.
fn aedat2(lines: &str, times: &[u32]) -> Vec<u8> {
    let mut bytes = format!("#!AER-DAT2.0\r\n{lines}#End Of ASCII Header\r\n").into_bytes();
    times.iter().for_each(|t| bytes.extend([[0, 0, 2, 4], t.to_be_bytes()].concat()));
    bytes
}

fn dat(lines: &str, times: &[u32]) -> Vec<u8> {
    let mut bytes = format!("% Version 2\n{lines}").into_bytes();
    bytes.extend([0x0c, 8]);
    times.iter().for_each(|t| bytes.extend([t.to_le_bytes(), [3, 0x40, 0, 0]].concat()));
    bytes
}

#[test]
fn times_past_32_bits_go_on() {
    let readings = [u32::MAX - 1, 2, u32::MAX, 16, 1 << 31, 0x9000_0000, 5];
    let turn = 1u64 << 32;
    // The third is late: it belongs to the turn before.
    let want = [turn - 2, turn + 2, turn - 1, turn + 16, turn + (1 << 31), turn + 0x9000_0000, 2 * turn + 5];
    for bytes in [aedat2("# AEChip: DVS128\r\n", &readings), dat("", &readings)] {
        let recording = from(&bytes).unwrap();
        assert_eq!(times(&recording), want, "{}", recording.format);
        assert_eq!(recording.events.duration(), turn + 7);
    }
    // Five bytes an event have 23 bits.
    let five = |t: u32| [1, 1, (t >> 16) as u8, (t >> 8) as u8, t as u8];
    let bytes: Vec<u8> = (0..40).map(|k| (0x7f_fff0 + k) & 0x7f_ffff).flat_map(five).collect();
    assert_eq!(times(&from(&bytes).unwrap()), (0x7f_fff0..0x7f_fff0 + 40).collect::<Vec<u64>>());
}

#[test]
fn chips_that_are_not_known_are_named() {
    for chip in
        ["ch.unizh.ini.jaer.chip.retina.DVS640", "com.sec.dvs.SecDvs640Gen2", "eu.seebetter.SBret10", ""]
    {
        let bytes = aedat2(&format!("# AEChip: {chip}\r\n"), &[1]);
        says(from(&bytes), &["byte offset 14", "AEChip", chip, "DVS128", "DAVIS346"]);
    }
    for (chip, width) in [
        ("ch.unizh.ini.jaer.chip.retina.DVS128", 128),
        ("ch.unizh.ini.jaer.chip.retina.Tmpdiff128", 128),
        ("eu.seebetter.ini.chips.davis.DAVIS240C", 240),
        ("eu.seebetter.ini.chips.davis.Davis346blue", 346),
    ] {
        let recording = from(&aedat2(&format!("# AEChip: {chip}\r\n"), &[])).unwrap();
        assert_eq!((recording.events.sensor.width, recording.sensor_from), (width, SensorFrom::Recording));
    }
}

/// v2e writes DAVIS addresses and names no chip.
#[test]
fn a_camera_is_named_where_the_header_names_none() {
    let mut bytes = b"#!AER-DAT2.0\r\n# created by AEDat2Output in v2e\r\n".to_vec();
    bytes.extend([(250u32 << 22 | 300 << 12 | 1 << 11).to_be_bytes(), 9u32.to_be_bytes()].concat());
    says(from(&bytes), &["byte offset 48", "is none of", "names no AEChip", "--sensor 346x260"]);
    let with = |width, height| ReadOptions { camera: Some(Sensor { width, height }), ..Default::default() };
    let recording = with(346, 260).decode(Path::new("a file"), &bytes).unwrap();
    assert_eq!(recording.events.list, [Event { t: 9, x: 345 - 300, y: 259 - 250, on: true }]);
    assert_eq!(recording.sensor_from, SensorFrom::Caller);
    says(with(240, 180).decode(Path::new("a file"), &bytes), &["240x180"]);
}

#[test]
fn what_is_no_recording_is_named() {
    let mut refused = 0;
    let mut refuse = |bytes: &[u8], word: &str| {
        says(from(bytes), &["no recording", word]);
        refused += 1;
    };
    for length in [5, 10, 5000, 300_000] {
        for byte in [0, 1, 0x20, 0x80, 0xff] {
            refuse(&vec![byte; length], "");
        }
    }
    for text in
        ["abcde12345", "{\"lr\": 0.1, \"b\": [1, 2]}\n", "notes: café at 10", "a,b\n1,2\n3,4\n0,1\n\n"]
    {
        let padded = format!("{text}{}", " ".repeat(10 - text.len() % 5));
        refuse(padded.as_bytes(), "a text");
    }
    let binary: [(&[u8], &str); 12] = [
        (b"\x89PNG\r\n\x1a\n\0\0", "a PNG image"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG image"),
        (b"PK\x03\x04\x14\0\0\0\x08\0", "a ZIP archive"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03", "gzip"),
        (b"\x28\xb5\x2f\xfd\x04\0\0\0\0\0", "Zstandard"),
        (b"\x93NUMPY\x01\0\x76\0", "NumPy"),
        (b"\x89HDF\r\n\x1a\n\0\0", "HDF5"),
        (b"\x10\0\0\0\0\0\0\0{\"a\":{}}    ", "safetensors"),
        (b"\x7fELF\x02\x01\x01\0\0\0", "a program"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0", "OLE"),
        (b"%PDF-1.7\n%", "a PDF"),
        (b"#!events.txt\n# x", "text of events"),
    ];
    binary.iter().for_each(|(bytes, word)| refuse(bytes, word));
    // Rows that the format does not have, at the beginning and far behind it.
    refuse(&[1, 241, 0, 0, 1], "row 241");
    let event = |k: u32| [(k % 30) as u8, 9, (k >> 16) as u8, (k >> 8) as u8, k as u8];
    let good: Vec<u8> = (0..100_000).flat_map(event).collect();
    assert_eq!(from(&good).unwrap().events.len(), 100_000);
    let mut late = good.clone();
    late[450_001] = 255;
    says(from(&late), &["byte offset 450000", "row 255"]);
    // A download whose end is still zeros.
    let mut hole = good;
    hole[300_000..].fill(0);
    says(from(&hole), &["events are the same as the one before"]);
    println!("{refused} refused");
}

/// The first event of a recording may lie on any pixel, also on one whose two bytes begin another format.
#[test]
fn no_first_pixel_makes_another_format() {
    for x in 0..=255 {
        for y in 0..240 {
            let bytes = [x, y, 0x80, 0, 40, 9, 9, 0, b'{', b'"'];
            let recording = from(&bytes).unwrap_or_else(|why| panic!("({x}, {y}): {why}"));
            assert_eq!((recording.format, recording.events.len()), (EventFormat::FiveByte, 2), "({x}, {y})");
        }
    }
}

/// Bytes of chance are no recording once there are a few of them.
#[test]
fn noise_is_no_recording() {
    let mut rng = spikegrad_data::rng::Rng::new(7);
    for length in (50..2000).step_by(50) {
        let bytes: Vec<u8> = (0..length).map(|_| rng.below(256) as u8).collect();
        assert!(from(&bytes).is_err(), "{length} bytes");
    }
}

#[test]
fn names_tell_where_bytes_do_not() {
    let folder = TempDir::new();
    let bytes = [3, 4, 0x80, 0, 9, 5, 6, 0, 0, 11];
    for name in ["model.pt", "a.JSON", "x.npy", "notes.txt"] {
        says(read(&folder.write(name, &bytes)), &[name, "its name ends in"]);
    }
    for name in ["a.bin", "b.bs2", "c", "d.dat", "e.0001"] {
        assert_eq!(read(&folder.write(name, &bytes)).unwrap().events.len(), 2, "{name}");
    }
}

/// Two classes of `count` recordings of three events.
fn classes(folder: &TempDir, count: usize) {
    for class in ["a", "b"] {
        std::fs::create_dir_all(folder.path().join(class)).unwrap();
        for k in 0..count {
            folder.write(
                &format!("{class}/{k}.bin"),
                &[1, k as u8, 0, 0, 1, 2, 3, 0x80, 0, 2, 33, 33, 0, 0, 3],
            );
        }
    }
}

fn list(folder: &TempDir) -> Result<EventSplit, DataError> {
    Source::Events(folder.path().to_path_buf()).list_events(0)
}

#[test]
fn what_is_no_recording_in_a_class_is_named() {
    let folder = TempDir::new();
    classes(&folder, 2);
    folder.write("README.md", b"beside the classes");
    folder.write("a/.DS_Store", b"hidden");
    assert_eq!(list(&folder).unwrap().train.len(), 2);
    for (name, bytes) in
        [("notes.txt", &b"abcde"[..]), ("cover.png", b"\x89PNG\r\n\x1a\n"), ("empty.bin", b"")]
    {
        let path = folder.write(&format!("b/{name}"), bytes);
        says(list(&folder), &[&format!("b/{name}")]);
        std::fs::remove_file(path).unwrap();
    }
    std::fs::create_dir(folder.path().join("b/more")).unwrap();
    says(list(&folder), &["b/more", "is no file"]);
    std::fs::remove_dir(folder.path().join("b/more")).unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/nowhere", folder.path().join("b/link")).unwrap();
        says(list(&folder), &["b/link"]);
    }
}

#[test]
fn small_classes_keep_a_recording_to_test_on() {
    // ⌈0.9·n⌉, but at most n − 1, train.
    for (count, train) in [(1, 1), (2, 1), (3, 2), (9, 8), (10, 9), (11, 10), (21, 19)] {
        let folder = TempDir::new();
        classes(&folder, count);
        let split = list(&folder).unwrap();
        assert_eq!((split.train.len(), split.test.len()), (2 * train, 2 * (count - train)), "{count}");
    }
}

#[test]
fn events_outside_are_counted_and_the_count_is_kept() {
    let (folder, cache) = (TempDir::new(), TempDir::new());
    classes(&folder, 3);
    folder.write("a/0.bin", &[1, 1, 0, 0, 1, 200, 3, 0, 0, 2, 3, 200, 0, 0, 3, 0, 240, 0, 0, 0]);
    let split = list(&folder).unwrap();
    let all: Vec<Sample> = split.train.into_iter().chain(split.test).collect();
    let size = Sensor { width: 34, height: 34 };
    let config = FrameConfig {
        steps: 1,
        slicing: Slicing::Count,
        values: Values::Counts,
        size,
        resample: Resample::Nearest,
    };
    let load = |strict: bool| {
        let fit = Fit { sensor: Some(size), strict, ..Fit::default() };
        let options = FrameOptions { config, fit, augment: Default::default(), cache: Some(cache.path()) };
        FrameSet::load(&all, vec!["a".into(), "b".into()], &options)
    };
    let want = Tally { disordered: 0, outside: 2, left_out: 0 };
    for cached in [0, 6] {
        let set = load(false).unwrap();
        assert_eq!((set.cached, set.tally), (cached, want));
        let mut frames = vec![0.0; config.len()];
        let mut sums: Vec<f32> = Vec::new();
        for k in 0..set.len() {
            set.frames(k, &mut frames);
            sums.push(frames.iter().sum());
        }
        sums.sort_by(f32::total_cmp);
        assert_eq!(sums, [1.0, 3.0, 3.0, 3.0, 3.0, 3.0]);
    }
    says(load(true), &["a/0.bin", "column 200", "34×34"]);
}

#[test]
fn sensors_that_cannot_be_are_refused() {
    for line in [
        "geometry 99999999999x99999999999",
        "geometry 65537x10",
        "geometry 0x10",
        "geometry 640",
        "geometry -1x10",
        "geometry 640x480x3",
        "format EVT3;width=x;height=480",
        "format EVT3;height=99999999999999999999999;width=3",
    ] {
        let bytes = format!("% evt 3.0\n% {line}\n% end\n").into_bytes();
        says(from(&bytes), &["EVT 3.0", "byte offset 10", "1 to 65536"]);
    }
    says(from(b"% evt 3.0\n% format EVT3;width=640\n% end\n"), &["one side of the sensor alone"]);
    says(from(&dat("% Width 70000\n% Height 5\n", &[])), &["DAT", "1 to 65536"]);
    assert_eq!(from(b"% evt 3.0\n% geometry 65536x1\n% end\n").unwrap().events.sensor.width, 65_536);
}

#[test]
fn frames_that_cannot_be_are_refused_without_memory() {
    let config = |steps, width, height| FrameConfig {
        steps,
        slicing: Slicing::Count,
        values: Values::Counts,
        size: Sensor { width, height },
        resample: Resample::Nearest,
    };
    for (steps, width, height) in [
        (usize::MAX, 3, 3),
        (1, usize::MAX, 2),
        (0, 3, 3),
        (1, 0, 3),
        (1 << 20, 65_536, 65_536),
        (2, 1 << 12, 4097),
    ] {
        let options = FrameOptions {
            config: config(steps, width, height),
            fit: Fit::default(),
            augment: Default::default(),
            cache: None,
        };
        says(FrameSet::load(&[], vec![], &options), &["67108864", "--frame-size"]);
    }
    assert_eq!(config(2, 1 << 12, 1 << 12).len(), NUMBERS_LIMIT);
    config(2, 1 << 12, 1 << 12).check().unwrap();
    // As many recordings as no memory holds.
    let sample = Sample { label: 0, origin: Origin::Memory(Events::default().into()) };
    let options = FrameOptions {
        config: config(2, 1 << 12, 1 << 12),
        fit: Fit::default(),
        augment: Default::default(),
        cache: None,
    };
    says(FrameSet::load(&vec![sample; 1025], vec![], &options), &["all frames", "68719476736"]);
}

/// The reading of a file that another program cuts meanwhile.
#[test]
fn a_recording_that_changes_while_it_is_read_is_told() {
    let events = (0..2000).map(|k| Event { t: k, x: (k % 30) as u16, y: 3, on: true }).collect();
    let bytes = five_byte::encode(&Events::new(Sensor { width: 34, height: 34 }, events)).unwrap();
    let options = ReadOptions::default();
    let cut = |there: usize, size: u64| options.read_from(Path::new("a file"), &bytes[..there], Some(size));
    assert_eq!(cut(10_000, 10_000).unwrap().events.len(), 2000);
    says(cut(5000, 10_000), &["5000 bytes came", "10000", "something writes to it"]);
    says(cut(10_000, 5000), &["10000 bytes came", "5000"]);
    // Where the size is not known, what came is what there is.
    assert_eq!(options.read_from(Path::new("a pipe"), &bytes[..5000], None).unwrap().events.len(), 1000);
}

/// Pipes and devices: refused by name before they are opened, since opening a pipe waits for a writer.
#[cfg(unix)]
#[test]
fn pipes_and_devices_are_no_files() {
    let folder = TempDir::new();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    says(read(&pipe), &["pipe", "not a file"]);
    says(read(Path::new("/dev/zero")), &["/dev/zero", "not a file"]);
    classes(&folder, 1);
    std::fs::rename(&pipe, folder.path().join("a/pipe")).unwrap();
    says(list(&folder), &["a/pipe", "is no file"]);
    std::fs::rename(folder.path().join("a/pipe"), folder.path().join("data_batch_1.bin")).unwrap();
    let cifar = |name: &str| format!("{name}:{}", folder.path().display()).parse::<Source>().unwrap().load(0);
    says(cifar("cifar10"), &["data_batch_1.bin", "not a regular file"]);
    std::os::unix::fs::symlink("/dev/zero", folder.path().join("train-images-idx3-ubyte")).unwrap();
    folder.write("train-labels-idx1-ubyte", &[0]);
    says(cifar("mnist"), &["train-images-idx3-ubyte", "not a regular file"]);
    std::os::unix::fs::symlink("/dev/zero", folder.path().join("labels.csv")).unwrap();
    says(
        spikegrad_data::events::labels::read(&folder.path().join("labels.csv")),
        &["labels.csv", "not a regular file"],
    );
    // A file of 3 GiB that is not there, but for its length.
    let huge = std::fs::File::create(folder.path().join("train.bin")).unwrap();
    huge.set_len(3 << 30).unwrap();
    says(cifar("cifar100"), &["train.bin", "3221225472 bytes, at most 2147483648"]);
}

#[test]
fn names_cannot_command_a_terminal() {
    let path = PathBuf::from("a\u{1b}[31m\nb\u{202e}.bin");
    let message = decode(&path, b"").unwrap_err().to_string();
    assert_eq!(message, "a\\u{1b}[31m\\u{a}b\\u{202e}.bin: holds nothing (0), expected events");
    let chip = from(&aedat2("# AEChip: \u{7}\u{9b}x\r\n", &[1])).unwrap_err().to_string();
    assert!(!chip.contains(|c: char| c.is_control()), "{chip:?}");
    let unknown = "\u{1b}c".parse::<Source>().unwrap_err().to_string();
    assert!(!unknown.contains('\u{1b}'), "{unknown:?}");
}

#[test]
fn evt3_keeps_the_low_time_where_the_high_is_said_again() {
    let decode = |words: &[u16]| {
        let mut bytes = b"% evt 3.0\n% end\n".to_vec();
        words.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        times(&from(&bytes).unwrap())
    };
    // High 1, low 100, an event, high 1 again, an event; then high 2, whose low time is 0.
    let words = [0x8001, 0x6064, 0x0001, 0x2801, 0x8001, 0x2802, 0x8002, 0x2803];
    assert_eq!(decode(&words), [4196, 4196, 8192]);
    // A fall of the high time by half its range is a turn, one less is none.
    assert_eq!(decode(&[0x0001, 0x8801, 0x2801, 0x8001, 0x2801]), [0x80_1000, 0x100_1000]);
    assert_eq!(decode(&[0x0001, 0x8800, 0x2801, 0x8001, 0x2801]), [0x80_0000, 0x1000]);
}

/// Recordings that other programs wrote, against the events that they were given.
#[test]
fn recordings_of_other_programs() {
    let Some(folder) = real("files-people-have") else { return };
    let array = |name: &str| -> Vec<Event> {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        let start = 10 + usize::from(bytes[8]) + 256 * usize::from(bytes[9]);
        let numbers: Vec<i64> =
            bytes[start..].chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap())).collect();
        let event =
            |row: &[i64]| Event { t: row[0] as u64, x: row[1] as u16, y: row[2] as u16, on: row[3] == 1 };
        numbers.chunks_exact(4).map(event).collect()
    };
    let dv = array("dv_none.aedat4.npy");
    assert_eq!(read(&folder.join("dv_none.aedat4")).unwrap().events.list, dv);
    assert_eq!(read(&folder.join("dv_two_streams.aedat4")).unwrap().events.list, dv);
    let second = ReadOptions { stream: Some(1), ..Default::default() };
    assert_eq!(second.read(&folder.join("dv_two_streams.aedat4")).unwrap().events.len(), 500);
    assert_eq!(read(&folder.join("eu_EVT2.raw")).unwrap().events.list, array("eu_EVT21.raw.npy"));
    let davis = Sensor { width: 346, height: 260 };
    let v2e =
        ReadOptions { camera: Some(davis), ..Default::default() }.read(&folder.join("v2e_346x260.aedat"));
    assert_eq!(v2e.unwrap().events.list, array("v2e_346x260.aedat.npy"));
    let wrapped = read(&folder.join("hostile/a2_wrap32.aedat")).unwrap();
    assert_eq!(wrapped.events.duration(), 18);
    let brace = read(&folder.join("hostile/five_brace")).unwrap();
    assert_eq!((brace.format, brace.events.len()), (EventFormat::FiveByte, 3));
    for (name, word) in [
        ("a2_dvs640.aedat", "DVS640"),
        ("a4_flip.aedat4", "marked"),
        ("e3_geo_big.raw", "65536"),
        ("text10", "a text"),
        ("zeros5000", "over and over"),
    ] {
        says(read(&folder.join("hostile").join(name)), &[name, word]);
    }
    for name in [
        "dv_zstd.aedat4",
        "eu.csv",
        "eu.h5",
        "eu.npz",
        "eu.raw.gz",
        "eu.raw.zst",
        "eu_EVT21.raw",
        "v2e-dvs-events.txt",
    ] {
        says(read(&folder.join(name)), &[name]);
    }
}

/// Every real recording of five bytes an event is still one.
#[test]
fn real_five_byte_recordings_pass() {
    let (Some(nmnist), Some(events)) = (real("nmnist"), real("events")) else { return };
    let split = Source::NMnist(nmnist).list_events(0).unwrap();
    let mut count = 0;
    for sample in split.train.iter().chain(&split.test) {
        let (_, tally) = sample.read(&split.fit).unwrap();
        assert_eq!(tally, Tally::default());
        count += 1;
    }
    for entry in std::fs::read_dir(events.join("gesture")).unwrap() {
        let recording = read(&entry.unwrap().path()).unwrap();
        assert_eq!(recording.format, EventFormat::FiveByte);
        count += 1;
    }
    assert_eq!(count, 1103);
}
