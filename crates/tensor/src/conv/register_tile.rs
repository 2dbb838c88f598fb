//! The register tile of dense kernels: a run of P pixels × one block of output channels.

use crate::Lanes;
use crate::tensor::{Block, LANES};

/// Neighbouring outputs that are computed a register tile at a time.
pub(super) trait Run {
    /// Computes outputs `first..first + P`, each a block of H vectors.
    fn tile<V: Lanes, const H: usize, const P: usize>(&mut self, first: usize);
}

/// Covers `count` outputs with tiles: the widest that the registers hold, narrower ones at the end.
///
/// A tile needs P·H accumulators, H vectors of weights and one pixel value. Eight accumulators keep two FMA
/// units of four cycles' latency busy, so 8 = 4 + 4 rather than 6 + 2.
#[inline(always)]
pub(super) fn cover<V: Lanes>(count: usize, run: &mut impl Run) {
    let mut done = 0;
    while done < count {
        done += match (V::WIDTH, count - done) {
            (16, 16..) => tile::<V, 1, 16>(run, done),
            (16, 8..) => tile::<V, 1, 8>(run, done),
            (16, 4..) => tile::<V, 1, 4>(run, done),
            (16, _) => tile::<V, 1, 1>(run, done),
            (8, 6 | 7 | 9..) => tile::<V, 2, 6>(run, done),
            (8, 4..) => tile::<V, 2, 4>(run, done),
            (8, 2..) => tile::<V, 2, 2>(run, done),
            (8, _) => tile::<V, 2, 1>(run, done),
            (_, 2..) => tile::<V, 4, 2>(run, done),
            _ => tile::<V, 4, 1>(run, done),
        };
    }
}

#[inline(always)]
fn tile<V: Lanes, const H: usize, const P: usize>(run: &mut impl Run, first: usize) -> usize {
    run.tile::<V, H, P>(first);
    P
}

/// `acc[p] += Σ_k pixels[p][k] · rows[k]`.
#[inline(always)]
pub(super) fn add_outer<V: Lanes, const H: usize, const P: usize>(
    acc: &mut [[V; H]; P],
    pixels: [&Block; P],
    rows: &[Block; LANES],
) {
    for (k, row) in rows.iter().enumerate() {
        let row: [V; H] = std::array::from_fn(|h| V::load(&row.0[h * V::WIDTH..]));
        for p in 0..P {
            let x = V::splat(pixels[p].0[k]);
            for h in 0..H {
                acc[p][h] = x.fma(row[h], acc[p][h]);
            }
        }
    }
}
