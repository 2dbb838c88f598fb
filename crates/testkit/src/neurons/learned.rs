//! Learned numbers: their parameters' names and sizes, and the functions that keep the numbers within their bounds.
//!
//! | parameter | number | |
//! |---|---|---|
//! | `w` | τ = σ(w) | with [`Lif::learn_decay`] |
//! | `threshold` | V_th = exp(v) | with [`Lif::learn_threshold`] |
//! | `adaptation_decay`, `adaptation` | ρ = σ(·), β = exp(·) | with [`Lif::learn_kind`] |
//! | `synapse` | α = σ(·) | with [`Lif::learn_kind`] |
//! | `alpha`, `beta`, `gamma`, `leak`, `reset`, `conduct` | σ(·), `conduct` one a step | with [`Lif::learn_kind`] |
//!
//! A parameter has one value for the layer or one for each channel, `conduct` (channels ×) steps.

use super::Numbers;
use crate::lif::{InputScale, Learn, Lif, NeuronKind};
use std::collections::BTreeMap;

/// A layer's learned parameters, or their gradients, by the last part of their names.
pub type Learned = BTreeMap<String, Vec<f64>>;

/// A learned parameter of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The last part of its name.
    pub name: &'static str,
    /// Whether each channel has its own.
    pub learn: Learn,
}

impl Part {
    /// Its shape in a layer.
    pub fn shape(&self, channels: usize, steps: usize) -> Vec<usize> {
        match (self.name, self.learn) {
            ("conduct", Learn::Channel) => vec![channels, steps],
            ("conduct", _) => vec![steps],
            (_, Learn::Channel) => vec![channels],
            _ => vec![1],
        }
    }

    /// The index of a channel's first value, where a neuron has `count` of them.
    fn first(&self, channel: usize, count: usize) -> usize {
        if self.learn == Learn::Channel { channel * count } else { 0 }
    }

    /// Whether its number is an exponential rather than a logistic function of it.
    pub fn is_log(&self) -> bool {
        matches!(self.name, "threshold" | "adaptation")
    }

    /// The number that a value of the parameter stands for.
    fn number(&self, value: f64) -> f64 {
        if self.is_log() { value.exp() } else { 1.0 / (1.0 + (-value).exp()) }
    }

    /// The value of the parameter that stands for a number.
    pub fn value(&self, number: f64) -> f64 {
        if self.is_log() { number.ln() } else { (number / (1.0 - number)).ln() }
    }

    /// The derivative of the number with respect to the parameter, as a function of the number.
    fn slope(&self, number: f64) -> f64 {
        if self.is_log() { number } else { number * (1.0 - number) }
    }

    /// Where its numbers stand among a neuron's.
    pub fn place<'a>(&self, numbers: &'a mut Numbers) -> &'a mut [f64] {
        std::slice::from_mut(match self.name {
            "w" => &mut numbers.decay,
            "threshold" => &mut numbers.threshold,
            "adaptation_decay" => &mut numbers.adaptation_decay,
            "adaptation" => &mut numbers.adaptation,
            "synapse" => &mut numbers.synapse,
            "alpha" => &mut numbers.alpha,
            "beta" => &mut numbers.beta,
            "gamma" => &mut numbers.gamma,
            "leak" => &mut numbers.leak,
            "reset" => &mut numbers.reset,
            _ => return &mut numbers.conduct,
        })
    }
}

impl Lif {
    /// The learned parameters.
    pub fn parts(&self) -> Vec<Part> {
        let of_kind: &[&str] = match self.kind {
            NeuronKind::Lif | NeuronKind::Integrator => &[],
            NeuronKind::Adaptive { .. } => &["adaptation_decay", "adaptation"],
            NeuronKind::Synaptic { .. } => &["synapse"],
            NeuronKind::Gated(_) => &["alpha", "beta", "gamma", "leak", "reset", "conduct"],
        };
        let mut parts = vec![Part { name: "w", learn: self.learn_decay }];
        if self.kind != NeuronKind::Integrator {
            parts.push(Part { name: "threshold", learn: self.learn_threshold });
        }
        parts.extend(of_kind.iter().map(|&name| Part { name, learn: self.learn_kind }));
        parts.retain(|part| part.learn != Learn::No);
        parts
    }

    /// The numbers of the configuration.
    pub fn numbers(&self, steps: usize) -> Numbers {
        let mut n = Numbers { decay: self.decay, threshold: self.threshold, ..Numbers::default() };
        match self.kind {
            NeuronKind::Lif | NeuronKind::Integrator => {}
            NeuronKind::Adaptive { decay, strength } => {
                (n.adaptation_decay, n.adaptation) = (decay, strength);
            }
            NeuronKind::Synaptic { decay } => n.synapse = decay,
            NeuronKind::Gated(gates) => {
                (n.alpha, n.beta, n.gamma) = (gates.alpha, gates.beta, gates.gamma);
                (n.leak, n.reset, n.conduct) = (gates.leak, gates.reset, vec![gates.conduct; steps]);
            }
        }
        n.scale = match self.input_scale {
            InputScale::One => 1.0,
            InputScale::Leak => 1.0 - n.decay,
            InputScale::Constant(scale) => scale,
        };
        n
    }

    /// The parameters at which learning begins: those of the configuration's numbers.
    pub fn beginning(&self, channels: usize, steps: usize) -> Learned {
        let mut numbers = self.numbers(steps);
        let begin = |part: Part| {
            let number = part.place(&mut numbers)[0];
            (part.name.to_string(), vec![part.value(number); part.shape(channels, steps).iter().product()])
        };
        self.parts().into_iter().map(begin).collect()
    }

    /// The numbers of a neuron in a channel: the configuration's, or what the parameters say.
    pub(super) fn numbers_of(&self, channel: usize, steps: usize, learned: &Learned) -> Numbers {
        let mut numbers = self.numbers(steps);
        for part in self.parts() {
            let values = &learned[part.name];
            let place = part.place(&mut numbers);
            let first = part.first(channel, place.len());
            place.iter_mut().zip(&values[first..]).for_each(|(number, &value)| *number = part.number(value));
        }
        if self.input_scale == InputScale::Leak {
            numbers.scale = 1.0 - numbers.decay;
        }
        numbers
    }

    /// Adds a neuron's gradients to those of the parameters; s = 1 − τ passes its own on to τ.
    pub(super) fn add_grads(
        &self,
        channel: usize,
        numbers: &mut Numbers,
        grads: &mut Numbers,
        sums: &mut Learned,
    ) {
        if self.input_scale == InputScale::Leak {
            grads.decay -= grads.scale;
        }
        for part in self.parts() {
            let (numbers, grads) = (part.place(numbers), part.place(grads));
            let sums = sums.entry(part.name.to_string()).or_default();
            let first = part.first(channel, numbers.len());
            for ((sum, number), grad) in sums[first..].iter_mut().zip(numbers).zip(grads) {
                *sum += *grad * part.slope(*number);
            }
        }
    }
}
