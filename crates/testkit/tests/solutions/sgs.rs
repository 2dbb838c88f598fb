//! Exercise 1: surrogate gradient scaling. The paper's public code leaves these two lines blank.
//!
//! ```text
//! S(g, u, o) = g · h(u) · max(0, 1 + δ·sign(g)·(u − o))          sign(0) = 0
//! ```

use std::process::ExitCode;

/// The factor by which the gradient `g` of a spike `o` of the membrane `u` is scaled: max(0, …) above.
pub fn factor(g: f64, u: f64, o: f64, delta: f64) -> f64 {
    let sign = if g == 0.0 { 0.0 } else { g.signum() };
    (1.0 + delta * sign * (u - o)).max(0.0)
}

/// The gradient at the membrane `u` of a neuron whose spike `o` has the total gradient `g`; `h` is the surrogate's
/// derivative at `u`.
pub fn sgs(g: f64, u: f64, o: f64, h: f64, delta: f64) -> f64 {
    g * h * factor(g, u, o, delta)
}

/// Grades the exercise.
pub fn main() -> ExitCode {
    spikegrad_testkit::exercise::grade("sgs", spikegrad_testkit::exercise::sgs(factor, sgs))
}
