//! The register tile of dense kernels, a run of P pixels × B blocks of output channels, and products in such tiles.

use crate::Lanes;
use crate::tensor::{Block, LANES};

/// Accumulators of P outputs × B blocks × H vectors a block.
pub(crate) type Tile<V, const B: usize, const H: usize, const P: usize> = [[[V; H]; B]; P];

/// Neighbouring outputs that are computed a register tile at a time.
pub(crate) trait Run {
    /// Computes outputs `first..first + P` of B neighbouring blocks, each of H vectors.
    fn tile<V: Lanes, const B: usize, const H: usize, const P: usize>(&mut self, first: usize);
}

/// Blocks of output channels that a tile covers at most.
///
/// An operand of a multiply-add that comes from memory costs a load; two blocks share it. Narrow vectors
/// share it among the vectors of one block.
#[inline(always)]
pub(crate) fn blocks_at_once<V: Lanes>() -> usize {
    if V::REGISTERS == 1 { 2 } else { 1 }
}

/// Covers `count` outputs of `blocks` ≤ [`blocks_at_once`] blocks with tiles: the widest that the registers
/// hold, narrower ones at the end.
///
/// A tile needs P·B·H accumulators, B·H vectors of weights and one pixel value. Eight accumulators keep two FMA
/// units of four cycles' latency busy, so 8 = 4 + 4 rather than 6 + 2, and 16 = 8 + 8 rather than 12 + 4.
#[inline(always)]
pub(crate) fn cover<V: Lanes>(blocks: usize, count: usize, run: &mut impl Run) {
    let mut done = 0;
    while done < count {
        done += match (V::REGISTERS, blocks, count - done) {
            (1, 2, 12..16 | 20..) => tile::<V, 2, 1, 12>(run, done),
            (1, 2, 8..) => tile::<V, 2, 1, 8>(run, done),
            (1, 2, 4..) => tile::<V, 2, 1, 4>(run, done),
            (1, 2, _) => tile::<V, 2, 1, 1>(run, done),
            (1, _, 16..) => tile::<V, 1, 1, 16>(run, done),
            (1, _, 8..) => tile::<V, 1, 1, 8>(run, done),
            (1, _, 4..) => tile::<V, 1, 1, 4>(run, done),
            (1, _, _) => tile::<V, 1, 1, 1>(run, done),
            (2, _, 6 | 7 | 9..) => tile::<V, 1, 2, 6>(run, done),
            (2, _, 4..) => tile::<V, 1, 2, 4>(run, done),
            (2, _, 2..) => tile::<V, 1, 2, 2>(run, done),
            (2, _, _) => tile::<V, 1, 2, 1>(run, done),
            (4, _, 2..) => tile::<V, 1, 4, 2>(run, done),
            (4, _, _) => tile::<V, 1, 4, 1>(run, done),
            _ => unreachable!("a block fills 1, 2 or 4 registers"),
        };
    }
}

#[inline(always)]
fn tile<V: Lanes, const B: usize, const H: usize, const P: usize>(run: &mut impl Run, first: usize) -> usize {
    run.tile::<V, B, H, P>(first);
    P
}

/// `acc[p][b] += Σ_k pixels[p][k] · rows[b][k]`, k < `depth`.
#[inline(always)]
pub(crate) fn add_outer<V: Lanes, const B: usize, const H: usize, const P: usize>(
    acc: &mut Tile<V, B, H, P>,
    depth: usize,
    pixels: [&Block; P],
    rows: [&[Block; LANES]; B],
) {
    for k in 0..depth.min(LANES) {
        let rows: [[V; H]; B] = rows.map(|rows| std::array::from_fn(|h| V::load(&rows[k].0[h * V::WIDTH..])));
        for p in 0..P {
            let x = V::splat(pixels[p].0[k]);
            for b in 0..B {
                for h in 0..H {
                    acc[p][b][h] = x.fma(rows[b][h], acc[p][b][h]);
                }
            }
        }
    }
}

/// The sixteen rows of each of B blocks, whose rows begin `stride` apart.
#[inline(always)]
pub(crate) fn rows_of<const B: usize>(rows: &[Block], stride: usize) -> [&[Block; LANES]; B] {
    std::array::from_fn(|b| &rows[b * stride..].as_chunks().0[0])
}

/// A matrix product of blocks: `products[c][p]` = Σ_b Σ_k `values[b][p]`[k] · `filters[c][b·16 + k]`.
pub(crate) struct Product<'a> {
    /// `values[b][p]` at b·`value_stride` + p.
    pub values: &'a [Block],
    pub value_stride: usize,
    /// A row for each k: `filters[c]` begins at c·`filter_stride`.
    pub filters: &'a [Block],
    pub filter_stride: usize,
    /// Blocks b.
    pub inner: usize,
    /// `products[c][p]` at c·`product_stride` + p.
    pub products: &'a mut [Block],
    pub product_stride: usize,
    /// Whether products are added to what is there.
    pub accumulate: bool,
}

impl Run for Product<'_> {
    #[inline(always)]
    fn tile<V: Lanes, const B: usize, const H: usize, const P: usize>(&mut self, first: usize) {
        let mut acc = [[[V::splat(0.0); H]; B]; P];
        for b in 0..self.inner {
            let values = &self.values[b * self.value_stride + first..][..P];
            let rows = rows_of(&self.filters[b * LANES..], self.filter_stride);
            add_outer::<V, B, H, P>(&mut acc, LANES, std::array::from_fn(|p| &values[p]), rows);
        }
        for (p, acc) in acc.into_iter().enumerate() {
            for (c, acc) in acc.into_iter().enumerate() {
                let product = &mut self.products[c * self.product_stride + first + p];
                for (part, sum) in product.0.chunks_exact_mut(V::WIDTH).zip(acc) {
                    let sum = if self.accumulate { V::load(part) + sum } else { sum };
                    sum.store(part);
                }
            }
        }
    }
}
