//! Measured Lipschitz constants: the largest singular value of each layer's operator, batch norm folded in.
//!
//! A layer's map from input to current is linear up to a constant, A x = s ⊙ (W ∗ x) with batch norm's
//! s = γ·gain/√(var + ε) of the running estimates, and its Lipschitz constant is σ_max(A). The norm of W alone says
//! nothing: batch norm undoes any scale of it. Lanczos' method on M = AᵀA, through the convolution's own passes:
//!
//! ```text
//! v₁ ← random, ‖v₁‖ = 1
//! for k = 1, 2, …:  w ← M v_k − β_{k−1} v_{k−1};  α_k ← v_k·w;  w ← w − α_k v_k;  β_k ← ‖w‖;  v_{k+1} ← w / β_k
//! σ ← √(largest eigenvalue of the tridiagonal matrix of all α, β)              M v = Wᵀ ∗ (s² ⊙ (W ∗ v))
//! ```
//! σ grows towards σ_max from below. That it grows no more says nothing: singular values of convolutions lie close
//! together, and between two of them it stands still for a while. So it is not watched; the number of rounds follows
//! from the theorem of Kuczyński and Woźniakowski (SIAM J. Matrix Anal. Appl. 13, 1992): for any spectrum of n numbers
//! and a random start, the largest eigenvalue is too small by more than a share of ε with a probability of at most
//!
//! ```text
//! 1.648 · √n · exp(−√ε·(2k − 1))
//! ```
//! No vectors are kept to be orthogonal to: what rounding loses of orthogonality brings copies of eigenvalues, not
//! larger ones.

use crate::Params;
use crate::graph::{Component, NormPart, ProductPart};
use crate::net::Net;
use spikegrad_tensor::conv::Conv;
use spikegrad_tensor::norm::Statistics;
use spikegrad_tensor::rng::Rng;
use spikegrad_tensor::{Dims, LANES, Tensor, Workers};

/// The probability with which a constant may be off by more than the tolerance.
const FAILURE: f64 = 1e-4;

/// When Lanczos' method ends, and where it begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lanczos {
    /// Most rounds, whatever the tolerance needs.
    pub rounds: usize,
    /// Share of σ_max that σ may lack.
    pub tolerance: f64,
    /// Seed of the first vector.
    pub seed: u64,
}

impl Default for Lanczos {
    /// Within 5e-4 of σ_max, so that four digits of it can be shown: some 250 rounds.
    fn default() -> Self {
        Self { rounds: 2000, tolerance: 5e-4, seed: 0 }
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
    /// Whether they were as many as the tolerance needs.
    pub settled: bool,
}

impl LipschitzConstant {
    /// Shows σ with the four digits that the default tolerance promises; a plus sign where it had not settled.
    ///
    /// ```
    /// # use spikegrad_models::LipschitzConstant;
    /// let of = |sigma, settled| LipschitzConstant { layer: "fc1".into(), sigma, rounds: 9, settled }.shown();
    /// assert_eq!([of(12.3456, true), of(0.0567891, true), of(1.0, false)], ["12.35", "0.05679", "1.000+"]);
    /// assert_eq!([of(0.0, true), of(123456.0, true)], ["0.000", "1.235e5"]);
    /// ```
    pub fn shown(&self) -> String {
        let mark = if self.settled { "" } else { "+" };
        match self.sigma {
            0.0 => format!("0.000{mark}"),
            sigma if (1e-3..9999.5).contains(&sigma) => {
                let decimals = (3.0 - sigma.log10().floor()).max(0.0) as usize;
                format!("{sigma:.decimals$}{mark}")
            }
            sigma => format!("{sigma:.3e}{mark}"),
        }
    }
}

impl Lanczos {
    /// Rounds after which σ of an operator of `inputs` numbers lacks no more than the tolerance.
    fn needed(&self, inputs: usize) -> f64 {
        let share = 1.0 - (1.0 - self.tolerance).powi(2);
        let odds = (1.648 * (inputs as f64).sqrt() / FAILURE).ln();
        (0.5 * (odds / share.max(0.0).sqrt() + 1.0)).ceil()
    }

