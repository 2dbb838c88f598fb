//! What can be wrong with shapes, said once, when a plan is made.

use std::fmt;

/// A mismatch between sizes, with both numbers in the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeError(String);

impl ShapeError {
    /// Wraps a message such as "weight has 3 input channels, image has 4".
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ShapeError {}
