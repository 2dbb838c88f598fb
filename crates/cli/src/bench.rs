//! `spikegrad bench`: the machine's roofs, a net's kernels, whole training steps, and two measurements compared.

use crate::flags::Flags;
use crate::outputs::{JsonTarget, NewFile};
use clap::{Args, Subcommand};
use spikegrad::models::NetKind;
use spikegrad::tensor::Level;
use spikegrad_lab::bench::compare::compare;
use spikegrad_lab::bench::layers::{LayersPlan, layers};
use spikegrad_lab::bench::peak::peak;
use spikegrad_lab::bench::step::{StepPlan, step};
use spikegrad_lab::settings::names::SpikeKernelName;
use spikegrad_lab::settings::{RunConfig, Settings, level};
use spikegrad_lab::{Error, Result};
use std::path::{Path, PathBuf};

/// What `bench` takes.
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

/// What to measure.
#[derive(Subcommand, Clone, Debug)]
enum What {
    /// Measure the most that arithmetic and memory can do
    #[command(after_help = "Example: spikegrad bench peak --threads 1 --json -")]
    Peak(PeakArgs),
    /// Time every kernel of a net, against the measured peak and an f64 reference
    #[command(
        after_help = "Example: spikegrad bench layers --net resnet19 --batch 16 --roofline roofline.svg"
    )]
    Layers(Box<LayersArgs>),
    /// Time whole training steps on random images; the first is not counted
    #[command(after_help = "Example: spikegrad bench step --net resnet19 --width 0.25 --batch 100 --json -")]
    Step(Box<StepArgs>),
    /// Compare two files that `bench step` or `bench layers` wrote
    #[command(after_help = "Example: spikegrad bench compare before.json after.json")]
    Compare(CompareArgs),
}

