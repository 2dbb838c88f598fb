//! Recordings and sets of them on the command line: what belongs to a run, what is told, what comes through a pipe.

mod common;

use common::Folder;
use serde_json::Value;
use spikegrad::data::events::{Event, Events, Sensor, aedat2, dat, evt2, five_byte};
use std::process::{Command, Stdio};

/// On the left in one class and on the right in the other, on 30×30 pixels.
fn recording(class: u16, k: u16) -> Events {
    let event = |n: u16| Event {
        t: 100 * u64::from(n),
        x: 15 * class + (5 * n + k) % 15,
        y: n % 30,
        on: n.is_multiple_of(2),
    };
    Events::new(Sensor { width: 30, height: 30 }, (0..240).map(event).collect())
}

/// Two classes with `train` and `test` recordings each.
fn set(folder: &Folder, name: &str, train: u16, test: u16) {
    for (part, count, first) in [("Train", train, 0), ("Test", test, 100)] {
        for class in 0..2 {
            for k in 0..count {
                let bytes = five_byte::encode(&recording(class, first + k)).unwrap();
                folder.write(&format!("{name}/{part}/{class}/{k}.bin"), &bytes);
            }
        }
    }
}

const SMALL: &str = "--timesteps 2 --frame-size 15 --batch 4";
const TRAIN: &str = "train --net eventnet --width 0.1 --augment none";

/// One event of one test recording far outside: without a sensor of the run's own, every frame would shrink.
#[test]
fn the_sensor_of_a_run_stays_and_events_outside_are_told() {
    let folder = Folder::new();
    set(&folder, "one", 8, 6);
    set(&folder, "two", 8, 6);
    let mut noisy = recording(1, 100);
    noisy.list.push(Event { t: 30_000, x: 200, y: 200, on: true });
    folder.write("two/Test/1/0.bin", &five_byte::encode(&noisy).unwrap());
    let out = folder.succeed(&format!("{TRAIN} --data events:one {SMALL} --lr 0.01 --epochs 20 --out run"));
    assert!(out.contains("a sensor of 30x30"), "{out}");
    let config = String::from_utf8(folder.read("run/config.toml")).unwrap();
    assert!(config.contains("sensor = \"30x30\""), "{config}");
    let score = |data: &str| -> (Value, String) {
        let figures = folder.succeed(&format!("eval run --data {data} --json -"));
        (serde_json::from_str(&figures).unwrap(), folder.succeed(&format!("eval run --data {data}")))
    };
    let (one, said) = score("events:one");
    assert!(!said.contains("outside"), "{said}");
    assert_eq!(one["accuracy"], 1.0);
    // The second time the frames come from the cache, and what is to be said with them.
    for _ in 0..2 {
        let (two, said) = score("events:two");
        assert_eq!((&two["accuracy"], &two["confusion"]), (&one["accuracy"], &one["confusion"]));
        assert!(said.contains("1 events lie outside the sensor of 30x30"), "{said}");
    }
    let out =
        folder.succeed(&format!("{TRAIN} --data events:two {SMALL} --sensor 40x50 --epochs 1 --out given"));
    assert!(out.contains("1 events lie outside the sensor of 40x50"), "{out}");
    // The settings name the sensor for good: resuming keeps it, whatever the data say by then.
    folder.succeed(&format!("{TRAIN} --data events:one {SMALL} --epochs 2 --stop-after 1 --out parts"));
    folder.succeed("train --resume parts");
    assert!(String::from_utf8(folder.read("parts/config.toml")).unwrap().contains("sensor = \"30x30\""));
    folder.fail(2, &format!("{TRAIN} --data nmnist:one --sensor 30x30"), &["--sensor is for events:DIR"]);
    folder.fail(2, "train --sensor 30x30", &["--sensor is for events"]);
    folder.fail(
        2,
        &format!("{TRAIN} --data events:one --sensor 70000x3"),
        &["'70000x3' for '--sensor", "65536"],
    );
    folder.fail(2, "train --data synthetic:motion --stream 1", &["--stream is for recordings"]);
}

