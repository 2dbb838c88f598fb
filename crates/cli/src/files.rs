//! Writing files so that a reader never sees half of one, and JSON output.

use crate::failure::Failure;
use serde_json::Value;
use spikegrad::models::durable::replace;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Writes a file whole or not at all.
///
/// # Errors
/// Whatever the file system says, with the path.
pub fn write(path: &Path, text: &str) -> Result<(), Failure> {
    replace(path, text.as_bytes()).map_err(|why| Failure::at(path, why))
}

/// A path that names no file yet, in a folder that is made where it is missing.
///
/// # Errors
/// The file exists; the file system refuses the folder.
pub fn new_file(path: &Path) -> Result<PathBuf, Failure> {
    if path.exists() {
        return Err(Failure::at(path, "exists already; choose another folder"));
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|why| Failure::at(folder, why))?;
    }
    Ok(path.to_path_buf())
}

/// Writes figures as JSON to `target`: a new file, or stdout for `-`.
///
/// # Errors
/// An existing file, or whatever the file system says.
pub fn write_json(target: &str, value: &Value) -> Result<(), Failure> {
    let text = format!("{value:#}\n");
    if target == "-" {
        write_all(std::io::stdout().lock(), &text);
        return Ok(());
    }
    let path = Path::new(target);
    if path.exists() {
        return Err(Failure::at(path, "exists already; --json writes a new file"));
    }
    write(path, &text)
}

/// Whether stdout is for JSON alone.
static JSON_ON_STDOUT: AtomicBool = AtomicBool::new(false);

/// Keeps stdout for JSON where `--json -` asks for it: what [`print()`] is given goes to stderr from now on.
pub fn keep_stdout_for_json(target: Option<&str>) {
    JSON_ON_STDOUT.store(target == Some("-"), Ordering::Relaxed);
}

/// Prints to stdout, or to stderr where stdout is for JSON.
pub fn print(text: &str) {
    match JSON_ON_STDOUT.load(Ordering::Relaxed) {
        true => write_all(std::io::stderr().lock(), text),
        false => write_all(std::io::stdout().lock(), text),
    }
}

/// Writes to a stream; a reader that went away (`| head`) is no error.
fn write_all(mut stream: impl Write, text: &str) {
    let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
}

/// Prints a table with its first column to the left and the others to the right.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|row| row.get(c)).map(|s| s.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|c| width(c).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        for (c, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            match c {
                0 => text += &format!("{cell:<width$}"),
                _ => text += &format!("  {cell:>width$}"),
            }
        }
        text = text.trim_end().to_string() + "\n";
    }
    text
}

/// Writes a table in Markdown, its first column to the left and the others to the right.
pub fn markdown(rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (i, row) in rows.iter().enumerate() {
        text += &format!("| {} |\n", row.join(" | "));
        if i == 0 {
            let rule: Vec<&str> = (0..row.len()).map(|c| if c == 0 { ":--" } else { "--:" }).collect();
            text += &format!("| {} |\n", rule.join(" | "));
        }
    }
    text
}

/// A field of a CSV line, in quotes where it has to be.
pub fn quoted(field: &str) -> String {
    match field.contains([',', '"', '\n']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_string(),
    }
}

/// Makes a row of a `table`.
#[macro_export]
macro_rules! row {
    ($($cell:expr),* $(,)?) => { vec![$($cell.to_string()),*] };
}
