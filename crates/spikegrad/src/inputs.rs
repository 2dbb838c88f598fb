//! Checks of a net's inputs and outputs: numbers that are not finite are no pixels and no answer.

use crate::{BatchError, Error};
use spikegrad_models::{Input, NetConfig};
use spikegrad_tensor::{Level, largest_magnitude};

/// The largest magnitude of a pixel. Its square, which batch norm's variance has, is far within an `f32`.
const LARGEST_PIXEL: f32 = 1e15;

/// Checks images or frames: finite and of reasonable size, zeros and ones where the net reads spikes.
pub(crate) fn check_input(net: &NetConfig, images: &[f32]) -> Result<(), Error> {
    if net.input == Input::Spikes {
        return match images.iter().position(|&x| x != 0.0 && x != 1.0) {
            Some(index) => Err(BatchError::NotASpike { index, value: images[index] }.into()),
            None => Ok(()),
        };
    }
    // NaN is not within anything.
    if largest_magnitude(Level::BASELINE, images) <= LARGEST_PIXEL {
        return Ok(());
    }
    let index = images.iter().position(|x| x.is_nan() || x.abs() > LARGEST_PIXEL).unwrap_or(0);
    Err(BatchError::Pixel { index, value: images[index] }.into())
}

/// Checks logits (N, classes).
pub(crate) fn check_logits(logits: &[f32], classes: usize) -> Result<(), Error> {
    match logits.iter().position(|z| !z.is_finite()) {
        Some(at) => Err(Error::LogitsNotFinite { image: at / classes }),
        None => Ok(()),
    }
}

/// Whether the first index of the largest logit is the label; logits that are not finite answer nothing.
pub(crate) fn is_right(z: &[f32], label: u32) -> bool {
    let largest = (0..z.len()).fold(0, |best, k| if z[k] > z[best] { k } else { best });
    largest == label as usize && z.iter().all(|z| z.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_that_are_not_finite_answer_nothing() {
        assert!(is_right(&[1.0, 3.0, 2.0], 1) && !is_right(&[1.0, 3.0, 2.0], 2));
        assert!(is_right(&[3.0, 3.0], 0) && !is_right(&[3.0, 3.0], 1), "the first of equals");
        for z in [
            [f32::NAN, f32::NAN],
            [f32::NAN, 0.0],
            [0.0, f32::NAN],
            [f32::INFINITY, 0.0],
            [0.0, f32::NEG_INFINITY],
        ] {
            assert!(!is_right(&z, 0) && !is_right(&z, 1), "{z:?}");
        }
        assert!(matches!(
            check_logits(&[0.0, 1.0, 2.0, f32::NAN], 2),
            Err(Error::LogitsNotFinite { image: 1 })
        ));
    }
}
