//! Neurons by name.

use super::{Gates, Learn, LifConfig, NeuronKind, Reset};
use crate::ConfigError;

/// A neuron that has a name.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Preset {
    /// The name, as flags and files spell it.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// Its charge.
    pub equation: &'static str,
    /// The numbers that it learns, or may learn.
    pub learns: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    make: fn() -> LifConfig,
}

impl Preset {
    /// Makes the neuron with the numbers that it begins with.
    pub fn config(&self) -> LifConfig {
        (self.make)()
    }
}

/// Every neuron that has a name.
pub const NEURONS: &[Preset] = &[
    Preset {
        name: "lif",
        about: "The leaky integrate-and-fire neuron of the paper.",
        equation: "u[t] = τ·m[t−1] + s·x[t]",
        learns: "nothing; decay and threshold on demand",
        source: "Chen et al. 2023",
        make: LifConfig::default,
    },
    Preset {
        name: "if",
        about: "The integrate-and-fire neuron, which forgets nothing.",
        equation: "u[t] = m[t−1] + x[t]",
        learns: "nothing; threshold on demand",
        source: "SpikingJelly IFNode",
        make: || LifConfig::default().decay(1.0),
    },
    Preset {
        name: "plif",
        about: "The LIF neuron whose decay is learned.",
        equation: "u[t] = σ(w)·m[t−1] + s·x[t]",
        learns: "w, one a layer or a channel",
        source: "Fang et al. 2021, arXiv:2007.05785",
        make: || LifConfig::default().learn_decay(Learn::Layer),
    },
    Preset {
        name: "diet-snn",
        about: "The LIF neuron whose leak and threshold are learned.",
        equation: "u[t] = σ(w)·m[t−1] + s·x[t], V_th = exp(v)",
        learns: "w and v, one a layer or a channel",
        source: "Rathi & Roy 2021, arXiv:2008.03658",
        make: || {
            LifConfig::default().reset(Reset::Soft).learn_decay(Learn::Layer).learn_threshold(Learn::Layer)
        },
    },
    Preset {
        name: "alif",
        about: "The LIF neuron whose threshold rises with every spike and sinks again.",
        equation: "u[t] = τ·m[t−1] + s·x[t], V[t] = V_th + β·b[t], b[t] = ρ·b[t−1] + o[t−1]",
        learns: "nothing; ρ and β on demand",
        source: "Bellec et al. 2018, arXiv:1803.09574",
        make: || LifConfig::default().kind(NeuronKind::Adaptive { decay: 0.9, strength: 0.2 }),
    },
    Preset {
        name: "synaptic",
        about: "The LIF neuron whose input is a current that decays by itself.",
        equation: "i[t] = α·i[t−1] + s·x[t], u[t] = τ·m[t−1] + i[t]",
        learns: "nothing; α on demand",
        source: "snnTorch Synaptic",
        make: || LifConfig::default().kind(NeuronKind::Synaptic { decay: 0.5 }),
    },
    Preset {
        name: "glif",
        about: "The neuron whose gates mix two decays, two inputs and two resets.",
        equation: "u[t] = D·u[t−1]·(1 − γ·o[t−1]) − ℓ − q·o[t−1] + c[t]·x[t]",
        learns: "three gates, decay, leak, reset and T conductances, one a layer or a channel",
        source: "Yao et al. 2022, arXiv:2210.13768",
        make: || {
            let gated = LifConfig::default().kind(NeuronKind::Gated(Gates::default()));
            gated.learn_decay(Learn::Layer).learn_kind(Learn::Layer)
        },
    },
    Preset {
        name: "integrator",
        about: "The leaky integrator, which never fires: a read-out.",
        equation: "u[t] = τ·u[t−1] + s·x[t], output u[t]",
        learns: "nothing; decay on demand",
        source: "Bellec et al. 2018, arXiv:1803.09574",
        make: || LifConfig::default().kind(NeuronKind::Integrator),
    },
];

impl LifConfig {
    /// Makes the neuron of a name.
    ///
    /// ```
    /// use spikegrad_bptt::{LifConfig, lif::{Learn, NEURONS}};
    ///
    /// let plif = LifConfig::named("plif")?;
    /// assert_eq!((plif.decay, plif.learn_decay), (0.5, Learn::Layer));
    /// assert!(NEURONS.iter().all(|neuron| neuron.config().check().is_ok()));
    /// # Ok::<(), spikegrad_bptt::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// No neuron has this name; the error lists the names.
    pub fn named(name: &str) -> Result<Self, ConfigError> {
        let known = || NEURONS.iter().map(|preset| preset.name).collect::<Vec<_>>().join(", ");
        let found = NEURONS.iter().find(|preset| preset.name == name);
        found.map(Preset::config).ok_or_else(|| ConfigError::unknown("neuron", name, known()))
    }
}
