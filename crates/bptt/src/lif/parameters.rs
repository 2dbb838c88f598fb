//! The numbers of a layer's neurons as the laws read them, and those that are learned in their place.
//!
//! A learned number is unbounded; a function of it is the number that the law reads, so that every step of an optimiser
//! leaves a valid neuron:
//!
//! | number | function | ∂L/∂(learned) |
//! |---|---|---|
//! | a share p (τ, ρ, α, the gates) | p = σ(w) | ∂L/∂p·p·(1 − p) |
//! | a positive number p (V_th, β) | p = exp(v) | ∂L/∂p·p |

use super::laws::{Adaptive, CONDUCT, Gated, Integrator, Law, Lif, Synaptic};
use super::{Gates, InputScale, Learn, LifConfig, NeuronKind};

/// A number that a layer learns.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Learned {
    /// The name; the layer's name and a point stand before it.
    pub name: &'static str,
    /// The numbers that it begins with: one, or one for each time step.
    pub beginning: Vec<f32>,
    /// Whether the layer or each channel has its own.
    pub learn: Learn,
}

/// The function from a learned number to the number that the law reads.
#[derive(Clone, Copy, Debug)]
enum Bound {
    /// σ(w), between 0 and 1.
    Share,
    /// exp(v), positive.
    Positive,
}

impl Bound {
    fn apply(self, raw: f64) -> f64 {
        match self {
            Bound::Share => 1.0 / (1.0 + (-raw).exp()),
            Bound::Positive => raw.exp(),
        }
    }

    fn inverse(self, value: f32) -> f32 {
        match self {
            Bound::Share => (value / (1.0 - value)).ln(),
            Bound::Positive => value.ln(),
        }
    }

    /// The derivative, from the function's value.
    fn derivative(self, value: f64) -> f64 {
        match self {
            Bound::Share => value * (1.0 - value),
            Bound::Positive => value,
        }
    }
}

/// A number of the configuration that may be learned.
#[derive(Clone, Copy, Debug)]
struct Number {
    name: &'static str,
    value: f32,
    bound: Bound,
    learn: Learn,
    /// Numbers of a channel: one, or one for each time step.
    count: usize,
}

impl LifConfig {
    /// Whether the configuration's numbers serve every channel, at the usual place of the membrane and rule of firing:
    /// the plain law reads them directly.
    pub(super) fn is_plain(&self) -> bool {
        let learns = [self.learn_decay, self.learn_threshold].iter().any(|learn| *learn != Learn::No);
        let usual = self.input_scale == InputScale::One && self.firing == super::Firing::Above;
        self.kind == NeuronKind::Lif && usual && self.reset_value == 0.0 && !learns
    }

    /// Counts the states of a neuron.
    pub fn states(&self) -> usize {
        match self.kind {
            NeuronKind::Lif => Lif::STATES,
            NeuronKind::Adaptive { .. } => Adaptive::STATES,
            NeuronKind::Synaptic { .. } => Synaptic::STATES,
            NeuronKind::Gated(_) => Gated::STATES,
            NeuronKind::Integrator => Integrator::STATES,
        }
    }

    /// Whether the neurons fire: their outputs are spikes.
    pub fn fires(&self) -> bool {
        self.kind != NeuronKind::Integrator
    }

    /// Counts the parameters of a channel that the layer's law reads over all steps; a plain neuron has none.
    pub fn parameters(&self, steps: usize) -> usize {
        match self.kind {
            _ if self.is_plain() => 0,
            NeuronKind::Lif => Lif::PARAMETERS,
            NeuronKind::Adaptive { .. } => Adaptive::PARAMETERS,
            NeuronKind::Synaptic { .. } => Synaptic::PARAMETERS,
            NeuronKind::Gated(_) => CONDUCT + steps,
            NeuronKind::Integrator => Integrator::PARAMETERS,
        }
    }

