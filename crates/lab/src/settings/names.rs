//! Names of choices, as flags and files spell them.

use spikegrad::bptt::lif::NEURONS;
use spikegrad::bptt::surrogate;
use spikegrad::data::events::EventAugment;
use spikegrad::data::{Augment, DataError};
use std::fmt;
use std::str::FromStr;

/// A name that stands for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownName {
    /// What was to be named.
    pub what: &'static str,
    /// What was found instead.
    pub found: String,
    /// The names that there are.
    pub known: String,
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, found, known } = self;
        write!(f, "no {what} is called {found:?}, must be one of {known}")
    }
}

impl std::error::Error for UnknownName {}

/// Declares a choice: its variants and their names.
macro_rules! choice {
    ($(#[$about:meta])* $type:ident, $what:literal: $($(#[$each:meta])* $variant:ident $name:literal),* $(,)?) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $type { $($(#[$each])* $variant),* }

        impl $type {
            /// Every name.
            pub const NAMES: &'static [&'static str] = &[$($name),*];
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $name),* })
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;

            fn from_str(name: &str) -> Result<Self, UnknownName> {
                match name {
                    $($name => Ok(Self::$variant),)*
                    _ => {
                        let (found, known) = (name.to_string(), Self::NAMES.join(", "));
                        Err(UnknownName { what: $what, found, known })
                    }
                }
            }
        }
    };
}

choice!(
    /// The loss.
    LossName, "loss":
    /// Cross-entropy of the read-out.
    Ce "ce",
    /// Mean squared distance of the read-out to a target for each class.
    Mse "mse",
    /// The TET loss: cross-entropy of every step, and a regression term.
    Tet "tet",
);
choice!(
    /// The optimiser.
    OptimizerName, "optimiser":
    /// Adam, with weight decay added to the gradient.
    Adam "adam",
    /// AdamW: weight decay apart from the gradient.
    AdamW "adamw",
    /// Stochastic gradient descent with momentum.
    Sgd "sgd",
);
choice!(
    /// The learning rate over time.
    ScheduleName, "schedule":
    /// Half a cosine to 0.
    Cosine "cosine",
    /// Always the same.
    Constant "constant",
    /// Drops by a factor every so many epochs.
    Step "step",
);
choice!(
    /// The arithmetic.
    Precision, "precision":
    /// 32-bit floats.
    F32 "f32",
);
choice!(
    /// The form of the input gradient of 3×3 convolutions.
    InputGradientName, "input gradient":
    /// The fastest for each layer.
    Auto "auto",
    /// The sum itself.
    Direct "direct",
    /// Winograd's F(2×2, 3×3).
    Winograd2 "winograd2",
    /// Winograd's F(4×4, 3×3).
    Winograd4 "winograd4",
);
choice!(
    /// Whether later time steps are computed from the spikes that changed.
    DeltaName, "setting of delta kernels":
    /// Where it is faster.
    Auto "auto",
    /// Never.
    Off "off",
    /// Always.
    On "on",
);
choice!(
    /// The kernel of convolutions over spikes.
    SpikeKernelName, "spike kernel":
    /// The faster one for each density.
    Auto "auto",
    /// Sums looked up in tables.
    Lookup "lookup",
    /// Additions for the active neurons alone.
    Lists "lists",
);

/// A surrogate of the library, without its parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SurrogateName(&'static str);

impl SurrogateName {
    /// The name.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// Tells whether the surrogate has a window rather than a steepness.
    pub fn is_windowed(self) -> bool {
        matches!(self.0, "rectangle" | "triangle")
    }
}

impl fmt::Display for SurrogateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl FromStr for SurrogateName {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let known = || surrogate::NAMES.join(", ");
        let found = surrogate::NAMES.iter().find(|known| **known == name);
        found.map(|name| Self(name)).ok_or_else(|| UnknownName {
            what: "surrogate",
            found: name.to_string(),
            known: known(),
        })
    }
}

/// A neuron of the library, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeuronName(&'static str);

impl NeuronName {
    /// The name.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for NeuronName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl FromStr for NeuronName {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let names = || NEURONS.iter().map(|neuron| neuron.name);
        names().find(|known| *known == name).map(Self).ok_or_else(|| UnknownName {
            what: "neuron",
            found: name.to_string(),
            known: names().collect::<Vec<_>>().join(", "),
        })
    }
}

/// How training samples are varied: names for images or for events, separated by commas, or `none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Augmentation(String);

impl Augmentation {
    /// Reads the names as those for images.
    ///
    /// # Errors
    /// A name that is none of them.
    pub fn of_images(&self) -> Result<Augment, DataError> {
        self.0.parse()
    }

    /// Reads the names as those for events.
    ///
    /// # Errors
    /// A name that is none of them.
    pub fn of_events(&self) -> Result<EventAugment, DataError> {
        self.0.parse()
    }
}

impl fmt::Display for Augmentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Augmentation {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let names = Self(text.to_string());
        if names.of_images().is_ok() || names.of_events().is_ok() {
            return Ok(names);
        }
        Err(UnknownName {
            what: "augmentation",
            found: text.to_string(),
            known: "none, or some of crop,flip,cutout,autoaugment; of events: none, or some of flip,roll,jitter,drop"
                .into(),
        })
    }
}
