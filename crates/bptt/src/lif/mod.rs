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

mod config;
mod laws;
mod parameters;
mod presets;
pub mod record;
mod unrolled;

use laws::{Adaptive, Gated, Integrator, Law, Lif, Plain, Spike, Synaptic};
use record::Listener;
use spikegrad_tensor::parallel::timelines;
use spikegrad_tensor::{Block, Dims, LANES, Lanes, Level, Spikes, Tensor, Workers};
use unrolled::{Backward, BackwardIn, Forward, Out, Plane};

pub use config::{Firing, Gates, InputScale, Learn, LifConfig, NeuronKind, Reset};
pub use laws::MOST_STATES;
pub use parameters::{Learned, ParameterMap};
pub use presets::{NEURONS, Preset};

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
    /// scale·y and the folded shift would be large numbers that cancel. The constants are one row for all steps, or a row
    /// for each.
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

/// A layer of neurons, ready to run.
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
    /// The rows of [`ParameterMap::parameters`], a number for each channel, padded to whole blocks; a plain neuron has none.
    pub parameters: &'a [f32],
}

/// The largest number of sources of a layer: a convolution and its shortcut.
pub const MAX_SOURCES: usize = 2;

/// Sums over a plane, one for each channel: the gradient of one of the layer's parameters.
pub type ParameterSums = [f64; LANES];

/// Sums over a plane for batch norm's backward: Σ∂u, then Σ∂u·(y − mean) of each affine source.
pub type PlaneSums = [[f64; LANES]; 1 + MAX_SOURCES];

/// Computes ∂L/∂u of one step from e = ∂L/∂o, a = ∂L/∂m and u, as the table at the top of the module says.
#[doc(alias = "eq-gradient")]
#[inline(always)]
pub fn membrane_gradient<V: Lanes>(
    lif: &LifConfig,
    activation: Activation,
    reset: Reset,
    e: V,
    a: V,
    u: V,
) -> V {
    Plain(Spike { lif, activation, reset, firing: Firing::Above }).terms(e, a, u).gradient
}

/// What a backward reads and writes besides the sources.
///
/// | field | shape | access |
/// |---|---|---|
/// | `gradient` | ∂L/∂o (steps·batch, c, h, w) | overwritten with ∂L/∂x |
/// | `sums` | one for each (image of the batch, channel block), or for each of these and each step | overwritten |
/// | `parameters` | for each (image, channel block) a row of sums for each parameter; empty where none is learned | overwritten |
/// | `before` | the states (batch, c, h, w) before the first step; empty: 0 | read |
/// | `carried` | ∂L/∂(states) (batch, c, h, w), after the last step and then before the first; empty: 0 | overwritten |
/// | `listener` | receives every tile | |
#[derive(Debug)]
pub struct BackwardPass<'a> {
    /// The gradient of the outputs, then of the currents.
    pub gradient: &'a mut Tensor,
    /// The sums for batch norm.
    pub sums: &'a mut [PlaneSums],
    /// The gradients of the parameters.
    pub parameters: &'a mut [ParameterSums],
    /// The states before the first step.
    pub before: &'a [Tensor],
    /// The gradients of the states.
    pub carried: &'a mut [Tensor],
    /// The recorder.
    pub listener: Option<Listener<'a>>,
}

impl<'a> BackwardPass<'a> {
    /// Describes a backward of a whole unrolled layer whose parameters are fixed.
    pub fn new(gradient: &'a mut Tensor, sums: &'a mut [PlaneSums]) -> Self {
        Self { gradient, sums, parameters: &mut [], before: &[], carried: &mut [], listener: None }
    }
}

