//! The adaptive neuron (ALIF; Bellec et al. 2018): every spike raises the threshold, which then decays.
//!
//! ```text
//! u = τ·m + s·x        threshold = V_th + β·b        b' = ρ·b + o
//! o is used by b' too, attached or not:  e + ∂b'
//! ∂b = ρ·∂b' + β·∂threshold      ∂ρ = Σ ∂b'·b      ∂β = Σ ∂threshold·b      ∂V_th = Σ ∂threshold
//! ```

use super::{Back, Neuron, Numbers, State, Step};

impl Neuron<'_> {
    /// One step forward.
    pub(super) fn adaptive(&self, t: usize, x: f64, before: State) -> Step {
        let (n, b) = (self.numbers, before.other);
        let u = n.decay * before.m + n.scale * x;
        let threshold = n.threshold - self.lif.reset_value + n.adaptation * b;
        let o = self.lif.fire(u, threshold, self.activation);
        let after = State { m: self.reset(u, o, threshold), other: n.adaptation_decay * b + o };
        Step { t, x, before, u, threshold, o, after }
    }

    /// One step backward.
    pub(super) fn adaptive_back(&self, step: &Step, e: f64, after: State, sums: &mut Numbers) -> Back {
        let (n, b) = (self.numbers, step.before.other);
        let fired = self.fired(step, e + after.other, after.m);
        sums.decay += fired.u * step.before.m;
        sums.scale += fired.u * step.x;
        sums.threshold += fired.threshold;
        sums.adaptation += fired.threshold * b;
        sums.adaptation_decay += after.other * b;
        let other = n.adaptation_decay * after.other + n.adaptation * fired.threshold;
        let before = State { m: n.decay * fired.u, other };
        Back { x: n.scale * fired.u, total: fired.total, before }
    }
}
