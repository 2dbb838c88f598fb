//! The neuron's configuration: its kind, its numbers, and which of them are learned.

use crate::{ConfigError, Surrogate};
use std::str::FromStr;

/// Makes the names of an enum's variants: `ALL`, `name`, `Display` and `FromStr`.
macro_rules! spelled {
    ($kind:ident, $what:literal: $($variant:ident $name:literal),*) => {
        impl $kind {
            /// Every variant.
            pub const ALL: [$kind; [$($name),*].len()] = [$($kind::$variant),*];

            /// Returns the name, as flags and files spell it.
            pub fn name(self) -> &'static str {
                match self { $($kind::$variant => $name),* }
            }
        }

        impl std::fmt::Display for $kind {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $kind {
            type Err = ConfigError;

            fn from_str(name: &str) -> Result<Self, ConfigError> {
                let found = $kind::ALL.into_iter().find(|variant| variant.name() == name);
                found.ok_or_else(|| ConfigError::unknown($what, name, [$($name),*].join(", ")))
            }
        }
    };
}

/// The reset of the membrane after a spike, and whether gradients flow through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// The membrane is set to zero, and gradients flow through the reset: the authors' graph.
    Hard,
    /// The membrane is set to zero, and no gradient flows through the reset.
    HardDetached,
    /// The threshold is subtracted from the membrane, and gradients flow through the reset.
    Soft,
    /// The threshold is subtracted from the membrane, and no gradient flows through the reset.
    SoftDetached,
}

spelled!(Reset, "reset": Hard "hard", HardDetached "hard-detached", Soft "soft", SoftDetached "soft-detached");

impl Reset {
    pub(super) fn is_hard(self) -> bool {
        matches!(self, Reset::Hard | Reset::HardDetached)
    }

    pub(super) fn is_attached(self) -> bool {
        matches!(self, Reset::Hard | Reset::Soft)
    }
}

/// The membranes at which a neuron fires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Firing {
    /// u > V_th, as in the paper.
    #[default]
    Above,
    /// u ≥ V_th, as in SpikingJelly.
    AtOrAbove,
}

spelled!(Firing, "rule of firing": Above "above", AtOrAbove "at-or-above");

/// Whether a number of the neuron is learned, and how many of it a layer has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Learn {
    /// The number is fixed.
    #[default]
    No,
    /// The layer learns one number.
    Layer,
    /// The layer learns one number a channel.
    Channel,
}

spelled!(Learn, "way of learning": No "no", Layer "layer", Channel "channel");

impl From<bool> for Learn {
    /// `true` is one number a layer.
    fn from(learned: bool) -> Self {
        if learned { Learn::Layer } else { Learn::No }
    }
}

/// The factor s on a neuron's input current.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum InputScale {
    /// s = 1.
    #[default]
    One,
    /// s = 1 − τ, so that the membrane is a running mean of the current; it follows a learned decay.
    Leak,
    /// Another constant.
    Constant(f32),
}

impl std::fmt::Display for InputScale {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::One => f.write_str("one"),
            Self::Leak => f.write_str("leak"),
            Self::Constant(s) => s.fmt(f),
        }
    }
}

impl FromStr for InputScale {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match (text, text.parse()) {
            ("one", _) => Ok(Self::One),
            ("leak", _) => Ok(Self::Leak),
            (_, Ok(s)) => Ok(Self::Constant(s)),
            _ => Err(ConfigError::unknown("input scale", text, "one, leak, or a number")),
        }
    }
}

/// The kind of a neuron: what there is besides the membrane.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum NeuronKind {
    /// Leaky integrate-and-fire: u\[t\] = τ·m\[t−1\] + s·x\[t\].
    #[default]
    Lif,
    /// A threshold that rises with every spike: V_th + β·b\[t\], b\[t\] = ρ·b\[t−1\] + o\[t−1\].
    Adaptive {
        /// ρ, the share of b that is kept from one step to the next.
        decay: f32,
        /// β, the weight of b in the threshold.
        strength: f32,
    },
    /// A synaptic current: i\[t\] = α·i\[t−1\] + s·x\[t\], u\[t\] = τ·m\[t−1\] + i\[t\].
    Synaptic {
        /// α, the share of the current that is kept from one step to the next.
        decay: f32,
    },
    /// Gates between two decays, two inputs and two resets.
    Gated(Gates),
    /// A leaky integrator, which never fires: its output is u\[t\] = τ·u\[t−1\] + s·x\[t\].
    Integrator,
}

impl NeuronKind {
    /// Returns the name of the kind, as files spell it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Lif => "lif",
            Self::Adaptive { .. } => "adaptive",
            Self::Synaptic { .. } => "synaptic",
            Self::Gated(_) => "gated",
            Self::Integrator => "integrator",
        }
    }
}

