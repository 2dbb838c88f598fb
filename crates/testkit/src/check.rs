//! How near is near enough: one table of tolerances, and finite differences.
//!
//! | tolerance | bound on \|got − want\| | for |
//! |---|---|---|
//! | `Bits` | 0, and the same bits as `want` rounded to f32 (−0 is not 0) | copies, packing, level against level |
//! | `Ulp(n)` | n steps between neighbouring f32, counted on bit patterns: 1e-3 against 0 is far | elementwise laws |
//! | `Dot { k, magnitude }` | γ_k·Σ\|aᵢbᵢ\|, γ_k = k·2⁻²⁴/(1 − k·2⁻²⁴) | sums of k rounded products, any order |
//! | `Forward` | 1e-5 of the largest \|want\| | activations after several layers |
//! | `Grad` | 1e-4 of the largest \|want\| | gradients of whole nets |

use crate::rng::Rng;

/// Half the spacing of f32 round 1: the unit roundoff.
pub const F32_ROUNDOFF: f64 = 1.0 / (1u32 << 24) as f64;
/// Relative agreement of two f64 computations of the same number in another order.
pub const F64_AGREEMENT: f64 = 1e-11;
/// Relative agreement of a gradient with central finite differences in f64.
pub const FINITE_DIFFERENCE: f64 = 1e-6;
/// Step of the finite differences: balances the h² truncation against the 1e-16/h rounding.
pub const STEP: f64 = 1e-5;

/// The first `few` cases where an interpreter runs the tests (Miri), all of them elsewhere.
pub const fn cases<T>(all: &[T], few: usize) -> &[T] {
    if cfg!(miri) { all.split_at(few).0 } else { all }
}

/// A bound on the distance of an f32 result to its f64 reference.
#[derive(Clone, Copy, Debug)]
pub enum Tolerance<'a> {
    /// The very bits of the reference rounded to f32.
    Bits,
    /// At most this many representable f32 numbers apart.
    Ulp(u32),
    /// A sum of `k` products.
    Dot {
        /// Products in each sum (plus one for each further rounding, such as an added bias).
        k: usize,
        /// Σ|aᵢbᵢ| of each output: the reference operation applied to absolute values.
        magnitude: &'a [f64],
    },
    /// 1e-5 of the largest magnitude in the reference.
    Forward,
    /// 1e-4 of the largest magnitude in the reference.
    Grad,
}

impl Tolerance<'_> {
    /// The bound for the element at `index`, in the units of the reference; `peak` is its largest magnitude.
    pub fn bound(&self, index: usize, want: f64, peak: f64) -> f64 {
        match *self {
            Tolerance::Bits => 0.0,
            Tolerance::Ulp(n) => {
                let want = want as f32;
                f64::from(n) * f64::from(want.abs().next_up() - want.abs())
            }
            Tolerance::Dot { k, magnitude } => gamma(k) * magnitude[index] + f64::from(f32::MIN_POSITIVE),
            Tolerance::Forward => 1e-5 * peak,
            Tolerance::Grad => 1e-4 * peak,
        }
    }

    /// True if `got` is near enough to `want[index]`.
    fn accepts(&self, got: f32, want: f64, bound: f64) -> bool {
        match *self {
            Tolerance::Bits => got.to_bits() == (want as f32).to_bits(),
            Tolerance::Ulp(n) => ulp_distance(got, want as f32) <= u64::from(n),
            // A NaN in got fails this comparison, as it must.
            _ => (f64::from(got) - want).abs() <= bound,
        }
    }
}

/// γ_k = k·u/(1 − k·u): bound on the relative error of k roundings.
pub fn gamma(k: usize) -> f64 {
    let ku = k as f64 * F32_ROUNDOFF;
    ku / (1.0 - ku)
}

/// Number of representable f32 between `a` and `b`, through 0 where the signs differ; NaN is infinitely far.
pub fn ulp_distance(a: f32, b: f32) -> u64 {
    if a.is_nan() || b.is_nan() {
        return u64::MAX;
    }
    // Maps bit patterns to integers in the order of the numbers; both zeros go to 0.
    let rank = |x: f32| {
        let magnitude = i64::from(x.to_bits() & 0x7fff_ffff);
        if x.is_sign_negative() { -magnitude } else { magnitude }
    };
    rank(a).abs_diff(rank(b))
}