#[test]
fn small_sets_and_dropped_rests_are_told() {
    let folder = Folder::new();
    for class in 0..2 {
        for k in 0..9 {
            let bytes = five_byte::encode(&recording(class, k)).unwrap();
            folder.write(&format!("small/{class}/{k}.bin"), &bytes);
        }
    }
    folder.write("single/a/0.bin", &five_byte::encode(&recording(0, 0)).unwrap());
    folder.write("single/b/0.bin", &five_byte::encode(&recording(1, 0)).unwrap());
    // Nine a class: eight train, one tests; of sixteen, three batches of five leave one out.
    let out =
        folder.succeed(&format!("{TRAIN} --data events:small --timesteps 2 --batch 5 --epochs 1 --out run"));
    assert!(out.contains("16 and 2 recordings"), "{out}");
    assert!(out.contains("16 training samples are 3 batches of 5; each epoch leaves out another 1"), "{out}");
    let out = folder.succeed("train --net mlp --width 0.1 --limit 90 --batch 20 --epochs 1 --out images");
    assert!(
        out.contains("90 training samples are 4 batches of 20; each epoch leaves out another 10"),
        "{out}"
    );
    let out = folder.succeed("train --net mlp --width 0.1 --limit 80 --batch 20 --epochs 1 --out whole");
    assert!(!out.contains("leaves out"), "{out}");
    folder.fail(1, &format!("{TRAIN} --data events:single"), &["events:single", "--holdout"]);
    folder.write("single/a/1.bin", &five_byte::encode(&recording(0, 1)).unwrap());
    let out = folder.succeed(&format!("{TRAIN} --data events:single --batch 2 --epochs 1 --out lacking"));
    assert!(out.contains("no recording to test on of b"), "{out}");
    folder.write("single/a/notes.txt", b"hello");
    folder.fail(1, &format!("{TRAIN} --data events:single"), &["single/a/notes.txt", "no recording"]);
    folder.fail(1, "info events:single", &["single/a/notes.txt"]);
}

/// Runs `info` with bytes on its stdin.
fn piped(folder: &Folder, arguments: &str, bytes: &[u8]) -> std::process::Output {
    std::fs::write(folder.path("piped"), bytes).unwrap();
    let mut cat = Command::new("cat").arg(folder.path("piped")).stdout(Stdio::piped()).spawn().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_spikegrad"));
    command.current_dir(folder.path("")).args(arguments.split_whitespace());
    let output = command.stdin(cat.stdout.take().unwrap()).output().unwrap();
    cat.wait().unwrap();
    output
}

#[test]
fn recordings_come_through_pipes() {
    let folder = Folder::new();
    let events = recording(0, 3);
    let formats = [
        ("5-byte", five_byte::encode(&events).unwrap()),
        ("AEDAT 2.0", aedat2::encode(&events).unwrap()),
        ("EVT 2.0", evt2::encode(&events).unwrap()),
        ("DAT", dat::encode(&events).unwrap()),
    ];
    for (format, bytes) in formats {
        for path in ["-", "/dev/stdin", "/dev/fd/0"] {
            let output = piped(&folder, &format!("info {path} --json -"), &bytes);
            let figures: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert!(figures["format"].as_str().unwrap().starts_with(format), "{figures}");
            assert_eq!((&figures["events"], &figures["last_us"]), (&240.into(), &23_900.into()), "{path}");
        }
        let output = piped(&folder, "info -", &bytes[..bytes.len() - 1]);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), errors.lines().count()), (Some(1), 1), "{errors}");
    }
    let output = piped(&folder, "info -", b"");
    assert_eq!(output.status.code(), Some(1));
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_as_files_are_refused_at_once() {
    let folder = Folder::new();
    assert!(Command::new("mkfifo").arg(folder.path("pipe")).status().unwrap().success());
    folder.fail(1, "info pipe", &["pipe", "spikegrad info -"]);
    folder.fail(1, "info /dev/zero", &["/dev/zero", "not a file"]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_spikegrad"));
    let zero = std::fs::File::open("/dev/zero").unwrap();
    let output = command.args(["info", "-"]).stdin(zero).output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("no recording"));
}

