//! The neuron of a run: a named one, with the numbers that the settings give it.

use super::names::NeuronName;
use super::{RunConfig, given};
use crate::{Error, Result};
use spikegrad::bptt::lif::{Learn, NeuronKind};
use spikegrad::bptt::{LifConfig, Surrogate};

/// The settings that a named neuron brings along.
pub(super) fn defaults(neuron: NeuronName) -> Result<RunConfig> {
    let lif = LifConfig::named(neuron.as_str()).map_err(Error::setting)?;
    let learned = |learn: Learn| Some(learn).filter(|learn| *learn != Learn::No);
    let (adaptation, synapse) = match lif.kind {
        NeuronKind::Adaptive { decay, strength } => (Some((decay, strength)), None),
        NeuronKind::Synaptic { decay } => (None, Some(decay)),
        _ => (None, None),
    };
    Ok(RunConfig {
        decay: Some(lif.decay),
        threshold: Some(lif.threshold),
        reset: Some(lif.reset),
        learn_decay: learned(lif.learn_decay),
        learn_threshold: learned(lif.learn_threshold),
        learn_kind: learned(lif.learn_kind),
        adaptation_decay: adaptation.map(|(decay, _)| decay),
        adaptation: adaptation.map(|(_, strength)| strength),
        synapse,
        ..RunConfig::default()
    })
}

/// Puts the neuron together.
pub(super) fn config(config: &RunConfig, surrogate: Surrogate) -> Result<LifConfig> {
    let named = config.neuron.map_or(Ok(LifConfig::default()), |name| LifConfig::named(name.as_str()));
    let mut lif = named.map_err(Error::setting)?;
    lif.kind = kind(config, lif.kind)?;
    let has_numbers = !matches!(lif.kind, NeuronKind::Lif | NeuronKind::Integrator);
    if config.learn_kind.is_some_and(|learn| learn != Learn::No) && !has_numbers {
        let name = config.neuron.map_or("lif", NeuronName::as_str);
        return Err(Error::setting(format!("--learn-kind: the neuron {name} has no numbers of its kind")));
    }
    lif.reset_value = config.reset_value.unwrap_or(lif.reset_value);
    lif.reset_amount = config.reset_amount.or(lif.reset_amount);
    lif.input_scale = config.input_scale.unwrap_or(lif.input_scale);
    lif.firing = config.firing.unwrap_or(lif.firing);
    Ok(lif
        .decay(given("decay", config.decay)?)
        .threshold(given("threshold", config.threshold)?)
        .reset(given("reset", config.reset)?)
        .surrogate(surrogate)
        .delta(given("delta", config.delta)?)
        .learn_decay(config.learn_decay.unwrap_or_default())
        .learn_threshold(config.learn_threshold.unwrap_or_default())
        .learn_kind(config.learn_kind.unwrap_or_default()))
}

/// The kind with the numbers that the settings give it; a number of another kind is refused.
fn kind(config: &RunConfig, kind: NeuronKind) -> Result<NeuronKind> {
    let mut numbers = [
        ("adaptation-decay", config.adaptation_decay),
        ("adaptation", config.adaptation),
        ("synapse", config.synapse),
    ];
    let mut take = |at: usize, own: f32| numbers[at].1.take().unwrap_or(own);
    let kind = match kind {
        NeuronKind::Adaptive { decay, strength } => {
            NeuronKind::Adaptive { decay: take(0, decay), strength: take(1, strength) }
        }
        NeuronKind::Synaptic { decay } => NeuronKind::Synaptic { decay: take(2, decay) },
        other => other,
    };
    match numbers.iter().find(|(_, number)| number.is_some()) {
        None => Ok(kind),
        Some((setting, _)) => {
            let name = config.neuron.map_or("lif", NeuronName::as_str);
            Err(Error::setting(format!("--{setting} is no number of the neuron {name}")))
        }
    }
}
