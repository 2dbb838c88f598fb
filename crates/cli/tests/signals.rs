//! Signals: a run that one stops has its state written, says how to go on, and ends with the signal's status.
#![cfg(unix)]

mod common;

use common::{Folder, Running};
use std::io::{BufRead, BufReader, Lines, Read};
use std::process::{ChildStdout, Command, Stdio};

/// Starts a run without an end, by way of a shell's `prefix`, and waits for its first epoch.
fn endless(folder: &Folder, prefix: &str, out: &str) -> (Running, Lines<BufReader<ChildStdout>>) {
    let program = env!("CARGO_BIN_EXE_spikegrad");
    let script = format!("{prefix} exec {program} train --net mlp --width 0.1 --epochs 100000 --out '{out}'");
    let mut child = Command::new("sh")
        .current_dir(folder.path(""))
        .args(["-c", &script])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let child = Running(child);
    assert!(lines.any(|line| line.unwrap().starts_with("epoch 1/")));
    (child, lines)
}

fn send(signal: &str, child: &Running) {
    assert!(Command::new("kill").args([signal, &child.0.id().to_string()]).status().unwrap().success());
}

/// Tells whether this process ignores a signal, as background jobs do; the program it starts would then ignore it too.
fn is_ignored(number: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let ignored = mask >> (number - 1) & 1 == 1;
    if ignored {
        println!("skipped: signal {number} is ignored here");
    }
    ignored
}

#[test]
fn signals_leave_a_run_that_can_be_resumed() {
    let folder = Folder::new();
    for (signal, status) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        if is_ignored(status as u32 - 128) {
            continue;
        }
        let out = format!("a run{signal}");
        let (mut child, lines) = endless(&folder, "", &out);
        send(signal, &child);
        let rest: Vec<String> = lines.map(Result::unwrap).collect();
        assert_eq!(child.0.wait().unwrap().code(), Some(status), "{signal}");
        // The hint can be pasted into a shell, the folder's space and all.
        let hint = rest.last().unwrap();
        assert!(hint.contains(&format!("spikegrad train --resume '{out}'")), "{rest:?}");
        let mut errors = String::new();
        child.0.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert_eq!(errors.lines().count(), 1, "no error beside the note: {errors}");
        let state = folder.read(&format!("{out}/state.safetensors"));
        assert!(!state.is_empty());
        let again = Command::new(env!("CARGO_BIN_EXE_spikegrad"))
            .current_dir(folder.path(""))
            .args(["train", "--resume", &out, "--stop-after", "0.5"])
            .output()
            .unwrap();
        assert!(String::from_utf8_lossy(&again.stdout).contains("resuming"), "{signal}");
    }
}

#[test]
fn signals_that_are_ignored_stay_ignored() {
    let folder = Folder::new();
    for (name, signal) in [("HUP", "-HUP"), ("INT", "-INT")] {
        let (mut child, mut lines) = endless(&folder, &format!("trap '' {name};"), name);
        send(signal, &child);
        // Two more epochs: a signal would have ended the run after its batch.
        assert!(lines.any(|line| line.unwrap().starts_with("epoch ")));
        assert!(lines.any(|line| line.unwrap().starts_with("epoch ")));
        assert!(child.0.try_wait().unwrap().is_none(), "SIG{name} ended the run");
        send("-TERM", &child);
        lines.for_each(drop);
        assert_eq!(child.0.wait().unwrap().code(), Some(143));
    }
}

#[test]
fn an_ablation_that_is_stopped_says_so_in_its_status() {
    let folder = Folder::new();
    let program = env!("CARGO_BIN_EXE_spikegrad");
    let mut child = Command::new(program)
        .current_dir(folder.path(""))
        .args(
            "ablate --net mlp --width 0.1 --epochs 100000 --grid delta=0,0.1 --seeds 1 --out grid".split(' '),
        )
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut child = Running(child);
    assert!(lines.any(|line| line.unwrap().starts_with("epoch 1/")));
    send("-TERM", &child);
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(child.0.wait().unwrap().code(), Some(143));
    assert!(rest.last().unwrap().starts_with("stopped in cell 1 of 2"), "{rest:?}");
}

/// The second signal ends the process at once, in the middle of a batch that takes long.
#[test]
fn a_second_signal_ends_a_run_at_once() {
    if is_ignored(2) {
        return;
    }
    let folder = Folder::new();
    let mut child = Command::new(env!("CARGO_BIN_EXE_spikegrad"))
        .current_dir(folder.path(""))
        .args("train --net resnet19 --width 0.5 --batch 100 --limit 100 --epochs 1 --out run".split(' '))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut child = Running(child);
    assert!(lines.any(|line| line.unwrap().contains("run folder run")));
    send("-INT", &child);
    let mut note = String::new();
    BufReader::new(child.0.stderr.take().unwrap()).read_line(&mut note).unwrap();
    assert_eq!(note, "stopping after this batch; once more to stop at once\n");
    send("-TERM", &child);
    assert_eq!(child.0.wait().unwrap().code(), Some(143), "the second signal's status");
    assert!(lines.all(|line| !line.unwrap().starts_with("stopped")), "the batch was not waited for");
}