/// An AEDAT 3.1 recording of two cameras, one event of the first and two of the second.
fn two_cameras() -> Vec<u8> {
    let mut bytes = b"#!AER-DAT3.1\r\n#Source 1: DVS128\r\n#Source 2: DAVIS240C\r\n#!END-HEADER\r\n".to_vec();
    for (source, times) in [(1u16, &[5u32][..]), (2, &[7, 8])] {
        bytes.extend([1u16.to_le_bytes(), source.to_le_bytes()].concat());
        let count = times.len() as u32;
        [8, 4, 0, count, count, count].iter().for_each(|n: &u32| bytes.extend(n.to_le_bytes()));
        times.iter().for_each(|t| bytes.extend([3u32.to_le_bytes(), t.to_le_bytes()].concat()));
    }
    bytes
}

#[test]
fn streams_are_listed_and_chosen() {
    let folder = Folder::new();
    folder.write("rec", &two_cameras());
    let text = folder.succeed("info rec");
    assert!(
        text.contains("stream    1 DVS128 (polarity), 1 events\nstream    2 DAVIS240C (polarity), 2"),
        "{text}"
    );
    assert!(
        text.contains("left out  2 events of other streams") && text.contains("128×128 (stated)"),
        "{text}"
    );
    let figures: Value = serde_json::from_str(&folder.succeed("info rec --stream 2 --json -")).unwrap();
    assert_eq!((&figures["events"], &figures["width"]), (&2.into(), &240.into()));
    assert_eq!(figures["streams"][0]["events"], 1);
    assert_eq!(figures["streams"][1]["name"], "DAVIS240C");
    folder.fail(1, "info rec --stream 7", &["no stream 7", "1, 2"]);
    folder.fail(2, "info synthetic:motion --stream 7", &["--stream is for a recording"]);
    folder.fail(2, "info synthetic:motion --sensor 3x3", &["--sensor is for a recording"]);
    let figures: Value = serde_json::from_str(&folder.succeed("info rec --sensor 9x9 --json -")).unwrap();
    assert_eq!(
        (&figures["width"], &figures["outside"], &figures["sensor_stated"]),
        (&9.into(), &0.into(), &false.into())
    );
    for class in ["a", "b"] {
        for k in 0..2 {
            folder.write(&format!("set/{class}/{k}"), &two_cameras());
        }
    }
    let train = format!("{TRAIN} --data events:set --batch 2 --epochs 1");
    let out = folder.succeed(&format!("{train} --out first"));
    assert!(out.contains("a sensor of 128x128") && out.contains("8 entries that are no events"), "{out}");
    let out = folder.succeed(&format!("{train} --stream 2 --out second"));
    assert!(out.contains("a sensor of 240x180") && out.contains("4 entries that are no events"), "{out}");
    folder.fail(1, &format!("{train} --stream 3"), &["set/a/", "no stream 3"]);
}

/// The ninth byte of a recording may be a brace, as in a checkpoint's header.
#[test]
fn a_recording_with_a_brace_is_no_checkpoint() {
    let folder = Folder::new();
    folder.write("rec", &[1, 2, 0x80, 0, 1, 3, 4, 0, b'{', 16, 5, 6, 0, b'|', 0]);
    let figures: Value = serde_json::from_str(&folder.succeed("info rec --json -")).unwrap();
    assert_eq!((&figures["events"], &figures["last_us"]), (&3.into(), &0x7c00.into()));
}

/// Frames of sizes that no memory holds are one line, before any memory is taken.
#[test]
fn frames_that_no_memory_holds_are_refused() {
    let folder = Folder::new();
    set(&folder, "one", 2, 2);
    let train = format!("{TRAIN} --data events:one --frame-size");
    folder.fail(1, &format!("{train} 0 --timesteps 1000000000"), &["frames of 2×30×27", "67108864"]);
    folder.fail(1, &format!("{train} 0 --timesteps 2 --sensor 65536x65536"), &["frames of 2×65536×65536"]);
    folder.fail(2, &format!("{train} 5000"), &["--frame-size is 5000", "4096"]);
}

