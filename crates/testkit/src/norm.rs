//! Batch normalisation over the batch (time folded in) and the plane, one pair of statistics a channel.
//!
//! ```text
//! μ = mean(x)    σ² = mean((x − μ)²)    x̂ = (x − μ)/√(σ² + ε)    y = γ·x̂ + β
//! ```
//!
//! Arrays are n × c × hw. The running estimates move by `momentum` (0.1) toward μ and toward the *unbiased*
//! variance σ²·m/(m − 1), m = n·hw: PyTorch's convention. tdBN is the same operation with γ·α·V_th for γ.

/// PyTorch's ε.
pub const EPS: f64 = 1e-5;
/// PyTorch's momentum of the running estimates.
pub const MOMENTUM: f64 = 0.1;

/// Sizes of a batch normalisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// Images (time steps × batch).
    pub n: usize,
    /// Channels.
    pub c: usize,
    /// Positions in a plane (height × width).
    pub hw: usize,
    /// Added to the variance.
    pub eps: f64,
}

/// What the training forward yields.
#[derive(Clone, Debug, PartialEq)]
pub struct NormOutput {
    /// The normalised values.
    pub y: Vec<f64>,
    /// Mean of each channel.
    pub mean: Vec<f64>,
    /// Biased variance of each channel.
    pub var: Vec<f64>,
}

/// Mean and biased variance of each channel.
pub type Statistics<'a> = (&'a [f64], &'a [f64]);

/// Gradients of a batch normalisation.
#[derive(Clone, Debug, PartialEq)]
pub struct NormGrads {
    /// With respect to the input.
    pub x: Vec<f64>,
    /// With respect to γ.
    pub gamma: Vec<f64>,
    /// With respect to β.
    pub beta: Vec<f64>,
}

impl Norm {
    /// Values that enter one channel's statistics.
    pub fn count(&self) -> f64 {
        (self.n * self.hw) as f64
    }

    /// Channel of the value at `index`.
    fn channel(&self, index: usize) -> usize {
        index / self.hw % self.c
    }

    /// Sums `f(index)` over the values of each channel.
    fn channel_sums(&self, f: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut sums = vec![0.0; self.c];
        for i in 0..self.n * self.c * self.hw {
            sums[self.channel(i)] += f(i);
        }
        sums
    }
}

/// Normalises with the batch's own statistics.
///
/// # Panics
/// `x` has another length than `norm` says.
pub fn norm_forward(norm: &Norm, x: &[f64], gamma: &[f64], beta: &[f64]) -> NormOutput {
    assert_eq!(x.len(), norm.n * norm.c * norm.hw, "size of x");
    let mut mean = norm.channel_sums(|i| x[i]);
    mean.iter_mut().for_each(|m| *m /= norm.count());
    let mut var = norm.channel_sums(|i| (x[i] - mean[norm.channel(i)]).powi(2));
    var.iter_mut().for_each(|v| *v /= norm.count());
    let y = norm_apply(norm, x, gamma, beta, &mean, &var);
    NormOutput { y, mean, var }
}

/// Normalises with the given statistics: inference, and the last step of the training forward.
pub fn norm_apply(
    norm: &Norm,
    x: &[f64],
    gamma: &[f64],
    beta: &[f64],
    mean: &[f64],
    var: &[f64],
) -> Vec<f64> {
    let value = |(i, &x): (usize, &f64)| {
        let c = norm.channel(i);
        gamma[c] * (x - mean[c]) / (var[c] + norm.eps).sqrt() + beta[c]
    };
    x.iter().enumerate().map(value).collect()
}

/// Moves the running estimates `(mean, variance)` by one training step, and returns them.
pub fn norm_running(norm: &Norm, running: (&[f64], &[f64]), batch: (&[f64], &[f64])) -> (Vec<f64>, Vec<f64>) {
    let unbias = norm.count() / (norm.count() - 1.0);
    let blend = |old: &[f64], new: &[f64], factor: f64| -> Vec<f64> {
        old.iter().zip(new).map(|(old, new)| (1.0 - MOMENTUM) * old + MOMENTUM * factor * new).collect()
    };
    (blend(running.0, batch.0, 1.0), blend(running.1, batch.1, unbias))
}

/// Gradients of [`norm_forward`], through the statistics too.
///
/// ```text
/// ∂β = Σ g      ∂γ = Σ g·x̂      ∂x = γ/√(σ² + ε) · (g − ∂β/m − x̂·∂γ/m)
/// ```
pub fn norm_backward(norm: &Norm, x: &[f64], gamma: &[f64], batch: Statistics, g: &[f64]) -> NormGrads {
    let mut grads = norm_apply_backward(norm, x, gamma, batch, g);
    let m = norm.count();
    for (i, dx) in grads.x.iter_mut().enumerate() {
        let (c, x) = (norm.channel(i), x[i]);
        let inv = inv_std(norm, batch, c);
        let xhat = (x - batch.0[c]) * inv;
        *dx -= gamma[c] * inv * (grads.beta[c] / m + xhat * grads.gamma[c] / m);
    }
    grads
}

/// Gradients of [`norm_apply`] (inference: the statistics are constants).
pub fn norm_apply_backward(norm: &Norm, x: &[f64], gamma: &[f64], given: Statistics, g: &[f64]) -> NormGrads {
    let inv = |i: usize| inv_std(norm, given, norm.channel(i));
    let dx = (0..x.len()).map(|i| g[i] * gamma[norm.channel(i)] * inv(i)).collect();
    let xhat = |i: usize| (x[i] - given.0[norm.channel(i)]) * inv(i);
    NormGrads { x: dx, gamma: norm.channel_sums(|i| g[i] * xhat(i)), beta: norm.channel_sums(|i| g[i]) }
}

/// 1/√(σ² + ε) of channel `c`.
fn inv_std(norm: &Norm, statistics: Statistics, c: usize) -> f64 {
    1.0 / (statistics.1[c] + norm.eps).sqrt()
}
