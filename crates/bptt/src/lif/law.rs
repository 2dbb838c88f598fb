//! The law of one step of one neuron, forward and backward, on a vector of neurons.

use super::{Activation, LifConfig, Reset};
use crate::sgs::{factor, sgs};
use spikegrad_tensor::Lanes;

/// Pixels of a tile. Sums over a tile are `f32`, sums of tiles `f64`.
pub(super) const TILE: usize = 16;

/// Computes m from u and o; the constants are 1 and the soft reset's amount.
#[inline(always)]
pub(super) fn after_reset<V: Lanes>(hard: bool, u: V, o: V, (one, amount): (V, V)) -> V {
    if hard { (one - o) * u } else { u - amount * o }
}

/// Computes the output o from u.
#[inline(always)]
pub(super) fn output<V: Lanes>(lif: &LifConfig, activation: Activation, u: V) -> V {
    let (zero, threshold) = (V::splat(0.0), V::splat(lif.threshold));
    match activation {
        Activation::Spike => V::select(u.gt(threshold), V::splat(1.0), zero),
        Activation::Smooth => {
            V::splat(lif.amplitude) * (u - threshold).map(|d| lif.surrogate.primitive_at(d))
        }
        Activation::Relu => u.max(zero),
        Activation::Identity => u,
    }
}

/// Computes ∂L/∂u of one step from e = ∂L/∂o, a = ∂L/∂m and u, as the table at the top of the module says.
#[doc(alias = "eq-gradient")]
#[inline(always)]
pub fn membrane_gradient<V: Lanes>(
    lif: &LifConfig,
    activation: Activation,
    reset: Reset,
    e: V,
    a: V,
    u: V,
) -> V {
    terms(lif, activation, reset, e, a, u).gradient
}

/// The terms of ∂L/∂u of one step.
pub(super) struct Terms<V> {
    /// The spike.
    pub o: V,
    /// G, the total gradient at the spike.
    pub total: V,
    /// h(u).
    pub h: V,
    /// The factor of surrogate gradient scaling; 1 where there is no spike.
    pub factor: V,
    /// ∂L/∂u.
    pub gradient: V,
}

/// Computes a row of the table at the top of the module. The compiler removes terms that the caller does not read.
#[inline(always)]
pub(super) fn terms<V: Lanes>(
    lif: &LifConfig,
    activation: Activation,
    reset: Reset,
    e: V,
    a: V,
    u: V,
) -> Terms<V> {
    let (zero, one, threshold) = (V::splat(0.0), V::splat(1.0), V::splat(lif.threshold));
    if activation == Activation::Identity {
        return Terms { o: u, total: e, h: one, factor: one, gradient: e };
    }
    if activation == Activation::Relu {
        let h = V::select(u.gt(zero), one, zero);
        return Terms { o: u.max(zero), total: e, h, factor: one, gradient: V::select(u.gt(zero), e, zero) };
    }
    let o = output(lif, activation, u);
    let through_reset = if reset.is_hard() { a * u } else { V::splat(lif.amount()) * a };
    let total = if reset.is_attached() { e - through_reset } else { e };
    let h = V::splat(lif.amplitude) * lif.surrogate.derivative(u - threshold);
    let delta = V::splat(lif.delta);
    let (factor, spike) = match activation {
        Activation::Spike => (factor(total, u, o, delta), sgs(total, h, u, o, delta)),
        _ => (one, total * h),
    };
    Terms { o, total, h, factor, gradient: spike + if reset.is_hard() { a * (one - o) } else { a } }
}
