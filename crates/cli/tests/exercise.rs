//! `gradcheck --exercise`: the blank exercises, graded where they lie.

mod common;

use common::Folder;
use std::path::Path;
use std::process::{Command, Output};

fn gradcheck(folder: &Path, name: &str) -> (Output, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spikegrad"));
    let output = command.current_dir(folder).args(["gradcheck", "--exercise", name]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, errors)
}

#[test]
fn blank_exercises_are_graded() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // From a folder within the repository, too.
    let (output, errors) = gradcheck(&root.join("docs"), "lif-backward");
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.starts_with("error: lif_backward: neuron "), "{errors}");
    assert!(errors.contains("fill the blanks in"), "{errors}");
    let (output, errors) = gradcheck(&root, "all");
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert_eq!(errors, "error: 6 of 6 exercises are not right yet\n");
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(out.lines().count(), 6, "{out}");
    assert!(out.starts_with("lif_forward: u[t = 0] is not a number"), "{out}");
}

#[test]
fn an_unknown_exercise_is_named() {
    let folder = Folder::new();
    folder.fail(2, "gradcheck --exercise nothing", &["nothing", "lif_forward, sgs, lif_backward", "all"]);
    // Outside the repository there is nothing to build; the test's own folder may lie within it.
    let (output, errors) = gradcheck(&std::env::temp_dir(), "sgs");
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("holds no exercises") && errors.contains("repository"), "{errors}");
}

/// A repository with one exercise, of the same names but for what it depends on.
#[test]
fn a_file_that_does_not_compile_is_told_with_its_line() {
    let folder = Folder::new();
    folder.write("Cargo.toml", b"[workspace]\nresolver = \"3\"\nmembers = [\"crates/exercises\"]\n");
    let package = "[package]\nname = \"spikegrad-exercises\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    folder.write("crates/exercises/Cargo.toml", package.as_bytes());
    folder.write("crates/exercises/src/bin/lif_forward.rs", b"fn main() {\n    let x: u8 = \"seven\";\n}\n");
    let (output, errors) = gradcheck(&folder.path(""), "lif_forward");
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("does not compile: crates/exercises/src/bin/lif_forward.rs:2:17: error[E0308]"),
        "{errors}"
    );
}
