//! The plain leaky integrate-and-fire neuron, whose numbers are those of the configuration, and its twins without spikes.
//!
//! ```text
//! u[t] = τ·m[t−1] + x[t]
//! ```

use super::super::{Activation, Firing, Reset};
use super::{
    BackTile, Charge, ChargeTile, Law, MOST_PARAMETERS, MOST_STATES, Parameters, Passed, Return, Spike,
    Terms, back_tile, charge_tile,
};
use spikegrad_tensor::Lanes;

/// The plain neuron; its twins have no membrane and no spike.
#[derive(Clone, Copy)]
pub(in super::super) struct Plain<'a>(pub Spike<'a>);

impl Plain<'_> {
    /// Whether the neurons have a membrane.
    fn integrates(self) -> bool {
        !matches!(self.0.activation, Activation::Relu | Activation::Identity)
    }

    /// The same law, of a constant activation and reset.
    #[inline(always)]
    fn of(self, activation: Activation, reset: Reset) -> Self {
        Self(Spike { lif: self.0.lif, activation, reset, firing: Firing::Above })
    }

    /// Computes a row of the table at the top of the module.
    #[inline(always)]
    pub(in super::super) fn terms<V: Lanes>(self, e: V, a: V, u: V) -> Terms<V> {
        let (zero, one) = (V::splat(0.0), V::splat(1.0));
        match self.0.activation {
            Activation::Identity => Terms { o: u, total: e, h: one, factor: one, spike: e, gradient: e },
            Activation::Relu => {
                let h = V::select(u.gt(zero), one, zero);
                let gradient = V::select(u.gt(zero), e, zero);
                Terms { o: u.max(zero), total: e, h, factor: one, spike: gradient, gradient }
            }
            _ => self.0.terms(e, a, u, V::splat(self.0.lif.threshold)),
        }
    }
}

impl Law for Plain<'_> {
    const KEEPS: bool = false;
    const PARAMETERS: usize = 0;

    #[inline(always)]
    fn charge<V: Lanes>(self, _: &Parameters<V>, x: V, before: [V; MOST_STATES]) -> Charge<V> {
        let threshold = V::splat(self.0.lif.threshold);
        if !self.integrates() {
            return Charge { u: x, o: self.0.fire(x, threshold), after: before };
        }
        let u = V::splat(self.0.lif.decay) * before[0] + x;
        let o = self.0.fire(u, threshold);
        Charge { u, o, after: [self.0.after_reset(u, o, self.0.amount(threshold)), before[1]] }
    }

    #[inline(always)]
    fn back<V: Lanes>(self, _: &Parameters<V>, step: Passed<V>, e: V, after: [V; MOST_STATES]) -> Return<V> {
        let terms = self.terms(e, after[0], step.u);
        let input = terms.gradient;
        let before = [V::splat(self.0.lif.decay) * input, after[1]];
        Return { terms, input, before, parameters: [V::splat(0.0); MOST_PARAMETERS] }
    }

    #[inline(always)]
    fn charge_tile<V: Lanes, const H: usize>(self, p: &[Parameters<V>; H], tile: ChargeTile<'_>) {
        match (self.0.activation, self.0.reset.is_hard()) {
            (Activation::Spike, true) => charge_tile(self.of(Activation::Spike, Reset::Hard), p, tile),
            (Activation::Spike, false) => charge_tile(self.of(Activation::Spike, Reset::Soft), p, tile),
            _ => charge_tile(self, p, tile),
        }
    }

    #[inline(always)]
    fn back_tile<V: Lanes, const H: usize>(
        self,
        p: &[Parameters<V>; H],
        tile: BackTile<'_>,
        _: Option<&mut [[V; H]; MOST_PARAMETERS]>,
    ) {
        let spiking = |reset| self.of(Activation::Spike, reset);
        match (self.0.activation, self.0.reset) {
            (Activation::Spike, Reset::Hard) => back_tile(spiking(Reset::Hard), p, tile, None),
            (Activation::Spike, Reset::HardDetached) => {
                back_tile(spiking(Reset::HardDetached), p, tile, None)
            }
            (Activation::Spike, Reset::Soft) => back_tile(spiking(Reset::Soft), p, tile, None),
            (Activation::Spike, Reset::SoftDetached) => {
                back_tile(spiking(Reset::SoftDetached), p, tile, None)
            }
            _ => back_tile(self, p, tile, None),
        }
    }
}
