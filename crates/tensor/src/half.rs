//! Activations at half the bytes: bfloat16, the upper half of an `f32`.

use crate::memory::{NoMemory, try_vec};
use crate::tensor::{Dims, Tensor};
use crate::{Kernel, Lanes, Level, Workers};

/// A task rounds so many numbers.
const CHUNK: usize = 1 << 14;

/// A tensor's numbers rounded to eight significant bits, the nearest, ties to even: |error| ≤ 2⁻⁸·|x|.
///
/// ```
/// # use spikegrad_tensor::{Dims, HalfTensor, Level, Tensor, Workers};
/// let dims = Dims::new(1, 2, 1, 1);
/// let (x, mut back) = (Tensor::from_nchw(dims, &[1.0, 0.1])?, Tensor::zeros(dims));
/// let (mut half, mut workers) = (HalfTensor::zeros(dims), Workers::new());
/// half.pack(&x, Level::BASELINE, &mut workers);
/// half.unpack(&mut back, Level::BASELINE, &mut workers);
/// assert_eq!(back.to_nchw(), [1.0, 0.100097656]);
/// # Ok::<(), spikegrad_tensor::ShapeError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct HalfTensor {
    dims: Dims,
    data: Vec<u16>,
}

impl HalfTensor {
    /// Makes a tensor of zeros.
    pub fn zeros(dims: Dims) -> Self {
        Self { dims, data: vec![0; dims.n * dims.image_blocks() * crate::LANES] }
    }

    /// Plans a tensor: it has a size, and no memory until [`HalfTensor::allocate`].
    pub fn planned(dims: Dims) -> Self {
        Self { dims, data: Vec::new() }
    }

    /// Gets the memory of a planned tensor: zeros.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn allocate(&mut self) -> Result<(), NoMemory> {
        self.data = try_vec(self.dims.n * self.dims.image_blocks() * crate::LANES, 0)?;
        Ok(())
    }

    /// Overwrites the numbers with those of `from`, rounded.
    ///
    /// # Panics
    /// The sizes differ.
    pub fn pack(&mut self, from: &Tensor, level: Level, workers: &mut Workers) {
        assert_eq!(self.dims, from.dims());
        let chunks = from.floats().chunks(CHUNK).zip(self.data.chunks_mut(CHUNK));
        workers.run(chunks, |(from, to), _| level.run(Round { from, to }));
    }

    /// Writes the numbers to `to`.
    ///
    /// # Panics
    /// The sizes differ.
    pub fn unpack(&self, to: &mut Tensor, level: Level, workers: &mut Workers) {
        assert_eq!(self.dims, to.dims());
        let chunks = self.data.chunks(CHUNK).zip(to.floats_mut().chunks_mut(CHUNK));
        workers.run(chunks, |(from, to), _| level.run(Widen { from, to }));
    }

    /// Returns the bytes of the numbers, planned or allocated.
    pub fn bytes(&self) -> usize {
        self.dims.n * self.dims.image_blocks() * crate::LANES * size_of::<u16>()
    }
}

struct Round<'a> {
    from: &'a [f32],
    to: &'a mut [u16],
}

impl Kernel for Round<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        for (to, from) in self.to.iter_mut().zip(self.from) {
            let bits = from.to_bits();
            // Half a unit of the kept bits, less one where they are even; a NaN stays one.
            let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
            *to = (if from.is_nan() { bits | 0x0040_0000 } else { rounded } >> 16) as u16;
        }
    }
}

struct Widen<'a> {
    from: &'a [u16],
    to: &'a mut [f32],
}

impl Kernel for Widen<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        for (to, from) in self.to.iter_mut().zip(self.from) {
            *to = f32::from_bits(u32::from(*from) << 16);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn rounds_to_the_nearest_at_every_level() {
        let (dims, mut rng) = (Dims::new(3, 5, 7, 11), Rng::new(5));
        let mut numbers: Vec<f32> = (0..dims.len()).map(|_| rng.normal()).collect();
        numbers[..6].copy_from_slice(&[
            0.0,
            -0.0,
            f32::INFINITY,
            f32::MIN_POSITIVE,
            1.0 + 1.0 / 256.0,
            -1e30,
        ]);
        numbers[6] = f32::NAN;
        let tensor = Tensor::from_nchw(dims, &numbers).expect("sizes agree");
        for level in Level::available() {
            let (mut half, mut back) = (HalfTensor::zeros(dims), Tensor::zeros(dims));
            half.pack(&tensor, level, &mut Workers::new());
            half.unpack(&mut back, level, &mut Workers::new());
            for (x, y) in numbers.iter().zip(back.to_nchw()) {
                let near = (x - y).abs() <= x.abs() / 256.0;
                assert!(*x == y || near || (x.is_nan() && y.is_nan()), "{level}: {x} became {y}");
            }
            assert_eq!(back.to_nchw()[4], 1.0, "ties go to even");
        }
    }
}
