//! What the system is asked for when a file is replaced, as a tracer of system calls sees it.

use spikegrad_models::durable::replace;
use std::path::Path;
use std::process::Command;

/// In the traced process: replaces the file that the environment names.
#[test]
fn traced() {
    if let Some(path) = std::env::var_os("SPIKEGRAD_TRACED_FILE") {
        replace(Path::new(&path), b"new").unwrap();
    }
}

#[test]
fn bytes_and_name_are_flushed_to_the_disk() {
    let folder = std::env::temp_dir().join(format!("spikegrad-traced-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (path, trace) = (folder.join("weights"), folder.join("trace"));
    let calls = "trace=openat,open,fsync,fdatasync,rename,renameat,renameat2";
    let traced = Command::new("strace")
        .args(["-f", "-y", "-e", calls, "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "traced"])
        .env("SPIKEGRAD_TRACED_FILE", &path)
        .output();
    let lines = std::fs::read_to_string(&trace).unwrap_or_default();
    if !traced.is_ok_and(|traced| traced.status.success()) || lines.is_empty() {
        println!("skipped: strace cannot trace here");
        return;
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    let at = |call: &str, name: &str| {
        lines.lines().position(|line| line.contains(call) && line.contains(name) && line.ends_with("= 0"))
    };
    let bytes = at("fsync(", "weights.").or(at("fdatasync(", "weights."));
    let renamed = at("rename", "weights.");
    let names = lines
        .lines()
        .position(|line| line.contains("fsync(") && line.contains(&format!("{}>", folder.display())));
    assert!(
        bytes.is_some() && bytes < renamed && renamed < names,
        "{bytes:?}, {renamed:?}, {names:?} of\n{lines}"
    );
    std::fs::remove_dir_all(&folder).unwrap();
}
