//! The C example: built with the machine's C compiler against the static library, and run.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The static library that cargo has just built beside this test.
fn library() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let deps = own.parent().unwrap();
    let newest = std::fs::read_dir(deps).unwrap().filter_map(|entry| {
        let path = entry.ok()?.path();
        let name = path.file_name()?.to_str()?;
        let is_library = name.starts_with("libspikegrad_capi") && name.ends_with(".a");
        is_library.then(|| (path.metadata().and_then(|m| m.modified()).ok(), path))
    });
    newest.max().expect("cargo builds the static library with the tests").1
}

#[test]
fn the_c_example_trains_and_streams() {
    let cc = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    if Command::new(&cc).arg("--version").output().is_err() {
        println!("skipped: no C compiler called {cc}");
        return;
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let program = folder.join("train-c");
    let built = Command::new(&cc)
        .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-O1", "-I"])
        .arg(here.join("include"))
        .arg(here.join("examples/train.c"))
        .arg(library())
        .args(["-lpthread", "-ldl", "-lm", "-o"])
        .arg(&program)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let weights = folder.join("train-c.safetensors");
    let ran = Command::new(&program).arg(&weights).output().unwrap();
    let (out, errors) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{out}{errors}");
    assert!(out.contains("7 numbers: got 7 numbers and 16 labels, planned for 576 and 16"), "{out}");
    assert!(out.contains("no trainer: trainer is null"), "{out}");
}
