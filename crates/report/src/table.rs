//! Tables as text: the first row is the head, the first column stands to the left, the others to the right.

use crate::escape;

/// Lays a table out for a terminal.
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

/// Writes a table in Markdown.
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

/// Makes a row of a table from anything that can be printed.
///
/// ```
/// let rows = [spikegrad_report::row!["layer", "count"], spikegrad_report::row!["conv1", 3]];
/// assert_eq!(spikegrad_report::table::table(&rows), "layer  count\nconv1      3\n");
/// ```
#[macro_export]
macro_rules! row {
    ($($cell:expr),* $(,)?) => { vec![$($cell.to_string()),*] };
}
