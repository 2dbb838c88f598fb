//! A trainer's steps against optimisers, schedules and clipping in `f64`, written apart from it: every setting has its
//! effect, and that of its formula. The gradients themselves are proven elsewhere.

use spikegrad::gradcheck::gradients;
use spikegrad::prelude::*;
use spikegrad_testkit::check::widen;
use spikegrad_testkit::optim::{Adam, Sgd};
use spikegrad_testkit::rng::Rng;
use std::f64::consts::PI;
use std::ops::ControlFlow;

const BATCH: usize = 4;
const CLASSES: usize = 3;
const LABELS: [u32; BATCH] = [0, 2, 1, 1];

fn config(optimizer: Optimizer) -> TrainConfig {
    let net = NetConfig::new(NetKind::Mlp, 1, 4, 4, CLASSES).scale(0.05);
    let schedule = Schedule::Constant;
    TrainConfig::new(net).batch(BATCH).optimizer(optimizer).lr(0.01).epochs(8).schedule(schedule)
}

fn trainer(config: &TrainConfig) -> Trainer {
    Trainer::new(config.clone(), Level::BASELINE).unwrap()
}

fn images(seed: u64) -> Vec<f32> {
    Rng::new(seed).normals(BATCH * 16).iter().map(|&x| x as f32).collect()
}

fn weights(trainer: &Trainer) -> Vec<f64> {
    widen(&trainer.net().params().weights)
}

/// Optimisers of the formulas: the learning rate is set before each step.
enum Reference {
    Sgd(Sgd),
    Adam(Adam),
}

impl Reference {
    fn of(optimizer: Optimizer) -> Self {
        let adam = |betas: [f32; 2], eps: f32, weight_decay: f32, decoupled| {
            let mut adam = Adam::new(0.0);
            (adam.beta1, adam.beta2, adam.eps) = (betas[0].into(), betas[1].into(), eps.into());
            (adam.weight_decay, adam.decoupled) = (weight_decay.into(), decoupled);
            Self::Adam(adam)
        };
        match optimizer {
            Optimizer::Sgd { momentum, nesterov, weight_decay } => {
                Self::Sgd(Sgd::new(0.0, momentum.into(), nesterov, weight_decay.into()))
            }
            Optimizer::Adam { beta1, beta2, eps, weight_decay } => {
                adam([beta1, beta2], eps, weight_decay, false)
            }
            Optimizer::AdamW { beta1, beta2, eps, weight_decay } => {
                adam([beta1, beta2], eps, weight_decay, true)
            }
            Optimizer::Custom(_) => panic!("the reference has no optimiser of one's own"),
        }
    }

    fn step(&mut self, lr: f64, weights: &mut [f64], gradient: &[f64]) {
        match self {
            Self::Sgd(sgd) => {
                sgd.lr = lr;
                sgd.step(weights, gradient);
            }
            Self::Adam(adam) => {
                adam.lr = lr;
                adam.step(weights, gradient);
            }
        }
    }
}

/// The gradient at a trainer's weights, clipped by the formula g·min(1, limit/(‖g‖ + 1e-6)).
fn clipped(trainer: &mut Trainer, images: &[f32]) -> Vec<f64> {
    let gradients = gradients(trainer, images, &LABELS).unwrap();
    let mut all: Vec<f64> = gradients.iter().flat_map(|(_, g)| widen(g)).collect();
    if let Some(limit) = trainer.config().clip {
        let norm = all.iter().map(|g| g * g).sum::<f64>().sqrt();
        let factor = (f64::from(limit) / (norm + 1e-6)).min(1.0);
        all.iter_mut().for_each(|g| *g *= factor);
    }
    all
}

/// Takes steps at these progresses, with learning rates of the caller's own reckoning.
fn check(what: &str, config: &TrainConfig, progress: &[(f64, f64)]) {
    let mut trainer = trainer(config);
    let mut reference = Reference::of(config.optimizer.clone());
    let mut want = weights(&trainer);
    for (step, &(progress, lr)) in progress.iter().enumerate() {
        let images = images(step as u64);
        let gradient = clipped(&mut trainer, &images);
        let before = weights(&trainer);
        reference.step(lr, &mut want, &gradient);
        let report = trainer.train_batch(&images, &LABELS, progress).unwrap();
        assert!(
            (f64::from(report.lr) - lr).abs() <= 1e-6 * lr,
            "{what}: lr {} at {progress}, want {lr}",
            report.lr
        );
        assert_eq!(trainer.steps(), step as u64 + 1);
        let got = weights(&trainer);
        let moved = got.iter().zip(&before).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        let off = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(off <= 1e-4 * moved + 3e-7, "{what}, step {step}: off by {off}, moved by {moved}");
        // Gradients belong to the trainer's own weights, whose rounding is not at issue here.
        want = got;
    }
}

