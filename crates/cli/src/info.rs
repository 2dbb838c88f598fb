//! `spikegrad info`: what a checkpoint, a run folder, a data set or a recording of events holds.

use crate::outputs::{JsonTarget, NewFile};
use crate::terminal::print;
use clap::Args;
use spikegrad::data::events::{Events, Sample, Sensor};
use spikegrad::data::{ImageSet, Source};
use spikegrad::models::safetensors::File;
use spikegrad_lab::recording::{Wanted, summarise};
use spikegrad_lab::run::folder::{METRICS, SETTINGS, STATE, check_is_run};
use spikegrad_lab::run::{RunState, metrics};
use spikegrad_lab::{Error, Result, files};
use spikegrad_report::render::{Kind, render};
use spikegrad_report::row;
use spikegrad_report::table::table;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What `info` takes.
#[derive(Args, Clone, Debug)]
pub struct InfoArgs {
    /// A .safetensors file, a run folder, a recording of events (- for stdin), or a data set such as cifar10:DIR
    file: String,
    /// Draw a recording into a new file: .png (stills), .gif (film) or .html (film with a slider)
    #[arg(long, value_name = "FILE")]
    render: Option<PathBuf>,
    /// Number of the stream of events to take from a recording that has several; default: the first
    #[arg(long, value_name = "N")]
    stream: Option<u32>,
    /// Put a recording's events on a sensor of this size, and count those outside
    #[arg(long, value_name = "WIDTHxHEIGHT")]
    sensor: Option<Sensor>,
    /// Write a recording's figures as JSON to a new file, or to stdout for -
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// Shows.
///
/// # Errors
/// A file that is missing or damaged.
pub fn run(args: InfoArgs) -> Result<()> {
    let path = Path::new(&args.file);
    let source = args.file.parse::<Source>();
    if source.is_err() && is_recording(path)? {
        return recording(path, &args);
    }
    let for_recordings = [
        ("render", args.render.is_some()),
        ("json", args.json.is_some()),
        ("stream", args.stream.is_some()),
        ("sensor", args.sensor.is_some()),
    ];
    if let Some((name, _)) = for_recordings.iter().find(|(_, given)| *given) {
        return Err(Error::setting(format!("--{name} is for a recording of events")));
    }
    let text = match source {
        Ok(source) if source.is_events() => event_set(&source)?,
        Ok(source) => data_set(&source)?,
        Err(_) if path.is_dir() => folder(path)?,
        Err(why) if args.file.contains(':') && !path.exists() => return Err(Error::input(why)),
        Err(_) => checkpoint(path)?,
    };
    print(&text);
    Ok(())
}

/// Tells whether a path is to be read as a recording: stdin, or what is there and is neither a folder nor a checkpoint.
fn is_recording(path: &Path) -> Result<bool> {
    let there = path.exists() && !path.is_dir();
    Ok(path == Path::new("-") || (there && !(path.is_file() && is_safetensors(path)?)))
}

/// Tells whether a file is named, or begins, like a checkpoint: the length of a header that fits the file, and an object.
fn is_safetensors(path: &Path) -> Result<bool> {
    if path.extension().is_some_and(|ending| ending == "safetensors") {
        return Ok(true);
    }
    let mut head = Vec::new();
    let file = std::fs::File::open(path).map_err(|why| Error::at(path, why))?;
    let size = file.metadata().map_err(|why| Error::at(path, why))?.len();
    file.take(9).read_to_end(&mut head).map_err(|why| Error::at(path, why))?;
    let length = head.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes));
    Ok(head.get(8) == Some(&b'{') && length.is_some_and(|length| length <= size))
}

/// Sums a recording up.
fn recording(path: &Path, args: &InfoArgs) -> Result<()> {
    let json = JsonTarget::claim(args.json.as_deref())?;
    let picture = NewFile::wanted("--render", args.render.as_ref())?;
    json.is_apart_from(args.render.as_deref().as_slice())?;
    let summary = summarise(path, Wanted { sensor: args.sensor, stream: args.stream })?;
    if let Some(picture) = &picture {
        draw(&summary.events, picture)?;
    }
    json.report(&summary.figures, &summary.text)
}

