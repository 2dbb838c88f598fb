//! Batch normalisation over (time, batch, rows, columns): statistics, running estimates, gradients.
//!
//! ```text
//! x̂ = (y − mean) · inv_std        inv_std = 1/√(var + ε)        z = γ·x̂ + β
//! dβ = Σ dz      dγ = Σ dz·x̂      dy = γ·inv_std·(dz − dβ/M − x̂·dγ/M)        M = images · pixels
//! ```
//! The neurons' passes compute the affine map and the two sums; this module computes the rest.

mod moments;
pub(crate) mod plane;

pub(crate) use moments::measure as measure_planes;
pub(crate) use plane::PlaneMoments;

use crate::memory::{NoMemory, try_vec};
use crate::parallel::resized;
use crate::tensor::{Block, Dims, LANES, Tensor};
use crate::{Kernel, Lanes, Level, Workers, with_registers};
use std::array::from_fn;

/// ε, PyTorch's default.
pub const EPSILON: f64 = 1e-5;
/// The momentum of the running estimates, PyTorch's default.
pub const MOMENTUM: f32 = 0.1;
/// Mean and 1/√(var + ε) of each channel, padded to whole blocks.
#[doc(alias = "eq-batch-norm")]
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// Mean of each channel.
    pub mean: Vec<f32>,
    /// 1/√(variance + ε) of each channel.
    pub inv_std: Vec<f32>,
    /// Variance of each channel, biased.
    pub var: Vec<f32>,
}

impl Statistics {
    /// Makes room for `blocks` channel blocks.
    pub fn new(blocks: usize) -> Self {
        let lanes = vec![0.0; blocks * LANES];
        Self { mean: lanes.clone(), inv_std: lanes.clone(), var: lanes }
    }

    /// Makes room for `blocks` channel blocks, as [`Statistics::new`] does.
    ///
    /// # Errors
    /// There is no memory for them.
    pub fn try_new(blocks: usize) -> Result<Self, NoMemory> {
        let lanes = || try_vec(blocks * LANES, 0.0);
        Ok(Self { mean: lanes()?, inv_std: lanes()?, var: lanes()? })
    }

    /// Measures mean and variance of each channel of `y`.
    ///
    /// Numerics: each plane by itself, sums of y − k and (y − k)² with k its first value, so that a large mean
    /// cancels nothing; `f32` within 64 pixels, `f64` across; fixed order.
    ///
    /// # Panics
    /// The statistics were made for fewer channel blocks than `y` has.
    pub fn measure(&mut self, y: &Tensor, level: Level, workers: &mut Workers) {
        let mut borrowed = workers.moments();
        let (moments, workers) = borrowed.split();
        let planes = resized(moments, y.dims().planes());
        measure_planes(y, planes, level, workers);
        self.gather(y.dims(), planes, workers);
    }

    /// Measures mean and variance of each channel over each of `groups` equal runs of images by itself: a row a group.
    ///
    /// # Panics
    /// The statistics were not made for so many groups, or they do not divide the images.
    pub fn measure_groups(&mut self, y: &Tensor, groups: usize, level: Level, workers: &mut Workers) {
        let d = y.dims();
        assert!(d.n.is_multiple_of(groups), "{groups} groups of {} images", d.n);
        let group = Dims { n: d.n / groups, ..d };
        let lanes = d.blocks() * LANES;
        let mut borrowed = workers.moments();
        let (moments, workers) = borrowed.split();
        let planes = resized(moments, d.planes());
        measure_planes(y, planes, level, workers);
        for (g, planes) in planes.chunks(group.planes()).enumerate() {
            let rows = [&mut self.mean, &mut self.inv_std, &mut self.var];
            let [mean, inv_std, var] = rows.map(|all| &mut all[g * lanes..][..lanes]);
            gather(group, planes, (mean, inv_std, var), workers);
        }
    }

    /// Computes the batch's statistics from every plane's moments, image by image.
    ///
    /// ```text
    /// mean = Σ mean_p / planes      var = (Σ spread_p + P·Σ (mean_p − mean)²) / (planes·P)
    /// ```
    pub(crate) fn gather(&mut self, d: Dims, moments: &[PlaneMoments], workers: &mut Workers) {
        gather(d, moments, (&mut self.mean, &mut self.inv_std, &mut self.var), workers);
    }

    /// Takes mean and variance from running estimates, for inference.
    ///
    /// # Panics
    /// The statistics were made for fewer channels.
    pub fn set(&mut self, mean: &[f32], var: &[f32]) {
        self.set_at(0, mean, var);
    }

