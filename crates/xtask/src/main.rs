//! The repository's own tools, behind one entry point: `cargo xtask COMMAND`.
//!
//! | command | what |
//! |---|---|
//! | [`golden`] | writes a step of training computed by PyTorch in float64 |
//! | [`mutants`] | breaks the program on purpose and tells which breaks no test sees |
//! | [`fuzz`] | fuzzes every target from small valid inputs |
//! | [`soak`] | trains for hundreds of epochs and watches the process |
//! | [`kill_resume`] | kills training runs, resumes them, compares bytes |
//! | [`publish`] | packs every crate, compiles each package alone, builds the documentation as docs.rs does |
//! | [`trend`] | draws the history of benchmarks |

mod fuzz;
mod golden;
mod kill_resume;
mod mutants;
mod publish;
mod repository;
mod seeds;
mod soak;
mod trend;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Tools of spikegrad's repository.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Write a golden training step: runs golden.py, which needs PyTorch; `cargo xtask golden -- --help` lists its flags
    Golden {
        /// The Python interpreter that has torch, numpy and safetensors
        #[arg(long, default_value = "python3")]
        python: String,
        /// Flags and the output file of golden.py
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Break the program one place at a time and tell which breaks no test sees
    Mutants {
        /// One list of crates/xtask/mutants instead of all
        #[arg(long)]
        list: Option<String>,
        /// Only mutants whose names contain one of these words
        words: Vec<String>,
    },
    /// Fuzz every target; succeeds with a message where nightly or cargo-fuzz is missing
    Fuzz {
        /// Seconds for each target
        #[arg(default_value_t = 30)]
        seconds: u32,
        /// These targets instead of all
        targets: Vec<String>,
    },
    /// Train a tiny net for many epochs and compare memory, threads and speed (Linux)
    Soak {
        /// Number of epochs
        #[arg(default_value_t = 200, value_parser = clap::value_parser!(u32).range(26..))]
        epochs: u32,
    },
    /// Kill training runs at many moments, twice each, resume them and compare the final bytes
    KillResume {
        /// Number of runs
        #[arg(default_value_t = 20)]
        kills: u32,
    },
    /// Pack every crate that can be published and compile each package alone; nothing is uploaded
    PublishCheck,
    /// Build the documentation of every published crate as docs.rs does: all features, nightly, `--cfg docsrs`
    DocsRs,
    /// Draw docs/figures/trend.svg from docs/benchmarks/history.json
    Trend,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Task::Golden { python, arguments } => golden::run(&python, &arguments),
        Task::Mutants { list, words } => mutants::run(list.as_deref(), &words),
        Task::Fuzz { seconds, targets } => fuzz::run(seconds, targets),
        Task::Soak { epochs } => soak::run(epochs),
        Task::KillResume { kills } => kill_resume::run(kills),
        Task::PublishCheck => publish::run(),
        Task::DocsRs => publish::docs_rs(),
        Task::Trend => trend::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}
