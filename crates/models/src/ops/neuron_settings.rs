//! The text form of a neuron: what differs from the authors' neuron, behind the numbers that every neuron has.

use crate::graph::{Setting, Settings};
use spikegrad_bptt::lif::{Gates, InputScale, Learn, NeuronKind};
use spikegrad_bptt::{ConfigError, LifConfig, Surrogate};

/// Writes a neuron's settings.
pub(crate) fn neuron_settings(lif: &LifConfig) -> Settings {
    let mut settings = Settings::from([
        ("decay", Setting::number(lif.decay)),
        ("threshold", Setting::number(lif.threshold)),
        ("reset", Setting::text(lif.reset)),
        ("surrogate", Setting::text(lif.surrogate.name())),
    ]);
    if let Some(parameter) = lif.surrogate.parameter() {
        settings.push("surrogate_parameter", Setting::number(parameter));
    }
    settings.push("delta", Setting::number(lif.delta));
    if let Some(amount) = lif.reset_amount {
        settings.push("reset_amount", Setting::number(amount));
    }
    let usual = LifConfig::default();
    let numbers =
        [("amplitude", lif.amplitude, usual.amplitude), ("reset_value", lif.reset_value, usual.reset_value)];
    for (name, value, usual) in numbers {
        if value != usual {
            settings.push(name, Setting::number(value));
        }
    }
    if lif.input_scale != InputScale::One {
        settings.push("input_scale", Setting::text(lif.input_scale));
    }
    if lif.firing != usual.firing {
        settings.push("firing", Setting::text(lif.firing));
    }
    let learned = [
        ("learn_decay", lif.learn_decay),
        ("learn_threshold", lif.learn_threshold),
        ("learn_kind", lif.learn_kind),
    ];
    for (name, learn) in learned {
        if learn != Learn::No {
            settings.push(name, Setting::text(learn));
        }
    }
    push_kind(&mut settings, lif.kind);
    settings
}

/// Writes the kind and its numbers.
fn push_kind(settings: &mut Settings, kind: NeuronKind) {
    let numbers = match kind {
        NeuronKind::Lif => return,
        NeuronKind::Adaptive { decay, strength } => {
            vec![("adaptation_decay", decay), ("adaptation", strength)]
        }
        NeuronKind::Synaptic { decay } => vec![("synapse", decay)],
        NeuronKind::Gated(Gates { alpha, beta, gamma, leak, reset, conduct, .. }) => {
            let gates = [("alpha", alpha), ("beta", beta), ("gamma", gamma)];
            let amounts = [("leak", leak), ("gated_reset", reset), ("conduct", conduct)];
            gates.into_iter().chain(amounts).collect()
        }
        _ => Vec::new(),
    };
    settings.push("kind", Setting::text(kind.name()));
    numbers.into_iter().for_each(|(name, value)| settings.push(name, Setting::number(value)));
}

/// Reads a neuron's settings; what is not there is as the authors have it.
pub(crate) fn read_neuron(settings: &mut Settings) -> Result<LifConfig, ConfigError> {
    let mut lif = LifConfig::default();
    lif.decay = settings.take_as("decay")?.unwrap_or(lif.decay);
    lif.threshold = settings.take_as("threshold")?.unwrap_or(lif.threshold);
    lif.reset = settings.take_as("reset")?.unwrap_or(lif.reset);
    lif.delta = settings.take_as("delta")?.unwrap_or(lif.delta);
    lif.reset_amount = settings.take_as("reset_amount")?;
    lif.amplitude = settings.take_as("amplitude")?.unwrap_or(lif.amplitude);
    lif.reset_value = settings.take_as("reset_value")?.unwrap_or(lif.reset_value);
    lif.firing = settings.take_as("firing")?.unwrap_or(lif.firing);
    lif.input_scale = settings.take_as("input_scale")?.unwrap_or_default();
    lif.learn_decay = read_learn(settings, "learn_decay")?;
    lif.learn_threshold = read_learn(settings, "learn_threshold")?;
    lif.learn_kind = read_learn(settings, "learn_kind")?;
    lif.kind = read_kind(settings)?;
    let parameter = settings.take_as("surrogate_parameter")?;
    if let Some(name) = settings.take_as::<String>("surrogate")? {
        lif.surrogate = Surrogate::named(&name, parameter)?;
    }
    Ok(lif)
}

/// Reads a way of learning; files of earlier versions say true and false.
fn read_learn(settings: &mut Settings, name: &str) -> Result<Learn, ConfigError> {
    match settings.take(name) {
        None => Ok(Learn::No),
        Some(Setting::Bool(learned)) => Ok(learned.into()),
        Some(value) => value.parse(name),
    }
}

/// Reads the kind and its numbers.
fn read_kind(settings: &mut Settings) -> Result<NeuronKind, ConfigError> {
    let Some(kind) = settings.take_as::<String>("kind")? else { return Ok(NeuronKind::Lif) };
    let mut number = |name: &str| {
        settings.need(name).map_err(|error| error.within(format_args!("neuron of kind {kind:?}")))
    };
    match kind.as_str() {
        "lif" => Ok(NeuronKind::Lif),
        "integrator" => Ok(NeuronKind::Integrator),
        "synaptic" => Ok(NeuronKind::Synaptic { decay: number("synapse")? }),
        "adaptive" => {
            let (decay, strength) = (number("adaptation_decay")?, number("adaptation")?);
            Ok(NeuronKind::Adaptive { decay, strength })
        }
        "gated" => {
            let mut gates = Gates::default();
            gates.alpha = number("alpha")?;
            gates.beta = number("beta")?;
            gates.gamma = number("gamma")?;
            gates.leak = number("leak")?;
            gates.reset = number("gated_reset")?;
            gates.conduct = number("conduct")?;
            Ok(NeuronKind::Gated(gates))
        }
        other => {
            let known = "lif, adaptive, synaptic, gated, integrator";
            Err(ConfigError::unknown("kind of neuron", other, known))
        }
    }
}
