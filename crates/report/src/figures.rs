//! The book's drawings, from the functions that the trainer runs.
//!
//! | file | shows |
//! |---|---|
//! | `neuron.svg` | the membrane of a neuron under a constant current, with a hard and a soft reset |
//! | `surrogates.svg` | the seven surrogates and their primitives |
//! | `sgs-factor.svg` | the factor of surrogate gradient scaling for some δ |
//! | `zoo.svg` | four neurons of the zoo under a constant current |

use crate::plot::{Chart, Line, document};
use spikegrad::bptt::lif::{LifLayer, Output, ParameterMap, Source};
use spikegrad::bptt::surrogate::NAMES;
use spikegrad::bptt::{Activation, LifConfig, Reset, Surrogate, sgs};
use spikegrad::tensor::{Dims, Kernel, LANES, Lanes, Level, Spikes, Tensor, Workers};

/// Draws all of them: the name of each file, and its SVG.
pub fn drawings() -> [(&'static str, String); 4] {
    [
        ("neuron.svg", neuron()),
        ("surrogates.svg", surrogates()),
        ("sgs-factor.svg", factors()),
        ("zoo.svg", zoo()),
    ]
}

/// x for a hundred values from `low` to `high`.
fn points(low: f32, high: f32, of: impl Fn(f32) -> f32) -> Vec<(f64, f64)> {
    let at = |k: i16| low + (high - low) * f32::from(k) / 200.0;
    (0..=200).map(|k| (f64::from(at(k)), f64::from(of(at(k))))).collect()
}

/// The membrane before and after each step: a line that climbs, and falls where the neuron fires.
fn neuron() -> String {
    let chart = |title, reset| {
        let neuron = LifConfig::default().reset(reset);
        let (mut m, mut membrane) = (0.0, vec![(0.0, 0.0)]);
        for (t, after) in membranes(&neuron, 0.35, 12).into_iter().enumerate() {
            let (t, start) = (t as f64 + 1.0, f64::from(neuron.decay * m));
            membrane.extend([(t - 0.02, start), (t, start + 0.35), (t + 0.02, f64::from(after))]);
            m = after;
        }
        let threshold = vec![(0.0, 0.5), (12.0, 0.5)];
        Chart {
            title,
            x: "time step",
            y: "membrane u, then m",
            lines: vec![
                Line { name: "membrane", points: membrane, dashed: false, ..Line::default() },
                Line { name: "threshold", points: threshold, dashed: true, ..Line::default() },
            ],
            from_zero: true,
            least_x: 0.0,
        }
    };
    document(&[chart("Hard reset, x = 0.35", Reset::Hard), chart("Soft reset, x = 0.35", Reset::Soft)])
}

/// m\[t\] of one neuron under a constant current.
fn membranes(neuron: &LifConfig, current: f32, steps: usize) -> Vec<f32> {
    trajectory(neuron, current, steps).into_iter().map(|(m, _)| m).collect()
}

/// m\[t\] and o\[t\] of one neuron under a constant current, a step of the trainer's kernel at a time.
fn trajectory(neuron: &LifConfig, current: f32, steps: usize) -> Vec<(f32, bool)> {
    let dims = Dims::new(1, 1, 1, 1);
    let mut x = Tensor::zeros(dims);
    x.blocks_mut()[0].0[0] = current;
    let (ones, zeros) = ([1.0; LANES], [0.0; LANES]);
    let source = [Source::Affine { y: &x, mean: &zeros, scale: &ones, shift: &zeros }];
    let mut map = ParameterMap::new(neuron, 1);
    let mut row = vec![0.0; map.rows()];
    let raw: Vec<f64> =
        neuron.learned(1).iter().flat_map(|n| n.beginning.iter().map(|&w| w.into())).collect();
    map.parameters(&raw, &mut row);
    let parameters: Vec<f32> = row.iter().flat_map(|&p| [p as f32; LANES]).collect();
    let plain = LifLayer::plain(neuron, Activation::Spike, dims, 1, Level::BASELINE);
    let layer = LifLayer { parameters: &parameters, ..plain };
    let mut states = vec![Tensor::zeros(dims); neuron.states()];
    let (mut spikes, mut workers) = (Spikes::zeros(dims), Workers::new());
    let step = |_| {
        layer.forward_from(&mut states, &source, Output::Spikes(&mut spikes), &mut workers);
        (states[0].blocks()[0].0[0], spikes.count() > 0)
    };
    (0..steps).map(step).collect()
}

/// Four neurons of the zoo under a constant current: membranes after each step, and a mark at each spike.
fn zoo() -> String {
    const STEPS: usize = 30;
    let chart = |title, name: &str| {
        let lif = LifConfig::named(name).unwrap_or_default().decay(0.8).threshold(1.0).reset(Reset::Soft);
        let steps = trajectory(&lif, 0.45, STEPS);
        let at = |t: usize| t as f64 + 1.0;
        let membrane = steps.iter().enumerate().map(|(t, &(m, _))| (at(t), f64::from(m))).collect();
        let mut spikes = vec![(0.0, 0.0)];
        for (t, &(_, fired)) in steps.iter().enumerate() {
            if fired {
                spikes.extend([(at(t) - 0.02, 0.0), (at(t), 0.25), (at(t) + 0.02, 0.0)]);
            }
        }
        spikes.push((STEPS as f64, 0.0));
        Chart {
            title,
            x: "time step",
            y: "membrane m",
            lines: vec![
                Line { name: "membrane", points: membrane, dashed: false, ..Line::default() },
                Line { name: "spikes", points: spikes, dashed: false, ..Line::default() },
            ],
            from_zero: true,
            least_x: 0.0,
        }
    };
    document(&[
        chart("LIF", "lif"),
        chart("Adaptive threshold", "alif"),
        chart("Synaptic current", "synaptic"),
        chart("Gated", "glif"),
    ])
}

/// Derivatives and primitives.
fn surrogates() -> String {
    let all: Vec<Surrogate> = NAMES.iter().filter_map(|name| Surrogate::named(name, None).ok()).collect();
    let lines = |of: fn(&Surrogate, f32) -> f32| {
        let line = |s| Line {
            name: Surrogate::name(s),
            points: points(-1.5, 1.5, |d| of(s, d)),
            dashed: false,
            ..Line::default()
        };
        all.iter().map(line).collect()
    };
    let chart = |title, y, lines| Chart { title, x: "u − V_th", y, lines, from_zero: true, least_x: 0.0 };
    document(&[
        chart("Surrogate derivatives", "h", lines(Surrogate::derivative_at)),
        chart("Their primitives: the smooth spike", "primitive", lines(Surrogate::primitive_at)),
    ])
}

/// The factor at one membrane, through the kernel's own function.
struct Factor {
    g: f32,
    u: f32,
    delta: f32,
}

impl Kernel for Factor {
    type Output = f32;

    #[inline(always)]
    fn run<V: Lanes>(self) -> f32 {
        let o = f32::from(self.u > LifConfig::default().threshold);
        let [g, u, o, delta] = [self.g, self.u, o, self.delta].map(V::splat);
        let mut lanes = [0.0; 16];
        sgs::factor(g, u, o, delta).store(&mut lanes);
        lanes[0]
    }
}

/// Factors for a positive gradient, and for a negative one.
fn factors() -> String {
    let names = [("δ = −0.5", -0.5), ("δ = 1e-4", 1e-4), ("δ = 0.2", 0.2), ("δ = 0.5", 0.5)];
    let chart = |title, g: f32| Chart {
        title,
        x: "membrane u",
        y: "max(0, 1 + δ·sign(G)·(u − o))",
        lines: names
            .map(|(name, delta)| {
                let of = |u: f32| Level::BASELINE.run(Factor { g, u, delta });
                Line { name, points: points(0.0, 1.0, of), dashed: false, ..Line::default() }
            })
            .into(),
        from_zero: false,
        least_x: 0.0,
    };
    document(&[chart("A positive gradient G", 1.0), chart("A negative gradient G", -1.0)])
}
