//! One neuron over two steps, with numbers computed by hand: every value is a sum of few powers of two.
//!
//! Without other words τ = V_th = 0.5, e = (1, 2), δ = 0, and the surrogate is the triangle h = 1 − |u − V_th|.

use spikegrad_testkit::check::F64_AGREEMENT;
use spikegrad_testkit::lif::*;
use spikegrad_testkit::neurons::Layer;
use spikegrad_testkit::surrogate::Surrogate;

/// Parameters and their gradients.
type Learned = &'static [(&'static str, &'static [f64])];

/// The values and gradients of a neuron.
struct Hand {
    lif: Lif,
    x: [f64; 2],
    u: [f64; 2],
    o: [f64; 2],
    dx: [f64; 2],
    /// Gradients of the parameters, by name.
    learned: Learned,
}

fn triangle() -> Lif {
    Lif { surrogate: Surrogate::Triangle { window: 1.0 }, delta: 0.0, ..Lif::paper() }
}

fn soft() -> Lif {
    Lif { reset: Reset::Soft, ..triangle() }
}

fn learning(lif: Lif) -> Lif {
    Lif { learn_decay: Learn::Layer, learn_threshold: Learn::Layer, learn_kind: Learn::Layer, ..lif }
}

impl Hand {
    fn check(&self, recurrent: Option<(f64, f64)>) {
        let what = format!("{:?}", self.lif);
        let mut layer = Layer::new(self.lif, 2, [1, 1, 1], Activation::Spike);
        layer.recurrent = recurrent.map(|(weight, _)| vec![weight]);
        let trace = layer.forward(&self.x);
        let grads = layer.backward(&trace, &[1.0, 2.0]);
        let close = |name: &str, got: &[f64], want: &[f64]| {
            assert_eq!(got.len(), want.len(), "{name} {what}");
            let near = got.iter().zip(want).all(|(a, b)| (a - b).abs() <= F64_AGREEMENT * b.abs().max(1.0));
            assert!(near, "{name}: got {got:?}, want {want:?} {what}");
        };
        close("u", &trace.u, &self.u);
        close("o", &trace.o, &self.o);
        close("∂x", &grads.x, &self.dx);
        assert_eq!(grads.learned.len(), self.learned.len(), "{what}");
        for (name, want) in self.learned {
            close(name, &grads.learned[*name], want);
        }
        if let Some((_, want)) = recurrent {
            close("∂R", &grads.recurrent, &[want]);
        }
    }
}

#[test]
fn leaky() {
    let (x, u) = ([0.75, 0.5], [0.75, 0.5]);
    // G₀ = 1 − ½·2·0.75 = 1/4, h₀ = 3/4.
    let hard = Hand { lif: triangle(), x, u, o: [1.0, 0.0], dx: [0.1875, 2.0], learned: &[] };
    hard.check(None);
    let detached = Lif { reset: Reset::HardDetached, ..triangle() };
    Hand { lif: detached, dx: [0.75, 2.0], ..hard }.check(None);
    // At the threshold the same neuron fires; the gradients of these steps do not depend on it.
    let at = Lif { firing: Firing::AtOrAbove, ..triangle() };
    Hand { lif: at, o: [1.0, 1.0], x, u, dx: [0.1875, 2.0], learned: &[] }.check(None);
}

#[test]
fn integrate_and_fire() {
    // u₁ = 1/4 + 1/8. G₁ = 2, h₁ = 7/8; a₀ = 7/4. No spike: S₀ = (1 − 7/4·1/4)·3/4 = 27/64, ∂u₀ = 27/64 + 7/4.
    let (x, u, o) = ([0.25, 0.125], [0.25, 0.375], [0.0, 0.0]);
    let lif = Lif { decay: 1.0, ..triangle() };
    Hand { lif, x, u, o, dx: [2.171875, 1.75], learned: &[] }.check(None);
}

#[test]
fn learned_decay_and_threshold() {
    // m₀ = 1/4, u₁ = 5/8; ∂u₁ = 2·7/8, a₀ = 7/8, G₀ = 1 − 7/16, ∂u₀ = 9/16·3/4 + 7/8. ∂τ = 7/16, ∂V = −∂u₀ − ∂u₁.
    let learned: Learned = &[("w", &[0.109375]), ("threshold", &[-1.5234375])];
    let (u, o) = ([0.75, 0.625], [1.0, 1.0]);
    Hand { lif: learning(soft()), x: [0.75, 0.5], u, o, dx: [1.296875, 1.75], learned }.check(None);
    // s = 1 − τ = 1/2 of twice the input: ∂τ = 7/16 − (∂u₀·3/2 + ∂u₁).
    let leak = Lif { input_scale: InputScale::Leak, learn_decay: Learn::Layer, ..soft() };
    let learned: Learned = &[("w", &[-0.814453125])];
    Hand { lif: leak, x: [1.5, 1.0], u, o, dx: [0.6484375, 0.875], learned }.check(None);
}