/// The numbers of a gated neuron, each between 0 and 1; the membrane's decay τ is [`LifConfig::decay`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Gates {
    /// α, from no exponential decay (0) to no linear leak (1).
    pub alpha: f32,
    /// β, from the whole current (0) to its gated part (1).
    pub beta: f32,
    /// γ, from the soft reset (0) to the hard one (1).
    pub gamma: f32,
    /// V_leak, which each step takes off the membrane.
    pub leak: f32,
    /// V_reset, which the soft reset takes off the membrane.
    pub reset: f32,
    /// g\[t\], the share of the current that its gate lets through; every step begins with this one.
    pub conduct: f32,
}

impl Default for Gates {
    /// Gates half open; V_leak = 1/8, V_reset = g = 1/2.
    fn default() -> Self {
        Self { alpha: 0.5, beta: 0.5, gamma: 0.5, leak: 0.125, reset: 0.5, conduct: 0.5 }
    }
}

/// A neuron's parameters.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LifConfig {
    /// The kind of the neuron.
    pub kind: NeuronKind,
    /// τ, the share of the membrane that is kept from one step to the next.
    pub decay: f32,
    /// V_th, the threshold: a neuron fires where its membrane is larger.
    pub threshold: f32,
    /// The reset.
    pub reset: Reset,
    /// The base surrogate.
    pub surrogate: Surrogate,
    /// δ of surrogate gradient scaling.
    pub delta: f32,
    /// The amount that a soft reset subtracts from the membrane; `None` stands for the threshold.
    pub reset_amount: Option<f32>,
    /// A factor on the surrogate's derivative and primitive.
    pub amplitude: f32,
    /// s, the factor on the input current.
    pub input_scale: InputScale,
    /// The value at which the membrane rests and to which a hard reset sets it.
    pub reset_value: f32,
    /// The membranes at which the neuron fires.
    pub firing: Firing,
    /// Whether the decay is learned: τ = σ(w) begins at `decay` (PLIF, Fang et al. 2021).
    pub learn_decay: Learn,
    /// Whether the threshold is learned: V_th = exp(v) begins at `threshold` (DIET-SNN, Rathi & Roy 2021).
    pub learn_threshold: Learn,
    /// Whether the numbers of the kind are learned: ρ and β, α, or the gates.
    pub learn_kind: Learn,
}

impl Default for LifConfig {
    /// The authors' neuron: τ = V_th = 0.5, hard reset, rectangle of half width 0.5 and amplitude 1, δ = 1e-4.
    fn default() -> Self {
        Self {
            kind: NeuronKind::Lif,
            decay: 0.5,
            threshold: 0.5,
            reset: Reset::Hard,
            surrogate: Surrogate::Rectangle { window: 0.5 },
            delta: 1e-4,
            reset_amount: None,
            amplitude: 1.0,
            input_scale: InputScale::One,
            reset_value: 0.0,
            firing: Firing::Above,
            learn_decay: Learn::No,
            learn_threshold: Learn::No,
            learn_kind: Learn::No,
        }
    }
}

/// Each setting by itself: `LifConfig` grows, so that it is put together by these.
impl LifConfig {
    /// Sets `kind`: what there is besides the membrane.
    #[must_use]
    pub fn kind(self, kind: NeuronKind) -> Self {
        Self { kind, ..self }
    }

    /// Sets `decay`: τ, the share of the membrane kept from one step to the next.
    #[must_use]
    pub fn decay(self, decay: f32) -> Self {
        Self { decay, ..self }
    }

    /// Sets `threshold`: V_th.
    #[must_use]
    pub fn threshold(self, threshold: f32) -> Self {
        Self { threshold, ..self }
    }

    /// Sets `reset`: what happens to the membrane after a spike.
    #[must_use]
    pub fn reset(self, reset: Reset) -> Self {
        Self { reset, ..self }
    }

    /// Sets `surrogate`: the base surrogate.
    #[must_use]
    pub fn surrogate(self, surrogate: Surrogate) -> Self {
        Self { surrogate, ..self }
    }

    /// Sets `delta`: δ of surrogate gradient scaling.
    #[must_use]
    pub fn delta(self, delta: f32) -> Self {
        Self { delta, ..self }
    }

    /// Sets `reset_amount`: what a soft reset takes off the membrane; none: the threshold.
    #[must_use]
    pub fn reset_amount(self, reset_amount: Option<f32>) -> Self {
        Self { reset_amount, ..self }
    }

    /// Sets `amplitude`: a factor on the surrogate, derivative and primitive.
    #[must_use]
    pub fn amplitude(self, amplitude: f32) -> Self {
        Self { amplitude, ..self }
    }

    /// Sets `input_scale`: s, the factor on the input current.
    #[must_use]
    pub fn input_scale(self, input_scale: InputScale) -> Self {
        Self { input_scale, ..self }
    }

    /// Sets `reset_value`: where the membrane rests, and where a hard reset sets it.
    #[must_use]
    pub fn reset_value(self, reset_value: f32) -> Self {
        Self { reset_value, ..self }
    }

