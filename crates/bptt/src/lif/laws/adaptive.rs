//! The adaptive neuron: every spike raises its threshold for a while (ALIF; Bellec et al. 2018).
//!
//! ```text
//! u[t] = τ·m[t−1] + s·x[t]      V[t] = V_th + β·b[t]      b[t+1] = ρ·b[t] + o[t]      b[0] = 0
//! ∂L/∂b[t] = ρ·∂L/∂b[t+1] + β·∂L/∂V[t]      ∂L/∂o[t] = e[t] + ∂L/∂b[t+1]
//! ∂L/∂ρ = Σ ∂L/∂b[t+1]·b[t]                 ∂L/∂β = Σ ∂L/∂V[t]·b[t]
//! ```
//! A detached reset keeps o constant in the reset alone: b's gradient always reaches the spike.

use super::{Charge, Law, MOST_STATES, Parameters, Passed, Return, Spike};
use spikegrad_tensor::Lanes;

/// Parameters: τ, V_th, s, ρ, β.
#[derive(Clone, Copy)]
pub(in super::super) struct Adaptive<'a>(pub Spike<'a>);

impl Law for Adaptive<'_> {
    const STATES: usize = 2;
    const PARAMETERS: usize = 5;

    #[inline(always)]
    fn charge<V: Lanes>(self, p: &Parameters<V>, x: V, [m, b]: [V; MOST_STATES]) -> Charge<V> {
        let [decay, threshold, scale, rho, beta, _] = *p;
        let threshold = threshold + beta * b;
        let u = decay * m + scale * x;
        let o = self.0.fire(u, threshold);
        Charge { u, o, after: [self.0.after_reset(u, o, self.0.amount(threshold)), rho * b + o] }
    }

    #[inline(always)]
    fn back<V: Lanes>(
        self,
        p: &Parameters<V>,
        step: Passed<V>,
        e: V,
        [da, db]: [V; MOST_STATES],
    ) -> Return<V> {
        let [decay, threshold, scale, rho, beta, _] = *p;
        let [m, b] = step.before;
        let terms = self.0.terms(e + db, da, step.u, threshold + beta * b);
        let du = terms.gradient;
        let d_threshold = self.0.threshold_gradient(&terms, da);
        let parameters = [du * m, d_threshold, du * step.x, db * b, d_threshold * b, V::splat(0.0)];
        Return { terms, input: scale * du, before: [decay * du, rho * db + beta * d_threshold], parameters }
    }
}
