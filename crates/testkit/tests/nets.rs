//! Whole small nets with smooth spikes against finite differences, and what the options of a net promise.

use spikegrad_testkit::check::{
    F64_AGREEMENT, FINITE_DIFFERENCE, STEP, assert_agree, dot, finite_difference,
};
use spikegrad_testkit::layout::{buffers, parameters, random_values};
use spikegrad_testkit::lif::{Lif, Reset};
use spikegrad_testkit::net::*;
use spikegrad_testkit::rng::Rng;
use spikegrad_testkit::surrogate::Surrogate;
use std::collections::BTreeMap;

/// Values of a net and a batch of two.
struct Setup {
    config: NetConfig,
    values: BTreeMap<String, Vec<f64>>,
    images: Vec<f64>,
    labels: Vec<usize>,
}

impl Setup {
    fn new(config: NetConfig, seed: u64) -> Setup {
        let mut rng = Rng::new(seed);
        let values = random_values(&config, &mut rng);
        let images = rng.normals(2 * config.channels * config.height * config.width);
        let labels = vec![rng.below(config.classes), rng.below(config.classes)];
        Setup { config, values, images, labels }
    }

    fn step(&self) -> StepResult {
        step(&self.config, &|name| self.values[name].clone(), &self.images, &self.labels)
    }

    /// The loss with one array replaced; the empty name stands for the images.
    fn loss_with(&self, name: &str, value: &[f64]) -> f64 {
        let lookup = |n: &str| if n == name { value.to_vec() } else { self.values[n].clone() };
        let images = if name.is_empty() { value } else { &self.images };
        step(&self.config, &lookup, images, &self.labels).loss
    }

    /// Every gradient, along one random direction each.
    fn check(&self) {
        let result = self.step();
        let mut rng = Rng::new(77);
        let mut all: Vec<(&str, &[f64], &[f64])> = vec![("", &self.images, &result.grad_input)];
        all.extend(result.grads.iter().map(|(name, g)| (name.as_str(), &self.values[name][..], &g[..])));
        let whole = all.iter().map(|(_, _, g)| dot(g, g)).sum::<f64>().sqrt();
        for (name, x, grad) in all {
            let direction = rng.normals(x.len());
            let want = finite_difference(|x| self.loss_with(name, x), x, &direction, STEP);
            let got = dot(grad, &direction);
            // Relative to this gradient, plus the rounding of a loss of order `whole`.
            let bound = 10.0
                * FINITE_DIFFERENCE
                * (dot(grad, grad).sqrt() + 1e-3 * whole)
                * dot(&direction, &direction).sqrt();
            assert!(
                (got - want).abs() <= bound,
                "{name}: {got:e} {want:e} bound {bound:e}\n{:?}",
                self.config
            );
        }
    }
}

/// A small smooth net of the given kind.
fn small(kind: NetKind, timesteps: usize) -> NetConfig {
    let (h, width) = match kind {
        NetKind::ResNet19 => (5, 1.0 / 32.0),
        NetKind::LeNet => (6, 1.0 / 16.0),
        NetKind::Mlp => (3, 1.0 / 32.0),
        NetKind::VggSnn | NetKind::VggSnnStride => (16, 1.0 / 64.0),
        NetKind::EventNet => (8, 1.0 / 16.0),
    };
    let lif = Lif { decay: 0.6, surrogate: Surrogate::Sigmoid { alpha: 4.0 }, ..Lif::paper() };
    NetConfig { lif, smooth: true, classes: 4, beta: 0.01, ..NetConfig::paper(kind, h, width, timesteps) }
}

#[test]
fn smooth_resnet19_matches_differences() {
    Setup::new(small(NetKind::ResNet19, 2), 1).check();
    let mut soft = small(NetKind::ResNet19, 2);
    soft.norm = Norm::TdBn;
    soft.lif.reset = Reset::Soft;
    soft.label_smoothing = 0.1;
    Setup::new(soft, 2).check();
}

#[test]
fn smooth_lenet_and_mlp_match_differences() {
    for kind in [NetKind::LeNet, NetKind::Mlp] {
        for (reset, surrogate) in [
            (Reset::Hard, Surrogate::Arctan { alpha: 2.0 }),
            (Reset::Soft, Surrogate::Gaussian { alpha: 2.0 }),
        ] {
            let mut config = small(kind, 3);
            config.lif = Lif { reset, surrogate, ..config.lif };
            config.loss = LossKind::Tet { lambda: 0.2, phi: 1.0 };
            Setup::new(config, 3).check();
        }
    }
}

#[test]
fn smooth_event_nets_match_differences() {
    for (kind, seed) in [(NetKind::EventNet, 11), (NetKind::VggSnn, 12), (NetKind::VggSnnStride, 13)] {
        let mut setup = Setup::new(small(kind, 2), seed);
        // A frame of its own for each of the two steps.
        setup.images.extend(Rng::new(seed + 1).normals(setup.images.len()));
        setup.check();
    }
}

#[test]
fn vggsnn_has_the_published_size() {
    for kind in [NetKind::VggSnn, NetKind::VggSnnStride] {
        let config = NetConfig { channels: 2, ..NetConfig::paper(kind, 48, 1.0, 10) };
        assert_eq!(parameters(&config).iter().map(|p| p.len()).sum::<usize>(), 9_271_498);
    }
}

