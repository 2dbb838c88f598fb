//! Leaky integrate-and-fire neurons, unrolled in time; forward and backward are fused with the batch norm before them.
//!
//! ```text
//! x[t] = Σ sources                      a source: batch norm's (y[t] − mean)·scale + shift, or spikes
//! u[t] = τ·m[t−1] + x[t]                charge
//! o[t] = 1 if u[t] > V_th else 0        fire
//! m[t] = (1 − o[t])·u[t]                hard reset
//! m[t] = u[t] − R·o[t]                  soft reset, R = V_th or another amount
//! ```
//! Backward, with e = ∂L/∂o from above, a = ∂L/∂m, a[T−1] = 0, for t = T−1 … 0:
//!
//! | reset | G\[t\] | ∂L/∂u\[t\] |
//! |---|---|---|
//! | hard | e − a·u | S(G, u, o) + a·(1 − o) |
//! | hard, detached | e | S(G, u, o) + a·(1 − o) |
//! | soft | e − R·a | S(G, u, o) + a |
//! | soft, detached | e | S(G, u, o) + a |
//!
//! ∂L/∂x\[t\] = ∂L/∂u\[t\] and a\[t−1\] = τ·∂L/∂u\[t\]; where τ is learned, ∂L/∂τ = Σ_t ∂L/∂u\[t\]·m\[t−1\].
//! Only y and the spikes are kept between forward and backward: the backward derives u again.

mod law;
pub mod record;
mod unrolled;

use crate::{ConfigError, Surrogate};
use record::Listener;
use spikegrad_tensor::parallel::timelines;
use spikegrad_tensor::{Block, Dims, LANES, Level, Scratch, Spikes, Tensor, Workers};
use std::str::FromStr;
use unrolled::{Backward, Forward, Out, Plane};

pub use law::membrane_gradient;

/// The reset of the membrane after a spike, and whether gradients flow through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// The membrane is set to zero, and gradients flow through the reset: the authors' graph.
    Hard,
    /// The membrane is set to zero, and no gradient flows through the reset.
    HardDetached,
    /// The threshold is subtracted from the membrane, and gradients flow through the reset.
    Soft,
    /// The threshold is subtracted from the membrane, and no gradient flows through the reset.
    SoftDetached,
}

impl Reset {
    /// All four resets.
    pub const ALL: [Reset; 4] = [Reset::Hard, Reset::HardDetached, Reset::Soft, Reset::SoftDetached];

    /// Returns the name, as flags and files spell it.
    pub fn name(self) -> &'static str {
        match self {
            Reset::Hard => "hard",
            Reset::HardDetached => "hard-detached",
            Reset::Soft => "soft",
            Reset::SoftDetached => "soft-detached",
        }
    }

    fn is_hard(self) -> bool {
        matches!(self, Reset::Hard | Reset::HardDetached)
    }

    fn is_attached(self) -> bool {
        matches!(self, Reset::Hard | Reset::Soft)
    }
}

impl std::fmt::Display for Reset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Reset {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        let known = || Reset::ALL.map(Reset::name).join(", ");
        let found = Reset::ALL.into_iter().find(|reset| reset.name() == name);
        found.ok_or_else(|| ConfigError::unknown("reset", name, known()))
    }
}

/// A neuron's parameters.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LifConfig {
    /// τ, the share of the membrane that is kept from one step to the next.
    pub decay: f32,
    /// V_th, the threshold: a neuron fires where its membrane is larger.
    pub threshold: f32,
    /// The reset.
    pub reset: Reset,
    /// The base surrogate.
    pub surrogate: Surrogate,
    /// δ of surrogate gradient scaling.
    pub delta: f32,
    /// The amount that a soft reset subtracts from the membrane; `None` stands for the threshold.
    pub reset_amount: Option<f32>,
    /// A factor on the surrogate's derivative and primitive.
    pub amplitude: f32,
    /// Whether the decay is learned, one for a layer: τ = σ(w) begins at `decay` (PLIF, Fang et al. 2021).
    pub learn_decay: bool,
}

