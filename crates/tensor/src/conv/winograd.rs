//! dx of a 3×3 convolution of stride 1, by Winograd's method: fewer products, bought with additions.
//!
//! dx is the correlation of g with the kernel turned round, w'[ky,kx] = W[2−ky,2−kx]. Cut into tiles of M×M
//! outputs, each of which reads (M + 2)² = A² values of g, it becomes A² matrix products, one a *frequency* f:
//!
//! ```text
//! for each group of input channels
//!   U[f][o,i] = (G·w'[o,i]·Gᵀ)[f]
//!   for each group of images, each batch of tiles
//!     V[f][o,tile] = (Bᵀ·g[o,tile]·B)[f]
//!     P[f][i,tile] = Σ_o V[f][o,tile] · U[f][o,i]         register tiles
//!     dx[i,tile]   = Aᵀ·P[·][i,tile]·A
//! ```
//! with the matrices of [`winograd_form`](super::winograd_form). The transforms work on sixteen channels at
//! once, so channel blocks need no transposition.
//!
//! What bounds it: U is A²/9 times the weights and is read once a batch, so a batch must be large; V and P grow
//! with the batch and must stay near. Frequencies are the outer loop: one slice of V (T tiles × Cout) stays in the
//! second-level cache while the slice of U streams past, T cycles a cache line. Where an image has few tiles, a
//! batch spans several images. All of U would be 37 MB for 512 → 512 channels: a group of input channels at a time
//! is a fraction of that, stays in the last-level cache, and costs V once more for each group.
//!
//! Numerics: fused multiply-adds where the level has them; channels in order, whatever the batches.

use super::winograd_form::{BothWays, Form};
use super::{Conv, ConvConfig};
use crate::parallel::resized;
use crate::register_tile::{Product, blocks_at_once, cover};
use crate::tensor::{Block, Dims, LANES, Tensor};
use crate::{Kernel, Lanes, Scratch, Workers, Workspace};
use std::ops::Range;

/// Tiles of a batch: the time is flat from 36 to 96, and this is a multiple of every register tile.
const BATCH: usize = 48;

/// Blocks of U at a time: 9 MiB, F(4×4) of 256 → 256 channels.
const FILTERS: usize = 36 * 16 * 256;

/// How a convolution computes the gradient of its input.
///
/// Numerics: `conv/winograd_form.rs` bounds the error. Its root mean square, relative to dx's, with 128 output
/// channels and normal numbers: 6e-7 direct, 4e-7 Winograd2 (shorter sums), 1.2e-6 Winograd4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InputGradient {
    /// Sums of products as they are written.
    Direct,
    /// Winograd's F(2×2, 3×3): 2.25 times fewer products, powers of two for coefficients.
    Winograd2,
    /// Winograd's F(4×4, 3×3): four times fewer products.
    Winograd4,
}

impl InputGradient {
    /// Whether a convolution has Winograd's forms.
    pub(super) fn has_winograd(config: &ConvConfig) -> bool {
        config.kernel == 3 && config.stride == 1 && config.groups == 1 && !config.is_1d
    }

    /// The fastest form: Winograd4, unless tiles of sixteen pixels overhang the image too far.
    ///
    /// Measured from 16 to 512 channels: with three times the image's pixels (sides of 3 and more) Winograd4 wins
    /// at every level but for a few narrow layers of side 5; below, it may lose.
    pub(super) fn fastest(input: Dims, config: &ConvConfig) -> Self {
        let tiled = input.h.next_multiple_of(4) * input.w.next_multiple_of(4);
        if Self::has_winograd(config) && tiled <= 3 * input.pixels() { Self::Winograd4 } else { Self::Direct }
    }
}

/// What all tasks of a pass share.
struct Pass<'a, F, const M: usize, const A: usize> {
    form: F,
    /// g.
    source: Dims,
    /// dx.
    target: Dims,
    padding: usize,
    /// The blocks of input channels for which U is computed.
    inputs: Range<usize>,
    /// U as [block of i][f][o] blocks.
    filters: &'a [Block],
    accumulate: bool,
}

pub(super) fn backward_input<F: Form<M, A>, const M: usize, const A: usize>(
    form: F,
    conv: &Conv,
    g: &Tensor,
    weight: &[f32],
    dx: &mut Tensor,
    accumulate: bool,
    workers: &mut Workers,
) {
    let (source, target) = (conv.output, conv.input);
    let mut borrowed = workers.shared();
    let (shared, workers) = borrowed.split();
    let block = A * A * source.blocks() * LANES;
    let tiles = target.h.div_ceil(M) * target.w.div_ceil(M);
    let tasks = source.n.div_ceil((BATCH / tiles).max(1)).next_multiple_of(workers.count());
    let images = source.n.div_ceil(tasks);
    let group = inputs_at_once::<A>(conv);
    for first in (0..target.blocks()).step_by(group) {
        let inputs = first..target.blocks().min(first + group);
        let filters = resized(&mut shared.weights, inputs.len() * block);
        workers.run(inputs.clone().zip(filters.chunks_mut(block)), |(block, filters), _| {
            conv.level.run(Filters { form, weight, source, target, block, filters });
        });
        let pass = Pass { form, source, target, padding: conv.config.padding, inputs, filters, accumulate };
        let sources = g.blocks().chunks(images * source.image_blocks());
        let targets = dx.blocks_mut().chunks_mut(images * target.image_blocks());
        workers.run(sources.zip(targets), |(source, target), scratch| {
            conv.level.run(Group { pass: &pass, source, target, scratch });
        });
    }
}

