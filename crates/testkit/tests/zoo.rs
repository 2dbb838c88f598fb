//! Every neuron's hand-derived backward against the tape, against finite differences and against numbers by hand.

use spikegrad_testkit::check::{F64_AGREEMENT, assert_agree, assert_gradient, dot, largest};
use spikegrad_testkit::lif::*;
use spikegrad_testkit::neurons::Layer;
use spikegrad_testkit::rng::Rng;
use spikegrad_testkit::surrogate::Surrogate;
use spikegrad_testkit::tape::{Grads, LifVars, Tape, Var};
use std::collections::BTreeMap;

/// Two images of three channels of 2×2 neurons.
const SIZE: [usize; 3] = [3, 2, 2];
/// Neurons of a step.
const COUNT: usize = 2 * 3 * 2 * 2;
/// T of the tests.
const STEPS: [usize; 3] = [1, 2, 5];

const GATES: Gates = Gates { alpha: 0.4, beta: 0.3, gamma: 0.6, leak: 0.05, reset: 0.2, conduct: 0.7 };

/// Every neuron by name, with an amplitude, a scaling and a smooth surrogate.
fn neurons() -> Vec<(&'static str, Lif)> {
    let surrogate = Surrogate::Arctan { alpha: 2.0 };
    let lif = Lif { decay: 0.6, threshold: 0.45, surrogate, delta: 0.3, amplitude: 0.8, ..Lif::paper() };
    let adaptive = NeuronKind::Adaptive { decay: 0.8, strength: 0.3 };
    let leak = InputScale::Leak;
    vec![
        ("lif", lif),
        ("if", Lif { decay: 1.0, ..lif }),
        ("plif", Lif { learn_decay: Learn::Layer, ..lif }),
        ("plif of channels", Lif { learn_decay: Learn::Channel, ..lif }),
        ("plif, leaky input", Lif { learn_decay: Learn::Channel, input_scale: leak, ..lif }),
        ("diet-snn", Lif { learn_decay: Learn::Layer, learn_threshold: Learn::Channel, ..lif }),
        ("lif, scaled", Lif { input_scale: InputScale::Constant(1.4), learn_decay: Learn::Layer, ..lif }),
        ("lif, at or above", Lif { firing: Firing::AtOrAbove, learn_threshold: Learn::Layer, ..lif }),
        ("alif", Lif { kind: adaptive, ..lif }),
        ("alif, learned", learning(Lif { kind: adaptive, ..lif }, Learn::Layer)),
        ("alif of channels", learning(Lif { kind: adaptive, input_scale: leak, ..lif }, Learn::Channel)),
        ("synaptic", Lif { kind: NeuronKind::Synaptic { decay: 0.7 }, ..lif }),
        (
            "synaptic, learned",
            learning(Lif { kind: NeuronKind::Synaptic { decay: 0.7 }, ..lif }, Learn::Layer),
        ),
        (
            "synaptic of channels",
            learning(
                Lif { kind: NeuronKind::Synaptic { decay: 0.7 }, input_scale: leak, ..lif },
                Learn::Channel,
            ),
        ),
        ("glif", Lif { kind: NeuronKind::Gated(GATES), ..lif }),
        ("glif, learned", learning(Lif { kind: NeuronKind::Gated(GATES), ..lif }, Learn::Layer)),
        ("glif of channels", learning(Lif { kind: NeuronKind::Gated(GATES), ..lif }, Learn::Channel)),
        (
            "integrator",
            Lif { kind: NeuronKind::Integrator, learn_decay: Learn::Channel, input_scale: leak, ..lif },
        ),
    ]
}

/// With all that can be learned.
fn learning(lif: Lif, learn: Learn) -> Lif {
    Lif { learn_decay: learn, learn_threshold: learn, learn_kind: learn, ..lif }
}

/// Neurons whose membranes are measured from another value than 0, or of which a soft reset takes another amount.
fn with_reset_values(reset: Reset) -> Vec<(&'static str, Lif)> {
    let change = |(name, lif): (&'static str, Lif)| match (lif.kind, reset.is_hard()) {
        (NeuronKind::Gated(_) | NeuronKind::Integrator, _) => None,
        (_, true) => Some((name, Lif { reset_value: -0.2, ..lif })),
        (_, false) => Some((name, Lif { reset_amount: Some(0.3), ..lif })),
    };
    neurons().into_iter().filter_map(change).collect()
}

