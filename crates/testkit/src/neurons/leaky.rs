//! Leaky integrate-and-fire; integrate-and-fire with τ = 1; PLIF and DIET-SNN with learned numbers.
//!
//! ```text
//! u = τ·m + s·x
//! ∂m = τ·∂u      ∂x = s·∂u      ∂τ = Σ ∂u·m      ∂s = Σ ∂u·x      ∂V_th = Σ ∂threshold
//! ```

use super::{Back, Neuron, Numbers, State, Step};

impl Neuron<'_> {
    /// One step forward.
    pub(super) fn leaky(&self, t: usize, x: f64, before: State) -> Step {
        let n = self.numbers;
        let u = n.decay * before.m + n.scale * x;
        let threshold = n.threshold - self.lif.reset_value;
        let o = self.lif.fire(u, threshold, self.activation);
        let after = State { m: self.reset(u, o, threshold), other: 0.0 };
        Step { t, x, before, u, threshold, o, after }
    }

    /// One step backward.
    pub(super) fn leaky_back(&self, step: &Step, e: f64, after: State, sums: &mut Numbers) -> Back {
        let n = self.numbers;
        let fired = self.fired(step, e, after.m);
        sums.decay += fired.u * step.before.m;
        sums.scale += fired.u * step.x;
        sums.threshold += fired.threshold;
        let before = State { m: n.decay * fired.u, other: 0.0 };
        Back { x: n.scale * fired.u, total: fired.total, before }
    }
}
