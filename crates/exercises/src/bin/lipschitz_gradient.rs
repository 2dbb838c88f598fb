//! Exercise 5: the gradient of the Lipschitz term.
//!
//! ```text
//! L = β/2 · ‖W·Wᵀ − I‖²        W: rows × columns
//! ```
//! Write A = W·Wᵀ − I, which is symmetric. L is a sum of squares of A's elements, and each w enters a row and a column
//! of A.

use std::process::ExitCode;

/// ∂L/∂W (rows × columns) for `weight` (rows × columns).
pub fn lipschitz_gradient(weight: &[f64], rows: usize, beta: f64) -> Vec<f64> {
    let columns = weight.len() / rows;
    let row = |r: usize| &weight[r * columns..(r + 1) * columns];
    let mut gradient = vec![0.0; weight.len()];
    for r in 0..rows {
        for s in 0..rows {
            let dot: f64 = row(r).iter().zip(row(s)).map(|(a, b)| a * b).sum();
            // BLANK 1: element (r, s) of A = W·Wᵀ − I.
            let a = dot * f64::NAN;
            for c in 0..columns {
                // BLANK 2: what A's element (r, s) gives to ∂L/∂W[r, c].
                gradient[r * columns + c] += beta * a * f64::NAN;
            }
        }
    }
    gradient
}

/// Grades the exercise.
pub fn main() -> ExitCode {
    let grade = spikegrad_testkit::exercise::lipschitz_gradient(lipschitz_gradient);
    spikegrad_testkit::exercise::grade("lipschitz_gradient", grade)
}
