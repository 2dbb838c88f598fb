//! Writing files so that a reader never sees half of one, and tables as text.

use crate::escape;
use crate::failure::Failure;
use spikegrad::models::durable::replace;
use std::path::Path;

pub use crate::terminal::print;

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
