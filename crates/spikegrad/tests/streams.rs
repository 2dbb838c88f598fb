//! Streams: T steps on a still image are a net of T steps, bit for bit; the state is the caller's.

use spikegrad::prelude::*;
use spikegrad::tensor::conv::DeltaKernels;
use spikegrad_testkit::check::{Tolerance, assert_close, narrow};
use spikegrad_testkit::rng::Rng;

/// A trained net: its running estimates and weights are not those of the beginning.
fn trainer(kind: NetKind, reset: Reset, timesteps: usize, batch: usize) -> Trainer {
    let lif = LifConfig::default().reset(reset);
    let mut net = NetConfig::new(kind, 2, 9, 10, 3).lif(lif).timesteps(timesteps).scale(0.125);
    // Later steps from what changed round differently.
    net.kernels.delta = DeltaKernels::Off;
    let config = TrainConfig::new(net).batch(batch).lr(1e-4).init(Init::Kaiming);
    let mut trainer = Trainer::new(config, Level::detect().unwrap()).unwrap();
    let labels: Vec<u32> = (0..batch as u32).map(|n| n % 3).collect();
    for seed in 0..3 {
        let images = narrow(&Rng::new(seed).normals(trainer.net().images_len()));
        trainer.train_batch(&images, &labels, 0.0).unwrap();
    }
    trainer
}

#[test]
fn steps_on_a_still_image_are_the_unrolled_net() {
    // One thread: the nets are too small to share.
    with_threads(Some(1), still_images).unwrap();
}

fn still_images() {
    for kind in [NetKind::ResNet19, NetKind::LeNet, NetKind::Mlp] {
        for reset in Reset::ALL {
            // Up to four rows, linear layers add in one order.
            let mut trainer = trainer(kind, reset, 4, 1);
            let images = narrow(&Rng::new(9).normals(trainer.net().images_len()));
            let want = trainer.predict(&images).unwrap();
            let silent: Vec<_> = trainer.rates().into_iter().filter(|(_, rate)| *rate == 0.0).collect();
            assert!(silent.is_empty(), "{kind} {reset}: spikes arrive everywhere: {silent:?}");
            let mut predictor = Predictor::of(&trainer, 1).unwrap();
            let mut stream = predictor.stream();
            let first = predictor.step(&images, &mut stream).unwrap().to_vec();
            assert_eq!(stream.mean_logits(), first, "{kind} {reset}: one step's mean is the step");
            let saved = stream.clone();
            let rest = |predictor: &mut Predictor, stream: &mut Stream| {
                (0..3).for_each(|_| {
                    predictor.step(&images, stream).unwrap();
                });
                (stream.steps(), stream.mean_logits().to_vec())
            };
            assert_eq!(rest(&mut predictor, &mut stream), (4, want.clone()), "{kind} {reset}");
            let other = narrow(&Rng::new(10).normals(images.len()));
            predictor.step(&other, &mut stream).unwrap();
            let mut saved = saved;
            assert_eq!(
                rest(&mut predictor, &mut saved),
                (4, want.clone()),
                "{kind} {reset}: a clone goes on"
            );
            stream.reset();
            assert_eq!(predictor.step(&images, &mut stream).unwrap(), first, "{kind} {reset}: reset");
        }
    }
}