/// What `bench peak` takes.
#[derive(Args, Clone, Debug)]
pub struct PeakArgs {
    /// SIMD level: baseline, avx2 or avx512; default: the best
    #[arg(long, value_name = "NAME")]
    level: Option<Level>,
    /// Measurements of each figure; the best counts
    #[arg(long, value_name = "N", default_value_t = 10)]
    repeat: usize,
    /// MiB of each of the three buffers; more than the caches hold
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    mib: usize,
    /// Write the figures as JSON to a new file, or to stdout for -
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// What `bench layers` takes.
#[derive(Args, Clone, Debug)]
pub struct LayersArgs {
    #[command(flatten)]
    flags: Flags,
    /// Settings from a TOML file, under the flags' names; flags win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Share of neurons that fire, above 0 and at most 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.3, allow_negative_numbers = true)]
    density: f64,
    /// Rounds; the median counts
    #[arg(long, value_name = "N", default_value_t = 5)]
    repeat: usize,
    /// Kernels whose name holds this word alone
    #[arg(long, value_name = "WORD")]
    only: Option<String>,
    /// Convolutions over spikes: auto, lookup or lists
    #[arg(long, value_name = "NAME", default_value = "auto")]
    spike_kernel: SpikeKernelName,
    /// Instead of the table: both kernels over densities from 1 to 60 %, drawn into a new SVG file
    #[arg(long, value_name = "FILE")]
    sweep: Option<PathBuf>,
    /// Draw operations a second over operations a byte, with the measured roofs, into a new SVG file
    #[arg(long, value_name = "FILE", conflicts_with = "sweep")]
    roofline: Option<PathBuf>,
    /// SIMD level: baseline, avx2 or avx512; default: the best
    #[arg(long, value_name = "NAME")]
    level: Option<Level>,
    /// Write the figures as JSON to a new file, or to stdout for -
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// What `bench step` takes.
#[derive(Args, Clone, Debug)]
pub struct StepArgs {
    #[command(flatten)]
    flags: Flags,
    /// Settings from a TOML file, under the flags' names; flags win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Steps to count
    #[arg(long, value_name = "N", default_value_t = 5)]
    steps: usize,
    /// First take N training steps on the images of --data, then time steps on further ones
    #[arg(long, value_name = "N", default_value_t = 0)]
    trained: usize,
    /// SIMD level: baseline, avx2 or avx512; default: the best
    #[arg(long, value_name = "NAME")]
    level: Option<Level>,
    /// Write the figures as JSON to a new file, or to stdout for -
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// What `bench compare` takes.
#[derive(Args, Clone, Debug)]
pub struct CompareArgs {
    /// What B is compared with: JSON of `bench step`, `bench layers` or a program of benches/peers
    #[arg(value_name = "A.json")]
    a: PathBuf,
    /// Of the same kind as A
    #[arg(value_name = "B.json")]
    b: PathBuf,
    /// Seed of the bootstrap
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Write the comparison as JSON to a new file, or to stdout for -
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// Measures.
///
/// # Errors
/// Settings that make no sense, a step that fails, or a file that cannot be read or written.
pub fn run(args: BenchArgs) -> Result<()> {
    match args.what {
        What::Peak(args) => run_peak(&args),
        What::Layers(args) => run_layers(*args),
        What::Step(args) => run_step(*args),
        What::Compare(args) => run_compare(&args),
    }
}

fn run_peak(args: &PeakArgs) -> Result<()> {
    let json = JsonTarget::claim(args.json.as_deref())?;
    let measured = peak(args.repeat, args.mib, level(args.level)?)?;
    json.report(&measured.figures, &measured.text)
}

fn run_layers(args: LayersArgs) -> Result<()> {
    let sweep = NewFile::wanted("--sweep", args.sweep.as_ref())?;
    let roofline = NewFile::wanted("--roofline", args.roofline.as_ref())?;
    let json = JsonTarget::claim(args.json.as_deref())?;
    for chart in [&args.sweep, &args.roofline].into_iter().flatten() {
        json.is_apart_from(&[chart])?;
    }
    let plan = LayersPlan {
        settings: settings_of(args.flags.into(), args.config.as_deref())?,
        density: args.density,
        repeat: args.repeat,
        only: args.only,
        spike_kernel: args.spike_kernel,
        sweep: sweep.is_some(),
        roofline: roofline.is_some(),
        level: level(args.level)?,
    };
    let (measured, chart) = layers(&plan)?;
    if let (Some(file), Some(chart)) = (sweep.or(roofline), chart) {
        file.write(chart)?;
    }
    json.report(&measured.figures, &measured.text)
}

fn run_step(args: StepArgs) -> Result<()> {
    let json = JsonTarget::claim(args.json.as_deref())?;
    let config = RunConfig::from(args.flags);
    if args.trained > 0 && config.data.is_none() {
        return Err(Error::setting("--trained needs --data, whose images it trains on"));
    }
    let settings = settings_of(config, args.config.as_deref())?;
    let level = level(args.level)?;
    let measured = step(&StepPlan { settings, steps: args.steps, trained: args.trained, level })?;
    json.report(&measured.figures, &measured.text)
}

fn run_compare(args: &CompareArgs) -> Result<()> {
    let json = JsonTarget::claim(args.json.as_deref())?;
    let measured = compare(&args.a, &args.b, args.seed)?;
    json.report(&measured.figures, &measured.text)
}

/// What is measured where nobody says: ResNet-19 on images of CIFAR-10's shape.
pub fn usual() -> RunConfig {
    let mut usual = RunConfig::default();
    usual.data = "cifar10:random".parse().ok();
    usual.net = Some(NetKind::ResNet19);
    usual
}

/// The settings of a measurement; a file's net wins over the usual one.
fn settings_of(config: RunConfig, file: Option<&Path>) -> Result<Settings> {
    let mut usual = usual();
    if file.is_some() {
        usual.net = None;
    }
    Settings::resolve(config.over(usual), file)
}
