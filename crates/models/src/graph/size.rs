//! Sizes that can be computed with: a plan is arithmetic, and no product of it leaves the range of its numbers.

use crate::params::MOST_NUMBERS;
use spikegrad_bptt::ConfigError;
use spikegrad_tensor::{Dims, LANES};

/// The most multiply-adds of a pass over a layer, a day's work of a large machine; kernels' buffers are smaller.
const MOST_WORK: usize = 1 << 56;

/// Checks that a tensor has no more numbers than can be planned.
pub(super) fn sized(dims: Dims) -> Result<Dims, ConfigError> {
    match dims.checked_len() {
        Some(len) if len <= MOST_NUMBERS => Ok(dims),
        _ => {
            let Dims { n, c, h, w } = dims;
            Err(ConfigError::new(format!(
                "{n} images of {c} channels and {h}×{w} pixels are more than {MOST_NUMBERS} numbers, the most that can be planned"
            )))
        }
    }
}

/// Checks that a layer's pass has no more multiply-adds than can be planned, for `taps` of a kernel.
pub(super) fn check_work(name: &str, inputs: usize, out: Dims, taps: usize) -> Result<(), ConfigError> {
    let inputs = inputs.checked_next_multiple_of(LANES);
    let per_output = inputs.and_then(|inputs| inputs.checked_mul(taps));
    let work = out.checked_len().zip(per_output).and_then(|(outputs, each)| outputs.checked_mul(each));
    match work {
        Some(work) if work <= MOST_WORK => Ok(()),
        _ => Err(ConfigError::new(format!(
            "layer {name:?} takes more than {MOST_WORK} multiply-adds a batch, the most that can be planned"
        ))),
    }
}
