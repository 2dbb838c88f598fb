//! Read-outs: one number a class from the net's outputs at every time step.
//!
//! With z\[t\] the output of a class at step t, o\[t\] the same of a net whose last layer spikes:
//!
//! | read-out | r | ∂r/∂z\[t\] |
//! |---|---|---|
//! | mean | 1/T·Σ z\[t\] | 1/T |
//! | sum | Σ z\[t\]: spike counts where the last layer spikes | 1 |
//! | last | z\[T−1\] | 1 at T − 1 |
//! | max | the largest z\[t\] | 1 at the first largest |
//! | latency | T − Σ_t Π_{s≤t} (1 − o\[s\]) | Σ_{q≥t} Π_{s≤q, s≠t} (1 − o\[s\]) |
//!
//! The latency's sum counts the silent steps before the first spike: a spike at step 0 gives T, silence gives 0. It is a
//! polynomial in the spikes, so that the surrogate of the last layer carries its gradient on.

use crate::ConfigError;

/// The number that stands for a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Readout {
    /// The mean over time: the paper's.
    #[default]
    Mean,
    /// The sum over time.
    Sum,
    /// The output at the last step.
    Last,
    /// The largest output.
    Max,
    /// The steps that are left at the first spike.
    Latency,
}

/// What a read-out remembers of one class from step to step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReadoutState {
    /// The sum, or the largest, so far.
    sum: f64,
    /// Π (1 − o) so far: 1 until the first spike.
    silent: f64,
}

impl Default for ReadoutState {
    fn default() -> Self {
        Self { sum: 0.0, silent: 1.0 }
    }
}

impl Readout {
    /// Every read-out.
    pub const ALL: [Readout; 5] =
        [Readout::Mean, Readout::Sum, Readout::Last, Readout::Max, Readout::Latency];

    /// Returns the name, as flags and files spell it.
    pub fn name(self) -> &'static str {
        match self {
            Readout::Mean => "mean",
            Readout::Sum => "sum",
            Readout::Last => "last",
            Readout::Max => "max",
            Readout::Latency => "latency",
        }
    }

    /// Takes one more step, the `steps`-th from 1 on, and returns r of the steps so far.
    ///
    /// ```
    /// use spikegrad_bptt::readout::{Readout, ReadoutState};
    ///
    /// let mut state = ReadoutState::default();
    /// let r: Vec<f64> =
    ///     [0.0, 1.0, 0.0].iter().zip(1..).map(|(&o, t)| Readout::Latency.step(&mut state, o, t)).collect();
    /// // Silent, then the first spike with two steps behind it, of which one has passed.
    /// assert_eq!(r, [0.0, 1.0, 2.0]);
    /// ```
    pub fn step(self, state: &mut ReadoutState, z: f32, steps: u64) -> f64 {
        let z = f64::from(z);
        match self {
            Readout::Mean => {
                state.sum += z;
                state.sum / steps as f64
            }
            Readout::Sum => {
                state.sum += z;
                state.sum
            }
            Readout::Last => z,
            Readout::Max => {
                state.sum = if steps == 1 { z } else { state.sum.max(z) };
                state.sum
            }
            Readout::Latency => {
                state.silent *= 1.0 - z;
                state.sum += state.silent;
                steps as f64 - state.sum
            }
        }
    }

    /// Computes r of all steps.
    pub fn read(self, outputs: impl Iterator<Item = f32>) -> f64 {
        let mut state = ReadoutState::default();
        outputs.zip(1..).fold(0.0, |_, (z, steps)| self.step(&mut state, z, steps))
    }

    /// Computes ∂r/∂z\[t\] of a class whose output at step s is `z(s)`.
    pub fn derivative(self, steps: usize, z: impl Fn(usize) -> f32, t: usize) -> f64 {
        let one_at = |at: usize| f64::from(u8::from(t == at));
        match self {
            Readout::Mean => 1.0 / steps as f64,
            Readout::Sum => 1.0,
            Readout::Last => one_at(steps - 1),
            Readout::Max => one_at((1..steps).fold(0, |top, s| if z(s) > z(top) { s } else { top })),
            Readout::Latency => {
                let silent = |s: usize| if s == t { 1.0 } else { 1.0 - f64::from(z(s)) };
                let before: f64 = (0..t).map(silent).product();
                let mut product = before;
                (t..steps)
                    .map(|q| {
                        product *= silent(q);
                        product
                    })
                    .sum()
            }
        }
    }
}

impl std::fmt::Display for Readout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Readout {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        let known = || Readout::ALL.map(Readout::name).join(", ");
        let found = Readout::ALL.into_iter().find(|readout| readout.name() == name);
        found.ok_or_else(|| ConfigError::unknown("read-out", name, known()))
    }
}
