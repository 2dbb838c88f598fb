//! The distance of a matrix's rows from an orthonormal set, and its gradient.
//!
//! ```text
//! f(W) = ‖W·Wᵀ − I‖²_F        ∂f/∂W = 4·D·W,  D = W·Wᵀ − I
//! for each chunk of columns:  D += W·Wᵀ of the chunk, on and below the diagonal    (register tiles)
//! for each chunk of columns:  ∂W += s·D·W of the chunk                             (register tiles)
//! ```
//! The shorter side stands for the rows: D is then as small as it can be, and s·D·W is the same, since
//! (W·Wᵀ − I)·W = W·(Wᵀ·W − I).
//!
//! To go faster: a chunk is packed so that sixteen rows (or columns) are a block, as channels are elsewhere, and
//! chunks and D stay in the second-level cache.

use crate::register_tile::{Product, blocks_at_once, cover};
use crate::tensor::{Block, LANES};
use crate::{Kernel, Lanes, Level, Scratch, Workspace};

/// Blocks of columns in a chunk.
const CHUNK: usize = 16;

/// Adds `scale`·(W·Wᵀ − I)·W to `grad` and returns ‖D‖²_F of the shorter side.
///
/// | argument | shape | access |
/// |---|---|---|
/// | `weight` | (rows, weight.len() / rows), row-major | read |
/// | `grad` | as `weight` | added to |
/// | `scratch` | grows once to D and two chunks | scratch |
///
/// Numerics: each product is summed in `f32` in an order that depends on the shape alone, the squares in `f64`.
///
/// # Panics
/// `grad` has another length than `weight`, or `rows` is 0.
pub fn add_gram_gradient(
    level: Level,
    scale: f32,
    rows: usize,
    weight: &[f32],
    grad: &mut [f32],
    scratch: &mut Scratch,
) -> f64 {
    assert_eq!(weight.len(), grad.len());
    let cols = weight.len() / rows;
    let side = if rows <= cols {
        Side { len: rows, step: cols, across: cols, across_step: 1 }
    } else {
        Side { len: cols, step: 1, across: rows, across_step: cols }
    };
    level.run(Gram { scale, side, weight, grad, scratch })
}

/// Returns the workspace of [`add_gram_gradient`] for a matrix of `rows` by `cols`.
pub fn workspace(rows: usize, cols: usize) -> Workspace {
    let blocks = rows.min(cols).div_ceil(LANES);
    Workspace { blocks: (blocks + 2 * CHUNK) * blocks * LANES, ..Workspace::default() }
}

/// The shorter side of a matrix and how to walk it.
#[derive(Clone, Copy)]
struct Side {
    len: usize,
    /// Distance of neighbours along the side.
    step: usize,
    /// Length of the other side.
    across: usize,
    across_step: usize,
}

impl Side {
    fn blocks(self) -> usize {
        self.len.div_ceil(LANES)
    }

    /// The chunks of the other side: first block and count of blocks.
    fn chunks(self) -> impl Iterator<Item = (usize, usize)> {
        let blocks = self.across.div_ceil(LANES);
        (0..blocks).step_by(CHUNK).map(move |first| (first, CHUNK.min(blocks - first)))
    }

    /// Packs some blocks of the other side as [block][position on the side][sixteen], zero past either end.
    fn pack(self, weight: &[f32], first: usize, packed: &mut [Block]) {
        let padded = self.blocks() * LANES;
        for (block, packed) in packed.chunks_mut(padded).enumerate() {
            let from = (first + block) * LANES;
            let lanes = LANES.min(self.across - from);
            for (i, to) in packed.iter_mut().enumerate() {
                *to = Block::default();
                if i < self.len {
                    let values = weight[i * self.step + from * self.across_step..].iter();
                    to.0[..lanes].iter_mut().zip(values.step_by(self.across_step)).for_each(|(x, w)| *x = *w);
                }
            }
        }
    }
}

/// Transposes a matrix of blocks: [block of a][b][sixteen a] becomes [block of b][a][sixteen b].
fn transpose(from: &[Block], b: usize, to: &mut [Block]) {
    let a = to.len() / b * LANES;
    for (block, to) in to.chunks_mut(a).enumerate() {
        for (i, to) in to.iter_mut().enumerate() {
            let column = &from[i / LANES * b + block * LANES..][..LANES];
            to.0 = std::array::from_fn(|l| column[l].0[i % LANES]);
        }
    }
}

