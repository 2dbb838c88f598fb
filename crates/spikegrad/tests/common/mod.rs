//! A net of the library and the same net on the reference's tape, with weights that make every layer fire.
#![allow(dead_code, reason = "each test file uses its part")]

use spikegrad::models::{Input, Net, NetConfig, NetKind};
use spikegrad::prelude::{LifConfig, LossConfig, Reset, Surrogate};
use spikegrad::tensor::Level;
use spikegrad_testkit::check::{F64_AGREEMENT, Tolerance, assert_close, largest, narrow, widen};
use spikegrad_testkit::layout::random_values;
use spikegrad_testkit::lif::{Activation, Lif};
use spikegrad_testkit::net::{self, StepResult};
use spikegrad_testkit::rng::Rng;
use std::collections::BTreeMap;

/// δ of the tests.
pub const DELTAS: [f32; 4] = [0.0, 1e-4, 0.3, -0.3];

/// What is compared: a net, its loss, its input.
#[derive(Clone, Debug)]
pub struct Setup {
    pub net: NetConfig,
    pub loss: LossConfig,
    pub beta: f32,
    pub batch: usize,
    /// How far membranes stay away from where a spike or its surrogate jumps.
    pub margin: f64,
    /// Largest factor by which a relative change of the weights may move a gradient, if that is limited: deep
    /// smooth nets magnify rounding a thousandfold in places, which says nothing of the code under test.
    pub condition: Option<f64>,
}

impl Setup {
    /// A net so small that the reference is quick.
    pub fn new(kind: NetKind, height: usize, width: usize, scale: f64) -> Self {
        let net = NetConfig::new(kind, 3, height, width, 5).scale(scale);
        let (loss, batch, margin) = (LossConfig::default(), 2, 1e-4);
        Self { net, loss, beta: 0.0, batch, margin, condition: None }
    }

    /// With this neuron.
    pub fn with_lif(mut self, reset: Reset, surrogate: Surrogate, delta: f32, timesteps: usize) -> Self {
        self.net.lif = LifConfig::default().reset(reset).surrogate(surrogate).delta(delta);
        self.net.timesteps = timesteps;
        self
    }

    /// The reference's configuration.
    pub fn reference(&self) -> net::NetConfig {
        let kind = &self.loss.kind;
        net::NetConfig {
            smooth: self.net.smooth,
            loss: net::LossKind::named(kind.name(), &kind.numbers()).unwrap(),
            label_smoothing: self.loss.label_smoothing.into(),
            beta: self.beta.into(),
            ..net::NetConfig::from_text(&self.net.to_text()).unwrap()
        }
    }
}

/// A net's neuron and its activation in the reference, whatever the net.
pub fn neuron(net: &NetConfig) -> (Lif, Activation) {
    let text = NetConfig::new(NetKind::Mlp, 1, 1, 1, 2).lif(net.lif.clone()).to_text();
    let reference = net::NetConfig::from_text(&text).unwrap();
    let reference = net::NetConfig { smooth: net.smooth, twin: net.twin, ..reference };
    (reference.lif, reference.activation())
}

/// Weights, a batch, and the reference's training step on them.
pub struct Case {
    pub setup: Setup,
    pub seed: u64,
    pub values: BTreeMap<String, Vec<f64>>,
    pub images: Vec<f32>,
    pub labels: Vec<u32>,
    pub want: StepResult,
}

impl Case {
    /// The first seed from `seed` on whose membranes all keep the margin and whose layers all fire.
    pub fn find(setup: &Setup, seed: u64) -> Self {
        let found = (seed..seed + 400).find_map(|seed| {
            let case = Self::draw(setup, seed);
            let fine = case.margin() > setup.margin && case.is_alive() && case.is_well_conditioned();
            fine.then_some(case)
        });
        found.unwrap_or_else(|| panic!("no seed in {seed}.. keeps the margin: {setup:?}"))
    }

    fn draw(setup: &Setup, seed: u64) -> Self {
        let (config, mut rng) = (setup.reference(), Rng::new(seed));
        let mut values = random_values(&config, &mut rng);
        for (name, value) in &mut values {
            let factor = if name.starts_with("fc") { 3.0 } else { 1.0 };
            // The library reads f32.
            value.iter_mut().for_each(|v| *v = f64::from((*v * factor) as f32));
        }
        let pixels = setup.net.frames() * setup.batch * config.channels * config.height * config.width;
        let images = narrow(&match setup.net.input {
            Input::Spikes => rng.spikes(pixels, 0.4),
            Input::Still | Input::Frames => rng.normals(pixels),
        });
        let labels: Vec<u32> = (0..setup.batch).map(|_| rng.below(config.classes) as u32).collect();
        let want = reference_step(&config, &values, &images, &labels);
        Self { setup: setup.clone(), seed, values, images, labels, want }
    }

    /// Least distance of a membrane to a place where its spike, or the surrogate, jumps.
    fn margin(&self) -> f64 {
        let config = self.setup.reference();
        let mut jumps = if config.twin { Vec::new() } else { config.lif.surrogate.kinks() };
        jumps.push(0.0);
        let all = self.want.distances.values().flatten();
        let nearest = |d: &f64| jumps.iter().fold(f64::MAX, |least, k| least.min((d - k).abs()));
        all.map(nearest).fold(f64::MAX, f64::min)
    }

    fn is_alive(&self) -> bool {
        let smooth = self.setup.net.smooth || self.setup.net.twin;
        smooth || self.want.rates.values().all(|rate| (0.01..0.99).contains(rate))
    }