/// Each setting by itself: `LifConfig` grows, so that it is put together by these.
impl LifConfig {
    /// Sets `decay`: τ, the share of the membrane kept from one step to the next.
    #[must_use]
    pub fn decay(self, decay: f32) -> Self {
        Self { decay, ..self }
    }

    /// Sets `threshold`: V_th.
    #[must_use]
    pub fn threshold(self, threshold: f32) -> Self {
        Self { threshold, ..self }
    }

    /// Sets `reset`: what happens to the membrane after a spike.
    #[must_use]
    pub fn reset(self, reset: Reset) -> Self {
        Self { reset, ..self }
    }

    /// Sets `surrogate`: the base surrogate.
    #[must_use]
    pub fn surrogate(self, surrogate: Surrogate) -> Self {
        Self { surrogate, ..self }
    }

    /// Sets `delta`: δ of surrogate gradient scaling.
    #[must_use]
    pub fn delta(self, delta: f32) -> Self {
        Self { delta, ..self }
    }

    /// Sets `reset_amount`: what a soft reset takes off the membrane; none: the threshold.
    #[must_use]
    pub fn reset_amount(self, reset_amount: Option<f32>) -> Self {
        Self { reset_amount, ..self }
    }

    /// Sets `amplitude`: a factor on the surrogate, derivative and primitive.
    #[must_use]
    pub fn amplitude(self, amplitude: f32) -> Self {
        Self { amplitude, ..self }
    }

    /// Sets `learn_decay`: whether the decay is learned, one for a layer: τ = σ(w), beginning at `decay` (PLIF, Fang et al. 2021).
    #[must_use]
    pub fn learn_decay(self, learn_decay: bool) -> Self {
        Self { learn_decay, ..self }
    }
}

impl Default for LifConfig {
    /// The authors' neuron: τ = V_th = 0.5, hard reset, rectangle of half width 0.5 and amplitude 1, δ = 1e-4.
    fn default() -> Self {
        Self {
            decay: 0.5,
            threshold: 0.5,
            reset: Reset::Hard,
            surrogate: Surrogate::Rectangle { window: 0.5 },
            delta: 1e-4,
            reset_amount: None,
            amplitude: 1.0,
            learn_decay: false,
        }
    }
}

impl LifConfig {
    /// Checks that every number is finite, the threshold positive, the decay in [0, 1] and the surrogate's parameter
    /// within its range.
    ///
    /// # Errors
    /// The error names the first setting that is out of its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let bad = |what: &str, value: f32, want: &str| Err(ConfigError::out_of_range(what, value, want));
        match self {
            c if !(c.threshold > 0.0 && c.threshold.is_finite()) => {
                bad("threshold", c.threshold, "positive and finite")
            }
            c if !(0.0..=1.0).contains(&c.decay) => bad("decay", c.decay, "between 0 and 1"),
            c if c.learn_decay && [0.0, 1.0].contains(&c.decay) => {
                bad("decay", c.decay, "between 0 and 1 and neither of them, where it is learned")
            }
            c if !c.delta.is_finite() => bad("delta", c.delta, "finite"),
            c if !(c.amplitude > 0.0 && c.amplitude.is_finite()) => {
                bad("amplitude of the surrogate", c.amplitude, "positive and finite")
            }
            c => match c.reset_amount {
                Some(amount) if !amount.is_finite() => bad("reset amount", amount, "finite"),
                _ => c.surrogate.check(),
            },
        }
    }
}

impl LifConfig {
    /// Returns the amount that a soft reset subtracts from the membrane.
    pub fn amount(&self) -> f32 {
        self.reset_amount.unwrap_or(self.threshold)
    }
}

/// The activation of a layer: the function from its input current to its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Spiking neurons: the output is 0 or 1.
    Spike,
    /// Neurons whose step is replaced by the surrogate's primitive: the differentiable twin of gradient checks.
    Smooth,
    /// max(0, x) without a membrane: the ReLU twin.
    Relu,
    /// x without a membrane: the sum of the currents is written out.
    Identity,
}

