//! Everything that can go wrong, in one type.

use spikegrad_bptt::ConfigError;
#[cfg(feature = "data")]
use spikegrad_data::DataError;
use spikegrad_models::safetensors::FileError;
use spikegrad_tensor::{LevelError, NoMemory, ShapeError};
use std::fmt;

/// An error of the trainer, of a predictor, or of anything that they use: the errors of the crates below convert into
/// it, so `?` works on all of them.
///
/// ```
/// use spikegrad::prelude::*;
/// use std::error::Error as _;
///
/// fn open() -> Result<Trainer, Error> {
///     let level = Level::detect()?;
///     Trainer::open("no such file", 1, level)
/// }
/// let error = open().unwrap_err();
/// assert!(matches!(error, Error::File(_)));
/// assert!(error.source().unwrap().is::<std::io::Error>());
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A hyper-parameter makes no sense.
    Config(ConfigError),
    /// A file cannot be read, written or used.
    File(FileError),
    /// A data set cannot be read.
    #[cfg(feature = "data")]
    Data(DataError),
    /// The processor has no such SIMD level.
    Level(LevelError),
    /// Sizes do not fit together.
    Shape(ShapeError),
    /// The system has not so much memory.
    Memory(NoMemory),
    /// The system gives no threads; later, or elsewhere, it may.
    Threads(Box<dyn std::error::Error + Send + Sync>),
    /// A batch, or another argument of a call, does not fit.
    Batch(BatchError),
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
            Self::Config(error) => error.fmt(f),
            Self::File(error) => error.fmt(f),
            #[cfg(feature = "data")]
            Self::Data(error) => error.fmt(f),
            Self::Level(error) => error.fmt(f),
            Self::Shape(error) => error.fmt(f),
            Self::Memory(error) => error.fmt(f),
            Self::Threads(why) => write!(f, "no threads can be started: {why}"),
            Self::NotFinite { step, layer } => {
                write!(f, "step {step}: not finite (NaN or infinity), first in {layer}")
            }
            Self::LogitsNotFinite { image } => {
                write!(f, "the logits of image {image} are not finite (NaN or infinity): they are no answer")
            }
            Self::Batch(error) => error.fmt(f),
        }
    }
}

/// An error of a crate below is written as it is; its source is the cause behind it.
impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => error.source(),
            Self::File(error) => error.source(),
            #[cfg(feature = "data")]
            Self::Data(error) => error.source(),
            Self::Threads(why) => Some(&**why),
            _ => None,
        }
    }
}

/// A batch, or another argument of a call, does not fit.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum BatchError {
    /// A batch has the wrong number of values.
    Size {
        /// The number of values.
        found: usize,
        /// The number that the net is planned for.
        expected: usize,
    },
    /// A batch with labels has the wrong number of values or of labels.
    LabeledSize {
        /// The numbers of values and of labels.
        found: (usize, usize),
        /// The numbers that the net is planned for.
        expected: (usize, usize),
    },
    /// Images to predict are no whole images, none, or more than a batch.
    PartialSize {
        /// The number of values.
        found: usize,
        /// The values of an image.
        image: usize,
        /// The images of a batch.
        batch: usize,
    },
    /// A frame of a stream has the wrong number of values.
    FrameSize {
        /// The number of values.
        found: usize,
        /// The number that the net is planned for.
        expected: usize,
    },
    /// A gradient has not one value for each logit.
    GradientSize {
        /// The number of values.
        found: usize,
        /// The number of logits.
        expected: usize,
    },
    /// There is not one weight for each sample.
    WeightCount {
        /// The number of weights.
        found: usize,
        /// The number of labels.
        expected: usize,
    },
    /// There is not one label for each image.
    LabelCount {
        /// The number of labels.
        found: usize,
        /// The number of images.
        expected: usize,
    },
    /// A label is no class.
    Label {
        /// The label.
        label: u32,
        /// The number of classes.
        classes: usize,
    },
    /// A pixel is not finite or beyond ±1e15.
    Pixel {
        /// The pixel's place among the values of the batch.
        index: usize,
        /// The pixel.
        value: f32,
    },
    /// A value is neither 0 nor 1, where the net reads spikes.
    NotASpike {
        /// The place among the values of the batch.
        index: usize,
        /// The value.
        value: f32,
    },
    /// A sample's weight is negative or not finite.
    SampleWeight(f32),
    /// A learning rate that a step was asked for is negative or not finite.
    LearningRate(f32),
    /// A progress in epochs is negative or not finite.
    Progress(f64),
    /// No layer of neurons has this name.
    UnknownLayer {
        /// The name.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// A layer has no such neuron.
    UnknownNeuron {
        /// The layer's name.
        layer: String,
        /// The image of the batch.
        image: usize,
        /// Channel, row and column.
        place: (usize, usize, usize),
        /// Images of the batch.
        images: usize,
        /// Channels, rows and columns of the layer.
        size: (usize, usize, usize),
    },
    /// A backward has no forward before it.
    NoForward,
    /// A stream was made by a net of another shape.
    ForeignStream,
    /// The configuration keeps no mean of the weights.
    NoWeightMean,
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { found, expected } => write!(f, "got {found} numbers, planned for {expected}"),
            Self::LabeledSize { found: (found, labels), expected: (want, batch) } => {
                write!(f, "got {found} numbers and {labels} labels, planned for {want} and {batch}")
            }
            Self::PartialSize { found, image, batch } => {
                write!(f, "got {found} numbers, need 1 to {batch} images of {image}")
            }
            Self::FrameSize { found, expected } => {
                write!(f, "got a frame of {found} numbers, planned for {expected}")
            }
            Self::GradientSize { found, expected } => {
                write!(f, "got {found} numbers of a gradient, the logits are {expected}")
            }
            Self::WeightCount { found, expected } => {
                write!(f, "got {found} weights of samples and {expected} labels")
            }
            Self::LabelCount { found, expected } => write!(f, "got {found} labels for {expected} images"),
            Self::Label { label, classes } => write!(f, "label {label} is no class, the net has {classes}"),
            Self::Pixel { index, value } => {
                write!(f, "input {index} is {value}, must be a finite number from -1e15 to 1e15")
            }
            Self::NotASpike { index, value } => {
                write!(f, "input {index} is {value}, the net reads spikes, 0 or 1")
            }
            Self::SampleWeight(w) => {
                write!(f, "a sample's weight is {w}, must be a finite number, 0 or more")
            }
            Self::LearningRate(lr) => write!(f, "learning rate is {lr}, must be a finite number, 0 or more"),
            Self::Progress(epochs) => {
                write!(f, "progress is {epochs} epochs, must be a finite number, 0 or more")
            }
            Self::UnknownLayer { name, known } => write!(f, "no layer is called {name:?}; known: {known}"),
            Self::UnknownNeuron {
                layer,
                image,
                place: (c, y, x),
                images,
                size: (channels, rows, columns),
            } => {
                write!(
                    f,
                    "no neuron {c},{y},{x} of image {image} in {layer}, which has {images} images of \
                     {channels}×{rows}×{columns}"
                )
            }
            Self::NoForward => f.write_str("a backward needs a forward before it, one for each"),
            Self::ForeignStream => f.write_str("the stream was made by a net of another shape"),
            Self::NoWeightMean => f.write_str("the configuration keeps no mean of the weights"),
        }
    }
}

