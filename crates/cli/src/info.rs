//! `spikegrad info`: what a checkpoint, a run folder or a data set holds.

use crate::failure::Failure;
use crate::files::{print, table};
use crate::row;
use crate::run_folder::RunFolder;
use clap::Args;
use spikegrad::data::{ImageSet, Source};
use spikegrad::models::safetensors::File;
use std::path::Path;

/// What `info` takes.
#[derive(Args, Clone, Debug)]
pub struct InfoArgs {
    /// A .safetensors file, a run folder, or a data set such as cifar10:DIR
    file: String,
}

/// Shows.
///
/// # Errors
/// A file that is missing or damaged.
pub fn run(args: InfoArgs) -> Result<(), Failure> {
    let path = Path::new(&args.file);
    let text = match args.file.parse::<Source>() {
        Ok(source) => data_set(&source)?,
        Err(_) if path.is_dir() => folder(path)?,
        Err(why) if args.file.contains(':') && !path.exists() => return Err(Failure::input(why)),
        Err(_) => checkpoint(path)?,
    };
    print(&text);
    Ok(())
}

/// The tensors and the metadata of a file.
fn checkpoint(path: &Path) -> Result<String, Failure> {
    let file = File::read(path).map_err(Failure::input)?;
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

/// The settings and the last epoch of a run.
fn folder(path: &Path) -> Result<String, Failure> {
    let folder = RunFolder::open(path)?;
    let config = folder.file("config.toml");
    let mut text = std::fs::read_to_string(&config).map_err(|why| Failure::at(&config, why))?;
    let metrics = folder.metrics(usize::MAX)?;
    match metrics.last() {
        Some(last) => {
            let accuracy = 100.0 * last.test_accuracy;
            text += &format!("\n{} epochs, test accuracy {accuracy:.2} %\n", last.epoch);
        }
        None => text += "\nno epoch finished\n",
    }
    Ok(text)
}

/// The sizes and the classes of a data set.
fn data_set(source: &Source) -> Result<String, Failure> {
    let split = source.load(0).map_err(Failure::input)?;
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