/// A layer, its input, and the gradient at its outputs.
struct Case {
    name: String,
    layer: Layer,
    x: Vec<f64>,
    e: Vec<f64>,
}

impl Case {
    /// Learned parameters differ between channels and from where learning begins.
    fn new(name: &str, lif: Lif, steps: usize, activation: Activation, seed: u64) -> Case {
        let mut rng = Rng::new(seed);
        let mut layer = Layer::new(lif, steps, SIZE, activation);
        layer.learned.values_mut().flatten().for_each(|value| *value += rng.uniform(-0.3, 0.3));
        let (x, e) = (rng.uniforms(steps * COUNT, -0.6, 1.6), rng.normals(steps * COUNT));
        let name = format!("{name} {:?} T {steps} {activation:?}", lif.reset);
        Case { name, layer, x, e }
    }

    /// With recurrent weights of a k × k kernel.
    fn recurrent(mut self, k: usize, seed: u64) -> Case {
        self.layer.recurrent = Some(Rng::new(seed).uniforms(SIZE[0] * SIZE[0] * k * k, -0.4, 0.6));
        self
    }

    /// The layer on the tape: its input, learned parameters and recurrent weights, its steps and the gradients.
    fn on_tape(&self) -> (Tape, Var, BTreeMap<String, Var>, Option<Var>, LifVars, Grads) {
        let Layer { lif, steps, size: [c, h, w], activation, learned, recurrent } = &self.layer;
        let mut tape = Tape::new();
        let input = tape.leaf(&[self.x.len() / (c * h * w), *c, *h, *w], self.x.clone());
        let shapes = lif.parts().into_iter().map(|part| (part.name, part.shape(*c, *steps)));
        let shapes: BTreeMap<_, _> = shapes.collect();
        let leaf = |(name, values): (&String, &Vec<f64>)| {
            (name.clone(), tape.leaf(&shapes[name.as_str()], values.clone()))
        };
        let learned: BTreeMap<String, Var> = learned.iter().map(leaf).collect();
        let weight = recurrent.as_ref().map(|weight| {
            let k = ((weight.len() / (c * c)) as f64).sqrt() as usize;
            tape.leaf(&[*c, *c, k, k], weight.clone())
        });
        let vars = tape.neurons(input, *steps, lif, &learned, weight, *activation);
        let grads = tape.backward_from(vars.spikes, self.e.clone());
        (tape, input, learned, weight, vars, grads)
    }

    /// Compares values and every gradient with the tape's.
    fn check(&self) {
        let name = &self.name;
        let trace = self.layer.forward(&self.x);
        let grads = self.layer.backward(&trace, &self.e);
        let (tape, input, learned, weight, vars, by_tape) = self.on_tape();
        let values = |vars: &[Var]| vars.iter().flat_map(|&v| tape.value(v).to_vec()).collect::<Vec<f64>>();
        let gradients = |vars: &[Var]| vars.iter().flat_map(|&v| by_tape.of(v)).collect::<Vec<f64>>();
        let from_zero: Vec<f64> = trace.u.iter().map(|u| u + self.layer.lif.reset_value).collect();
        assert_agree(&format!("{name}: u"), &from_zero, &values(&vars.u), F64_AGREEMENT);
        assert_agree(&format!("{name}: o"), &trace.o, &values(&vars.o), F64_AGREEMENT);
        assert_agree(&format!("{name}: ∂x"), &grads.x, &by_tape.of(input), F64_AGREEMENT);
        let carries_membrane = !matches!(self.layer.lif.kind, NeuronKind::Gated(_) | NeuronKind::Integrator);
        if carries_membrane {
            assert_agree(&format!("{name}: G"), &grads.total, &gradients(&vars.o), F64_AGREEMENT);
            assert_agree(&format!("{name}: ∂m"), &grads.m, &gradients(&vars.m), F64_AGREEMENT);
        }
        assert_eq!(grads.learned.len(), learned.len(), "{name}: learned parameters");
        for (part, grad) in &grads.learned {
            self.compare_sums(part, grad, &by_tape.of(learned[part]));
        }
        if let Some(weight) = weight {
            self.compare_sums("R", &grads.recurrent, &by_tape.of(weight));
        }
    }

    /// Compares sums over all neurons, whose terms may cancel: relative to the largest sum or 1.
    fn compare_sums(&self, part: &str, got: &[f64], want: &[f64]) {
        let bound = F64_AGREEMENT * largest(want).max(1.0);
        let distance = got.iter().zip(want).fold(0.0f64, |most, (a, b)| most.max((a - b).abs()));
        assert!(distance <= bound, "{}: ∂{part}: {got:?} {want:?}", self.name);
    }

