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
            let a = dot - if r == s { 1.0 } else { 0.0 };
            for c in 0..columns {
                gradient[r * columns + c] += 2.0 * beta * a * row(s)[c];
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
