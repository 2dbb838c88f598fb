//! What `info` says of a recording of events.

use crate::failure::Failure;
use crate::files::print;
use crate::outputs::NewFile;
use crate::render::render;
use serde_json::{Value, json};
use spikegrad::data::events::{Recording, Sensor, read};
use std::path::Path;

/// A recording in words and figures.
pub struct Summary {
    /// For people.
    pub text: String,
    /// For programs.
    pub figures: Value,
}

/// Reads a recording, draws it if that is wanted, and sums it up.
///
/// # Errors
/// A file that is no recording, is damaged, or cannot be drawn.
pub fn summarise(path: &Path, target: Option<&NewFile>) -> Result<Summary, Failure> {
    let Recording { mut events, format, sensor_stated, skipped } = read(path).map_err(Failure::input)?;
    let disorder = events.disorder();
    events.sort();
    if let Some(target) = target {
        render(&events, target)?;
        print(&format!("wrote {}\n", target.path().display()));
    }
    let (first, last) = (events.list.first().map(|e| e.t), events.list.last().map(|e| e.t));
    let (count, duration) = (events.len(), events.duration());
    let on = events.list.iter().filter(|event| event.on).count();
    let rate = (duration > 0).then(|| count as f64 / (duration as f64 / 1e6));
    let Sensor { width, height } = events.sensor;
    let stated = if sensor_stated { "stated" } else { "the smallest that holds the events; none is stated" };
    let times = match (first, last) {
        (Some(first), Some(last)) => format!("{:.3} ms, from {first} to {last} µs", duration as f64 / 1000.0),
        _ => "none".into(),
    };
    let mut rows = vec![
        ("format", format.to_string()),
        ("sensor", format!("{width}×{height} ({stated})")),
        ("events", format!("{count} ({on} ON, {} OFF)", count - on)),
        ("duration", times),
        ("rate", rate.map_or("-".into(), |rate| format!("{:.1} thousand events/s", rate / 1000.0))),
        ("disorder", format!("{disorder} events are earlier than the one before")),
    ];
    rows.extend(skipped.iter().map(|skipped| ("left out", skipped.to_string())));
    let text = rows.iter().map(|(key, value)| format!("{key:<8}  {value}\n")).collect();
    let left_out: Vec<Value> = skipped.iter().map(|s| json!({ "what": s.what, "count": s.count })).collect();
    let figures = json!({
        "format": format.name(),
        "width": width,
        "height": height,
        "sensor_stated": sensor_stated,
        "events": count,
        "on": on,
        "off": count - on,
        "first_us": first,
        "last_us": last,
        "duration_us": duration,
        "events_per_second": rate,
        "disorder": disorder,
        "left_out": left_out,
    });
    Ok(Summary { text, figures })
}
