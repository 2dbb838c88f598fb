//! Leaky integrate-and-fire neurons, unrolled in time; forward and backward fused with what feeds them.
//!
//! ```text
//! x[t] = Σ sources                      a source: batch norm's (y[t] − mean)·scale + shift, or spikes
//! u[t] = τ·m[t−1] + x[t]                charge
//! o[t] = 1 if u[t] > V_th else 0        fire
//! m[t] = (1 − o[t])·u[t]                hard reset           m[t] = u[t] − V_th·o[t]   soft reset
//! ```
//! Backward, with e = ∂L/∂o from above, a = ∂L/∂m, a[T−1] = 0, for t = T−1 … 0:
//!
//! | reset | G\[t\] | ∂L/∂u\[t\] |
//! |---|---|---|
//! | hard | e − a·u | S(G, u, o) + a·(1 − o) |
//! | hard, detached | e | S(G, u, o) + a·(1 − o) |
//! | soft | e − V_th·a | S(G, u, o) + a |
//! | soft, detached | e | S(G, u, o) + a |
//!
//! ∂L/∂x\[t\] = ∂L/∂u\[t\] and a\[t−1\] = τ·∂L/∂u\[t\]. Nothing but y and the spikes is kept: u is derived again.

use crate::sgs::sgs;
use crate::{ConfigError, Surrogate};
use spikegrad_tensor::parallel::{Timeline, timelines};
use spikegrad_tensor::{Block, Dims, Kernel, LANES, Lanes, Level, Scratch, Spikes, Tensor, Workers};
use std::str::FromStr;

/// What happens to the membrane after a spike, and whether gradients flow through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// To zero, attached: the authors' graph.
    Hard,
    /// To zero, the spike detached from the reset.
    HardDetached,
    /// Less the threshold, attached.
    Soft,
    /// Less the threshold, detached.
    SoftDetached,
}

impl Reset {
    /// All four.
    pub const ALL: [Reset; 4] = [Reset::Hard, Reset::HardDetached, Reset::Soft, Reset::SoftDetached];

    /// The name, as flags and files spell it.
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
        found.ok_or_else(|| ConfigError(format!("no reset is called {name:?}; known: {}", known())))
    }
}

/// A neuron's parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct LifConfig {
    /// τ, the share of the membrane kept from one step to the next.
    pub decay: f32,
    /// V_th.
    pub threshold: f32,
    /// The reset.
    pub reset: Reset,
    /// The base surrogate.
    pub surrogate: Surrogate,
    /// δ of surrogate gradient scaling.
    pub delta: f32,
}

impl Default for LifConfig {
    /// The authors' neuron: τ = V_th = 0.5, hard reset, rectangle of half width 0.5, δ = 1e-4.
    fn default() -> Self {
        Self {
            decay: 0.5,
            threshold: 0.5,
            reset: Reset::Hard,
            surrogate: Surrogate::Rectangle { window: 0.5 },
            delta: 1e-4,
        }
    }
}

impl LifConfig {
    /// Checks that every number is finite, the threshold positive and the decay in [0, 1].
    ///
    /// # Errors
    /// Names the first that is not.
    pub fn check(&self) -> Result<(), ConfigError> {
        let bad = |what: &str, value: f32, want: &str| {
            Err(ConfigError(format!("{what} is {value}, must be {want}")))
        };
        match self {
            c if !(c.threshold > 0.0 && c.threshold.is_finite()) => bad("threshold", c.threshold, "positive"),
            c if !(0.0..=1.0).contains(&c.decay) => bad("decay", c.decay, "between 0 and 1"),
            c if !c.delta.is_finite() => bad("delta", c.delta, "finite"),
            _ => Ok(()),
        }
    }
}

/// How a unit turns its current into an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fire {
    /// Spikes, 0 or 1.
    Spike,
    /// The surrogate's primitive instead of the step: the differentiable twin of gradient checks.
    Smooth,
    /// max(0, x), without a membrane: the ANN twin.
    Relu,
}

