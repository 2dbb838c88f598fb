//! The leaky integrate-and-fire neuron, surrogate gradient scaling, and the hand-derived backward through time.
//!
//! ```text
//! u[t] = τ·m[t−1] + x[t]        m[−1] = 0        charge
//! o[t] = 1 if u[t] > V_th else 0                 fire (strict >)
//! m[t] = (1 − o[t])·u[t]                         hard reset
//! m[t] = u[t] − V_th·o[t]                        soft reset
//! ```
//!
//! Arrays are steps × neurons. Backward: `e[t] = ∂L/∂o[t]` from above, `a[t] = ∂L/∂m[t]`, `a[T−1] = 0`;
//! for t = T−1 … 0:
//!
//! | reset | `G[t]`, the total gradient at the spike | `∂L/∂u[t]` |
//! |---|---|---|
//! | hard | e − a·u | S(G,u,o) + a·(1 − o) |
//! | hard, detached | e | S(G,u,o) + a·(1 − o) |
//! | soft | e − V_th·a | S(G,u,o) + a |
//! | soft, detached | e | S(G,u,o) + a |
//!
//! `∂L/∂x[t] = ∂L/∂u[t]`, `a[t−1] = τ·∂L/∂u[t]`, `∂L/∂τ = Σ ∂L/∂u[t]·m[t−1]`.

use crate::surrogate::Surrogate;

/// What happens to the membrane at a spike, and whether the gradient flows through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// To zero; the gradient flows through the spike in the reset.
    Hard,
    /// To zero; the spike in the reset is a constant.
    HardDetached,
    /// Minus the threshold; the gradient flows through the spike in the reset.
    Soft,
    /// Minus the threshold; the spike in the reset is a constant.
    SoftDetached,
}

impl Reset {
    /// All four.
    pub const ALL: [Reset; 4] = [Reset::Hard, Reset::HardDetached, Reset::Soft, Reset::SoftDetached];

    /// True for the two hard resets.
    pub fn is_hard(self) -> bool {
        matches!(self, Reset::Hard | Reset::HardDetached)
    }

    /// True if the spike in the reset is a constant for the gradient.
    pub fn is_detached(self) -> bool {
        matches!(self, Reset::HardDetached | Reset::SoftDetached)
    }
}

/// How a spike is computed and differentiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpikeMode {
    /// The step u > V_th; backward by surrogate gradient scaling.
    Step,
    /// The smooth twin: o = primitive(u − V_th) with its true derivative (δ plays no part).
    Smooth,
}

/// A layer of LIF neurons.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lif {
    /// Share τ of the membrane kept from step to step.
    pub decay: f64,
    /// Threshold V_th.
    pub threshold: f64,
    /// Reset rule.
    pub reset: Reset,
    /// Surrogate derivative h.
    pub surrogate: Surrogate,
    /// Strength δ of the gradient scaling.
    pub delta: f64,
}

/// What the forward yields, each steps × neurons.
#[derive(Clone, Debug, PartialEq)]
pub struct LifTrace {
    /// Membrane before the reset.
    pub u: Vec<f64>,
    /// Spikes.
    pub o: Vec<f64>,
    /// Membrane after the reset.
    pub m: Vec<f64>,
}

/// What the backward yields.
#[derive(Clone, Debug, PartialEq)]
pub struct LifGrads {
    /// ∂L/∂x, which is also ∂L/∂u (steps × neurons).
    pub x: Vec<f64>,
    /// Total gradient G at each spike (steps × neurons).
    pub total: Vec<f64>,
    /// a = ∂L/∂m (steps × neurons).
    pub m: Vec<f64>,
    /// ∂L/∂τ.
    pub decay: f64,
}

/// −1, 0 or 1; 0 for both zeros.
pub fn sign(x: f64) -> f64 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        0.0
    }
}

/// Surrogate gradient scaling: `S(g, u, o) = g·h·max(0, 1 + δ·sign(g)·(u − o))`, `h` = h(u − V_th).
#[doc(alias = "eq5")]
pub fn sgs(g: f64, u: f64, o: f64, h: f64, delta: f64) -> f64 {
    g * h * (1.0 + delta * sign(g) * (u - o)).max(0.0)
}

impl Lif {
    /// The neuron of the paper's code: τ = V_th = 0.5, hard reset, rectangle of half width 0.5, δ = 1e-4.
    pub fn paper() -> Lif {
        Lif {
            decay: 0.5,
            threshold: 0.5,
            reset: Reset::Hard,
            surrogate: Surrogate::Rectangle { w: 0.5 },
            delta: 1e-4,
        }
    }

    /// The spike of a membrane.
    pub fn fire(&self, u: f64, mode: SpikeMode) -> f64 {
        match mode {
            SpikeMode::Step => f64::from(u8::from(u > self.threshold)),
            SpikeMode::Smooth => self.surrogate.primitive(u - self.threshold),
        }
    }

    /// Gradient at u through the spike, given the total gradient `g` at o: SGS, or the smooth twin's derivative.
    pub fn fire_backward(&self, g: f64, u: f64, o: f64, mode: SpikeMode) -> f64 {
        let h = self.surrogate.derivative(u - self.threshold);
        match mode {
            SpikeMode::Step => sgs(g, u, o, h, self.delta),
            SpikeMode::Smooth => g * h,
        }
    }

    /// Unrolls the neurons over `steps` time steps of input current `x`.
    pub fn forward(&self, x: &[f64], steps: usize, mode: SpikeMode) -> LifTrace {
        let n = x.len() / steps;
        let mut trace = LifTrace { u: x.to_vec(), o: x.to_vec(), m: x.to_vec() };
        for i in 0..n {
            let mut m = 0.0;
            for at in (i..x.len()).step_by(n) {
                let u = self.decay * m + x[at];
                let o = self.fire(u, mode);
                m = if self.reset.is_hard() { (1.0 - o) * u } else { u - self.threshold * o };
                (trace.u[at], trace.o[at], trace.m[at]) = (u, o, m);
            }
        }
        trace
    }

    /// The table above, for the gradient `e` at the spikes.
    pub fn backward(&self, trace: &LifTrace, e: &[f64], steps: usize, mode: SpikeMode) -> LifGrads {
        let n = e.len() / steps;
        let mut grads = LifGrads { x: e.to_vec(), total: e.to_vec(), m: e.to_vec(), decay: 0.0 };
        for i in 0..n {
            let mut a = 0.0;
            for t in (0..steps).rev() {
                let at = t * n + i;
                let (u, o) = (trace.u[at], trace.o[at]);
                let total = match self.reset {
                    Reset::Hard => e[at] - a * u,
                    Reset::Soft => e[at] - self.threshold * a,
                    Reset::HardDetached | Reset::SoftDetached => e[at],
                };
                let kept = if self.reset.is_hard() { a * (1.0 - o) } else { a };
                let du = self.fire_backward(total, u, o, mode) + kept;
                (grads.total[at], grads.m[at], grads.x[at]) = (total, a, du);
                grads.decay += if t > 0 { du * trace.m[at - n] } else { 0.0 };
                a = self.decay * du;
            }
        }
        grads
    }
}
