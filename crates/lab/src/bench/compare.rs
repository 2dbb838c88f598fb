//! Two measurements compared: is B faster than A, or is the difference chance?

use super::Measured;
use crate::files;
use crate::statistics::comparison::{Ratio, mann_whitney, ratio_of_medians};
use crate::statistics::median;
use crate::{Error, Result};
use serde_json::{Value, json};
use spikegrad_report::row;
use spikegrad_report::table::table;
use std::path::Path;

/// Below this p, and with 1 outside the interval, a difference is said to be shown.
const LEVEL: f64 = 0.05;
/// What two measurements of steps, or of one layer, should agree in.
const SETTINGS: [&str; 8] =
    ["net", "width", "batch", "timesteps", "threads", "size", "density", "spike_kernel"];

/// Times of one thing, in seconds or milliseconds, and the object they stand in.
#[derive(Debug)]
struct Sample {
    /// What was measured: the key that A and B are matched by.
    what: String,
    times: Vec<f64>,
    about: Value,
}

/// Compares the measurements in two files: JSON of `bench step`, `bench layers` or a program of benches/peers.
///
/// # Errors
/// A file that cannot be read, is not JSON, or holds no times; files of two kinds, or with nothing in common.
pub fn compare(path_a: &Path, path_b: &Path, seed: u64) -> Result<Measured> {
    let (a, b) = (read(path_a)?, read(path_b)?);
    let pairs: Vec<(&Sample, &Sample)> =
        a.iter().filter_map(|a| Some((a, b.iter().find(|b| b.what == a.what)?))).collect();
    if pairs.is_empty() {
        let why = format!("nothing in common with {}: {} against {}", path_b.display(), a[0].what, b[0].what);
        return Err(Error::at(path_a, why));
    }
    let mut rows = Vec::new();
    for (a, b) in &pairs {
        rows.push(compared(a, b, seed));
    }
    let unmatched = a.len() + b.len() - 2 * pairs.len();
    let logs: f64 = rows.iter().filter_map(|row| row["ratio"].as_f64()).map(f64::ln).sum();
    let figures = json!({
        "a": path_a.display().to_string(),
        "b": path_b.display().to_string(),
        "seed": seed,
        "rows": rows,
        "unmatched": unmatched,
        "geometric_mean_ratio": (logs / pairs.len() as f64).exp(),
    });
    Ok(Measured { text: show(&figures), figures })
}

/// Reads the samples of a file.
fn read(path: &Path) -> Result<Vec<Sample>> {
    let text = files::read_text(path).map_err(|why| Error::at(path, why))?;
    let value: Value = serde_json::from_str(&text).map_err(|why| Error::at(path, why))?;
    let samples = match &value {
        Value::Array(rows) => rows.iter().enumerate().map(|(i, row)| layer(path, i, row)).collect(),
        Value::Object(_) => step(path, &value).map(|sample| vec![sample]),
        _ => Err(Error::at(path, "expected an object with \"steps\" or a list of layers")),
    }?;
    if samples.is_empty() { Err(Error::at(path, "the list of layers is empty")) } else { Ok(samples) }
}

/// The steps of a `bench step`, or of a peer.
fn step(path: &Path, value: &Value) -> Result<Sample> {
    let times = times(path, value, "steps")?;
    Ok(Sample { what: "training step".into(), times, about: value.clone() })
}

/// A row of a `bench layers`, or of a peer.
fn layer(path: &Path, index: usize, row: &Value) -> Result<Sample> {
    let word = |key: &str| {
        let why = || Error::at(path, format!("row {index} has no {key:?}"));
        row[key].as_str().ok_or_else(why)
    };
    let what = format!("{} {} {}", word("layer")?, word("shape")?, word("pass")?);
    let times =
        times(path, row, "samples_ms").map_err(|why| Error::input(format!("{why} in row {index}")))?;
    Ok(Sample { what, times, about: row.clone() })
}

/// The list of times under `key`: positive, one or more.
fn times(path: &Path, value: &Value, key: &str) -> Result<Vec<f64>> {
    let Some(list) = value[key].as_array() else {
        return Err(Error::at(path, format!("no list {key:?} of times")));
    };
    let times: Vec<f64> = list.iter().filter_map(Value::as_f64).filter(|time| *time > 0.0).collect();
    if times.is_empty() || times.len() < list.len() {
        let wrong = list.len() - times.len();
        let why = format!("{key:?} holds {} times, {wrong} of them no positive number", list.len());
        return Err(Error::at(path, why));
    }
    Ok(times)
}

