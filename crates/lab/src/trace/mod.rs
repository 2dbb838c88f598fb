//! The gradient microscope. What chosen neurons do and what gradient flows back through them, step by
//! step, from the trainer's own kernels.
//!
//! | file | holds |
//! |---|---|
//! | `trace.html` | the page: self-contained, its sliders compute the neuron anew |
//! | `trace.csv` | chosen neurons, one line a step |
//! | `layers.csv` | every layer, one line a step |

mod pick;

use crate::checkpoint::Checkpoint;
use crate::dataset::Dataset;
use crate::settings::names::ScheduleName;
use crate::settings::{RunConfig, Settings};
use crate::{Error, Result};
use pick::Picker;
use spikegrad::Trainer;
use spikegrad::data::Batch;
use spikegrad::microscope::{Microscope, Neuron};
use spikegrad::models::NetKind;
use spikegrad::tensor::Level;
use spikegrad_report::thumbnails;
use spikegrad_report::trace_page::{TracePage, layers_csv, neurons_csv};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The loss at which a net that is trained for a trace knows enough.
const LEARNED: f64 = 0.5;
/// Batches that the loss is averaged over, about.
const RECENT: f64 = 20.0;
/// Images of a batch that are looked at for one whose neurons are alive.
const CANDIDATES: usize = 20;
/// The width of the picture on the page.
const PICTURE: usize = 128;

/// What is to be traced.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The number of the test image; none: of those of the first batch that the net takes right, the one with the most
    /// neurons that a gradient reaches.
    pub sample: Option<usize>,
    /// Neurons, each LAYER:CHANNEL,ROW,COLUMN; none: those with the largest gradients.
    pub neurons: Vec<String>,
    /// Layers to choose neurons from; none: all.
    pub layers: Vec<String>,
    /// Neurons to choose in each layer.
    pub per_layer: usize,
}

/// Traces neurons of a trained net in one forward and backward; hands the page over, and the folder's title.
///
/// # Errors
/// A ReLU twin, a neuron or an image that is not there; what the net reports.
pub fn trace<T>(
    opened: Checkpoint,
    wanted: &Wanted,
    show: impl FnOnce(&TracePage<'_>, &str) -> Result<T>,
) -> Result<T> {
    let Checkpoint { settings, data, mut trainer, .. } = opened;
    if settings.config.twin == Some(true) {
        return Err(Error::setting("--twin has no neurons to trace"));
    }
    let batch = batch_of(wanted, &settings, &data)?;
    let (image, neurons) = pick(wanted, &settings, &mut trainer, &batch)?;
    let sample = wanted.sample.unwrap_or(0) / settings.batch() * settings.batch() + image;
    let microscope = Arc::new(Microscope::new(trainer.net(), &neurons).map_err(Error::setting)?);
    let loss = trainer.observe(&batch.images, &batch.labels, microscope.clone())?;
    let classes = data.shape().classes;
    let logits = trainer.predict(&batch.images)?[image * classes..][..classes].to_vec();
    let page = TracePage {
        net: trainer.config().net.name(),
        data: settings.source.to_string(),
        lif: &trainer.config().net.lif,
        sample,
        picture: thumbnails::picture(&data.test, sample, PICTURE)?,
        class: class(&data, batch.labels[image] as usize),
        answer: class(&data, largest(&logits)),
        logits: logits.iter().enumerate().map(|(k, &logit)| (class(&data, k), logit)).collect(),
        loss,
        layers: microscope.layers(),
        neurons: microscope.neurons(),
    };
    show(&page, &format!("trace-{}", settings.title()))
}

/// The files of a trace and their contents.
pub fn files(page: &TracePage<'_>) -> [(&'static str, String); 3] {
    [
        ("trace.csv", neurons_csv(&page.neurons)),
        ("layers.csv", layers_csv(&page.layers)),
        ("trace.html", page.html()),
    ]
}

/// What a net that is trained for a trace is where nobody says: small and with many time steps, so that there is
/// something to see.
pub fn usual() -> RunConfig {
    RunConfig {
        net: Some(NetKind::LeNet),
        width: Some(0.25),
        timesteps: Some(8),
        batch: Some(20),
        lr: Some(5e-3),
        schedule: Some(ScheduleName::Constant),
        ..RunConfig::default()
    }
}