    /// The numbers that may be learned, in the order of [`LifConfig::learned`].
    fn numbers(&self, steps: usize) -> Vec<Number> {
        let number = |name, value, bound, learn| Number { name, value, bound, learn, count: 1 };
        let kind = |name, value, bound| number(name, value, bound, self.learn_kind);
        let decay = number("w", self.decay, Bound::Share, self.learn_decay);
        let threshold = number("threshold", self.threshold, Bound::Positive, self.learn_threshold);
        let mut numbers = match self.kind {
            NeuronKind::Integrator => vec![decay],
            _ => vec![decay, threshold],
        };
        match self.kind {
            NeuronKind::Lif | NeuronKind::Integrator => {}
            NeuronKind::Adaptive { decay, strength } => {
                numbers.push(kind("adaptation_decay", decay, Bound::Share));
                numbers.push(kind("adaptation", strength, Bound::Positive));
            }
            NeuronKind::Synaptic { decay } => numbers.push(kind("synapse", decay, Bound::Share)),
            NeuronKind::Gated(Gates { alpha, beta, gamma, leak, reset, conduct }) => {
                let gates = [("alpha", alpha), ("beta", beta), ("gamma", gamma)];
                let amounts = [("leak", leak), ("reset", reset), ("conduct", conduct)];
                numbers.extend(gates.into_iter().chain(amounts).map(|(n, v)| kind(n, v, Bound::Share)));
                numbers.last_mut().into_iter().for_each(|conduct| conduct.count = steps);
            }
        }
        numbers
    }

    /// Lists the numbers that a layer learns over `steps` time steps.
    pub fn learned(&self, steps: usize) -> Vec<Learned> {
        let learned = self.numbers(steps).into_iter().filter(|number| number.learn != Learn::No);
        learned
            .map(|Number { name, value, bound, learn, count }| Learned {
                name,
                beginning: vec![bound.inverse(value); count],
                learn,
            })
            .collect()
    }
}

/// The way from a channel's learned numbers to the parameters of its law, and back.
///
/// ```
/// use spikegrad_bptt::lif::{LifConfig, ParameterMap};
///
/// // τ = σ(0) = 0.5: ∂L/∂w = ∂L/∂τ·τ·(1 − τ).
/// let mut map = ParameterMap::new(&LifConfig::named("plif")?, 4);
/// let (mut parameters, mut d_raw) = (vec![0.0; map.rows()], vec![0.0]);
/// map.parameters(&[0.0], &mut parameters);
/// assert_eq!(parameters, [0.5, 0.5, 1.0]);
/// map.pull_back(&[0.0], &[8.0, 1.0, 1.0], &mut d_raw);
/// assert_eq!(d_raw, [2.0]);
/// # Ok::<(), spikegrad_bptt::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ParameterMap {
    kind: NeuronKind,
    input_scale: InputScale,
    reset_value: f64,
    rows: usize,
    numbers: Vec<Number>,
    /// Every number of a channel, learned or not; conductances of all steps.
    values: Vec<f64>,
    /// Their gradients.
    gradients: Vec<f64>,
}

/// The places of the gated neuron's numbers among all numbers of a channel, behind decay and threshold.
const GATES: usize = 2;

impl ParameterMap {
    /// Makes the map of a neuron over `steps` time steps.
    pub fn new(lif: &LifConfig, steps: usize) -> Self {
        let numbers = lif.numbers(steps);
        let values = vec![0.0; numbers.iter().map(|number| number.count).sum()];
        Self {
            kind: lif.kind,
            input_scale: lif.input_scale,
            reset_value: f64::from(lif.reset_value),
            rows: lif.parameters(steps),
            numbers,
            gradients: values.clone(),
            values,
        }
    }

    /// Counts the parameters of a channel; a plain neuron has none.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Reads a channel's numbers, learned or fixed.
    fn read(&mut self, raw: &[f64]) {
        let (mut raw, mut values) = (raw.iter(), self.values.iter_mut());
        for number in &self.numbers {
            for value in values.by_ref().take(number.count) {
                *value = match number.learn {
                    Learn::No => f64::from(number.value),
                    _ => number.bound.apply(*raw.next().expect("a number for each that is learned")),
                };
            }
        }
    }

