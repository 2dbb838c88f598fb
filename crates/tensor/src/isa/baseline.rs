//! The baseline, which every processor has: four lanes of the portable `wide` crate (SSE2, NEON, simd128 or plain floats).

use super::operators;
use crate::lanes::{Lanes, sealed::Sealed};
use wide::f32x4;

/// Four floats.
#[derive(Clone, Copy)]
pub struct F32x4(f32x4);

impl Sealed for F32x4 {}
operators!(F32x4: Add add f32x4::add, Sub sub f32x4::sub, Mul mul f32x4::mul, Div div f32x4::div);

impl Lanes for F32x4 {
    const WIDTH: usize = 4;
    type Mask = f32x4;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self(f32x4::splat(x))
    }
    #[inline(always)]
    fn load(src: &[f32]) -> Self {
        Self(f32x4::new([src[0], src[1], src[2], src[3]]))
    }
    #[inline(always)]
    fn store(self, dst: &mut [f32]) {
        dst[..4].copy_from_slice(&self.0.to_array());
    }
    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        self * b + c
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self::select(self.gt(other), self, other)
    }
    #[inline(always)]
    fn gt(self, other: Self) -> f32x4 {
        self.0.simd_gt(other.0)
    }
    #[inline(always)]
    fn select(mask: f32x4, a: Self, b: Self) -> Self {
        Self(mask.select(a.0, b.0))
    }
    #[inline(always)]
    fn bits(mask: f32x4) -> u32 {
        mask.to_bitmask()
    }
    #[inline(always)]
    fn from_bits(bits: u32) -> f32x4 {
        let lane = |i: u32| f32::from_bits(0u32.wrapping_sub(bits >> i & 1));
        f32x4::new([lane(0), lane(1), lane(2), lane(3)])
    }
}