/// Largest magnitude in `values`, 0 if there are none.
pub fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |max, v| max.max(v.abs()))
}

/// Absolute value of each element (to feed a reference operation for [`Tolerance::Dot`]).
pub fn magnitudes(values: &[f64]) -> Vec<f64> {
    values.iter().map(|v| v.abs()).collect()
}

/// f32 values as f64.
pub fn widen(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

/// f64 values rounded to f32.
pub fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&v| v as f32).collect()
}

/// Compares a result with its reference.
///
/// # Panics
/// If the lengths differ or an element is outside its bound; the message holds the worst such element's
/// index, got, want and bound, and how many there are.
#[track_caller]
pub fn assert_close(name: &str, got: &[f32], want: &[f64], tolerance: Tolerance) {
    assert_eq!(got.len(), want.len(), "{name}: lengths of got and want");
    let peak = largest(want);
    let mut failures = 0;
    let mut worst: Option<(f64, usize, f64)> = None;
    for (i, &value) in got.iter().enumerate() {
        let bound = tolerance.bound(i, want[i], peak);
        if tolerance.accepts(value, want[i], bound) {
            continue;
        }
        failures += 1;
        let excess = (f64::from(value) - want[i]).abs() - bound;
        let excess = if excess.is_nan() { f64::INFINITY } else { excess };
        if worst.is_none_or(|(most, _, _)| excess > most) {
            worst = Some((excess, i, bound));
        }
    }
    if let Some((_, i, bound)) = worst {
        panic!(
            "{name}: {failures} of {} elements out of tolerance; worst at index {i}: got {:e} ({:#010x}), \
             want {:e}, difference {:e}, bound {bound:e}, {} ulp",
            got.len(),
            got[i],
            got[i].to_bits(),
            want[i],
            f64::from(got[i]) - want[i],
            ulp_distance(got[i], want[i] as f32),
        );
    }
}

/// Compares two f64 computations: each difference at most `relative` of the largest magnitude in `want`.
///
/// # Panics
/// Like [`assert_close`].
#[track_caller]
pub fn assert_agree(name: &str, got: &[f64], want: &[f64], relative: f64) {
    assert_eq!(got.len(), want.len(), "{name}: lengths of got and want");
    let bound = relative * largest(want).max(f64::MIN_POSITIVE);
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let near = (got - want).abs() <= bound;
        assert!(near, "{name}: index {i}: got {got:e}, want {want:e}, bound {bound:e}");
    }
}

/// Central difference of `f` at `x` along `direction`: `(f(x + h·d) − f(x − h·d))/2h`.
pub fn finite_difference(f: impl Fn(&[f64]) -> f64, x: &[f64], direction: &[f64], h: f64) -> f64 {
    let moved = |h: f64| -> Vec<f64> { x.iter().zip(direction).map(|(x, d)| x + h * d).collect() };
    (f(&moved(h)) - f(&moved(-h))) / (2.0 * h)
}

/// `Σ aᵢ·bᵢ`.
///
/// # Panics
/// The lengths differ.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "lengths of a and b");
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Checks `grad` as the gradient of `f` at `x`, along three random directions.
///
/// # Panics
/// If a directional derivative and its finite difference disagree by more than [`FINITE_DIFFERENCE`] of
/// `‖grad‖·‖direction‖` (plus the rounding of `f` divided by the step).
#[track_caller]
pub fn assert_gradient(name: &str, f: impl Fn(&[f64]) -> f64, x: &[f64], grad: &[f64], seed: u64) {
    assert_eq!(x.len(), grad.len(), "{name}: lengths of x and grad");
    let mut rng = Rng::new(seed);
    let rounding = 1e-14 * f(x).abs().max(1.0) / STEP;
    for _ in 0..3 {
        let direction = rng.normals(x.len());
        let want = finite_difference(&f, x, &direction, STEP);
        let got = dot(grad, &direction);
        let scale = (dot(grad, grad) * dot(&direction, &direction)).sqrt();
        let bound = FINITE_DIFFERENCE * scale + rounding;
        assert!(
            (got - want).abs() <= bound,
            "{name}: gradient gives {got:e}, finite difference {want:e}, bound {bound:e}, seed {seed}"
        );
    }
}