/// Four events in two seconds, three of them ON, one out of order, one more outside of the sensor given.
#[test]
fn the_figures_of_a_recording() {
    let folder = Folder::new();
    let event = |t: u64, x: u16, on: bool| Event { t, x, y: 5, on };
    let list = vec![
        event(1000, 3, true),
        event(501_000, 100, true),
        event(251_000, 4, false),
        event(2_001_000, 9, true),
    ];
    let bytes = aedat2::encode(&Events::new(Sensor { width: 128, height: 128 }, list)).unwrap();
    folder.write("rec", &bytes);
    let figures = |arguments: &str| -> Value {
        serde_json::from_str(&folder.succeed(&format!("info rec {arguments} --json -"))).unwrap()
    };
    let all = figures("");
    for (key, want) in [
        ("events", 4.0),
        ("on", 3.0),
        ("off", 1.0),
        ("first_us", 1000.0),
        ("last_us", 2_001_000.0),
        ("duration_us", 2_000_000.0),
        ("events_per_second", 2.0),
        ("disorder", 1.0),
        ("width", 128.0),
        ("outside", 0.0),
    ] {
        assert_eq!(all[key].as_f64(), Some(want), "{key}");
    }
    let some = figures("--sensor 50x6");
    assert_eq!((&some["events"], &some["outside"], &some["height"]), (&3.into(), &1.into(), &6.into()));
    assert_eq!((&some["on"], &some["disorder"]), (&2.into(), &0.into()));
    let text = folder.succeed("info rec --sensor 50x6");
    assert!(text.contains("left out  1 events outside 50×6") && text.contains("50×6 (given)"), "{text}");
}

/// `--holdout` holds the last training recordings out: 16 of 20 train here, and those of the folder Test do not count.
#[test]
fn held_out_recordings_are_the_last() {
    let folder = Folder::new();
    set(&folder, "one", 10, 3);
    let out = folder
        .succeed(&format!("{TRAIN} --data events:one {SMALL} --holdout 4 --epochs 1 --cache none --out run"));
    assert!(out.contains("16 and 4 recordings (the last training recordings are held out)"), "{out}");
    // Of four that train and four that are held out, only the very last has an event far outside.
    let mut last = recording(1, 9);
    last.list.push(Event { t: 99_999, x: 100, y: 20, on: true });
    let last = Events::new(Sensor { width: 128, height: 128 }, last.list);
    folder.write("one/Train/1/9.bin", &five_byte::encode(&last).unwrap());
    let flags = "--sensor 30x30 --holdout 4 --limit 4 --epochs 1 --cache none --out other";
    let out = folder.succeed(&format!("{TRAIN} --data events:one {SMALL} {flags}"));
    assert!(out.contains("4 and 4 recordings") && out.contains("1 events lie outside"), "{out}");
}

/// The sensor that a cell found is in its folder; the same command takes the cell up again.
#[test]
fn an_ablation_on_recordings_goes_on_with_its_sensor() {
    let folder = Folder::new();
    set(&folder, "one", 4, 2);
    let ablate = format!(
        "ablate --data events:one --net eventnet --width 0.1 --augment none {SMALL} --epochs 1 --grid delta=0,0.1 --seeds 1 \
         --out grid"
    );
    folder.succeed(&ablate);
    let files = folder.list("grid");
    let table: Vec<_> = files.iter().filter(|name| name.ends_with(".csv")).collect();
    assert!(!table.is_empty(), "{files:?}");
    let before: Vec<Vec<u8>> = table.iter().map(|name| folder.read(&format!("grid/{name}"))).collect();
    folder.succeed(&ablate);
    let after: Vec<Vec<u8>> = table.iter().map(|name| folder.read(&format!("grid/{name}"))).collect();
    assert_eq!(before, after);
}
