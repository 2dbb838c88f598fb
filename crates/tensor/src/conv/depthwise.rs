//! Depthwise convolution: each channel has a kernel of its own, so that sixteen channels are sixteen lanes.
//!
//! ```text
//! for each plane of sixteen channels:                                          parallel over images and blocks
//!   y[q] = Σ_tap w[tap] · x[p(q, tap)], eight neighbouring pixels in registers
//!   dx with stride 1: the same with g for x and the kernel turned round; else dx[p(q, tap)] += w[tap] · g[q]
//!   dW[tap] of the image = Σ_q g[q] · x[p(q, tap)], three taps at a time, in four sums each;
//!   over the images in their order at the end
//! ```
//! A plane is read once and written once; spikes are written out as floats, a plane at a time, in the worker's buffer.

use super::Conv;
use super::runs::{Run, Source, add_product, for_each_run, load};
use crate::parallel::resized;
use crate::tensor::{Block, Dims, LANES, Tensor};
use crate::{Kernel, Lanes, Scratch, Workers, Workspace, with_registers};
use std::ops::Range;

/// Returns the workspace of all passes.
pub(super) fn workspace(conv: &Conv) -> Workspace {
    let sums = conv.input.planes() * conv.taps();
    Workspace { weights: sums, blocks: conv.input.pixels(), ..Workspace::default() }
}