    fn is_well_conditioned(&self) -> bool {
        let Some(limit) = self.setup.condition else { return true };
        let (mut rng, mut values, change) = (Rng::new(5), self.values.clone(), 1e-7);
        values.values_mut().flatten().for_each(|v| *v *= 1.0 + change * rng.normal());
        let moved = reference_step(&self.setup.reference(), &values, &self.images, &self.labels);
        self.want.grads.iter().filter(|(name, _)| !is_in_front_of_norm(name)).all(|(name, grad)| {
            let distance = grad.iter().zip(&moved.grads[name]).fold(0.0f64, |d, (a, b)| d.max((a - b).abs()));
            distance <= limit * change * largest(grad)
        })
    }

    /// The library's net, planned and filled with the case's weights.
    pub fn net(&self, level: Level) -> Net {
        let mut net = Net::plan(&self.setup.net, self.setup.batch, level, true).unwrap();
        let params = net.params_mut();
        for (entries, data) in
            [(&params.entries, &mut params.weights), (&params.buffer_entries, &mut params.buffers)]
        {
            for entry in entries {
                data[entry.range.clone()].copy_from_slice(&narrow(&self.values[&entry.name]));
            }
        }
        net
    }

    /// Compares a training step of the library with the reference's: everything it yields.
    pub fn check(&self, level: Level) {
        let (what, want) = (format!("{:?} seed {} {level}", self.setup, self.seed), &self.want);
        let mut net = self.net(level);
        // Twice: the second step must not see what the first left behind.
        net.forward(&self.images, true);
        net.backward(&self.labels, &self.setup.loss, self.setup.beta);
        let fresh = self.net(level);
        net.params_mut().buffers.clone_from(&fresh.params().buffers);
        net.forward(&self.images, true);
        let loss = net.backward(&self.labels, &self.setup.loss, self.setup.beta);
        assert_close(&format!("logits {what}"), net.mean_logits(), &want.logits, Tolerance::Grad);
        let near = (loss.data_term - want.data_term).abs() <= 1e-5 * want.data_term.abs();
        assert!(near, "loss {what}: got {}, want {}, bound 1e-5 of it", loss.data_term, want.data_term);
        let params = net.params();
        assert_eq!(params.entries.len(), want.grads.len(), "{what}: parameters");
        for entry in &params.entries {
            let grad = &params.grads[entry.range.clone()];
            let (name, want) = (format!("∂L/∂{} {what}", entry.name), &want.grads[&entry.name]);
            if is_in_front_of_norm(&entry.name) {
                assert_vanishes(&name, grad, want, &self.want);
                continue;
            }
            match self.want.magnitudes.get(&entry.name) {
                Some(terms) => assert_sums(&name, grad, want, terms),
                None => assert_close(&name, grad, want, Tolerance::Grad),
            }
        }
        let input = net.input_gradient().expect("planned with it");
        assert_close(&format!("∂L/∂images {what}"), &input, &want.grad_input, Tolerance::Grad);
        for entry in &params.buffer_entries {
            let got = &params.buffers[entry.range.clone()];
            assert_close(&format!("{} {what}", entry.name), got, &want.buffers[&entry.name], Tolerance::Grad);
        }
        if !self.setup.net.smooth {
            for (name, rate) in net.rates() {
                let want = want.rates[&name];
                assert!(
                    (rate - want).abs() < 1e-12,
                    "rate {name} {what}: got {rate}, want {want}, bound 1e-12"
                );
            }
        }
    }
}

/// Whether a parameter is a bias that batch norm takes off again.
fn is_in_front_of_norm(name: &str) -> bool {
    name.starts_with("conv") && name.ends_with("bias")
}

/// The gradient of a bias in front of batch norm: nothing but the rounding of the reference's sums.
fn assert_vanishes(name: &str, grad: &[f32], want: &[f64], all: &StepResult) {
    let most = all.grads.values().map(|grad| largest(grad)).fold(0.0, f64::max);
    assert!(
        largest(want) <= F64_AGREEMENT * most,
        "{name}: the reference's is {:e} of {most:e}",
        largest(want)
    );
    assert!(grad.iter().all(|&g| g == 0.0), "{name}: not zero");
}

/// The gradient of a neuron's learned number, a sum over neurons and steps whose terms may cancel: 1e-4, as
/// [`Tolerance::Grad`] allows, of the largest sum of absolute terms.
pub fn assert_sums(name: &str, grad: &[f32], want: &[f64], terms: &[f64]) {
    assert_eq!(grad.len(), want.len(), "{name}: lengths of got and want");
    let bound = 1e-4 * largest(terms);
    for (&got, want) in grad.iter().zip(want) {
        let near = (f64::from(got) - want).abs() <= bound;
        assert!(near, "{name}: got {got:e}, want {want:e}, bound {bound:e}");
    }
}

/// The reference's training step.
pub fn reference_step(
    config: &net::NetConfig,
    values: &BTreeMap<String, Vec<f64>>,
    images: &[f32],
    labels: &[u32],
) -> StepResult {
    let labels: Vec<usize> = labels.iter().map(|&label| label as usize).collect();
    net::step(config, &|name| values[name].clone(), &widen(images), &labels)
}

/// Every reset × surrogate × T, δ cycling.
pub fn neurons() -> impl Iterator<Item = (Reset, Surrogate, f32, usize)> {
    let surrogates =
        spikegrad::bptt::surrogate::NAMES.map(|name| Surrogate::named(name, None).expect("a known name"));
    let grid = Reset::ALL.into_iter().flat_map(move |reset| {
        let steps = |surrogate: Surrogate| [1, 2, 4].map(move |steps| (reset, surrogate.clone(), steps));
        surrogates.clone().into_iter().flat_map(steps).collect::<Vec<_>>()
    });
    // 84 neurons; a δ for each, moving on by one every round of four, so that every pair meets.
    grid.enumerate().map(|(i, (reset, s, steps))| (reset, s, DELTAS[(i + i / 4) % 4], steps))
}
