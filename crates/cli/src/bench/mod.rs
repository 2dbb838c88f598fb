//! `spikegrad bench`: the machine's roofs, a net's kernels, whole training steps, and two measurements compared.
//!
//! | module | what |
//! |---|---|
//! | [`peak`] | multiply-adds and bytes a second at most |
//! | [`layers`] | every kernel of a net: [`subjects`] to time, [`sweep`] over densities, [`roofline`] |
//! | [`step`] | whole training steps |
//! | [`compare`] | two measurements: ratio, interval, test ([`mod@statistics`]) |

mod compare;
mod layers;
mod log_chart;
mod peak;
mod roofline;
mod statistics;
mod step;
mod subjects;
mod sweep;
mod timing;

pub use timing::threads;

use crate::failure::Failure;
use clap::{Args, Subcommand};

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
    Peak(peak::PeakArgs),

    /// Time every kernel of a net, against the measured peak and an f64 reference
    #[command(
        after_help = "Example: spikegrad bench layers --net resnet19 --batch 16 --roofline roofline.svg"
    )]
    Layers(Box<layers::LayersArgs>),
    /// Time whole training steps on random images; the first is not counted
    #[command(after_help = "Example: spikegrad bench step --net resnet19 --width 0.25 --batch 100 --json -")]
    Step(Box<step::StepArgs>),
    /// Compare two files that `bench step` or `bench layers` wrote
    #[command(after_help = "Example: spikegrad bench compare before.json after.json")]
    Compare(compare::CompareArgs),
}

/// Measures.
///
/// # Errors
/// Settings that make no sense, a step that fails, or a file that cannot be read or written.
pub fn run(args: BenchArgs) -> Result<(), Failure> {
    match args.what {
        What::Peak(args) => peak::run(args),

        What::Layers(args) => layers::run(*args),
        What::Step(args) => step::run(*args),
        What::Compare(args) => compare::run(args),
    }
}
