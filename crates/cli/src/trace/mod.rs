//! `spikegrad trace`: the gradient microscope. What chosen neurons do and what gradient flows back through them, step by
//! step, from the trainer's own kernels.
//!
//! | file | holds |
//! |---|---|
//! | `trace.html` | the page: self-contained, its sliders compute the neuron anew |
//! | `trace.csv` | chosen neurons, one line a step |
//! | `layers.csv` | every layer, one line a step |

mod page;
mod pick;

use crate::checkpoint::Checkpoint;
use crate::dataset::Dataset;
use crate::failure::Failure;
use crate::files::{print, table};
use crate::flags::Flags;
use crate::row;
use crate::run_folder::RunFolder;
use crate::settings::{Settings, level};
use crate::thumbnails;
use clap::Args;
use page::Page;
use pick::Picker;
use spikegrad::Trainer;
use spikegrad::data::Batch;
use spikegrad::microscope::{Instant, LayerView, Microscope, Neuron};
use spikegrad::tensor::Level;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

/// The loss at which a net that is trained for a trace knows enough.
const LEARNED: f64 = 0.5;
/// Batches that the loss is averaged over, about.
const RECENT: f64 = 20.0;
/// Images of a batch that are looked at for one whose neurons are alive.
const CANDIDATES: usize = 20;
/// The width of the picture on the page.
const PICTURE: usize = 128;

/// What `trace` takes.
#[derive(Args, Clone, Debug)]
pub struct TraceArgs {
    /// Run folder, or a checkpoint; default: a net that is trained for a moment
    run: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
    /// Image to trace, of the test images; default: of those of the first batch that the net takes right, the one with
    /// the most neurons that a gradient reaches
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// Neurons to trace, each LAYER:CHANNEL,ROW,COLUMN; default: those with the largest gradients
    #[arg(long = "neuron", value_name = "NEURON")]
    neurons: Vec<String>,
    /// Layers to choose neurons from, separated by commas; default: all
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    layers: Vec<String>,
    /// Neurons to choose in each layer
    #[arg(long, value_name = "N", default_value_t = 3)]
    per_layer: usize,
    /// Without a run: train until the loss is below 0.5, but on at most so many batches
    #[arg(long, value_name = "N", default_value_t = 2000)]
    train_steps: usize,
    /// Folder to write, new or empty; default: the next free runs/trace-NET-DATA-N
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// SIMD level: baseline, avx2 or avx512; default: the best
    #[arg(long, value_name = "NAME")]
    level: Option<String>,
}