/// Returns the number of blocks of input channels for which U is computed at a time: groups of equal size, an even
/// number of blocks for register tiles of two.
fn inputs_at_once<const A: usize>(conv: &Conv) -> usize {
    let (outputs, inputs) = (conv.output.blocks(), conv.input.blocks());
    let groups = (A * A * inputs * outputs * LANES).div_ceil(FILTERS);
    inputs.div_ceil(groups).next_multiple_of(2).min(inputs)
}

/// Returns the workspace of a pass.
pub(super) fn workspace<F: Form<M, A>, const M: usize, const A: usize>(_: F, conv: &Conv) -> Workspace {
    let (outputs, inputs) = (conv.output.blocks(), inputs_at_once::<A>(conv));
    let weights = A * A * inputs * outputs * LANES;
    Workspace { weights, blocks: A * A * ((outputs + inputs) * BATCH + 2), ..Workspace::default() }
}

/// U of one block of input channels.
struct Filters<'a, F, const M: usize, const A: usize> {
    form: F,
    weight: &'a [f32],
    source: Dims,
    target: Dims,
    block: usize,
    filters: &'a mut [Block],
}

impl<F: Form<M, A>, const M: usize, const A: usize> Kernel for Filters<'_, F, M, A> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let rows = self.source.blocks() * LANES;
        let first = self.block * LANES;
        let lanes = LANES.min(self.target.c - first);
        for o in 0..rows {
            let mut taps = [Block::default(); 9];
            if o < self.source.c {
                let kernels = &self.weight[(o * self.target.c + first) * 9..][..lanes * 9];
                for (l, kernel) in kernels.as_chunks::<9>().0.iter().enumerate() {
                    taps.iter_mut().zip(kernel.iter().rev()).for_each(|(tap, w)| tap.0[l] = *w);
                }
            }
            let filters = &mut self.filters[o..];
            FilterSquare { form: self.form, taps: &taps, filters, stride: rows }.run::<V>();
        }
    }
}

/// U of an output channel and a block of input channels.
struct FilterSquare<'a, F, const M: usize, const A: usize> {
    form: F,
    taps: &'a [Block; 9],
    filters: &'a mut [Block],
    stride: usize,
}

impl<F: Form<M, A>, const M: usize, const A: usize> BothWays<3, A> for FilterSquare<'_, F, M, A> {
    #[inline(always)]
    fn read<V: Lanes>(&self, y: usize, x: usize, lane: usize) -> V {
        V::load(&self.taps[y * 3 + x].0[lane..])
    }

    #[inline(always)]
    fn map<V: Lanes>(&self, line: [V; 3]) -> [V; A] {
        self.form.filter(line)
    }

    #[inline(always)]
    fn write<V: Lanes>(&mut self, y: usize, x: usize, lane: usize, value: V) {
        value.store(&mut self.filters[(y * A + x) * self.stride].0[lane..]);
    }
}

/// The tiles of several images.
struct Group<'a, F, const M: usize, const A: usize> {
    pass: &'a Pass<'a, F, M, A>,
    source: &'a [Block],
    target: &'a mut [Block],
    scratch: &'a mut Scratch,
}

impl<F: Form<M, A>, const M: usize, const A: usize> Kernel for Group<'_, F, M, A> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let Self { pass, source, target, scratch } = self;
        let (outputs, inputs) = (pass.source.blocks(), pass.inputs.len());
        let images = target.len() / pass.target.image_blocks();
        let tiles = images * pass.grid().0 * pass.grid().1;
        // Even, so that register tiles of two cover it.
        let batch = tiles.div_ceil(tiles.div_ceil(BATCH)).next_multiple_of(2);
        // One block more than a frequency needs: its A² lines would else fall into few sets of the cache.
        let (v_stride, p_stride) = (outputs * batch + 1, inputs * batch + 1);
        let (v, p) = scratch.blocks(A * A * (v_stride + p_stride)).split_at_mut(A * A * v_stride);
        for first in (0..tiles).step_by(batch) {
            let count = batch.min(tiles - first);
            pass.load::<V>(source, first, count, v, v_stride);
            for f in 0..A * A {
                for i in (0..inputs).step_by(blocks_at_once::<V>()) {
                    let blocks = blocks_at_once::<V>().min(inputs - i);
                    let mut product = Product {
                        values: &v[f * v_stride..],
                        value_stride: count,
                        filters: &pass.filters[(i * A * A + f) * outputs * LANES..],
                        filter_stride: A * A * outputs * LANES,
                        inner: outputs,
                        products: &mut p[f * p_stride + i * count..],
                        product_stride: count,
                        accumulate: false,
                    };
                    cover::<V>(blocks, count, &mut product);
                }
            }
            pass.store::<V>(p, p_stride, first, count, target);
        }
    }
}

