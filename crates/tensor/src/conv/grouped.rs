//! Grouped and one-dimensional convolutions: sixteen channels of the target in lanes, a number of the source at a time.
//!
//! ```text
//! for each image, each block of output channels, each run of pixels:          parallel over images and blocks
//!   y[q] += x[p, i] · w[i]           for each input channel i of the groups that the block's channels belong to
//! ```
//! The lanes of w[i] are 0 where the output channel is of another group: a block that has channels of several groups reads
//! the inputs of all of them. dx is the same with inputs for outputs, dW has a sum for each of these pairs.

use super::runs::{Run, Source, add_product, for_each_run, load};
use super::{Conv, LanesOf};
use crate::parallel::resized;
use crate::tensor::{Block, Dims, LANES, Tensor};
use crate::{Kernel, Lanes, Workers, Workspace, with_registers};
use std::ops::Range;

/// Which channels lie in lanes, and which others each block of lanes meets.
#[derive(Clone, Copy)]
struct Layout {
    /// Channels in lanes, and channels of a group of them.
    lanes: (usize, usize),
    /// Channels of a group of the others.
    others: usize,
    taps: usize,
}

impl Layout {
    fn of(conv: &Conv, lanes_of: LanesOf) -> Self {
        let groups = conv.config.groups;
        let (inputs, outputs) = (conv.input.c, conv.config.out_channels);
        let (lanes, others) =
            if lanes_of == LanesOf::Outputs { (outputs, inputs) } else { (inputs, outputs) };
        Self { lanes: (lanes, lanes / groups), others: others / groups, taps: conv.taps() }
    }

    fn blocks(self) -> usize {
        self.lanes.0.div_ceil(LANES)
    }

    /// The other channels that a block of lanes meets.
    fn met(self, block: usize) -> Range<usize> {
        let (channels, group) = self.lanes;
        let last = ((block + 1) * LANES).min(channels) - 1;
        block * LANES / group * self.others..(last / group + 1) * self.others
    }

    /// The most channels that a block meets: sixteen channels begin and end in a group, or have whole groups between.
    fn most(self) -> usize {
        (0..self.blocks()).map(|block| self.met(block).len()).max().unwrap_or(0)
    }

    /// Blocks of the packed weights, or of the sums of their gradient: [block][other channel met][tap].
    fn len(self) -> usize {
        self.blocks() * self.most() * self.taps
    }

    /// Visits each lane of the packed blocks that stands for a weight: the block, the lane, and the weight's place.
    fn for_each_weight(self, lanes_of: LanesOf, mut visit: impl FnMut(usize, usize, usize)) {
        let ((channels, group), most) = (self.lanes, self.most());
        for lane in 0..channels {
            let (block, own) = (lane / LANES, lane / group * self.others);
            for (k, other) in (own..own + self.others).enumerate() {
                let at = (block * most + other - self.met(block).start) * self.taps;
                let first = match lanes_of {
                    LanesOf::Outputs => lane * self.others + k,
                    LanesOf::Inputs => other * group + lane % group,
                };
                (0..self.taps).for_each(|tap| visit(at + tap, lane % LANES, first * self.taps + tap));
            }
        }
    }
}

/// Returns the workspace of all passes.
pub(super) fn workspace(conv: &Conv) -> Workspace {
    let len = |lanes_of| Layout::of(conv, lanes_of).len();
    Workspace { weights: len(LanesOf::Outputs).max(len(LanesOf::Inputs)), ..Workspace::default() }
}

fn pack<'a>(layout: Layout, lanes_of: LanesOf, weight: &[f32], packed: &'a mut Vec<Block>) -> &'a [Block] {
    let packed = resized(packed, layout.len());
    packed.fill(Block::default());
    layout.for_each_weight(lanes_of, |block, lane, at| packed[block].0[lane] = weight[at]);
    packed
}

pub(super) fn forward(conv: &Conv, x: Source<'_>, weight: &[f32], y: &mut Tensor, workers: &mut Workers) {
    run(conv, x, LanesOf::Outputs, weight, (y, false), workers);
}

pub(super) fn backward_input(
    conv: &Conv,
    g: &Tensor,
    weight: &[f32],
    dx: &mut Tensor,
    accumulate: bool,
    workers: &mut Workers,
) {
    run(conv, Source::Dense(g), LanesOf::Inputs, weight, (dx, accumulate), workers);
}