/// Traces.
///
/// # Errors
/// A run that cannot be opened, settings that make no sense, a neuron or an image that is not there.
pub fn run(args: TraceArgs) -> Result<(), Failure> {
    let level = level(args.level.as_deref())?;
    let Checkpoint { settings, data, mut trainer } = match &args.run {
        Some(run) => Checkpoint::open(run, args.flags.clone(), level)?,
        None => fresh(&args, level)?,
    };
    if settings.flags.twin == Some(true) {
        return Err(Failure::Usage("--twin has no neurons to trace".into()));
    }
    let batch = batch_of(&args, &settings, &data)?;
    let (image, neurons) = pick(&args, &settings, &mut trainer, &batch)?;
    let sample = args.sample.unwrap_or(0) / settings.batch() * settings.batch() + image;
    let microscope = Arc::new(Microscope::new(trainer.net(), &neurons).map_err(Failure::usage)?);
    let loss = trainer.observe(&batch.images, &batch.labels, microscope.clone())?;
    let classes = data.shape().classes;
    let logits = trainer.predict(&batch.images)?[image * classes..][..classes].to_vec();
    let page = Page {
        settings: &settings,
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
    let folder = RunFolder::create(args.out.as_deref(), &format!("trace-{}", settings.title()))?;
    folder.write("trace.csv", &neurons_csv(&page.neurons))?;
    folder.write("layers.csv", &layers_csv(&page.layers))?;
    folder.write("trace.html", &page.html())?;
    print(&summary(&page));
    print(&format!("\nwrote trace.csv, layers.csv and trace.html in {}\n", folder.path().display()));
    print(&format!("open {} in a browser\n", folder.file("trace.html").display()));
    Ok(())
}

/// A net trained for a moment, until it knows something: small and with many time steps, so that there is something to
/// see.
fn fresh(args: &TraceArgs, level: Level) -> Result<Checkpoint, Failure> {
    let small = Flags {
        net: Some("lenet".into()),
        width: Some(0.25),
        timesteps: Some(8),
        batch: Some(20),
        lr: Some(5e-3),
        schedule: Some("constant".into()),
        ..Flags::default()
    };
    let settings = Settings::resolve(args.flags.clone().over(small), None)?;
    let data = Dataset::load(&settings)?;
    let mut trainer = Trainer::new(settings.train_config(data.shape()), level)?;
    let loader = data.train_loader(&settings)?;
    let batches = (0..).flat_map(|epoch| loader.epoch(epoch).map(move |batch| (epoch, batch)));
    // The mean over about the last twenty batches, from the loss of a net that knows nothing.
    let mut loss = (data.shape().classes as f64).ln();
    for (epoch, batch) in batches.take(args.train_steps) {
        let step = trainer.train_batch(&batch.images, &batch.labels, epoch as f64)?;
        loss += (step.data_term - loss) / RECENT;
        if loss < LEARNED {
            break;
        }
    }
    Ok(Checkpoint { settings, data, trainer })
}

/// The batch that holds the sample, or the first.
fn batch_of(args: &TraceArgs, settings: &Settings, data: &Dataset) -> Result<Batch, Failure> {
    let (sample, size, images) = (args.sample.unwrap_or(0), settings.batch(), data.test.len());
    let whole = images / size * size;
    if sample >= whole {
        let why = format!("the {images} test images make whole batches of {size} up to image {whole}");
        return Err(Failure::Usage(format!("--sample is {sample}, must be less than {whole}: {why}")));
    }
    let batch = data.test_loader(settings)?.epoch_from(0, sample / size).next();
    batch.ok_or_else(|| Failure::input("the test images make no whole batch"))
}

/// The image to trace, as its place in the batch, and its neurons: those that the user names, or those that the
/// gradient moves most. Where no image is named, it is the first with the most neurons that a gradient reaches, among
/// those that the net takes right if it takes any right.
fn pick(
    args: &TraceArgs,
    settings: &Settings,
    trainer: &mut Trainer,
    batch: &Batch,
) -> Result<(usize, Vec<Neuron>), Failure> {
    let given = args.sample.map(|sample| sample % settings.batch());
    if !args.neurons.is_empty() {
        let image = given.unwrap_or(0);
        let named = args.neurons.iter().map(|name| parse(name, image)).collect::<Result<_, _>>()?;
        return Ok((image, named));
    }
    let units = trainer.net().units();
    if let Some(name) = args.layers.iter().find(|name| units.iter().all(|unit| unit.name != **name)) {
        let known: Vec<_> = units.iter().map(|unit| unit.name.as_str()).collect();
        return Err(Failure::Usage(format!("no layer is called {name:?}; known: {}", known.join(", "))));
    }
    let images = match given {
        Some(image) => vec![image],
        None => candidates(trainer, batch)?,
    };
    let mut best: Option<(usize, usize, Vec<Neuron>)> = None;
    for image in images {
        let picker = Arc::new(Picker::new(trainer.net().units(), image));
        trainer.observe(&batch.images, &batch.labels, picker.clone())?;
        let picked = picker.largest(&args.layers, args.per_layer.max(1), trainer.config().net.timesteps);
        let live = picked.iter().filter(|picked| picked.is_live).count();
        if best.as_ref().is_none_or(|(most, ..)| live > *most) {
            best = Some((live, image, picked.into_iter().map(|picked| picked.neuron).collect()));
        }
    }
    best.map(|(_, image, neurons)| (image, neurons)).ok_or_else(|| Failure::input("the batch has no image"))
}

/// The first images of a batch that the net takes right, or, where it takes none right, the first images.
fn candidates(trainer: &mut Trainer, batch: &Batch) -> Result<Vec<usize>, Failure> {
    let logits = trainer.predict(&batch.images)?;
    let classes = logits.len() / batch.labels.len();
    let first = 0..batch.len.min(CANDIDATES);
    let is_right =
        |&image: &usize| largest(&logits[image * classes..][..classes]) == batch.labels[image] as usize;
    let right: Vec<usize> = first.clone().filter(is_right).collect();
    Ok(if right.is_empty() { first.collect() } else { right })
}

/// Reads LAYER:CHANNEL,ROW,COLUMN.
fn parse(name: &str, image: usize) -> Result<Neuron, Failure> {
    let wrong = || Failure::Usage(format!("--neuron is {name:?}, must be LAYER:CHANNEL,ROW,COLUMN"));
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

/// Chosen neurons, one line a step; numbers read back to the same bits.
fn neurons_csv(neurons: &[(Neuron, Vec<Instant>)]) -> String {
    let mut csv = String::from("layer,image,channel,row,column,t,x,u,o,m,e,a,G,h,factor,dL_du,dL_dx\n");
    for (n, steps) in neurons {
        let Neuron { layer, image, channel, row, column } = n;
        for (t, Instant { x, u, o, m, e, a, total, h, factor, du }) in steps.iter().enumerate() {
            let place = format!("{layer},{image},{channel},{row},{column},{t}");
            let _ = writeln!(csv, "{place},{x},{u},{o},{m},{e},{a},{total},{h},{factor},{du},{du}");
        }
    }
    csv
}

/// Every layer, one line a step.
fn layers_csv(layers: &[LayerView]) -> String {
    let mut csv = String::from("layer,t,gradient_norm,share_inside_window,firing_rate\n");
    for layer in layers {
        for (t, step) in layer.steps.iter().enumerate() {
            let _ = writeln!(csv, "{},{t},{},{},{}", layer.name, step.gradient_norm, step.inside, step.rate);
        }
    }
    csv
}

/// One neuron, as text: the last that a gradient reaches.
fn summary(page: &Page<'_>) -> String {
    let mut text = format!("{}\n", page.about());
    let is_live = |(_, steps): &&(Neuron, Vec<Instant>)| steps.iter().any(|step| step.du != 0.0);
    let live = page.neurons.iter().filter(is_live).count();
    if live < page.neurons.len() {
        let none = page.neurons.len() - live;
        let _ =
            writeln!(text, "{none} of {} neurons traced get no gradient at any step.", page.neurons.len());
    }
    let Some((neuron, steps)) = page.neurons.iter().rfind(is_live).or(page.neurons.last()) else {
        return text;
    };
    let Neuron { layer, channel, row, column, .. } = neuron;
    let _ = writeln!(
        text,
        "\n{layer}, channel {channel}, row {row}, column {column}: read upward, the gradient flows back"
    );
    let mut rows = vec![row!["t", "x", "u", "o", "e", "a", "G", "h(u)", "SGS factor", "dL/du"]];
    for (t, s) in steps.iter().enumerate() {
        let small = |v: f32| if v == 0.0 { "0".to_string() } else { format!("{v:.2e}") };
        let (x, u) = (format!("{:.4}", s.x), format!("{:.4}", s.u));
        let factor = format!("{:.6}", s.factor);
        rows.push(row![t, x, u, s.o, small(s.e), small(s.a), small(s.total), s.h, factor, small(s.du)]);
    }
    text + &table(&rows)
}
