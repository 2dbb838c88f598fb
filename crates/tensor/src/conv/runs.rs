//! Runs of output pixels: the loop that the kernels of depthwise, grouped and one-dimensional convolutions share.

use super::Conv;
use crate::tensor::Block;
use crate::{Lanes, Spikes, Tensor};

/// Neighbouring pixels of an output row and the pixels that they read through one tap, all of them inside the image.
#[derive(Clone, Copy)]
pub(super) struct Run {
    /// The tap, in the order of the weights.
    pub tap: usize,
    /// The first pixel of the output.
    pub output: usize,
    /// The pixel of the input under it.
    pub input: usize,
    /// Pixels of the run; their neighbours in the input lie a stride apart.
    pub count: usize,
}

/// Visits the runs of a plane, one output row after the other, so that the rows stay in the first-level cache.
#[inline(always)]
pub(super) fn for_each_run(conv: &Conv, mut visit: impl FnMut(Run)) {
    let (config, input, output) = (conv.config, conv.input, conv.output);
    let (kernel, stride, padding) = (config.sides(), config.strides(), config.paddings());
    for row in 0..output.h {
        for ky in 0..kernel.0 {
            let Some(from) = (row * stride.0 + ky).checked_sub(padding.0).filter(|&from| from < input.h)
            else {
                continue;
            };
            for kx in 0..kernel.1 {
                let columns = config.inside(kx, input.w, output.w);
                if columns.is_empty() {
                    continue;
                }
                let column = columns.start * stride.1 + kx - padding.1;
                visit(Run {
                    tap: ky * kernel.1 + kx,
                    output: row * output.w + columns.start,
                    input: from * input.w + column,
                    count: columns.len(),
                });
            }
        }
    }
}

/// The input of a convolution, in either form.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    Spikes(&'a Spikes),
    Dense(&'a Tensor),
}

impl Source<'_> {
    /// The number in a lane of a block.
    #[inline(always)]
    pub fn number(self, block: usize, lane: usize) -> f32 {
        match self {
            Source::Spikes(spikes) => f32::from(spikes.words()[block] >> lane & 1),
            Source::Dense(dense) => dense.blocks()[block].0[lane],
        }
    }
}

/// The registers of a block.
#[inline(always)]
pub(super) fn load<V: Lanes, const H: usize>(block: &Block) -> [V; H] {
    std::array::from_fn(|h| V::load(&block.0[h * V::WIDTH..]))
}

/// sum += a · b, sixteen lanes.
#[inline(always)]
pub(super) fn add_product<V: Lanes, const H: usize>(sum: &mut Block, a: [V; H], b: [V; H]) {
    let parts = sum.0.chunks_exact_mut(V::WIDTH).zip(a.into_iter().zip(b));
    parts.for_each(|(sum, (a, b))| a.fma(b, V::load(sum)).store(sum));
}
