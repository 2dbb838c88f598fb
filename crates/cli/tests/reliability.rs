//! Nothing lost: runs killed at any moment, checkpoints damaged, folders shared, disks full.

mod common;

use common::{Folder, SMALL};
use spikegrad::tensor::Level;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A run of a few seconds: three epochs of a convolutional net, a checkpoint every fifth of an epoch.
const RUN: &str = "--net lenet --width 0.25 --limit 1000 --batch 20 --epochs 3 --augment crop,flip \
                   --optimizer adamw --schedule step --step-every 1 --warmup 0.5";

fn spawn(folder: &Folder, command: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_spikegrad"))
        .current_dir(folder.path(""))
        .args(command.split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until a child has printed a line with `word`.
fn wait_for(child: &mut Child, word: &str) {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(word)), "{word} is printed");
}

/// As many kills as `SPIKEGRAD_KILLS` says, 3 where it says nothing, at moments spread over the length of a run.
#[test]
fn runs_killed_at_any_moment_end_with_the_same_bytes() {
    let kills: u64 = std::env::var("SPIKEGRAD_KILLS").map_or(3, |text| text.parse().expect("a number"));
    let folder = Folder::new();
    let start = std::time::Instant::now();
    folder.succeed(&format!("train {RUN} --out whole"));
    let length = start.elapsed();
    let want = folder.ending("whole");
    let mut equal = 0;
    for kill in 0..kills {
        let run = format!("killed-{kill}");
        let mut command = format!("train {RUN} --checkpoint-every 0.2 --out {run}");
        // Each run is killed twice: somewhere, and again somewhere after it was taken up.
        for part in 0..2 {
            let mut child = spawn(&folder, &command);
            let share = (37 * kill + 53 * part + 11) % 97;
            std::thread::sleep(length.mul_f64(share as f64 / 97.0 / (1.0 + part as f64)));
            child.kill().unwrap();
            child.wait().unwrap();
            if folder.list(&run).contains(&"state.safetensors".to_string()) {
                command = format!("train --resume {run} --checkpoint-every 0.2");
            } else {
                // Killed before its first checkpoint: nothing is lost that another start does not make again.
                let _ = std::fs::remove_dir_all(folder.path(&run));
            }
        }
        folder.succeed(&command);
        assert!(folder.ending(&run) == want, "kill {kill}: the end has other bytes");
        assert!(!folder.list(&run).iter().any(|name| name.ends_with(".part")), "leftovers are swept");
        equal += 1;
    }
    println!("{equal} of {kills} killed runs ended with the bytes of the run that was not");
    assert_eq!(equal, kills);
}

#[test]
fn bits_do_not_depend_on_threads_at_any_level() {
    let folder = Folder::new();
    for level in Level::available() {
        let run = |threads: usize| {
            let name = format!("{level}-{threads}");
            let short = RUN.replace("--epochs 3", "--epochs 1").replace("1000", "300");
            folder.succeed(&format!("train {short} --level {level} --threads {threads} --out {name}"));
            folder.ending(&name)
        };
        let one = run(1);
        for threads in [2, 3] {
            assert!(run(threads) == one, "{level}: {threads} threads");
        }
        let folder = folder.path("");
        let by_environment = Command::new(env!("CARGO_BIN_EXE_spikegrad"))
            .current_dir(folder)
            .env("SPIKEGRAD_LEVEL", level.to_string())
            .args([
                "bench", "step", "--net", "mlp", "--width", "0.1", "--batch", "4", "--steps", "1", "--json",
                "-",
            ])
            .output()
            .unwrap();
        let text = String::from_utf8(by_environment.stdout).unwrap();
        assert!(text.contains(&format!("\"level\": \"{level}\"")), "SPIKEGRAD_LEVEL={level}: {text}");
    }
}