    /// Takes mean and variance from running estimates as [`Statistics::set`] does, for the row whose first channel is at
    /// `first`.
    ///
    /// # Panics
    /// The statistics were made for fewer channels.
    pub fn set_at(&mut self, first: usize, mean: &[f32], var: &[f32]) {
        for (c, (&mean, &var)) in (first..).zip(mean.iter().zip(var)) {
            self.mean[c] = mean;
            self.var[c] = var;
            self.inv_std[c] = (1.0 / (f64::from(var) + EPSILON).sqrt()) as f32;
        }
    }

    /// Moves running estimates towards the measured ones: r += 0.1·(batch − r), variance unbiased over `count`.
    ///
    /// # Panics
    /// The estimates have more channels than the statistics.
    pub fn update_running(&self, count: usize, mean: &mut [f32], var: &mut [f32]) {
        self.update_running_at(0, count, mean, var);
    }

    /// Moves running estimates as [`Statistics::update_running`] does, towards the row whose first channel is at `first`.
    ///
    /// # Panics
    /// The estimates have more channels than the statistics.
    pub fn update_running_at(&self, first: usize, count: usize, mean: &mut [f32], var: &mut [f32]) {
        let unbias = count as f32 / (count.max(2) - 1) as f32;
        for (c, (mean, var)) in (first..).zip(mean.iter_mut().zip(var)) {
            *mean += MOMENTUM * (self.mean[c] - *mean);
            *var += MOMENTUM * (self.var[c] * unbias - *var);
        }
    }

    /// The bytes of the statistics of one channel; padding channels count as well.
    pub const BYTES: usize = 3 * size_of::<f32>();
}

/// Gathers the moments of planes to mean, 1/√(var + ε) and variance of each channel.
fn gather(
    d: Dims,
    moments: &[PlaneMoments],
    (mean, inv_std, var): (&mut [f32], &mut [f32], &mut [f32]),
    workers: &mut Workers,
) {
    let (planes, pixels) = (d.n as f64, d.pixels() as f64);
    let (mean, var) = (mean.chunks_mut(LANES), var.chunks_mut(LANES));
    let channels = mean.zip(var).zip(inv_std.chunks_mut(LANES));
    workers.run(channels.enumerate(), |(block, ((mean, var), inv_std)), _| {
        let of_block = || moments[block..].iter().step_by(d.blocks());
        let (mut means, mut spreads) = ([0.0; LANES], [0.0; LANES]);
        for plane in of_block() {
            means.iter_mut().zip(plane.mean).for_each(|(mean, of_plane)| *mean += of_plane / planes);
        }
        for plane in of_block() {
            for (l, spread) in spreads.iter_mut().enumerate() {
                *spread += plane.spread[l] + pixels * (plane.mean[l] - means[l]).powi(2);
            }
        }
        for l in 0..LANES.min(d.c - block * LANES) {
            let variance = spreads[l] / (planes * pixels);
            (mean[l], var[l]) = (means[l] as f32, variance as f32);
            inv_std[l] = (1.0 / (variance + EPSILON).sqrt()) as f32;
        }
    });
}

/// Turns y into dy = a·dz + b·(y − mean) + c with the coefficients of each channel.
///
/// | argument | shape | access |
/// |---|---|---|
/// | `coefficients` | [`Affine`] for each channel block; or a row of them for each of equal runs of images | read |
/// | `dz` | (n, c, h, w) | read |
/// | `y` | (n, c, h, w) | read, then overwritten with dy |
///
/// # Panics
/// `dz` and `y` differ in size, a channel block has no coefficients, or the rows do not divide the images.
pub fn backward_affine(
    coefficients: &[Affine],
    dz: &Tensor,
    y: &mut Tensor,
    level: Level,
    workers: &mut Workers,
) {
    let (d, hw) = (y.dims(), y.dims().pixels());
    assert_eq!(d, dz.dims());
    let rows = coefficients.len() / d.blocks();
    assert!(d.n.is_multiple_of(rows.max(1)), "{rows} rows of coefficients for {} images", d.n);
    let run = d.planes() / rows.max(1);
    let planes = dz.blocks().chunks(hw).zip(y.blocks_mut().chunks_mut(hw));
    workers.run(planes.enumerate(), |(task, (dz, y)), _| {
        let affine = &coefficients[task / run * d.blocks() + task % d.blocks()];
        level.run(AffinePlane { affine, dz, y });
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
        with_registers!(V, H => self.apply::<V, H>())
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
