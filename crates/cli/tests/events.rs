//! Events from end to end: film, look, train, score, resume; and what is refused.

mod common;

use common::Folder;
use serde_json::Value;
use spikegrad::data::events::{Event, Events, Sensor, aedat2, five_byte};
use std::fs;

/// Films eight images a class or so, small and short.
const FILM: &str = "film --data synthetic:shapes --limit 60 --test-limit 20 --size 24 --loops 1 --leg-ms 10";

fn recording() -> Events {
    let event =
        |k: u64| Event { t: 20 * k, x: (7 * k % 30) as u16, y: (k % 20) as u16, on: !k.is_multiple_of(3) };
    Events::new(Sensor { width: 30, height: 20 }, (0..500).map(event).collect())
}

#[test]
fn films_train_and_are_scored() {
    let folder = Folder::new();
    let out = folder.succeed(&format!("{FILM} --format nmnist --out filmed"));
    assert!(out.contains("Train: 60 of 60 images filmed") && out.contains("Test: 20 of 20"), "{out}");
    assert_eq!(folder.list("filmed/Train").len(), 10);
    assert!(folder.list("filmed/Train/0-disc").contains(&"00000.bin".to_string()));
    let made = String::from_utf8(folder.read("filmed/film.toml")).unwrap();
    assert!(made.contains("data = \"synthetic:shapes\"") && made.contains("leg-ms = 10"), "{made}");
    let info = folder.succeed("info events:filmed");
    assert!(
        info.contains("training: 60 recordings") && info.contains("the folders Train and Test"),
        "{info}"
    );
    let train =
        "train --data events:filmed --net eventnet --width 0.1 --timesteps 3 --batch 10 --frame-size 0";
    let out = folder.succeed(&format!("{train} --epochs 2 --augment roll,drop --out run"));
    assert!(out.contains("60 and 20 recordings") && out.contains("0 from the cache"), "{out}");
    let scored: Value = serde_json::from_str(&folder.succeed("eval run --json -")).unwrap();
    assert_eq!(scored["images"], 20);
    // The frames are kept beside the runs, and used again.
    assert_eq!(folder.list("runs/cache").len(), 1);
    let out = folder.succeed(&format!("{train} --epochs 1 --augment none --out again"));
    assert!(out.contains("80 from the cache"), "{out}");
    let out = folder.succeed(&format!("{train} --epochs 1 --augment none --cache none --out third"));
    assert!(out.contains("0 from the cache"), "{out}");
}

#[test]
fn a_resumed_run_on_events_is_the_same_run() {
    let folder = Folder::new();
    folder.succeed(&format!("{FILM} --format aedat2 --out filmed"));
    let train = "train --data cifar10dvs:filmed --net eventnet --width 0.1 --timesteps 2 --batch 20 --epochs 2 \
                 --frame-size 12 --augment flip,roll,jitter,drop --values binary";
    folder.succeed(&format!("{train} --out whole"));
    folder.succeed(&format!("{train} --stop-after 1.4 --out parts"));
    folder.succeed("train --resume parts");
    assert_eq!(folder.read("whole/checkpoint.safetensors"), folder.read("parts/checkpoint.safetensors"));
}

#[test]
fn every_frame_setting_trains() {
    let folder = Folder::new();
    folder.succeed(&format!("{FILM} --format evt2 --out filmed"));
    let train = "train --data events:filmed --batch 20 --epochs 1 --limit 20";
    let small = "--net eventnet --width 0.1 --timesteps 3";
    for settings in [
        format!("{small} --frames time --values normalised --frame-size 16"),
        format!("{small} --frames tonic-count --values counts --resample area --frame-size 10"),
        format!("{small} --frames tonic-time --values binary"),
        "--net vggsnn-stride --width 0.05 --timesteps 3 --frames window:5000 --frame-size 16".into(),
        "--net lenet --twin --timesteps 1 --frame-size 16".into(),
    ] {
        folder.succeed(&format!("{train} {settings}"));
    }
    for command in ["plan", "bench step --steps 1 --batch 2", "bench layers --batch 2"] {
        folder.succeed(&format!(
            "{command} --data events:filmed --net vggsnn --width 0.05 --timesteps 2 --frame-size 16"
        ));
    }
}