/// Draws a recording into a new file, whose ending says how.
fn draw(events: &Events, picture: &NewFile) -> Result<()> {
    let target = picture.path();
    let Some(kind) = Kind::of(target) else {
        let why = format!("--render {}: the name must end in .png, .gif or .html", target.display());
        return Err(Error::setting(why));
    };
    picture.write(render(events, kind).map_err(|why| Error::at(target, why))?)?;
    print(&format!("wrote {}\n", target.display()));
    Ok(())
}

/// The tensors and the metadata of a file.
fn checkpoint(path: &Path) -> Result<String> {
    let file = File::read(path).map_err(Error::input)?;
    let mut rows = vec![row!["tensor", "type", "shape", "values"]];
    let mut total = 0usize;
    for entry in &file.tensors {
        let values: usize = entry.shape.iter().product();
        total += values;
        rows.push(row![entry.name, entry.dtype, format!("{:?}", entry.shape), values]);
    }
    rows.push(row![format!("{} tensors", file.tensors.len()), "", "", total]);
    let mut text = table(&rows);
    for (key, value) in &file.metadata {
        text += &match value.contains('\n') {
            true => format!("{key}:\n    {}\n", value.trim_end().replace('\n', "\n    ")),
            false => format!("{key} = {value}\n"),
        };
    }
    Ok(text)
}

/// The settings and the last epoch of a run; nothing of it is changed, whether a trainer is at work there or not.
fn folder(path: &Path) -> Result<String> {
    check_is_run(path)?;
    let config = path.join(SETTINGS);
    let mut text = files::read_text(&config).map_err(|why| Error::at(&config, why))?;
    let lines = path.join(METRICS);
    let mut found = metrics::read_text(&lines)?;
    let state = path.join(STATE);
    if state.is_file() {
        let state = RunState::read(&state)?;
        if let Some(why) = metrics::damage(&found, &state.metrics, &lines) {
            text += &format!("\n{why}; train --resume writes it anew from the state, whose figures follow\n");
            found = metrics::to_text(&state.metrics)?;
        }
    }
    match metrics::parse(&found, &lines)?.last() {
        Some(last) => {
            let accuracy = 100.0 * last.test_accuracy;
            text += &format!("\n{} epochs, test accuracy {accuracy:.2} %\n", last.epoch);
        }
        None => text += "\nno epoch finished\n",
    }
    Ok(text)
}

/// The recordings and the classes of a data set of events.
fn event_set(source: &Source) -> Result<String> {
    let split = source.list_events(0).map_err(Error::input)?;
    let sensor = split.fit.sensor.map_or("as each says".into(), |s| format!("{}×{}", s.width, s.height));
    let mut text = format!(
        "training: {} recordings\ntest: {} recordings ({})\nsensor: {sensor}\n",
        split.train.len(),
        split.test.len(),
        split.rule
    );
    let mut rows = vec![row!["class", "training", "test"]];
    let count = |samples: &[Sample], k: usize| samples.iter().filter(|s| usize::from(s.label) == k).count();
    for (k, name) in split.class_names.iter().enumerate() {
        rows.push(row![format!("{k} {name}"), count(&split.train, k), count(&split.test, k)]);
    }
    text += &table(&rows);
    Ok(text)
}

/// The sizes and the classes of a data set.
fn data_set(source: &Source) -> Result<String> {
    let split = source.load(0).map_err(Error::input)?;
    let mut text = String::new();
    for (name, set) in [("training", &split.train), ("test", &split.test)] {
        let ImageSet { channels, height, width, classes, .. } = set;
        text += &format!("{name}: {} images of {channels}×{height}×{width}, {classes} classes\n", set.len());
    }
    let mut rows = vec![row!["class", "training", "test"]];
    let count =
        |set: &ImageSet, k: usize| set.labels.iter().filter(|&&label| usize::from(label) == k).count();
    for k in 0..split.train.classes {
        let name = split.train.class_names.get(k).cloned().unwrap_or_default();
        rows.push(row![format!("{k} {name}"), count(&split.train, k), count(&split.test, k)]);
    }
    Ok(text + &table(&rows))
}
