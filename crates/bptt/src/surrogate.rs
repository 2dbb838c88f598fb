//! Base surrogates: functions of d = u − V_th that replace the derivative of the step.
//!
//! | name | derivative h(d) | primitive |
//! |---|---|---|
//! | rectangle | 1 if \|d\| < w | clamp(d + w, 0, 2w) |
//! | triangle | max(0, w − \|d\|)/w² | piecewise quadratic, 0 → 1 on \[−w, w\] |
//! | arctan | (α/2)/(1 + (παd/2)²) | atan(παd/2)/π + 1/2 |
//! | sigmoid | α·σ(αd)·(1 − σ(αd)) | σ(αd) |
//! | gaussian | (α/√π)·exp(−α²d²) | (1 + erf(αd))/2 |
//! | fast sigmoid | 1/(1 + α\|d\|)² | d/(1 + α\|d\|) + 1/2 |
//! | dspike | b/(2·tanh(b/2))·sech²(bd), \|d\| ≤ 1/2 | tanh(bd)/(2·tanh(b/2)) + 1/2 |
//!
//! The primitive is the smooth spike of gradient checks: with it a net is differentiable, and the same backward
//! code must agree with finite differences.

use crate::ConfigError;
use spikegrad_tensor::Lanes;
use std::f32::consts::{FRAC_PI_2, PI};
use std::fmt;
use std::sync::Arc;

/// A user's own surrogate.
///
/// ```
/// # use spikegrad_bptt::{Surrogate, UserSurrogate};
/// # use std::sync::Arc;
/// struct Cosine;
/// impl UserSurrogate for Cosine {
///     fn derivative(&self, d: f32) -> f32 { if d.abs() < 1.0 { (d * 1.5708).cos() * 0.7854 } else { 0.0 } }
///     fn primitive(&self, d: f32) -> f32 { 0.5 + 0.5 * (d.clamp(-1.0, 1.0) * 1.5708).sin() }
/// }
/// let surrogate = Surrogate::Custom(Arc::new(Cosine));
/// assert_eq!(surrogate.derivative_at(2.0), 0.0);
/// ```
pub trait UserSurrogate: Send + Sync {
    /// The derivative h at d = u − V_th.
    fn derivative(&self, d: f32) -> f32;
    /// A function whose derivative is h.
    fn primitive(&self, d: f32) -> f32;
}

/// A base surrogate with its parameter.
#[doc(alias = "eq-surrogate")]
#[derive(Clone)]
#[non_exhaustive]
pub enum Surrogate {
    /// The derivative is 1 inside the open window and 0 outside: the straight-through estimator.
    Rectangle {
        /// Half width of the window.
        window: f32,
    },
    /// The derivative is a tent of area 1.
    Triangle {
        /// Half width of the tent.
        window: f32,
    },
    /// The primitive is an arc tangent.
    Arctan {
        /// Steepness.
        alpha: f32,
    },
    /// The primitive is a logistic function.
    Sigmoid {
        /// Steepness.
        alpha: f32,
    },
    /// The derivative is a Gaussian bell.
    Gaussian {
        /// Steepness.
        alpha: f32,
    },
    /// The derivative has rational tails (SuperSpike).
    FastSigmoid {
        /// Steepness.
        alpha: f32,
    },
    /// The primitive is a hyperbolic tangent, cut at ±1/2.
    Dspike {
        /// Steepness b.
        alpha: f32,
    },
    /// A user's own.
    Custom(Arc<dyn UserSurrogate>),
}

/// The names of the seven surrogates, as flags and files spell them.
pub const NAMES: [&str; 7] =
    ["rectangle", "triangle", "arctan", "sigmoid", "gaussian", "fast-sigmoid", "dspike"];

impl Surrogate {
    /// Makes the surrogate called `name`, with its usual parameter where none is given.
    ///
    /// # Errors
    /// An unknown name, or a parameter that [`Surrogate::check`] refuses.
    pub fn named(name: &str, parameter: Option<f32>) -> Result<Self, ConfigError> {
        let or = |usual: f32| parameter.unwrap_or(usual);
        let surrogate = match name {
            "rectangle" => Self::Rectangle { window: or(0.5) },
            "triangle" => Self::Triangle { window: or(1.0) },
            "arctan" => Self::Arctan { alpha: or(2.0) },
            "sigmoid" => Self::Sigmoid { alpha: or(4.0) },
            "gaussian" => Self::Gaussian { alpha: or(2.0) },
            "fast-sigmoid" => Self::FastSigmoid { alpha: or(10.0) },
            "dspike" => Self::Dspike { alpha: or(3.0) },
            _ => {
                let known = NAMES.join(", ");
                return Err(ConfigError::unknown("surrogate", name, known));
            }
        };
        surrogate.check().map(|()| surrogate)
    }

    /// Checks the parameter.
    ///
    /// # Errors
    /// A window or a steepness below the smallest normal number (1.2e-38), whose inverse no f32 holds, or one that is
    /// not finite. A user's own surrogate is not checked.
    pub fn check(&self) -> Result<(), ConfigError> {
        match self.parameter() {
            Some(p) if !(p >= f32::MIN_POSITIVE && p.is_finite()) => {
                let what = match self {
                    Self::Rectangle { .. } | Self::Triangle { .. } => "window",
                    _ => "alpha",
                };
                let name = self.name();
                Err(ConfigError::out_of_range(what, p, "from 1.2e-38 to 3.4e38")
                    .within(format_args!("surrogate {name}")))
            }
            _ => Ok(()),
        }
    }

