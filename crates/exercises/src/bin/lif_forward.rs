//! Exercise 0: one neuron, forward in time.
//!
//! ```text
//! u[t] = τ·m[t−1] + x[t]          m[−1] = 0        charge
//! o[t] = 1 if u[t] > V_th else 0                   fire
//! m[t] = (1 − o[t])·u[t]                           hard reset
//! ```

use std::process::ExitCode;

/// The membranes u and the spikes o, 0 or 1, of a neuron with the input current `x` over time.
pub fn lif_forward(x: &[f64], decay: f64, threshold: f64) -> (Vec<f64>, Vec<f64>) {
    let (mut us, mut os) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    // The membrane after the reset of the step before.
    let mut m = 0.0;
    for t in 0..x.len() {
        // BLANK 1: the membrane is charged.
        us[t] = decay * m + f64::NAN;
        // BLANK 2: it fires above the threshold. At the threshold?
        os[t] = if us[t] == threshold { 1.0 } else { f64::NAN };
        // BLANK 3: a spike takes it to 0.
        m = us[t];
    }
    (us, os)
}

/// Grades the exercise.
pub fn main() -> ExitCode {
    spikegrad_testkit::exercise::grade("lif_forward", spikegrad_testkit::exercise::lif_forward(lif_forward))
}
