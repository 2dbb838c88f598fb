//! Optimisers, clipping and schedules against the f64 reference.

use spikegrad_bptt::optim::{Parameters, clip};
use spikegrad_bptt::{Optimizer, Schedule};
use spikegrad_tensor::{Level, Workers};
use spikegrad_testkit::check::{Tolerance, assert_close, gamma, narrow, widen};
use spikegrad_testkit::optim::{Adam, Sgd};
use spikegrad_testkit::rng::Rng;

const SIZE: usize = 131;
const STEPS: u64 = 5;

/// One step on vectors of one length.
fn step(
    optimizer: Optimizer,
    lr: f32,
    step: u64,
    weights: &mut [f32],
    grads: &[f32],
    moments: &mut [Vec<f32>; 2],
) {
    let [first, second] = moments;
    let parameters = Parameters { weights, grads, first, second };
    let level = Level::available().pop().unwrap();
    optimizer.step(lr, step, parameters, level, &mut Workers::new());
}

/// Runs five steps of both on the same gradients and compares the weights after each.
fn check(what: &str, optimizer: Optimizer, lr: f32, mut reference: impl FnMut(&mut [f64], &[f64])) {
    let mut rng = Rng::new(17);
    let mut weights = narrow(&rng.normals(SIZE));
    let mut want = widen(&weights);
    let start = want.clone();
    let mut moments = [vec![0.0; SIZE], vec![0.0; if optimizer.moments() > 1 { SIZE } else { 0 }]];
    assert!(optimizer.check().is_ok(), "{what}");
    for n in 1..=STEPS {
        let mut grads = narrow(&rng.normals(SIZE));
        grads[0] = 0.0;
        step(optimizer.clone(), lr, n, &mut weights, &grads, &mut moments);
        reference(&mut want, &widen(&grads));
        // Each step rounds the weight once and its update a dozen times.
        let moved = |(w, s): (&f64, &f64)| s.abs() + 20.0 * (w - s).abs() + f64::from(lr);
        let magnitude: Vec<f64> = want.iter().zip(&start).map(moved).collect();
        let tolerance = Tolerance::Dot { k: 4 * n as usize, magnitude: &magnitude };
        assert_close(&format!("{what}, step {n}"), &weights, &want, tolerance);
    }
    let still = weights.iter().zip(&start).skip(1).any(|(w, s)| (f64::from(*w) - s).abs() < 1e-9);
    assert!(!still, "{what}: every weight moves");
}

#[test]
fn sgd_matches() {
    let lr = 0.05f32;
    for momentum in [0.0f32, 0.9] {
        for nesterov in [false, momentum > 0.0] {
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
    let (mut w, mut moments) = ([1.0, 1.0, 1.0], [vec![0.0; 3], vec![0.0; 3]]);
    step(Optimizer::adam(0.0), 0.5, 1, &mut w, &[1e-3, -7.0, 0.0], &mut moments);
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

#[test]
fn bits_depend_neither_on_the_level_nor_on_the_chunks() {
    let mut rng = Rng::new(5);
    // More than one chunk, the last a part.
    let size = 40_003;
    let (start, grads) = (narrow(&rng.normals(size)), narrow(&rng.normals(size)));
    for optimizer in [Optimizer::adam(1e-2), Optimizer::adamw(1e-2), Optimizer::sgd(0.9, true, 1e-2)] {
        let run = |level: Level, size: usize| {
            let (mut weights, mut first) = (start[..size].to_vec(), vec![0.0; size]);
            let mut second = vec![0.0; if optimizer.moments() > 1 { size } else { 0 }];
            for step in 1..=3 {
                let (first, second) = (&mut first[..], &mut second[..]);
                let parameters = Parameters { weights: &mut weights, grads: &grads[..size], first, second };
                optimizer.step(0.1, step, parameters, level, &mut Workers::new());
            }
            weights
        };
        let all = run(Level::BASELINE, size);
        for level in Level::available() {
            assert!(all == run(level, size), "{optimizer:?} {level}");
            assert!(all[..777] == run(level, 777), "{optimizer:?} {level}");
        }
    }
}
