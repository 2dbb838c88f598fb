//! Batch norm's two passes of its own: statistics, and dy from dz. The affine map is part of the neurons.

use super::{Pass, SAMPLES, Subject, Worst, fill, normal, plane};
use spikegrad::data::rng::Rng;
use spikegrad::tensor::norm::{Affine, EPSILON, Statistics, backward_affine};
use spikegrad::tensor::{Block, Dims, Level, Tensor, Workers};
use spikegrad_testkit::norm as reference;

/// Operations of an element: y − k, its sum, its square, the square's sum.
const STATISTICS: u64 = 4;
/// Operations of an element: a·dz + (b·(y − mean) + c).
const AFFINE: u64 = 5;

/// Batch norm with its buffers.
pub struct NormSubject {
    level: Level,
    y: Tensor,
    dz: Tensor,
    /// A copy of y for the kernel to overwrite with dy.
    dy: Tensor,
    statistics: Statistics,
    coefficients: Vec<Affine>,
}

impl NormSubject {
    /// Fills the inputs.
    pub fn new(dims: Dims, level: Level, rng: &mut Rng) -> Self {
        let y = fill(dims, || 2.0 + 0.5 * rng.normal());
        let (dz, dy) = (normal(dims, rng), y.clone());
        let block = |x| Block([x; spikegrad::tensor::LANES]);
        let affine = Affine { a: block(0.5), mean: block(0.25), b: block(-0.5), c: block(0.125) };
        let statistics = Statistics::new(dims.blocks());
        Self { level, y, dz, dy, statistics, coefficients: vec![affine; dims.blocks()] }
    }

    fn statistics_error(&self, rng: &mut Rng) -> f64 {
        let d = self.y.dims();
        let mut worst = Worst::default();
        for _ in 0..SAMPLES {
            let c = rng.below(d.c);
            let y: Vec<f64> = (0..d.n).flat_map(|n| plane(&self.y, n, c)).collect();
            let norm = reference::Norm { n: d.n, c: 1, hw: d.pixels(), eps: EPSILON };
            let want = reference::norm_forward(&norm, &y, &[1.0], &[0.0]);
            let got = [self.statistics.mean[c], self.statistics.var[c]].map(f64::from);
            worst.take(got, [want.mean[0], want.var[0]]);
        }
        worst.share()
    }

    /// Recomputes a plane with the coefficients, in f64.
    fn affine_error(&self, rng: &mut Rng) -> f64 {
        let d = self.y.dims();
        let Affine { a, mean, b, c } = self.coefficients[0];
        let [a, mean, b, c] = [a, mean, b, c].map(|block| f64::from(block.0[0]));
        let mut worst = Worst::default();
        for _ in 0..SAMPLES {
            let (n, channel) = (rng.below(d.n), rng.below(d.c));
            let (y, dz) = (plane(&self.y, n, channel), plane(&self.dz, n, channel));
            let want = y.iter().zip(dz).map(|(y, dz)| a * dz + b * (y - mean) + c);
            worst.take(plane(&self.dy, n, channel), want);
        }
        worst.share()
    }
}

impl Subject for NormSubject {
    fn passes(&self) -> Vec<Pass> {
        let (elements, bytes) = (self.y.dims().len() as u64, self.y.bytes() as u64);
        let pass = |name, flops, bytes| Pass { name, flops, bytes, memory_bound: true };
        vec![
            pass("norm statistics", STATISTICS * elements, bytes),
            pass("norm gradient", AFFINE * elements, 3 * bytes),
        ]
    }

    fn prepare(&mut self, pass: usize) {
        if pass == 1 {
            self.dy.blocks_mut().copy_from_slice(self.y.blocks());
        }
    }

    fn run(&mut self, pass: usize, workers: &mut Workers) {
        match pass {
            0 => self.statistics.measure(&self.y, self.level, workers),
            _ => backward_affine(&self.coefficients, &self.dz, &mut self.dy, self.level, workers),
        }
    }

    fn error(&mut self, pass: usize, workers: &mut Workers) -> Option<f64> {
        self.prepare(pass);
        self.run(pass, workers);
        let mut rng = Rng::keyed(&[pass as u64]);
        Some(if pass == 0 { self.statistics_error(&mut rng) } else { self.affine_error(&mut rng) })
    }

    fn density(&self) -> f64 {
        1.0
    }
}