/// One summand of the input current: (y − mean)·scale + shift, or spikes.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A dense tensor through an affine map of each channel. With `n` = batch, one frame serves every step.
    ///
    /// The mean is taken off first, not folded into the shift: where it is much larger than what y varies by,
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
    /// Spikes as they are.
    Spikes(&'a Spikes),
}

/// Where a unit writes its outputs.
#[derive(Debug)]
pub enum Output<'a> {
    /// Bits.
    Spikes(&'a mut Spikes),
    /// Floats, of the smooth and the ReLU twin.
    Dense(&'a mut Tensor),
}

/// A unit ready to run: neuron, output size, time steps.
#[derive(Clone, Copy, Debug)]
pub struct Unit<'a> {
    /// The neuron.
    pub lif: &'a LifConfig,
    /// How it fires.
    pub fire: Fire,
    /// Output size: n = steps·batch.
    pub dims: Dims,
    /// T.
    pub steps: usize,
    /// SIMD level.
    pub level: Level,
}

/// Sums over a plane for batch norm's backward: Σ∂u, then Σ∂u·(y − mean) of each of two affine sources.
pub type PlaneSums = [[f64; LANES]; 3];

impl Unit<'_> {
    /// Unrolls the neurons over all steps: outputs are overwritten.
    pub fn forward(&self, sources: &[Source<'_>], output: Output<'_>, workers: &mut Workers) {
        let hw = self.dims.pixels();
        let run = |index: usize, out: Out<'_>, scratch: &mut Scratch| {
            self.level.run(Forward { plane: self.plane(sources, index), out, scratch });
        };
        match output {
            Output::Spikes(spikes) => {
                let planes = timelines(spikes.words_mut(), self.steps, hw).enumerate();
                workers.run(planes, |(i, words), scratch| run(i, Out::Words(words), scratch));
            }
            Output::Dense(dense) => {
                let planes = timelines(dense.blocks_mut(), self.steps, hw).enumerate();
                workers.run(planes, |(i, blocks), scratch| run(i, Out::Blocks(blocks), scratch));
            }
        }
    }

    /// Runs the recurrences backward.
    ///
    /// | argument | shape | access |
    /// |---|---|---|
    /// | `sources` | as in the forward | read |
    /// | `e` | ∂L/∂o (steps·batch, c, h, w) | read |
    /// | `du` | ∂L/∂u, or its sum over time where `du` has n = batch | overwritten |
    /// | `sums` | one for each (image of the batch, channel block) | overwritten |
    pub fn backward(
        &self,
        sources: &[Source<'_>],
        e: &Tensor,
        du: &mut Tensor,
        sums: &mut [PlaneSums],
        workers: &mut Workers,
    ) {
        assert_eq!(e.dims(), self.dims);
        let du_steps = du.dims().n * self.steps / self.dims.n;
        let planes = timelines(du.blocks_mut(), du_steps, self.dims.pixels());
        let tasks = planes.zip(sums.iter_mut()).enumerate();
        workers.run(tasks, |(index, (du, sums)), scratch| {
            let plane = self.plane(sources, index);
            let sum_time = du_steps < self.steps;
            self.level.run(Backward { plane, e, du, sum_time, sums, scratch });
        });
    }

    fn plane<'b>(&'b self, sources: &'b [Source<'b>], index: usize) -> Plane<'b> {
        Plane { unit: self, sources, index }
    }
}

/// All steps of one channel block of one image.
struct Plane<'a> {
    unit: &'a Unit<'a>,
    sources: &'a [Source<'a>],
    /// Image of the batch × channel blocks + channel block.
    index: usize,
}

