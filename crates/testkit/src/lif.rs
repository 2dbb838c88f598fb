//! Spiking neurons: their configuration, their spike, surrogate gradient scaling, and layers of them unrolled in time.
//!
//! The leaky integrate-and-fire neuron, from which the others differ in their charge ([`crate::neurons`]):
//!
//! ```text
//! u[t] = τ·m[t−1] + x[t]        m[−1] = 0        charge
//! o[t] = 1 if u[t] > V_th else 0                 fire (strict >)
//! m[t] = (1 − o[t])·u[t]                         hard reset
//! m[t] = u[t] − V_th·o[t]                        soft reset
//! ```
//!
//! Arrays are steps × neurons. Backward: `e[t] = ∂L/∂o[t]` from above, `a[t] = ∂L/∂m[t]`, `a[T−1] = 0`;
//! for t = T−1 … 0:
//!
//! | reset | `G[t]`, the total gradient at the spike | `∂L/∂u[t]` |
//! |---|---|---|
//! | hard | e − a·u | S(G,u,o) + a·(1 − o) |
//! | hard, detached | e | S(G,u,o) + a·(1 − o) |
//! | soft | e − V_th·a | S(G,u,o) + a |
//! | soft, detached | e | S(G,u,o) + a |
//!
//! `∂L/∂x[t] = ∂L/∂u[t]`, `a[t−1] = τ·∂L/∂u[t]`, `∂L/∂τ = Σ ∂L/∂u[t]·m[t−1]`. The threshold is part of the spike's
//! distance u − V_th and of the soft reset: `∂L/∂V_th = Σ −S(G,u,o) − [soft] a·o`.

use crate::neurons::{Layer, Learned, State, Step};
use crate::surrogate::Surrogate;

/// What happens to the membrane at a spike, and whether the gradient flows through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// To zero; the gradient flows through the spike in the reset.
    Hard,
    /// To zero; the spike in the reset is a constant.
    HardDetached,
    /// Minus the threshold; the gradient flows through the spike in the reset.
    Soft,
    /// Minus the threshold; the spike in the reset is a constant.
    SoftDetached,
}

impl Reset {
    /// All four.
    pub const ALL: [Reset; 4] = [Reset::Hard, Reset::HardDetached, Reset::Soft, Reset::SoftDetached];

    /// True for the two hard resets.
    pub fn is_hard(self) -> bool {
        matches!(self, Reset::Hard | Reset::HardDetached)
    }

    /// True if the spike in the reset is a constant for the gradient.
    pub fn is_detached(self) -> bool {
        matches!(self, Reset::HardDetached | Reset::SoftDetached)
    }
}

/// The function from a layer's current to its output, and how it is differentiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// The step u > V_th; backward by surrogate gradient scaling.
    Spike,
    /// The smooth twin: o = primitive(u − V_th) with its true derivative (δ plays no part).
    Smooth,
    /// max(0, x) without a membrane.
    Relu,
    /// x without a membrane.
    Identity,
}

/// The membranes at which a neuron fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firing {
    /// u > V_th.
    Above,
    /// u ≥ V_th.
    AtOrAbove,
}

/// The factor s on the input current.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InputScale {
    /// s = 1.
    One,
    /// s = 1 − τ.
    Leak,
    /// Another number.
    Constant(f64),
}

/// Whether a number is learned: not, one for the layer, or one a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learn {
    /// The number is fixed.
    No,
    /// The layer learns one number.
    Layer,
    /// The layer learns one number a channel.
    Channel,
}

/// What a neuron has besides its membrane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NeuronKind {
    /// Nothing: leaky integrate-and-fire.
    Lif,
    /// A threshold that rises with every spike.
    Adaptive {
        /// ρ, the share of the adaptation that is kept.
        decay: f64,
        /// β, its weight in the threshold.
        strength: f64,
    },
    /// A synaptic current.
    Synaptic {
        /// α, the share of the current that is kept.
        decay: f64,
    },
    /// Gates between two decays, two inputs and two resets.
    Gated(Gates),
    /// A membrane that is put out and never fires.
    Integrator,
}

/// The numbers of a gated neuron, each between 0 and 1; the membrane's τ is [`Lif::decay`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gates {
    /// α, from no exponential decay to no linear leak.
    pub alpha: f64,
    /// β, from the whole current to its gated part.
    pub beta: f64,
    /// γ, from the soft reset to the hard one.
    pub gamma: f64,
    /// V_leak, which each step takes off the membrane.
    pub leak: f64,
    /// V_reset, which the soft reset takes off the membrane.
    pub reset: f64,
    /// g\[t\], the share of the current that its gate lets through, at every step where it is not learned.
    pub conduct: f64,
}

/// A layer of neurons.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lif {
    /// What there is besides the membrane.
    pub kind: NeuronKind,
    /// Share τ of the membrane kept from step to step.
    pub decay: f64,
    /// Threshold V_th.
    pub threshold: f64,
    /// Reset rule.
    pub reset: Reset,
    /// Surrogate derivative h.
    pub surrogate: Surrogate,
    /// Strength δ of the gradient scaling.
    pub delta: f64,
    /// What a soft reset takes off the membrane; `None` stands for the threshold of the step.
    pub reset_amount: Option<f64>,
    /// Factor on the surrogate, derivative and primitive.
    pub amplitude: f64,
    /// Factor on the input current.
    pub input_scale: InputScale,
    /// Where the membrane rests, and where a hard reset sets it. Membranes are measured from it: u stands for V − r.
    pub reset_value: f64,
    /// The membranes at which the neuron fires.
    pub firing: Firing,
    /// Whether the decay is learned.
    pub learn_decay: Learn,
    /// Whether the threshold is learned.
    pub learn_threshold: Learn,
    /// Whether the numbers of the kind are learned.
    pub learn_kind: Learn,
}

