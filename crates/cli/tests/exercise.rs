//! `gradcheck --exercise`: the blank exercises, graded where they lie.

mod common;

use common::Folder;
use std::path::Path;
use std::process::Command;

#[test]
fn a_blank_exercise_is_graded() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(env!("CARGO_BIN_EXE_spikegrad"));
    let output =
        command.current_dir(root).args(["gradcheck", "--exercise", "lif-backward"]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.starts_with("error: lif_backward: neuron "), "{errors}");
    assert!(errors.contains("fill the blanks in"), "{errors}");
}

#[test]
fn an_unknown_exercise_is_named() {
    let folder = Folder::new();
    folder.fail(2, "gradcheck --exercise nothing", &["nothing", "sgs, lif_backward"]);
    // Outside the repository there is nothing to build; the test's own folder may lie within it.
    let outside = Command::new(env!("CARGO_BIN_EXE_spikegrad"))
        .current_dir(std::env::temp_dir())
        .args(["gradcheck", "--exercise", "sgs"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&outside.stderr);
    assert_eq!(outside.status.code(), Some(1), "{errors}");
    assert!(errors.contains("does not compile: error"), "{errors}");
}
