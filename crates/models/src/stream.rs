//! Prediction step by step: the net keeps nothing between steps, whoever reads the stream owns its state.

use crate::graph::Op;
use crate::{Net, NetConfig};
use spikegrad_bptt::ConfigError;
use spikegrad_bptt::readout::ReadoutState;
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
    /// What the read-out remembers of each logit.
    readouts: Vec<ReadoutState>,
    mean: Vec<f32>,
    steps: u64,
}

impl Stream {
    /// Goes back to the beginning: membranes at rest, no step taken.
    pub fn reset(&mut self) {
        self.carried.iter_mut().flatten().for_each(|m| m.floats_mut().fill(0.0));
        self.readouts.fill(ReadoutState::default());
        self.mean.fill(0.0);
        self.steps = 0;
    }

    /// Steps taken since the beginning.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The read-out (batch, classes) of the steps so far, the mean of their logits unless the net has another: what
    /// training minimises the loss of.
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
            + size_of::<ReadoutState>() * self.readouts.len()
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
        Ok(Stream {
            carried,
            readouts: try_vec(logits, ReadoutState::default())?,
            mean: try_vec(logits, 0.0)?,
            steps: 0,
        })
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
        let (readout, steps) = (self.config().readout, stream.steps);
        let logits = self.first_logits();
        for ((state, read), &logit) in stream.readouts.iter_mut().zip(&mut stream.mean).zip(logits) {
            *read = readout.step(state, logit, steps) as f32;
        }
        logits
    }
}
