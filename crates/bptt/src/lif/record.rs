//! Recording of the backward: a recorder receives the values of every neuron at every step.
//!
//! The kernel itself hands the values over, tile by tile, while it runs; no second implementation has to agree with it.
//! Without a recorder this costs one comparison a tile.

use super::laws::{BackTile, Law, Parameters, Tile, passed};
use spikegrad_tensor::{Block, Lanes};
use std::fmt::Debug;
use std::ops::Range;

/// The place of a tile of neurons: neighbouring pixels of up to sixteen channels, at one time step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The layer's number, which the caller gave with the recorder.
    pub layer: usize,
    /// Time step.
    pub step: usize,
    /// Image of the batch.
    pub image: usize,
    /// Channels; lane l of a block is channel `channels.start + l`, lanes past the last are padding.
    pub channels: Range<usize>,
    /// Pixels, row by row; block i is pixel `pixels.start + i`.
    pub pixels: Range<usize>,
}

/// The values of a step while the membranes are derived, one block a pixel.
#[derive(Clone, Copy, Debug)]
pub struct Charged<'a> {
    /// x\[t\], the input current.
    pub x: &'a [Block],
    /// u\[t\], the membrane before the reset.
    pub u: &'a [Block],
    /// m\[t\], the membrane after the reset.
    pub m: &'a [Block],
}

/// The values of a step of the backward, one block a pixel.
#[derive(Clone, Copy, Debug)]
pub struct Returned<'a> {
    /// o\[t\], the spike.
    pub o: &'a [Block],
    /// e\[t\] = ∂L/∂o\[t\], from the layers above.
    pub e: &'a [Block],
    /// a\[t\] = ∂L/∂m\[t\], from the steps after.
    pub a: &'a [Block],
    /// G\[t\], the total gradient at the spike.
    pub total: &'a [Block],
    /// h(u\[t\]), the base surrogate.
    pub h: &'a [Block],
    /// max(0, 1 + δ·sign(G)·(u − o)), the factor of surrogate gradient scaling.
    pub factor: &'a [Block],
    /// ∂L/∂u\[t\], which is ∂L/∂x\[t\] of a plain neuron.
    pub du: &'a [Block],
}

/// Receives the values of [`LifLayer::backward`](super::LifLayer::backward) while it runs; several threads call it, in no fixed order of
/// tiles.
#[doc(alias = "eq-recorder")]
pub trait Recorder: Debug + Send + Sync {
    /// Receives a tile at a step while the membranes are derived again, with steps from 0 to T − 1.
    fn charged(&self, place: Place, values: Charged<'_>);
    /// Receives a tile at a step while the gradients run backward, with steps from T − 1 to 0.
    fn returned(&self, place: Place, values: Returned<'_>);
}

/// A recorder, and the number of the layer it listens to.
pub type Listener<'a> = (&'a dyn Recorder, usize);

/// Hands over a tile on its way back, just before the kernel turns u into ∂L/∂x.
#[inline(always)]
pub(super) fn hand_over<L: Law, V: Lanes, const H: usize>(
    recorder: &dyn Recorder,
    place: Place,
    law: L,
    p: &[Parameters<V>; H],
    BackTile { e, u, kept, states: [a, other] }: &BackTile<'_>,
) {
    let [mut o, mut total, mut h, mut factor, mut du] = [Tile::default(); 5];
    for i in 0..e.len() {
        for (k, from) in (0..H).map(|k| (k, k * V::WIDTH)) {
            let after = [V::load(&a[i].0[from..]), V::load(&other[i].0[from..])];
            let step = passed::<L, V>(V::load(&u[i].0[from..]), kept, i, from);
            let terms = law.back(&p[k], step, V::load(&e[i].0[from..]), after).terms;
            terms.o.store(&mut o[i].0[from..]);
            terms.total.store(&mut total[i].0[from..]);
            terms.h.store(&mut h[i].0[from..]);
            terms.factor.store(&mut factor[i].0[from..]);
            terms.gradient.store(&mut du[i].0[from..]);
        }
    }
    let [o, total, h, factor, du] = [&o, &total, &h, &factor, &du].map(|tile| &tile[..e.len()]);
    recorder.returned(place, Returned { o, e, a: &a[..e.len()], total, h, factor, du });
}