#[test]
fn frames_step_by_step_are_the_unrolled_net() {
    const STEPS: usize = 4;
    for input in [Input::Frames, Input::Spikes] {
        for kind in [NetKind::EventNet, NetKind::VggSnn] {
            let mut net = NetConfig::new(kind, 2, 16, 16, 3).input(input).timesteps(STEPS).scale(0.25);
            net.kernels.delta = DeltaKernels::Off;
            let config = TrainConfig::new(net).batch(1).init(Init::Kaiming);
            let mut trainer = Trainer::new(config, Level::detect().unwrap()).unwrap();
            let frames = narrow(&Rng::new(5).spikes(trainer.net().images_len(), 0.3));
            trainer.train_batch(&frames, &[1], 0.0).unwrap();
            let want = trainer.predict(&frames).unwrap();
            let mut predictor = Predictor::of(&trainer, 1).unwrap();
            let mut stream = predictor.stream();
            for frame in frames.chunks(frames.len() / STEPS) {
                predictor.step(frame, &mut stream).unwrap();
            }
            let wide: Vec<f64> = want.iter().map(|&z| f64::from(z)).collect();
            // The density of all steps, or of one, may choose another kernel: the order of sums.
            assert_close(&format!("{input:?} {kind}"), stream.mean_logits(), &wide, Tolerance::Forward);
            let why = predictor.step(&vec![0.5; frames.len() / STEPS], &mut stream).map(|_| ());
            assert_eq!(why.is_err(), input == Input::Spikes, "{input:?}: halves are no spikes");
        }
    }
}

#[test]
fn streams_side_by_side_do_not_mix() {
    let trainer = trainer(NetKind::ResNet19, Reset::Hard, 2, 3);
    let (mut together, mut alone) =
        (Predictor::of(&trainer, 2).unwrap(), Predictor::of(&trainer, 1).unwrap());
    let len = alone.net().images_len();
    let (mut both, mut one) = (together.stream(), alone.stream());
    for step in 0..4 {
        let frames = narrow(&Rng::new(step).normals(2 * len));
        together.step(&frames, &mut both).unwrap();
        alone.step(&frames[len..], &mut one).unwrap();
    }
    assert_eq!(both.mean_logits()[3..], *one.mean_logits());
    assert_ne!(both.mean_logits()[..3], *one.mean_logits());
}

#[test]
fn what_does_not_fit_is_an_error() {
    let trainer = trainer(NetKind::Mlp, Reset::Hard, 2, 3);
    let mut predictor = Predictor::of(&trainer, 1).unwrap();
    let mut stream = predictor.stream();
    let why = predictor.step(&[0.0; 7], &mut stream).unwrap_err().to_string();
    assert_eq!(why, "got a frame of 7 numbers, planned for 180");
    let mut other = Predictor::of(&trainer, 2).unwrap().stream();
    let why = predictor.step(&[0.0; 180], &mut other).unwrap_err().to_string();
    assert_eq!(why, "the stream was made by a net of another shape");
    let why = trainer.net().stream().unwrap_err().to_string();
    assert_eq!(why, "net is planned for 2 time steps, a stream needs 1");
    assert!(predictor.load_weights("no/such/file").unwrap_err().to_string().contains("no/such/file"));
}

#[test]
fn fitting_stops_where_the_caller_says_and_follows_the_schedule() {
    let net = NetConfig::new(NetKind::Mlp, 1, 2, 2, 2).scale(0.1);
    let schedule = Schedule::Cosine;
    let config = TrainConfig::new(net).batch(2).lr(1.0).epochs(2).schedule(schedule.clone()).beta(0.0);
    let batches = |_| (0..4).map(|_| ([1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], [0, 1]));
    let run = |stop: usize, epochs| {
        let mut trainer = Trainer::new(config.clone(), Level::detect().unwrap()).unwrap();
        let mut rates = Vec::new();
        let finished = trainer.fit(epochs, batches, |_, progress| {
            let Progress::Batch { report, .. } = progress else { return ControlFlow::Continue(()) };
            rates.push(report.lr);
            if rates.len() == stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(trainer.steps(), rates.len() as u64);
        (finished.unwrap(), rates)
    };
    use std::ops::ControlFlow;
    let (finished, rates) = run(usize::MAX, 0..2);
    let want: Vec<f32> = (0..8).map(|k| schedule.at(1.0, f64::from(k) / 4.0, 2.0, 0.0)).collect();
    assert_eq!((finished, rates.clone()), (2, want));
    assert_eq!(run(6, 0..2), (1, rates[..6].to_vec()));
    assert_eq!(run(usize::MAX, 1..2), (1, rates[4..].to_vec()));
}