/// The forward where outputs lie in lanes, dx where inputs do.
fn run(
    conv: &Conv,
    source: Source<'_>,
    lanes_of: LanesOf,
    weight: &[f32],
    (target, accumulate): (&mut Tensor, bool),
    workers: &mut Workers,
) {
    let mut borrowed = workers.shared();
    let (shared, workers) = borrowed.split();
    let layout = Layout::of(conv, lanes_of);
    let weights = pack(layout, lanes_of, weight, &mut shared.weights);
    let is_forward = lanes_of == LanesOf::Outputs;
    let from = if is_forward { conv.input } else { conv.output };
    let (pixels, most) = (target.dims().pixels(), layout.most());
    workers.run(target.blocks_mut().chunks_mut(pixels).enumerate(), |(at, to), _| {
        if !accumulate {
            to.fill(Block::default());
        }
        let (image, block) = (at / layout.blocks(), at % layout.blocks());
        let weights = &weights[block * most * layout.taps..];
        conv.level.run(Products {
            conv,
            source,
            from,
            image,
            met: layout.met(block),
            weights,
            to,
            is_forward,
        });
    });
}

/// One plane of the target: sixteen channels of an image.
struct Products<'a> {
    conv: &'a Conv,
    source: Source<'a>,
    /// The size of the source.
    from: Dims,
    image: usize,
    /// Channels of the source that the plane's channels meet.
    met: Range<usize>,
    weights: &'a [Block],
    to: &'a mut [Block],
    is_forward: bool,
}

impl Kernel for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        with_registers!(V, H => products::<V, H>(self))
    }
}

#[inline(always)]
fn products<V: Lanes, const H: usize>(plane: Products<'_>) {
    let Products { conv, source, from, image, met, weights, to, is_forward } = plane;
    let (step, taps) = (conv.config.stride, conv.taps());
    for_each_run(conv, |Run { tap, output, input, count }| {
        for (k, channel) in met.clone().enumerate() {
            let weight = load::<V, H>(&weights[k * taps + tap]);
            let first = image * from.image_blocks() + channel / LANES * from.pixels();
            for q in 0..count {
                let (x, y) = (input + q * step, output + q);
                let (target, source_at) = if is_forward { (y, x) } else { (x, y) };
                let number = V::splat(source.number(first + source_at, channel % LANES));
                add_product(&mut to[target], [number; H], weight);
            }
        }
    });
}

pub(super) fn backward_weight(conv: &Conv, x: Source<'_>, g: &Tensor, dw: &mut [f32], workers: &mut Workers) {
    let mut borrowed = workers.shared();
    let (shared, workers) = borrowed.split();
    let layout = Layout::of(conv, LanesOf::Outputs);
    let sums = resized(&mut shared.weights, layout.len());
    let (most, tasks) = (layout.most(), sums.chunks_mut(layout.taps).enumerate());
    workers.run(tasks, |(task, sums), _| {
        sums.fill(Block::default());
        let block = task / most;
        if let Some(channel) = layout.met(block).nth(task % most) {
            conv.level.run(WeightSums { conv, x, channel, g, block, sums });
        }
    });
    layout.for_each_weight(LanesOf::Outputs, |block, lane, at| dw[at] += sums[block].0[lane]);
}

/// The gradient of the weights between an input channel and a block of output channels.
struct WeightSums<'a> {
    conv: &'a Conv,
    x: Source<'a>,
    channel: usize,
    g: &'a Tensor,
    block: usize,
    sums: &'a mut [Block],
}

impl Kernel for WeightSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        with_registers!(V, H => weight_sums::<V, H>(self))
    }
}

#[inline(always)]
fn weight_sums<V: Lanes, const H: usize>(task: WeightSums<'_>) {
    let WeightSums { conv, x, channel, g, block, sums } = task;
    let (input, output, step) = (conv.input, conv.output, conv.config.stride);
    for n in 0..input.n {
        let first = n * input.image_blocks() + channel / LANES * input.pixels();
        let g = &g.blocks()[(n * output.blocks() + block) * output.pixels()..][..output.pixels()];
        for_each_run(conv, |run| {
            let mut sum = load::<V, H>(&sums[run.tap]);
            for (q, g) in g[run.output..][..run.count].iter().enumerate() {
                let x = V::splat(x.number(first + run.input + q * step, channel % LANES));
                let g = load::<V, H>(g);
                (0..H).for_each(|h| sum[h] = x.fma(g[h], sum[h]));
            }
            sums[run.tap].0.chunks_exact_mut(V::WIDTH).zip(sum).for_each(|(part, sum)| sum.store(part));
        });
    }
}
