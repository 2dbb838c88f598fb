//! Files that tests write and that do not stay.

use std::path::PathBuf;

/// The path of a file in the system's temporary folder; the file, if there is one, is removed at the end.
#[derive(Debug)]
pub struct Temporary(pub PathBuf);

impl Temporary {
    /// A path that ends in `name` and is this process's own.
    pub fn new(name: &str) -> Temporary {
        Temporary(std::env::temp_dir().join(format!("spikegrad-test-{}-{name}", std::process::id())))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