/// What the forward yields, each steps × neurons.
#[derive(Clone, Debug, PartialEq)]
pub struct LifTrace {
    /// Membrane before the reset, measured from the reset value.
    pub u: Vec<f64>,
    /// Spikes.
    pub o: Vec<f64>,
    /// Membrane after the reset.
    pub m: Vec<f64>,
    /// Threshold, measured from the reset value.
    pub threshold: Vec<f64>,
    /// The steps in full, for the backward.
    pub(crate) passed: Vec<Step>,
}

impl LifTrace {
    /// Gathers the steps of all neurons.
    pub(crate) fn of(passed: Vec<Step>) -> LifTrace {
        let all = |f: fn(&Step) -> f64| passed.iter().map(f).collect();
        let (u, o, m) = (all(|s| s.u), all(|s| s.o), all(|s| s.after.m));
        LifTrace { u, o, m, threshold: all(|s| s.threshold), passed }
    }
}

/// What the backward yields.
#[derive(Clone, Debug, PartialEq)]
pub struct LifGrads {
    /// ∂L/∂x, which is also ∂L/∂u for a leaky neuron without input scale (steps × neurons).
    pub x: Vec<f64>,
    /// Total gradient G at each spike (steps × neurons).
    pub total: Vec<f64>,
    /// a = ∂L/∂m (steps × neurons).
    pub m: Vec<f64>,
    /// ∂L/∂τ, of one τ for all.
    pub decay: f64,
    /// ∂L/∂(each learned parameter).
    pub learned: Learned,
    /// ∂L/∂(recurrent weights).
    pub recurrent: Vec<f64>,
}

/// −1, 0 or 1; 0 for both zeros.
pub fn sign(x: f64) -> f64 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        0.0
    }
}

/// Surrogate gradient scaling: `S(g, u, o) = g·h·max(0, 1 + δ·sign(g)·(u − o))`, `h` = h(u − V_th).
#[doc(alias = "eq5")]
pub fn sgs(g: f64, u: f64, o: f64, h: f64, delta: f64) -> f64 {
    g * h * (1.0 + delta * sign(g) * (u - o)).max(0.0)
}

impl Lif {
    /// The neuron of the paper's code: τ = V_th = 0.5, hard reset, rectangle of half width 0.5, δ = 1e-4.
    pub fn paper() -> Lif {
        Lif {
            kind: NeuronKind::Lif,
            decay: 0.5,
            threshold: 0.5,
            reset: Reset::Hard,
            surrogate: Surrogate::Rectangle { window: 0.5 },
            delta: 1e-4,
            reset_amount: None,
            amplitude: 1.0,
            input_scale: InputScale::One,
            reset_value: 0.0,
            firing: Firing::Above,
            learn_decay: Learn::No,
            learn_threshold: Learn::No,
            learn_kind: Learn::No,
        }
    }

    /// The output of the membrane `u` before the threshold `threshold`, both measured from the same point.
    pub fn fire(&self, u: f64, threshold: f64, activation: Activation) -> f64 {
        match (activation, self.firing) {
            (Activation::Spike, Firing::Above) => f64::from(u8::from(u > threshold)),
            (Activation::Spike, Firing::AtOrAbove) => f64::from(u8::from(u >= threshold)),
            (Activation::Smooth, _) => self.amplitude * self.surrogate.primitive(u - threshold),
            (Activation::Relu, _) => u.max(0.0),
            (Activation::Identity, _) => u,
        }
    }

    /// Gradient at u through the output, given the total gradient `g` at o: SGS, or a true derivative.
    ///
    /// `from_zero` is the membrane as SGS compares it with the spike: measured from 0, not from the reset value.
    pub fn fire_backward(
        &self,
        g: f64,
        (from_zero, distance): (f64, f64),
        o: f64,
        activation: Activation,
    ) -> f64 {
        let h = self.amplitude * self.surrogate.derivative(distance);
        match activation {
            Activation::Spike => sgs(g, from_zero, o, h, self.delta),
            Activation::Smooth => g * h,
            Activation::Relu if from_zero > 0.0 => g,
            Activation::Relu => 0.0,
            Activation::Identity => g,
        }
    }

    /// Unrolls the neurons over `steps` time steps of input current `x`, with the numbers of the configuration.
    pub fn forward(&self, x: &[f64], steps: usize, activation: Activation) -> LifTrace {
        self.layer(x.len(), steps, activation).forward(x)
    }

    /// The table above, for the gradient `e` at the spikes.
    pub fn backward(&self, trace: &LifTrace, e: &[f64], steps: usize, activation: Activation) -> LifGrads {
        self.layer(e.len(), steps, activation).backward(trace, e)
    }

    /// The trace of leaky neurons whose values were computed elsewhere: current, membrane before the reset, spike and
    /// membrane after the reset.
    pub fn observed(&self, steps: usize, [x, u, o, m]: [&[f64]; 4]) -> LifTrace {
        let (n, threshold) = (x.len() / steps, self.threshold - self.reset_value);
        let state = |m: f64| State { m, other: 0.0 };
        let step = |at: usize| {
            let before = state(if at < n { 0.0 } else { m[at - n] });
            Step { t: at / n, x: x[at], before, u: u[at], threshold, o: o[at], after: state(m[at]) }
        };
        LifTrace::of((0..x.len()).map(step).collect())
    }

    /// A layer of `len / steps` neurons that learns nothing.
    fn layer(&self, len: usize, steps: usize, activation: Activation) -> Layer {
        let fixed =
            Lif { learn_decay: Learn::No, learn_threshold: Learn::No, learn_kind: Learn::No, ..*self };
        Layer::new(fixed, steps, [len / steps, 1, 1], activation)
    }
}
