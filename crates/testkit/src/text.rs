//! The text form of a net's configuration, read: the words that the library and its reference have in common.
//!
//! The library writes a net as lines of `name = value`, and its neuron as a table in braces. The reference reads that
//! text on its own, so that neither depends on the other's types. Numbers are those of an f32: `0.1` stands for the
//! f32 nearest to it.

use crate::layout::{NetConfig, NetKind, Norm};
use crate::lif::{Firing, Gates, InputScale, Learn, Lif, NeuronKind, Reset};
use crate::loss::LossKind;
use crate::surrogate::Surrogate;
use std::collections::BTreeMap;
use std::str::FromStr;

/// Gives an enum the names that files and flags spell.
macro_rules! spelled {
    ($type:ident, $what:literal: $($variant:ident $name:literal),*) => {
        impl $type {
            /// Returns the name, as files spell it.
            pub fn name(self) -> &'static str {
                match self { $($type::$variant => $name),* }
            }
        }

        impl FromStr for $type {
            type Err = String;

            fn from_str(name: &str) -> Result<$type, String> {
                match name {
                    $($name => Ok($type::$variant),)*
                    _ => Err(format!(concat!("the f64 reference does not have the ", $what, " {:?}"), name)),
                }
            }
        }
    };
}

spelled!(NetKind, "net": ResNet19 "resnet19", LeNet "lenet", Mlp "mlp", VggSnn "vggsnn",
    VggSnnStride "vggsnn-stride", EventNet "eventnet");
spelled!(Norm, "normalisation": Bn "bn", TdBn "tdbn");
spelled!(Reset, "reset": Hard "hard", HardDetached "hard-detached", Soft "soft", SoftDetached "soft-detached");
spelled!(Firing, "rule of firing": Above "above", AtOrAbove "at-or-above");
spelled!(Learn, "way of learning": No "no", Layer "layer", Channel "channel");

/// Settings by name, quotes taken off.
struct Words<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Words<'a> {
    /// Reads `name = value` from each part.
    fn of(parts: impl Iterator<Item = &'a str>) -> Words<'a> {
        let pair = |part: &'a str| part.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
        Words(parts.filter_map(pair).map(|(name, value)| (name, value.trim_matches('"'))).collect())
    }

    /// Reads a word, if it is there.
    fn word<T: FromStr<Err = String>>(&self, name: &str, usual: T) -> Result<T, String> {
        self.0.get(name).map_or(Ok(usual), |word| word.parse())
    }

    /// Reads another value, if it is there.
    fn value<T: FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        let read =
            |word: &&str| word.parse().map_err(|_| format!("{name} = {word}: not a value of this setting"));
        self.0.get(name).map(read).transpose()
    }

    /// Reads a number of the library, an f32.
    fn number(&self, name: &str) -> Result<Option<f64>, String> {
        Ok(self.value::<f32>(name)?.map(f64::from))
    }

    /// Reads a number that must be there.
    fn need(&self, name: &str) -> Result<f64, String> {
        self.number(name)?.ok_or_else(|| format!("the neuron has no {name}"))
    }

    /// Reads whether, and how, a number is learned.
    fn learn(&self, name: &str) -> Result<Learn, String> {
        match self.0.get(name) {
            Some(&"true") => Ok(Learn::Layer),
            Some(&"false") => Ok(Learn::No),
            _ => self.word(name, Learn::No),
        }
    }
}

