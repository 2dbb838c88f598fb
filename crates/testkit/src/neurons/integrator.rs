//! The leaky integrator, a read-out: its membrane is put out, without a spike and without a reset.
//!
//! ```text
//! u = τ·m + s·x        m' = u        o = u
//! ∂u = e + ∂m'      ∂m = τ·∂u      ∂x = s·∂u      ∂τ = Σ ∂u·m      ∂s = Σ ∂u·x
//! ```

use super::{Back, Neuron, Numbers, State, Step};

impl Neuron<'_> {
    /// One step forward.
    pub(super) fn integrator(&self, t: usize, x: f64, before: State) -> Step {
        let n = self.numbers;
        let u = n.decay * before.m + n.scale * x;
        Step { t, x, before, u, threshold: f64::INFINITY, o: u, after: State { m: u, other: 0.0 } }
    }

    /// One step backward.
    pub(super) fn integrator_back(&self, step: &Step, e: f64, after: State, sums: &mut Numbers) -> Back {
        let n = self.numbers;
        let du = e + after.m;
        sums.decay += du * step.before.m;
        sums.scale += du * step.x;
        Back { x: n.scale * du, total: e, before: State { m: n.decay * du, other: 0.0 } }
    }
}
