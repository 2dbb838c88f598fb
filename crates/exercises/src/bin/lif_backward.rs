//! Exercise 2: one neuron, backward through time, with a hard reset.
//!
//! ```text
//! u[t] = τ·m[t−1] + x[t]          m[−1] = 0
//! o[t] = 1 if u[t] > V_th else 0
//! m[t] = (1 − o[t])·u[t]
//! ```
//! Given e\[t\] = ∂L/∂o\[t\] from the layers above, find ∂L/∂u\[t\] for every t. Two paths leave u\[t\]: through the spike and
//! through the membrane; two arrive at o\[t\]: from above and from the reset.

use std::process::ExitCode;

/// ∂L/∂u for the membranes `u`, the spikes `o` and their gradients `e` over time. `spike(g, u, o)` passes a total
/// gradient g at a spike on to its membrane (it is exercise 1).
pub fn lif_backward(
    u: &[f64],
    o: &[f64],
    e: &[f64],
    decay: f64,
    spike: &dyn Fn(f64, f64, f64) -> f64,
) -> Vec<f64> {
    let mut du = vec![0.0; u.len()];
    // a = ∂L/∂m[t]; nothing reads the membrane of the last step.
    let mut a = 0.0;
    for t in (0..u.len()).rev() {
        // BLANK 1: the total gradient at the spike: from above, and through the reset.
        let total = f64::NAN;
        // BLANK 2: ∂L/∂u[t]: through the spike, and through the membrane.
        du[t] = spike(total, u[t], o[t]) * f64::NAN + a * e[t];
        // BLANK 3: ∂L/∂m[t−1].
        a = decay * f64::NAN;
    }
    du
}

/// Grades the exercise.
pub fn main() -> ExitCode {
    spikegrad_testkit::exercise::grade(
        "lif_backward",
        spikegrad_testkit::exercise::lif_backward(lif_backward),
    )
}