impl Lif {
    /// Reads a neuron's settings, `name = value` separated by commas; what is not there is as the paper has it.
    ///
    /// # Errors
    /// A word or a number that the reference does not know.
    pub fn from_text(text: &str) -> Result<Lif, String> {
        let words = Words::of(text.split(','));
        let usual = Lif::paper();
        let surrogate = match words.0.get("surrogate") {
            Some(name) => Surrogate::named(name, words.number("surrogate_parameter")?)?,
            None => usual.surrogate,
        };
        Ok(Lif {
            kind: kind(&words)?,
            decay: words.number("decay")?.unwrap_or(usual.decay),
            threshold: words.number("threshold")?.unwrap_or(usual.threshold),
            reset: words.word("reset", usual.reset)?,
            surrogate,
            delta: words.number("delta")?.unwrap_or(usual.delta),
            reset_amount: words.number("reset_amount")?,
            amplitude: words.number("amplitude")?.unwrap_or(usual.amplitude),
            input_scale: match words.0.get("input_scale") {
                None => InputScale::One,
                Some(&"leak") => InputScale::Leak,
                Some(_) => InputScale::Constant(words.need("input_scale")?),
            },
            reset_value: words.number("reset_value")?.unwrap_or(usual.reset_value),
            firing: words.word("firing", usual.firing)?,
            learn_decay: words.learn("learn_decay")?,
            learn_threshold: words.learn("learn_threshold")?,
            learn_kind: words.learn("learn_kind")?,
        })
    }
}

/// The kind of a neuron, and its numbers.
fn kind(words: &Words) -> Result<NeuronKind, String> {
    match words.0.get("kind") {
        None | Some(&"lif") => Ok(NeuronKind::Lif),
        Some(&"integrator") => Ok(NeuronKind::Integrator),
        Some(&"synaptic") => Ok(NeuronKind::Synaptic { decay: words.need("synapse")? }),
        Some(&"adaptive") => Ok(NeuronKind::Adaptive {
            decay: words.need("adaptation_decay")?,
            strength: words.need("adaptation")?,
        }),
        Some(&"gated") => Ok(NeuronKind::Gated(Gates {
            alpha: words.need("alpha")?,
            beta: words.need("beta")?,
            gamma: words.need("gamma")?,
            leak: words.need("leak")?,
            reset: words.need("gated_reset")?,
            conduct: words.need("conduct")?,
        })),
        Some(other) => Err(format!("the f64 reference does not have the neuron {other:?}")),
    }
}

impl NetConfig {
    /// Reads what the library writes of a net. Loss, Lipschitz term and smooth twin are the caller's to set.
    ///
    /// # Errors
    /// A net, or another word, that the reference does not know.
    pub fn from_text(text: &str) -> Result<NetConfig, String> {
        let settings = text.split("[[").next().unwrap_or_default();
        let words = Words::of(settings.lines());
        if let Some(readout) = words.0.get("readout") {
            return Err(format!("the f64 reference reads out the mean over time, not {readout}"));
        }
        let size = |name: &str| words.value(name)?.ok_or_else(|| format!("the net has no {name}"));
        let neuron = words.0.get("neuron").map_or("", |table| table.trim_matches(['{', '}']));
        let name = words.0.get("net").copied().unwrap_or_default();
        let usual = NetConfig::paper(name.parse()?, 1, 1.0, 2);
        Ok(NetConfig {
            channels: size("channels")?,
            height: size("height")?,
            width: size("width")?,
            classes: size("classes")?,
            scale: words.value("scale")?.unwrap_or(usual.scale),
            timesteps: words.value("timesteps")?.unwrap_or(usual.timesteps),
            lif: Lif::from_text(neuron)?,
            norm: words.word("norm", usual.norm)?,
            twin: words.value("twin")?.unwrap_or(usual.twin),
            ..usual
        })
    }
}

impl LossKind {
    /// Makes the loss called `name` from its numbers, in the order of its fields.
    ///
    /// # Errors
    /// A loss that the reference does not have.
    pub fn named(name: &str, numbers: &[f32]) -> Result<LossKind, String> {
        match (name, numbers) {
            ("ce", []) => Ok(LossKind::CrossEntropy),
            ("tet", &[lambda, phi]) => Ok(LossKind::Tet { lambda: lambda.into(), phi: phi.into() }),
            _ => Err(format!("the f64 reference does not have the loss {name:?}")),
        }
    }
}
