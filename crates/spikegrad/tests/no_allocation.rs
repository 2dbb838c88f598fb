//! A training step allocates nothing once the buffers have grown: every allocation of the process is counted.
//!
//! The one exception is foreign: `matrixmultiply` takes a packing buffer for each product of a linear layer and gives
//! it back. There is one for each product that the net's equations have, so the count must be exact.

mod counting;
mod every_op;

use counting::{ALL, LARGE, LARGE_BYTES};
use spikegrad::prelude::{Level, NetConfig, NetKind, Optimizer, TrainConfig, Trainer, with_threads};
use spikegrad_testkit::check::narrow;
use spikegrad_testkit::rng::Rng;
use std::sync::atomic::Ordering::SeqCst;

/// Matrix products of a step of ResNet-19: y, dx and dW of two linear layers.
const PRODUCTS: usize = 3 * 2;

/// Allocations, and large ones, of each of the last steps of a net.
fn steps(net: &NetConfig, threads: usize, level: Level, beta: f32) -> Vec<(usize, usize)> {
    const WARM: usize = 2;
    const COUNTED: usize = 3;
    let optimizer = Optimizer::adam(1e-3);
    let config = TrainConfig::new(net.clone()).batch(4).beta(beta).optimizer(optimizer).clip(Some(1.0));
    with_threads(Some(threads), || {
        let mut trainer = Trainer::new(config, level).unwrap();
        let mut rng = Rng::new(3);
        let batches: Vec<Vec<f32>> =
            (0..WARM + COUNTED).map(|_| narrow(&rng.normals(trainer.net().images_len()))).collect();
        let mut counts = Vec::with_capacity(batches.len());
        for images in &batches {
            let before = (ALL.load(SeqCst), LARGE.load(SeqCst));
            trainer.train_batch(images, &[0, 1, 2, 3], 0.0).unwrap();
            counts.push((ALL.load(SeqCst) - before.0, LARGE.load(SeqCst) - before.1));
        }
        counts.split_off(WARM)
    })
    .unwrap()
}

/// One test, so that no other allocates meanwhile.
#[test]
fn a_training_step_allocates_nothing_of_its_own() {
    let resnet = NetConfig::new(NetKind::ResNet19, 3, 9, 11, 5).scale(0.07);
    for (net, products) in [(resnet, PRODUCTS), (every_op::net(8), 3 * every_op::LINEAR_LAYERS)] {
        check(&net, products);
    }
}

fn check(net: &NetConfig, products: usize) {
    for level in Level::available() {
        for beta in [0.0, 1e-4] {
            let alone = steps(net, 1, level, beta);
            // Threads of an earlier pool that are ending may allocate beside one step; a step's own shows in each.
            let least = alone.iter().map(|&(all, _)| all).min();
            assert_eq!(
                least,
                Some(products),
                "{level} β {beta}: allocations of a step, matrix products of a step"
            );
            let shared = steps(net, 2, level, beta);
            for (&(_, large), &(_, want)) in shared.iter().zip(&alone) {
                assert_eq!(
                    large, want,
                    "{level} β {beta}: allocations of {LARGE_BYTES} bytes or more, two threads"
                );
            }
        }
    }
}
