//! The Lipschitz term, wide and tall weights, against the f64 reference.

use spikegrad_bptt::lipschitz::lipschitz;
use spikegrad_tensor::{Level, Scratch};
use spikegrad_testkit::check::{
    Tolerance, assert_close, assert_gradient, cases, gamma, magnitudes, narrow, widen,
};
use spikegrad_testkit::lipschitz::{lipschitz_grad, lipschitz_value};
use spikegrad_testkit::rng::Rng;

/// (rows, columns)
const SHAPES: &[(usize, usize)] = cases(
    &[
        (1, 1),
        (1, 17),
        (17, 1),
        (15, 16),
        (16, 16),
        (16, 15),
        (31, 144),
        (131, 27),
        (64, 9),
        (10, 67),
        (131, 140),
        (300, 270),
    ],
    6,
);

#[test]
fn value_and_gradient_match_in_both_orientations() {
    Level::available().into_iter().for_each(check_shapes);
}

fn check_shapes(level: Level) {
    // One scratch for all: sizes go up and down.
    let mut scratch = Scratch::default();
    for (seed, &(rows, cols)) in SHAPES.iter().enumerate() {
        for beta in [1e-4f32, 0.3] {
            for start in [0.0f32, 2.0] {
                let mut rng = Rng::new(seed as u64);
                let weight: Vec<f32> =
                    rng.normals(rows * cols).iter().map(|w| (w / (cols as f64).sqrt()) as f32).collect();
                let mut grad = vec![start; weight.len()];
                scratch.floats(rows.max(cols).pow(2)).fill(f32::NAN);
                let value = lipschitz(level, beta, rows, &weight, &mut grad, &mut scratch);
                let (w, b) = (widen(&weight), f64::from(beta));
                let what = format!("{level} {rows}×{cols} β {beta} from {start}");
                let add = |g: Vec<f64>| g.iter().map(|g| g + f64::from(start)).collect::<Vec<_>>();
                let want = add(lipschitz_grad(&w, rows, b));
                // Magnitudes: 2β·(|W||Wᵀ| + I)·|W|.
                let absolute = magnitudes(&w);
                let mut size = lipschitz_grad(&absolute, rows, b);
                size.iter_mut().zip(&absolute).for_each(|(s, w)| *s += 4.0 * b * w);
                let tolerance = Tolerance::Dot { k: rows + cols + 6, magnitude: &add(size) };
                assert_close(&format!("gradient {what}"), &grad, &want, tolerance);
                let want = lipschitz_value(&w, rows, b);
                // A Gram entry is off by γ of its magnitudes g: Σ(2·g + 2)·γ·g.
                let frobenius: f64 = absolute.iter().map(|w| w * w).sum();
                let bound = b * gamma(rows.max(cols) + 2) * 4.0 * (frobenius + 1.0).powi(2);
                assert!((value - want).abs() <= bound, "{what}: got {value}, want {want}, bound {bound:e}");
            }
        }
    }
}

#[test]
fn orthonormal_rows_cost_nothing() {
    let weight = [0.6, 0.8, 0.0, -0.8, 0.6, 0.0].map(|x: f32| x);
    let mut grad = [0.0; 6];
    let value = lipschitz(Level::detect().unwrap(), 1.0, 2, &weight, &mut grad, &mut Scratch::default());
    assert!(value.abs() < 1e-12, "value {value}, want 0, bound 1e-12");
    assert!(grad.iter().all(|g| g.abs() < 1e-6), "gradient {grad:?}, want 0, bound 1e-6");
}

#[test]
fn the_gradient_is_one_of_the_value() {
    for &(rows, cols) in &SHAPES[..6] {
        let w = widen(&narrow(&Rng::new(8).normals(rows * cols)));
        let grad = lipschitz_grad(&w, rows, 0.25);
        assert_gradient(&format!("{rows}×{cols}"), |w| lipschitz_value(w, rows, 0.25), &w, &grad, 1);
    }
}
