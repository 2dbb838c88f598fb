//! Speaks mdBook's protocol: `[context, book]` as JSON comes in, the book with its formulas as MathML goes out.
#![forbid(unsafe_code)]

use serde_json::Value;
use std::io::{Read, Write};
use std::process::ExitCode;

/// Converts the content of a chapter and of those below it.
fn convert(value: &mut Value) -> Result<(), String> {
    match value {
        Value::Object(fields) => {
            let name = fields.get("name").and_then(Value::as_str).unwrap_or("a chapter").to_string();
            if let Some(Value::String(content)) = fields.get_mut("content") {
                *content = spikegrad_book::chapter(content).map_err(|why| format!("{name}: {why}"))?;
            }
            fields.values_mut().try_for_each(convert)
        }
        Value::Array(values) => values.iter_mut().try_for_each(convert),
        _ => Ok(()),
    }
}

fn run() -> Result<(), String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|why| why.to_string())?;
    let mut both: Value = serde_json::from_str(&text).map_err(|why| why.to_string())?;
    let book = both.get_mut(1).ok_or("no book beside the context")?;
    convert(book)?;
    writeln!(std::io::stdout(), "{book}").map_err(|why| why.to_string())
}

fn main() -> ExitCode {
    // `supports RENDERER` asks whether to run at all; MathML is for HTML.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "supports") {
        return if arguments.get(1).is_some_and(|name| name == "html") {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}