impl<F: Form<M, A>, const M: usize, const A: usize> Pass<'_, F, M, A> {
    /// Rows and columns of tiles in an image.
    #[inline(always)]
    fn grid(&self) -> (usize, usize) {
        (self.target.h.div_ceil(M), self.target.w.div_ceil(M))
    }

    /// Image, first row and first column of a tile.
    #[inline(always)]
    fn place(&self, tile: usize) -> (usize, isize, isize) {
        let (rows, cols) = self.grid();
        let (image, tile) = (tile / (rows * cols), tile % (rows * cols));
        (image, (tile / cols * M) as isize, (tile % cols * M) as isize)
    }

    /// Transforms `count` tiles of g, zero outside the image.
    #[inline(always)]
    fn load<V: Lanes>(&self, g: &[Block], first: usize, count: usize, values: &mut [Block], stride: usize) {
        let (d, back) = (self.source, self.padding as isize - 2);
        for b in 0..d.blocks() {
            for tile in 0..count {
                let (image, y, x) = self.place(first + tile);
                let plane = &g[(image * d.blocks() + b) * d.pixels()..][..d.pixels()];
                let (positions, values) = (positions(d, y + back, x + back), &mut values[b * count + tile..]);
                SourceSquare { form: self.form, plane, positions, values, stride }.run::<V>();
            }
        }
    }

    /// Transforms the products of `count` tiles back into dx, clipped to the image.
    #[inline(always)]
    fn store<V: Lanes>(
        &self,
        products: &[Block],
        stride: usize,
        first: usize,
        count: usize,
        dx: &mut [Block],
    ) {
        let (d, form, accumulate) = (self.target, self.form, self.accumulate);
        for (k, b) in self.inputs.clone().enumerate() {
            for tile in 0..count {
                let (image, y, x) = self.place(first + tile);
                let plane = &mut dx[(image * d.blocks() + b) * d.pixels()..][..d.pixels()];
                let (positions, products) = (positions(d, y, x), &products[k * count + tile..]);
                TargetSquare { form, products, stride, plane, positions, accumulate }.run::<V>();
            }
        }
    }
}

/// Where a square of S×S pixels lies in a plane; a pixel outside has a position past the plane's end.
type Positions<const S: usize> = [[usize; S]; S];

#[inline(always)]
fn positions<const S: usize>(d: Dims, top: isize, left: isize) -> Positions<S> {
    let mut positions = [[usize::MAX; S]; S];
    for (y, row) in (top..).zip(&mut positions) {
        for (x, position) in (left..).zip(row) {
            if (0..d.h as isize).contains(&y) && (0..d.w as isize).contains(&x) {
                *position = y as usize * d.w + x as usize;
            }
        }
    }
    positions
}

/// V of a tile and a block of output channels.
struct SourceSquare<'a, F, const M: usize, const A: usize> {
    form: F,
    plane: &'a [Block],
    positions: Positions<A>,
    values: &'a mut [Block],
    stride: usize,
}

impl<F: Form<M, A>, const M: usize, const A: usize> BothWays<A, A> for SourceSquare<'_, F, M, A> {
    #[inline(always)]
    fn read<V: Lanes>(&self, y: usize, x: usize, lane: usize) -> V {
        match self.plane.get(self.positions[y][x]) {
            Some(block) => V::load(&block.0[lane..]),
            None => V::splat(0.0),
        }
    }

    #[inline(always)]
    fn map<V: Lanes>(&self, line: [V; A]) -> [V; A] {
        self.form.source(line)
    }

    #[inline(always)]
    fn write<V: Lanes>(&mut self, y: usize, x: usize, lane: usize, value: V) {
        value.store(&mut self.values[(y * A + x) * self.stride].0[lane..]);
    }
}

/// dx of a tile and a block of input channels.
struct TargetSquare<'a, F, const M: usize, const A: usize> {
    form: F,
    products: &'a [Block],
    stride: usize,
    plane: &'a mut [Block],
    positions: Positions<M>,
    accumulate: bool,
}

impl<F: Form<M, A>, const M: usize, const A: usize> BothWays<A, M> for TargetSquare<'_, F, M, A> {
    #[inline(always)]
    fn read<V: Lanes>(&self, y: usize, x: usize, lane: usize) -> V {
        V::load(&self.products[(y * A + x) * self.stride].0[lane..])
    }

    #[inline(always)]
    fn map<V: Lanes>(&self, line: [V; A]) -> [V; M] {
        self.form.output(line)
    }

    #[inline(always)]
    fn write<V: Lanes>(&mut self, y: usize, x: usize, lane: usize, value: V) {
        if let Some(block) = self.plane.get_mut(self.positions[y][x]) {
            let part = &mut block.0[lane..];
            let sum = if self.accumulate { V::load(part) + value } else { value };
            sum.store(part);
        }
    }
}