struct Gram<'a> {
    scale: f32,
    side: Side,
    weight: &'a [f32],
    grad: &'a mut [f32],
    scratch: &'a mut Scratch,
}

impl Kernel for Gram<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<V: Lanes>(self) -> f64 {
        let Self { scale, side, weight, grad, scratch } = self;
        let (blocks, padded) = (side.blocks(), side.blocks() * LANES);
        let chunk = CHUNK * padded;
        let (d, rest) = scratch.blocks(blocks * padded + 2 * chunk).split_at_mut(blocks * padded);
        let (packed, other) = rest.split_at_mut(chunk);
        d.fill(Block::default());
        for (first, count) in side.chunks() {
            let (packed, turned) = (&mut packed[..count * padded], &mut other[..count * padded]);
            side.pack(weight, first, packed);
            transpose(packed, padded, turned);
            lower_half::<V>(blocks, packed, turned, d);
        }
        let square = finish(side.len, scale, d);
        for (first, count) in side.chunks() {
            let (packed, sums) = (&mut packed[..count * padded], &mut other[..count * padded]);
            side.pack(weight, first, packed);
            sums.fill(Block::default());
            products::<V>(count, d, packed, sums);
            for (block, sums) in sums.chunks(padded).enumerate() {
                let from = (first + block) * LANES;
                let lanes = LANES.min(side.across - from);
                for (i, sums) in sums[..side.len].iter().enumerate() {
                    let grad = grad[i * side.step + from * side.across_step..].iter_mut();
                    grad.step_by(side.across_step).zip(&sums.0[..lanes]).for_each(|(g, sum)| *g += sum);
                }
            }
        }
        square
    }
}

/// Adds a chunk's W·Wᵀ to D as [block of j][i][sixteen j], i from the block's first j on.
#[inline(always)]
fn lower_half<V: Lanes>(blocks: usize, packed: &[Block], turned: &[Block], d: &mut [Block]) {
    let (padded, chunk) = (blocks * LANES, packed.len() / blocks);
    for j in (0..blocks).step_by(blocks_at_once::<V>()) {
        let wide = blocks_at_once::<V>().min(blocks - j);
        let first = j * LANES;
        let mut product = Product {
            values: &packed[first..],
            value_stride: padded,
            filters: &turned[j * chunk..],
            filter_stride: chunk,
            inner: chunk / LANES,
            products: &mut d[j * padded + first..],
            product_stride: padded,
            accumulate: true,
        };
        cover::<V>(wide, padded - first, &mut product);
    }
}

/// Adds D·W of a chunk of `count` blocks to `sums`, as [block][i][sixteen].
#[inline(always)]
fn products<V: Lanes>(count: usize, d: &[Block], packed: &[Block], sums: &mut [Block]) {
    let padded = packed.len() / count;
    for block in (0..count).step_by(blocks_at_once::<V>()) {
        let wide = blocks_at_once::<V>().min(count - block);
        let mut product = Product {
            values: d,
            value_stride: padded,
            filters: &packed[block * padded..],
            filter_stride: padded,
            inner: padded / LANES,
            products: &mut sums[block * padded..],
            product_stride: padded,
            accumulate: true,
        };
        cover::<V>(wide, padded, &mut product);
    }
}

/// Subtracts I from D, sums the squares, scales D, and mirrors the part below the diagonal.
fn finish(len: usize, scale: f32, d: &mut [Block]) -> f64 {
    let padded = len.next_multiple_of(LANES);
    let mut square = 0.0;
    for i in 0..len {
        d[i / LANES * padded + i].0[i % LANES] -= 1.0;
        for j in 0..=i {
            let at = d[j / LANES * padded + i].0[j % LANES];
            square += f64::from(at) * f64::from(at) * if i == j { 1.0 } else { 2.0 };
            d[j / LANES * padded + i].0[j % LANES] = scale * at;
            d[i / LANES * padded + j].0[i % LANES] = scale * at;
        }
    }
    square
}
