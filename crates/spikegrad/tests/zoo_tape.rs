//! Residual nets by published definitions against the f64 tape: logits and every gradient, for each reset and number of
//! steps. The tape's nets are spelled out here a second time, from the papers.

use spikegrad::models::{Input, Net, NetConfig, NetKind};
use spikegrad::prelude::*;
use spikegrad_testkit::check::{Tolerance, assert_close, narrow, widen};
use spikegrad_testkit::lif;
use spikegrad_testkit::rng::Rng;
use spikegrad_testkit::surrogate::Surrogate as Surrogate64;
use spikegrad_testkit::tape::{Grads, Tape, Var};
use std::collections::BTreeMap;

/// How a block joins its two branches.
#[derive(Clone, Copy, PartialEq)]
enum Block {
    /// Neurons on the sum.
    Spiking,
    Add,
    And,
    Iand,
    /// The sum is a current.
    Membrane,
}

/// A net on the tape while it grows.
struct Wide<'a> {
    tape: Tape,
    leaves: BTreeMap<String, Var>,
    params: &'a spikegrad::models::Params,
    steps: usize,
    lif: lif::Lif,
    /// The least distance of a membrane to the threshold.
    margin: f64,
}

impl Wide<'_> {
    fn leaf(&mut self, name: String) -> Var {
        let entry = self.params.entries.iter().find(|entry| entry.name == name).expect("a parameter");
        let values = widen(&self.params.weights[entry.range.clone()]);
        let leaf = self.tape.leaf(&entry.shape, values);
        self.leaves.insert(name, leaf);
        leaf
    }

    fn conv(&mut self, (conv, norm): (String, String), x: Var, stride: usize) -> Var {
        let weight = self.leaf(format!("{conv}.weight"));
        let padding = self.tape.shape(weight)[2] / 2;
        let y = self.tape.conv(x, weight, stride, padding);
        let (gamma, beta) = (self.leaf(format!("{norm}.weight")), self.leaf(format!("{norm}.bias")));
        self.tape.batch_norm(y, gamma, beta).y
    }

    fn fire(&mut self, x: Var) -> Var {
        let vars = self.tape.lif(x, self.steps, self.lif, lif::Activation::Spike);
        for u in vars.u {
            let nearest = |margin: f64, u: &f64| margin.min((u - self.lif.threshold).abs());
            self.margin = self.tape.value(u).iter().fold(self.margin, nearest);
        }
        vars.spikes
    }

    fn block(&mut self, kind: Block, name: &str, x: Var, stride: usize, project: bool) -> Var {
        let named = |conv: &str, norm: &str| (format!("{name}.{conv}"), format!("{name}.{norm}"));
        let from = if kind == Block::Membrane { self.fire(x) } else { x };
        let first = self.conv(named("conv1", "bn1"), from, stride);
        let inner = self.fire(first);
        let mut second = self.conv(named("conv2", "bn2"), inner, 1);
        let mut shortcut = x;
        let fires_early = matches!(kind, Block::Add | Block::And | Block::Iand);
        if project {
            shortcut = self.conv(named("downsample.0", "downsample.1"), x, stride);
            if fires_early {
                shortcut = self.fire(shortcut);
            }
        }
        if fires_early {
            second = self.fire(second);
        }
        match kind {
            Block::Add | Block::Membrane => self.tape.add(second, shortcut),
            Block::And => self.tape.mul(second, shortcut),
            Block::Iand => {
                let silent = self.tape.affine(second, -1.0, 1.0);
                self.tape.mul(silent, shortcut)
            }
            Block::Spiking => {
                let sum = self.tape.add(second, shortcut);
                self.fire(sum)
            }
        }
    }

    /// The logits of every step.
    fn net(&mut self, kind: Block, blocks: &[usize], image: Var) -> Var {
        let mut x = self.conv(("conv1".into(), "bn1".into()), image, 1);
        if kind != Block::Membrane {
            x = self.fire(x);
        }
        for (stage, &blocks) in blocks.iter().enumerate() {
            for k in 0..blocks {
                let shrinks = stage > 0 && k == 0;
                let stride = if shrinks { 2 } else { 1 };
                x = self.block(kind, &format!("layer{}.{k}", stage + 1), x, stride, shrinks);
            }
        }
        if kind == Block::Membrane {
            x = self.fire(x);
        }
        let pooled = self.tape.global_pool(x);
        let (weight, bias) = (self.leaf("fc.weight".into()), self.leaf("fc.bias".into()));
        self.tape.linear(pooled, weight, bias)
    }
}

const BATCH: usize = 2;

/// A net with drawn weights and a batch; weights are large enough for every layer to fire.
fn drawn(config: &NetConfig, seed: u64, level: Level) -> (Net, Vec<f32>) {
    let mut net = Net::plan(config, BATCH, level, true).unwrap();
    let mut rng = Rng::new(seed);
    let params = net.params_mut();
    params.initialise(Init::Kaiming, seed);
    for entry in &params.entries {
        if entry.shape.len() == 1 {
            let (middle, spread) = if entry.name.ends_with("weight") { (1.0, 0.2) } else { (0.3, 0.2) };
            let draws = rng.normals(entry.range.len());
            let values = draws.iter().map(|x| (middle + spread * x) as f32);
            params.weights[entry.range.clone()].iter_mut().zip(values).for_each(|(w, value)| *w = value);
        }
    }
    let len = net.images_len();
    let images = match config.input {
        Input::Spikes => rng.spikes(len, 0.4),
        _ => rng.normals(len),
    };
    (net, narrow(&images))
}

