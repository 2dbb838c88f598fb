//! The book's formulas, from TeX to MathML before anybody reads them: no script and no network at reading time.
//!
//! | where | in a chapter |
//! |---|---|
//! | a line of its own | a code block whose language is `math` |
//! | in a sentence | between dollar signs |
//!
//! GitHub shows the same sources as formulas too. Only the commands that the book uses are known; an unknown one is an
//! error, so that a chapter never shows half a formula.
#![forbid(unsafe_code)]

mod tex;

pub use tex::{Display, mathml};

/// Turns every formula of a chapter into MathML; code, in blocks and between backticks, stays as it is.
///
/// # Errors
/// A formula that cannot be read, with its source.
pub fn chapter(markdown: &str) -> Result<String, String> {
    let (mut out, mut lines) = (String::new(), markdown.lines());
    while let Some(line) = lines.next() {
        let fence = line.trim_start();
        if fence.starts_with("```") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| line.trim_start() != "```").collect();
            if fence == "```math" {
                let formula = body.join("\n");
                let made = mathml(&formula, Display::Block).map_err(|why| format!("{why} in {formula:?}"))?;
                out += &format!("{made}\n");
            } else {
                out += &format!("{line}\n{}\n```\n", body.join("\n"));
            }
        } else {
            out += &sentence(line)?;
            out.push('\n');
        }
    }
    Ok(out)
}

/// A line outside code blocks.
fn sentence(line: &str) -> Result<String, String> {
    let mut out = String::new();
    // Every second piece between backticks is code.
    for (k, piece) in line.split('`').enumerate() {
        if k > 0 {
            out.push('`');
        }
        if k % 2 == 1 {
            out += piece;
            continue;
        }
        for (k, part) in piece.split('$').enumerate() {
            if k % 2 == 0 {
                out += part;
            } else {
                out += &mathml(part, Display::Inline).map_err(|why| format!("{why} in {part:?}"))?;
            }
        }
        if piece.matches('$').count() % 2 == 1 {
            return Err(format!("a formula without its second dollar sign in {line:?}"));
        }
    }
    Ok(out)
}
