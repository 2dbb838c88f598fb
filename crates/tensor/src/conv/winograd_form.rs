//! Winograd's short correlations: M outputs of a three-tap filter from A = M + 2 products instead of 3·M.
//!
//! ```text
//! one dimension    y = Aᵀ[(G·w) ⊙ (Bᵀ·d)]              w: 3 taps, d: A values, y_i = Σ_t w_t·d_{i+t}
//! two dimensions   Y = Aᵀ[(G·w·Gᵀ) ⊙ (Bᵀ·d·B)]·A       the same along rows, then along columns
//! ```
//!
//! The products are values of polynomials at chosen points, and Aᵀ interpolates. Near points make large
//! coefficients of opposite signs, whose cancellation costs accuracy. With |·| taken of each entry,
//!
//! ```text
//! |error of y| ≤ γ_k·|Aᵀ|[(|G|·|w|) ⊙ (|Bᵀ|·|d|)]       k: roundings on the way from an operand to y
//!              ≤ γ_k·α·max|d|·Σ|w|                      α = max over i, t of Σ_f |Aᵀ_if|·|G_ft|·Σ_j|Bᵀ_fj|
//! ```
//! (two dimensions: α², and the roundings of both). A direct sum has α = 1.
//!
//! | form | points | multiplications saved | α² |
//! |---|---|---|---|
//! | [`F2`] | 0, ±1, ∞ | 2.25× | 16 |
//! | [`F4`] | 0, ±√½, ±√2, ∞ | 4× | 157 |
//!
//! The integers 0, ±1, ±2, ∞, usual for F4, have α² = 860.

use crate::{LANES, Lanes};
use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

/// The three linear maps of one dimension.
pub(super) trait Form<const M: usize, const A: usize>: Copy + Sync {
    /// G·w.
    fn filter<V: Lanes>(self, w: [V; 3]) -> [V; A];
    /// Bᵀ·d.
    fn source<V: Lanes>(self, d: [V; A]) -> [V; A];
    /// Aᵀ·m.
    fn output<V: Lanes>(self, m: [V; A]) -> [V; M];
}

/// One of the three maps in two dimensions, for the sixteen channels of a block.
///
/// Not a function of closures: these would be compiled without the level's features.
pub(super) trait BothWays<const S: usize, const T: usize> {
    /// The channels from `lane` on of element (y, x) of the square.
    fn read<V: Lanes>(&self, y: usize, x: usize, lane: usize) -> V;
    /// The map of a line.
    fn map<V: Lanes>(&self, line: [V; S]) -> [V; T];
    /// Takes an element of the result.
    fn write<V: Lanes>(&mut self, y: usize, x: usize, lane: usize, value: V);

    /// Maps the square.
    #[inline(always)]
    fn run<V: Lanes>(&mut self) {
        for lane in (0..LANES).step_by(V::WIDTH) {
            let mut half = [[V::splat(0.0); S]; T];
            for x in 0..S {
                let mut column = [V::splat(0.0); S];
                for (y, value) in column.iter_mut().enumerate() {
                    *value = self.read(y, x, lane);
                }
                for (row, value) in half.iter_mut().zip(&self.map(column)) {
                    row[x] = *value;
                }
            }
            for (y, row) in half.iter().enumerate() {
                for (x, value) in self.map(*row).iter().enumerate() {
                    self.write(y, x, lane, *value);
                }
            }
        }
    }
}

/// Two outputs from four products. All coefficients are powers of two: only sums round.
#[derive(Clone, Copy)]
pub(super) struct F2;

/// Four outputs from six products.
#[derive(Clone, Copy)]
pub(super) struct F4;

impl Form<2, 4> for F2 {
    #[inline(always)]
    fn filter<V: Lanes>(self, [w0, w1, w2]: [V; 3]) -> [V; 4] {
        let half = V::splat(0.5);
        let (even, odd) = (half * (w0 + w2), half * w1);
        [w0, even + odd, even - odd, w2]
    }

    #[inline(always)]
    fn source<V: Lanes>(self, [d0, d1, d2, d3]: [V; 4]) -> [V; 4] {
        [d0 - d2, d1 + d2, d2 - d1, d1 - d3]
    }

    #[inline(always)]
    fn output<V: Lanes>(self, [m0, m1, m2, m3]: [V; 4]) -> [V; 2] {
        [m0 + m1 + m2, m1 - m2 - m3]
    }
}

impl Form<4, 6> for F4 {
    #[inline(always)]
    fn filter<V: Lanes>(self, [w0, w1, w2]: [V; 3]) -> [V; 6] {
        let (third, sixth) = (V::splat(1.0 / 3.0), V::splat(1.0 / 6.0));
        let (near, far) = (V::splat(SQRT_2 / 3.0) * w1, V::splat(SQRT_2 / 6.0) * w1);
        let near_even = third * (w0 + w0 + w2);
        let far_even = sixth * (w0 + w2 + w2);
        let zero = V::splat(0.0);
        [w0, zero - near_even - near, near - near_even, far_even + far, far_even - far, w2]
    }

    #[inline(always)]
    fn source<V: Lanes>(self, [d0, d1, d2, d3, d4, d5]: [V; 6]) -> [V; 6] {
        let c = V::splat(-2.5);
        let (two, half) = (V::splat(-2.0), V::splat(-0.5));
        let (near, far) = (V::splat(FRAC_1_SQRT_2), V::splat(SQRT_2));
        let (minus_near, minus_far) = (V::splat(-FRAC_1_SQRT_2), V::splat(-SQRT_2));
        let (near_even, near_odd) = (two.fma(d2, d4), two.fma(d1, d3));
        let (far_even, far_odd) = (half.fma(d2, d4), half.fma(d1, d3));
        [
            c.fma(d2, d0 + d4),
            near.fma(near_odd, near_even),
            minus_near.fma(near_odd, near_even),
            far.fma(far_odd, far_even),
            minus_far.fma(far_odd, far_even),
            c.fma(d3, d1 + d5),
        ]
    }

    #[inline(always)]
    fn output<V: Lanes>(self, [m0, m1, m2, m3, m4, m5]: [V; 6]) -> [V; 4] {
        let (near_even, near_odd) = (m1 + m2, m1 - m2);
        let (far_even, far_odd) = (m3 + m4, m3 - m4);
        let [half, two] = [0.5, 2.0].map(V::splat);
        [
            m0 + near_even + far_even,
            V::splat(FRAC_1_SQRT_2).fma(near_odd, V::splat(SQRT_2) * far_odd),
            half.fma(near_even, two * far_even),
            V::splat(SQRT_2 / 4.0).fma(near_odd, V::splat(2.0 * SQRT_2).fma(far_odd, m5)),
        ]
    }
}
