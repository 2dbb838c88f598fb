//! `spikegrad trace`: what chosen neurons do and what gradient flows back through them, step by step.

use crate::flags::flags;
use crate::opening::OpeningArgs;
use crate::terminal::print;
use clap::Args;
use spikegrad::bptt::Reset;
use spikegrad::models::{NetKind, Norm};
use spikegrad_lab::run::RunFolder;
use spikegrad_lab::settings::RunConfig;
use spikegrad_lab::settings::names::SurrogateName;
pub use spikegrad_lab::trace::usual;
use spikegrad_lab::trace::{Wanted, files, fresh, trace};
use spikegrad_lab::{Checkpoint, Result};
use std::path::PathBuf;

flags! {
    /// What a net that is trained for a trace can be.
    #[group(id = "fresh", conflicts_with = "run")]
    FreshFlags:
    /// Train on the first N images
    #[arg(long, value_name = "N", help_heading = "Without a run")]
    limit: usize,
    /// Net: resnet19, lenet or mlp; for events also vggsnn, vggsnn-stride or eventnet
    #[arg(long, value_name = "NAME", help_heading = "Without a run")]
    net: NetKind,
    /// Factor on the number of channels
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true, help_heading = "Without a run")]
    width: f64,
    /// Time steps T
    #[arg(long, value_name = "T", help_heading = "Without a run")]
    timesteps: usize,
    /// Normalisation: bn or tdbn
    #[arg(long, value_name = "NAME", help_heading = "Without a run")]
    norm: Norm,
    /// Threshold V_th
    #[arg(long, value_name = "V", allow_negative_numbers = true, help_heading = "Without a run")]
    threshold: f32,
    /// Share τ of the membrane kept from step to step
    #[arg(long, value_name = "TAU", allow_negative_numbers = true, help_heading = "Without a run")]
    decay: f32,
    /// Reset: hard, hard-detached, soft or soft-detached
    #[arg(long, value_name = "NAME", help_heading = "Without a run")]
    reset: Reset,
    /// Surrogate: rectangle, triangle, arctan, sigmoid, gaussian, fast-sigmoid or dspike
    #[arg(long, value_name = "NAME", help_heading = "Without a run")]
    surrogate: SurrogateName,
    /// Half width of the rectangle or triangle
    #[arg(long, value_name = "W", allow_negative_numbers = true, help_heading = "Without a run")]
    window: f32,
    /// Steepness of the other surrogates
    #[arg(long, value_name = "A", allow_negative_numbers = true, help_heading = "Without a run")]
    alpha: f32,
    /// Strength δ of surrogate gradient scaling, of either sign; 0: off
    #[arg(long, value_name = "D", allow_negative_numbers = true, help_heading = "Without a run")]
    delta: f32,
    /// Learning rate
    #[arg(long, value_name = "LR", allow_negative_numbers = true, help_heading = "Without a run")]
    lr: f32,
    /// Images a batch
    #[arg(long, value_name = "N", help_heading = "Without a run")]
    batch: usize,
    /// Seed of all chance
    #[arg(long, value_name = "N", help_heading = "Without a run")]
    seed: u64,
}

/// What `trace` takes.
#[derive(Args, Clone, Debug)]
pub struct TraceArgs {
    /// Run folder, or a checkpoint; default: a net that is trained for a moment
    run: Option<PathBuf>,
    #[command(flatten)]
    opening: OpeningArgs,
    #[command(flatten)]
    fresh: FreshFlags,
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
    /// Train until the loss is below 0.5, but on at most so many batches
    #[arg(long, value_name = "N", default_value_t = 2000, help_heading = "Without a run")]
    train_steps: usize,
    /// Folder to write, new or empty; default: the next free runs/trace-NET-DATA-N
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Traces.
///
/// # Errors
/// A run that cannot be opened, settings that make no sense, a neuron or an image that is not there.
pub fn run(args: TraceArgs) -> Result<()> {
    let TraceArgs { run, opening, fresh, sample, neurons, layers, per_layer, train_steps, out } = args;
    let opened = match &run {
        Some(run) => opening.open(run)?,
        None => new_net(&opening, fresh, train_steps)?,
    };
    trace(opened, &Wanted { sample, neurons, layers, per_layer }, |page, title| {
        let folder = RunFolder::create(out.as_deref(), title)?;
        for (name, text) in files(page) {
            folder.write(name, &text)?;
        }
        print(&page.summary());
        print(&format!("\nwrote trace.csv, layers.csv and trace.html in {}\n", folder.path().display()));
        print(&format!("open {} in a browser\n", folder.file("trace.html").display()));
        Ok(())
    })
}

/// A net that is trained for the trace.
fn new_net(opening: &OpeningArgs, flags: FreshFlags, steps: usize) -> Result<Checkpoint> {
    let opening = opening.opening()?;
    let config = RunConfig::from(flags).over(opening.given());
    fresh(config, opening.config.as_deref(), steps, opening.level)
}
