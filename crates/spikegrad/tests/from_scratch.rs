//! `examples/bptt_from_scratch.rs`: its loss and gradients are the crates'.

#[path = "../examples/bptt_from_scratch.rs"]
#[allow(dead_code, reason = "the example's own data is not used here")]
mod bptt_from_scratch;

use bptt_from_scratch::{Net, Neuron, Random, train};
use spikegrad::gradcheck::gradients;
use spikegrad::prelude::*;
use spikegrad_testkit::check::{Tolerance, assert_close, narrow};

const BATCH: usize = 6;
const CLASSES: usize = 5;

/// A trainer of the same net; the crates' MLP has 256·scale neurons a layer.
fn trainer(neuron: Neuron, steps: usize, beta: f64, level: Level) -> Trainer {
    let lif = LifConfig::default()
        .decay(neuron.decay as f32)
        .threshold(neuron.threshold as f32)
        .surrogate(Surrogate::Rectangle { window: neuron.window as f32 })
        .delta(neuron.delta as f32);
    let net = NetConfig::new(NetKind::Mlp, 2, 3, 4, CLASSES).lif(lif).timesteps(steps).scale(20.0 / 256.0);
    let config = TrainConfig::new(net).batch(BATCH).beta(beta as f32);
    Trainer::new(config, level).unwrap()
}

/// The same net in the file's words, with the trainer's weights.
fn from_scratch(neuron: Neuron, steps: usize, beta: f64, trainer: &Trainer) -> Net {
    let mut net = Net::new(neuron, steps, beta, [24, 20, 20, CLASSES], 1);
    let weights = trainer.parameters();
    for (layer, pair) in net.layers.iter_mut().zip(weights.chunks(2)) {
        let wide = |data: &[f32]| data.iter().map(|&w| f64::from(w)).collect::<Vec<_>>();
        (layer.weight, layer.bias) = (wide(&pair[0].2), wide(&pair[1].2));
    }
    net
}

/// Distance of the nearest membrane to the threshold or an edge of the window: rounding must not move it across.
fn margin(net: &Net, images: &[Vec<f64>]) -> f64 {
    let Neuron { threshold, window, .. } = net.neuron;
    let points = [threshold, threshold - window, threshold + window];
    let membranes = images.iter().flat_map(|image| net.forward(image).1).flat_map(|(u, _)| u).flatten();
    membranes.flat_map(|u| points.map(|p| (u - p).abs())).fold(f64::INFINITY, f64::min)
}

#[test]
fn gradients_are_the_crates() {
    for (delta, steps, window) in [(1e-4, 2, 0.5), (0.3, 4, 0.7), (-0.5, 3, 0.5), (0.0, 1, 1.0)] {
        let neuron = Neuron { decay: 0.5, threshold: 0.5, window, delta };
        for level in Level::available() {
            let mut trainer = trainer(neuron, steps, 1e-3, level);
            let mut net = from_scratch(neuron, steps, 1e-3, &trainer);
            let draw = |seed: u64| -> Vec<Vec<f64>> {
                let mut random = Random(seed);
                let mut image = || (0..24).map(|_| f64::from(random.between(-2.0, 3.0) as f32)).collect();
                (0..BATCH).map(|_| image()).collect()
            };
            let images = (1..100).map(draw).find(|images| margin(&net, images) > 1e-5);
            let images = images.expect("an input off every edge");
            let labels: Vec<usize> = (0..BATCH).map(|n| n % CLASSES).collect();
            let loss = net.gradients(&images, &labels);

            let flat = narrow(&images.concat());
            let got = gradients(&mut trainer, &flat, &[0, 1, 2, 3, 4, 0]).unwrap();
            for (layer, pair) in net.layers.iter().zip(got.chunks(2)) {
                let what = format!("{level} δ {delta} T {steps}: {}", pair[0].0);
                assert_close(&what, &pair[0].1, &layer.weight_gradient, Tolerance::Grad);
                assert_close(&what, &pair[1].1, &layer.bias_gradient, Tolerance::Grad);
                assert!(layer.weight_gradient.iter().any(|g| *g != 0.0), "{what}: a gradient arrives");
            }
            let report = trainer.train_batch(&flat, &[0, 1, 2, 3, 4, 0], 0.0).unwrap();
            // The Lipschitz term is Σ‖WWᵀ − I‖²; where a layer has more outputs than inputs, the crates take
            // ‖WᵀW − I‖², less by the constant β/2·(out − in). Here none has.
            assert_close("loss", &[report.loss as f32], &[loss], Tolerance::Forward);
        }
    }
}

#[test]
fn the_file_trains_and_is_short() {
    assert!(train() > 0.95);
    let text = include_str!("../examples/bptt_from_scratch.rs");
    assert!(text.lines().count() < 400);
    assert!(
        !text.lines().any(|line| line.trim_start().starts_with("use ")),
        "nothing but the standard library"
    );
}
