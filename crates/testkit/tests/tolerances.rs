//! The checks themselves: what they accept, what they must reject, and what they say.

use spikegrad_testkit::check::*;
use spikegrad_testkit::rng::Rng;

/// True if the comparison passes.
fn passes(got: &[f32], want: &[f64], tolerance: Tolerance) -> bool {
    std::panic::catch_unwind(|| assert_close("trial", got, want, tolerance)).is_ok()
}

#[test]
fn ulp_counts_bit_patterns() {
    assert_eq!(ulp_distance(1.0, 1.0), 0);
    assert_eq!(ulp_distance(1.0, 1.0f32.next_up()), 1);
    assert_eq!(ulp_distance(0.0, -0.0), 0);
    assert_eq!(ulp_distance(f32::from_bits(1), -f32::from_bits(1)), 2);
    assert_eq!(ulp_distance(f32::NAN, f32::NAN), u64::MAX);
    assert!(passes(&[1.0f32.next_up()], &[1.0], Tolerance::Ulp(1)));
    assert!(!passes(&[1e-3], &[0.0], Tolerance::Ulp(1000)), "1e-3 is far from 0");
    assert!(!passes(&[f32::NAN], &[0.0], Tolerance::Ulp(u32::MAX)));
}

#[test]
fn bits_tell_the_zeros_apart() {
    assert!(passes(&[0.1], &[f64::from(0.1f32)], Tolerance::Bits));
    assert!(!passes(&[-0.0], &[0.0], Tolerance::Bits));
    assert!(!passes(&[0.1f32.next_up()], &[0.1], Tolerance::Bits));
}

#[test]
fn dot_bound_holds_for_f32_sums_and_is_not_slack() {
    let mut rng = Rng::new(1);
    for k in [1, 7, 100, 2000] {
        let (a, b) = (narrow(&rng.normals(k)), narrow(&rng.normals(k)));
        let got: f32 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
        let want = [dot(&widen(&a), &widen(&b))];
        let magnitude = [dot(&magnitudes(&widen(&a)), &magnitudes(&widen(&b)))];
        let tolerance = Tolerance::Dot { k, magnitude: &magnitude };
        assert!(passes(&[got], &want, tolerance));
        let off = (want[0] + 2.5 * gamma(k) * magnitude[0]) as f32;
        assert!(!passes(&[off], &want, tolerance));
    }
}

#[test]
fn relative_bounds_use_the_largest_magnitude() {
    let want = [100.0, 0.0];
    assert!(passes(&[100.0, 9e-3], &want, Tolerance::Grad));
    assert!(!passes(&[100.0, 1.1e-2], &want, Tolerance::Grad));
    assert!(!passes(&[100.0, 1.1e-3], &want, Tolerance::Forward));
    assert!(!passes(&[100.0], &want, Tolerance::Grad), "lengths");
    assert!(!passes(&[100.0, f32::NAN], &want, Tolerance::Grad));
    assert!(passes(&[], &[], Tolerance::Grad));
}

#[test]
#[should_panic(expected = "layer: 2 of 3 elements out of tolerance; worst at index 2: got 5e0")]
fn failures_name_the_worst_element() {
    assert_close("layer", &[1.0, 2.5, 5.0], &[1.0, 2.0, 3.0], Tolerance::Grad);
}

#[test]
fn random_numbers_are_the_published_ones_and_well_spread() {
    // First outputs of SplitMix64 for the seed 1234567 (from the Rosetta Code task of that name).
    let mut rng = Rng::new(1_234_567);
    assert_eq!((rng.bits(), rng.bits()), (6_457_827_717_110_365_317, 3_203_168_211_198_807_973));
    let normals = rng.normals(20_000);
    let mean = normals.iter().sum::<f64>() / 20_000.0;
    let variance = dot(&normals, &normals) / 20_000.0 - mean * mean;
    assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    assert!(rng.uniforms(1000, -2.0, 3.0).iter().all(|v| (-2.0..3.0).contains(v)));
}
