//! What can go wrong, in one type.

use spikegrad_bptt::ConfigError;
use spikegrad_models::safetensors::FileError;
use std::fmt;

/// An error of the trainer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A hyper-parameter makes no sense.
    Config(ConfigError),
    /// A file cannot be read, written or used.
    File(FileError),
    /// The system does not give what is asked of it, such as threads; later, or elsewhere, it may.
    System(String),
    /// Images, labels or a progress of the wrong number or value.
    Batch(String),
    /// The loss, an activation, a gradient, or what the step would make of a weight, a running estimate or a moment of
    /// the optimiser is not finite.
    NotFinite {
        /// Training step, from 1.
        step: u64,
        /// The first layer or tensor that is not finite.
        layer: String,
    },
    /// An image's logits are not finite, so they are no answer.
    LogitsNotFinite {
        /// The image's number in the batch, from 0.
        image: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Config(error) => error.fmt(f),
            Error::File(error) => error.fmt(f),
            Error::System(what) | Error::Batch(what) => f.write_str(what),
            Error::NotFinite { step, layer } => {
                write!(f, "step {step}: not finite (NaN or infinity), first in {layer}")
            }
            Error::LogitsNotFinite { image } => {
                write!(f, "the logits of image {image} are not finite (NaN or infinity): they are no answer")
            }
        }
    }
}

impl std::error::Error for Error {}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Error::Config(error)
    }
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Self {
        Error::File(error)
    }
}
