//! What a training step keeps of each convolution's output y between forward and backward.

use crate::layers::ConvNorm;
use crate::net::Flow;
use spikegrad_tensor::HalfTensor;
use std::mem::swap;

/// The memory dial. Spikes are kept as bits in every setting.
///
/// | setting | bytes a neuron | backward |
/// |---|---|---|
/// | `f32` | 4 | reads y |
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

impl ConvNorm {
    /// Before the layer runs: takes the `k`-th lent buffer for y, where y is not the layer's own.
    pub(crate) fn borrow_y(&mut self, k: usize, flow: &mut Flow) {
        if flow.memory != Memory::F32 {
            swap(&mut self.y, &mut flow.lent[k]);
            self.y.resize(self.conv.output());
        }
    }

    /// After the layer ran: gives y's buffer back.
    pub(crate) fn return_y(&mut self, k: usize, flow: &mut Flow) {
        if flow.memory != Memory::F32 {
            swap(&mut self.y, &mut flow.lent[k]);
        }
    }

    /// After the forward: keeps what the backward needs.
    pub(crate) fn save(&mut self, flow: &mut Flow) {
        if flow.memory == Memory::Bf16 {
            self.half.pack(&self.y, flow.level, &mut flow.workers);
        }
    }

    /// Before the backward: y again.
    pub(crate) fn restore(&mut self, flow: &mut Flow) {
        match flow.memory {
            Memory::F32 => {}
            Memory::Bf16 => self.half.unpack(&mut self.y, flow.level, &mut flow.workers),
            Memory::Recompute => self.convolve(flow),
        }
    }

    /// Bytes kept between forward and backward.
    pub(crate) fn kept(&self) -> usize {
        self.y.bytes() + self.half.bytes() + self.statistics.bytes()
    }

    /// Makes room for y, or for what is kept of it.
    pub(crate) fn reserve(&mut self, memory: Memory) {
        match memory {
            Memory::F32 => self.y.resize(self.conv.output()),
            Memory::Bf16 => self.half = HalfTensor::zeros(self.conv.output()),
            Memory::Recompute => {}
        }
    }
}