#[test]
fn steps_are_those_of_the_formulas() {
    let constant: Vec<_> = (0..5).map(|step| (f64::from(step), f64::from(0.01f32))).collect();
    for (what, optimizer) in [
        ("SGD", Optimizer::sgd(0.0, false, 0.0)),
        ("SGD with decay", Optimizer::sgd(0.0, false, 0.1)),
        ("momentum", Optimizer::sgd(0.9, false, 0.0)),
        ("Nesterov", Optimizer::sgd(0.9, true, 0.0)),
        ("Adam", Optimizer::adam(0.0)),
        ("Adam with decay", Optimizer::adam(0.1)),
        ("AdamW", Optimizer::adamw(0.1)),
    ] {
        check(what, &config(optimizer.clone()), &constant);
        for limit in [1e-3, 1e3] {
            check(
                &format!("{what}, clipped to {limit}"),
                &config(optimizer.clone()).clip(Some(limit)),
                &constant,
            );
        }
    }
}

#[test]
fn learning_rates_follow_their_schedules() {
    let lr = f64::from(0.01f32);
    let sgd = || config(Optimizer::sgd(0.0, false, 0.0));
    // A quarter through the cosine's epochs, half, three quarters; and within an epoch.
    let cosine = sgd().schedule(Schedule::Cosine);
    let points = [0.0, 2.0, 2.5, 4.0, 6.0, 7.75].map(|at| (at, lr * 0.5 * (1.0 + (PI * at / 8.0).cos())));
    check("cosine", &cosine, &points);
    let step = sgd().schedule(Schedule::Step { every_epochs: 2.0, factor: 0.5 });
    check("step", &step, &[(0.0, lr), (1.9, lr), (2.0, lr / 2.0), (4.5, lr / 4.0), (7.0, lr / 8.0)]);
    let warm = sgd().warmup_epochs(2.0);
    check("warm-up", &warm, &[(0.25, lr / 8.0), (1.0, lr / 2.0), (1.5, 0.75 * lr), (2.0, lr), (5.0, lr)]);
    let both = cosine.warmup_epochs(2.0);
    check("warm-up and cosine", &both, &[(1.0, lr / 2.0), (2.0, lr), (5.0, lr / 2.0)]);
}

/// The cross-entropy and the right answers of a batch, from its logits.
fn score(logits: &[f32]) -> (f64, usize) {
    let rows = logits.chunks(CLASSES).zip(LABELS);
    rows.fold((0.0, 0), |(loss, right), (z, label)| {
        let z = widen(z);
        let sum: f64 = z.iter().map(|z| z.exp()).sum();
        let best = (0..CLASSES).max_by(|&a, &b| z[a].total_cmp(&z[b])).unwrap();
        let of_image = sum.ln() - z[label as usize];
        (loss + of_image / BATCH as f64, right + usize::from(best == label as usize))
    })
}

#[test]
fn a_report_is_what_the_logits_say() {
    let config = config(Optimizer::adam(0.0)).beta(0.02);
    let mut trainer = trainer(&config);
    let mut seen = [false; BATCH + 1];
    for step in 0..30 {
        let images = images(step);
        // An MLP has no batch norm: its logits in training are those of a prediction.
        let (loss, right) = score(&trainer.predict(&images).unwrap());
        let lipschitz: f64 = trainer
            .parameters()
            .iter()
            .filter(|(_, shape, _)| shape.len() == 2)
            .map(|(_, shape, w)| {
                let (rows, cols, w) = (shape[0], shape[1], widen(w));
                // ‖W·Wᵀ − I‖² of the shorter side.
                let side = rows.min(cols);
                let at = |i: usize, k: usize| if rows <= cols { w[i * cols + k] } else { w[k * cols + i] };
                let gram = |i: usize, j: usize| (0..rows.max(cols)).map(|k| at(i, k) * at(j, k)).sum::<f64>();
                let square = |i: usize, j: usize| (gram(i, j) - f64::from(u8::from(i == j))).powi(2);
                (0..side).flat_map(|i| (0..side).map(move |j| (i, j))).map(|(i, j)| square(i, j)).sum::<f64>()
            })
            .sum::<f64>()
            * 0.02
            / 2.0;
        let report = trainer.train_batch(&images, &LABELS, 0.0).unwrap();
        let close =
            |got: f64, want: f64| assert!((got - want).abs() <= 1e-5 * want, "got {got}, want {want}");
        close(report.data_term, loss);
        close(report.lipschitz, lipschitz);
        close(report.loss, loss + lipschitz);
        assert_eq!(report.correct, right);
        seen[right] = true;
    }
    assert!(seen.iter().filter(|seen| **seen).count() >= 3, "batches of several scores: {seen:?}");
}

