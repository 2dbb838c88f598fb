//! Parameters and buffers by name, in flat allocations.

use crate::Init;
use spikegrad_tensor::rng::Rng;
use std::ops::Range;

/// A named range of a flat vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// PyTorch's name.
    pub name: String,
    /// Shape, outermost first: O×I×k×k for a convolution.
    pub shape: Vec<usize>,
    /// Where it lies.
    pub range: Range<usize>,
}

/// What a net learns, its gradients, and batch norm's running estimates.
#[derive(Clone, Debug, Default)]
pub struct Params {
    /// Names of the weights.
    pub entries: Vec<Entry>,
    /// All weights.
    pub weights: Vec<f32>,
    /// All gradients, as `weights`.
    pub grads: Vec<f32>,
    /// Names of the running estimates.
    pub buffer_entries: Vec<Entry>,
    /// All running estimates.
    pub buffers: Vec<f32>,
}

impl Params {
    /// Adds a weight, filled with `value`, and returns its range.
    pub(crate) fn add(&mut self, name: String, shape: Vec<usize>, value: f32) -> Range<usize> {
        Self::push(&mut self.entries, &mut self.weights, name, shape, value)
    }

    /// Adds a buffer, filled with `value`, and returns its range.
    pub(crate) fn add_buffer(&mut self, name: String, len: usize, value: f32) -> Range<usize> {
        Self::push(&mut self.buffer_entries, &mut self.buffers, name, vec![len], value)
    }

    fn push(
        entries: &mut Vec<Entry>,
        data: &mut Vec<f32>,
        name: String,
        shape: Vec<usize>,
        value: f32,
    ) -> Range<usize> {
        let range = data.len()..data.len() + shape.iter().product::<usize>();
        data.resize(range.end, value);
        entries.push(Entry { name, shape, range: range.clone() });
        range
    }

    /// Draws every weight of two or more dimensions, and the biases of linear layers and convolutions, from `seed`.
    pub fn initialise(&mut self, init: Init, seed: u64) {
        let mut rng = Rng::new(seed);
        let mut fan_in = 1;
        for entry in &self.entries {
            let weights = &mut self.weights[entry.range.clone()];
            let is_matrix = entry.shape.len() > 1;
            if is_matrix {
                fan_in = entry.shape[1..].iter().product();
            }
            let is_bias = ["fc", "conv"].iter().any(|layer| entry.name.starts_with(layer)) && !is_matrix;
            match init {
                Init::Uniform if is_matrix || is_bias => {
                    let bound = 1.0 / (fan_in as f32).sqrt();
                    weights.iter_mut().for_each(|w| *w = bound * (2.0 * rng.uniform() - 1.0));
                }
                Init::Kaiming if is_matrix => {
                    let deviation = (2.0 / fan_in as f32).sqrt();
                    weights.iter_mut().for_each(|w| *w = deviation * rng.normal());
                }
                _ => {}
            }
        }
    }

    /// Sets every gradient to zero.
    pub fn zero_grads(&mut self) {
        self.grads.fill(0.0);
    }

    /// Looks a weight up by name.
    pub fn get(&self, name: &str) -> Option<&[f32]> {
        let entry = self.entries.iter().find(|entry| entry.name == name)?;
        Some(&self.weights[entry.range.clone()])
    }

    /// The first running estimate that is not finite.
    pub fn first_estimate_not_finite(&self) -> Option<&str> {
        let at = self.buffers.iter().position(|x| !x.is_finite())?;
        let entry = self.buffer_entries.iter().find(|entry| entry.range.contains(&at));
        entry.map(|entry| entry.name.as_str())
    }

    /// The first weight whose gradient, or value, is not finite.
    pub fn first_not_finite(&self) -> Option<&str> {
        let broken = |data: &[f32], entry: &&Entry| !data[entry.range.clone()].iter().all(|x| x.is_finite());
        let entry = self.entries.iter().find(|e| broken(&self.weights, e) || broken(&self.grads, e));
        entry.map(|entry| entry.name.as_str())
    }
}
