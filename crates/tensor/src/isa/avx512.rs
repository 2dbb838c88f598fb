//! AVX-512 (F, BW, DQ, VL): sixteen lanes.
#![allow(unsafe_code)]

use super::operators;
use crate::lanes::{Kernel, Lanes, sealed::Sealed};
use std::arch::x86_64::*;

/// Sixteen floats. Exists only inside [`run`].
#[derive(Clone, Copy)]
pub struct F32x16(__m512);

/// Compiles and runs `kernel` for AVX-512.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
pub fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<F32x16>()
}

/// Whether the processor has all the features that [`run`] enables.
pub fn detected() -> bool {
    super::avx2::detected()
        && std::is_x86_feature_detected!("avx512f")
        && std::is_x86_feature_detected!("avx512bw")
        && std::is_x86_feature_detected!("avx512dq")
        && std::is_x86_feature_detected!("avx512vl")
}

impl Sealed for F32x16 {}
operators!(F32x16: Add add _mm512_add_ps, Sub sub _mm512_sub_ps, Mul mul _mm512_mul_ps, Div div _mm512_div_ps);

impl Lanes for F32x16 {
    const WIDTH: usize = 16;
    type Mask = __mmask16;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: only `Level::run` gives this type to a kernel, after `detected` held. So everywhere below.
        unsafe { Self(_mm512_set1_ps(x)) }
    }
    #[inline(always)]
    fn load(src: &[f32]) -> Self {
        let src = &src[..16];
        // SAFETY: `src` holds sixteen floats; the features are there, as above.
        unsafe { Self(_mm512_loadu_ps(src.as_ptr())) }
    }
    #[inline(always)]
    fn store(self, dst: &mut [f32]) {
        let dst = &mut dst[..16];
        // SAFETY: `dst` holds sixteen floats; the features are there, as above.
        unsafe { _mm512_storeu_ps(dst.as_mut_ptr(), self.0) }
    }
    #[inline(always)]
    fn prefetch(src: &[f32]) {
        // SAFETY: a prefetch reads nothing and never faults, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(src.as_ptr().cast()) }
    }
    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        // SAFETY: the features are there, as above.
        unsafe { Self(_mm512_fmadd_ps(self.0, b.0, c.0)) }
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: the features are there, as above.
        unsafe { Self(_mm512_max_ps(self.0, other.0)) }
    }
    #[inline(always)]
    fn gt(self, other: Self) -> __mmask16 {
        // SAFETY: the features are there, as above.
        unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, other.0) }
    }
    #[inline(always)]
    fn select(mask: __mmask16, a: Self, b: Self) -> Self {
        // SAFETY: the features are there, as above.
        unsafe { Self(_mm512_mask_blend_ps(mask, b.0, a.0)) }
    }
    #[inline(always)]
    fn bits(mask: __mmask16) -> u32 {
        u32::from(mask)
    }
    #[inline(always)]
    fn from_bits(bits: u32) -> __mmask16 {
        bits as __mmask16
    }
}