/// One thing, measured twice.
fn compared(a: &Sample, b: &Sample, seed: u64) -> Value {
    let Ratio { ratio, interval } = ratio_of_medians(&a.times, &b.times, seed);
    let p = mann_whitney(&a.times, &b.times);
    let differs: Vec<String> = SETTINGS
        .iter()
        .filter(|key| {
            !a.about[**key].is_null() && !b.about[**key].is_null() && !same(&a.about[**key], &b.about[**key])
        })
        .map(|key| format!("{key} {} against {}", a.about[*key], b.about[*key]))
        .collect();
    let shown = p < LEVEL && (interval.0 > 1.0 || interval.1 < 1.0);
    let verdict = match (shown, ratio > 1.0) {
        (false, _) => "no difference shown",
        (true, true) => "faster",
        (true, false) => "slower",
    };
    json!({
        "what": a.what,
        "median_a": median(&a.times),
        "median_b": median(&b.times),
        "samples_a": a.times.len(),
        "samples_b": b.times.len(),
        "ratio": ratio,
        "low": interval.0,
        "high": interval.1,
        "p": p,
        "b_is": verdict,
        "differs": differs,
    })
}

/// Whether two settings agree; 1 and 1.0 do.
fn same(a: &Value, b: &Value) -> bool {
    a == b || a.as_f64().is_some_and(|a| b.as_f64() == Some(a))
}

/// The comparison in words.
fn show(figures: &Value) -> String {
    let rows: &[Value] = figures["rows"].as_array().map_or(&[], Vec::as_slice);
    let mut lines = vec![row!["", "A", "B", "A / B", "95 % interval", "p", "B is"]];
    let number = |row: &Value, key: &str| row[key].as_f64().unwrap_or(0.0);
    for row in rows {
        lines.push(row![
            row["what"].as_str().unwrap_or(""),
            format!("{:.4}", number(row, "median_a")),
            format!("{:.4}", number(row, "median_b")),
            format!("{:.3}", number(row, "ratio")),
            format!("{:.3} to {:.3}", number(row, "low"), number(row, "high")),
            format!("{:.4}", number(row, "p")),
            row["b_is"].as_str().unwrap_or(""),
        ]);
    }
    let mut text = table(&lines);
    text += "A and B: medians, in seconds (steps) or milliseconds (layers); A / B above 1: B is faster.\n";
    if rows.len() > 1 {
        let mean = number(figures, "geometric_mean_ratio");
        text += &format!("Geometric mean of A / B: {mean:.3}. Of {} rows, ", rows.len());
        text += &format!("{:.1} would show a difference by chance.\n", LEVEL * rows.len() as f64);
    }
    let few = |row: &Value| number(row, "samples_a").min(number(row, "samples_b")) < 4.0;
    if rows.iter().any(few) {
        text += "With fewer than four samples a side, the test can show no difference: measure more often.\n";
    }
    if number(figures, "unmatched") > 0.0 {
        text += &format!("{} rows stand in one file alone and are left out.\n", figures["unmatched"]);
    }
    let mut differs: Vec<&str> =
        rows.iter().filter_map(|row| row["differs"].as_array()).flatten().filter_map(Value::as_str).collect();
    differs.sort_unstable();
    differs.dedup();
    for difference in differs {
        text += &format!("Not the same setting: {difference}.\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(times: &[f64], about: Value) -> Sample {
        Sample { what: "training step".into(), times: times.to_vec(), about }
    }

    #[test]
    fn verdicts() {
        let slow = [2.0, 2.1, 1.9, 2.05, 2.02];
        let fast = [1.0, 1.1, 0.9, 1.05, 1.02];
        let of = |a: &[f64], b: &[f64]| compared(&sample(a, json!({})), &sample(b, json!({})), 0);
        assert_eq!(of(&slow, &fast)["b_is"], "faster");
        assert_eq!(of(&fast, &slow)["b_is"], "slower");
        assert_eq!(of(&fast, &[1.0, 1.08, 0.93, 1.04, 1.03])["b_is"], "no difference shown");
        assert_eq!(of(&slow[..3], &fast[..3])["b_is"], "no difference shown", "three a side show nothing");
    }

    #[test]
    fn settings_that_differ_are_named() {
        let (a, b) = (json!({"batch": 16, "width": 1}), json!({"batch": 32, "width": 1.0, "net": "mlp"}));
        let row = compared(&sample(&[1.0], a), &sample(&[1.0], b), 0);
        assert_eq!(row["differs"], json!(["batch 16 against 32"]));
    }
}
