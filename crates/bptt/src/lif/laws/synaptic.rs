//! The neuron with a synaptic current, which decays by itself (CuBa; snnTorch's `Synaptic`).
//!
//! ```text
//! i[t] = α·i[t−1] + s·x[t]      u[t] = τ·m[t−1] + i[t]
//! ∂L/∂i[t] = ∂u[t] + α·∂L/∂i[t+1]      ∂L/∂x[t] = s·∂L/∂i[t]      ∂L/∂α = Σ ∂L/∂i[t]·i[t−1]
//! ```

use super::{Charge, Law, MOST_STATES, Parameters, Passed, Return, Spike};
use spikegrad_tensor::Lanes;

/// Parameters: τ, V_th, s, α.
#[derive(Clone, Copy)]
pub(in super::super) struct Synaptic<'a>(pub Spike<'a>);

impl Law for Synaptic<'_> {
    const STATES: usize = 2;
    const PARAMETERS: usize = 4;

    #[inline(always)]
    fn charge<V: Lanes>(self, p: &Parameters<V>, x: V, [m, i]: [V; MOST_STATES]) -> Charge<V> {
        let [decay, threshold, scale, alpha, ..] = *p;
        let i = alpha * i + scale * x;
        let u = decay * m + i;
        let o = self.0.fire(u, threshold);
        Charge { u, o, after: [self.0.after_reset(u, o, self.0.amount(threshold)), i] }
    }

    #[inline(always)]
    fn back<V: Lanes>(
        self,
        p: &Parameters<V>,
        step: Passed<V>,
        e: V,
        [da, di]: [V; MOST_STATES],
    ) -> Return<V> {
        let [decay, threshold, scale, alpha, ..] = *p;
        let [m, i] = step.before;
        let terms = self.0.terms(e, da, step.u, threshold);
        let (du, zero) = (terms.gradient, V::splat(0.0));
        let di = du + di;
        let d_threshold = self.0.threshold_gradient(&terms, da);
        let parameters = [du * m, d_threshold, di * step.x, di * i, zero, zero];
        Return { terms, input: scale * di, before: [decay * du, alpha * di], parameters }
    }
}
