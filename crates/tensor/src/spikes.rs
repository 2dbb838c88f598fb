//! Activations of one bit a neuron.

use crate::memory::{NoMemory, try_vec};
use crate::tensor::{Dims, LANES, Tensor};

/// Bit-packed spikes: a 32nd of the floats they stand for.
///
/// Word `((n · blocks + c / 16) · h + y) · w + x` holds channel `c` of pixel (y, x) in bit `c % 16`; it is the
/// sign of the tensor block at the same index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spikes {
    dims: Dims,
    words: Vec<u16>,
}

impl Spikes {
    /// Makes silent neurons.
    pub fn zeros(dims: Dims) -> Self {
        Self { dims, words: vec![0; dims.n * dims.image_blocks()] }
    }

    /// Plans spikes: they have a size, and no memory until [`Spikes::allocate`].
    pub fn planned(dims: Dims) -> Self {
        Self { dims, words: Vec::new() }
    }

    /// Gets the memory of planned spikes: silent neurons.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn allocate(&mut self) -> Result<(), NoMemory> {
        self.words = try_vec(self.dims.n * self.dims.image_blocks(), 0)?;
        Ok(())
    }

    /// Packs a tensor: every number but zero is a spike.
    pub fn from_tensor(tensor: &Tensor) -> Self {
        let mut spikes = Self::zeros(tensor.dims());
        for (word, block) in spikes.words.iter_mut().zip(tensor.blocks()) {
            *word = (0..LANES).map(|lane| u16::from(block.0[lane] != 0.0) << lane).sum();
        }
        spikes
    }

    /// Packs `src`, in the order n, c, h, w: every number but zero is a spike.
    ///
    /// # Panics
    /// The lengths differ.
    pub fn copy_from_nchw(&mut self, src: &[f32]) {
        assert_eq!(src.len(), self.dims.len());
        let (d, hw) = (self.dims, self.dims.pixels());
        self.words.fill(0);
        for (image, from) in self.words.chunks_mut(d.image_blocks()).zip(src.chunks(d.c * hw)) {
            for (c, plane) in from.chunks(hw).enumerate() {
                let words = &mut image[c / LANES * hw..][..hw];
                words
                    .iter_mut()
                    .zip(plane)
                    .for_each(|(word, &x)| *word |= u16::from(x != 0.0) << (c % LANES));
            }
        }
    }

    /// Writes 0.0 and 1.0 into `tensor`.
    ///
    /// # Panics
    /// The sizes differ.
    pub fn unpack(&self, tensor: &mut Tensor) {
        assert_eq!(self.dims, tensor.dims());
        for (word, block) in self.words.iter().zip(tensor.blocks_mut()) {
            block.0 = std::array::from_fn(|lane| f32::from(word >> lane & 1));
        }
    }

    /// The size.
    pub fn dims(&self) -> Dims {
        self.dims
    }

    /// The words, in the order image, channel block, pixel.
    pub fn words(&self) -> &[u16] {
        &self.words
    }

    /// The words, to write. Bits past the last channel must stay zero.
    pub fn words_mut(&mut self) -> &mut [u16] {
        &mut self.words
    }

    /// Spikes in all.
    pub fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Share of neurons that fire, over images and time steps.
    pub fn rate(&self) -> f64 {
        self.count() as f64 / self.dims.len().max(1) as f64
    }

    /// Bytes held, or planned.
    pub fn bytes(&self) -> usize {
        self.dims.n * self.dims.image_blocks() * size_of::<u16>()
    }
}
