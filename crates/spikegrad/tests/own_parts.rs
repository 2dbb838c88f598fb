//! The example with an op, a neuron, a loss, an optimiser and a schedule of one's own: it runs, and killed runs end in
//! the same bytes.

#[path = "../examples/own_parts.rs"]
mod own_parts;

use spikegrad_testkit::temporary::Temporary;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The variable that tells a child process where to train.
const FOLDER: &str = "SPIKEGRAD_OWN_PARTS";

#[test]
fn gradients_agree_and_bars_are_learned() {
    own_parts::main().unwrap();
}

fn state(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("state.safetensors")).unwrap()
}

#[test]
fn killed_runs_end_in_the_same_bytes() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        own_parts::train(Path::new(&folder)).unwrap();
        return;
    }
    let [whole, killed] = ["own-parts-whole", "own-parts-killed"].map(Temporary::new);
    for folder in [&whole, &killed] {
        std::fs::create_dir_all(&folder.0).unwrap();
    }
    own_parts::train(&whole.0).unwrap();
    let mut interrupted = 0;
    for wait in [0, 3, 11] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed_runs_end_in_the_same_bytes"])
            .env(FOLDER, &killed.0)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        while !killed.0.join("state.safetensors").exists() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(wait));
        interrupted += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    println!("{interrupted} of 3 runs were killed before their end");
    own_parts::train(&killed.0).unwrap();
    assert!(state(&whole.0) == state(&killed.0));
    for folder in [whole, killed] {
        std::fs::remove_dir_all(&folder.0).unwrap();
    }
}
