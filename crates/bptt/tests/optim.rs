//! Optimisers, clipping and schedules against the f64 reference.

use spikegrad_bptt::optim::clip;
use spikegrad_bptt::{Optimizer, Schedule};
use spikegrad_testkit::check::{Tolerance, assert_close, gamma, narrow, widen};
use spikegrad_testkit::optim::{Adam, Sgd};
use spikegrad_testkit::rng::Rng;

const SIZE: usize = 131;
const STEPS: u64 = 5;

/// Runs five steps of both on the same gradients and compares the weights after each.
fn check(what: &str, optimizer: Optimizer, lr: f32, mut reference: impl FnMut(&mut [f64], &[f64])) {
    let mut rng = Rng::new(17);
    let mut weights = narrow(&rng.normals(SIZE));
    let mut want = widen(&weights);
    let start = want.clone();
    let mut first = vec![0.0; SIZE];
    let mut second = vec![0.0; if optimizer.moments() > 1 { SIZE } else { 0 }];
    assert!(optimizer.check().is_ok(), "{what}");
    for step in 1..=STEPS {
        let mut grads = narrow(&rng.normals(SIZE));
        grads[0] = 0.0;
        optimizer.step(lr, step, &mut weights, &grads, &mut first, &mut second);
        reference(&mut want, &widen(&grads));
        // Each step rounds the weight once and its update a dozen times.
        let moved = |(w, s): (&f64, &f64)| s.abs() + 20.0 * (w - s).abs() + f64::from(lr);
        let magnitude: Vec<f64> = want.iter().zip(&start).map(moved).collect();
        let tolerance = Tolerance::Dot { k: 4 * step as usize, magnitude: &magnitude };
        assert_close(&format!("{what}, step {step}"), &weights, &want, tolerance);
    }
    let still = weights.iter().zip(&start).skip(1).any(|(w, s)| (f64::from(*w) - s).abs() < 1e-9);
    assert!(!still, "{what}: every weight moves");
}

#[test]
fn sgd_matches() {
    let lr = 0.05f32;
    for momentum in [0.0f32, 0.9] {
        for nesterov in [false, true] {
            for weight_decay in [0.0f32, 5e-2] {
                let mut sgd = Sgd::new(lr.into(), momentum.into(), nesterov, weight_decay.into());
                let what = format!("SGD μ {momentum} Nesterov {nesterov} λ {weight_decay}");
                let optimizer = Optimizer::sgd(momentum, nesterov, weight_decay);
                check(&what, optimizer, lr, |p, g| sgd.step(p, g));
            }
        }
    }
}

#[test]
fn adam_and_adamw_match() {
    let lr = 1e-2f32;
    let [beta1, beta2, eps] = [0.9f32, 0.999, 1e-8];
    for weight_decay in [0.0f32, 5e-2] {
        for decoupled in [false, true] {
            let mut adam = Adam::new(lr.into());
            (adam.beta1, adam.beta2, adam.eps) = (beta1.into(), beta2.into(), eps.into());
            (adam.weight_decay, adam.decoupled) = (weight_decay.into(), decoupled);
            let optimizer =
                if decoupled { Optimizer::adamw(weight_decay) } else { Optimizer::adam(weight_decay) };
            let what = format!("Adam decoupled {decoupled} λ {weight_decay}");
            check(&what, optimizer, lr, |p, g| adam.step(p, g));
        }
    }
}

#[test]
fn adams_first_step_is_the_learning_rate() {
    let (mut w, mut m, mut v) = ([1.0, 1.0, 1.0], [0.0; 3], [0.0; 3]);
    Optimizer::adam(0.0).step(0.5, 1, &mut w, &[1e-3, -7.0, 0.0], &mut m, &mut v);
    assert_close("weights", &w, &[0.5, 1.5, 1.0], Tolerance::Forward);
}

#[test]
fn constants_out_of_range_are_refused() {
    let adam = |beta1, beta2, eps, weight_decay| Optimizer::Adam { beta1, beta2, eps, weight_decay };
    let broken = [
        Optimizer::sgd(1.0, false, 0.0),
        Optimizer::sgd(-0.1, false, 0.0),
        Optimizer::sgd(0.9, false, -1.0),
        Optimizer::sgd(f32::NAN, false, 0.0),
        adam(1.0, 0.9, 1e-8, 0.0),
        adam(0.9, 1.0, 1e-8, 0.0),
        adam(0.9, 0.9, 0.0, 0.0),
        adam(0.9, 0.9, 1e-8, f32::NAN),
    ];
    for optimizer in broken {
        assert!(optimizer.check().is_err(), "{optimizer:?}");
    }
}

#[test]
fn clipping_shortens_long_gradients_only() {
    let grads = narrow(&Rng::new(4).normals(1009));
    let norm = widen(&grads).iter().map(|g| g * g).sum::<f64>().sqrt();
    for limit in [1.0f32, 10.0] {
        let mut clipped = grads.clone();
        let got = clip(&mut clipped, limit);
        assert!((got - norm).abs() <= 1e-12 * norm, "norm: got {got}, want {norm}");
        let want: Vec<f64> = widen(&grads).iter().map(|g| g * f64::from(limit) / (norm + 1e-6)).collect();
        assert_close(&format!("clipped to {limit}"), &clipped, &want, Tolerance::Ulp(2));
        let after = widen(&clipped).iter().map(|g| g * g).sum::<f64>().sqrt();
        assert!(
            after <= f64::from(limit) * (1.0 + gamma(4)),
            "norm after clipping is {after}, limit {limit}"
        );
    }
    let mut same = grads.clone();
    clip(&mut same, 1e6);
    assert_close("short gradient", &same, &widen(&grads), Tolerance::Bits);
    let mut zeros = [0.0; 3];
    assert_eq!((clip(&mut zeros, 0.0), zeros), (0.0, [0.0; 3]), "zeros stay");
}

#[test]
fn schedules_match_their_formulas() {
    let lr = 0.1f32;
    for epoch in [0.0, 0.25, 1.0, 3.999, 4.0, 7.5, 10.0, 12.0] {
        let rise = |warmup: f64| if epoch < warmup { Some(f64::from(lr) * epoch / warmup) } else { None };
        for warmup in [0.0, 2.0] {
            let progress = ((epoch - warmup) / (10.0 - warmup)).min(1.0);
            let cosine = f64::from(lr) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
            let step = f64::from(lr) * f64::from(0.5f32).powi((epoch / 4.0).floor() as i32);
            let rows = [
                (Schedule::Constant, f64::from(lr)),
                (Schedule::Cosine, cosine),
                (Schedule::Step { every_epochs: 4.0, factor: 0.5 }, step),
            ];
            for (schedule, want) in rows {
                let want = rise(warmup).unwrap_or(want);
                let got = schedule.at(lr, epoch, 10.0, warmup);
                let what = format!("{schedule:?} at {epoch}, warm-up {warmup}");
                assert_close(&what, &[got], &[want], Tolerance::Ulp(1));
            }
        }
    }
    let all_warmup = |epoch| Schedule::Cosine.at(lr, epoch, 1.0, 1.0);
    assert_eq!([0.5, 1.0, 1.5].map(all_warmup), [0.05, 0.1, 0.0], "a schedule that is all warm-up");
}
