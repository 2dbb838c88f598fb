//! Batch normalisation over (time, batch, rows, columns): statistics, running estimates, gradients.
//!
//! ```text
//! x̂ = (y − mean) · inv_std        inv_std = 1/√(var + ε)        z = γ·x̂ + β
//! dβ = Σ dz      dγ = Σ dz·x̂      dy = γ·inv_std·(dz − dβ/M − x̂·dγ/M)        M = images · pixels
//! ```
//! The affine map and the two sums are fused into the neuron's passes; this file has the rest.

use crate::tensor::{Block, LANES, Tensor};
use crate::{Kernel, Lanes, Level, Workers};
use std::array::from_fn;

/// PyTorch's ε.
pub const EPSILON: f64 = 1e-5;
/// PyTorch's momentum of the running estimates.
pub const MOMENTUM: f32 = 0.1;
/// Image groups that sums are cut into, whatever the thread count.
const GROUPS: usize = 16;

/// Mean and 1/√(var + ε) of each channel, padded to whole blocks.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// Mean of each channel.
    pub mean: Vec<f32>,
    /// 1/√(variance + ε) of each channel.
    pub inv_std: Vec<f32>,
    /// Variance of each channel, biased.
    pub var: Vec<f32>,
    partial: Vec<[f64; 2 * LANES]>,
}

impl Statistics {
    /// Makes room for `blocks` channel blocks of a tensor of `images` images.
    pub fn new(images: usize, blocks: usize) -> Self {
        let lanes = vec![0.0; blocks * LANES];
        let partial = vec![[0.0; 2 * LANES]; blocks * GROUPS.min(images.max(1))];
        Self { mean: lanes.clone(), inv_std: lanes.clone(), var: lanes, partial }
    }

    /// Measures mean and variance of each channel of `y`.
    ///
    /// Numerics: sums of y − k and (y − k)² with k the channel's first value, so that a large mean cancels
    /// nothing; `f32` within an image row of blocks, `f64` across; fixed order.
    pub fn measure(&mut self, y: &Tensor, level: Level, workers: &mut Workers) {
        let d = y.dims();
        let (blocks, hw) = (d.blocks(), d.pixels());
        let groups = self.partial.len() / blocks;
        workers.run(self.partial.iter_mut().enumerate(), |(task, sums), _| {
            let (group, block) = (task / blocks, task % blocks);
            let images = group * d.n / groups..(group + 1) * d.n / groups;
            let pivot = &y.blocks()[block * hw];
            *sums = [0.0; 2 * LANES];
            for n in images {
                let plane = &y.blocks()[(n * blocks + block) * hw..][..hw];
                level.run(Moments { plane, pivot, sums });
            }
        });
        let count = (d.n * hw) as f64;
        for c in 0..d.c {
            let (block, lane) = (c / LANES, c % LANES);
            let total = |at: usize| (0..groups).map(|g| self.partial[g * blocks + block][at]).sum::<f64>();
            let (mean, square) = (total(lane) / count, total(LANES + lane) / count);
            let var = (square - mean * mean).max(0.0);
            self.mean[c] = (mean + f64::from(y.blocks()[block * hw].0[lane])) as f32;
            self.var[c] = var as f32;
            self.inv_std[c] = (1.0 / (var + EPSILON).sqrt()) as f32;
        }
    }

    /// Takes mean and variance from running estimates, for inference.
    pub fn set(&mut self, mean: &[f32], var: &[f32]) {
        for (c, (&mean, &var)) in mean.iter().zip(var).enumerate() {
            self.mean[c] = mean;
            self.var[c] = var;
            self.inv_std[c] = (1.0 / (f64::from(var) + EPSILON).sqrt()) as f32;
        }
    }

