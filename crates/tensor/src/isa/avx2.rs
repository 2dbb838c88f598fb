//! AVX2 with FMA: eight lanes.
#![allow(unsafe_code)]

use super::operators;
use crate::lanes::{Kernel, Lanes, sealed::Sealed};
use std::arch::x86_64::*;

/// Eight floats. Exists only inside [`run`].
#[derive(Clone, Copy)]
pub struct F32x8(__m256);

/// Compiles and runs `kernel` for AVX2 with FMA.
#[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
pub fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<F32x8>()
}

/// Whether the processor has all the features that [`run`] enables.
pub fn detected() -> bool {
    std::is_x86_feature_detected!("avx2")
        && std::is_x86_feature_detected!("fma")
        && std::is_x86_feature_detected!("bmi1")
        && std::is_x86_feature_detected!("bmi2")
        && std::is_x86_feature_detected!("lzcnt")
        && std::is_x86_feature_detected!("popcnt")
}

impl Sealed for F32x8 {}
operators!(F32x8: Add add _mm256_add_ps, Sub sub _mm256_sub_ps, Mul mul _mm256_mul_ps, Div div _mm256_div_ps);

impl Lanes for F32x8 {
    const WIDTH: usize = 8;
    type Mask = __m256;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: only `Level::run` gives this type to a kernel, after `detected` held. So everywhere below.
        unsafe { Self(_mm256_set1_ps(x)) }
    }
    #[inline(always)]
    fn load(src: &[f32]) -> Self {
        let src = &src[..8];
        // SAFETY: `src` holds eight floats; the features are there, as above.
        unsafe { Self(_mm256_loadu_ps(src.as_ptr())) }
    }
    #[inline(always)]
    fn store(self, dst: &mut [f32]) {
        let dst = &mut dst[..8];
        // SAFETY: `dst` holds eight floats; the features are there, as above.
        unsafe { _mm256_storeu_ps(dst.as_mut_ptr(), self.0) }
    }
    #[inline(always)]
    fn prefetch(src: &[f32]) {
        // SAFETY: a prefetch reads nothing and never faults, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(src.as_ptr().cast()) }
    }
    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        // SAFETY: the features are there, as above.
        unsafe { Self(_mm256_fmadd_ps(self.0, b.0, c.0)) }
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: the features are there, as above.
        unsafe { Self(_mm256_max_ps(self.0, other.0)) }
    }
    #[inline(always)]
    fn gt(self, other: Self) -> __m256 {
        // SAFETY: the features are there, as above.
        unsafe { _mm256_cmp_ps::<_CMP_GT_OQ>(self.0, other.0) }
    }
    #[inline(always)]
    fn select(mask: __m256, a: Self, b: Self) -> Self {
        // SAFETY: the features are there, as above.
        unsafe { Self(_mm256_blendv_ps(b.0, a.0, mask)) }
    }
    #[inline(always)]
    fn bits(mask: __m256) -> u32 {
        // SAFETY: the features are there, as above.
        unsafe { _mm256_movemask_ps(mask) as u32 }
    }
    #[inline(always)]
    fn from_bits(bits: u32) -> __m256 {
        // SAFETY: the features are there, as above.
        unsafe {
            let lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
            let hit = _mm256_and_si256(_mm256_set1_epi32(bits as i32), lane);
            _mm256_castsi256_ps(_mm256_cmpeq_epi32(hit, lane))
        }
    }
    #[inline(always)]
    fn transpose_bits(words: &[u16; 16]) -> [u16; 16] {
        let mut turned = [0; 16];
        // SAFETY: `words` holds 32 bytes; the features are there, as above.
        unsafe {
            let words = _mm256_loadu_si256(words.as_ptr().cast());
            let (low, high) =
                (_mm256_and_si256(words, _mm256_set1_epi16(0xff)), _mm256_srli_epi16::<8>(words));
            // Low bytes of all words, then high bytes: bit 7 of them is channel 7, then channel 15.
            let mut bytes = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi16(low, high));
            for channel in (0..8).rev() {
                let pixels = _mm256_movemask_epi8(bytes) as u32;
                turned[channel] = pixels as u16;
                turned[channel + 8] = (pixels >> 16) as u16;
                bytes = _mm256_add_epi8(bytes, bytes);
            }
        }
        turned
    }
}