/// One summand of the input current: (y − mean)·scale + shift, or spikes.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A dense tensor, mapped by an affine function of each channel. With `n` = batch, one frame serves every step.
    ///
    /// The mean is subtracted first, not folded into the shift: where the mean is much larger than y's standard deviation,
    /// scale·y and the folded shift would be large numbers that cancel.
    Affine {
        /// (steps·batch, c, h, w), steps being T or 1.
        y: &'a Tensor,
        /// Mean of each channel, padded to whole blocks.
        mean: &'a [f32],
        /// Factor of each channel, padded to whole blocks.
        scale: &'a [f32],
        /// Constant of each channel, padded to whole blocks.
        shift: &'a [f32],
    },
    /// Spikes, which count as 0 and 1.
    Spikes(&'a Spikes),
}

/// The buffer that a layer writes its outputs to.
#[derive(Debug)]
pub enum Output<'a> {
    /// One bit a neuron, of spiking neurons.
    Spikes(&'a mut Spikes),
    /// One float a neuron, of all other activations.
    Dense(&'a mut Tensor),
}

/// A layer of leaky integrate-and-fire neurons, ready to run.
#[derive(Clone, Copy, Debug)]
pub struct LifLayer<'a> {
    /// The neuron.
    pub lif: &'a LifConfig,
    /// The activation.
    pub activation: Activation,
    /// The output's size: n = steps·batch.
    pub dims: Dims,
    /// T, the number of time steps.
    pub steps: usize,
    /// The SIMD level.
    pub level: Level,
}

/// The largest number of sources of a layer: a convolution and its shortcut.
pub const MAX_SOURCES: usize = 2;

/// Sums over a plane, one for each channel: Σ ∂L/∂u\[t\]·m\[t−1\], the gradient of the decay.
pub type DecaySums = [f64; LANES];

/// Sums over a plane for batch norm's backward: Σ∂u, then Σ∂u·(y − mean) of each affine source.
pub type PlaneSums = [[f64; LANES]; 1 + MAX_SOURCES];