/// Evaluates an expression with the law of a layer.
macro_rules! with_law {
    ($layer:expr, $law:ident => $expression:expr) => {{
        let spike = Spike::new($layer.lif, $layer.activation);
        match $layer.law() {
            None => {
                let $law = Plain(spike);
                $expression
            }
            Some(NeuronKind::Lif) => {
                let $law = Lif(spike);
                $expression
            }
            Some(NeuronKind::Adaptive { .. }) => {
                let $law = Adaptive(spike);
                $expression
            }
            Some(NeuronKind::Synaptic { .. }) => {
                let $law = Synaptic(spike);
                $expression
            }
            Some(NeuronKind::Gated(_)) => {
                let $law = Gated(spike);
                $expression
            }
            Some(NeuronKind::Integrator) => {
                let $law = Integrator;
                $expression
            }
        }
    }};
}

impl<'a> LifLayer<'a> {
    /// Makes a layer of plain neurons, or of their twins.
    pub fn plain(lif: &'a LifConfig, activation: Activation, dims: Dims, steps: usize, level: Level) -> Self {
        Self { lif, activation, dims, steps, level, parameters: &[] }
    }

    /// The kind whose law reads parameters; none for the plain neuron and for twins without a membrane.
    fn law(&self) -> Option<NeuronKind> {
        let is_twin = matches!(self.activation, Activation::Relu | Activation::Identity);
        (!is_twin && !self.lif.is_plain()).then_some(self.lif.kind)
    }

    /// Counts the rows of parameters, and of their sums.
    pub fn rows(&self) -> usize {
        self.law().map_or(0, |_| self.lif.parameters(self.steps))
    }

