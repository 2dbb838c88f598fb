//! Dense activations in channel blocks, aligned to a cache line.

use crate::ShapeError;
use crate::memory::{NoMemory, try_vec};

/// Channels in a block.
pub const LANES: usize = 16;

/// Sixteen neighbouring channels of one pixel: a cache line.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C, align(64))]
pub struct Block(pub [f32; LANES]);

// SAFETY: all bits zero are sixteen times 0.0.
#[allow(unsafe_code)]
unsafe impl bytemuck::Zeroable for Block {}

// SAFETY: sixteen floats fill its 64 bytes, so there is no padding, and any bits are floats; written out rather than
// derived, for the derive would cost every embedder four more crates to build.
#[allow(unsafe_code)]
unsafe impl bytemuck::Pod for Block {}

const _: () = assert!(size_of::<Block>() == size_of::<[f32; LANES]>());

/// The size of an activation: `n` images (time steps folded in, time outermost) of `c`×`h`×`w`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dims {
    /// Images: time steps × batch.
    pub n: usize,
    /// Channels.
    pub c: usize,
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
}

impl Dims {
    /// Makes dimensions from images, channels, rows and columns.
    pub const fn new(n: usize, c: usize, h: usize, w: usize) -> Self {
        Self { n, c, h, w }
    }

    /// Channel blocks an image has.
    pub const fn blocks(&self) -> usize {
        self.c.div_ceil(LANES)
    }

    /// Pixels of an image.
    pub const fn pixels(&self) -> usize {
        self.h * self.w
    }

    /// Blocks an image holds: channel blocks × pixels.
    pub const fn image_blocks(&self) -> usize {
        self.blocks() * self.pixels()
    }

    /// Planes of one channel block of one image.
    pub const fn planes(&self) -> usize {
        self.n * self.blocks()
    }

    /// Returns the numbers that the tensor holds, channels padded to whole blocks; `None` beyond the range of a `usize`.
    pub fn checked_len(&self) -> Option<usize> {
        let channels = self.c.checked_next_multiple_of(LANES)?;
        self.n.checked_mul(channels)?.checked_mul(self.h)?.checked_mul(self.w)
    }

    /// Returns the numbers of the activation, without the padding.
    pub const fn len(&self) -> usize {
        self.n * self.c * self.h * self.w
    }

    /// Whether there is no element.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A dense activation.
///
/// Element (n, c, y, x) is lane `c % 16` of block `((n · blocks + c / 16) · h + y) · w + x`.
///
/// ```
/// # use spikegrad_tensor::{Dims, Tensor};
/// let x = Tensor::from_nchw(Dims::new(1, 2, 1, 2), &[1.0, 2.0, 3.0, 4.0])?;
/// assert_eq!(x.blocks()[1].0[..3], [2.0, 4.0, 0.0]);
/// assert_eq!(x.to_nchw(), [1.0, 2.0, 3.0, 4.0]);
/// # Ok::<(), spikegrad_tensor::ShapeError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Tensor {
    dims: Dims,
    data: Vec<Block>,
}

impl Tensor {
    /// Makes a tensor of zeros.
    pub fn zeros(dims: Dims) -> Self {
        Self { dims, data: vec![Block::default(); dims.n * dims.image_blocks()] }
    }

    /// Plans a tensor: it has a size, and no memory until [`Tensor::allocate`].
    pub fn planned(dims: Dims) -> Self {
        Self { dims, data: Vec::new() }
    }

    /// Gets the memory of a planned tensor: zeros.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn allocate(&mut self) -> Result<(), NoMemory> {
        let len = self.dims.n * self.dims.image_blocks();
        if self.data.len() < len {
            self.data = try_vec(len, Block::default())?;
        }
        Ok(())
    }

    /// Takes another size; the numbers are undefined until written. Allocates only where the tensor never was as large.
    pub fn resize(&mut self, dims: Dims) {
        let len = dims.n * dims.image_blocks();
        if self.data.len() < len {
            self.data = vec![Block::default(); len];
        }
        self.dims = dims;
    }

    /// Copies `src`, in the order n, c, h, w, into channel blocks.
    ///
    /// # Errors
    /// `src` does not hold `dims.len()` numbers.
    pub fn from_nchw(dims: Dims, src: &[f32]) -> Result<Self, ShapeError> {
        if src.len() != dims.len() {
            return Err(ShapeError::Length { dims, found: src.len() });
        }
        let mut tensor = Self::zeros(dims);
        tensor.copy_from_nchw(src);
        Ok(tensor)
    }

    /// Overwrites the tensor with `src` in the order n, c, h, w.
    ///
    /// # Panics
    /// The lengths differ.
    pub fn copy_from_nchw(&mut self, src: &[f32]) {
        assert_eq!(src.len(), self.dims.len());
        let (d, hw) = (self.dims, self.dims.pixels());
        for (image, from) in self.blocks_mut().chunks_mut(d.image_blocks()).zip(src.chunks(d.c * hw)) {
            for (c, plane) in from.chunks(hw).enumerate() {
                let blocks = &mut image[c / LANES * hw..][..hw];
                blocks.iter_mut().zip(plane).for_each(|(block, &x)| block.0[c % LANES] = x);
            }
        }
    }

    /// Writes the tensor to `dst` in the order n, c, h, w.
    ///
    /// # Panics
    /// The lengths differ.
    pub fn copy_to_nchw(&self, dst: &mut [f32]) {
        assert_eq!(dst.len(), self.dims.len());
        let (d, hw) = (self.dims, self.dims.pixels());
        for (image, to) in self.blocks().chunks(d.image_blocks()).zip(dst.chunks_mut(d.c * hw)) {
            for (c, plane) in to.chunks_mut(hw).enumerate() {
                let blocks = &image[c / LANES * hw..][..hw];
                blocks.iter().zip(plane).for_each(|(block, x)| *x = block.0[c % LANES]);
            }
        }
    }

    /// Returns the numbers in the order n, c, h, w.
    pub fn to_nchw(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.dims.len()];
        self.copy_to_nchw(&mut out);
        out
    }

    /// The size.
    pub fn dims(&self) -> Dims {
        self.dims
    }

    /// The blocks, in the order image, channel block, pixel.
    pub fn blocks(&self) -> &[Block] {
        &self.data[..self.dims.n * self.dims.image_blocks()]
    }

    /// The blocks, to write. Lanes past the last channel must stay zero.
    pub fn blocks_mut(&mut self) -> &mut [Block] {
        &mut self.data[..self.dims.n * self.dims.image_blocks()]
    }

    /// The same numbers as plain floats, sixteen a block.
    pub fn floats(&self) -> &[f32] {
        bytemuck::cast_slice(self.blocks())
    }

    /// The same numbers as plain floats, to write. Lanes past the last channel must stay zero.
    pub fn floats_mut(&mut self) -> &mut [f32] {
        bytemuck::cast_slice_mut(self.blocks_mut())
    }

    /// Returns the bytes of the numbers, planned or allocated.
    pub fn bytes(&self) -> usize {
        self.data.len().max(self.dims.n * self.dims.image_blocks()) * size_of::<Block>()
    }
}

impl PartialEq for Tensor {
    fn eq(&self, other: &Self) -> bool {
        self.dims == other.dims && self.blocks() == other.blocks()
    }
}
