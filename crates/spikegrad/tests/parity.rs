//! Training steps that PyTorch computed in float64: committed ones, and the larger ones where they are at hand.

use spikegrad::parity::check_at;
use spikegrad::tensor::Level;
use std::path::{Path, PathBuf};

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|e| e == "safetensors")).collect()
}

fn check_all(files: &[PathBuf]) {
    for file in files {
        for level in Level::available() {
            let parity = check_at(file, level).unwrap();
            let worst = parity.worst().unwrap();
            println!("{} {level}: worst {} {:.1e}", file.display(), worst.name, worst.error_relative);
            assert!(parity.passed(), "{} {level}: {worst:?}", file.display());
        }
    }
}

#[test]
fn committed_steps_agree_at_every_level() {
    let files = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden"));
    assert!(files.len() >= 2, "golden steps are committed");
    check_all(&files);
}

#[test]
fn larger_steps_agree_at_every_level() {
    let files = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden"));
    if files.is_empty() {
        println!("skipped: the larger reference steps are not at hand");
    }
    check_all(&files);
}
