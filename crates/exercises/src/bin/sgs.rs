//! Exercise 1: surrogate gradient scaling. The paper's public code leaves these two lines blank.
//!
//! ```text
//! S(g, u, o) = g · h(u) · max(0, 1 + δ·sign(g)·(u − o))          sign(0) = 0
//! ```

use std::process::ExitCode;

/// The factor by which the gradient `g` of a spike `o` of the membrane `u` is scaled: max(0, …) above.
pub fn factor(g: f64, u: f64, o: f64, delta: f64) -> f64 {
    // BLANK 1: what is the sign of zero? Take the last line and its NaN away.
    let _ = (g, u, o, delta);
    f64::NAN
}

/// The gradient at the membrane `u` of a neuron whose spike `o` has the total gradient `g`; `h` is the surrogate's
/// derivative at `u`.
pub fn sgs(g: f64, u: f64, o: f64, h: f64, delta: f64) -> f64 {
    // BLANK 2: what passes through the spike.
    let _ = h;
    factor(g, u, o, delta)
}

/// Grades the exercise.
pub fn main() -> ExitCode {
    spikegrad_testkit::exercise::grade("sgs", spikegrad_testkit::exercise::sgs(factor, sgs))
}
