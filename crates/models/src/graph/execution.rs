//! The state of a pass, which all ops share while it runs.

use super::{Value, ValueId, Values};
use crate::params::SharedParams;
use spikegrad_bptt::lif::record::Recorder;
use spikegrad_tensor::memory::NoMemory;
use spikegrad_tensor::{Dims, Level, Tensor, Workers};
use std::sync::Arc;

/// The state of a pass: parameters, values, gradients, workers.
#[derive(Debug)]
#[non_exhaustive]
pub struct Execution {
    /// Weights, their gradients, running estimates.
    pub params: SharedParams,
    /// Activations.
    pub values: Values,
    /// Gradients of activations.
    pub gradients: Gradients,
    /// The workers that share a pass.
    pub workers: Workers,
    /// Sizes and switches.
    pub context: Context,
    /// The tensors that ops carry from step to step of a stream, at the number of the value that each op writes; empty
    /// outside a stream.
    pub(crate) carried: Vec<Vec<Tensor>>,
    /// Buffers that more than one saved tensor uses.
    pub(crate) shared: Vec<Tensor>,
    /// Ones, then as many zeros: the identity as an affine map.
    pub(crate) ones: Vec<f32>,
    /// The observer of the backward.
    pub(crate) recorder: Option<Arc<dyn Recorder>>,
}

/// Sizes and switches of a pass.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Context {
    /// T.
    pub steps: usize,
    /// Images of a batch.
    pub batch: usize,
    /// Whether the pass trains: batch norm takes the batch's statistics.
    pub training: bool,
    /// Whether spikes are replaced by the surrogate's primitive, for gradient checks.
    pub smooth: bool,
    /// SIMD level of the kernels.
    pub level: Level,
    /// The key of random ops, such as dropout.
    pub draw: Draw,
}

/// The key that random ops, such as dropout, draw from: the place of a training pass in its run, so that the pass draws
/// the same numbers again when the run is resumed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Draw {
    /// The run's seed.
    pub seed: u64,
    /// Steps of the optimiser that were taken before.
    pub step: u64,
    /// Training passes of the same step that were run before.
    pub pass: u64,
}

impl Execution {
    /// Returns the tensors that an op, known by the value it writes, carries from step to step, in the order of
    /// [`super::Op::carries`]; none outside a stream, where state begins at zero.
    pub fn carried(&mut self, output: ValueId) -> Option<&mut [Tensor]> {
        self.carried.get_mut(output.0).map(Vec::as_mut_slice)
    }

    /// Tells whether a value is finite; spikes always are.
    pub fn is_finite(&self, value: ValueId) -> bool {
        match self.values.get(value) {
            Value::Dense(dense) => dense.floats().iter().all(|x| x.is_finite()),
            Value::Spikes(_) | Value::Taken => true,
        }
    }
}

/// Gradients of values, in buffers that values share where their lives do not overlap.
#[derive(Debug, Default)]
pub struct Gradients {
    pub(super) buffers: Vec<Tensor>,
    /// The buffer of each value's gradient, if it needs one.
    pub(super) buffer_of: Vec<Option<usize>>,
    pub(super) dims: Vec<Dims>,
    /// Whether a value's gradient holds something yet.
    pub(super) written: Vec<bool>,
    /// Room for a gradient that is added to one already written.
    pub(super) addend: Tensor,
}

impl Gradients {
    /// Plans no gradient for any of so many values.
    pub(super) fn none(values: usize) -> Self {
        Self { buffer_of: vec![None; values], written: vec![false; values], ..Self::default() }
    }

    /// Gets the memory of all buffers.
    pub(crate) fn allocate(&mut self) -> Result<(), NoMemory> {
        self.buffers.iter_mut().try_for_each(Tensor::allocate)?;
        self.addend.allocate()
    }

    /// Bytes of all buffers.
    pub(crate) fn bytes(&self) -> u128 {
        self.buffers.iter().chain([&self.addend]).map(|buffer| buffer.bytes() as u128).sum()
    }

    /// Forgets all gradients, before a backward.
    pub(crate) fn clear(&mut self) {
        self.written.fill(false);
    }

