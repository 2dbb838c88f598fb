//! Surrogate derivatives of the spike, and their integrals (the smooth spikes of gradient checks).
//!
//! With `d = u − V_th`:
//!
//! | surrogate | derivative h(d) | primitive |
//! |---|---|---|
//! | rectangle | 1 if \|d\| < w | clamp(d + w, 0, 2w) |
//! | triangle | max(0, w − \|d\|)/w² | quadratic pieces from 0 at −w to 1 at w |
//! | arctan | (α/2)/(1 + (παd/2)²) | atan(παd/2)/π + 1/2 |
//! | sigmoid | α·σ(αd)·(1 − σ(αd)) | σ(αd) |
//! | gaussian | (α/√π)·exp(−α²d²) | (1 + erf(αd))/2 |
//! | fast sigmoid | 1/(1 + α\|d\|)² | d/(1 + α\|d\|) + 1/2 |
//! | dspike | b/(2·tanh(b/2))·sech²(bd), \|d\| ≤ 1/2 | tanh(bd)/(2·tanh(b/2)) + 1/2 |

use std::f64::consts::PI;

/// A surrogate derivative with its parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Surrogate {
    /// Straight-through estimator inside a window.
    Rectangle {
        /// Half width of the window.
        window: f64,
    },
    /// Linear flanks.
    Triangle {
        /// Half width of the base.
        window: f64,
    },
    /// Derivative of the arc tangent.
    Arctan {
        /// Steepness.
        alpha: f64,
    },
    /// Derivative of the logistic function.
    Sigmoid {
        /// Steepness.
        alpha: f64,
    },
    /// Bell curve.
    Gaussian {
        /// Steepness.
        alpha: f64,
    },
    /// Derivative of d/(1 + α|d|).
    FastSigmoid {
        /// Steepness.
        alpha: f64,
    },
    /// Hyperbolic tangent scaled to reach 0 and 1 at d = ∓1/2.
    Dspike {
        /// Steepness b.
        alpha: f64,
    },
}

impl Surrogate {
    /// The names, in the order of [`Surrogate::ALL`].
    pub const NAMES: [&str; 7] =
        ["rectangle", "triangle", "arctan", "sigmoid", "gaussian", "fast-sigmoid", "dspike"];

    /// Makes the surrogate called `name`, with its usual parameter where none is given.
    ///
    /// # Errors
    /// An unknown name, with those that are known.
    pub fn named(name: &str, parameter: Option<f64>) -> Result<Surrogate, String> {
        let at = Surrogate::NAMES.iter().position(|known| *known == name);
        let at = at.ok_or_else(|| format!("the f64 reference does not have the surrogate {name:?}"))?;
        let mut surrogate = Surrogate::ALL[at];
        match &mut surrogate {
            Surrogate::Rectangle { window: p }
            | Surrogate::Triangle { window: p }
            | Surrogate::Arctan { alpha: p }
            | Surrogate::Sigmoid { alpha: p }
            | Surrogate::Gaussian { alpha: p }
            | Surrogate::FastSigmoid { alpha: p }
            | Surrogate::Dspike { alpha: p } => *p = parameter.unwrap_or(*p),
        }
        Ok(surrogate)
    }

    /// All seven, with their default parameters.
    pub const ALL: [Surrogate; 7] = [
        Surrogate::Rectangle { window: 0.5 },
        Surrogate::Triangle { window: 1.0 },
        Surrogate::Arctan { alpha: 2.0 },
        Surrogate::Sigmoid { alpha: 4.0 },
        Surrogate::Gaussian { alpha: 2.0 },
        Surrogate::FastSigmoid { alpha: 10.0 },
        Surrogate::Dspike { alpha: 3.0 },
    ];

    /// h(d).
    pub fn derivative(&self, d: f64) -> f64 {
        match *self {
            Surrogate::Rectangle { window: w } => f64::from(u8::from(d.abs() < w)),
            Surrogate::Triangle { window: w } => (w - d.abs()).max(0.0) / (w * w),
            Surrogate::Arctan { alpha } => alpha / 2.0 / (1.0 + (PI * alpha * d / 2.0).powi(2)),
            Surrogate::Sigmoid { alpha } => alpha * logistic(alpha * d) * logistic(-alpha * d),
            Surrogate::Gaussian { alpha } => alpha / PI.sqrt() * (-(alpha * d).powi(2)).exp(),
            Surrogate::FastSigmoid { alpha } => 1.0 / (1.0 + alpha * d.abs()).powi(2),
            Surrogate::Dspike { alpha: b } if d.abs() <= 0.5 => {
                b / (2.0 * (b / 2.0).tanh()) / (b * d).cosh().powi(2)
            }
            Surrogate::Dspike { .. } => 0.0,
        }
    }

    /// The integral of h.
    pub fn primitive(&self, d: f64) -> f64 {
        match *self {
            Surrogate::Rectangle { window: w } => (d + w).clamp(0.0, 2.0 * w),
            Surrogate::Triangle { window: w } if d <= -w => 0.0,
            Surrogate::Triangle { window: w } if d <= 0.0 => 0.5 * ((d + w) / w).powi(2),
            Surrogate::Triangle { window: w } if d <= w => 1.0 - 0.5 * ((w - d) / w).powi(2),
            Surrogate::Triangle { .. } => 1.0,
            Surrogate::Arctan { alpha } => (PI * alpha * d / 2.0).atan() / PI + 0.5,
            Surrogate::Sigmoid { alpha } => logistic(alpha * d),
            Surrogate::Gaussian { alpha } => (1.0 + erf(alpha * d)) / 2.0,
            Surrogate::FastSigmoid { alpha } => d / (1.0 + alpha * d.abs()) + 0.5,
            Surrogate::Dspike { alpha: b } => {
                (b * d.clamp(-0.5, 0.5)).tanh() / (2.0 * (b / 2.0).tanh()) + 0.5
            }
        }
    }

    /// Points where h jumps or has a kink: finite differences across them mean nothing.
    pub fn kinks(&self) -> Vec<f64> {
        match *self {
            Surrogate::Rectangle { window: w } => vec![-w, w],
            Surrogate::Triangle { window: w } => vec![-w, 0.0, w],
            Surrogate::FastSigmoid { .. } => vec![0.0],
            Surrogate::Dspike { .. } => vec![-0.5, 0.5],
            _ => Vec::new(),
        }
    }
}

/// The logistic function, without overflow on either side.
fn logistic(x: f64) -> f64 {
    if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
}

/// The error function, to about 1e-15: the series `2/√π·e^{−x²}·Σ 2ⁿx^{2n+1}/(2n+1)!!`, all terms of one sign.
pub fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > 1e-18 * sum.abs() {
        n += 1.0;
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
    }
    2.0 / PI.sqrt() * (-x * x).exp() * sum
}
