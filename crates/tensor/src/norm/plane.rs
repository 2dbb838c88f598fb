//! Mean and spread of a single plane.

use crate::tensor::{Block, LANES};
use crate::{Lanes, with_registers};
use std::array::from_fn;

/// Values added up in `f32` before a sum moves to `f64`.
const RUN: usize = 64;

/// Mean and spread of one plane, for each channel of its block.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PlaneMoments {
    pub mean: [f64; LANES],
    pub spread: [f64; LANES],
}

impl PlaneMoments {
    /// Measures a plane.
    #[inline(always)]
    pub fn of<V: Lanes>(plane: &[Block]) -> Self {
        let (sum, square) = with_registers!(V, H => sums::<V, H>(plane));
        let (pivot, pixels) = (&plane[0].0, plane.len() as f64);
        Self {
            mean: from_fn(|l| f64::from(pivot[l]) + sum[l] / pixels),
            spread: from_fn(|l| (square[l] - sum[l] * sum[l] / pixels).max(0.0)),
        }
    }
}

/// Σ(y − k) and Σ(y − k)² of each channel, k the plane's first value.
#[inline(always)]
fn sums<V: Lanes, const H: usize>(plane: &[Block]) -> ([f64; LANES], [f64; LANES]) {
    let pivot: [V; H] = super::registers(&plane[0]);
    let (mut sums, mut squares) = ([0.0; LANES], [0.0; LANES]);
    for run in plane.chunks(RUN) {
        let (mut sum, mut square) = ([V::splat(0.0); H], [V::splat(0.0); H]);
        for block in run {
            for h in 0..H {
                let y = V::load(&block.0[h * V::WIDTH..]) - pivot[h];
                sum[h] = sum[h] + y;
                square[h] = square[h] + y * y;
            }
        }
        for (sums, run) in [(&mut sums, sum), (&mut squares, square)] {
            let mut lanes = [0.0; LANES];
            run.iter().zip(lanes.chunks_mut(V::WIDTH)).for_each(|(run, lanes)| run.store(lanes));
            sums.iter_mut().zip(lanes).for_each(|(sum, lane)| *sum += f64::from(lane));
        }
    }
    (sums, squares)
}
