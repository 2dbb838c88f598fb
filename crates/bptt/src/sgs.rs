//! Surrogate gradient scaling, the method of the paper.

use spikegrad_tensor::Lanes;

/// Scales the surrogate gradient: S(g, u, o) = g · h(u) · max(0, 1 + δ·sign(g)·(u − o)), sign(0) = 0.
///
/// | argument | meaning |
/// |---|---|
/// | `g` | the *total* gradient at the spike o, the reset path included |
/// | `h` | the base surrogate at u |
/// | `u`, `o` | membrane and spike |
/// | `delta` | δ; 0 gives the plain surrogate |
///
/// Since g·sign(g) = |g|, this is h·(g + δ·|g|·(u − o)): the plain surrogate plus a pull of u towards its own
/// output. Source: equation 5 of the paper, reconstructed.
#[doc(alias = "eq5")]
#[inline(always)]
pub fn sgs<V: Lanes>(g: V, h: V, u: V, o: V, delta: V) -> V {
    g * h * factor(g, u, o, delta)
}

/// Computes the factor max(0, 1 + δ·sign(g)·(u − o)).
#[inline(always)]
pub fn factor<V: Lanes>(g: V, u: V, o: V, delta: V) -> V {
    let (zero, one) = (V::splat(0.0), V::splat(1.0));
    let sign = V::select(g.gt(zero), one, V::select(zero.gt(g), zero - one, zero));
    (one + delta * sign * (u - o)).max(zero)
}