    /// Unrolls the neurons over all steps, with states that begin at 0; outputs are overwritten.
    ///
    /// # Panics
    /// There are more than [`MAX_SOURCES`] sources, or a size is not the layer's.
    #[doc(alias = "eq-lif")]
    #[doc(alias = "eq-soft-reset")]
    pub fn forward(&self, sources: &[Source<'_>], output: Output<'_>, workers: &mut Workers) {
        self.forward_from(&mut [], sources, output, workers);
    }

    /// Unrolls the neurons as [`LifLayer::forward`] does, but the states (batch, c, h, w), the membranes first, begin at
    /// `states`, which are overwritten with the states after the last step: a stream unrolled in pieces has the same bits
    /// as in one. Membranes are measured from the reset value.
    ///
    /// # Panics
    /// There are more than [`MAX_SOURCES`] sources, or a size or the number of states is not the layer's.
    #[doc(alias = "eq-stream")]
    pub fn forward_from(
        &self,
        states: &mut [Tensor],
        sources: &[Source<'_>],
        output: Output<'_>,
        workers: &mut Workers,
    ) {
        self.check(sources);
        with_law!(self, law => self.forward_law(law, states, sources, output, workers));
    }

    fn forward_law<L: Law>(
        &self,
        law: L,
        states: &mut [Tensor],
        sources: &[Source<'_>],
        output: Output<'_>,
        workers: &mut Workers,
    ) {
        let hw = self.dims.pixels();
        let mut states = Planes::of_states::<L>(self.frame(), states);
        let plane = |index| Plane { layer: self, law, sources, index };
        match output {
            Output::Spikes(spikes) => {
                let planes = timelines(spikes.words_mut(), self.steps, hw).enumerate();
                let planes = planes.map(move |(i, words)| (i, words, states.next()));
                workers.run(planes, |(i, words, states), scratch| {
                    self.level.run(Forward { plane: plane(i), out: Out::Words(words), states, scratch });
                });
            }
            Output::Dense(dense) => {
                let planes = timelines(dense.blocks_mut(), self.steps, hw).enumerate();
                let planes = planes.map(move |(i, blocks)| (i, blocks, states.next()));
                workers.run(planes, |(i, blocks, states), scratch| {
                    self.level.run(Forward { plane: plane(i), out: Out::Blocks(blocks), states, scratch });
                });
            }
        }
    }

    /// Runs the recurrences backward.
    ///
    /// Where one frame serves every step ([`LifLayer::is_static`]), the first `batch` images of the gradient receive
    /// the sum of ∂L/∂x over time and the others are left as they are.
    ///
    /// # Panics
    /// There are more than [`MAX_SOURCES`] sources, or a size or a number of buffers is not the layer's.
    pub fn backward(&self, sources: &[Source<'_>], pass: BackwardPass<'_>, workers: &mut Workers) {
        self.check(sources);
        with_law!(self, law => self.backward_law(law, sources, pass, workers));
    }

    fn backward_law<L: Law>(
        &self,
        law: L,
        sources: &[Source<'_>],
        pass: BackwardPass<'_>,
        workers: &mut Workers,
    ) {
        let BackwardPass { gradient, sums, parameters, before, carried, listener } = pass;
        assert_eq!(gradient.dims(), self.dims);
        let planes = self.frame().planes();
        let per_plane = sums.len() / planes;
        assert!(per_plane == 1 || per_plane == self.steps, "sums for each plane, or for each plane and step");
        let rows = if parameters.is_empty() { 0 } else { self.rows() };
        assert_eq!(parameters.len(), planes * rows, "a row of sums for each plane and parameter, or none");
        let hw = self.dims.pixels();
        assert!(before.is_empty() || before.len() == L::STATES, "a buffer for each state, or none");
        let sum_time = self.is_static(sources);
        let mut carried = Planes::of_states::<L>(self.frame(), carried);
        let mut parameters = parameters.chunks_mut(rows.max(1));
        let tasks = timelines(gradient.blocks_mut(), self.steps, hw)
            .zip(sums.chunks_mut(per_plane))
            .enumerate()
            .map(move |(index, (gradient, sums))| (index, gradient, sums, parameters.next(), carried.next()));
        workers.run(tasks, |(index, gradient, sums, parameters, carried), scratch| {
            let plane = Plane { layer: self, law, sources, index };
            let before = before.iter().map(|state| &state.blocks()[index * hw..][..hw]);
            let before = laws::in_order(before);
            let backward =
                Backward { plane, gradient, sum_time, sums, parameters, before, carried, listener };
            self.level.run(BackwardIn { backward, scratch });
        });
    }

    /// Whether the current is the same at every step.
    pub fn is_static(&self, sources: &[Source<'_>]) -> bool {
        let frames = self.dims.n / self.steps;
        sources.iter().all(|source| match source {
            Source::Affine { y, mean, scale, shift } => {
                let lanes = self.dims.blocks() * LANES;
                y.dims().n == frames && [mean, scale, shift].iter().all(|row| row.len() == lanes)
            }
            Source::Spikes(spikes) => spikes.dims().n == frames,
        })
    }

    /// The size of the states.
    fn frame(&self) -> Dims {
        Dims { n: self.dims.n / self.steps, ..self.dims }
    }

    fn check(&self, sources: &[Source<'_>]) {
        assert!(sources.len() <= MAX_SOURCES);
        let lanes = self.dims.blocks() * LANES;
        assert_eq!(self.parameters.len(), self.rows() * lanes, "a number for each parameter and channel");
    }
}

/// The planes of each state, one after the other.
struct Planes<'a> {
    states: [Option<std::slice::ChunksMut<'a, Block>>; MOST_STATES],
}

impl<'a> Planes<'a> {
    /// Splits the buffers of a law's states, or nothing.
    fn of_states<L: Law>(frame: Dims, states: &'a mut [Tensor]) -> Self {
        assert!(states.is_empty() || states.len() == L::STATES, "a buffer for each state, or none");
        let chunks = states.iter_mut().map(|state| {
            assert_eq!(state.dims(), frame);
            state.blocks_mut().chunks_mut(frame.pixels())
        });
        Self { states: laws::in_order(chunks) }
    }

    fn next(&mut self) -> [Option<&'a mut [Block]>; MOST_STATES] {
        self.states.each_mut().map(|chunks| chunks.as_mut().and_then(Iterator::next))
    }
}
