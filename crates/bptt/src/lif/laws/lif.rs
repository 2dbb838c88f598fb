//! The leaky integrate-and-fire neuron whose numbers each channel has for itself: fixed or learned.
//!
//! ```text
//! u[t] = τ·m[t−1] + s·x[t]
//! ∂L/∂m[t−1] = τ·∂u[t]      ∂L/∂x[t] = s·∂u[t]      ∂L/∂τ = Σ ∂u[t]·m[t−1]      ∂L/∂s = Σ ∂u[t]·x[t]
//! ∂L/∂V_th = −Σ S(G[t], u[t], o[t])     (soft reset by the threshold: − Σ a[t]·o[t] too)
//! ```
//! PLIF (Fang et al. 2021) learns τ, DIET-SNN (Rathi & Roy 2021) learns τ and V_th.

use super::{Charge, Law, MOST_STATES, Parameters, Passed, Return, Spike};
use spikegrad_tensor::Lanes;

/// Parameters: τ, V_th, s.
#[derive(Clone, Copy)]
pub(in super::super) struct Lif<'a>(pub Spike<'a>);

impl Law for Lif<'_> {
    const PARAMETERS: usize = 3;

    #[inline(always)]
    fn charge<V: Lanes>(self, p: &Parameters<V>, x: V, before: [V; MOST_STATES]) -> Charge<V> {
        let [decay, threshold, scale, ..] = *p;
        let u = decay * before[0] + scale * x;
        let o = self.0.fire(u, threshold);
        Charge { u, o, after: [self.0.after_reset(u, o, self.0.amount(threshold)), before[1]] }
    }

    #[inline(always)]
    fn back<V: Lanes>(self, p: &Parameters<V>, step: Passed<V>, e: V, after: [V; MOST_STATES]) -> Return<V> {
        let [decay, threshold, scale, ..] = *p;
        let terms = self.0.terms(e, after[0], step.u, threshold);
        let du = terms.gradient;
        let zero = V::splat(0.0);
        let d_threshold = self.0.threshold_gradient(&terms, after[0]);
        let parameters = [du * step.before[0], d_threshold, du * step.x, zero, zero, zero];
        Return { terms, input: scale * du, before: [decay * du, after[1]], parameters }
    }
}
