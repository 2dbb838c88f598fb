//! What a training step keeps of each convolution's output y between forward and backward.

use crate::layers::{ConvNorm, Current, Layer};
use crate::net::Flow;
use spikegrad_tensor::conv::Conv;
use spikegrad_tensor::{HalfTensor, Tensor};
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

/// How a convolution keeps its output.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Keeping {
    /// What is kept.
    memory: Memory,
    /// The lent buffer that y lies in while the layer runs, and stays in if it is kept; otherwise y is the layer's own.
    lent: Option<usize>,
}

impl ConvNorm {
    /// Before the layer runs: takes the buffer lent for y.
    pub(crate) fn borrow_y(&mut self, flow: &mut Flow) {
        if let Some(lent) = self.keeping.lent {
            swap(&mut self.y, &mut flow.lent[lent]);
            self.y.resize(self.conv.output());
        }
    }

    /// After the layer ran: gives y's buffer back.
    pub(crate) fn return_y(&mut self, flow: &mut Flow) {
        if let Some(lent) = self.keeping.lent {
            swap(&mut self.y, &mut flow.lent[lent]);
        }
    }

    /// After the forward: keeps what the backward needs.
    pub(crate) fn save(&mut self, flow: &mut Flow) {
        if self.keeping.memory == Memory::Bf16 {
            self.half.pack(&self.y, flow.level, &mut flow.workers);
        }
    }

    /// Before the backward: y again.
    pub(crate) fn restore(&mut self, flow: &mut Flow) {
        match self.keeping.memory {
            Memory::F32 => {}
            Memory::Bf16 => self.half.unpack(&mut self.y, flow.level, &mut flow.workers),
            Memory::Recompute => self.convolve(flow),
        }
    }
}

/// Plans a place for every convolution's output; returns the buffers that are lent.
pub(crate) fn make_room(layers: &mut [Layer], memory: Memory) -> Vec<Tensor> {
    match memory {
        Memory::F32 => make_room_for_all(layers),
        Memory::Bf16 | Memory::Recompute => lend_to_all(layers, memory),
    }
}

/// Every y is kept, save those that are cheap to have again, of images and 1×1 shortcuts: such a y lies where the next
/// layer's y will lie, which is not there yet in the forward, and is used up in the backward.
fn make_room_for_all(layers: &mut [Layer]) -> Vec<Tensor> {
    let is_cheap = |conv: &&mut ConvNorm| conv.from == 0 || conv.conv.config().kernel == 1;
    let mut lent = Vec::new();
    for at in 1..layers.len() {
        let (before, after) = layers.split_at_mut(at);
        let cheap = convolutions(&mut before[at - 1]).find(is_cheap);
        let (Some(cheap), Some(next)) = (cheap, convolutions(&mut after[0]).next()) else { continue };
        if cheap.keeping.lent.is_none() && blocks(&cheap.conv) <= blocks(&next.conv) {
            cheap.keeping = Keeping { memory: Memory::Recompute, lent: Some(lent.len()) };
            next.keeping = Keeping { memory: Memory::F32, lent: Some(lent.len()) };
            lent.push(Tensor::planned(next.conv.output()));
        }
    }
    for conv in layers.iter_mut().flat_map(convolutions).filter(|conv| conv.keeping.lent.is_none()) {
        conv.y = Tensor::planned(conv.conv.output());
    }
    lent
}

/// Blocks of y.
fn blocks(conv: &Conv) -> usize {
    conv.output().n * conv.output().image_blocks()
}

/// No y is kept as it is: the k-th convolutions of all layers use one buffer.
fn lend_to_all(layers: &mut [Layer], memory: Memory) -> Vec<Tensor> {
    let mut lent = Vec::new();
    for (k, conv) in layers.iter_mut().flat_map(|layer| convolutions(layer).enumerate()) {
        lent.resize_with(lent.len().max(k + 1), Tensor::default);
        let out = conv.conv.output();
        if lent[k].bytes() < Tensor::planned(out).bytes() {
            lent[k] = Tensor::planned(out);
        }
        conv.keeping = Keeping { memory, lent: Some(k) };
        if memory == Memory::Bf16 {
            conv.half = HalfTensor::planned(out);
        }
    }
    lent
}

/// The convolutions of a layer.
fn convolutions(layer: &mut Layer) -> impl Iterator<Item = &mut ConvNorm> {
    let currents = match layer {
        Layer::Unit(unit) => &mut unit.currents[..],
        _ => &mut [],
    };
    currents.iter_mut().filter_map(|current| match current {
        Current::Conv(conv) => Some(&mut **conv),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::build;
    use crate::{NetConfig, NetKind};
    use spikegrad_tensor::Level;

    #[test]
    fn what_is_cheap_to_convolve_lies_where_the_next_layer_writes() {
        let config = NetConfig { scale: 0.1, ..NetConfig::new(NetKind::ResNet19, 3, 16, 16, 10) };
        let mut built = build(&config, 1, Level::BASELINE, false).unwrap();
        assert_eq!(built.lent.len(), 4, "the image, and a shortcut for each stage");
        for conv in built.layers.iter_mut().flat_map(convolutions) {
            let Keeping { memory, lent } = conv.keeping;
            assert_eq!(memory == Memory::Recompute, conv.from == 0 || conv.conv.config().kernel == 1);
            assert_eq!(lent.is_none(), conv.y.bytes() > 0, "y is the layer's own, or lent");
        }
    }
}