/// Packs C×1×k×k weights as [block][tap], channels in lanes, with the taps in their order or turned round.
fn pack<'a>(conv: &Conv, weight: &[f32], is_turned: bool, packed: &'a mut Vec<Block>) -> &'a [Block] {
    let taps = conv.taps();
    let packed = resized(packed, conv.input.blocks() * taps);
    packed.fill(Block::default());
    for (channel, kernel) in weight.chunks(taps).enumerate() {
        let blocks = &mut packed[channel / LANES * taps..][..taps];
        for (tap, w) in kernel.iter().enumerate() {
            blocks[if is_turned { taps - 1 - tap } else { tap }].0[channel % LANES] = *w;
        }
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
    let weights = pack(conv, weight, false, &mut shared.weights);
    let (pixels, blocks, taps) = (conv.input.pixels(), conv.input.blocks(), conv.taps());
    let (window, accumulate) = (Window::of(conv), false);
    let planes = y.blocks_mut().chunks_mut(conv.output.pixels()).enumerate();
    workers.run(planes, |(at, to), scratch| {
        let weights = &weights[at % blocks * taps..][..taps];
        let from = plane(x, at, pixels, scratch);
        conv.level.run(Gather { window, weights, from, to, accumulate });
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
    let (config, blocks, taps) = (conv.config, conv.input.blocks(), conv.taps());
    let (kernel, paddings) = (config.sides(), config.paddings());
    let is_turned = config.stride == 1 && config.padding < config.kernel;
    let weights = pack(conv, weight, is_turned, &mut shared.weights);
    let planes = dx.blocks_mut().chunks_mut(conv.input.pixels());
    let tasks = planes.zip(g.blocks().chunks(conv.output.pixels())).enumerate();
    workers.run(tasks, |(at, (to, from)), _| {
        let weights = &weights[at % blocks * taps..][..taps];
        if is_turned {
            let paddings = (kernel.0 - 1 - paddings.0, kernel.1 - 1 - paddings.1);
            let window = Window { kernel, strides: (1, 1), paddings, from: conv.output, to: conv.input };
            return conv.level.run(Gather { window, weights, from, to, accumulate });
        }
        if !accumulate {
            to.fill(Block::default());
        }
        conv.level.run(Scatter { conv, weights, from, to });
    });
}

pub(super) fn backward_weight(conv: &Conv, x: Source<'_>, g: &Tensor, dw: &mut [f32], workers: &mut Workers) {
    let mut borrowed = workers.shared();
    let (shared, workers) = borrowed.split();
    let (pixels, blocks, taps) = (conv.input.pixels(), conv.input.blocks(), conv.taps());
    let window = Window::of(conv);
    let sums = resized(&mut shared.weights, conv.input.planes() * taps);
    let tasks = sums.chunks_mut(taps).zip(g.blocks().chunks(conv.output.pixels())).enumerate();
    workers.run(tasks, |(at, (sums, g)), scratch| {
        conv.level.run(WeightSums { window, x: plane(x, at, pixels, scratch), g, sums });
    });
    for (at, sums) in sums.chunks(taps).enumerate() {
        let first = at % blocks * LANES;
        for (lane, dw) in dw[first * taps..].chunks_mut(taps).take(LANES).enumerate() {
            dw.iter_mut().zip(sums).for_each(|(dw, sum)| *dw += sum.0[lane]);
        }
    }
}

/// How the pixels of one plane read those of another.
#[derive(Clone, Copy)]
struct Window {
    kernel: (usize, usize),
    strides: (usize, usize),
    paddings: (usize, usize),
    from: Dims,
    to: Dims,
}

impl Window {
    /// The outputs of a convolution on its inputs.
    fn of(conv: &Conv) -> Self {
        let (kernel, strides, paddings) =
            (conv.config.sides(), conv.config.strides(), conv.config.paddings());
        Self { kernel, strides, paddings, from: conv.input, to: conv.output }
    }

    /// The taps along an axis that read inside a side of the image, from output `q`.
    #[inline(always)]
    fn inside(q: usize, (kernel, stride, padding): (usize, usize, usize), side: usize) -> Range<usize> {
        let from = padding.saturating_sub(q * stride).min(kernel);
        from..(side + padding).saturating_sub(q * stride).clamp(from, kernel)
    }

    /// The columns of the output that meet every tap of a row.
    #[inline(always)]
    fn interior(&self) -> Range<usize> {
        let first = self.paddings.1.div_ceil(self.strides.1).min(self.to.w);
        let last = match (self.from.w + self.paddings.1).checked_sub(self.kernel.1) {
            Some(rest) => (rest / self.strides.1 + 1).min(self.to.w),
            None => 0,
        };
        first..last.max(first)
    }
}

/// One plane of the forward, or of dx: to = Σ w · from, or to += … when `accumulate`.
struct Gather<'a> {
    window: Window,
    weights: &'a [Block],
    from: &'a [Block],
    to: &'a mut [Block],
    accumulate: bool,
}

/// Neighbouring pixels whose sums lie in registers.
const PIXELS: usize = 8;

impl Kernel for Gather<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(mut self) {
        let Window { kernel, strides, paddings, from, to } = self.window;
        let interior = self.window.interior();
        for row in 0..to.h {
            let rows = Window::inside(row, (kernel.0, strides.0, paddings.0), from.h);
            let mut column = 0;
            while column < to.w {
                if interior.contains(&column) && column + PIXELS <= interior.end {
                    self.tile::<V, PIXELS>((row, column), rows.clone(), 0..kernel.1);
                    column += PIXELS;
                } else {
                    let columns = Window::inside(column, (kernel.1, strides.1, paddings.1), from.w);
                    self.tile::<V, 1>((row, column), rows.clone(), columns);
                    column += 1;
                }
            }
        }
    }
}

impl Gather<'_> {
    /// The sums of P neighbouring pixels over the taps of some rows and columns.
    #[inline(always)]
    fn tile<V: Lanes, const P: usize>(
        &mut self,
        (row, column): (usize, usize),
        rows: Range<usize>,
        columns: Range<usize>,
    ) {
        let Window { kernel, strides, paddings, from, to } = self.window;
        let target = &mut self.to[row * to.w + column..][..P];
        for lane in (0..LANES).step_by(V::WIDTH) {
            let mut sums = [V::splat(0.0); P];
            if self.accumulate {
                sums = std::array::from_fn(|p| V::load(&target[p].0[lane..]));
            }
            for ky in rows.clone() {
                let first = (row * strides.0 + ky - paddings.0) * from.w + column * strides.1;
                for kx in columns.clone() {
                    let weight = V::load(&self.weights[ky * kernel.1 + kx].0[lane..]);
                    let pixels = &self.from[first + kx - paddings.1..][..(P - 1) * strides.1 + 1];
                    // The common case is told apart: its addresses differ by constants.
                    if strides.1 == 1 {
                        (0..P).for_each(|p| sums[p] = weight.fma(V::load(&pixels[p].0[lane..]), sums[p]));
                    } else {
                        let pixel = |p: usize| &pixels[p * strides.1].0[lane..];
                        (0..P).for_each(|p| sums[p] = weight.fma(V::load(pixel(p)), sums[p]));
                    }
                }
            }
            (0..P).for_each(|p| sums[p].store(&mut target[p].0[lane..]));
        }
    }
}

