//! The window of a pool, as graphs and files spell it.

use crate::graph::{Setting, Settings};
use spikegrad_bptt::ConfigError;
use spikegrad_tensor::Dims;

/// A pool's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Squares of a side, as far apart as they are wide.
    Square(usize),
    /// The whole image.
    Global,
}

impl Window {
    pub(super) fn read(settings: &mut Settings) -> Result<Self, ConfigError> {
        match settings.take("size") {
            None => Ok(Self::Global),
            Some(size) => Ok(Self::Square(size.parse("size")?)),
        }
    }

    pub(super) fn settings(self) -> Settings {
        match self {
            Self::Square(side) => Settings::from([("size", Setting::number(side))]),
            Self::Global => Settings::default(),
        }
    }

    /// Rows and columns of the window, for images of a size.
    pub(super) fn sides(self, input: Dims) -> (usize, usize) {
        match self {
            Self::Square(side) => (side, side),
            Self::Global => (input.h, input.w),
        }
    }
}
