//! The gated neuron (GLIF; Yao et al. 2022): gates mix two decays, two inputs and two resets.
//!
//! ```text
//! u = D·m·(1 − γ·p) − ℓ + c·x − q·p        m' = u        p' = o
//! D = 1 − α·(1 − τ)      ℓ = (1 − α)·V_leak      c = 1 − β·(1 − g[t])      q = (1 − γ)·V_reset
//! ```
//! m is the last membrane, to which no reset was applied, and p the last spike; the reset is in the charge, and a
//! detached one takes p for a constant. G = e + ∂p', ∂u = S(G,u,o) + ∂m', ∂threshold = −S(G,u,o), and
//!
//! ```text
//! ∂m = ∂u·D·(1 − γ·p)        ∂p = −[attached] ∂u·(D·m·γ + q)        ∂x = c·∂u
//! ∂D = ∂u·m·(1 − γ·p)        ∂ℓ = −∂u        ∂c = ∂u·x        ∂q = −∂u·p
//! ∂τ = ∂D·α                  ∂α = −∂D·(1 − τ) − ∂ℓ·V_leak             ∂V_leak = ∂ℓ·(1 − α)
//! ∂β = −∂c·(1 − g[t])        ∂g[t] = ∂c·β
//! ∂γ = −∂u·D·m·p − ∂q·V_reset                                         ∂V_reset = ∂q·(1 − γ)
//! ```

use super::{Back, Neuron, Numbers, State, Step};

/// D, ℓ, c and q.
fn mixed(n: &Numbers, t: usize) -> (f64, f64, f64, f64) {
    let keep = 1.0 - n.alpha * (1.0 - n.decay);
    let leak = (1.0 - n.alpha) * n.leak;
    let current = 1.0 - n.beta * (1.0 - n.conduct[t]);
    let drop = (1.0 - n.gamma) * n.reset;
    (keep, leak, current, drop)
}

impl Neuron<'_> {
    /// One step forward.
    pub(super) fn gated(&self, t: usize, x: f64, before: State) -> Step {
        let n = self.numbers;
        let (keep, leak, current, drop) = mixed(n, t);
        let State { m, other: p } = before;
        let u = keep * m * (1.0 - n.gamma * p) - leak + current * x - drop * p;
        let threshold = n.threshold - self.lif.reset_value;
        let o = self.lif.fire(u, threshold, self.activation);
        Step { t, x, before, u, threshold, o, after: State { m: u, other: o } }
    }

    /// One step backward.
    pub(super) fn gated_back(&self, step: &Step, e: f64, after: State, sums: &mut Numbers) -> Back {
        let n = self.numbers;
        let (keep, _, current, drop) = mixed(n, step.t);
        let State { m, other: p } = step.before;
        let total = e + after.other;
        let s = self.spike_back(total, step);
        let du = s + after.m;
        let d_keep = du * m * (1.0 - n.gamma * p);
        let (d_leak, d_current, d_drop) = (-du, du * step.x, -du * p);
        sums.threshold -= s;
        sums.decay += d_keep * n.alpha;
        sums.alpha -= d_keep * (1.0 - n.decay) + d_leak * n.leak;
        sums.leak += d_leak * (1.0 - n.alpha);
        sums.beta -= d_current * (1.0 - n.conduct[step.t]);
        sums.conduct[step.t] += d_current * n.beta;
        sums.gamma -= du * keep * m * p + d_drop * n.reset;
        sums.reset += d_drop * (1.0 - n.gamma);
        let through_reset = -du * (keep * m * n.gamma + drop);
        let other = if self.lif.reset.is_detached() { 0.0 } else { through_reset };
        let before = State { m: du * keep * (1.0 - n.gamma * p), other };
        Back { x: current * du, total, before }
    }
}