/// One plane of dx: to += w · from over all runs.
struct Scatter<'a> {
    conv: &'a Conv,
    weights: &'a [Block],
    from: &'a [Block],
    to: &'a mut [Block],
}

impl Kernel for Scatter<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        with_registers!(V, H => scatter::<V, H>(self))
    }
}

#[inline(always)]
fn scatter<V: Lanes, const H: usize>(plane: Scatter<'_>) {
    let Scatter { conv, weights, from, to } = plane;
    for_each_run(conv, |Run { tap, output, input, count }| {
        let weight = load::<V, H>(&weights[tap]);
        let pairs = to[input..].iter_mut().step_by(conv.config.stride).zip(&from[output..][..count]);
        pairs.for_each(|(to, from)| add_product(to, weight, load(from)));
    });
}

/// The weights' gradient from one plane.
struct WeightSums<'a> {
    window: Window,
    x: &'a [Block],
    g: &'a [Block],
    sums: &'a mut [Block],
}

impl Kernel for WeightSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(mut self) {
        let Window { kernel, strides, paddings, from, to } = self.window;
        self.sums.fill(Block::default());
        for row in 0..to.h {
            for ky in Window::inside(row, (kernel.0, strides.0, paddings.0), from.h) {
                for first in (0..kernel.1).step_by(3) {
                    match kernel.1 - first {
                        1 => self.taps::<V, 1>(row, ky, first),
                        2 => self.taps::<V, 2>(row, ky, first),
                        _ => self.taps::<V, 3>(row, ky, first),
                    }
                }
            }
        }
    }
}

impl WeightSums<'_> {
    /// Adds an output row's share of N neighbouring taps, which read each g once; the sums of four neighbouring pixels do
    /// not wait for one another.
    #[inline(always)]
    fn taps<V: Lanes, const N: usize>(&mut self, row: usize, ky: usize, first: usize) {
        let Window { kernel, strides, paddings, from, to } = self.window;
        let x = &self.x[(row * strides.0 + ky - paddings.0) * from.w..][..from.w];
        let g = &self.g[row * to.w..][..to.w];
        let (interior, step) = (self.window.interior(), strides.1);
        let whole = interior.start..interior.end - interior.len() % 4;
        let border = (0..whole.start).chain(whole.end..to.w);
        for lane in (0..LANES).step_by(V::WIDTH) {
            let mut sums = [[V::splat(0.0); N]; 4];
            for column in whole.clone().step_by(4) {
                let x = &x[column * step + first - paddings.1..][..3 * step + N];
                let g = &g[column..][..4];
                for (k, sums) in sums.iter_mut().enumerate() {
                    let g = V::load(&g[k].0[lane..]);
                    (0..N).for_each(|n| sums[n] = g.fma(V::load(&x[k * step + n].0[lane..]), sums[n]));
                }
            }
            for column in border.clone() {
                let g = V::load(&g[column].0[lane..]);
                for (n, sum) in sums[0].iter_mut().enumerate() {
                    let at = (column * step + first + n).checked_sub(paddings.1);
                    if let Some(x) = at.and_then(|at| x.get(at)) {
                        *sum = g.fma(V::load(&x.0[lane..]), *sum);
                    }
                }
            }
            let [a, b, c, d] = sums;
            for (n, block) in self.sums[ky * kernel.1 + first..][..N].iter_mut().enumerate() {
                let total = (a[n] + b[n]) + (c[n] + d[n]);
                (V::load(&block.0[lane..]) + total).store(&mut block.0[lane..]);
            }
        }
    }
}
