//! Whole unrolled nets of every neuron against the f64 tape: logits, loss, every gradient, those of learned numbers
//! included, for each reset and T ∈ {1, 2, 5}; spikes and their smooth twins.

mod common;

use common::{Case, Setup};
use spikegrad::bptt::lif::{Firing, InputScale, Learn, NEURONS, NeuronKind, Preset};
use spikegrad::models::NetKind;
use spikegrad::prelude::{Level, LifConfig, Reset, Surrogate};

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
fn check(mut setup: Setup, lif: LifConfig, steps: usize, seed: u64, levels: &[Level]) {
    (setup.net.lif, setup.net.timesteps) = (lif, steps);
    let case = Case::find(&setup, seed);
    levels.iter().for_each(|&level| case.check(level));
}

#[test]
fn mlps_of_every_neuron() {
    for (k, _, lif, steps) in zoo() {
        check(mlp(), lif, steps, 1000 * k as u64, &Level::available());
    }
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