    /// Computes the parameters of one channel, one a row, from its learned numbers in the order of
    /// [`LifConfig::learned`].
    ///
    /// # Panics
    /// A slice has not as many numbers as there are parameters or learned numbers.
    pub fn parameters(&mut self, raw: &[f64], out: &mut [f64]) {
        assert_eq!(out.len(), self.rows, "one number a parameter");
        if out.is_empty() {
            return;
        }
        self.read(raw);
        let decay = self.values[0];
        match (self.kind, &self.values[1..]) {
            (NeuronKind::Gated(_), &[threshold, alpha, beta, gamma, leak, reset, ref conduct @ ..]) => {
                let (constants, gated) = out.split_at_mut(CONDUCT);
                let (leak, soft) = ((1.0 - alpha) * leak, (1.0 - gamma) * reset);
                constants.copy_from_slice(&[1.0 - alpha * (1.0 - decay), gamma, leak, soft, threshold]);
                gated.iter_mut().zip(conduct).for_each(|(c, g)| *c = 1.0 - beta * (1.0 - g));
            }
            (_, rest) => {
                let threshold = rest.first().map_or(f64::INFINITY, |threshold| threshold - self.reset_value);
                let scale = match self.input_scale {
                    InputScale::One => 1.0,
                    InputScale::Leak => 1.0 - decay,
                    InputScale::Constant(s) => f64::from(s),
                };
                out[..3].copy_from_slice(&[decay, threshold, scale]);
                out[3..].iter_mut().zip(rest.iter().skip(1)).for_each(|(out, value)| *out = *value);
            }
        }
    }

    /// Adds to `d_raw` the gradients of a channel's learned numbers, from those of its parameters.
    ///
    /// # Panics
    /// A slice has not as many numbers as there are parameters or learned numbers.
    pub fn pull_back(&mut self, raw: &[f64], d_parameters: &[f64], d_raw: &mut [f64]) {
        let d = d_parameters;
        assert_eq!(d.len(), self.rows, "one number a parameter");
        self.read(raw);
        match self.kind {
            NeuronKind::Gated(_) => self.gated_gradients(d),
            _ => {
                // Where s = 1 − τ, the input's gradient flows to τ too.
                let leaks = self.input_scale == InputScale::Leak;
                self.gradients[0] = if leaks { d[0] - d[2] } else { d[0] };
                self.gradients.iter_mut().skip(1).zip(&d[1..2]).for_each(|(to, d)| *to = *d);
                self.gradients.iter_mut().skip(2).zip(&d[3..]).for_each(|(to, d)| *to = *d);
            }
        }
        let (mut d_raw, mut at) = (d_raw.iter_mut(), 0);
        for number in &self.numbers {
            let range = at..at + number.count;
            at = range.end;
            if number.learn == Learn::No {
                continue;
            }
            for (value, gradient) in self.values[range.clone()].iter().zip(&self.gradients[range]) {
                *d_raw.next().expect("a number for each that is learned") +=
                    gradient * number.bound.derivative(*value);
            }
        }
    }

    /// The gradients of the gated neuron's numbers from those of D, γ, ℓ, q, V_th and c\[t\].
    fn gated_gradients(&mut self, d: &[f64]) {
        let (tau, conducts) = (self.values[0], GATES + 5);
        let [alpha, beta, gamma, leak, reset] = std::array::from_fn(|k| self.values[GATES + k]);
        let d_conduct = &d[CONDUCT..];
        let gates = d_conduct.iter().zip(&self.values[conducts..]);
        let d_beta = gates.map(|(d, g)| -d * (1.0 - g)).sum();
        self.gradients[..conducts].copy_from_slice(&[
            d[0] * alpha,
            d[4],
            -d[0] * (1.0 - tau) - d[2] * leak,
            d_beta,
            d[1] - d[3] * reset,
            d[2] * (1.0 - alpha),
            d[3] * (1.0 - gamma),
        ]);
        self.gradients[conducts..].iter_mut().zip(d_conduct).for_each(|(to, d)| *to = d * beta);
    }
}
