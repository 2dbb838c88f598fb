//! The example `online_inference`, with every allocation counted: a step on a stream makes none.

mod counting;
#[path = "../examples/online_inference.rs"]
mod online_inference;

use counting::ALL;
use online_inference::{Bar, prepare, step};
use spikegrad::prelude::*;
use std::sync::atomic::Ordering::SeqCst;

/// Allocations of some steps of a stream, after one.
fn of_steps(predictor: &mut Predictor) -> usize {
    let mut stream = predictor.stream();
    let mut frame = vec![0.0; predictor.net().images_len()];
    let mut take = |predictor: &mut Predictor| predictor.step(&frame, &mut stream).map(|_| ()).unwrap();
    take(predictor);
    let before = ALL.load(SeqCst);
    (0..5).for_each(|_| take(predictor));
    frame.clear();
    ALL.load(SeqCst) - before
}

/// One test, so that no other allocates meanwhile.
#[test]
fn a_step_on_a_stream_allocates_nothing() {
    // On one thread: rayon keeps lists of its own.
    with_threads(Some(1), || {
        let mut predictor = prepare().unwrap();
        let (mut stream, mut bar) = (predictor.stream(), Bar::new(true, 1));
        let mut frame = vec![0.0; predictor.net().images_len()];
        step(&mut predictor, &mut stream, &mut bar, &mut frame).unwrap();
        let before = ALL.load(SeqCst);
        for _ in 0..20 {
            step(&mut predictor, &mut stream, &mut bar, &mut frame).unwrap();
        }
        stream.reset();
        assert_eq!(ALL.load(SeqCst) - before, 0, "allocations of 20 steps and a reset");
        for kind in [NetKind::ResNet19, NetKind::LeNet, NetKind::Mlp] {
            for level in spikegrad::tensor::Level::available() {
                let net = NetConfig::new(kind, 3, 12, 12, 5).scale(0.07);
                let mut predictor =
                    Predictor::of(&Trainer::new(TrainConfig::new(net).batch(1), level).unwrap(), 1);
                let count = of_steps(predictor.as_mut().unwrap());
                assert_eq!(count, 0, "{kind} {level}: allocations of 5 steps");
            }
        }
    })
    .unwrap();
    online_inference::main().unwrap();
}