/// Trains a net for a moment, until it knows something.
///
/// # Errors
/// Settings that make no sense, bad data; what the net reports.
pub fn fresh(config: RunConfig, file: Option<&Path>, steps: usize, level: Level) -> Result<Checkpoint> {
    let settings = match file {
        Some(_) => Settings::resolve(config, file)?,
        None => Settings::check(config.over(usual()))?,
    };
    let data = Dataset::load(&settings)?;
    let mut trainer = Trainer::new(settings.train_config(data.shape()), level)?;
    let loader = data.train_loader(&settings)?;
    let batches = (0..).flat_map(|epoch| loader.epoch(epoch).map(move |batch| (epoch, batch)));
    // The mean over about the last twenty batches, from the loss of a net that knows nothing.
    let mut loss = (data.shape().classes as f64).ln();
    for (epoch, batch) in batches.take(steps) {
        let step = trainer.train_batch(&batch.images, &batch.labels, epoch as f64)?;
        loss += (step.data_term - loss) / RECENT;
        if loss < LEARNED {
            break;
        }
    }
    Ok(Checkpoint { weights: PathBuf::new(), settings, data, trainer })
}

/// The batch that holds the sample, or the first.
fn batch_of(wanted: &Wanted, settings: &Settings, data: &Dataset) -> Result<Batch> {
    let (sample, size, images) = (wanted.sample.unwrap_or(0), settings.batch(), data.test.len());
    let whole = images / size * size;
    if sample >= whole {
        let why = format!("the {images} test images make whole batches of {size} up to image {whole}");
        return Err(Error::setting(format!("--sample is {sample}, must be less than {whole}: {why}")));
    }
    let batch = data.test_loader(settings)?.epoch_from(0, sample / size).next();
    batch.ok_or_else(|| Error::input("the test images make no whole batch"))
}

/// The image to trace, as its place in the batch, and its neurons: those that the user names, or those that the
/// gradient moves most. Where no image is named, it is the first with the most neurons that a gradient reaches, among
/// those that the net takes right if it takes any right.
fn pick(
    wanted: &Wanted,
    settings: &Settings,
    trainer: &mut Trainer,
    batch: &Batch,
) -> Result<(usize, Vec<Neuron>)> {
    let given = wanted.sample.map(|sample| sample % settings.batch());
    if !wanted.neurons.is_empty() {
        let image = given.unwrap_or(0);
        let named = wanted.neurons.iter().map(|name| parse(name, image)).collect::<Result<_, _>>()?;
        return Ok((image, named));
    }
    let units = trainer.net().units();
    if let Some(name) = wanted.layers.iter().find(|name| units.iter().all(|unit| unit.name != **name)) {
        let known: Vec<_> = units.iter().map(|unit| unit.name.as_str()).collect();
        return Err(Error::setting(format!("no layer is called {name:?}; known: {}", known.join(", "))));
    }
    let images = match given {
        Some(image) => vec![image],
        None => candidates(trainer, batch)?,
    };
    let mut best: Option<(usize, usize, Vec<Neuron>)> = None;
    for image in images {
        let picker = Arc::new(Picker::new(trainer.net().units(), image));
        trainer.observe(&batch.images, &batch.labels, picker.clone())?;
        let picked = picker.largest(&wanted.layers, wanted.per_layer.max(1), trainer.config().net.timesteps);
        let live = picked.iter().filter(|picked| picked.is_live).count();
        if best.as_ref().is_none_or(|(most, ..)| live > *most) {
            best = Some((live, image, picked.into_iter().map(|picked| picked.neuron).collect()));
        }
    }
    best.map(|(_, image, neurons)| (image, neurons)).ok_or_else(|| Error::input("the batch has no image"))
}

/// The first images of a batch that the net takes right, or, where it takes none right, the first images.
fn candidates(trainer: &mut Trainer, batch: &Batch) -> Result<Vec<usize>> {
    let logits = trainer.predict(&batch.images)?;
    let classes = logits.len() / batch.labels.len();
    let first = 0..batch.len.min(CANDIDATES);
    let is_right =
        |&image: &usize| largest(&logits[image * classes..][..classes]) == batch.labels[image] as usize;
    let right: Vec<usize> = first.clone().filter(is_right).collect();
    Ok(if right.is_empty() { first.collect() } else { right })
}

/// Reads LAYER:CHANNEL,ROW,COLUMN.
fn parse(name: &str, image: usize) -> Result<Neuron> {
    let wrong = || Error::setting(format!("--neuron is {name:?}, must be LAYER:CHANNEL,ROW,COLUMN"));
    let (layer, place) = name.rsplit_once(':').ok_or_else(wrong)?;
    let place: Vec<usize> =
        place.split(',').map(|n| n.trim().parse().map_err(|_| wrong())).collect::<Result<_, _>>()?;
    let &[channel, row, column] = place.as_slice() else { return Err(wrong()) };
    Ok(Neuron { layer: layer.into(), image, channel, row, column })
}

/// A class's name.
fn class(data: &Dataset, label: usize) -> String {
    data.test.class_names().get(label).cloned().unwrap_or_else(|| label.to_string())
}

/// The index of the largest value.
fn largest(row: &[f32]) -> usize {
    (0..row.len()).fold(0, |best, k| if row[k] > row[best] { k } else { best })
}
