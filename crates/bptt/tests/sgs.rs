//! Identities of surrogate gradient scaling, run through the kernel vocabulary at every level.

use proptest::prelude::*;
use spikegrad_bptt::sgs::{factor, sgs};
use spikegrad_tensor::{Kernel, Lanes, Level};
use spikegrad_testkit::check::F32_ROUNDOFF;
use spikegrad_testkit::lif;

/// One set of arguments in every lane; returns S and the factor.
struct Scale {
    g: f32,
    h: f32,
    u: f32,
    o: f32,
    delta: f32,
}

impl Kernel for Scale {
    type Output = (f64, f64);

    #[inline(always)]
    fn run<V: Lanes>(self) -> (f64, f64) {
        let [g, h, u, o, delta] = [self.g, self.h, self.u, self.o, self.delta].map(V::splat);
        let (mut s, mut f) = ([0.0; 16], [0.0; 16]);
        sgs(g, h, u, o, delta).store(&mut s);
        factor(g, u, o, delta).store(&mut f);
        assert!(s[..V::WIDTH].iter().all(|x| x.to_bits() == s[0].to_bits()), "lanes differ: {s:?}");
        (f64::from(s[0]), f64::from(f[0]))
    }
}

fn scale(level: Level, g: f32, h: f32, u: f32, o: f32, delta: f32) -> (f64, f64) {
    level.run(Scale { g, h, u, o, delta })
}

/// Rounding of the factor (3 operations on numbers up to 1 + |δ(u − o)|) and of two products.
fn bound(g: f64, h: f64, pull: f64) -> f64 {
    8.0 * F32_ROUNDOFF * (g * h).abs() * (1.0 + pull) + f64::from(f32::MIN_POSITIVE)
}

proptest! {
    #[test]
    fn matches_the_reference(
        g in -10.0f32..10.0, h in 0.0f32..2.0, u in -3.0f32..3.0, fires in any::<bool>(), delta in -2.0f32..2.0,
    ) {
        let o = f32::from(fires);
        let [g64, h64, u64, o64, d64] = [g, h, u, o, delta].map(f64::from);
        let want = lif::sgs(g64, u64, o64, h64, d64);
        let bound = bound(g64, h64, (d64 * (u64 - o64)).abs());
        for level in Level::available() {
            let (got, _) = scale(level, g, h, u, o, delta);
            prop_assert!((got - want).abs() <= bound, "{level}: got {got:e}, want {want:e}, bound {bound:e}");
        }
    }

    #[test]
    fn is_the_surrogate_plus_a_pull_where_the_factor_is_positive(
        g in -10.0f32..10.0, h in 0.0f32..2.0, u in -3.0f32..3.0, fires in any::<bool>(), delta in -0.2f32..0.2,
    ) {
        // |δ(u − o)| ≤ 0.2·4 < 1: S = h·(g + δ·|g|·(u − o)), and |S/(g·h) − 1| ≤ δ·|u − o|.
        let o = f32::from(fires);
        let [g64, h64, u64, o64, d64] = [g, h, u, o, delta].map(f64::from);
        let want = h64 * (g64 + d64 * g64.abs() * (u64 - o64));
        let pull = (d64 * (u64 - o64)).abs();
        let bound = bound(g64, h64, pull);
        for level in Level::available() {
            let (got, factor) = scale(level, g, h, u, o, delta);
            prop_assert!((got - want).abs() <= bound, "{level}: got {got:e}, want {want:e}, bound {bound:e}");
            let reach = (got - g64 * h64).abs();
            let most = pull * (g64 * h64).abs() + bound;
            prop_assert!(reach <= most, "{level}: |S − gh| is {reach:e}, bound {most:e}");
            prop_assert!((factor - 1.0).abs() <= pull + 8.0 * F32_ROUNDOFF, "{level}: factor {factor}");
        }
    }

    #[test]
    fn is_linear_in_delta(
        g in -10.0f32..10.0, h in 0.0f32..2.0, u in -3.0f32..3.0, fires in any::<bool>(), delta in -0.1f32..0.1,
    ) {
        let o = f32::from(fires);
        for level in Level::available() {
            let s = |delta| scale(level, g, h, u, o, delta).0;
            let (none, once, twice) = (s(0.0), s(delta), s(2.0 * delta));
            prop_assert_eq!(none as f32, g * h, "{}: δ = 0 is the plain surrogate", level);
            let (got, want, bound) = (twice - none, 2.0 * (once - none), 4.0 * bound(g.into(), h.into(), 1.0));
            prop_assert!((got - want).abs() <= bound, "{level}: got {got:e}, want {want:e}, bound {bound:e}");
        }
    }

    #[test]
    fn never_turns_a_gradient_round(
        g in -10.0f32..10.0, h in 0.0f32..2.0, u in -9.0f32..9.0, o in 0.0f32..1.0, delta in -9.0f32..9.0,
    ) {
        for level in Level::available() {
            let (got, factor) = scale(level, g, h, u, o, delta);
            prop_assert!(factor >= 0.0 && got * f64::from(g) >= 0.0, "{level}: S {got} of g {g}, factor {factor}");
        }
    }
}

#[test]
fn a_gradient_of_zero_has_sign_zero() {
    for level in Level::available() {
        for g in [0.0, -0.0] {
            for delta in [0.3, -0.3] {
                assert_eq!(scale(level, g, 1.0, 2.0, 0.0, delta), (0.0, 1.0), "{level}: g {g}, δ {delta}");
            }
        }
    }
}