impl std::error::Error for BatchError {}

/// Makes [`Error`] of the errors that it holds.
macro_rules! from {
    ($($(#[$attribute:meta])* $error:ident: $variant:ident),*) => {$(
        $(#[$attribute])*
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        }
    )*};
}

from!(
    ConfigError: Config,
    BatchError: Batch,
    FileError: File,
    #[cfg(feature = "data")]
    DataError: Data,
    LevelError: Level,
    ShapeError: Shape,
    NoMemory: Memory
);

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts, to the letter.
    #[test]
    fn texts_name_both_numbers() {
        let texts = [
            (BatchError::Size { found: 3, expected: 4 }, "got 3 numbers, planned for 4"),
            (
                BatchError::LabeledSize { found: (3, 1), expected: (4, 2) },
                "got 3 numbers and 1 labels, planned for 4 and 2",
            ),
            (
                BatchError::PartialSize { found: 5, image: 4, batch: 2 },
                "got 5 numbers, need 1 to 2 images of 4",
            ),
            (BatchError::FrameSize { found: 3, expected: 4 }, "got a frame of 3 numbers, planned for 4"),
            (
                BatchError::GradientSize { found: 3, expected: 4 },
                "got 3 numbers of a gradient, the logits are 4",
            ),
            (BatchError::WeightCount { found: 3, expected: 4 }, "got 3 weights of samples and 4 labels"),
            (BatchError::LabelCount { found: 3, expected: 4 }, "got 3 labels for 4 images"),
            (BatchError::Label { label: 9, classes: 4 }, "label 9 is no class, the net has 4"),
            (
                BatchError::Pixel { index: 7, value: f32::NAN },
                "input 7 is NaN, must be a finite number from -1e15 to 1e15",
            ),
            (BatchError::NotASpike { index: 7, value: 0.5 }, "input 7 is 0.5, the net reads spikes, 0 or 1"),
            (BatchError::SampleWeight(-1.5), "a sample's weight is -1.5, must be a finite number, 0 or more"),
            (BatchError::LearningRate(-1.5), "learning rate is -1.5, must be a finite number, 0 or more"),
            (BatchError::Progress(-1.5), "progress is -1.5 epochs, must be a finite number, 0 or more"),
            (
                BatchError::UnknownLayer { name: "a".into(), known: "b, c".into() },
                "no layer is called \"a\"; known: b, c",
            ),
            (
                BatchError::UnknownNeuron {
                    layer: "a".into(),
                    image: 5,
                    place: (6, 7, 8),
                    images: 1,
                    size: (2, 3, 4),
                },
                "no neuron 6,7,8 of image 5 in a, which has 1 images of 2×3×4",
            ),
            (BatchError::NoForward, "a backward needs a forward before it, one for each"),
            (BatchError::ForeignStream, "the stream was made by a net of another shape"),
            (BatchError::NoWeightMean, "the configuration keeps no mean of the weights"),
        ];
        for (error, text) in texts {
            assert_eq!(error.to_string(), text);
            assert_eq!(Error::from(error).to_string(), text);
        }
        let error = Error::Threads("none left".into());
        assert_eq!(error.to_string(), "no threads can be started: none left");
    }
}
