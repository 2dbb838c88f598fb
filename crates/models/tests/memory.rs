//! The memory settings: what they keep, and what that does to gradients.

use spikegrad_bptt::{LossConfig, Surrogate};
use spikegrad_models::{Init, Memory, Net, NetConfig, NetKind};
use spikegrad_tensor::Level;
use spikegrad_tensor::rng::Rng;

const BATCH: usize = 3;

/// Logits and weight gradients of the second of two equal steps, so that nothing depends on fresh buffers.
fn step(config: &NetConfig, level: Level) -> (Vec<f32>, Vec<f32>) {
    let mut net = Net::plan(config, BATCH, level, false).unwrap();
    net.params_mut().initialise(Init::Uniform, 3);
    let mut rng = Rng::new(4);
    let images: Vec<f32> = (0..net.images_len()).map(|_| rng.normal()).collect();
    for _ in 0..2 {
        net.forward(&images, true);
        net.backward(&[0, 1, 2], &LossConfig::default(), 1e-4);
    }
    (net.mean_logits().to_vec(), net.params().grads.clone())
}

fn config(kind: NetKind, memory: Memory) -> NetConfig {
    let mut config = NetConfig::new(kind, 3, 17, 16, 4).memory(memory).scale(0.125);
    config.timesteps = 3;
    config
}

#[test]
fn recomputing_gives_the_same_bits() {
    for level in Level::available() {
        for kind in [NetKind::ResNet19, NetKind::LeNet, NetKind::Mlp, NetKind::VggSnnStride] {
            let kept = step(&config(kind, Memory::F32), level);
            assert!(kept == step(&config(kind, Memory::Recompute), level), "{kind} {level}");
        }
    }
}

/// y is rounded by at most 2⁻⁸·|y|, after the forward has run on the exact one. Each of the layers between a
/// weight and the loss, and the weight's own, multiplies its gradient by a derivative and a normalised value
/// formed from such a y: 2·2⁻⁸ a layer to first order where derivatives are smooth.
#[test]
fn half_floats_leave_the_forward_alone_and_bound_the_gradients() {
    for level in Level::available() {
        let layers = 17.0;
        let smooth = |memory| {
            let mut config = config(NetKind::ResNet19, memory).smooth(true);
            config.lif.surrogate = Surrogate::Sigmoid { alpha: 1.0 };
            config
        };
        let (logits, exact) = step(&smooth(Memory::F32), level);
        let (rounded_logits, rounded) = step(&smooth(Memory::Bf16), level);
        assert_eq!(logits, rounded_logits, "{level}");
        let square = |x: f32| f64::from(x) * f64::from(x);
        let norm: f64 = exact.iter().map(|&g| square(g)).sum();
        let distance: f64 = exact.iter().zip(&rounded).map(|(a, b)| square(a - b)).sum();
        assert!(distance > 0.0, "something was rounded");
        assert!((distance / norm).sqrt() < layers / 128.0, "{level}: {}", (distance / norm).sqrt());
    }
}

#[test]
fn each_setting_holds_less_than_the_one_before() {
    let held = |memory| {
        let config = NetConfig::new(NetKind::ResNet19, 3, 32, 32, 10).memory(memory).scale(0.25);
        let bytes = Net::plan(&config, 8, Level::BASELINE, false).unwrap().report(2, false).bytes;
        bytes.saved + bytes.workspace
    };
    assert!(held(Memory::F32) > held(Memory::Bf16));
    assert!(held(Memory::Bf16) > held(Memory::Recompute));
}
