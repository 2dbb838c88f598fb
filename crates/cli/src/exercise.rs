//! `spikegrad gradcheck --exercise NAME`: builds the reader's file and hands its grade on.

use crate::terminal::print;
use spikegrad_lab::{Error, Result};
use spikegrad_testkit::exercise::NAMES;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The exercises' folder in the repository.
const FOLDER: &str = "crates/exercises/src/bin";

/// Builds and runs an exercise of the repository that the command stands in, or all of them.
///
/// # Errors
/// No such exercise, no repository round the current folder, no cargo, a file that does not compile, a wrong answer.
pub fn grade(name: &str) -> Result<()> {
    let name = name.replace('-', "_");
    if name != "all" && !NAMES.contains(&&name[..]) {
        let known = NAMES.join(", ");
        return Err(Error::setting(format!("no exercise is called {name:?}; known: {known}, all")));
    }
    let root = repository()?;
    if name != "all" {
        return grade_one(&root, &name);
    }
    let mut wrong = 0;
    for name in NAMES {
        match grade_one(&root, name) {
            Ok(()) => {}
            Err(why @ Error::Input(_)) => {
                wrong += 1;
                print(&format!("{why}\n"));
            }
            Err(other) => return Err(other),
        }
    }
    match wrong {
        0 => Ok(()),
        _ => Err(Error::input(format!("{wrong} of {} exercises are not right yet", NAMES.len()))),
    }
}

fn grade_one(root: &Path, name: &str) -> Result<()> {
    let built = cargo(root, "build", name)?;
    if !built.status.success() {
        let errors = String::from_utf8_lossy(&built.stderr);
        // In cargo's short format an error of the file stands on a line of its own: FILE:LINE:COLUMN: error…
        let file = format!("{FOLDER}/{name}.rs:");
        let own = errors.lines().find(|line| line.starts_with(&file) && line.contains(": error"));
        let any = errors.lines().find(|line| line.starts_with("error"));
        let why = own.or(any).unwrap_or("cargo gives no reason");
        return Err(Error::input(format!("{FOLDER}/{name}.rs does not compile: {why}")));
    }
    let graded = cargo(root, "run", name)?;
    if graded.status.success() {
        print(&String::from_utf8_lossy(&graded.stdout));
        return Ok(());
    }
    Err(Error::input(String::from_utf8_lossy(&graded.stderr).trim()))
}

fn cargo(root: &Path, verb: &str, name: &str) -> Result<Output> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root).args([verb, "--quiet", "--release", "--message-format", "short"]);
    command.args(["-p", "spikegrad-exercises", "--bin", name]);
    command.output().map_err(|why| Error::input(format!("cargo, which builds the exercise: {why}")))
}

/// The repository that holds the exercises: the current folder, or one round it.
fn repository() -> Result<PathBuf> {
    let here = std::env::current_dir().map_err(|why| Error::input(format!("the current folder: {why}")))?;
    let is_root = |folder: &&Path| folder.join(FOLDER).join(format!("{}.rs", NAMES[0])).is_file();
    here.ancestors().find(is_root).map(Path::to_path_buf).ok_or_else(|| {
        Error::at(
            &here,
            "holds no exercises, nor does a folder round it: change to a copy of spikegrad's repository",
        )
    })
}
