//! The largest magnitude of many numbers, in which NaN and infinity show.

use crate::{Kernel, Lanes, Level};

/// Returns the bits of |x|. As whole numbers they have the order of the magnitudes, NaN above infinity.
#[inline(always)]
pub fn magnitude_bits(x: f32) -> u32 {
    x.to_bits() & !(1 << 31)
}

/// Returns the largest |x|: NaN if a number is NaN, 0 if there is no number. The compiler vectorises the pass.
///
/// ```
/// # use spikegrad_tensor::{Level, largest_magnitude};
/// assert_eq!(largest_magnitude(Level::BASELINE, &[1.0, -3.0, 2.0]), 3.0);
/// assert!(largest_magnitude(Level::BASELINE, &[1.0, f32::NAN, f32::INFINITY]).is_nan());
/// ```
pub fn largest_magnitude(level: Level, values: &[f32]) -> f32 {
    f32::from_bits(level.run(Largest(values)))
}

struct Largest<'a>(&'a [f32]);

impl Kernel for Largest<'_> {
    type Output = u32;

    #[inline(always)]
    fn run<V: Lanes>(self) -> u32 {
        self.0.iter().fold(0, |largest, &x| largest.max(magnitude_bits(x)))
    }
}
