//! Convolution of spikes by lists of the active neurons: the fastest way where few fire.

mod forward;
mod weight;

pub(super) use forward::{forward, forward_delta};
pub(super) use weight::{Sign, backward};

use super::Conv;

/// Whether the entries of an image's row and the positions of a band can be numbered in sixteen bits.
pub(super) fn fits(conv: &Conv) -> bool {
    let (input, kernel) = (conv.input, conv.config.kernel);
    let bordered = (256usize.div_ceil(input.w) + kernel) * (input.w + kernel);
    input.w * input.c <= usize::from(u16::MAX) && bordered <= usize::from(u16::MAX)
}
