//! The error of a plan whose sizes do not fit together.

use crate::conv::ConvConfig;
use crate::tensor::Dims;
use std::fmt;

/// Sizes that do not fit together; every text has both numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShapeError {
    /// A slice has another length than the tensor.
    Length {
        /// The tensor's size.
        dims: Dims,
        /// The slice's length.
        found: usize,
    },
    /// A side of a convolution, of its image or of its kernel is 0.
    EmptyConv {
        /// The convolution.
        config: ConvConfig,
        /// The image's size.
        input: Dims,
    },
    /// A kernel is larger than the padded image.
    Kernel {
        /// The side that does not fit: `rows` or `columns`.
        side: &'static str,
        /// The kernel's rows or columns.
        kernel: usize,
        /// The padded image's rows or columns.
        padded: usize,
    },
    /// Groups of a convolution that do not divide its channels.
    Groups {
        /// The groups.
        groups: usize,
        /// Channels of the input.
        inputs: usize,
        /// Channels of the output.
        outputs: usize,
    },
    /// A pooling window, stride and padding that make no sense together.
    Pooling {
        /// The side of the window.
        kernel: usize,
        /// The stride.
        stride: usize,
        /// The padding.
        padding: usize,
    },
    /// A pooling window is empty, or larger than the image.
    Window {
        /// Rows and columns of the window.
        kernel: (usize, usize),
        /// Rows and columns of the image.
        image: (usize, usize),
    },
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { dims, found } => write!(f, "{dims:?} needs {} numbers, got {found}", dims.len()),
            Self::EmptyConv { config, input } => {
                write!(f, "convolution has an empty side: {config:?} of {input:?}")
            }
            Self::Kernel { side, kernel, padded } => {
                write!(f, "kernel has {kernel} {side}, padded image has {padded}")
            }
            Self::Groups { groups, inputs, outputs } => {
                write!(
                    f,
                    "groups is {groups}, must divide the {inputs} channels read and the {outputs} written"
                )
            }
            Self::Pooling { kernel, stride, padding } => write!(
                f,
                "pooling window {kernel}, stride {stride} and padding {padding}: window and stride must be at least 1, \
                 the padding at most half of the window"
            ),
            Self::Window { kernel: (rows, columns), image: (h, w) } => {
                write!(f, "pooling window is {rows}×{columns}, image is {h}×{w}")
            }
        }
    }
}

impl std::error::Error for ShapeError {}
