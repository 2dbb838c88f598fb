//! Reading small files whole, writing files so that a reader never sees half of one, and tables as text.

use crate::escape;
use crate::failure::Failure;
use spikegrad::models::available;
use spikegrad::models::durable::replace;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

pub use crate::terminal::print;

/// The most bytes that are read from a pipe.
const PIPE_LIMIT: u64 = 16 << 20;

/// Reads a whole file: a regular one that memory holds, or a pipe that is open already (`/dev/stdin`, `/dev/fd/63`) of
/// 16 MiB at most. A named pipe could wait for ever, a device could give bytes without end.
///
/// # Errors
/// Whatever the file system says; a folder, a named pipe, a device; a file that grows meanwhile or is larger than memory.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let about = fs::metadata(path)?;
    let is_open = ["/dev/stdin", "/dev/fd", "/proc/self/fd"].iter().any(|open| path.starts_with(open));
    let limit = match about.is_file() {
        true => about.len(),
        false if is_open && !about.is_dir() => PIPE_LIMIT,
        false => return Err(io::Error::new(io::ErrorKind::InvalidInput, "is no regular file")),
    };
    available::check(usize::try_from(limit).unwrap_or(usize::MAX)).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit {
        true => Err(io::Error::other(format!("more than {limit} bytes came"))),
        false => Ok(bytes),
    }
}

/// Reads a whole file of text, as [`read`].
///
/// # Errors
/// As [`read`]; bytes that are no UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    let no_text = |_| io::Error::new(io::ErrorKind::InvalidData, "is no text in UTF-8");
    String::from_utf8(read(path)?).map_err(no_text)
}

/// Writes a file whole or not at all.
///
/// # Errors
/// Whatever the file system says, with the path.
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
    replace(path, bytes.as_ref()).map_err(|why| Failure::at(path, why))
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
        let cells: Vec<String> = row.iter().map(|cell| escape::markdown(cell)).collect();
        text += &format!("| {} |\n", cells.join(" | "));
        if i == 0 {
            let rule: Vec<&str> = (0..row.len()).map(|c| if c == 0 { ":--" } else { "--:" }).collect();
            text += &format!("| {} |\n", rule.join(" | "));
        }
    }
    text
}

/// Makes a row of a `table`.
#[macro_export]
macro_rules! row {
    ($($cell:expr),* $(,)?) => { vec![$($cell.to_string()),*] };
}