    /// Compares every gradient of a smooth layer with finite differences of Σ e·o.
    fn check_differences(&self) {
        let trace = self.layer.forward(&self.x);
        let grads = self.layer.backward(&trace, &self.e);
        let value = |layer: &Layer, x: &[f64]| dot(&layer.forward(x).o, &self.e);
        assert_gradient(&self.name, |x| value(&self.layer, x), &self.x, &grads.x, 10);
        for (part, values) in &self.layer.learned {
            let with = |values: &[f64]| {
                let mut layer = self.layer.clone();
                layer.learned.insert(part.clone(), values.to_vec());
                value(&layer, &self.x)
            };
            assert_gradient(&format!("{}: ∂{part}", self.name), with, values, &grads.learned[part], 11);
        }
        if let Some(weight) = &self.layer.recurrent {
            let with = |weight: &[f64]| {
                value(&Layer { recurrent: Some(weight.to_vec()), ..self.layer.clone() }, &self.x)
            };
            assert_gradient(&format!("{}: ∂R", self.name), with, weight, &grads.recurrent, 12);
        }
    }
}

/// Every neuron with every reset.
fn zoo() -> impl Iterator<Item = (&'static str, Lif)> {
    Reset::ALL.into_iter().flat_map(|reset| {
        let all = neurons().into_iter().chain(with_reset_values(reset));
        all.map(move |(name, lif)| (name, Lif { reset, ..lif })).collect::<Vec<_>>()
    })
}

#[test]
fn hand_derivations_match_the_tape() {
    for (k, (name, lif)) in zoo().enumerate() {
        for steps in STEPS {
            for activation in [Activation::Spike, Activation::Smooth] {
                Case::new(name, lif, steps, activation, k as u64).check();
            }
        }
    }
}

#[test]
fn recurrent_units_match_the_tape() {
    for (k, (name, lif)) in zoo().enumerate() {
        for steps in STEPS {
            for activation in [Activation::Spike, Activation::Smooth] {
                let case = Case::new(name, lif, steps, activation, 100 + k as u64);
                case.recurrent(if k % 2 == 0 { 3 } else { 1 }, k as u64).check();
            }
        }
    }
}

#[test]
fn dense_units_are_convolutions_of_one_pixel() {
    let mut rng = Rng::new(5);
    for (name, lif) in zoo() {
        let mut layer = Layer::new(lif, 4, [6, 1, 1], Activation::Spike);
        layer.recurrent = Some(rng.uniforms(36, -0.4, 0.6));
        let (x, e) = (rng.uniforms(4 * 2 * 6, -0.6, 1.6), rng.normals(4 * 2 * 6));
        let mut tape = Tape::new();
        let (input, weight) = (tape.leaf(&[8, 6], x.clone()), layer.recurrent.clone().unwrap());
        let weight = tape.leaf(&[6, 6], weight);
        let shapes: BTreeMap<_, _> =
            lif.parts().into_iter().map(|part| (part.name, part.shape(6, 4))).collect();
        let leaf = |(name, values): (&String, &Vec<f64>)| {
            (name.clone(), tape.leaf(&shapes[name.as_str()], values.clone()))
        };
        let learned: BTreeMap<String, Var> = layer.learned.iter().map(leaf).collect();
        let vars = tape.neurons(input, 4, &lif, &learned, Some(weight), Activation::Spike);
        let by_tape = tape.backward_from(vars.spikes, e.clone());
        let grads = layer.backward(&layer.forward(&x), &e);
        assert_agree(&format!("{name}: ∂x"), &grads.x, &by_tape.of(input), F64_AGREEMENT);
        assert_agree(&format!("{name}: ∂R"), &grads.recurrent, &by_tape.of(weight), F64_AGREEMENT);
    }
}

#[test]
fn smooth_neurons_match_differences() {
    for (k, (name, lif)) in zoo().enumerate() {
        // A detached reset's backward is not the gradient of any function; an integrator has no reset.
        if lif.reset.is_detached() && lif.kind != NeuronKind::Integrator {
            continue;
        }
        for steps in STEPS {
            Case::new(name, lif, steps, Activation::Smooth, 200 + k as u64).check_differences();
            let recurrent = Case::new(name, lif, steps, Activation::Smooth, 300 + k as u64);
            recurrent.recurrent(3, 1).check_differences();
        }
    }
}
