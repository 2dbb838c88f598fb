//! A recording of events, summed up and drawn.

use crate::Result;
use serde_json::{Value, json};
use spikegrad::data::events::{Events, ReadOptions, Recording, Sensor, SensorFrom, Stream};
use std::path::Path;

/// A recording in words and figures.
pub struct Summary {
    /// For people.
    pub text: String,
    /// For programs.
    pub figures: Value,
    /// The events, sorted.
    pub events: Events,
}

/// What is asked of a recording.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// The sensor that its events are put on, if one is given.
    pub sensor: Option<Sensor>,
    /// The stream of events; none: the first.
    pub stream: Option<u32>,
}

/// Reads a recording, from stdin where the path is `-`, and sums it up.
///
/// # Errors
/// A file that is no recording, or is damaged.
pub fn summarise(path: &Path, wanted: Wanted) -> Result<Summary> {
    let options = ReadOptions { stream: wanted.stream, camera: wanted.sensor, ..ReadOptions::default() };
    let recording = match path == Path::new("-") {
        true => options.read_from(Path::new("stdin"), std::io::stdin().lock(), None),
        false => options.read(path),
    };
    let Recording { mut events, format, sensor_from, streams, skipped } = recording?;
    let outside = wanted.sensor.map_or(0, |sensor| events.fit(sensor));
    let sensor_from = wanted.sensor.map_or(sensor_from, |_| SensorFrom::Caller);
    let disorder = events.disorder();
    events.sort();
    let (first, last) = (events.list.first().map(|e| e.t), events.list.last().map(|e| e.t));
    let (count, duration) = (events.len(), events.duration());
    let on = events.list.iter().filter(|event| event.on).count();
    let rate = (duration > 0).then(|| count as f64 / (duration as f64 / 1e6));
    let Sensor { width, height } = events.sensor;
    let times = match (first, last) {
        (Some(first), Some(last)) => format!("{:.3} ms, from {first} to {last} µs", duration as f64 / 1000.0),
        _ => "none".into(),
    };
    let mut rows = vec![
        ("format", format.to_string()),
        ("sensor", format!("{width}×{height} ({sensor_from})")),
        ("events", format!("{count} ({on} ON, {} OFF)", count - on)),
        ("duration", times),
        ("rate", rate.map_or("-".into(), |rate| format!("{:.1} thousand events/s", rate / 1000.0))),
        ("disorder", format!("{disorder} events are earlier than the one before")),
    ];
    rows.extend(streams.iter().map(|stream| ("stream", stream_line(stream))));
    rows.extend(skipped.iter().map(|skipped| ("left out", skipped.to_string())));
    if outside > 0 {
        rows.push(("left out", format!("{outside} events outside {width}×{height}")));
    }
    let text = rows.iter().map(|(key, value)| format!("{key:<8}  {value}\n")).collect();
    let left_out: Vec<Value> = skipped.iter().map(|s| json!({ "what": s.what, "count": s.count })).collect();
    let figures = json!({
        "format": format.name(),
        "width": width,
        "height": height,
        "sensor_stated": sensor_from == SensorFrom::Recording,
        "events": count,
        "on": on,
        "off": count - on,
        "first_us": first,
        "last_us": last,
        "duration_us": duration,
        "events_per_second": rate,
        "disorder": disorder,
        "left_out": left_out,
        "outside": outside,
        "streams": streams.iter().map(stream_figures).collect::<Vec<_>>(),
    });
    Ok(Summary { text, figures, events })
}

/// A stream in words.
fn stream_line(stream: &Stream) -> String {
    let Stream { number, kind, name, events, .. } = stream;
    let count = events.map_or(String::new(), |count| format!(", {count} events"));
    format!("{number} {name} ({kind}){count}")
}

/// A stream in figures.
fn stream_figures(stream: &Stream) -> Value {
    let Stream { number, kind, name, sensor, events } = stream;
    let (width, height) = (sensor.map(|s| s.width), sensor.map(|s| s.height));
    json!({ "number": number, "kind": kind, "name": name, "width": width, "height": height, "events": events })
}
