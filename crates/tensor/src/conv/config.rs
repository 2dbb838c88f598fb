//! Hyper-parameters of a convolution, and what follows from them: which taps meet which pixels.

/// A convolution's hyper-parameters: square kernel, the same stride and padding in both directions; or one-dimensional.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvConfig {
    /// Output channels.
    pub out_channels: usize,
    /// Kernel rows and columns.
    pub kernel: usize,
    /// Stride.
    pub stride: usize,
    /// Zero rows and columns round the image.
    pub padding: usize,
    /// Groups of channels: an output channel reads the input channels of its group.
    pub groups: usize,
    /// Whether kernels have one row, and stride and padding are those of columns.
    pub is_1d: bool,
}

impl Default for ConvConfig {
    /// A 1×1 convolution with one output channel.
    fn default() -> Self {
        Self { out_channels: 1, kernel: 1, stride: 1, padding: 0, groups: 1, is_1d: false }
    }
}

/// The kernel taps that one class of input positions meets.
///
/// Positions with the same residues of row and column modulo the stride form a class: they meet the same taps.
///
/// Input row `py` meets kernel row `ky = (py + p) mod s + s·j` at output row `⌊(py + p) / s⌋ − j`, for
/// j = 0, 1, … while `ky < k`; columns likewise. With stride 1 there is one class with all taps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Residue {
    /// First kernel row and column.
    pub first: (usize, usize),
    /// Kernel rows and columns met.
    pub count: (usize, usize),
}

impl ConvConfig {
    /// A convolution of stride 1 whose outputs are as many as its inputs, for an odd kernel.
    pub fn same(out_channels: usize, kernel: usize) -> Self {
        Self { out_channels, kernel, padding: kernel / 2, ..Self::default() }
    }

    /// Kernel rows and columns.
    pub fn sides(&self) -> (usize, usize) {
        (if self.is_1d { 1 } else { self.kernel }, self.kernel)
    }

    /// Distance of neighbouring outputs along rows and columns of the image.
    pub fn strides(&self) -> (usize, usize) {
        (if self.is_1d { 1 } else { self.stride }, self.stride)
    }

    /// Zero rows above and below, zero columns left and right.
    pub fn paddings(&self) -> (usize, usize) {
        (if self.is_1d { 0 } else { self.padding }, self.padding)
    }

    /// Weights of a kernel between two channels.
    pub fn taps(&self) -> usize {
        self.sides().0 * self.sides().1
    }

    /// Returns the taps that input position (py, px) meets.
    pub(super) fn residue(&self, py: usize, px: usize) -> Residue {
        let ConvConfig { kernel, stride, padding, .. } = *self;
        let along = |p: usize| {
            let first = (p + padding) % stride;
            (first, kernel.saturating_sub(first).div_ceil(stride))
        };
        let ((fy, ny), (fx, nx)) = (along(py), along(px));
        Residue { first: (fy, fx), count: (ny, nx) }
    }

    /// Returns the output row (or column) at which input row `p` meets the first kernel row of its class.
    pub(super) fn base(&self, p: usize) -> usize {
        (p + self.padding) / self.stride
    }

    /// Returns the output positions q whose tap `k` reads inside an image of `length`: 0 ≤ q·s + k − p < length.
    pub(super) fn inside(&self, k: usize, length: usize, outputs: usize) -> std::ops::Range<usize> {
        let from = self.padding.saturating_sub(k).div_ceil(self.stride).min(outputs);
        let to = (length + self.padding).saturating_sub(k).div_ceil(self.stride).min(outputs);
        from..to.max(from)
    }

    /// Returns the largest number of kernel rows that meet one input row.
    pub(super) fn reach(&self) -> usize {
        self.kernel.div_ceil(self.stride)
    }
}
