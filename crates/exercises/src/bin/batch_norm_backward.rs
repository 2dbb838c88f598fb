//! Exercise 3: batch norm of one channel, backward.
//!
//! ```text
//! μ = 1/M·Σ xᵢ      σ² = 1/M·Σ (xᵢ − μ)²      x̂ᵢ = (xᵢ − μ)/√(σ² + ε)      yᵢ = γ·x̂ᵢ + β
//! ```
//! M counts all values of the channel: over the batch, the plane and the time steps. Every xᵢ moves μ and σ², and
//! through them every y: that is what the last two terms of ∂L/∂x are.

use std::process::ExitCode;

/// (∂L/∂x, ∂L/∂γ, ∂L/∂β) for the values `x` of a channel and `dy` = ∂L/∂y.
pub fn batch_norm_backward(x: &[f64], dy: &[f64], gamma: f64, epsilon: f64) -> (Vec<f64>, f64, f64) {
    let count = x.len() as f64;
    let mean = x.iter().sum::<f64>() / count;
    let var = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count;
    let inv_std = 1.0 / (var + epsilon).sqrt();
    let hat: Vec<f64> = x.iter().map(|x| (x - mean) * inv_std).collect();
    // BLANK 1: ∂L/∂β and ∂L/∂γ, two sums over dy.
    let (dbeta, dgamma) = (f64::NAN, f64::NAN);
    // BLANK 2: ∂L/∂xᵢ from dyᵢ, x̂ᵢ and the two sums.
    let dx = (0..x.len()).map(|i| gamma * inv_std * dy[i] * hat[i] * f64::NAN).collect();
    (dx, dgamma, dbeta)
}

/// Grades the exercise.
pub fn main() -> ExitCode {
    let grade = spikegrad_testkit::exercise::batch_norm_backward(batch_norm_backward);
    spikegrad_testkit::exercise::grade("batch_norm_backward", grade)
}
