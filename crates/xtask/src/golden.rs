//! `cargo xtask golden`: golden steps come from PyTorch, so this one tool is a Python program.

use crate::repository::{Result, root, succeed};
use std::process::Command;

/// Hands the arguments to golden.py; paths count from the current folder.
pub fn run(python: &str, arguments: &[String]) -> Result {
    let program = root().join("crates/xtask/python/golden.py");
    succeed(Command::new(python).arg(program).args(arguments))
}