    /// Tells whether a value needs a gradient.
    pub fn wants(&self, value: ValueId) -> bool {
        self.buffer_of[value.0].is_some()
    }

    /// Returns the gradient of a value, if it has one.
    pub fn get(&self, value: ValueId) -> Option<&Tensor> {
        self.buffer_of[value.0].map(|buffer| &self.buffers[buffer])
    }

    /// Takes the gradient of an op's output, to read it; [`Gradients::put`] brings it back.
    ///
    /// # Panics
    /// The value needs no gradient, or none has been written.
    pub fn take(&mut self, value: ValueId) -> Tensor {
        assert!(self.written[value.0], "a reader of the value has written its gradient");
        let (gradient, _) = self.take_to_add(value).expect("the output has a gradient");
        gradient
    }

    /// Takes the gradient of an input, to write it, or to add to it where the second value says so; none if the input
    /// needs no gradient. [`Gradients::put`] brings it back.
    pub fn take_to_add(&mut self, value: ValueId) -> Option<(Tensor, bool)> {
        let buffer = self.buffer_of[value.0]?;
        let mut gradient = std::mem::take(&mut self.buffers[buffer]);
        gradient.resize(self.dims[value.0]);
        Some((gradient, self.written[value.0]))
    }

    /// Brings a gradient back, written.
    pub fn put(&mut self, value: ValueId, gradient: Tensor) {
        if let Some(buffer) = self.buffer_of[value.0] {
            self.buffers[buffer] = gradient;
            self.written[value.0] = true;
        }
    }

    /// Takes a tensor of an input's size, to overwrite it with the gradient; none if the input needs no gradient.
    /// [`Gradients::put_overwritten`] brings it back, and adds it to what other readers of the input have written.
    pub fn take_to_overwrite(&mut self, value: ValueId) -> Option<Tensor> {
        if !self.written[value.0] {
            return self.take_to_add(value).map(|(gradient, _)| gradient);
        }
        let mut addend = std::mem::take(&mut self.addend);
        addend.resize(self.dims[value.0]);
        Some(addend)
    }

    /// Brings back what [`Gradients::take_to_overwrite`] gave.
    pub fn put_overwritten(&mut self, value: ValueId, gradient: Tensor) {
        if !self.written[value.0] {
            return self.put(value, gradient);
        }
        if let Some((mut sum, _)) = self.take_to_add(value) {
            add(&mut sum, &gradient);
            self.put(value, sum);
        }
        self.addend = gradient;
    }

    /// Makes the gradient of an op's output that of an input too: in the same buffer where the planner could arrange
    /// it, else by adding.
    ///
    /// # Panics
    /// The output has no gradient yet, or an input that shares its buffer has one already.
    pub fn pass(&mut self, output: ValueId, input: ValueId) {
        if self.buffer_of[input.0].is_none() {
            return;
        }
        if self.buffer_of[input.0] == self.buffer_of[output.0] {
            assert!(!self.written[input.0], "a shared buffer has one gradient");
            self.written[input.0] = true;
            return;
        }
        let gradient = self.take(output);
        if let Some((mut sum, is_written)) = self.take_to_add(input) {
            // One frame serves every step: its gradient is the sum over time.
            let frames = gradient.blocks().chunks(sum.blocks().len());
            if !is_written {
                sum.blocks_mut().fill(Default::default());
            }
            for frame in frames {
                sum.blocks_mut().iter_mut().zip(frame).for_each(|(sum, x)| add_block(&mut sum.0, &x.0));
            }
            self.put(input, sum);
        }
        self.put(output, gradient);
    }
}

/// sum += x, of the same size.
fn add(sum: &mut Tensor, x: &Tensor) {
    assert_eq!(sum.dims(), x.dims());
    sum.blocks_mut().iter_mut().zip(x.blocks()).for_each(|(sum, x)| add_block(&mut sum.0, &x.0));
}

fn add_block(sum: &mut [f32], x: &[f32]) {
    sum.iter_mut().zip(x).for_each(|(sum, x)| *sum += x);
}
