//! Lipschitz regularisation, which pulls the rows (or columns) of each weight towards an orthonormal set.
//!
//! ```text
//! L_R = (β/2)·Σ_l ‖W_l·W_lᵀ − I‖²_F        ∂L_R/∂W = 2β·(W·Wᵀ − I)·W
//! ```
//! W is the weight as out × (in·k·k). Where out is larger, the smaller Gram matrix WᵀW stands in for W·Wᵀ: the
//! gradient is the same and the value is smaller by the constant out − in·k·k.

use spikegrad_tensor::gram::add_gram_gradient;
use spikegrad_tensor::{Level, Scratch};

/// Adds ∂L_R/∂W of one weight to `grad` and returns its L_R.
///
/// | argument | shape | access |
/// |---|---|---|
/// | `weight` | (rows, weight.len() / rows) | read |
/// | `grad` | as `weight` | added to |
/// | `scratch` | grows once to the Gram matrix and two chunks of the weight | scratch |
///
/// # Panics
/// `grad` has another length than `weight`, or `rows` is 0.
#[doc(alias = "eq-lipschitz")]
pub fn lipschitz(
    level: Level,
    beta: f32,
    rows: usize,
    weight: &[f32],
    grad: &mut [f32],
    scratch: &mut Scratch,
) -> f64 {
    f64::from(beta) / 2.0 * add_gram_gradient(level, 2.0 * beta, rows, weight, grad, scratch)
}
