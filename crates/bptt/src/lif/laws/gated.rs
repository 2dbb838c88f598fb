//! The gated neuron (GLIF; Yao et al. 2022): gates choose between two decays, two inputs and two resets.
//!
//! ```text
//! u[t] = D·u[t−1]·(1 − γ·o[t−1]) − ℓ − q·o[t−1] + c[t]·x[t]
//! D = 1 − α·(1 − τ)      ℓ = (1 − α)·V_leak      q = (1 − γ)·V_reset      c[t] = 1 − β·(1 − g[t])
//! ```
//! The states are u and o of the step before; the reset is part of the charge. With k = D·(1 − γ·o\[t−1\]):
//!
//! ```text
//! ∂u[t] = S(G[t]) + k[t+1]·∂u[t+1]      G[t] = e[t] − (D·γ·u[t] + q)·∂u[t+1]      (detached: e[t])
//! ```

use super::{Charge, Law, MOST_STATES, Parameters, Passed, Return, Spike, Terms};
use spikegrad_tensor::Lanes;

/// Parameters: D, γ, ℓ, q, V_th, and c\[t\], a row for each step.
#[derive(Clone, Copy)]
pub(in super::super) struct Gated<'a>(pub Spike<'a>);

/// The row of c\[0\] among the parameters.
pub(in super::super) const CONDUCT: usize = 5;

impl Law for Gated<'_> {
    const STATES: usize = 2;
    const PARAMETERS: usize = CONDUCT + 1;

    fn row(k: usize, t: usize) -> usize {
        if k == CONDUCT { CONDUCT + t } else { k }
    }

    #[inline(always)]
    fn charge<V: Lanes>(self, p: &Parameters<V>, x: V, [v, fired]: [V; MOST_STATES]) -> Charge<V> {
        let [decay, gamma, leak, soft, threshold, conduct] = *p;
        let kept = V::splat(1.0) - gamma * fired;
        let u = decay * v * kept - leak - soft * fired + conduct * x;
        let o = self.0.fire(u, threshold);
        Charge { u, o, after: [u, o] }
    }

    #[inline(always)]
    fn back<V: Lanes>(
        self,
        p: &Parameters<V>,
        step: Passed<V>,
        e: V,
        [du_next, do_next]: [V; MOST_STATES],
    ) -> Return<V> {
        let [decay, gamma, _, soft, threshold, conduct] = *p;
        let (zero, one) = (V::splat(0.0), V::splat(1.0));
        let [v, fired] = step.before;
        let o = self.0.fire(step.u, threshold);
        let total = e + do_next;
        let (h, factor, spike) = self.0.scale(total, step.u, o, threshold);
        let du = spike + du_next;
        let kept = one - gamma * fired;
        let through_reset = zero - du * (decay * gamma * v + soft);
        let d_fired = if self.0.reset.is_attached() { through_reset } else { zero };
        let parameters = [
            du * v * kept,
            zero - du * decay * v * fired,
            zero - du,
            zero - du * fired,
            zero - spike,
            du * step.x,
        ];
        let terms = Terms { o, total, h, factor, spike, gradient: du };
        Return { terms, input: conduct * du, before: [decay * kept * du, d_fired], parameters }
    }
}
