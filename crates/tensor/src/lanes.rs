//! The vocabulary of kernels: a vector of `f32` whose width depends on the instruction set.
//!
//! A kernel is written once over [`Lanes`] and entered through [`Level::run`](crate::Level::run), which
//! compiles it for each instruction set. The vector types themselves cannot be named outside this crate: a
//! kernel holding one is the proof that the processor has the instructions.

use crate::tensor::LANES;
use std::ops::{Add, Div, Mul, Sub};

/// A vector of [`Self::WIDTH`] floats of one instruction set.
pub trait Lanes:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + sealed::Sealed
{
    /// Floats in the vector: 4, 8 or 16.
    const WIDTH: usize;
    /// Vectors that hold a block of sixteen channels: 4, 2 or 1. A vector of another width does not compile.
    const REGISTERS: usize = {
        assert!(matches!(Self::WIDTH, 4 | 8 | 16), "kernels are written for vectors of 4, 8 and 16 floats");
        LANES / Self::WIDTH
    };
    /// One truth value a lane.
    type Mask: Copy;
    /// Fills all lanes with `x`.
    fn splat(x: f32) -> Self;
    /// Loads the first `WIDTH` floats of `src`.
    ///
    /// # Panics
    /// `src` has fewer floats.
    fn load(src: &[f32]) -> Self;
    /// Stores to the first `WIDTH` floats of `dst`.
    ///
    /// # Panics
    /// `dst` has fewer floats.
    fn store(self, dst: &mut [f32]);
    /// `self · b + c`, rounded once where the instruction set can.
    fn fma(self, b: Self, c: Self) -> Self;
    /// Lane-wise maximum; the second operand where a lane is NaN.
    fn max(self, other: Self) -> Self;
    /// Lanes where `self > other`; false for NaN.
    fn gt(self, other: Self) -> Self::Mask;
    /// `a` where the mask holds, `b` elsewhere.
    fn select(mask: Self::Mask, a: Self, b: Self) -> Self;
    /// The mask as bits, lane 0 in bit 0.
    fn bits(mask: Self::Mask) -> u32;
    /// The mask whose lane `i` is bit `i`.
    fn from_bits(bits: u32) -> Self::Mask;

    /// Asks for the cache line of `src[0]`, for a later load; a hint without effect on results.
    #[inline(always)]
    fn prefetch(_src: &[f32]) {}

    /// Transposes sixteen words of sixteen bits: bit j of word i becomes bit i of word j.
    #[inline(always)]
    fn transpose_bits(words: &[u16; 16]) -> [u16; 16] {
        transpose_by_quarters(*words)
    }

    /// Absolute value.
    #[inline(always)]
    fn abs(self) -> Self {
        self.max(Self::splat(0.0) - self)
    }

    /// Applies `f` lane by lane, for functions without a vector form.
    #[inline(always)]
    fn map(self, f: impl Fn(f32) -> f32) -> Self {
        let mut lanes = [0.0; 16];
        self.store(&mut lanes);
        for x in &mut lanes[..Self::WIDTH] {
            *x = f(*x);
        }
        Self::load(&lanes)
    }
}

/// Swaps two quarters of the square of bits, then two quarters of each quarter, … (Hacker's Delight, 7–3).
#[inline(always)]
fn transpose_by_quarters(mut words: [u16; 16]) -> [u16; 16] {
    let mut mask = 0x00ffu16;
    let mut far = 8;
    while far > 0 {
        for i in (0..16).filter(|i| i & far == 0) {
            let swap = (words[i] >> far ^ words[i + far]) & mask;
            words[i] ^= swap << far;
            words[i + far] ^= swap;
        }
        far /= 2;
        mask ^= mask << far;
    }
    words
}

/// Evaluates an expression with the constant `$registers` set to [`Lanes::REGISTERS`] of the vector type `$vector`.
///
/// A generic function cannot pass `V::REGISTERS` on as a const parameter. The macro therefore compiles the expression
/// once for each number of registers and selects by the constant of the vector type.
///
/// ```
/// use spikegrad_tensor::{Block, Kernel, Lanes, Level, with_registers};
///
/// struct Sum<'a>(&'a Block);
///
/// fn sum<V: Lanes, const H: usize>(block: &Block) -> f32 {
///     let mut lanes = [0.0; 16];
///     let total = (0..H).map(|h| V::load(&block.0[h * V::WIDTH..])).fold(V::splat(0.0), |a, b| a + b);
///     total.store(&mut lanes);
///     lanes.iter().sum()
/// }
///
/// impl Kernel for Sum<'_> {
///     type Output = f32;
///     #[inline(always)]
///     fn run<V: Lanes>(self) -> f32 {
///         with_registers!(V, H => sum::<V, H>(self.0))
///     }
/// }
///
/// let block = Block(std::array::from_fn(|l| l as f32));
/// for level in Level::available() {
///     assert_eq!(level.run(Sum(&block)), 120.0);
/// }
/// ```
#[macro_export]
macro_rules! with_registers {
    ($vector:ty, $registers:ident => $expression:expr) => {
        match <$vector as $crate::Lanes>::REGISTERS {
            1 => {
                const $registers: usize = 1;
                $expression
            }
            2 => {
                const $registers: usize = 2;
                $expression
            }
            4 => {
                const $registers: usize = 4;
                $expression
            }
            _ => unreachable!("a block fills 1, 2 or 4 registers"),
        }
    };
}

/// Work that runs on vectors of one instruction set.
pub trait Kernel {
    /// The result of the work.
    type Output;
    /// Runs the work. Mark the implementation `#[inline(always)]`, so that it is compiled with the features of
    /// the level that enters it.
    fn run<V: Lanes>(self) -> Self::Output;
}

pub(crate) mod sealed {
    pub trait Sealed {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;
    use crate::rng::Rng;

    struct Transpose<'a>(&'a [u16; 16]);

    impl Kernel for Transpose<'_> {
        type Output = [u16; 16];

        #[inline(always)]
        fn run<V: Lanes>(self) -> [u16; 16] {
            V::transpose_bits(self.0)
        }
    }

    #[test]
    fn transposing_swaps_rows_and_columns_at_every_level() {
        let mut rng = Rng::new(3);
        for level in Level::available() {
            let words: [u16; 16] = std::array::from_fn(|_| (rng.uniform() * 65536.0) as u16);
            let turned = level.run(Transpose(&words));
            for (i, word) in words.iter().enumerate() {
                for (j, turned) in turned.iter().enumerate() {
                    assert_eq!(word >> j & 1, turned >> i & 1, "{level} {i} {j}");
                }
            }
        }
    }
}
