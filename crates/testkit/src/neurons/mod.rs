//! The neurons: a file for each kind, with its charge and, beside it, its hand-derived backward.
//!
//! A file states one step of one neuron. `step` goes from the states before it to those after it; `back` goes from
//! `∂L/∂(states after)` and `e = ∂L/∂o` to `∂L/∂(states before)`, ∂L/∂x and the gradients of the numbers. What all
//! neurons that fire share stands here: the spike and its reset.
//!
//! ```text
//! m' = (1 − o)·u   hard             m' = u − R·o   soft, R = the threshold of the step, or an amount of its own
//! G  = e − [attached] a·u   hard    G  = e − [attached] R·a   soft              a = ∂L/∂m'
//! ∂u = S(G,u,o) + a·(1 − o) hard    ∂u = S(G,u,o) + a         soft
//! ∂threshold = −S(G,u,o) − [soft, R = threshold] a·o
//! ```
//!
//! e stands for the gradient of every use of o but the reset. Membranes and thresholds are measured from the reset
//! value r; only SGS reads V = u + r.

mod adaptive;
mod gated;
mod integrator;
mod layer;
mod leaky;
mod learned;
mod synaptic;

pub use layer::Layer;
pub use learned::{Learned, Part};

use crate::lif::{Activation, Lif, NeuronKind};

/// The numbers of one neuron, or the gradient at each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers {
    /// τ.
    pub decay: f64,
    /// V_th, measured from 0.
    pub threshold: f64,
    /// s.
    pub scale: f64,
    /// ρ of the adaptive neuron.
    pub adaptation_decay: f64,
    /// β of the adaptive neuron.
    pub adaptation: f64,
    /// α of the synaptic neuron.
    pub synapse: f64,
    /// α of the gated neuron.
    pub alpha: f64,
    /// β of the gated neuron.
    pub beta: f64,
    /// γ of the gated neuron.
    pub gamma: f64,
    /// V_leak of the gated neuron.
    pub leak: f64,
    /// V_reset of the gated neuron.
    pub reset: f64,
    /// g\[t\] of the gated neuron.
    pub conduct: Vec<f64>,
}

/// What a neuron carries from one step to the next, or the gradient at each.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct State {
    /// The membrane.
    pub m: f64,
    /// The adaptation b, the synaptic current i, or the last spike p.
    pub other: f64,
}

/// One step of one neuron.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Its number, from 0.
    pub t: usize,
    /// The input current.
    pub x: f64,
    /// The states before it.
    pub before: State,
    /// The membrane before the reset.
    pub u: f64,
    /// The threshold.
    pub threshold: f64,
    /// The output.
    pub o: f64,
    /// The states after it.
    pub after: State,
}

/// The gradients of one step, but for those of the numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Back {
    /// ∂L/∂x.
    pub x: f64,
    /// G, the total gradient at the output.
    pub total: f64,
    /// ∂L/∂(states before).
    pub before: State,
}

/// A neuron with its numbers.
pub(crate) struct Neuron<'a> {
    pub lif: &'a Lif,
    pub numbers: &'a Numbers,
    pub activation: Activation,
}

/// The gradients at a spike and its reset.
struct Fired {
    /// G.
    total: f64,
    /// ∂L/∂u.
    u: f64,
    /// ∂L/∂threshold of the step.
    threshold: f64,
}

impl Neuron<'_> {
    /// One step forward.
    pub fn step(&self, t: usize, x: f64, before: State) -> Step {
        match self.lif.kind {
            _ if self.has_no_membrane() => {
                let o = self.lif.fire(x, 0.0, self.activation);
                Step { t, x, before, u: x, threshold: 0.0, o, after: before }
            }
            NeuronKind::Lif => self.leaky(t, x, before),
            NeuronKind::Adaptive { .. } => self.adaptive(t, x, before),
            NeuronKind::Synaptic { .. } => self.synaptic(t, x, before),
            NeuronKind::Gated(_) => self.gated(t, x, before),
            NeuronKind::Integrator => self.integrator(t, x, before),
        }
    }

    /// One step backward; the gradients of the numbers are added to `sums`.
    pub fn back(&self, step: &Step, e: f64, after: State, sums: &mut Numbers) -> Back {
        match self.lif.kind {
            _ if self.has_no_membrane() => {
                let x = self.lif.fire_backward(e, (step.u, step.u), step.o, self.activation);
                Back { x, total: e, before: after }
            }
            NeuronKind::Lif => self.leaky_back(step, e, after, sums),
            NeuronKind::Adaptive { .. } => self.adaptive_back(step, e, after, sums),
            NeuronKind::Synaptic { .. } => self.synaptic_back(step, e, after, sums),
            NeuronKind::Gated(_) => self.gated_back(step, e, after, sums),
            NeuronKind::Integrator => self.integrator_back(step, e, after, sums),
        }
    }

    fn has_no_membrane(&self) -> bool {
        matches!(self.activation, Activation::Relu | Activation::Identity)
    }

    /// The membrane after the reset.
    fn reset(&self, u: f64, o: f64, threshold: f64) -> f64 {
        if self.lif.reset.is_hard() { (1.0 - o) * u } else { u - self.amount(threshold) * o }
    }

    /// R, what a soft reset takes off the membrane.
    fn amount(&self, threshold: f64) -> f64 {
        self.lif.reset_amount.unwrap_or(threshold)
    }

    /// S, the gradient that passes the spike of `step` from the total gradient G.
    fn spike_back(&self, total: f64, step: &Step) -> f64 {
        let membrane = (step.u + self.lif.reset_value, step.u - step.threshold);
        self.lif.fire_backward(total, membrane, step.o, self.activation)
    }

    /// The table above: `e` is the gradient of every use of o but the reset, `a` is ∂L/∂m'.
    fn fired(&self, step: &Step, e: f64, a: f64) -> Fired {
        let Step { u, o, threshold, .. } = *step;
        let is_hard = self.lif.reset.is_hard();
        let through_reset = match (self.lif.reset.is_detached(), is_hard) {
            (true, _) => 0.0,
            (false, true) => a * u,
            (false, false) => self.amount(threshold) * a,
        };
        let total = e - through_reset;
        let s = self.spike_back(total, step);
        let kept = if is_hard { a * (1.0 - o) } else { a };
        let follows = !is_hard && self.lif.reset_amount.is_none();
        Fired { total, u: s + kept, threshold: -s - if follows { a * o } else { 0.0 } }
    }
}
