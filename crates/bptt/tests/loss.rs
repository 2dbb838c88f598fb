//! Losses and their gradients against the f64 reference.

use spikegrad_bptt::loss::Logits;
use spikegrad_bptt::{LossConfig, LossKind};
use spikegrad_tensor::LANES;
use spikegrad_testkit::check::{Tolerance, assert_close, assert_gradient, narrow, widen};
use spikegrad_testkit::loss::{mean_cross_entropy, mean_over_time, tet};
use spikegrad_testkit::rng::Rng;

struct Case {
    steps: usize,
    batch: usize,
    classes: usize,
    logits: Vec<f32>,
    labels: Vec<u32>,
}

fn cases(scale: f64) -> Vec<Case> {
    let sizes = [(1, 1, 2), (2, 3, 10), (4, 5, 17), (3, 2, 16), (1, 7, 101)];
    let case = |(seed, &(steps, batch, classes)): (usize, &(usize, usize, usize))| {
        let mut rng = Rng::new(seed as u64);
        let logits = (0..steps * batch * classes).map(|_| (scale * rng.normal()) as f32).collect();
        let labels = (0..batch).map(|_| rng.below(classes) as u32).collect();
        Case { steps, batch, classes, logits, labels }
    };
    sizes.iter().enumerate().map(case).collect()
}

fn configs() -> Vec<LossConfig> {
    let kinds = [
        LossKind::CrossEntropy,
        LossKind::Tet { lambda: 0.0, phi: 1.0 },
        LossKind::Tet { lambda: 0.05, phi: 1.0 },
        LossKind::Tet { lambda: 1.0, phi: -0.5 },
    ];
    let smooth = |kind| {
        [0.0, 0.1, 0.9]
            .map(|label_smoothing| LossConfig::new(LossKind::clone(&kind)).label_smoothing(label_smoothing))
    };
    kinds.into_iter().flat_map(smooth).collect()
}

/// The reference's loss and gradient.
fn reference(config: &LossConfig, case: &Case, logits: &[f64]) -> (f64, Vec<f64>) {
    let labels: Vec<usize> = case.labels.iter().map(|&l| l as usize).collect();
    let smoothing = f64::from(config.label_smoothing);
    match config.kind {
        LossKind::CrossEntropy => mean_cross_entropy(logits, case.steps, &labels, case.classes, smoothing),
        LossKind::Tet { lambda, phi } => {
            let weights = (f64::from(lambda), f64::from(phi));
            tet(logits, case.steps, &labels, case.classes, smoothing, weights)
        }
        ref other => panic!("the reference has no loss {:?}", other.name()),
    }
}

/// Loss, gradient and mean of the library, whose rows lie apart as in a tensor; outputs are NaN on entry.
fn evaluate(config: &LossConfig, case: &Case) -> (f64, Vec<f32>, Vec<f32>) {
    let stride = case.classes.next_multiple_of(LANES);
    let mut logits = vec![1e9; case.steps * case.batch * stride];
    for (to, from) in logits.chunks_mut(stride).zip(case.logits.chunks(case.classes)) {
        to[..case.classes].copy_from_slice(from);
    }
    let mut grad = vec![f32::NAN; logits.len()];
    let mut mean = vec![f32::NAN; case.batch * case.classes];
    let size = Logits { steps: case.steps, classes: case.classes, stride };
    let loss = config.evaluate(size, &logits, &case.labels, &mut grad, &mut mean);
    let rows = grad.chunks(stride);
    assert!(rows.clone().all(|row| row[case.classes..].iter().all(|x| x.is_nan())), "padding is left alone");
    (loss, rows.flat_map(|row| row[..case.classes].to_vec()).collect(), mean)
}

#[test]
fn losses_match_the_reference() {
    for scale in [1.0, 30.0] {
        for config in configs() {
            for case in cases(scale) {
                let (steps, batch, classes) = (case.steps, case.batch, case.classes);
                let what =
                    format!("{config:?} T {steps}, {batch} images, {classes} classes, logits ± {scale}");
                let logits = widen(&case.logits);
                let (want, want_grad) = reference(&config, &case, &logits);
                let (loss, grad, mean) = evaluate(&config, &case);
                // The mean over time is rounded to f32 once.
                let bound = 1e-6 * (want.abs() + scale);
                assert!((loss - want).abs() <= bound, "{what}: got {loss}, want {want}, bound {bound:e}");
                assert_close(&format!("gradient {what}"), &grad, &want_grad, Tolerance::Forward);
                let want = mean_over_time(&logits, case.steps);
                assert_close(&format!("mean {what}"), &mean, &want, Tolerance::Bits);
            }
        }
    }
}

#[test]
fn gradients_match_finite_differences() {
    for config in configs() {
        for case in cases(1.0) {
            let (logits, (_, grad)) = (widen(&case.logits), reference(&config, &case, &widen(&case.logits)));
            assert_gradient(&format!("{config:?}"), |z| reference(&config, &case, z).0, &logits, &grad, 3);
        }
    }
}

#[test]
fn huge_logits_do_not_overflow() {
    for config in configs() {
        let case = Case {
            steps: 1,
            batch: 2,
            classes: 3,
            logits: narrow(&[1e4, -1e4, 0.0, -1e4, -1e4, 1e4]),
            labels: vec![0, 1],
        };
        let (loss, grad, _) = evaluate(&config, &case);
        assert!(loss.is_finite() && grad.iter().all(|g| g.is_finite()), "{config:?}: {loss} {grad:?}");
        let (want, _) = reference(&config, &case, &widen(&case.logits));
        assert!((loss - want).abs() <= 1e-6 * want.abs(), "{config:?}: got {loss}, want {want}");
    }
}

#[test]
fn settings_out_of_range_are_refused() {
    let good = LossConfig::default();
    assert!(good.check().is_ok());
    for label_smoothing in [-0.1, 1.0, f32::NAN] {
        assert!(
            good.clone().label_smoothing(label_smoothing).check().is_err(),
            "smoothing {label_smoothing}"
        );
    }
    for (lambda, phi) in [(-0.1, 1.0), (1.1, 1.0), (0.5, f32::INFINITY), (f32::NAN, 1.0)] {
        assert!(LossConfig::new(LossKind::Tet { lambda, phi }).check().is_err(), "λ {lambda} φ {phi}");
    }
}
