//! Saved tensors: the backward reads them again, such as a convolution's output y, and the memory dial says how they are kept.

use super::{Execution, Op, OpBytes};
use spikegrad_tensor::memory::NoMemory;
use spikegrad_tensor::{Dims, HalfTensor, Tensor};
use std::mem::swap;

/// The memory dial. Spikes are kept as bits in every setting.
///
/// | setting | bytes a neuron | backward |
/// |---|---|---|
/// | `f32` | 4 | reads y; convolves images and 1×1 shortcuts again, a hundredth of ResNet-19's work |
/// | `bf16` | 2 | reads y rounded to eight bits: membranes and x̂ differ by at most 2⁻⁸·\|y\|·scale |
/// | `recompute` | 0 | convolves again: the same bits as `f32`, for one more forward |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Memory {
    /// Keep y.
    #[default]
    F32,
    /// Keep y rounded to bfloat16.
    Bf16,
    /// Keep nothing.
    Recompute,
}

/// A tensor that an op writes in the forward and reads in the backward, kept as the memory dial says.
#[derive(Debug, Default)]
pub struct Saved {
    /// The tensor, between [`Saved::borrow`] and [`Saved::give_back`].
    pub tensor: Tensor,
    dims: Dims,
    is_cheap: bool,
    policy: SavePolicy,
    /// The tensor rounded, where that is what is kept.
    half: HalfTensor,
}

/// The way in which a tensor is kept.
#[derive(Clone, Copy, Debug, Default)]
struct SavePolicy {
    /// The precision that is kept, if any.
    memory: Memory,
    /// The shared buffer that the tensor lies in while its op runs, and stays in if it is kept; without one, the tensor
    /// is the op's own.
    shared: Option<usize>,
}

impl Saved {
    /// Plans a tensor; `is_cheap` says that it costs little to compute it again.
    pub fn planned(dims: Dims, is_cheap: bool) -> Self {
        Self { dims, is_cheap, ..Self::default() }
    }

    /// The tensor's size.
    pub fn dims(&self) -> Dims {
        self.dims
    }

    /// Gets the memory of what is kept.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn allocate(&mut self) -> Result<(), NoMemory> {
        self.tensor.allocate()?;
        self.half.allocate()
    }

    /// Bytes of what is kept.
    pub fn bytes(&self) -> OpBytes {
        OpBytes { saved: self.tensor.bytes() + self.half.bytes(), workspace: 0 }
    }

    /// Before the op runs: takes the shared buffer, if the tensor lies in one.
    pub fn borrow(&mut self, run: &mut Execution) {
        if let Some(shared) = self.policy.shared {
            swap(&mut self.tensor, &mut run.shared[shared]);
            self.tensor.resize(self.dims);
        }
    }

    /// After the op ran: gives the shared buffer back.
    pub fn give_back(&mut self, run: &mut Execution) {
        if let Some(shared) = self.policy.shared {
            swap(&mut self.tensor, &mut run.shared[shared]);
        }
    }

    /// After the tensor is written: keeps what the backward needs.
    pub fn save(&mut self, run: &mut Execution) {
        if self.policy.memory == Memory::Bf16 {
            self.half.pack(&self.tensor, run.context.level, &mut run.workers);
        }
    }

    /// Before the backward reads the tensor: brings back what was kept. Returns whether the op must compute it again.
    #[must_use]
    pub fn restore(&mut self, run: &mut Execution) -> bool {
        if self.policy.memory == Memory::Bf16 {
            self.half.unpack(&mut self.tensor, run.context.level, &mut run.workers);
        }
        self.policy.memory == Memory::Recompute
    }
}

/// Plans a place for every saved tensor; returns the buffers that several of them share.
pub(crate) fn plan_saved(ops: &mut [Box<dyn Op>], memory: Memory) -> Vec<Tensor> {
    match memory {
        Memory::F32 => keep_all(ops),
        Memory::Bf16 | Memory::Recompute => share_all(ops, memory),
    }
}

/// Keeps every tensor, save those that are cheap to compute again, such as convolutions of images and 1×1 shortcuts:
/// such a tensor lies where the next op's will lie, which is not there yet in the forward, and is used up in the
/// backward.
fn keep_all(ops: &mut [Box<dyn Op>]) -> Vec<Tensor> {
    let mut shared = Vec::new();
    for at in 1..ops.len() {
        let (before, after) = ops.split_at_mut(at);
        let cheap = before[at - 1].saved().into_iter().find(|saved| saved.is_cheap);
        let (Some(cheap), Some(next)) = (cheap, after[0].saved().into_iter().next()) else { continue };
        if cheap.policy.shared.is_none() && blocks(cheap.dims) <= blocks(next.dims) {
            cheap.policy = SavePolicy { memory: Memory::Recompute, shared: Some(shared.len()) };
            next.policy = SavePolicy { memory: Memory::F32, shared: Some(shared.len()) };
            shared.push(Tensor::planned(next.dims));
        }
    }
    for saved in ops.iter_mut().flat_map(|op| op.saved()).filter(|saved| saved.policy.shared.is_none()) {
        saved.tensor = Tensor::planned(saved.dims);
    }
    shared
}

/// Blocks of a tensor.
fn blocks(dims: Dims) -> usize {
    dims.n * dims.image_blocks()
}

/// Keeps no tensor as it is: the k-th tensors of all ops use one buffer.
fn share_all(ops: &mut [Box<dyn Op>], memory: Memory) -> Vec<Tensor> {
    let mut shared = Vec::new();
    for (k, saved) in ops.iter_mut().flat_map(|op| op.saved().into_iter().enumerate()) {
        shared.resize_with(shared.len().max(k + 1), Tensor::default);
        if shared[k].bytes() < Tensor::planned(saved.dims).bytes() {
            shared[k] = Tensor::planned(saved.dims);
        }
        saved.policy = SavePolicy { memory, shared: Some(k) };
        if memory == Memory::Bf16 {
            saved.half = HalfTensor::planned(saved.dims);
        }
    }
    shared
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Purpose, build};
    use crate::{NetConfig, NetKind};
    use spikegrad_tensor::Level;

    #[test]
    fn what_is_cheap_to_convolve_lies_where_the_next_layer_writes() {
        let config = NetConfig { scale: 0.1, ..NetConfig::new(NetKind::ResNet19, 3, 16, 16, 10) };
        let mut planned =
            build(&config, 1, Level::BASELINE, Purpose::Training { input_gradient: false }).unwrap();
        assert_eq!(planned.shared.len(), 4, "the image, and a shortcut for each stage");
        let mut cheap = 0;
        for saved in planned.ops.iter_mut().flat_map(|op| op.saved()) {
            let SavePolicy { memory, shared } = saved.policy;
            assert_eq!(memory == Memory::Recompute, saved.is_cheap);
            assert_eq!(shared.is_none(), saved.tensor.bytes() > 0, "a tensor is the op's own, or shared");
            cheap += usize::from(saved.is_cheap);
        }
        assert_eq!(cheap, 4);
    }
}