#[test]
fn two_trainers_exclude_each_other() {
    let folder = Folder::new();
    let mut first = spawn(&folder, &format!("train {SMALL} --epochs 100000 --out run"));
    wait_for(&mut first, "epoch 1/");
    folder.fail(1, "train --resume run", &["run", "another trainer"]);
    folder.fail(1, &format!("train {SMALL} --out run"), &["run", "not empty"]);
    first.kill().unwrap();
    first.wait().unwrap();
    // A killed trainer holds nothing.
    folder.succeed("train --resume run --stop-after 1");
}

#[test]
fn damaged_states_are_told_and_kept() {
    let folder = Folder::new();
    folder.succeed(&format!("train {SMALL} --epochs 2 --stop-after 1 --out run"));
    let good = folder.read("run/state.safetensors");
    let mut bits = good.clone();
    let middle = bits.len() - 100;
    bits[middle] ^= 4;
    let cases: [(&[u8], &str); 4] = [
        (&bits, "CRC-32"),
        (&good[..good.len() - 1], "state.safetensors"),
        (b"", "0 bytes"),
        (b"{}", "2 bytes"),
    ];
    for (bytes, word) in cases {
        folder.write("run/state.safetensors", bytes);
        folder.fail(1, "train --resume run", &["state.safetensors", word]);
        assert!(folder.read("run/state.safetensors") == bytes, "nothing is written over it");
    }
    folder.write("run/state.safetensors", &good);
    folder.succeed("train --resume run");
}

/// A file system with room for a few kilobytes, if this process may make one; unmounted at the end.
#[cfg(target_os = "linux")]
struct Small<'a>(&'a Folder);

#[cfg(target_os = "linux")]
impl<'a> Small<'a> {
    fn mount(folder: &'a Folder, size: &str) -> Option<Self> {
        std::fs::create_dir(folder.path("small")).unwrap();
        let options = format!("size={size}");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(folder.path("small"))
            .stderr(Stdio::null())
            .status();
        mount.is_ok_and(|status| status.success()).then_some(Self(folder))
    }
}

#[cfg(target_os = "linux")]
impl Drop for Small<'_> {
    fn drop(&mut self) {
        std::thread::sleep(Duration::from_millis(50));
        let _ = Command::new("umount").arg(self.0.path("small")).status();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_last_good_checkpoint() {
    let folder = Folder::new();
    let Some(_small) = Small::mount(&folder, "1200k") else {
        println!("skipped: a small file system cannot be mounted here");
        return;
    };
    folder.succeed(&format!("train {SMALL} --epochs 2 --stop-after 1 --out small/run"));
    let state = folder.read("small/run/state.safetensors");
    // What is left is too little for another state.
    let file = folder.path("small/filler");
    let room = vec![0; 2 << 20];
    let _ = std::fs::write(&file, &room);
    folder.fail(1, "train --resume small/run", &["small/run", "space"]);
    assert!(folder.read("small/run/state.safetensors") == state);
    std::fs::remove_file(file).unwrap();
    folder.succeed("train --resume small/run");
}

#[cfg(target_os = "linux")]
#[test]
fn a_read_only_folder_is_told() {
    let folder = Folder::new();
    let Some(_small) = Small::mount(&folder, "2m") else {
        println!("skipped: a small file system cannot be mounted here");
        return;
    };
    folder.succeed(&format!("train {SMALL} --epochs 2 --stop-after 1 --out small/run"));
    let state = folder.read("small/run/state.safetensors");
    let remount = |mode: &str| {
        let options = format!("remount,{mode}");
        let status = Command::new("mount").args(["-o", &options]).arg(folder.path("small")).status();
        assert!(status.is_ok_and(|status| status.success()), "remount {mode}");
    };
    remount("ro");
    folder.fail(1, "train --resume small/run", &["small/run", "ead-only"]);
    folder.fail(1, &format!("train {SMALL} --out small/new"), &["small/new", "ead-only"]);
    remount("rw");
    assert!(folder.read("small/run/state.safetensors") == state);
    folder.succeed("train --resume small/run");
}