impl LifLayer<'_> {
    /// Unrolls the neurons over all steps, with membranes that begin at 0; outputs are overwritten.
    ///
    /// # Panics
    /// There are more than [`MAX_SOURCES`] sources, or a size is not the layer's.
    #[doc(alias = "eq-lif")]
    #[doc(alias = "eq-soft-reset")]
    pub fn forward(&self, sources: &[Source<'_>], output: Output<'_>, workers: &mut Workers) {
        self.forward_from(None, sources, output, workers);
    }

    /// Unrolls the neurons as [`LifLayer::forward`] does, but the membranes (batch, c, h, w) begin at `membranes`, which is
    /// overwritten with the membranes after the last step: a stream unrolled in pieces has the same bits as in one.
    ///
    /// # Panics
    /// There are more than [`MAX_SOURCES`] sources, or a size is not the layer's.
    #[doc(alias = "eq-stream")]
    pub fn forward_from(
        &self,
        membranes: Option<&mut Tensor>,
        sources: &[Source<'_>],
        output: Output<'_>,
        workers: &mut Workers,
    ) {
        let hw = self.dims.pixels();
        let frame = Dims { n: self.dims.n / self.steps, ..self.dims };
        let mut membranes = membranes.map(|membranes| {
            assert_eq!(membranes.dims(), frame);
            membranes.blocks_mut().chunks_mut(hw)
        });
        let mut next = move || membranes.as_mut().and_then(Iterator::next);
        let run = |index: usize, out: Out<'_>, membranes: Option<&mut [Block]>, scratch: &mut Scratch| {
            self.level.run(Forward { plane: self.plane(sources, index), out, membranes, scratch });
        };
        match output {
            Output::Spikes(spikes) => {
                let planes = timelines(spikes.words_mut(), self.steps, hw).enumerate();
                let planes = planes.map(move |(i, words)| (i, words, next()));
                workers.run(planes, |(i, words, m), scratch| run(i, Out::Words(words), m, scratch));
            }
            Output::Dense(dense) => {
                let planes = timelines(dense.blocks_mut(), self.steps, hw).enumerate();
                let planes = planes.map(move |(i, blocks)| (i, blocks, next()));
                workers.run(planes, |(i, blocks, m), scratch| run(i, Out::Blocks(blocks), m, scratch));
            }
        }
    }

    /// Runs the recurrences backward.
    ///
    /// | argument | shape | access |
    /// |---|---|---|
    /// | `sources` | as in the forward | read |
    /// | `gradient` | ∂L/∂o (steps·batch, c, h, w) | overwritten with ∂L/∂u |
    /// | `sums` | one for each (image of the batch, channel block) | overwritten |
    ///
    /// Where one frame serves every step ([`LifLayer::is_static`]), the first `batch` images of `gradient` receive
    /// the sum of ∂L/∂u over time and the others are left as they are.
    ///
    /// # Panics
    /// There are more than [`MAX_SOURCES`] sources, or a size is not the layer's.
    pub fn backward(
        &self,
        sources: &[Source<'_>],
        gradient: &mut Tensor,
        sums: &mut [PlaneSums],
        workers: &mut Workers,
    ) {
        self.backward_recorded(sources, gradient, sums, workers, None);
    }

    /// Runs the recurrences backward as [`LifLayer::backward`] does, and hands every tile to the listener, if there is one.
    ///
    /// # Panics
    /// There are more than [`MAX_SOURCES`] sources, or a size is not the layer's.
    pub fn backward_recorded(
        &self,
        sources: &[Source<'_>],
        gradient: &mut Tensor,
        sums: &mut [PlaneSums],
        workers: &mut Workers,
        listener: Option<Listener<'_>>,
    ) {
        self.backward_learned(sources, gradient, (sums, &mut []), workers, listener);
    }

    /// Runs the recurrences backward as [`LifLayer::backward_recorded`] does, and computes the decay's gradient: the
    /// [`DecaySums`], one for each of `sums`, are overwritten. They are empty where the decay is not learned.
    ///
    /// # Panics
    /// There are more than [`MAX_SOURCES`] sources, a size is not the layer's, or `decay` is neither empty nor as long as
    /// `sums`.
    pub fn backward_learned(
        &self,
        sources: &[Source<'_>],
        gradient: &mut Tensor,
        (sums, decay): (&mut [PlaneSums], &mut [DecaySums]),
        workers: &mut Workers,
        listener: Option<Listener<'_>>,
    ) {
        assert_eq!(gradient.dims(), self.dims);
        assert!(decay.is_empty() || decay.len() == sums.len(), "decay sums for each plane, or none");
        let sum_time = self.is_static(sources);
        let planes = timelines(gradient.blocks_mut(), self.steps, self.dims.pixels());
        let mut decay = decay.iter_mut();
        let tasks =
            planes.zip(sums.iter_mut()).enumerate().map(move |(index, task)| (index, task, decay.next()));
        workers.run(tasks, |(index, (gradient, sums), decay), scratch| {
            let plane = self.plane(sources, index);
            self.level.run(Backward { plane, gradient, sum_time, sums, decay, listener, scratch });
        });
    }

    /// Whether the current is the same at every step.
    pub fn is_static(&self, sources: &[Source<'_>]) -> bool {
        let frames = self.dims.n / self.steps;
        sources.iter().all(|source| match source {
            Source::Affine { y, .. } => y.dims().n == frames,
            Source::Spikes(spikes) => spikes.dims().n == frames,
        })
    }

    fn plane<'b>(&'b self, sources: &'b [Source<'b>], index: usize) -> Plane<'b> {
        assert!(sources.len() <= MAX_SOURCES);
        Plane { layer: self, sources, index }
    }
}