#[test]
fn reset_value() {
    // From r = −1/4 the threshold is at 3/4; V = (3/4, 1/4). δ = 1/2: factors 9/8 and 7/8.
    let lif = Lif { reset_value: -0.25, delta: 0.5, ..triangle() };
    let (x, u, o) = ([1.0, 0.5], [1.0, 0.5], [1.0, 0.0]);
    Hand { lif, x, u, o, dx: [0.1025390625, 1.6875], learned: &[] }.check(None);
}

#[test]
fn adaptive() {
    // V = (1/2, 3/4). ∂V₁ = −7/4, ∂b₁ = −7/16, a₀ = 7/8, G₀ = 1 − 7/16 − 7/16 = 1/8, ∂u₀ = 3/32 + 7/8, ∂V₀ = −∂u₀.
    let lif = learning(Lif { kind: NeuronKind::Adaptive { decay: 0.5, strength: 0.25 }, ..soft() });
    let learned: Learned = &[
        ("w", &[0.109375]),
        ("threshold", &[-1.359375]),
        ("adaptation", &[-0.4375]),
        ("adaptation_decay", &[0.0]),
    ];
    let (x, u, o) = ([0.75, 0.75], [0.75, 0.875], [1.0, 1.0]);
    Hand { lif, x, u, o, dx: [0.96875, 1.75], learned }.check(None);
}

#[test]
fn synaptic() {
    // i = (3/4, 5/8). ∂i₁ = ∂u₁ = 7/4, ∂α = 21/16; G₀ = 1 − 7/8·3/4, ∂i₀ = 11/32·3/4 + 7/8; m₀ = 0.
    let kind = NeuronKind::Synaptic { decay: 0.5 };
    let lif = learning(Lif { kind, ..triangle() });
    // ∂V = −(7/4 + 33/128), times V.
    let learned: Learned = &[("w", &[0.0]), ("threshold", &[-1.00390625]), ("synapse", &[0.328125])];
    let (x, u, o) = ([0.75, 0.25], [0.75, 0.625], [1.0, 1.0]);
    Hand { lif, x, u, o, dx: [1.1328125, 1.75], learned }.check(None);
}

#[test]
fn gated() {
    // D = c = 3/4, ℓ = 1/8, q = 1/4. u₁ = 3/4·5/8·1/2 − 1/8 + 3/4 − 1/4 = 39/64. ∂u₁ = 2·57/64;
    // ∂p = −∂u₁·(15/64 + 1/4), G₀ = 1 + ∂p, ∂u₀ = G₀·7/8 + ∂u₁·3/8.
    let gates = Gates { alpha: 0.5, beta: 0.5, gamma: 0.5, leak: 0.25, reset: 0.5, conduct: 0.5 };
    let lif = learning(Lif { kind: NeuronKind::Gated(gates), ..triangle() });
    let learned: Learned = &[
        ("w", &[0.069580078125]),
        ("threshold", &[-0.950653076171875]),
        ("alpha", &[0.090_999_603_271_484_38]),
        ("beta", &[-0.32115936279296875]),
        ("gamma", &[0.013916015625]),
        ("leak", &[-0.240_869_522_094_726_56]),
        ("reset", &[-0.22265625]),
        ("conduct", &[0.09850311279296875, 0.22265625]),
    ];
    let (x, u, o) = ([1.0, 1.0], [0.625, 0.609375], [1.0, 1.0]);
    Hand { lif, x, u, o, dx: [0.5910186767578125, 1.3359375], learned }.check(None);
}

#[test]
fn integrator() {
    let lif = Lif { kind: NeuronKind::Integrator, learn_decay: Learn::Layer, ..triangle() };
    let learned: Learned = &[("w", &[0.5])];
    let u = [1.0, 2.5];
    Hand { lif, x: [1.0, 2.0], u, o: u, dx: [2.0, 2.0], learned }.check(None);
}

#[test]
fn recurrent() {
    // R = 1/2: the spike of the first step adds 1/2. ∂u₁ = 3/2, e₀ = 1 + 3/4, a₀ = 3/4, G₀ = 7/4 − 9/16.
    let (x, u, o) = ([0.75, 0.25], [0.75, 0.75], [1.0, 1.0]);
    Hand { lif: triangle(), x, u, o, dx: [0.890625, 1.5], learned: &[] }.check(Some((0.5, 1.5)));
}
