//! Dense convolution in register tiles: y from dense values, and dx, which is a convolution of g.
//!
//! ```text
//! for each image, each band of output rows
//!   copy the source rows that the band reads with a zero border
//!   for each block of output channels, each class of output positions, each tile of P pixels:
//!     tile = Σ over source blocks, taps, channels of source value · weight row      (registers)
//! ```
//! The forward has one class with all taps and reads every s-th pixel; dx has a class for each residue modulo
//! the stride, writes every s-th pixel and reads neighbours.

use super::{Conv, LanesOf, pack_dense};
use crate::register_tile::{Run, add_outer, blocks_at_once, cover, rows_of};
use crate::tensor::{Block, Dims, LANES, Tensor};
use crate::{Kernel, Lanes, Scratch, Workers, Workspace};

/// Output pixels of a band, so that its source rows stay in the second-level cache.
const BAND_PIXELS: usize = 256;

/// One pass: how output positions of a class read the bordered source.
struct Pass<'a> {
    conv: &'a Conv,
    source: Dims,
    target: Dims,
    weights: &'a [Block],
    /// Whether the pass is the forward; otherwise it computes dx.
    forward: bool,
    accumulate: bool,
}

pub(super) fn forward(conv: &Conv, x: &Tensor, weight: &[f32], y: &mut Tensor, workers: &mut Workers) {
    let mut borrowed = workers.shared();
    let (shared, workers) = borrowed.split();
    let weights = pack_dense(conv, weight, LanesOf::Outputs, &mut shared.weights, workers);
    let (source, target) = (conv.input, conv.output);
    run(&Pass { conv, source, target, weights, forward: true, accumulate: false }, x, y, workers);
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
    let weights = pack_dense(conv, weight, LanesOf::Inputs, &mut shared.weights, workers);
    let (source, target) = (conv.output, conv.input);
    run(&Pass { conv, source, target, weights, forward: false, accumulate }, g, dx, workers);
}

/// Returns the workspace of a pass.
pub(super) fn workspace(conv: &Conv, forward: bool) -> Workspace {
    let (source, target) = if forward { (conv.input, conv.output) } else { (conv.output, conv.input) };
    let weights = conv.input.blocks() * conv.output.blocks() * conv.taps() * LANES;
    let pass = Pass { conv, source, target, weights: &[], forward, accumulate: false };
    let border = pass.border(&(0..pass.band()));
    Workspace { weights, blocks: source.blocks() * border.rows * border.cols, ..Workspace::default() }
}

fn run(pass: &Pass<'_>, source: &Tensor, target: &mut Tensor, workers: &mut Workers) {
    let sources = source.blocks().chunks(pass.source.image_blocks());
    let targets = target.blocks_mut().chunks_mut(pass.target.image_blocks());
    workers.run(sources.zip(targets), |(source, target), scratch| {
        pass.conv.level.run(Image { pass, source, target, scratch });
    });
}

/// One image of a pass.
struct Image<'a> {
    pass: &'a Pass<'a>,
    source: &'a [Block],
    target: &'a mut [Block],
    scratch: &'a mut Scratch,
}

/// Source rows and columns that a band reads, border included.
#[derive(Clone, Copy)]
struct Border {
    top: isize,
    left: isize,
    rows: usize,
    cols: usize,
}

impl Pass<'_> {
    /// Target rows of a band.
    fn band(&self) -> usize {
        (BAND_PIXELS / self.target.w).clamp(1, self.target.h).next_multiple_of(self.target_step())
    }

    fn border(&self, rows: &std::ops::Range<usize>) -> Border {
        let (config, w) = (self.conv.config, self.target.w);
        if self.forward {
            let (s, p) = (config.stride as isize, config.padding as isize);
            let span = |length: usize| (length - 1) * config.stride + config.kernel;
            return Border {
                top: rows.start as isize * s - p,
                left: -p,
                rows: span(rows.len()),
                cols: span(w),
            };
        }
        let back = config.reach() as isize - 1;
        let (top, left) = (config.base(rows.start) as isize - back, config.base(0) as isize - back);
        let (bottom, right) = (config.base(rows.end - 1) as isize, config.base(w - 1) as isize);
        Border { top, left, rows: (bottom - top + 1) as usize, cols: (right - left + 1) as usize }
    }

    /// Returns the weight rows of a block of target channels.
    fn block_rows(&self) -> usize {
        self.source.blocks() * self.conv.taps() * LANES
    }

    /// Returns the distance between neighbouring target positions of a class.
    fn target_step(&self) -> usize {
        if self.forward { 1 } else { self.conv.config.stride }
    }

    /// Returns the distance between the source pixels that neighbours of a class read.
    fn source_step(&self) -> usize {
        if self.forward { self.conv.config.stride } else { 1 }
    }

    /// Returns the pixel of the bordered source that the target position (row of the band, column) reads with its first
    /// tap.
    fn origin(&self, rows: &std::ops::Range<usize>, border: &Border, y: usize, x: usize) -> usize {
        let config = self.conv.config;
        if self.forward {
            return (y - rows.start) * config.stride * border.cols + x * config.stride;
        }
        let back = config.reach() as isize - 1;
        let row = config.base(y) as isize - border.top - back;
        let col = config.base(x) as isize - border.left - back;
        row as usize * border.cols + col as usize
    }

    /// Lists (kernel tap, distance from the class's furthest tap) of each tap that position (y, x) meets.
    fn list_taps(&self, cols: usize, y: usize, x: usize, taps: &mut Vec<(u32, u32)>) {
        let config = self.conv.config;
        let kernel = config.kernel;
        taps.clear();
        if self.forward {
            let distance = |tap: usize| (tap / kernel * cols + tap % kernel) as u32;
            taps.extend((0..self.conv.taps()).map(|tap| (tap as u32, distance(tap))));
            return;
        }
        let (residue, furthest) = (config.residue(y, x), (config.reach() - 1) * (cols + 1));
        for jy in 0..residue.count.0 {
            for jx in 0..residue.count.1 {
                let ky = residue.first.0 + jy * config.stride;
                let kx = residue.first.1 + jx * config.stride;
                taps.push(((ky * kernel + kx) as u32, (furthest - jy * cols - jx) as u32));
            }
        }
    }
}

