//! Whole unrolled nets of every neuron against the f64 tape: logits, loss, every gradient, those of learned numbers
//! included, for each reset and T ∈ {1, 2, 5}; spikes and their smooth twins.

mod common;

use common::{Case, Setup, assert_sums};
use spikegrad::bptt::lif::{Firing, InputScale, Learn, NEURONS, NeuronKind, Preset};
use spikegrad::models::ops::{AvgPool, Conv, Linear, Recurrent};
use spikegrad::models::{Graph, Input, Net, NetConfig, NetKind};
use spikegrad::prelude::{
    Init, Level, LifConfig, LossConfig, Predictor, Reset, Surrogate, TrainConfig, Trainer, with_threads,
};
use spikegrad::tensor::conv::DeltaKernels;
use spikegrad_testkit as testkit;
use spikegrad_testkit::check::{Tolerance, assert_close, narrow, widen};
use spikegrad_testkit::rng::Rng;
use spikegrad_testkit::tape::{Grads, Tape, Var};
use std::collections::BTreeMap;

/// T of the tests.
const STEPS: [usize; 3] = [1, 2, 5];
/// Surrogates of the tests, in turn: with jumps, with kinks, and smooth.
const SURROGATES: [&str; 5] = ["rectangle", "triangle", "arctan", "sigmoid", "dspike"];

fn mlp() -> Setup {
    Setup::new(NetKind::Mlp, 3, 5, 0.0664)
}

fn lenet() -> Setup {
    Setup { margin: 3e-5, ..Setup::new(NetKind::LeNet, 9, 11, 0.1) }
}

/// A neuron that learns all it can.
fn learning(preset: &Preset, learn: Learn) -> LifConfig {
    let lif = preset.config().learn_threshold(learn).learn_kind(learn);
    if preset.name == "if" { lif } else { lif.learn_decay(learn) }
}

/// Every neuron by name, as it is and learning all it can, and the settings that any neuron may have.
fn neurons(reset: Reset) -> Vec<(String, LifConfig)> {
    let mut all = Vec::new();
    for preset in NEURONS {
        all.push((preset.name.to_string(), preset.config()));
        for learn in [Learn::Layer, Learn::Channel] {
            all.push((format!("{} learns, {learn}", preset.name), learning(preset, learn)));
        }
    }
    let usual = LifConfig::default;
    let leak = usual().input_scale(InputScale::Leak).learn_decay(Learn::Channel);
    let constant = usual().input_scale(InputScale::Constant(1.5)).learn_decay(Learn::Layer);
    let adaptive = NeuronKind::Adaptive { decay: 0.8, strength: 0.3 };
    let synaptic = NeuronKind::Synaptic { decay: 0.6 };
    all.push(("leaky input".into(), leak.clone()));
    all.push(("scaled input".into(), constant));
    all.push(("leaky input, adaptive".into(), leak.clone().kind(adaptive).learn_kind(Learn::Channel)));
    all.push(("leaky input, synaptic".into(), leak.kind(synaptic).learn_kind(Learn::Layer)));
    all.push(("at or above".into(), usual().firing(Firing::AtOrAbove).learn_threshold(Learn::Layer)));
    let other = match reset {
        Reset::Hard | Reset::HardDetached => usual().reset_value(-0.25),
        _ => usual().reset_amount(Some(0.75)),
    };
    for kind in [NeuronKind::Lif, adaptive, synaptic] {
        all.push((
            format!("another reset, {kind:?}"),
            other.clone().kind(kind).learn_threshold(Learn::Channel),
        ));
    }
    all
}

/// Every neuron with every reset and T; δ and surrogates take turns.
fn zoo() -> impl Iterator<Item = (usize, String, LifConfig, usize)> {
    let resets = Reset::ALL.iter().copied();
    let all =
        resets.flat_map(|reset| neurons(reset).into_iter().map(move |(name, lif)| (name, lif.reset(reset))));
    let all = all.flat_map(|(name, lif)| STEPS.map(|steps| (name.clone(), lif.clone(), steps)));
    all.enumerate().map(|(k, (name, lif, steps))| {
        let surrogate = Surrogate::named(SURROGATES[k % SURROGATES.len()], None).unwrap();
        let lif = lif.surrogate(surrogate).delta(common::DELTAS[(k + k / 4) % 4]);
        (k, format!("{name} {} T {steps}", lif.reset), lif, steps)
    })
}

/// Compares one net at the given levels.
fn check(mut setup: Setup, lif: LifConfig, steps: usize, seed: u64, levels: &[Level]) -> Case {
    (setup.net.lif, setup.net.timesteps) = (lif, steps);
    let case = Case::find(&setup, seed);
    levels.iter().for_each(|&level| case.check(level));
    case
}