    /// Sets `firing`: whether a neuron fires at its threshold or only above it.
    #[must_use]
    pub fn firing(self, firing: Firing) -> Self {
        Self { firing, ..self }
    }

    /// Sets `learn_decay`: whether the decay is learned, one for a layer (`true`) or one a channel; τ = σ(w).
    #[must_use]
    pub fn learn_decay(self, learn: impl Into<Learn>) -> Self {
        Self { learn_decay: learn.into(), ..self }
    }

    /// Sets `learn_threshold`: whether the threshold is learned, one for a layer or one a channel; V_th = exp(v).
    #[must_use]
    pub fn learn_threshold(self, learn: impl Into<Learn>) -> Self {
        Self { learn_threshold: learn.into(), ..self }
    }

    /// Sets `learn_kind`: whether the numbers of the kind are learned.
    #[must_use]
    pub fn learn_kind(self, learn: impl Into<Learn>) -> Self {
        Self { learn_kind: learn.into(), ..self }
    }
}

impl LifConfig {
    /// Checks that every number is finite, the threshold positive, the decay in [0, 1] and the surrogate's parameter
    /// within its range.
    ///
    /// # Errors
    /// The error names the first setting that is out of its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let bad = |what: &str, value: f32, want: &str| Err(ConfigError::out_of_range(what, value, want));
        match self {
            c if !(c.threshold > 0.0 && c.threshold.is_finite()) => {
                bad("threshold", c.threshold, "positive and finite")
            }
            c if !(0.0..=1.0).contains(&c.decay) => bad("decay", c.decay, "between 0 and 1"),
            c if c.learn_decay != Learn::No && [0.0, 1.0].contains(&c.decay) => {
                bad("decay", c.decay, "between 0 and 1 and neither of them, where it is learned")
            }
            c if !c.delta.is_finite() => bad("delta", c.delta, "finite"),
            c if !(c.amplitude > 0.0 && c.amplitude.is_finite()) => {
                bad("amplitude of the surrogate", c.amplitude, "positive and finite")
            }
            c if !(c.reset_value < c.threshold && c.reset_value.is_finite()) => {
                bad("reset value", c.reset_value, "finite and below the threshold")
            }
            c if c.reset_value != 0.0 && !c.reset.is_hard() => {
                bad("reset value", c.reset_value, "0 where the reset is soft")
            }
            c if c.reset_value > 0.0 && c.learn_threshold != Learn::No => bad(
                "reset value",
                c.reset_value,
                "at most 0 where the threshold is learned: it may sink to 0",
            ),
            c => {
                match (c.reset_amount, c.input_scale) {
                    (Some(amount), _) if !amount.is_finite() => return bad("reset amount", amount, "finite"),
                    (_, InputScale::Constant(s)) if !s.is_finite() => {
                        return bad("input scale", s, "finite");
                    }
                    _ => c.surrogate.check()?,
                }
                c.check_kind()
            }
        }
    }

    /// Checks the numbers of the kind.
    fn check_kind(&self) -> Result<(), ConfigError> {
        let bad = |what: &str, value: f32, want: &str| Err(ConfigError::out_of_range(what, value, want));
        let learned = self.learn_kind != Learn::No;
        let share = |what: &str, value: f32| match value {
            value if !(0.0..=1.0).contains(&value) => bad(what, value, "between 0 and 1"),
            value if learned && [0.0, 1.0].contains(&value) => {
                bad(what, value, "between 0 and 1 and neither of them, where it is learned")
            }
            _ => Ok(()),
        };
        match self.kind {
            NeuronKind::Gated(_) | NeuronKind::Integrator if self.reset_value != 0.0 => {
                bad("reset value", self.reset_value, "0 where no reset sets the membrane to it")
            }
            NeuronKind::Gated(_) if self.input_scale != InputScale::One => Err(ConfigError::out_of_range(
                "input scale",
                self.input_scale,
                "one: the gated neuron scales its current by its gate",
            )),
            NeuronKind::Lif | NeuronKind::Integrator => Ok(()),
            NeuronKind::Adaptive { decay, strength } => {
                share("decay of the adaptation", decay)?;
                match strength {
                    s if !s.is_finite() => bad("strength of the adaptation", s, "finite"),
                    s if learned && s <= 0.0 => {
                        bad("strength of the adaptation", s, "positive, where it is learned")
                    }
                    _ => Ok(()),
                }
            }
            NeuronKind::Synaptic { decay } => share("decay of the synaptic current", decay),
            NeuronKind::Gated(g) => [
                ("gate alpha", g.alpha),
                ("gate beta", g.beta),
                ("gate gamma", g.gamma),
                ("leak of the gated neuron", g.leak),
                ("reset of the gated neuron", g.reset),
                ("conduct of the gated neuron", g.conduct),
            ]
            .into_iter()
            .try_for_each(|(what, value)| share(what, value)),
        }
    }
}
