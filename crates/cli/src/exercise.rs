//! `spikegrad gradcheck --exercise NAME`: builds the reader's file and hands its grade on.

use crate::failure::Failure;
use crate::files::print;
use spikegrad_testkit::exercise::NAMES;
use std::process::Command;

/// Builds and runs an exercise of the repository that the command stands in.
///
/// # Errors
/// No such exercise, no cargo, a file that does not compile, a wrong gradient.
pub fn grade(name: &str) -> Result<(), Failure> {
    let name = name.replace('-', "_");
    if !NAMES.contains(&&name[..]) {
        return Err(Failure::Usage(format!("no exercise is called {name:?}; known: {}", NAMES.join(", "))));
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let run = |verb: &str| {
        let mut command = Command::new(&cargo);
        command.args([verb, "--quiet", "--release", "-p", "spikegrad-exercises", "--bin", &name]);
        command.output().map_err(|why| Failure::Input(format!("cargo, which builds the exercise: {why}")))
    };
    let built = run("build")?;
    if !built.status.success() {
        let errors = String::from_utf8_lossy(&built.stderr);
        let first = errors.lines().find(|line| line.starts_with("error")).unwrap_or("see `cargo build`");
        return Err(Failure::Input(format!("exercises/{name}.rs does not compile: {first}")));
    }
    let graded = run("run")?;
    if graded.status.success() {
        print(&String::from_utf8_lossy(&graded.stdout));
        return Ok(());
    }
    Err(Failure::input(String::from_utf8_lossy(&graded.stderr).trim()))
}
