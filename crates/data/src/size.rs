//! The sides of an image.

/// Holds the sides of an image, \[C, H, W\].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Colour planes, C.
    pub channels: usize,
    /// Rows, H.
    pub height: usize,
    /// Columns, W.
    pub width: usize,
}

impl Size {
    /// Counts the pixels of one plane, H·W.
    #[must_use]
    pub fn plane(self) -> usize {
        self.height * self.width
    }

    /// Counts the values of an image, C·H·W.
    #[must_use]
    pub fn len(self) -> usize {
        self.channels * self.plane()
    }

    /// Tells whether there is no value.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Gives the border of the random crop: an eighth of the height, 4 for CIFAR.
    #[must_use]
    pub fn padding(self) -> usize {
        self.height / 8
    }

    /// Gives the side of the cut-out square: half the height, 16 for CIFAR.
    #[must_use]
    pub fn hole(self) -> usize {
        self.height / 2
    }
}
