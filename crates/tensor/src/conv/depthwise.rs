//! Depthwise convolution: each channel has a kernel of its own, so that sixteen channels are sixteen lanes.
//!
//! ```text
//! for each plane of sixteen channels:                                          parallel over images and blocks
//!   y[q]  = Σ_tap w[tap] · x[p(q, tap)]           dx[p(q, tap)] += w[tap] · g[q]
//!   dW[tap] of the image = Σ_q g[q] · x[p(q, tap)],   summed over the images in their order at the end
//! ```
//! A plane is read once and written once; spikes are written out as floats, a plane at a time, in the worker's buffer.

use super::Conv;
use super::runs::{Run, Source, add_product, for_each_run, load};
use crate::parallel::resized;
use crate::tensor::{Block, LANES, Tensor};
use crate::{Kernel, Lanes, Scratch, Workers, Workspace, with_registers};

/// Returns the workspace of all passes.
pub(super) fn workspace(conv: &Conv) -> Workspace {
    let sums = conv.input.planes() * conv.taps();
    Workspace { weights: sums, blocks: conv.input.pixels(), ..Workspace::default() }
}

/// Packs C×1×k×k weights as [block][tap], channels in lanes.
fn pack<'a>(conv: &Conv, weight: &[f32], packed: &'a mut Vec<Block>) -> &'a [Block] {
    let taps = conv.taps();
    let packed = resized(packed, conv.input.blocks() * taps);
    packed.fill(Block::default());
    for (channel, kernel) in weight.chunks(taps).enumerate() {
        let blocks = &mut packed[channel / LANES * taps..][..taps];
        blocks.iter_mut().zip(kernel).for_each(|(block, w)| block.0[channel % LANES] = *w);
    }
    packed
}

/// A plane of the input as floats.
fn plane<'a>(source: Source<'a>, plane: usize, pixels: usize, scratch: &'a mut Scratch) -> &'a [Block] {
    match source {
        Source::Dense(dense) => &dense.blocks()[plane * pixels..][..pixels],
        Source::Spikes(spikes) => {
            let blocks = scratch.blocks(pixels);
            for (block, word) in blocks.iter_mut().zip(&spikes.words()[plane * pixels..]) {
                block.0 = std::array::from_fn(|lane| f32::from(word >> lane & 1));
            }
            blocks
        }
    }
}

pub(super) fn forward(conv: &Conv, x: Source<'_>, weight: &[f32], y: &mut Tensor, workers: &mut Workers) {
    let mut borrowed = workers.shared();
    let (shared, workers) = borrowed.split();
    let weights = pack(conv, weight, &mut shared.weights);
    let (pixels, blocks, taps) = (conv.input.pixels(), conv.input.blocks(), conv.taps());
    let planes = y.blocks_mut().chunks_mut(conv.output.pixels()).enumerate();
    workers.run(planes, |(at, to), scratch| {
        let weights = &weights[at % blocks * taps..][..taps];
        to.fill(Block::default());
        conv.level.run(Products { conv, weights, from: plane(x, at, pixels, scratch), to, is_forward: true });
    });
}

pub(super) fn backward_input(
    conv: &Conv,
    g: &Tensor,
    weight: &[f32],
    dx: &mut Tensor,
    accumulate: bool,
    workers: &mut Workers,
) {
    let mut borrowed = workers.shared();
    let (shared, workers) = borrowed.split();
    let weights = pack(conv, weight, &mut shared.weights);
    let (blocks, taps) = (conv.input.blocks(), conv.taps());
    let planes = dx.blocks_mut().chunks_mut(conv.input.pixels());
    let tasks = planes.zip(g.blocks().chunks(conv.output.pixels())).enumerate();
    workers.run(tasks, |(at, (to, from)), _| {
        let weights = &weights[at % blocks * taps..][..taps];
        if !accumulate {
            to.fill(Block::default());
        }
        conv.level.run(Products { conv, weights, from, to, is_forward: false });
    });
}

pub(super) fn backward_weight(conv: &Conv, x: Source<'_>, g: &Tensor, dw: &mut [f32], workers: &mut Workers) {
    let mut borrowed = workers.shared();
    let (shared, workers) = borrowed.split();
    let (pixels, blocks, taps) = (conv.input.pixels(), conv.input.blocks(), conv.taps());
    let sums = resized(&mut shared.weights, conv.input.planes() * taps);
    let tasks = sums.chunks_mut(taps).zip(g.blocks().chunks(conv.output.pixels())).enumerate();
    workers.run(tasks, |(at, (sums, g)), scratch| {
        conv.level.run(WeightSums { conv, x: plane(x, at, pixels, scratch), g, sums });
    });
    for (at, sums) in sums.chunks(taps).enumerate() {
        let first = at % blocks * LANES;
        for (lane, dw) in dw[first * taps..].chunks_mut(taps).take(LANES).enumerate() {
            dw.iter_mut().zip(sums).for_each(|(dw, sum)| *dw += sum.0[lane]);
        }
    }
}

/// One plane of the forward, or of dx: to += w · from over all runs.
struct Products<'a> {
    conv: &'a Conv,
    weights: &'a [Block],
    from: &'a [Block],
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
    let Products { conv, weights, from, to, is_forward } = plane;
    let step = conv.config.stride;
    for_each_run(conv, |Run { tap, output, input, count }| {
        let weight = load::<V, H>(&weights[tap]);
        if is_forward {
            let pairs = to[output..][..count].iter_mut().zip(from[input..].iter().step_by(step));
            pairs.for_each(|(to, from)| add_product(to, weight, load(from)));
        } else {
            let pairs = to[input..].iter_mut().step_by(step).zip(&from[output..][..count]);
            pairs.for_each(|(to, from)| add_product(to, weight, load(from)));
        }
    });
}

/// The weights' gradient from one plane.
struct WeightSums<'a> {
    conv: &'a Conv,
    x: &'a [Block],
    g: &'a [Block],
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
fn weight_sums<V: Lanes, const H: usize>(plane: WeightSums<'_>) {
    let WeightSums { conv, x, g, sums } = plane;
    let step = conv.config.stride;
    sums.fill(Block::default());
    for_each_run(conv, |Run { tap, output, input, count }| {
        let mut sum = load::<V, H>(&sums[tap]);
        for (g, x) in g[output..][..count].iter().zip(x[input..].iter().step_by(step)) {
            let (g, x) = (load::<V, H>(g), load::<V, H>(x));
            (0..H).for_each(|h| sum[h] = g[h].fma(x[h], sum[h]));
        }
        sums[tap].0.chunks_exact_mut(V::WIDTH).zip(sum).for_each(|(part, sum)| sum.store(part));
    });
}