#[test]
fn fit_tells_epochs_and_batches() {
    let config = config(Optimizer::adam(0.0)).schedule(Schedule::Cosine);
    let (mut fitted, mut by_hand) = (trainer(&config), trainer(&config));
    let batches = |epoch: usize| (0..3usize).map(move |batch| (images((10 * epoch + batch) as u64), LABELS));
    let mut told = Vec::new();
    let finished = fitted.fit(2..5, batches, |trainer, progress| {
        told.push((trainer.steps(), progress));
        ControlFlow::Continue(())
    });
    assert_eq!(finished.unwrap(), 3);
    let mut told = told.into_iter();
    for epoch in 2..5 {
        let (mut loss, mut right) = (0.0, 0);
        for batch in 0..3 {
            let at = epoch as f64 + batch as f64 / 3.0;
            let want = by_hand.train_batch(&images((10 * epoch + batch) as u64), &LABELS, at).unwrap();
            let (steps, progress) = told.next().unwrap();
            let Progress::Batch { epoch: e, batch: b, report } = progress else { panic!("{progress:?}") };
            assert_eq!((e, b, steps), (epoch, batch, ((epoch - 2) * 3 + batch + 1) as u64));
            assert_eq!((report.loss, report.correct, report.lr), (want.loss, want.correct, want.lr));
            loss += want.loss / 3.0;
            right += want.correct;
        }
        let (_, progress) = told.next().unwrap();
        let Progress::Epoch(report) = progress else { panic!("{progress:?}") };
        assert_eq!((report.epoch, report.batches, report.images), (epoch, 3, 3 * BATCH));
        assert!((report.loss - loss).abs() < 1e-12, "{report:?}");
        assert!((report.accuracy - right as f64 / (3 * BATCH) as f64).abs() < 1e-12, "{report:?}");
        assert!(report.seconds > 0.0);
    }
    assert!(told.next().is_none() && weights(&fitted) == weights(&by_hand));
    // An iterator of unknown length: the rate of the epoch's beginning for every batch.
    let mut rates = Vec::new();
    let unknown = |_| (0..3).filter(|_| true).map(|_| (images(1), LABELS));
    let finished = fitted.fit(4..6, unknown, |_, progress| {
        if let Progress::Batch { report, .. } = progress {
            rates.push(report.lr);
        }
        if rates.len() == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!((finished.unwrap(), rates.len()), (1, 5), "stopped within the second epoch");
    let lr = |epoch: f64| (f64::from(0.01f32) * 0.5 * (1.0 + (PI * epoch / 8.0).cos())) as f32;
    assert_eq!(rates, [lr(4.0), lr(4.0), lr(4.0), lr(5.0), lr(5.0)]);
    // Stopped at the end of an epoch, that epoch is finished.
    let finished = fitted.fit(0..3, batches, |_, progress| match progress {
        Progress::Epoch(_) => ControlFlow::Break(()),
        Progress::Batch { .. } => ControlFlow::Continue(()),
    });
    assert_eq!(finished.unwrap(), 1);
}

/// Weights begin within the bounds of their formulas, by their seed.
#[test]
fn weights_begin_as_their_formulas_say() {
    for (init, seed) in [(Init::Uniform, 1), (Init::Uniform, 2), (Init::Kaiming, 1)] {
        let net = NetConfig::new(NetKind::LeNet, 3, 16, 16, 10).scale(0.5);
        let trainer =
            Trainer::new(TrainConfig::new(net).batch(1).init(init).seed(seed), Level::BASELINE).unwrap();
        for (name, shape, numbers) in trainer.parameters() {
            let numbers = widen(&numbers);
            let fan_in: usize = match shape.len() {
                1 => match name.as_str() {
                    "fc1.bias" => 32 * 16,
                    "fc2.bias" => 64,
                    "fc3.bias" => 32,
                    _ => 0,
                },
                _ => shape[1..].iter().product(),
            };
            let mean_square = numbers.iter().map(|w| w * w).sum::<f64>() / numbers.len() as f64;
            let want = match (init, shape.len(), fan_in) {
                (_, 1, 0) => f64::from(u8::from(name.ends_with("weight"))),
                (Init::Uniform, ..) => 1.0 / (3.0 * fan_in as f64),
                (Init::Kaiming, 1, _) => 0.0,
                (Init::Kaiming, ..) => 2.0 / fan_in as f64,
            };
            if want == 0.0 || fan_in == 0 {
                assert!(numbers.iter().all(|w| *w == want), "{init:?} {name}");
                continue;
            }
            // The relative spread of a mean of n squares is below 2/√n.
            let room = 6.0 * 2.0 / (numbers.len() as f64).sqrt();
            assert!((mean_square - want).abs() <= room * want, "{init:?} {name}: {mean_square}, want {want}");
            if init == Init::Uniform && fan_in > 0 {
                let bound = 1.0 / (fan_in as f64).sqrt();
                assert!(numbers.iter().all(|w| w.abs() <= bound * 1.000_001), "{name}");
                assert!(
                    numbers.len() < 200 || numbers.iter().any(|w| *w < -0.9 * bound),
                    "{name} has both signs"
                );
            }
        }
    }
    let lenet = NetConfig::new(NetKind::LeNet, 3, 16, 16, 10).scale(0.1);
    let net = Trainer::new(TrainConfig::new(lenet).batch(1), Level::BASELINE).unwrap();
    let params = net.net().params();
    for entry in &params.buffer_entries {
        let want = f32::from(u8::from(entry.name.ends_with("running_var")));
        assert!(params.buffers[entry.range.clone()].iter().all(|x| *x == want), "{}", entry.name);
    }
    let first = |seed| trainer(&config(Optimizer::adam(0.0)).seed(seed)).net().params().weights[0];
    assert!(first(1) == first(1) && first(1) != first(2));
}
