//! The spike and its reset, which all neurons that fire share.

use super::super::{Activation, Firing, LifConfig, Reset};
use crate::sgs::{factor, sgs};
use spikegrad_tensor::Lanes;

/// The spike of a neuron: the configuration's surrogate, reset and rule of firing.
///
/// The activation, the reset and the rule of firing stand beside the configuration, so that a caller can pass constants: then each case is
/// compiled to a loop without branches.
#[derive(Clone, Copy)]
pub(in super::super) struct Spike<'a> {
    pub lif: &'a LifConfig,
    pub activation: Activation,
    pub reset: Reset,
    pub firing: Firing,
}

/// The terms of ∂L/∂u of one step.
pub(in super::super) struct Terms<V> {
    /// The output.
    pub o: V,
    /// G, the total gradient at the spike.
    pub total: V,
    /// h(u).
    pub h: V,
    /// The factor of surrogate gradient scaling; 1 where there is no spike.
    pub factor: V,
    /// S(G, u, o), the gradient that passes the spike.
    pub spike: V,
    /// ∂L/∂u.
    pub gradient: V,
}

impl<'a> Spike<'a> {
    pub(in super::super) fn new(lif: &'a LifConfig, activation: Activation) -> Self {
        Self { lif, activation, reset: lif.reset, firing: lif.firing }
    }

    /// Computes the output o from u and the threshold.
    #[inline(always)]
    pub(super) fn fire<V: Lanes>(self, u: V, threshold: V) -> V {
        let (zero, one) = (V::splat(0.0), V::splat(1.0));
        match self.activation {
            Activation::Spike => match self.firing {
                Firing::Above => V::select(u.gt(threshold), one, zero),
                Firing::AtOrAbove => V::select(threshold.gt(u), zero, one),
            },
            Activation::Smooth => {
                V::splat(self.lif.amplitude) * (u - threshold).map(|d| self.lif.surrogate.primitive_at(d))
            }
            Activation::Relu => u.max(zero),
            Activation::Identity => u,
        }
    }

    /// Gives the amount of a soft reset: the threshold, or a constant.
    #[inline(always)]
    pub(super) fn amount<V: Lanes>(self, threshold: V) -> V {
        self.lif.reset_amount.map_or(threshold, V::splat)
    }

    /// Computes m from u, o and the soft reset's amount.
    #[inline(always)]
    pub(super) fn after_reset<V: Lanes>(self, u: V, o: V, amount: V) -> V {
        if self.reset.is_hard() { (V::splat(1.0) - o) * u } else { u - amount * o }
    }

    /// Computes a row of the table at the top of the module from e = ∂L/∂o (with all uses of o but the reset) and
    /// a = ∂L/∂m. The compiler removes terms that the caller does not read.
    #[inline(always)]
    pub(super) fn terms<V: Lanes>(self, e: V, a: V, u: V, threshold: V) -> Terms<V> {
        let o = self.fire(u, threshold);
        let through_reset = if self.reset.is_hard() { a * u } else { self.amount(threshold) * a };
        let total = if self.reset.is_attached() { e - through_reset } else { e };
        let (h, factor, spike) = self.scale(total, u, o, threshold);
        let kept = if self.reset.is_hard() { a * (V::splat(1.0) - o) } else { a };
        Terms { o, total, h, factor, spike, gradient: spike + kept }
    }

    /// Computes h, the factor of scaling, and S from the total gradient.
    #[inline(always)]
    pub(super) fn scale<V: Lanes>(self, total: V, u: V, o: V, threshold: V) -> (V, V, V) {
        let h = V::splat(self.lif.amplitude) * self.lif.surrogate.derivative(u - threshold);
        let delta = V::splat(self.lif.delta);
        match self.activation {
            Activation::Spike => {
                let from_zero = u + V::splat(self.lif.reset_value);
                (h, factor(total, from_zero, o, delta), sgs(total, h, from_zero, o, delta))
            }
            _ => (h, V::splat(1.0), total * h),
        }
    }

    /// Computes ∂L/∂V_th of one step: the spike's, and the soft reset's where its amount is the threshold.
    #[inline(always)]
    pub(super) fn threshold_gradient<V: Lanes>(self, terms: &Terms<V>, a: V) -> V {
        let zero = V::splat(0.0);
        if self.reset.is_hard() || self.lif.reset_amount.is_some() {
            zero - terms.spike
        } else {
            zero - terms.spike - a * terms.o
        }
    }
}
