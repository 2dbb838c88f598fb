//! The processor's limits: multiply-adds in registers a second, and bytes to and from memory a second.
//!
//! | function | work | bounds |
//! |---|---|---|
//! | [`multiply_add`] | twelve independent chains x ← x·a + b, no memory | arithmetic |
//! | [`read`] | Σ x | reading |
//! | [`write()`] | x ← c | writing |
//! | [`triad`] | z ← x + c·y | two streams in, one out |
//!
//! The caller times these functions; benchmarks compare kernels with the measured roofs.

use crate::tensor::Block;
use crate::{Kernel, LANES, Lanes, Level};
use std::array::from_fn;
use std::hint::black_box;

/// Chains of [`multiply_add`]: enough to hide a latency of 4–6 cycles on two ports, few enough for 16 registers.
const CHAINS: usize = 12;
/// Sums of [`read`] that do not wait for one another.
const SUMS: usize = 8;

/// Floating-point operations of [`multiply_add`]: two for each lane of each chain and iteration.
pub fn multiply_add_flops(level: Level, iterations: usize) -> u64 {
    (2 * CHAINS * level.width() * iterations) as u64
}

/// Multiplies and adds in registers alone; returns a number that depends on all of it.
pub fn multiply_add(level: Level, iterations: usize) -> f32 {
    level.run(MultiplyAdd { iterations, factor: black_box(0.5), term: black_box(0.25) })
}

struct MultiplyAdd {
    iterations: usize,
    factor: f32,
    term: f32,
}

impl Kernel for MultiplyAdd {
    type Output = f32;

    #[inline(always)]
    fn run<V: Lanes>(self) -> f32 {
        let (factor, term) = (V::splat(self.factor), V::splat(self.term));
        // The chains start apart, so that they cannot be seen to be one; all tend to term / (1 − factor).
        let mut chains: [V; CHAINS] = from_fn(|i| V::splat(i as f32));
        for _ in 0..self.iterations {
            for chain in &mut chains {
                *chain = chain.fma(factor, term);
            }
        }
        let mut lanes = [0.0; LANES];
        chains.into_iter().fold(V::splat(0.0), |sum, chain| sum + chain).store(&mut lanes);
        lanes.iter().sum()
    }
}

/// Reads `from` once; returns the sum of its numbers.
pub fn read(level: Level, from: &[Block]) -> f32 {
    level.run(Read(from))
}

struct Read<'a>(&'a [Block]);

impl Kernel for Read<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<V: Lanes>(self) -> f32 {
        let mut sums = [V::splat(0.0); SUMS];
        let floats: &[f32] = bytemuck::cast_slice(self.0);
        let runs = floats.chunks_exact(SUMS * V::WIDTH);
        let rest: f32 = runs.remainder().iter().sum();
        for run in runs {
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = *sum + V::load(&run[i * V::WIDTH..]);
            }
        }
        let mut lanes = [0.0; LANES];
        sums.into_iter().fold(V::splat(0.0), |all, sum| all + sum).store(&mut lanes);
        rest + lanes.iter().sum::<f32>()
    }
}

/// Overwrites `to` with `x`.
pub fn write(level: Level, to: &mut [Block], x: f32) {
    level.run(Write(to, x));
}

struct Write<'a>(&'a mut [Block], f32);

impl Kernel for Write<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let x = V::splat(self.1);
        for block in self.0 {
            (0..LANES).step_by(V::WIDTH).for_each(|from| x.store(&mut block.0[from..]));
        }
    }
}

/// Overwrites `to` with `x + factor·y`, over the shortest of the three.
pub fn triad(level: Level, x: &[Block], factor: f32, y: &[Block], to: &mut [Block]) {
    level.run(Triad { x, factor, y, to });
}

struct Triad<'a> {
    x: &'a [Block],
    factor: f32,
    y: &'a [Block],
    to: &'a mut [Block],
}

impl Kernel for Triad<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let factor = V::splat(self.factor);
        for ((x, y), to) in self.x.iter().zip(self.y).zip(self.to) {
            for from in (0..LANES).step_by(V::WIDTH) {
                let (x, y) = (V::load(&x.0[from..]), V::load(&y.0[from..]));
                y.fma(factor, x).store(&mut to.0[from..]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roofs_compute_what_they_say_at_every_level() {
        let x: Vec<Block> = (0..13).map(|i| Block([i as f32; LANES])).collect();
        let ones = vec![Block([1.0; LANES]); 13];
        for level in Level::available() {
            // Every lane of every chain has come to 0.25 / (1 − 0.5).
            let lanes = (CHAINS * level.width()) as f32;
            assert_eq!(multiply_add(level, 100), 0.5 * lanes, "{level}");
            assert_eq!(multiply_add_flops(level, 3), 6 * lanes as u64);
            assert_eq!(read(level, &x), 78.0 * LANES as f32, "{level}");
            let mut to = vec![Block::default(); 13];
            triad(level, &x, 2.0, &ones, &mut to);
            assert!((0..13).all(|i| to[i] == Block([i as f32 + 2.0; LANES])), "{level}");
            write(level, &mut to, 3.0);
            assert!(to.iter().all(|block| *block == Block([3.0; LANES])), "{level}");
        }
    }
}
