//! The neuron with a synaptic current (CuBa): the input charges a current, and the current the membrane.
//!
//! ```text
//! i' = α·i + s·x        u = τ·m + i'
//! ∂i'(all) = ∂u + ∂i'      ∂i = α·∂i'(all)      ∂x = s·∂i'(all)      ∂α = Σ ∂i'(all)·i      ∂s = Σ ∂i'(all)·x
//! ```

use super::{Back, Neuron, Numbers, State, Step};

impl Neuron<'_> {
    /// One step forward.
    pub(super) fn synaptic(&self, t: usize, x: f64, before: State) -> Step {
        let n = self.numbers;
        let i = n.synapse * before.other + n.scale * x;
        let u = n.decay * before.m + i;
        let threshold = n.threshold - self.lif.reset_value;
        let o = self.lif.fire(u, threshold, self.activation);
        let after = State { m: self.reset(u, o, threshold), other: i };
        Step { t, x, before, u, threshold, o, after }
    }

    /// One step backward.
    pub(super) fn synaptic_back(&self, step: &Step, e: f64, after: State, sums: &mut Numbers) -> Back {
        let n = self.numbers;
        let fired = self.fired(step, e, after.m);
        let di = fired.u + after.other;
        sums.decay += fired.u * step.before.m;
        sums.threshold += fired.threshold;
        sums.scale += di * step.x;
        sums.synapse += di * step.before.other;
        let before = State { m: n.decay * fired.u, other: n.synapse * di };
        Back { x: n.scale * di, total: fired.total, before }
    }
}
