//! What the tests share: a folder that cleans up after itself, and the way to the real data.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A new folder in the system's temporary one, removed at the end of the test.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("spikegrad-data-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).expect("a temporary file");
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The folder `name` of the real data, or None with a printed line when it is not on this machine.
pub fn real(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SPIKEGRAD_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let path = root.join(name);
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: no real data at {}", path.display());
    None
}

/// Fails unless the message of an error has every one of the parts.
#[track_caller]
pub fn says<T: std::fmt::Debug>(outcome: Result<T, spikegrad_data::DataError>, parts: &[&str]) {
    let message = outcome.expect_err("this input is wrong").to_string();
    for part in parts {
        assert!(message.contains(part), "\"{part}\" is not in: {message}");
    }
    assert!(!message.contains('\n'), "more than one line: {message}");
}
