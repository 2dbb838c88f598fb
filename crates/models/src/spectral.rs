//! Measured Lipschitz constants: the largest singular value of each layer's operator, batch norm folded in.
//!
//! A layer's map from input to current is linear up to a constant, A x = s ⊙ (W ∗ x) with batch norm's
//! s = γ·gain/√(var + ε) of the running estimates, and its Lipschitz constant is σ_max(A). The norm of W alone says
//! nothing: batch norm undoes any scale of it. Power iteration, through the convolution's own passes:
//!
//! ```text
//! v ← random, ‖v‖ = 1
//! repeat:  y ← A v;  σ ← ‖y‖;  v ← Aᵀ y / ‖Aᵀ y‖          Aᵀ y = Wᵀ ∗ (s ⊙ y)
//! ```
//! σ grows towards σ_max from below and never passes it but for rounding. It has settled when it grows no more than a
//! tolerance within `SPAN` rounds.

use crate::layers::{ConvNorm, Current, Layer, LinearCurrent};
use crate::net::Net;
use spikegrad_tensor::conv::Conv;
use spikegrad_tensor::norm::Statistics;
use spikegrad_tensor::rng::Rng;
use spikegrad_tensor::{Dims, LANES, Tensor, Workers};

/// Rounds over which growth is judged: that of one round drowns in rounding.
const SPAN: usize = 10;

/// When a power iteration ends, and where it begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PowerIteration {
    /// Most rounds.
    pub rounds: usize,
    /// Relative growth of σ within ten rounds below which it has settled.
    pub tolerance: f64,
    /// Seed of the first vector.
    pub seed: u64,
}

impl Default for PowerIteration {
    /// At most 300 rounds, until σ grows by less than 1e-4 of itself within ten.
    fn default() -> Self {
        Self { rounds: 300, tolerance: 1e-4, seed: 0 }
    }
}

/// The measured Lipschitz constant of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LipschitzConstant {
    /// The layer, as its weight is called.
    pub layer: String,
    /// The largest singular value, from below.
    pub sigma: f64,
    /// Rounds taken.
    pub rounds: usize,
    /// Whether σ had settled by then.
    pub settled: bool,
}

impl PowerIteration {
    /// Runs the iteration with `step`, which turns a unit vector v into Aᵀ A v and returns ‖A v‖.
    fn run(
        &self,
        layer: String,
        v: &mut [f32],
        mut step: impl FnMut(&mut [f32]) -> f64,
    ) -> LipschitzConstant {
        let mut rng = Rng::new(self.seed);
        v.iter_mut().for_each(|x| *x = rng.normal());
        let mut sigmas: Vec<f64> = Vec::with_capacity(self.rounds);
        let mut settled = false;
        while sigmas.len() < self.rounds && !settled {
            normalise(v);
            let sigma = step(v);
            settled =
                sigmas.iter().nth_back(SPAN - 1).is_some_and(|old| sigma - old <= self.tolerance * sigma);
            sigmas.push(sigma);
        }
        let sigma = sigmas.last().copied().unwrap_or(0.0);
        LipschitzConstant { layer, sigma, rounds: sigmas.len(), settled }
    }
}

impl Net {
    /// Measures the Lipschitz constant of every convolution, with its batch norm, and of every linear layer.
    ///
    /// Running estimates stand for the batch's statistics, as in inference; the size of the image is the net's.
    pub fn lipschitz_constants(&self, iteration: &PowerIteration) -> Vec<LipschitzConstant> {
        let mut workers = Workers::new();
        let mut constants = Vec::new();
        for layer in &self.layers {
            match layer {
                Layer::Unit(unit) => {
                    for current in &unit.currents {
                        constants.extend(match current {
                            Current::Conv(conv) => self.conv_constant(conv, iteration, &mut workers),
                            Current::Linear(linear) => Some(self.linear_constant(linear, iteration)),
                            Current::Identity(_) => None,
                        });
                    }
                }
                Layer::Output(linear) => constants.push(self.linear_constant(linear, iteration)),
                Layer::Pool { .. } | Layer::Flatten { .. } => {}
            }
        }
        constants
    }

    /// σ_max of a convolution and its batch norm on one image; none where no image can be planned.
    fn conv_constant(
        &self,
        layer: &ConvNorm,
        iteration: &PowerIteration,
        workers: &mut Workers,
    ) -> Option<LipschitzConstant> {
        let params = &self.flow.params;
        let image = Dims { n: 1, ..layer.conv.input() };
        let conv = Conv::plan(image, layer.conv.config(), self.flow.level).ok()?;
        let weight = &params.weights[layer.weight.clone()];
        let mut statistics = Statistics::new(conv.output().blocks());
        statistics.set(&params.buffers[layer.mean.clone()], &params.buffers[layer.var.clone()]);
        let mut scale = statistics.inv_std;
        for (scale, gamma) in scale.iter_mut().zip(&params.weights[layer.gamma.clone()]) {
            *scale *= gamma * layer.gain;
        }
        let (mut x, mut y) = (Tensor::zeros(image), Tensor::zeros(conv.output()));
        let mut v = vec![0.0; image.len()];
        Some(iteration.run(self.weight_name(layer.weight.start), &mut v, |v| {
            x.copy_from_nchw(v);
            conv.forward_dense(&x, weight, &mut y, workers);
            scale_channels(&mut y, &scale);
            let sigma = norm(y.floats());
            scale_channels(&mut y, &scale);
            conv.backward_input(&y, weight, &mut x, false, workers);
            x.copy_to_nchw(v);
            sigma
        }))
    }

    /// σ_max of a weight matrix.
    fn linear_constant(&self, layer: &LinearCurrent, iteration: &PowerIteration) -> LipschitzConstant {
        let weight = &self.flow.params.weights[layer.weight.clone()];
        let inputs = weight.len() / layer.bias.len();
        let mut v = vec![0.0; inputs];
        iteration.run(self.weight_name(layer.weight.start), &mut v, |v| {
            let dot =
                |row: &[f32]| row.iter().zip(&*v).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum::<f64>();
            let y: Vec<f64> = weight.chunks(inputs).map(dot).collect();
            let mut back = vec![0.0; inputs];
            for (row, y) in weight.chunks(inputs).zip(&y) {
                back.iter_mut().zip(row).for_each(|(back, w)| *back += f64::from(*w) * y);
            }
            v.iter_mut().zip(back).for_each(|(v, back)| *v = back as f32);
            y.iter().map(|y| y * y).sum::<f64>().sqrt()
        })
    }
}

/// Euclidean norm, summed in f64.
fn norm(values: &[f32]) -> f64 {
    values.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt()
}

/// v / ‖v‖; a vector of zeros stays.
fn normalise(v: &mut [f32]) {
    let length = norm(v);
    if length > 0.0 {
        v.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    }
}

/// Multiplies each channel by its factor.
fn scale_channels(y: &mut Tensor, scale: &[f32]) {
    let (blocks, pixels) = (y.dims().blocks(), y.dims().pixels());
    for (plane, values) in y.blocks_mut().chunks_mut(pixels).enumerate() {
        let scale = &scale[plane % blocks * LANES..][..LANES];
        values.iter_mut().flat_map(|block| block.0.iter_mut().zip(scale)).for_each(|(y, s)| *y *= s);
    }
}