/// The tape's logits, the leaves and the image, its gradients, and the margin.
fn on_the_tape(
    config: &NetConfig,
    (kind, blocks): (Block, &[usize]),
    (net, images): (&Net, &[f32]),
) -> (Vec<f64>, BTreeMap<String, Var>, Var, Grads, f64) {
    let steps = config.timesteps;
    let reset = config.lif.reset.name().parse().unwrap();
    let lif = lif::Lif {
        decay: config.lif.decay.into(),
        threshold: config.lif.threshold.into(),
        reset,
        surrogate: Surrogate64::named(config.lif.surrogate.name(), None).unwrap(),
        delta: config.lif.delta.into(),
        ..lif::Lif::paper()
    };
    let (tape, leaves, params) = (Tape::new(), BTreeMap::new(), net.params());
    let mut wide = Wide { tape, leaves, params, steps, lif, margin: f64::MAX };
    let frames = steps / config.frames();
    let values = widen(images).repeat(frames);
    let image = wide.tape.leaf(&[steps * BATCH, config.channels, config.height, config.width], values);
    let logits = wide.net(kind, blocks, image);
    let mean = wide.tape.mean_over_time(logits, steps);
    let loss = wide.tape.cross_entropy(mean, &[0, 2], 0.0);
    let grads = wide.tape.backward(loss);
    (wide.tape.value(logits).to_vec(), wide.leaves, image, grads, wide.margin)
}

/// Compares one training pass with the tape's, for the first drawn weights whose membranes keep off the threshold.
fn check(config: &NetConfig, kind: (Block, &[usize]), level: Level) {
    let what =
        format!("{} {} T={} {} {level}", config.name(), config.lif.reset, config.timesteps, config.input);
    let found = (1..60).find_map(|seed| {
        let (net, images) = drawn(config, seed, level);
        let wide = on_the_tape(config, kind, (&net, &images));
        (wide.4 > 1e-5).then_some((net, images, wide))
    });
    let (mut net, images, (logits, leaves, image, grads, _)) = found.expect("a seed keeps the margin");
    net.forward(&images, true);
    assert_close(&format!("logits {what}"), &net.logits(), &logits, Tolerance::Grad);
    let loss = LossConfig::default();
    net.backward(&[0, 2], &loss, 0.0);
    assert_eq!(leaves.len(), net.params().entries.len(), "{what}");
    for entry in &net.params().entries {
        let got = &net.params().grads[entry.range.clone()];
        assert_close(
            &format!("∂L/∂{} {what}", entry.name),
            got,
            &grads.of(leaves[&entry.name]),
            Tolerance::Grad,
        );
    }
    let every = grads.of(image);
    let got = net.input_gradient().unwrap();
    let want: Vec<f64> = (0..got.len()).map(|i| every[i..].iter().step_by(got.len()).sum()).collect();
    assert_close(&format!("∂L/∂images {what}"), &got, &want, Tolerance::Grad);
    let rates = net.rates();
    assert!(
        rates.iter().all(|(_, rate)| (0.01..0.99).contains(rate)),
        "{what}: every layer fires: {rates:?}"
    );
}

fn config(kind: NetKind, reset: Reset, timesteps: usize, input: Input) -> NetConfig {
    let lif = LifConfig::default()
        .reset(reset)
        .threshold(0.5)
        .delta(0.3)
        .surrogate(Surrogate::Sigmoid { alpha: 4.0 });
    NetConfig::new(kind, 2, 8, 9, 3).scale(0.0625).lif(lif).timesteps(timesteps).input(input)
}

const NETS: [(NetKind, Block, &[usize]); 5] = [
    (NetKind::ResNet18, Block::Spiking, &[2, 2, 2, 2]),
    (NetKind::SewResNet18, Block::Add, &[2, 2, 2, 2]),
    (NetKind::SewResNet18And, Block::And, &[2, 2, 2, 2]),
    (NetKind::SewResNet18Iand, Block::Iand, &[2, 2, 2, 2]),
    (NetKind::MsResNet18, Block::Membrane, &[2, 2, 2, 2]),
];

#[test]
fn residual_nets_are_those_of_the_tape() {
    for (kind, block, blocks) in NETS {
        for reset in Reset::ALL {
            for (timesteps, input) in [(1, Input::Still), (2, Input::Still), (5, Input::Frames)] {
                check(&config(kind, reset, timesteps, input), (block, blocks), Level::detect().unwrap());
            }
        }
        for level in Level::available() {
            check(&config(kind, Reset::Hard, 2, Input::Spikes), (block, blocks), level);
        }
    }
    let small = config(NetKind::ResNet20, Reset::Soft, 2, Input::Still).scale(0.25);
    check(&small, (Block::Spiking, &[3, 3, 3]), Level::detect().unwrap());
    for (kind, block) in [(NetKind::ResNet34, Block::Spiking), (NetKind::SewResNet34, Block::Add)] {
        let deep = config(kind, Reset::Hard, 2, Input::Still);
        check(&deep, (block, &[3, 4, 6, 3]), Level::detect().unwrap());
    }
}