    /// Runs the method with `apply`, which turns v into AᵀA v.
    fn run(&self, layer: String, inputs: usize, mut apply: impl FnMut(&mut [f64])) -> LipschitzConstant {
        let mut rng = Rng::new(self.seed);
        let mut v: Vec<f64> = (0..inputs).map(|_| f64::from(rng.normal())).collect();
        let length = norm(&v);
        v.iter_mut().for_each(|x| *x /= length);
        let (mut before, mut w) = (vec![0.0; inputs], vec![0.0; inputs]);
        let (mut diagonal, mut beside) = (Vec::<f64>::new(), Vec::<f64>::new());
        let needed = self.needed(inputs);
        let mut settled = false;
        while diagonal.len() < self.rounds && !settled {
            w.copy_from_slice(&v);
            apply(&mut w);
            let beta = beside.last().copied().unwrap_or(0.0);
            w.iter_mut().zip(&before).for_each(|(w, before)| *w -= beta * before);
            let alpha: f64 = w.iter().zip(&v).map(|(w, v)| w * v).sum();
            w.iter_mut().zip(&v).for_each(|(w, v)| *w -= alpha * v);
            let beta = norm(&w);
            diagonal.push(alpha);
            beside.push(beta);
            // Nothing is left: the vectors so far span all that A does to the first.
            let is_done = beta <= 1e-12 * diagonal.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
            settled = is_done || diagonal.len() as f64 >= needed;
            before.copy_from_slice(&v);
            v.iter_mut().zip(&w).for_each(|(v, w)| *v = w / beta);
        }
        beside.pop();
        let sigma = largest_eigenvalue(&diagonal, &beside).max(0.0).sqrt();
        LipschitzConstant { layer, sigma, rounds: diagonal.len(), settled }
    }
}

/// The largest eigenvalue of a symmetric tridiagonal matrix, by bisection: x is above all of them where no pivot of
/// x − T, taken one after the other, is negative.
fn largest_eigenvalue(diagonal: &[f64], beside: &[f64]) -> f64 {
    let beside = |k: usize| beside.get(k).copied().unwrap_or(0.0);
    let is_above = |x: f64| {
        let mut pivot = f64::INFINITY;
        (0..diagonal.len()).all(|k| {
            let coupling = if k == 0 { 0.0 } else { beside(k - 1).powi(2) / pivot };
            pivot = x - diagonal[k] - coupling;
            pivot > 0.0
        })
    };
    let radius = |k: usize| if k == 0 { beside(0) } else { beside(k - 1) + beside(k) };
    let mut low = diagonal.iter().copied().fold(0.0, f64::max);
    let mut high = (0..diagonal.len()).map(|k| diagonal[k] + radius(k)).fold(low, f64::max);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if is_above(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    0.5 * (low + high)
}

impl Net {
    /// Measures the Lipschitz constant of every convolution, with its batch norm, and of every linear layer.
    ///
    /// Running estimates stand for the batch's statistics, as in inference; the size of the image is the net's.
    pub fn lipschitz_constants(&self, method: &Lanczos) -> Vec<LipschitzConstant> {
        let mut workers = Workers::new();
        let constants = self.components().filter_map(|component| match component {
            Component::Product(part) if part.is_linear => Some(self.linear_constant(&part, method)),
            Component::Product(part) => self.conv_constant(&part, method, &mut workers),
            _ => None,
        });
        constants.collect()
    }

    /// σ_max of a convolution and its batch norm on one image; none where no image can be planned. A norm that tells the
    /// time steps apart has a map for each: the largest of their constants counts.
    fn conv_constant(
        &self,
        layer: &ProductPart<'_>,
        method: &Lanczos,
        workers: &mut Workers,
    ) -> Option<LipschitzConstant> {
        let image = Dims { n: 1, ..layer.dims };
        let conv = Conv::plan(image, layer.config, self.run.context.level).ok()?;
        let scales = match &layer.norm {
            Some(norm) => self.scales(norm),
            None => vec![vec![1.0; conv.output().blocks() * LANES]],
        };
        let of_step = |mut scale: Vec<f32>| {
            scale.iter_mut().for_each(|s| *s *= *s);
            self.scaled_constant(layer, (&conv, &scale), method, workers)
        };
        scales.into_iter().map(of_step).max_by(|a, b| a.sigma.total_cmp(&b.sigma))
    }

    /// γ·gain·p/√(var + ε) of each channel, padded to whole blocks: a row for all steps, or for each.
    fn scales(&self, norm: &NormPart<'_>) -> Vec<Vec<f32>> {
        let Params { weights, buffers, .. } = &*self.run.params;
        let c = norm.dims.c;
        let factors = norm.factors.clone().map_or(&[1.0][..], |range| &weights[range]);
        let (gammas, vars) = (&weights[norm.gamma.clone()], &buffers[norm.var.clone()]);
        let row = |of: &[f32], t: usize| t % (of.len() / c) * c;
        let steps = factors.len().max(gammas.len() / c).max(vars.len() / c);
        let scale = |t: usize| {
            let mut statistics = Statistics::new(norm.dims.blocks());
            let (mean, var) = (&buffers[norm.mean.clone()][row(vars, t)..][..c], &vars[row(vars, t)..][..c]);
            statistics.set(mean, var);
            let gammas = &gammas[row(gammas, t)..][..c];
            for (scale, gamma) in statistics.inv_std.iter_mut().zip(gammas) {
                *scale *= gamma * norm.gain * factors[t % factors.len()];
            }
            statistics.inv_std
        };
        (0..steps).map(scale).collect()
    }

    /// σ_max of a convolution whose outputs are scaled, from the squares of the scales.
    fn scaled_constant(
        &self,
        layer: &ProductPart<'_>,
        (conv, squares): (&Conv, &[f32]),
        method: &Lanczos,
        workers: &mut Workers,
    ) -> LipschitzConstant {
        let weight = &self.run.params.weights[layer.weight.clone()];
        let image = conv.input();
        let (mut x, mut y) = (Tensor::zeros(image), Tensor::zeros(conv.output()));
        let mut v = vec![0.0; image.len()];
        method.run(self.weight_name(layer.weight.start), image.len(), |wide| {
            v.iter_mut().zip(&*wide).for_each(|(v, wide)| *v = *wide as f32);
            x.copy_from_nchw(&v);
            conv.forward_dense(&x, weight, &mut y, workers);
            scale_channels(&mut y, squares);
            conv.backward_input(&y, weight, &mut x, false, workers);
            x.copy_to_nchw(&mut v);
            wide.iter_mut().zip(&v).for_each(|(wide, v)| *wide = f64::from(*v));
        })
    }

    /// σ_max of a weight matrix.
    fn linear_constant(&self, layer: &ProductPart<'_>, method: &Lanczos) -> LipschitzConstant {
        let weight = &self.run.params.weights[layer.weight.clone()];
        let inputs = weight.len() / layer.config.out_channels;
        method.run(self.weight_name(layer.weight.start), inputs, |v| {
            let dot = |row: &[f32]| row.iter().zip(&*v).map(|(w, x)| f64::from(*w) * x).sum::<f64>();
            let y: Vec<f64> = weight.chunks(inputs).map(dot).collect();
            v.fill(0.0);
            for (row, y) in weight.chunks(inputs).zip(&y) {
                v.iter_mut().zip(row).for_each(|(v, w)| *v += f64::from(*w) * y);
            }
        })
    }
}

/// Euclidean norm.
fn norm(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Multiplies each channel by its factor.
fn scale_channels(y: &mut Tensor, scale: &[f32]) {
    let (blocks, pixels) = (y.dims().blocks(), y.dims().pixels());
    for (plane, values) in y.blocks_mut().chunks_mut(pixels).enumerate() {
        let scale = &scale[plane % blocks * LANES..][..LANES];
        values.iter_mut().flat_map(|block| block.0.iter_mut().zip(scale)).for_each(|(y, s)| *y *= s);
    }
}
