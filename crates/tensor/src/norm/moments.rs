//! Mean and spread of single planes, from which a batch's statistics are computed.
//!
//! ```text
//! mean = k + Σ(y − k)/P      spread = Σ(y − mean)² = Σ(y − k)² − (Σ(y − k))²/P      P pixels, k the first value
//! ```
//! A plane is measured by itself, so a convolution can do it while the plane it has written is still in the cache,
//! and the bits are those of a pass of its own.

use super::plane::PlaneMoments;
use crate::tensor::{Block, Tensor};
use crate::{Kernel, Lanes, Level, Workers};

/// Measures every plane of `y`, in the order in which they lie.
pub(crate) fn measure(y: &Tensor, moments: &mut [PlaneMoments], level: Level, workers: &mut Workers) {
    let planes = y.blocks().chunks(y.dims().pixels());
    workers.run(planes.zip(moments), |(plane, moments), _| level.run(Plane { plane, moments }));
}

struct Plane<'a> {
    plane: &'a [Block],
    moments: &'a mut PlaneMoments,
}

impl Kernel for Plane<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        *self.moments = PlaneMoments::of::<V>(self.plane);
    }
}
