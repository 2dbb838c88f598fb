//! The `spikegrad` command: train spiking neural networks on a CPU, every gradient proven.
//!
//! This crate has arguments and printing alone; the work is done by `spikegrad-lab`, charts and pages by
//! `spikegrad-report`.
//!
//! | module | what |
//! |---|---|
//! | `flags`, `opening`, `noise` | arguments that several commands share: settings, which trained net, which noise |
//! | `terminal`, `host`, `progress`, `interrupt` | what goes out and comes in: text, progress, signals |
//! | `outputs` | new files, claimed before the work and written after it |
//! | the others | a command each, under its name; `exercise` grades a reader's gradients |
#![forbid(unsafe_code)]

mod ablate;
mod bench;
mod doctor;
mod energy;
mod eval;
mod exercise;
mod export;
mod figures;
mod film;
mod flags;
mod gradcheck;
mod host;
mod info;
mod interrupt;
mod lists;
mod noise;
mod opening;
mod outputs;
mod parity;
mod plan;
mod progress;
mod robustness;
mod terminal;
mod trace;
mod train;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use spikegrad_lab::settings::{RunConfig, Settings, defaults};
use spikegrad_lab::{Error, Result};
use std::ffi::OsString;
use std::process::ExitCode;
use terminal::warn;

/// The status of a bad input or a failed check.
const FAILED: u8 = 1;
/// The status of wrong usage: a flag or a setting that makes no sense.
const WRONG_USAGE: u8 = 2;

/// Train spiking neural networks on a CPU, every gradient proven.
#[derive(Parser, Debug)]
#[command(name = "spikegrad", version, arg_required_else_help = true)]
#[command(after_help = "Example: spikegrad train --net lenet --epochs 6")]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Threads to work with; default: all cores
    #[arg(long, global = true, value_name = "N")]
    threads: Option<usize>,
}

/// The commands.
#[derive(Subcommand, Debug)]
enum Command {
    /// Train a net and write a run folder
    #[command(
        after_help = "Example: spikegrad train --data cifar10:data/cifar-10-batches-bin --width 0.25 --epochs 30"
    )]
    Train(Box<train::TrainArgs>),
    /// Score a run on its test images
    #[command(after_help = "Example: spikegrad eval runs/lenet-shapes-1")]
    Eval(eval::EvalArgs),
    /// Train a grid of settings × seeds and compare them, paired by seed
    #[command(
        after_help = "Example: spikegrad ablate --net mlp --grid delta=0,0.1,0.5 --grid reset=hard,soft --seeds 5"
    )]
    Ablate(Box<ablate::AblateArgs>),
    /// Score runs under Gaussian and salt-and-pepper noise
    #[command(after_help = "Example: spikegrad robustness runs/lenet-shapes-1 --noise-levels 0.05,0.1,0.2")]
    Robustness(robustness::RobustnessArgs),
    /// Count a run's synaptic operations, and what they would cost in energy
    #[command(after_help = "Example: spikegrad energy runs/lenet-shapes-1 --out energy")]
    Energy(energy::EnergyArgs),
    /// Compare one training step with reference files
    #[command(after_help = "Example: spikegrad parity golden/step.safetensors")]
    Parity(parity::ParityArgs),
    /// Check gradients against an f64 oracle and finite differences
    #[command(
        after_help = "Example: spikegrad gradcheck --net lenet --surrogate arctan --reset soft --timesteps 3"
    )]
    Gradcheck(Box<gradcheck::GradcheckArgs>),
    /// Show neurons and the gradient that flows back through them, step by step
    #[command(after_help = "Example: spikegrad trace --layers spike2 --reset soft")]
    Trace(Box<trace::TraceArgs>),
    /// Examine a run's neurons, gradients, normalisation and Lipschitz constants, with a suggestion each
    #[command(after_help = "Example: spikegrad doctor runs/lenet-shapes-1 --html doctor.html")]
    Doctor(doctor::DoctorArgs),
    /// Show parameters, operations and memory before training
    #[command(
        after_help = "Example: spikegrad plan --net resnet19 --data cifar10:any --batch 100 --timesteps 2"
    )]
    Plan(Box<plan::PlanArgs>),
    /// Show what a checkpoint, a run, a data set or a recording of events holds
    #[command(after_help = "Example: spikegrad info runs/lenet-shapes-1/best.safetensors")]
    Info(info::InfoArgs),
    /// Write a run's weights to a new file for other programs
    #[command(after_help = "Example: spikegrad export runs/lenet-shapes-1 --best --out lenet.safetensors")]
    Export(export::ExportArgs),
    /// Film an image data set with a simulated event camera
    #[command(
        after_help = "Example: spikegrad film --data cifar10:data/cifar-10-batches-bin --limit 1000 --out filmed"
    )]
    Film(film::FilmArgs),
    /// Draw the book's figures
    #[command(after_help = "Example: spikegrad figures docs/figures")]
    Figures(figures::FiguresArgs),
    /// List the nets that --net may name
    #[command(after_help = "Example: spikegrad nets")]
    Nets(lists::ListArgs),
    /// List the neurons that --neuron may name, with their equations
    #[command(after_help = "Example: spikegrad neurons")]
    Neurons(lists::ListArgs),
    /// Measure speed
    #[command(after_help = "Example: spikegrad bench step --net resnet19 --width 0.25 --json -")]
    Bench(bench::BenchArgs),
}