enum Out<'a> {
    Words(Timeline<'a, u16>),
    Blocks(Timeline<'a, Block>),
}

impl Plane<'_> {
    /// Index of pixel 0 at step t in a tensor of `n` images.
    #[inline(always)]
    fn at(&self, n: usize, t: usize) -> usize {
        let d = self.unit.dims;
        let frames = d.n / self.unit.steps;
        let t = if n == frames { 0 } else { t };
        (t * frames * d.blocks() + self.index) * d.pixels()
    }

    /// Channels of this block; the lanes past them are padding.
    fn channels(&self) -> usize {
        let d = self.unit.dims;
        (d.c - self.index % d.blocks() * LANES).min(LANES)
    }

    fn lanes(&self, from: usize) -> usize {
        self.index % self.unit.dims.blocks() * LANES + from
    }

    /// The input current x[t] of one pixel.
    #[inline(always)]
    fn current<V: Lanes>(&self, t: usize, pixel: usize, from: usize) -> V {
        let mut x = V::splat(0.0);
        for (i, source) in self.sources.iter().enumerate() {
            let part = match *source {
                Source::Affine { y, mean, scale, shift } => {
                    let lanes = self.lanes(from);
                    let centred = self.centred::<V>(y, mean, t, pixel, from);
                    centred * V::load(&scale[lanes..]) + V::load(&shift[lanes..])
                }
                Source::Spikes(spikes) => {
                    let word = u32::from(spikes.words()[self.at(spikes.dims().n, t) + pixel]);
                    V::select(V::from_bits(word >> from), V::splat(1.0), V::splat(0.0))
                }
            };
            x = if i == 0 { part } else { x + part };
        }
        x
    }

    /// y[t] − mean of one pixel.
    #[inline(always)]
    fn centred<V: Lanes>(&self, y: &Tensor, mean: &[f32], t: usize, pixel: usize, from: usize) -> V {
        let y = &y.blocks()[self.at(y.dims().n, t) + pixel];
        V::load(&y.0[from..]) - V::load(&mean[self.lanes(from)..])
    }
}

/// One time step of the neuron: membrane before firing, output, membrane after.
#[inline(always)]
fn step<V: Lanes>(lif: &LifConfig, fire: Fire, m: V, x: V) -> (V, V, V) {
    let (zero, one, threshold) = (V::splat(0.0), V::splat(1.0), V::splat(lif.threshold));
    match fire {
        Fire::Relu => return (x, x.max(zero), zero),
        Fire::Spike | Fire::Smooth => {}
    }
    let u = V::splat(lif.decay) * m + x;
    let o = if fire == Fire::Spike {
        V::select(u.gt(threshold), one, zero)
    } else {
        (u - threshold).map(|d| lif.surrogate.primitive_at(d))
    };
    let m = if lif.reset.is_hard() { (one - o) * u } else { u - threshold * o };
    (u, o, m)
}

struct Forward<'a> {
    plane: Plane<'a>,
    out: Out<'a>,
    scratch: &'a mut Scratch,
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let Forward { plane, mut out, scratch } = self;
        let unit = plane.unit;
        let pixels = unit.dims.pixels();
        let channels = plane.channels();
        let membranes = scratch.blocks(pixels);
        for t in 0..unit.steps {
            for (pixel, membrane) in membranes.iter_mut().enumerate() {
                let mut word = 0;
                let mut dense = Block::default();
                for from in (0..LANES).step_by(V::WIDTH) {
                    let m = if t == 0 { V::splat(0.0) } else { V::load(&membrane.0[from..]) };
                    let (_, o, m) = step(unit.lif, unit.fire, m, plane.current(t, pixel, from));
                    m.store(&mut membrane.0[from..]);
                    match out {
                        Out::Words(_) => word |= V::bits(o.gt(V::splat(0.5))) << from,
                        Out::Blocks(_) => o.store(&mut dense.0[from..]),
                    }
                }
                match &mut out {
                    Out::Words(words) => words.at(t)[pixel] = word as u16,
                    Out::Blocks(blocks) => {
                        // A primitive need not be 0 at rest; padding is.
                        dense.0[channels..].fill(0.0);
                        blocks.at(t)[pixel] = dense;
                    }
                }
            }
        }
    }
}

struct Backward<'a> {
    plane: Plane<'a>,
    e: &'a Tensor,
    du: Timeline<'a, Block>,
    sum_time: bool,
    sums: &'a mut PlaneSums,
    scratch: &'a mut Scratch,
}

