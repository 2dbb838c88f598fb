//! Prediction step by step: the net keeps nothing between steps, whoever reads the stream owns its state.

use crate::graph::Op;
use crate::{Net, NetConfig};
use spikegrad_bptt::ConfigError;
use spikegrad_tensor::Tensor;
use spikegrad_tensor::memory::{NoMemory, try_vec};
use std::mem::{swap, take};

/// The state of a stream: membranes of every neuron, and the sum of the read-outs so far.
///
/// It belongs to the caller: one net serves many streams, and a clone is a point to come back to.
#[derive(Clone, Debug)]
pub struct Stream {
    /// The tensors that each op carries, such as membranes, at the number of the value that it writes.
    carried: Vec<Vec<Tensor>>,
    sum: Vec<f64>,
    mean: Vec<f32>,
    steps: u64,
}

impl Stream {
    /// Goes back to the beginning: membranes at rest, no step taken.
    pub fn reset(&mut self) {
        self.carried.iter_mut().flatten().for_each(|m| m.floats_mut().fill(0.0));
        self.sum.fill(0.0);
        self.mean.fill(0.0);
        self.steps = 0;
    }

    /// Steps taken since the beginning.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The logits (batch, classes), mean over the steps so far: what training minimises the loss of.
    pub fn mean_logits(&self) -> &[f32] {
        &self.mean
    }

    /// Membranes of a layer of neurons after the last step, in the order (batch, C, H, W); none where no layer of this
    /// name carries any.
    pub fn membranes_of(&self, net: &Net, layer: &str) -> Option<Vec<f32>> {
        let op = net.ops.iter().find(|op| op.name() == layer)?;
        self.carried.get(op.writes().index())?.first().map(Tensor::to_nchw)
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.carried.iter().flatten().map(Tensor::bytes).sum::<usize>()
            + 8 * self.sum.len()
            + 4 * self.mean.len()
    }
}

impl Net {
    /// The configuration of a net that takes one step at a time.
    pub fn stepwise(config: &NetConfig) -> NetConfig {
        NetConfig { timesteps: 1, ..config.clone() }
    }

    /// Makes the state of a new stream.
    ///
    /// # Errors
    /// The net was planned for more than one time step, or there is no memory for the membranes.
    pub fn stream(&self) -> Result<Stream, ConfigError> {
        if self.run.context.steps != 1 {
            let steps = self.run.context.steps;
            return Err(ConfigError::new(format!("net is planned for {steps} time steps, a stream needs 1")));
        }
        Ok(self.allocate_stream()?)
    }

    fn allocate_stream(&self) -> Result<Stream, NoMemory> {
        let mut carried = vec![Vec::new(); self.run.values.len()];
        for op in &self.ops {
            let mut tensors: Vec<_> = op.carries().iter().copied().map(Tensor::planned).collect();
            tensors.iter_mut().try_for_each(Tensor::allocate)?;
            carried[op.writes().index()] = tensors;
        }
        let logits = self.batch() * self.config().classes;
        Ok(Stream { carried, sum: try_vec(logits, 0.0)?, mean: try_vec(logits, 0.0)?, steps: 0 })
    }

    /// Whether a stream was made by this net, or by one of the same layers and batch.
    pub fn accepts(&self, stream: &Stream) -> bool {
        let fits = |op: &dyn Op| {
            stream.carried[op.writes().index()].iter().map(Tensor::dims).eq(op.carries().iter().copied())
        };
        stream.carried.len() == self.run.values.len() && self.ops.iter().all(|op| fits(&**op))
    }

    /// Takes a stream one time step further with a frame (batch, c, h, w), with the running statistics; returns the
    /// step's logits (batch, classes). Nothing is allocated.
    ///
    /// # Panics
    /// `frame` is not [`Net::images_len`] long, or `stream` is another net's.
    pub fn step(&mut self, frame: &[f32], stream: &mut Stream) -> &[f32] {
        assert_eq!(stream.carried.len(), self.run.values.len(), "the stream is this net's");
        self.run.carried = take(&mut stream.carried);
        self.forward(frame, false);
        swap(&mut self.run.carried, &mut stream.carried);
        stream.steps += 1;
        let logits = self.mean_logits();
        for ((sum, mean), &logit) in stream.sum.iter_mut().zip(&mut stream.mean).zip(logits) {
            *sum += f64::from(logit);
            *mean = (*sum / stream.steps as f64) as f32;
        }
        logits
    }
}
