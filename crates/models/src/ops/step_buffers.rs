//! The buffers of a layer that runs one time step after the other.

use crate::graph::{OpBytes, Value};
use spikegrad_bptt::lif::PlaneSums;
use spikegrad_tensor::memory::{NoMemory, try_vec};
use spikegrad_tensor::{Dims, LANES, Spikes, Tensor};

/// The buffers of a recurrent layer, a frame being one step of the batch.
#[derive(Debug)]
pub(super) struct Buffers {
    /// R ∗ o\[t−1\] of every step.
    pub recurrent: Tensor,
    /// The states before every step, and after the last.
    pub states: Vec<Vec<Tensor>>,
    /// The outputs of a step: those of the step before, and those being written.
    pub outputs: [Value; 2],
    /// x\[t\] and R ∗ o\[t−1\] of the step that runs.
    pub sources: [Tensor; 2],
    /// The gradients of the currents: of this step, and of the step after.
    pub gradients: [Tensor; 2],
    /// The gradients of the states.
    pub carried: Vec<Tensor>,
    pub sums: Vec<PlaneSums>,
    /// T.
    steps: usize,
}

impl Buffers {
    /// Plans buffers; their number, which grows with the steps, is made when they are allocated.
    pub fn planned(frame: Dims, steps: usize, states: usize, is_spiking: bool) -> Self {
        let tensor = || Tensor::planned(frame);
        let output = || match is_spiking {
            true => Value::Spikes(Spikes::planned(frame)),
            false => Value::Dense(Tensor::planned(frame)),
        };
        Self {
            recurrent: Tensor::planned(Dims { n: frame.n * steps, ..frame }),
            states: Vec::new(),
            outputs: [output(), output()],
            sources: [tensor(), tensor()],
            gradients: [tensor(), tensor()],
            carried: (0..states).map(|_| tensor()).collect(),
            sums: Vec::new(),
            steps,
        }
    }

    pub fn bytes(&self, frame: Dims) -> OpBytes {
        let one = Tensor::planned(frame).bytes();
        let outputs = self.outputs.iter().map(|output| match output {
            Value::Spikes(spikes) => spikes.bytes(),
            Value::Dense(dense) => dense.bytes(),
            Value::Taken => 0,
        });
        let frames = self.sources.len() + self.gradients.len() + self.carried.len();
        OpBytes {
            saved: (self.steps + 1)
                .saturating_mul(self.carried.len() * one)
                .saturating_add(self.recurrent.bytes()),
            workspace: outputs.sum::<usize>() + frames * one + frame.planes() * size_of::<PlaneSums>(),
        }
    }

    pub fn allocate(&mut self, frame: Dims) -> Result<(), NoMemory> {
        self.sums = try_vec(frame.planes(), PlaneSums::default())?;
        self.recurrent.allocate()?;
        let states = self.carried.len();
        self.states = try_vec(self.steps + 1, Vec::new())?;
        self.states.iter_mut().for_each(|step| step.resize(states, Tensor::planned(frame)));
        let Self { states, outputs, sources, gradients, carried, .. } = self;
        let states = states.iter_mut().flatten().chain(carried);
        states.chain(sources).chain(gradients).try_for_each(Tensor::allocate)?;
        outputs.iter_mut().try_for_each(|output| match output {
            Value::Spikes(spikes) => spikes.allocate(),
            Value::Dense(dense) => dense.allocate(),
            Value::Taken => Ok(()),
        })
    }
}

/// The frame of step t in a buffer; one frame may serve every step.
pub(super) fn step<T>(all: &[T], frame: usize, t: usize) -> &[T] {
    &all[t * frame % all.len()..][..frame]
}

/// Copies the outputs of one step out of a value of all steps.
pub(super) fn copy_step(all: &Value, t: usize, to: &mut Value) {
    match (all, to) {
        (Value::Spikes(all), Value::Spikes(to)) => {
            let frame = to.words().len();
            to.words_mut().copy_from_slice(step(all.words(), frame, t));
        }
        (Value::Dense(all), Value::Dense(to)) => {
            let frame = to.blocks().len();
            to.blocks_mut().copy_from_slice(step(all.blocks(), frame, t));
        }
        _ => unreachable!("a step is of the form of all steps"),
    }
}

/// Packs zeros and ones into bits.
pub(super) fn pack(from: &Tensor, to: &mut Spikes) {
    for (word, block) in to.words_mut().iter_mut().zip(from.blocks()) {
        *word = (0..LANES).map(|lane| u16::from(block.0[lane] != 0.0) << lane).sum();
    }
}
