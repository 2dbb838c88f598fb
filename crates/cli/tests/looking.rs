//! Looking at a run changes nothing of it, whoever is at work there.

mod common;

use common::{Folder, Running, SMALL};
use std::collections::BTreeMap;
use std::fs;
use std::time::SystemTime;

/// Commands that look at a run.
const LOOKS: [&str; 9] = [
    "info run",
    "info run/checkpoint.safetensors",
    "info run/state.safetensors",
    "eval run",
    "doctor run --batches 1",
    "energy run --images 5",
    "robustness run --noise-levels 0.1 --noise-seeds 1",
    "trace run --out traced",
    "export run --out exported.safetensors",
];

/// Every file of a folder: its bytes and when it was last changed.
fn snapshot(folder: &Folder, name: &str) -> BTreeMap<String, (Vec<u8>, SystemTime)> {
    let file = |file: String| {
        let path = format!("{name}/{file}");
        let changed = fs::symlink_metadata(folder.path(&path)).unwrap().modified().unwrap();
        (file, (folder.read(&path), changed))
    };
    folder.list(name).into_iter().map(file).collect()
}

#[test]
fn looking_at_a_run_writes_nothing() {
    let folder = Folder::new();
    folder.succeed(&format!("train {SMALL} --epochs 1 --out run"));
    // Files of the user's own, and one that looks like the program's.
    folder.write("run/download.part", b"mine");
    folder.write("run/notes.4711.part", b"mine");
    folder.write("run/state.safetensors.4711.part", b"of a killed process");
    folder.write("target.txt", b"precious");
    fs::remove_file(folder.path("run/.lock")).unwrap();
    std::os::unix::fs::symlink("../target.txt", folder.path("run/.lock")).unwrap();
    let before = snapshot(&folder, "run");
    for look in LOOKS {
        let _ = fs::remove_dir_all(folder.path("traced"));
        let _ = fs::remove_file(folder.path("exported.safetensors"));
        folder.succeed(look);
        assert_eq!(snapshot(&folder, "run"), before, "{look}");
        assert_eq!(folder.read("target.txt"), b"precious", "{look}");
    }
    // A trainer does not follow the link either, and sweeps its own names alone.
    folder.fail(1, "train --resume run", &[".lock", "no plain file"]);
    assert_eq!(folder.read("target.txt"), b"precious");
    fs::remove_file(folder.path("run/.lock")).unwrap();
    folder.succeed("train --resume run");
    let left = folder.list("run");
    assert!(left.contains(&"download.part".into()) && left.contains(&"notes.4711.part".into()), "{left:?}");
    assert!(!left.contains(&"state.safetensors.4711.part".into()), "{left:?}");
}

#[test]
fn looking_at_a_run_goes_beside_a_trainer() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let folder = Folder::new();
    let mut child = Command::new(env!("CARGO_BIN_EXE_spikegrad"))
        .current_dir(folder.path(""))
        .args(format!("train {SMALL} --epochs 100000 --out run").split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let _running = Running(child);
    assert!(lines.any(|line| line.unwrap().starts_with("epoch 2/")));
    std::thread::spawn(move || lines.for_each(drop));
    for look in LOOKS {
        folder.succeed(look);
    }
}

/// Permissions do not hold for root, so this asks for a file system that is read-only for everybody.
#[cfg(target_os = "linux")]
#[test]
fn looking_at_a_run_needs_no_writable_folder() {
    use std::process::{Command, Stdio};
    let folder = Folder::new();
    folder.succeed(&format!("train {SMALL} --epochs 1 --out made"));
    fs::create_dir(folder.path("run")).unwrap();
    let run = folder.path("run");
    let mount = |options: &[&str]| {
        let mut command = Command::new("mount");
        command.args(options).arg(&run).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    let made = folder.path("made");
    if !mount(&["--bind", made.to_str().unwrap()]) {
        println!("skipped: nothing can be mounted here");
        return;
    }
    assert!(mount(&["-o", "remount,bind,ro"]));
    let outputs: Vec<_> = LOOKS.iter().map(|look| (look, folder.run(look))).collect();
    assert!(Command::new("umount").arg(&run).status().unwrap().success());
    for (look, output) in outputs {
        assert!(output.status.success(), "{look}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn places_that_a_file_names_are_not_written_to() {
    let folder = Folder::new();
    folder.succeed("film --data synthetic:shapes --limit 20 --test-limit 10 --size 16 --out filmed");
    let small = "--data events:filmed --net mlp --width 0.1 --timesteps 2 --frame-size 16 --batch 10";
    folder.succeed(&format!("train {small} --epochs 2 --stop-after 1 --cache kept --out run"));
    assert!(!folder.list("kept").is_empty(), "the user's own flag is followed");
    fs::remove_dir_all(folder.path("kept")).unwrap();
    for look in ["eval run", "eval run/best.safetensors", "doctor run --batches 1", "energy run --images 5"] {
        folder.succeed(look);
        assert!(folder.list("kept").is_empty(), "{look}");
    }
    let out = folder.succeed("train --resume run --stop-after 1.5");
    assert!(out.contains("--cache kept") && folder.list("kept").is_empty(), "{out}");
    folder.succeed("train --resume run --cache kept");
    assert!(!folder.list("kept").is_empty());
    // What is read is announced.
    let images: Vec<u8> = (0..6 * 3073).map(|i| if i % 3073 == 0 { 1 } else { i as u8 }).collect();
    for file in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"]
    {
        folder.write(&format!("cifar/{file}.bin"), &images);
    }
    folder.succeed("train --data cifar10:cifar --net mlp --width 0.02 --batch 5 --epochs 1 --out other");
    let out = folder.succeed("eval other/best.safetensors");
    assert!(out.contains("reading cifar10:cifar, which other/best.safetensors names"), "{out}");
    assert!(!folder.succeed("eval other --data cifar10:cifar").contains("reading"));
}
