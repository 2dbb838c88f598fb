//! Running the command in a folder of its own.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod browser;
pub mod by_hand;

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output};
use tempfile::{Builder, TempDir};

/// An empty folder, removed at the end.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(Builder::new().prefix("cli-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
    }

    /// Names in a folder below, sorted.
    pub fn list(&self, name: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(name)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// What must not depend on where a run was cut: its files, and its metrics but for the time taken.
    pub fn ending(&self, run: &str) -> Vec<Vec<u8>> {
        let read = |file: &str| self.read(&format!("{run}/{file}"));
        let mut all: Vec<Vec<u8>> =
            ["checkpoint.safetensors", "best.safetensors", "config.toml"].map(read).into();
        for line in String::from_utf8(read("metrics.jsonl")).unwrap().lines() {
            let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
            for time in ["seconds", "images_per_second"] {
                assert!(line.as_object_mut().unwrap().remove(time).is_some(), "{line}");
            }
            all.push(line.to_string().into_bytes());
        }
        all
    }

    /// Runs the command here; arguments are split at spaces.
    pub fn run(&self, arguments: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spikegrad"));
        command.current_dir(self.0.path()).args(arguments.split_whitespace()).output().unwrap()
    }

    /// Runs the command, which must succeed, and gives its output.
    #[track_caller]
    pub fn succeed(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs the command, which must end with this status and one line on stderr that holds all `words`.
    #[track_caller]
    pub fn fail(&self, status: i32, arguments: &str, words: &[&str]) {
        let output = self.run(arguments);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{arguments}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{arguments}: one line, not {errors}");
        assert!(errors.starts_with("error: "), "{arguments}: {errors}");
        for word in words {
            assert!(errors.contains(word), "{arguments}: {word:?} is missing in {errors}");
        }
    }
}

/// A process that is killed where a test ends, however it ends.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Checks that an object has a number under each of these space-separated keys.
#[track_caller]
pub fn assert_numbers(object: &serde_json::Value, keys: &str) {
    for key in keys.split_whitespace() {
        assert!(object[key].is_number(), "{key} in {object}");
    }
}

/// A net and a data set that train within a second.
pub const SMALL: &str = "--net mlp --width 0.1 --limit 200 --batch 20";