#[test]
fn gradients_of_event_nets_pass() {
    let folder = Folder::new();
    for case in [
        "--net eventnet --data synthetic:motion --timesteps 3",
        "--net eventnet --data synthetic:motion --values counts --surrogate sigmoid --reset soft --timesteps 2",
        "--net vggsnn --timesteps 2 --width 0.03",
        "--net vggsnn-stride --data synthetic:motion --timesteps 2 --width 0.03",
    ] {
        let out = folder.succeed(&format!("gradcheck {case}"));
        assert!(out.contains("ok; worst: "), "{case}: {out}");
    }
}

#[test]
fn vggsnn_is_planned_in_its_published_size() {
    let folder = Folder::new();
    let out = folder.succeed("plan --net vggsnn --data cifar10dvs:nowhere --batch 1 --json -");
    let plan: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(plan["parameters"], 9_271_498);
}

#[test]
fn recordings_are_summed_up_and_drawn() {
    let folder = Folder::new();
    folder.write("a recording", &five_byte::encode(&recording()).unwrap());
    fs::rename(folder.path("a recording"), folder.path("rec")).unwrap();
    let figures: Value = serde_json::from_str(&folder.succeed("info rec --json -")).unwrap();
    assert_eq!((&figures["events"], &figures["on"]), (&500.into(), &333.into()));
    assert_eq!(
        (&figures["width"], &figures["height"], &figures["disorder"]),
        (&30.into(), &20.into(), &0.into())
    );
    assert_eq!(figures["duration_us"], 499 * 20);
    folder.write("dvs", &aedat2::encode(&recording()).unwrap());
    assert!(folder.succeed("info dvs").contains("128×128 (stated)"));
    for (name, start) in
        [("o.png", &b"\x89PNG\r\n"[..]), ("o.gif", b"GIF89a"), ("o.html", b"<!doctype html>")]
    {
        folder.succeed(&format!("info rec --render {name}"));
        assert!(folder.read(name).starts_with(start), "{name}");
        folder.fail(1, &format!("info rec --render {name}"), &[name, "exists already"]);
    }
    folder.fail(2, "info rec --render o.bmp", &["o.bmp", ".png, .gif or .html"]);
    folder.fail(2, "info synthetic:motion --render x.png", &["--render"]);
}

#[test]
fn what_is_wrong_is_told_in_one_line() {
    let folder = Folder::new();
    let mut bytes = five_byte::encode(&recording()).unwrap();
    bytes.pop();
    folder.write("cut", &bytes);
    folder.fail(1, "info cut", &["cut", "byte offset 0"]);
    folder.write("text", b"hello, this is no recording");
    folder.fail(1, "info text", &["text", "no known beginning"]);
    folder.fail(2, "train --data synthetic:motion --limit 4 --batch 5", &["--batch is 5", "4 training"]);
    folder.fail(1, "train --data nmnist:nowhere", &["nowhere"]);
    fs::create_dir_all(folder.path("empty/Train")).unwrap();
    folder.fail(1, "train --data events:empty", &["empty", "two classes"]);
    folder.fail(2, "train --data synthetic:shapes --values binary", &["--values is for events"]);
    folder.fail(
        2,
        "train --data synthetic:motion --frames bins",
        &["'bins' for '--frames", "window:MICROSECONDS"],
    );
    folder.fail(
        2,
        "train --data synthetic:motion --augment crop",
        &["--augment crop", "flip,roll,jitter,drop"],
    );
    folder.fail(
        2,
        "train --data synthetic:motion --resample area",
        &["--values binary needs --resample nearest"],
    );
    folder.fail(2, "train --data synthetic:motion --limit 8 --twin", &["--twin reads 1 image"]);
    folder.fail(2, "film --out x --data synthetic:motion", &["holds events already"]);
    folder.fail(2, "film --out x --size 129", &["--size is 129", "128"]);
    folder.fail(2, "film --out x --format avi", &["avi", "aedat2, nmnist, evt2, dat"]);
    folder.fail(2, "film --out x --format nmnist --leg-ms 5000", &["the way takes 40000000", "8388608"]);
    assert!(folder.list("x").is_empty());
    folder.write("used/file", b"mine");
    folder.fail(1, "film --out used", &["used", "not empty"]);
    assert_eq!(folder.read("used/file"), b"mine");
}