#[test]
fn mlps_of_every_neuron() {
    let (mut learned, mut flat) = (0, Vec::new());
    for (k, what, lif, steps) in zoo() {
        let case = check(mlp(), lif, steps, 1000 * k as u64, &Level::available());
        let terms = case.want.magnitudes.iter().filter(|_| steps == 5);
        learned += terms.clone().count();
        let is_flat = |terms: &[f64]| terms.iter().all(|&terms| terms < 1e-6);
        flat.extend(terms.filter(|(_, terms)| is_flat(terms)).map(|(name, _)| format!("{name} {what}")));
    }
    // Something flows to nearly every learned number, so that a comparison says something.
    assert!(20 * flat.len() < learned, "{} of {learned} are flat: {flat:?}", flat.len());
}

#[test]
fn lenets_of_every_neuron() {
    for (k, _, lif, steps) in zoo() {
        check(lenet(), lif, steps, 1000 * k as u64, &[Level::detect().unwrap()]);
    }
}

#[test]
fn smooth_twins_of_every_neuron() {
    for (k, _, lif, steps) in zoo() {
        let mut setup = mlp();
        setup.net.smooth = true;
        check(setup, lif, steps, 1000 * k as u64, &Level::available());
    }
}

/// Two layers of dense recurrent neurons, or one of recurrent convolutions, before a linear read-out.
fn recurrent(is_image: bool, lif: LifConfig, steps: usize) -> NetConfig {
    let mut g = Graph::new();
    let image = g.input();
    let last = if is_image {
        let current = g.add("c", Conv::new(5, 3).without_norm().bias(), [image]);
        let spikes = g.add("s1", Recurrent::conv(3), [current]);
        g.add("pooled", AvgPool::global(), [spikes])
    } else {
        let current = g.add("fc1", Linear::new(9), [image]);
        let spikes = g.add("s1", Recurrent::new(), [current]);
        let current = g.add("fc2", Linear::new(7), [spikes]);
        g.add("s2", Recurrent::new(), [current])
    };
    g.add("out", Linear::new(3), [last]);
    let input = if steps == 2 { Input::Still } else { Input::Frames };
    NetConfig::of_graph(g, 2, 4, 3, 3).lif(lif).timesteps(steps).input(input)
}

/// A recurrent net on the tape: every parameter a leaf.
struct Wide {
    tape: Tape,
    leaves: BTreeMap<String, Var>,
    lif: testkit::lif::Lif,
    activation: testkit::lif::Activation,
    steps: usize,
    /// The least distance of a membrane to the threshold or to a kink of its surrogate.
    margin: f64,
}

impl Wide {
    fn linear(&mut self, name: &str, x: Var) -> Var {
        let shape = self.tape.shape(x).to_vec();
        let x = self.tape.reshape(x, &[shape[0], shape[1..].iter().product()]);
        let [weight, bias] = ["weight", "bias"].map(|part| self.leaves[&format!("{name}.{part}")]);
        self.tape.linear(x, weight, bias)
    }

    fn recurrent(&mut self, name: &str, x: Var) -> Var {
        let parts = self.lif.parts().into_iter();
        let learned =
            parts.map(|part| (part.name.to_string(), self.leaves[&format!("{name}.{}", part.name)]));
        let (learned, weight) = (learned.collect(), self.leaves[&format!("{name}.recurrent.weight")]);
        let vars = self.tape.neurons(x, self.steps, &self.lif, &learned, Some(weight), self.activation);
        let mut jumps = self.lif.surrogate.kinks();
        jumps.push(0.0);
        for (&u, &threshold) in vars.u.iter().zip(&vars.threshold) {
            for (u, threshold) in self.tape.value(u).iter().zip(self.tape.value(threshold)) {
                let nearest = |margin: f64, jump: &f64| margin.min((u - threshold - jump).abs());
                self.margin = jumps.iter().fold(self.margin, nearest);
            }
        }
        vars.spikes
    }

    /// The read-outs of every step.
    fn outputs(&mut self, is_image: bool, images: Var) -> Var {
        let last = if is_image {
            let weight = self.leaves["c.weight"];
            let current = self.tape.conv(images, weight, 1, 1);
            let current = self.tape.channel_bias(current, self.leaves["c.bias"]);
            let spikes = self.recurrent("s1", current);
            self.tape.global_pool(spikes)
        } else {
            let current = self.linear("fc1", images);
            let spikes = self.recurrent("s1", current);
            let current = self.linear("fc2", spikes);
            self.recurrent("s2", current)
        };
        self.linear("out", last)
    }
}

/// Images of a batch.
const BATCH: usize = 2;

/// A net with drawn weights, a batch, and the same on the tape: logits, images and gradients.
struct RecurrentCase {
    net: Net,
    images: Vec<f32>,
    wide: Wide,
    logits: Vec<f64>,
    image: Var,
    grads: Grads,
}

