//! The leaky integrator, which never fires: a read-out whose output is its membrane.
//!
//! ```text
//! u[t] = τ·u[t−1] + s·x[t]      ∂L/∂u[t] = e[t] + τ·∂L/∂u[t+1]
//! ```

use super::{Charge, Law, MOST_STATES, Parameters, Passed, Return, Terms};
use spikegrad_tensor::Lanes;

/// Parameters: τ, a threshold that it never reaches, s.
#[derive(Clone, Copy)]
pub(in super::super) struct Integrator;

impl Law for Integrator {
    const PARAMETERS: usize = 3;

    #[inline(always)]
    fn charge<V: Lanes>(self, p: &Parameters<V>, x: V, before: [V; MOST_STATES]) -> Charge<V> {
        let [decay, _, scale, ..] = *p;
        let u = decay * before[0] + scale * x;
        Charge { u, o: u, after: [u, before[1]] }
    }

    #[inline(always)]
    fn back<V: Lanes>(self, p: &Parameters<V>, step: Passed<V>, e: V, after: [V; MOST_STATES]) -> Return<V> {
        let [decay, _, scale, ..] = *p;
        let (zero, one) = (V::splat(0.0), V::splat(1.0));
        let du = e + after[0];
        let parameters = [du * step.before[0], zero, du * step.x, zero, zero, zero];
        let terms = Terms { o: step.u, total: e, h: one, factor: one, spike: e, gradient: du };
        Return { terms, input: scale * du, before: [decay * du, after[1]], parameters }
    }
}