/// Pixels summed in `f32` before a sum moves to `f64`.
const RUN: usize = 64;

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let Backward { plane, e, mut du, sum_time, sums, scratch } = self;
        let pixels = plane.unit.dims.pixels();
        let trace = scratch.blocks(2 * plane.unit.steps);
        *sums = [[0.0; LANES]; 3];
        for from in (0..LANES).step_by(V::WIDTH) {
            for first in (0..pixels).step_by(RUN) {
                let mut totals = [V::splat(0.0); 3];
                for pixel in first..(first + RUN).min(pixels) {
                    unroll::<V>(&plane, pixel, from, trace);
                    let total = pixel_backward::<V>(&plane, e, (pixel, from), trace, &mut du, sum_time);
                    (0..3).for_each(|k| totals[k] = totals[k] + total[k]);
                }
                for (total, sum) in totals.into_iter().zip(sums.iter_mut()) {
                    let mut lanes = [0.0; LANES];
                    total.store(&mut lanes);
                    (0..V::WIDTH).for_each(|l| sum[from + l] += f64::from(lanes[l]));
                }
            }
        }
    }
}

/// Runs the neurons of one pixel forward again: trace[2t] = u[t], trace[2t + 1] = o[t].
#[inline(always)]
fn unroll<V: Lanes>(plane: &Plane<'_>, pixel: usize, from: usize, trace: &mut [Block]) {
    let mut m = V::splat(0.0);
    for (t, pair) in trace.chunks_exact_mut(2).enumerate() {
        let (u, o, next) = step(plane.unit.lif, plane.unit.fire, m, plane.current(t, pixel, from));
        u.store(&mut pair[0].0);
        o.store(&mut pair[1].0);
        m = next;
    }
}

/// The recurrences of one pixel, last step first; returns Σ∂u and Σ∂u·(y − mean) of both sources over time.
#[inline(always)]
fn pixel_backward<V: Lanes>(
    plane: &Plane<'_>,
    e: &Tensor,
    (pixel, from): (usize, usize),
    trace: &[Block],
    du: &mut Timeline<'_, Block>,
    sum_time: bool,
) -> [V; 3] {
    let lif = plane.unit.lif;
    let mut totals = [V::splat(0.0); 3];
    let mut a = V::splat(0.0);
    let mut over_time = V::splat(0.0);
    for t in (0..plane.unit.steps).rev() {
        let (u, o) = (V::load(&trace[2 * t].0), V::load(&trace[2 * t + 1].0));
        let e = V::load(&e.blocks()[plane.at(plane.unit.dims.n, t) + pixel].0[from..]);
        let d = membrane_gradient(lif, plane.unit.fire, e, a, u, o);
        a = V::splat(lif.decay) * d;
        totals[0] = totals[0] + d;
        for (total, source) in totals[1..].iter_mut().zip(plane.sources) {
            if let Source::Affine { y, mean, .. } = *source {
                *total = *total + d * plane.centred(y, mean, t, pixel, from);
            }
        }
        if sum_time {
            over_time = over_time + d;
        } else {
            d.store(&mut du.at(t)[pixel].0[from..]);
        }
    }
    if sum_time {
        over_time.store(&mut du.at(0)[pixel].0[from..]);
    }
    totals
}

/// ∂L/∂u of one step from e = ∂L/∂o, a = ∂L/∂m, u and o: the table at the top of this file.
#[inline(always)]
pub fn membrane_gradient<V: Lanes>(lif: &LifConfig, fire: Fire, e: V, a: V, u: V, o: V) -> V {
    let (zero, one, threshold) = (V::splat(0.0), V::splat(1.0), V::splat(lif.threshold));
    if fire == Fire::Relu {
        return V::select(u.gt(zero), e, zero);
    }
    let hard = lif.reset.is_hard();
    let through_reset = if hard { a * u } else { threshold * a };
    let total = if lif.reset.is_attached() { e - through_reset } else { e };
    let h = lif.surrogate.derivative(u - threshold);
    let spike = if fire == Fire::Spike { sgs(total, h, u, o, V::splat(lif.delta)) } else { total * h };
    spike + if hard { a * (one - o) } else { a }
}