    /// Returns the name, as flags and files spell it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Rectangle { .. } => "rectangle",
            Self::Triangle { .. } => "triangle",
            Self::Arctan { .. } => "arctan",
            Self::Sigmoid { .. } => "sigmoid",
            Self::Gaussian { .. } => "gaussian",
            Self::FastSigmoid { .. } => "fast-sigmoid",
            Self::Dspike { .. } => "dspike",
            Self::Custom(_) => "custom",
        }
    }

    /// Returns the window or steepness; `None` for a user's own surrogate.
    pub fn parameter(&self) -> Option<f32> {
        match *self {
            Self::Rectangle { window } | Self::Triangle { window } => Some(window),
            Self::Arctan { alpha } | Self::Sigmoid { alpha } | Self::Gaussian { alpha } => Some(alpha),
            Self::FastSigmoid { alpha } | Self::Dspike { alpha } => Some(alpha),
            Self::Custom(_) => None,
        }
    }

    /// Computes the derivative h(d) of a vector of d = u − V_th.
    #[inline(always)]
    pub fn derivative<V: Lanes>(&self, d: V) -> V {
        let (zero, one) = (V::splat(0.0), V::splat(1.0));
        match *self {
            Self::Rectangle { window } => V::select(V::splat(window).gt(d.abs()), one, zero),
            Self::Triangle { window } => {
                // Multiplied by 1/w twice: the square of a narrow window would be 0.
                let per_window = V::splat(1.0 / window);
                (V::splat(window) - d.abs()).max(zero) * per_window * per_window
            }
            Self::Arctan { alpha } => {
                let x = d * V::splat((FRAC_PI_2 * alpha).min(f32::MAX));
                V::splat(alpha * 0.5) / (one + x * x)
            }
            Self::FastSigmoid { alpha } => {
                let x = one + V::splat(alpha) * d.abs();
                one / (x * x)
            }
            _ => d.map(|d| self.derivative_at(d)),
        }
    }

    /// Computes the derivative h(d) at one d = u − V_th.
    pub fn derivative_at(&self, d: f32) -> f32 {
        match self {
            Self::Rectangle { window } => f32::from(d.abs() < *window),
            Self::Triangle { window } => (window - d.abs()).max(0.0) / window / window,
            Self::Arctan { alpha } => alpha * 0.5 / (1.0 + ((FRAC_PI_2 * alpha).min(f32::MAX) * d).powi(2)),
            Self::Sigmoid { alpha } => {
                let tail = (-(alpha * d).abs()).exp();
                alpha * tail / ((1.0 + tail) * (1.0 + tail))
            }
            Self::Gaussian { alpha } => alpha / PI.sqrt() * (-(alpha * d).powi(2)).exp(),
            Self::FastSigmoid { alpha } => (1.0 + alpha * d.abs()).powi(-2),
            Self::Dspike { alpha: b } if d.abs() <= 0.5 => {
                b / (2.0 * (b / 2.0).tanh()) / (b * d).cosh().powi(2)
            }
            Self::Dspike { .. } => 0.0,
            Self::Custom(user) => user.derivative(d),
        }
    }

    /// Computes the primitive at one d = u − V_th: a function whose derivative is h, the smooth spike.
    pub fn primitive_at(&self, d: f32) -> f32 {
        match self {
            Self::Rectangle { window } => (d + window).clamp(0.0, (2.0 * window).min(f32::MAX)),
            Self::Triangle { window } => {
                let x = (d / window).clamp(-1.0, 1.0);
                0.5 + x - 0.5 * x * x.abs()
            }
            Self::Arctan { alpha } => ((FRAC_PI_2 * alpha).min(f32::MAX) * d).atan() / PI + 0.5,
            Self::Sigmoid { alpha } => 1.0 / (1.0 + (-alpha * d).exp()),
            Self::Gaussian { alpha } => 0.5 * (1.0 + erf(f64::from(alpha * d)) as f32),
            Self::FastSigmoid { alpha } => d / (1.0 + alpha * d.abs()) + 0.5,
            Self::Dspike { alpha: b } => (b * d.clamp(-0.5, 0.5)).tanh() / (2.0 * (b / 2.0).tanh()) + 0.5,
            Self::Custom(user) => user.primitive(d),
        }
    }
}

/// Computes erf by its Maclaurin series, accurate to 1e-12 for |x| ≤ 3, and ±1 beyond 6 (only smooth twins call it).
fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut k) = (x, x, 0.0);
    while term.abs() > 1e-17 * sum.abs() {
        k += 1.0;
        term *= 2.0 * x * x / (2.0 * k + 1.0);
        sum += term;
    }
    sum * (-x * x).exp() * 2.0 / std::f64::consts::PI.sqrt()
}

impl fmt::Debug for Surrogate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parameter() {
            Some(parameter) => write!(f, "{}({parameter})", self.name()),
            None => f.write_str(self.name()),
        }
    }
}

/// Surrogates of one's own are equal if they are the same object.
impl PartialEq for Surrogate {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Custom(own), Self::Custom(other)) => Arc::ptr_eq(own, other),
            _ => self.name() == other.name() && self.parameter() == other.parameter(),
        }
    }
}