    /// Moves running estimates towards the measured ones: r += 0.1·(batch − r), variance unbiased over `count`.
    pub fn update_running(&self, count: usize, mean: &mut [f32], var: &mut [f32]) {
        let unbias = count as f32 / (count.max(2) - 1) as f32;
        for (c, (mean, var)) in mean.iter_mut().zip(var).enumerate() {
            *mean += MOMENTUM * (self.mean[c] - *mean);
            *var += MOMENTUM * (self.var[c] * unbias - *var);
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        12 * self.mean.len() + size_of_val(self.partial.as_slice())
    }
}

struct Moments<'a> {
    plane: &'a [Block],
    pivot: &'a Block,
    sums: &'a mut [f64; 2 * LANES],
}

impl Kernel for Moments<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        match V::WIDTH {
            16 => self.add::<V, 1>(),
            8 => self.add::<V, 2>(),
            _ => self.add::<V, 4>(),
        }
    }
}

impl Moments<'_> {
    #[inline(always)]
    fn add<V: Lanes, const H: usize>(self) {
        let pivot: [V; H] = registers(self.pivot);
        for run in self.plane.chunks(64) {
            let (mut sum, mut square) = ([V::splat(0.0); H], [V::splat(0.0); H]);
            for block in run {
                for h in 0..H {
                    let y = V::load(&block.0[h * V::WIDTH..]) - pivot[h];
                    sum[h] = sum[h] + y;
                    square[h] = square[h] + y * y;
                }
            }
            let mut lanes = [0.0; 2 * LANES];
            for h in 0..H {
                sum[h].store(&mut lanes[h * V::WIDTH..]);
                square[h].store(&mut lanes[LANES + h * V::WIDTH..]);
            }
            self.sums.iter_mut().zip(lanes).for_each(|(sum, lane)| *sum += f64::from(lane));
        }
    }
}

/// Turns y into dy = a·dz + b·(y − mean) + c with the coefficients of each channel.
///
/// | argument | shape | access |
/// |---|---|---|
/// | `coefficients` | [`Affine`] for each channel block | read |
/// | `dz` | (n, c, h, w) | read |
/// | `y` | (n, c, h, w) | read, then overwritten with dy |
pub fn backward_affine(
    coefficients: &[Affine],
    dz: &Tensor,
    y: &mut Tensor,
    level: Level,
    workers: &mut Workers,
) {
    let (d, hw) = (y.dims(), y.dims().pixels());
    assert_eq!(d, dz.dims());
    let planes = dz.blocks().chunks(hw).zip(y.blocks_mut().chunks_mut(hw));
    workers.run(planes.enumerate(), |(task, (dz, y)), _| {
        level.run(AffinePlane { affine: &coefficients[task % d.blocks()], dz, y });
    });
}

/// Coefficients of dy = a·dz + b·(y − mean) + c for a channel block.
#[derive(Clone, Copy, Debug, Default)]
pub struct Affine {
    /// Factor of dz.
    pub a: Block,
    /// Mean of y.
    pub mean: Block,
    /// Factor of y − mean.
    pub b: Block,
    /// Constant.
    pub c: Block,
}

struct AffinePlane<'a> {
    affine: &'a Affine,
    dz: &'a [Block],
    y: &'a mut [Block],
}

impl Kernel for AffinePlane<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        match V::WIDTH {
            16 => self.apply::<V, 1>(),
            8 => self.apply::<V, 2>(),
            _ => self.apply::<V, 4>(),
        }
    }
}

impl AffinePlane<'_> {
    #[inline(always)]
    fn apply<V: Lanes, const H: usize>(self) {
        let Affine { a, mean, b, c } = self.affine;
        let (a, mean): ([V; H], [V; H]) = (registers(a), registers(mean));
        let (b, c): ([V; H], [V; H]) = (registers(b), registers(c));
        for (dz, y) in self.dz.iter().zip(self.y) {
            for (h, from) in (0..H).map(|h| (h, h * V::WIDTH)) {
                let (dz, centred) = (V::load(&dz.0[from..]), V::load(&y.0[from..]) - mean[h]);
                (a[h] * dz + (b[h] * centred + c[h])).store(&mut y.0[from..]);
            }
        }
    }
}

/// A block in H registers.
#[inline(always)]
fn registers<V: Lanes, const H: usize>(block: &Block) -> [V; H] {
    from_fn(|h| V::load(&block.0[h * V::WIDTH..]))
}