#[test]
fn relu_twins_match_differences() {
    for (kind, seed) in [(NetKind::LeNet, 4), (NetKind::Mlp, 5)] {
        Setup::new(NetConfig { twin: true, ..small(kind, 3) }, seed).check();
    }
}

#[test]
fn relu_twin_ignores_the_time_steps() {
    let twin = |timesteps| Setup::new(NetConfig { twin: true, ..small(NetKind::LeNet, timesteps) }, 6).step();
    assert_eq!(twin(1), twin(5));
}

#[test]
fn a_repeated_image_is_the_same_as_its_frames() {
    for kind in [NetKind::ResNet19, NetKind::LeNet, NetKind::Mlp] {
        let config = NetConfig { smooth: false, ..small(kind, 3) };
        let setup = Setup::new(config.clone(), 7);
        let frames = setup.images.repeat(3);
        let (once, each) =
            (setup.step(), step(&config, &|n| setup.values[n].clone(), &frames, &setup.labels));
        assert_eq!((&once.logits, &once.grads), (&each.logits, &each.grads));
        let len = setup.images.len();
        let sum: Vec<f64> = (0..len).map(|i| (0..3).map(|t| each.grad_input[t * len + i]).sum()).collect();
        assert_agree("input gradient", &sum, &once.grad_input, F64_AGREEMENT);
        assert!(once.rates.values().any(|&r| r > 0.0 && r < 1.0), "some neurons fire: {:?}", once.rates);
    }
}

#[test]
fn spikes_are_binary_and_running_statistics_move() {
    let setup = Setup::new(NetConfig { smooth: false, ..small(NetKind::ResNet19, 2) }, 8);
    let result = setup.step();
    for (name, spikes) in &result.spikes {
        assert!(spikes.iter().all(|&o| o == 0.0 || o == 1.0), "{name}");
        let fired = result.membranes[name].iter().map(|&u| f64::from(u8::from(u > 0.5)));
        assert!(fired.eq(spikes.iter().copied()), "{name}: spikes are u > V_th");
    }
    assert_eq!(result.spikes.len(), 18);
    assert_eq!(result.buffers.len(), buffers(&setup.config).len());
    assert!(result.buffers.iter().all(|(name, after)| *after != setup.values[name]));
    let lookup = |name: &str| result.buffers.get(name).unwrap_or_else(|| &setup.values[name]).clone();
    assert_eq!(evaluate(&setup.config, &lookup, &setup.images, 2).len(), 2 * 4);
}

#[test]
fn resnet19_has_the_papers_size() {
    let config = NetConfig::paper(NetKind::ResNet19, 32, 1.0, 2);
    assert_eq!(parameters(&config).iter().map(|p| p.len()).sum::<usize>(), 12_630_858);
    // Of PyTorch's 124 tensors, 20 count batches.
    assert_eq!(parameters(&config).len() + buffers(&config).len(), 124 - 20);
}

#[test]
fn small_nets_scale_with_their_width() {
    let shape = |kind, name: &str| {
        let entries = parameters(&NetConfig { classes: 7, ..NetConfig::paper(kind, 28, 0.5, 2) });
        entries.into_iter().find(|e| e.name == name).expect("the parameter").shape
    };
    assert_eq!(shape(NetKind::LeNet, "conv1.weight"), [16, 3, 5, 5]);
    assert_eq!(shape(NetKind::LeNet, "fc1.weight"), [64, 32 * 7 * 7]);
    assert_eq!(shape(NetKind::LeNet, "fc3.weight"), [7, 32]);
    assert_eq!(shape(NetKind::Mlp, "fc1.weight"), [128, 3 * 28 * 28]);
    assert_eq!(shape(NetKind::Mlp, "fc3.bias"), [7]);
}

#[test]
fn tdbn_is_bn_with_scaled_gammas() {
    let mut tdbn = Setup::new(NetConfig { norm: Norm::TdBn, ..small(NetKind::ResNet19, 2) }, 9);
    tdbn.config.lif.threshold = 0.8;
    let factor = |name: &str| {
        let summand = name.contains("bn2") || name.contains("downsample.1");
        let gamma = name.ends_with("weight") && (name.contains("bn") || name.contains("downsample.1"));
        match (gamma, summand) {
            (false, _) => 1.0,
            (true, false) => 0.8,
            (true, true) => 0.8 / 2.0f64.sqrt(),
        }
    };
    let mut bn = Setup::new(NetConfig { norm: Norm::Bn, ..tdbn.config.clone() }, 9);
    for (name, value) in &mut bn.values {
        value.iter_mut().for_each(|v| *v *= factor(name));
    }
    let (got, want) = (tdbn.step(), bn.step());
    assert_agree("logits", &got.logits, &want.logits, F64_AGREEMENT);
    for (name, grad) in &got.grads {
        let want: Vec<f64> = want.grads[name].iter().map(|g| g * factor(name)).collect();
        assert_agree(name, grad, &want, 100.0 * F64_AGREEMENT);
    }
}