impl Command {
    /// Runs the command.
    fn run(self) -> Result<()> {
        match self {
            Self::Train(args) => train::run(*args),
            Self::Eval(args) => eval::run(args),
            Self::Ablate(args) => ablate::run(*args),
            Self::Robustness(args) => robustness::run(args),
            Self::Energy(args) => energy::run(args),
            Self::Parity(args) => parity::run(args),
            Self::Gradcheck(args) => gradcheck::run(*args),
            Self::Trace(args) => trace::run(*args),
            Self::Doctor(args) => doctor::run(args),
            Self::Plan(args) => plan::run(*args),
            Self::Info(args) => info::run(args),
            Self::Export(args) => export::run(args),
            Self::Film(args) => film::run(args),
            Self::Nets(args) => lists::nets(args),
            Self::Neurons(args) => lists::neurons(args),
            Self::Figures(args) => figures::run(args),
            Self::Bench(args) => bench::run(args),
        }
    }
}

/// Reads settings from the text of a TOML file and checks them, as `train --config` does.
///
/// # Errors
/// The line that a user would see.
pub fn check_settings(text: &str) -> Result<(), String> {
    let config = RunConfig::parse(text, std::path::Path::new("settings.toml"));
    config.and_then(Settings::check).map(drop).map_err(|why| why.to_string())
}

/// Writes into the help of commands that take settings what a setting is when nobody gives it.
fn with_defaults(command: clap::Command) -> clap::Command {
    let none = RunConfig::default();
    let command = ["train", "ablate", "plan"].into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, |command| with_defaults_of(command, &none))
    });
    let usual = bench::usual();
    command
        .mut_subcommand("gradcheck", |command| with_defaults_of(command, &gradcheck::usual()))
        .mut_subcommand("trace", |command| with_defaults_of(command, &trace::usual()))
        .mut_subcommand("bench", |command| {
            command
                .mut_subcommand("step", |command| with_defaults_of(command, &usual))
                .mut_subcommand("layers", |command| with_defaults_of(command, &usual))
        })
}

/// Writes defaults into the help of a command's settings, which stand under a heading; `usual` are the command's own.
fn with_defaults_of(command: clap::Command, usual: &RunConfig) -> clap::Command {
    let texts = defaults::texts(usual);
    command.mut_args(|arg| {
        let flag = arg.get_id().as_str().replace('_', "-");
        let default = texts.get(&flag).filter(|_| arg.get_help_heading().is_some());
        match (default, arg.get_help().map(ToString::to_string)) {
            (Some(default), Some(help)) => arg.help(format!("{help} [default: {default}]")),
            _ => arg,
        }
    })
}

/// Explains wrong usage on one line, without clap's extra paragraphs.
fn usage(why: &clap::Error) -> String {
    let text = why.to_string();
    let kept = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let kept: Vec<&str> = kept.filter(|line| !line.is_empty() && !line.starts_with("For more")).collect();
    kept.join(" ")
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

/// Runs a command line, the program's name first; figures and errors go to this process's streams.
pub fn run(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let parsed = with_defaults(Cli::command()).try_get_matches_from(arguments);
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(why)
            if why.use_stderr()
                && why.kind() != clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand =>
        {
            warn(&format!("{}\n", usage(&why)));
            return ExitCode::from(WRONG_USAGE);
        }
        Err(why) => {
            terminal::keep(why.print());
            return status(why.exit_code() as u8);
        }
    };
    if cli.threads == Some(0) {
        warn("error: --threads is 0, must be at least 1\n");
        return ExitCode::from(WRONG_USAGE);
    }
    match spikegrad::with_threads(cli.threads, || cli.command.run()).unwrap_or_else(|why| Err(why.into())) {
        Ok(()) => status(0),
        Err(Error::Stopped) => status(interrupt::status()),
        Err(why) => {
            warn(&format!("error: {why}\n"));
            ExitCode::from(if why.is_setting() { WRONG_USAGE } else { FAILED })
        }
    }
}

/// The status of a command that has nothing more to say, unless its output could not be written.
fn status(code: u8) -> ExitCode {
    match terminal::failure() {
        Some(why) => {
            warn(&format!("error: standard output: {why}\n"));
            ExitCode::from(FAILED)
        }
        None => ExitCode::from(code),
    }
}
