//! Kernels and the times that they took.

use super::subjects::{Pass, Subject};
use super::timing::seconds;
use crate::settings::names::SpikeKernelName;
use crate::statistics::median;
use spikegrad::models::KernelShape;
use spikegrad::tensor::Workers;
use spikegrad::tensor::conv::SpikeKernel;

/// The kernel of a name.
pub fn spike_kernel(name: SpikeKernelName) -> SpikeKernel {
    match name {
        SpikeKernelName::Auto => SpikeKernel::Auto,
        SpikeKernelName::Lookup => SpikeKernel::Lookup,
        SpikeKernelName::Lists => SpikeKernel::Sparse,
    }
}

/// A kernel, how often the net runs it, and its sizes in words.
#[derive(Clone, Debug)]
pub struct Distinct {
    /// The first one of its shape.
    pub shape: KernelShape,
    /// How many there are.
    pub count: usize,
    /// Sizes, as files and tables show them.
    pub words: String,
}

/// One pass of one kernel, measured.
#[derive(Clone, Debug)]
pub struct Row {
    /// The kernel.
    pub kernel: Distinct,
    /// The pass.
    pub pass: Pass,
    /// Seconds of each round.
    pub seconds: Vec<f64>,
    /// Share of spikes.
    pub density: f64,
    /// Largest error of a sample, where there is a reference.
    pub error: Option<f64>,
}

impl Row {
    /// Median seconds.
    pub fn time(&self) -> f64 {
        median(&self.seconds)
    }

    /// Operations of the dense form / time, 10⁹ a second.
    pub fn gflops(&self) -> f64 {
        self.pass.flops as f64 / self.time() / 1e9
    }

    /// Bytes / time, 10⁹ a second.
    pub fn gigabytes(&self) -> f64 {
        self.pass.bytes as f64 / self.time() / 1e9
    }
}

/// Times every pass of every subject by turns, `repeat` rounds and one before that is not counted; after each
/// round, calls `after`. Seconds by subject, pass and round.
pub fn rounds(
    subjects: &mut [Box<dyn Subject>],
    repeat: usize,
    workers: &mut Workers,
    mut after: impl FnMut(),
) -> Vec<Vec<Vec<f64>>> {
    let mut times: Vec<Vec<Vec<f64>>> =
        subjects.iter().map(|subject| vec![Vec::new(); subject.passes().len()]).collect();
    for round in 0..=repeat {
        for (subject, times) in subjects.iter_mut().zip(&mut times) {
            for (pass, times) in times.iter_mut().enumerate() {
                subject.prepare(pass);
                let time = seconds(|| subject.run(pass, workers));
                if round > 0 {
                    times.push(time);
                }
            }
        }
        after();
    }
    times
}