impl RecurrentCase {
    fn draw(config: &NetConfig, is_image: bool, level: Level, seed: u64) -> Self {
        let mut net = Net::plan(config, BATCH, level, true).unwrap();
        let mut rng = Rng::new(seed);
        let params = net.params_mut();
        params.initialise(Init::Uniform, seed);
        for entry in &params.entries {
            for w in &mut params.weights[entry.range.clone()] {
                *w = match entry.name.split_once('.') {
                    Some((_, "recurrent.weight")) => rng.uniform(-0.3, 0.5) as f32,
                    Some((_, "weight" | "bias")) => 3.0 * *w,
                    _ => *w + rng.uniform(-0.3, 0.3) as f32,
                };
            }
        }
        let images = narrow(&rng.normals(net.images_len()));
        let mut tape = Tape::new();
        let mut leaves = BTreeMap::new();
        for entry in &net.params().entries {
            let values = widen(&net.params().weights[entry.range.clone()]);
            leaves.insert(entry.name.clone(), tape.leaf(&entry.shape, values));
        }
        let (lif, activation) = common::neuron(config);
        let mut wide = Wide { tape, leaves, lif, activation, steps: config.timesteps, margin: f64::MAX };
        let values = widen(&images).repeat(config.timesteps / config.frames());
        let shape = [config.timesteps * BATCH, config.channels, config.height, config.width];
        let image = wide.tape.leaf(&shape, values);
        let outputs = wide.outputs(is_image, image);
        let mean = wide.tape.mean_over_time(outputs, config.timesteps);
        let loss = wide.tape.cross_entropy(mean, &[0, 2], 0.0);
        let grads = wide.tape.backward(loss);
        let logits = wide.tape.value(mean).to_vec();
        Self { net, images, wide, logits, image, grads }
    }

    /// Compares one training pass.
    fn check(mut self, what: &str) {
        self.net.forward(&self.images, true);
        self.net.backward(&[0, 2], &LossConfig::default(), 0.0);
        assert_close(&format!("logits {what}"), self.net.mean_logits(), &self.logits, Tolerance::Grad);
        for entry in &self.net.params().entries {
            let got = &self.net.params().grads[entry.range.clone()];
            let (leaf, name) = (self.wide.leaves[&entry.name], format!("∂L/∂{} {what}", entry.name));
            if entry.name.ends_with("weight") || entry.name.ends_with("bias") {
                assert_close(&name, got, &self.grads.of(leaf), Tolerance::Grad);
            } else {
                assert_sums(&name, got, &self.grads.of(leaf), &self.grads.magnitude_of(leaf));
            }
        }
        let got = self.net.input_gradient().expect("planned with it");
        let every = self.grads.of(self.image);
        let want: Vec<f64> = (0..got.len()).map(|i| every[i..].iter().step_by(got.len()).sum()).collect();
        assert_close(&format!("∂L/∂images {what}"), &got, &want, Tolerance::Grad);
    }
}

#[test]
fn recurrent_nets_of_every_neuron() {
    for (k, what, lif, steps) in zoo() {
        if matches!(lif.kind, NeuronKind::Gated(_)) {
            continue;
        }
        for (is_image, is_smooth) in [(false, false), (false, true), (true, false), (true, true)] {
            let config = recurrent(is_image, lif.clone(), steps).smooth(is_smooth);
            for level in Level::available() {
                let draw = |seed| RecurrentCase::draw(&config, is_image, level, seed);
                let found = (0..100).map(|n| draw(100 * k as u64 + n)).find(|case| case.wide.margin > 1e-4);
                let case = found.unwrap_or_else(|| panic!("{what}: a seed keeps the margin"));
                case.check(&format!("{what} image {is_image} smooth {is_smooth} {level}"));
            }
        }
    }
}

/// A stream of single steps has the bits of the unrolled net. Gated neurons have numbers for each of their steps, which
/// no stream holds.
#[test]
fn streams_of_every_neuron() {
    // One thread and up to four rows: sums are added in one order.
    with_threads(Some(1), || {
        for (k, what, lif, steps) in zoo() {
            if steps == 5 || matches!(lif.kind, NeuronKind::Gated(_)) {
                continue;
            }
            let dense = NetConfig::new(NetKind::Mlp, 2, 4, 3, 3).scale(0.1).lif(lif.clone());
            let nets = [dense.timesteps(2 * steps), recurrent(false, lif.clone(), 2).timesteps(2 * steps)];
            for mut net in nets {
                net.kernels.delta = DeltaKernels::Off;
                let config = TrainConfig::new(net).batch(1).init(Init::Kaiming).seed(k as u64);
                let mut trainer = Trainer::new(config, Level::detect().unwrap()).unwrap();
                let images = narrow(&Rng::new(k as u64).normals(trainer.net().images_len()));
                let want = trainer.predict(&images).unwrap();
                let mut predictor = Predictor::of(&trainer, 1).unwrap();
                let mut stream = predictor.stream();
                (0..2 * steps).for_each(|_| drop(predictor.step(&images, &mut stream).unwrap().to_vec()));
                assert_eq!(stream.mean_logits(), want, "{what}");
            }
        }
    })
    .unwrap();
}
