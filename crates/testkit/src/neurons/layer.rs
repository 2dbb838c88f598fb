//! A layer of neurons over time, with what it learns and with the units' own spikes fed back.
//!
//! Recurrent units read their last spikes through a convolution R of their own, 1×1 or 3×3 (dense units are one
//! pixel): `x[t] += R·o[t−1]`. So o[t] has one use more, and its gradient is `e[t] + Rᵀ·∂x[t+1]`; `∂R = Σ ∂x[t]·o[t−1]ᵀ`.

use super::{Learned, Neuron, Numbers, State};
use crate::conv::{Conv, conv_forward, conv_input_grad, conv_weight_grad};
use crate::lif::{Activation, Lif, LifGrads, LifTrace};

/// A layer of neurons; arrays are steps × images × channels × height × width.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// The neuron.
    pub lif: Lif,
    /// T.
    pub steps: usize,
    /// Channels, height and width.
    pub size: [usize; 3],
    /// Spikes, or one of their twins.
    pub activation: Activation,
    /// The learned parameters.
    pub learned: Learned,
    /// R (channels × channels × k × k), for recurrent units.
    pub recurrent: Option<Vec<f64>>,
}

/// Adds `more` to `sum`.
fn add(sum: &mut [f64], more: &[f64]) {
    sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

impl Layer {
    /// A layer whose learned parameters are those of the configuration.
    pub fn new(lif: Lif, steps: usize, size: [usize; 3], activation: Activation) -> Layer {
        let learned = lif.beginning(size[0], steps);
        Layer { lif, steps, size, activation, learned, recurrent: None }
    }

    /// R of `n` images.
    fn conv(&self, n: usize) -> Option<(Conv, &[f64])> {
        let [c, h, w] = self.size;
        let weight = self.recurrent.as_deref()?;
        let k = ((weight.len() / (c * c)) as f64).sqrt() as usize;
        Some((Conv { n, ci: c, h, w, co: c, k, stride: 1, pad: k / 2 }, weight))
    }

    /// The numbers of each channel's neurons.
    fn numbers(&self) -> Vec<Numbers> {
        (0..self.size[0]).map(|c| self.lif.numbers_of(c, self.steps, &self.learned)).collect()
    }

    /// Channel of the neuron at `i`.
    fn channel(&self, i: usize) -> usize {
        let [c, h, w] = self.size;
        i / (h * w) % c
    }

    /// Unrolls the neurons over the input current `x`.
    pub fn forward(&self, x: &[f64]) -> LifTrace {
        let n = x.len() / self.steps;
        let images = n / self.size.iter().product::<usize>();
        let numbers = self.numbers();
        let mut states = vec![State::default(); n];
        let mut passed = Vec::with_capacity(x.len());
        let mut last = Vec::new();
        for (t, x) in x.chunks(n).enumerate() {
            let mut current = x.to_vec();
            if let Some((conv, weight)) = self.conv(images).filter(|_| t > 0) {
                add(&mut current, &conv_forward(&conv, &last, weight));
            }
            for i in 0..n {
                let numbers = &numbers[self.channel(i)];
                let neuron = Neuron { lif: &self.lif, numbers, activation: self.activation };
                let step = neuron.step(t, current[i], states[i]);
                states[i] = step.after;
                passed.push(step);
            }
            last = passed[t * n..].iter().map(|step| step.o).collect();
        }
        LifTrace::of(passed)
    }

    /// Runs the recurrences backward, for the gradient `e` at the outputs.
    pub fn backward(&self, trace: &LifTrace, e: &[f64]) -> LifGrads {
        let n = e.len() / self.steps;
        let images = n / self.size.iter().product::<usize>();
        let mut numbers = self.numbers();
        let zero = self.lif.numbers(self.steps).conduct.iter().map(|_| 0.0).collect::<Vec<_>>();
        let mut sums = vec![Numbers { conduct: zero, ..Numbers::default() }; self.size[0]];
        let mut after = vec![State::default(); n];
        let mut grads = self.no_grads(e.len());
        for t in (0..self.steps).rev() {
            let mut e = e[t * n..][..n].to_vec();
            if let Some((conv, weight)) = self.conv(images).filter(|_| t + 1 < self.steps) {
                let dx = &grads.x[(t + 1) * n..][..n];
                let spikes: Vec<f64> = trace.o[t * n..][..n].to_vec();
                add(&mut e, &conv_input_grad(&conv, dx, weight));
                add(&mut grads.recurrent, &conv_weight_grad(&conv, &spikes, dx));
            }
            for i in 0..n {
                let (c, at) = (self.channel(i), t * n + i);
                let neuron = Neuron { lif: &self.lif, numbers: &numbers[c], activation: self.activation };
                let back = neuron.back(&trace.passed[at], e[i], after[i], &mut sums[c]);
                (grads.x[at], grads.total[at], grads.m[at]) = (back.x, back.total, after[i].m);
                after[i] = back.before;
            }
        }
        grads.decay = sums.iter().map(|sums| sums.decay).sum();
        for (c, (numbers, sums)) in numbers.iter_mut().zip(&mut sums).enumerate() {
            self.lif.add_grads(c, numbers, sums, &mut grads.learned);
        }
        grads
    }

    /// Gradients before anything is added to them.
    fn no_grads(&self, len: usize) -> LifGrads {
        let zeros = |values: &Vec<f64>| vec![0.0; values.len()];
        LifGrads {
            x: vec![0.0; len],
            total: vec![0.0; len],
            m: vec![0.0; len],
            decay: 0.0,
            learned: self.learned.iter().map(|(name, values)| (name.clone(), zeros(values))).collect(),
            recurrent: self.recurrent.as_ref().map(zeros).unwrap_or_default(),
        }
    }
}