impl Kernel for Image<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let Image { pass, source, target, scratch } = self;
        let (d, t) = (pass.source, pass.target);
        let band = pass.band();
        for top in (0..t.h).step_by(band) {
            let rows = top..(top + band).min(t.h);
            let border = pass.border(&rows);
            let plane = border.rows * border.cols;
            let mut taps = std::mem::take(&mut scratch.taps);
            let window = scratch.blocks(d.blocks() * plane);
            for (from, to) in source.chunks(d.pixels()).zip(window.chunks_mut(plane)) {
                copy_bordered(from, d, &border, to);
            }
            for block in (0..t.blocks()).step_by(blocks_at_once::<V>()) {
                let blocks = blocks_at_once::<V>().min(t.blocks() - block);
                let weights = &pass.weights[block * pass.block_rows()..];
                let target = &mut target[block * t.pixels()..][..blocks * t.pixels()];
                band_of_blocks::<V>(pass, &rows, &border, window, weights, target, &mut taps);
            }
            scratch.taps = taps;
        }
    }
}

/// Copies a plane into a window, zero outside the image.
#[inline(always)]
fn copy_bordered(plane: &[Block], d: Dims, border: &Border, window: &mut [Block]) {
    for (r, row) in window.chunks_mut(border.cols).enumerate() {
        let y = border.top + r as isize;
        if y < 0 || y >= d.h as isize {
            row.fill(Block::default());
            continue;
        }
        let from = (-border.left).clamp(0, border.cols as isize) as usize;
        let to = (d.w as isize - border.left).clamp(from as isize, border.cols as isize) as usize;
        row[..from].fill(Block::default());
        let x = (border.left + from as isize) as usize;
        row[from..to].copy_from_slice(&plane[y as usize * d.w + x..][..to - from]);
        row[to..].fill(Block::default());
    }
}

/// Computes all positions of a band for neighbouring blocks of output channels.
#[inline(always)]
fn band_of_blocks<V: Lanes>(
    pass: &Pass<'_>,
    rows: &std::ops::Range<usize>,
    border: &Border,
    window: &[Block],
    weights: &[Block],
    target: &mut [Block],
    taps: &mut Vec<(u32, u32)>,
) {
    let step = pass.target_step();
    for y in rows.clone() {
        for first in 0..step.min(pass.target.w) {
            pass.list_taps(border.cols, y, first, taps);
            let count = (pass.target.w - first).div_ceil(step);
            let origin = pass.origin(rows, border, y, first);
            let blocks = target.len() / pass.target.pixels();
            let target = &mut target[y * pass.target.w + first..];
            cover::<V>(blocks, count, &mut Row { pass, border, window, weights, taps, origin, target });
        }
    }
}

/// The positions of a class in a row × neighbouring blocks of output channels.
struct Row<'a> {
    pass: &'a Pass<'a>,
    border: &'a Border,
    window: &'a [Block],
    weights: &'a [Block],
    taps: &'a [(u32, u32)],
    /// The pixel of the bordered source that the first position reads with its first tap.
    origin: usize,
    /// The target from the first position on.
    target: &'a mut [Block],
}

impl Run for Row<'_> {
    #[inline(always)]
    fn tile<V: Lanes, const B: usize, const H: usize, const P: usize>(&mut self, first: usize) {
        let pass = self.pass;
        let (plane, step) = (self.border.rows * self.border.cols, pass.source_step());
        let (block_rows, source_rows) = (pass.block_rows(), pass.conv.taps() * LANES);
        let origin = self.origin + first * step;
        let mut acc = [[[V::splat(0.0); H]; B]; P];
        for b in 0..pass.source.blocks() {
            let (plane, weights) = (&self.window[b * plane..], &self.weights[b * source_rows..]);
            let depth = LANES.min(pass.source.c - b * LANES);
            for &(tap, distance) in self.taps {
                let rows = rows_of(&weights[tap as usize * LANES..], block_rows);
                let pixels = &plane[origin + distance as usize..][..(P - 1) * step + 1];
                // The common case is told apart: its loop is unrolled, its addresses differ by constants.
                if step == 1 && depth == LANES {
                    add_outer::<V, B, H, P>(&mut acc, LANES, std::array::from_fn(|p| &pixels[p]), rows);
                } else {
                    let pixels = std::array::from_fn(|p| &pixels[p * step]);
                    add_outer::<V, B, H, P>(&mut acc, depth, pixels, rows);
                }
            }
        }
        let step = pass.target_step();
        for (p, acc) in acc.into_iter().enumerate() {
            for (b, acc) in acc.into_iter().enumerate() {
                let block = &mut self.target[b * pass.target.pixels() + (first + p) * step].0;
                for (part, sum) in block.chunks_exact_mut(V::WIDTH).zip(acc) {
                    let sum = if pass.accumulate { V::load(part) + sum } else { sum };
                    sum.store(part);
                }
            }
        }
    }
}
