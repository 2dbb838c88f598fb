//! Lipschitz regularisation: rows (or columns) of each weight pulled towards an orthonormal set.
//!
//! ```text
//! L_R = (β/2)·Σ_l ‖W_l·W_lᵀ − I‖²_F        ∂L_R/∂W = 2β·(W·Wᵀ − I)·W
//! ```
//! W is the weight as out × (in·k·k). Where out is larger, the smaller Gram matrix WᵀW stands in for W·Wᵀ: the
//! gradient is the same and the value is smaller by the constant out − in·k·k.

use spikegrad_tensor::Scratch;
use spikegrad_tensor::linear::{Matrix, gemm};

/// Adds ∂L_R/∂W of one weight to `grad` and returns its L_R.
///
/// | argument | shape | access |
/// |---|---|---|
/// | `weight` | (rows, weight.len() / rows) | read |
/// | `grad` | as `weight` | added to |
/// | `scratch` | grows to the Gram matrix once | scratch |
pub fn lipschitz(beta: f32, rows: usize, weight: &[f32], grad: &mut [f32], scratch: &mut Scratch) -> f64 {
    let cols = weight.len() / rows;
    let w = Matrix::new(weight, (rows, cols), cols);
    let side = rows.min(cols);
    let gram = &mut scratch.floats(side * side)[..];
    products_of_rows(if rows <= cols { w } else { w.t() }, side, gram);
    gram.iter_mut().step_by(side + 1).for_each(|x| *x -= 1.0);
    let square: f64 = gram.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let gram = Matrix::new(gram, (side, side), side);
    if rows <= cols {
        gemm(2.0 * beta, gram, w, 1.0, grad, cols);
    } else {
        gemm(2.0 * beta, w, gram, 1.0, grad, cols);
    }
    f64::from(beta) / 2.0 * square
}

/// Rows of A·Aᵀ computed at once; what lies above the diagonal beyond them is copied from below.
const PANEL: usize = 128;

/// C = A·Aᵀ, C of `side` rows: little more than half of the products.
fn products_of_rows(a: Matrix<'_>, side: usize, c: &mut [f32]) {
    for first in (0..side).step_by(PANEL) {
        let end = (first + PANEL).min(side);
        gemm(1.0, a.rows(first..end), a.rows(0..end).t(), 0.0, &mut c[first * side..], side);
        for i in first..end {
            for j in 0..first {
                c[j * side + i] = c[i * side + j];
            }
        }
    }
}
