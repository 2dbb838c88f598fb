//! Losses on the logits of each time step, with their gradients.
//!
//! ```text
//! cross-entropy   L = mean_n CE(mean_t z[t,n], y_n)
//! TET             L = (1 − λ)·mean_{t,n} CE(z[t,n], y_n) + λ·mean (z − φ)²       (Deng 2022; MSE over all entries)
//! CE(z, y) = −Σ_k q_k·log softmax(z)_k        q = (1 − ε)·onehot(y) + ε/K          label smoothing ε
//! ```

use crate::ConfigError;
use std::fmt;
use std::sync::Arc;

/// A user's own loss on the logits of each step.
///
/// ```
/// # use spikegrad_bptt::loss::{Logits, LossConfig, LossKind, UserLoss};
/// # use std::sync::Arc;
/// /// Half the squared distance of the mean logits to the one-hot label.
/// struct Squares;
/// impl UserLoss for Squares {
///     fn evaluate(&self, size: Logits, logits: &[f32], labels: &[u32], grad: &mut [f32]) -> f64 {
///         let (share, batch) = (1.0 / size.steps as f32, labels.len());
///         let mut loss = 0.0;
///         for (n, &label) in labels.iter().enumerate() {
///             for k in 0..size.classes {
///                 let at = |t: usize| (t * batch + n) * size.stride + k;
///                 let mean: f32 = (0..size.steps).map(|t| logits[at(t)] * share).sum();
///                 let off = mean - f32::from(u8::from(k == label as usize));
///                 loss += f64::from(off * off) / 2.0;
///                 (0..size.steps).for_each(|t| grad[at(t)] = off * share);
///             }
///         }
///         loss
///     }
/// }
/// let loss = LossConfig { kind: LossKind::Custom(Arc::new(Squares)), ..LossConfig::default() };
/// let size = Logits { steps: 1, classes: 2, stride: 2 };
/// let (mut grad, mut mean) = ([0.0; 2], [0.0; 2]);
/// assert_eq!(loss.evaluate(size, &[3.0, 1.0], &[1], &mut grad, &mut mean), 4.5);
/// assert_eq!(grad, [3.0, 0.0]);
/// ```
pub trait UserLoss: Send + Sync {
    /// Computes the loss of a batch and its gradient.
    ///
    /// | argument | shape | access |
    /// |---|---|---|
    /// | `logits` | (steps, batch, classes), rows `size.stride` apart | read |
    /// | `labels` | (batch), each below `size.classes` | read |
    /// | `grad` | as `logits`; 0 on entry | overwritten |
    fn evaluate(&self, size: Logits, logits: &[f32], labels: &[u32], grad: &mut [f32]) -> f64;
}

impl<F: Fn(Logits, &[f32], &[u32], &mut [f32]) -> f64 + Send + Sync> UserLoss for F {
    fn evaluate(&self, size: Logits, logits: &[f32], labels: &[u32], grad: &mut [f32]) -> f64 {
        self(size, logits, labels, grad)
    }
}

impl fmt::Debug for dyn UserLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a user's own loss")
    }
}

/// The kind of loss.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LossKind {
    /// Cross-entropy of the logits' mean over time.
    CrossEntropy,
    /// Temporal efficient training.
    Tet {
        /// λ, the weight of the regression term.
        lambda: f32,
        /// φ, the value that the regression term pulls logits to.
        phi: f32,
    },
    /// A user's own.
    Custom(Arc<dyn UserLoss>),
}

impl LossKind {
    /// Returns the name, as flags and files spell it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CrossEntropy => "ce",
            Self::Tet { .. } => "tet",
            Self::Custom(_) => "custom",
        }
    }

    /// Returns the numbers of the loss, in the order of its fields.
    pub fn numbers(&self) -> Vec<f32> {
        match *self {
            Self::Tet { lambda, phi } => vec![lambda, phi],
            Self::CrossEntropy | Self::Custom(_) => Vec::new(),
        }
    }
}

/// Losses of one's own are equal if they are the same object.
impl PartialEq for LossKind {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::CrossEntropy, Self::CrossEntropy) => true,
            (Self::Tet { lambda, phi }, Self::Tet { lambda: l, phi: p }) => lambda == l && phi == p,
            (Self::Custom(own), Self::Custom(other)) => Arc::ptr_eq(own, other),
            _ => false,
        }
    }
}

/// Loss and label smoothing.
#[derive(Clone, Debug, PartialEq)]
pub struct LossConfig {
    /// The kind of loss.
    pub kind: LossKind,
    /// ε of label smoothing, in [0, 1).
    pub label_smoothing: f32,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self { kind: LossKind::CrossEntropy, label_smoothing: 0.0 }
    }
}

impl LossConfig {
    /// A loss of one's own: a function as [`UserLoss::evaluate`], or an object with that method.
    pub fn custom(own: impl UserLoss + 'static) -> Self {
        Self { kind: LossKind::Custom(Arc::new(own)), label_smoothing: 0.0 }
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// Smoothing outside [0, 1), λ outside [0, 1], φ not finite.
    pub fn check(&self) -> Result<(), ConfigError> {
        if !(0.0..1.0).contains(&self.label_smoothing) {
            return Err(ConfigError::out_of_range("label smoothing", self.label_smoothing, "in [0, 1)"));
        }
        if let LossKind::Tet { lambda, phi } = &self.kind
            && !((0.0..=1.0).contains(lambda) && phi.is_finite())
        {
            return Err(ConfigError::new(format!("TET has λ {lambda} (in [0, 1]) and φ {phi} (finite)")));
        }
        Ok(())
    }

    /// Computes the loss and its gradient, in `f64` from `f32` logits.
    ///
    /// | argument | shape | access |
    /// |---|---|---|
    /// | `logits` | (steps, batch, classes), rows `stride` apart | read |
    /// | `labels` | (batch), each below `classes` | read |
    /// | `grad` | as `logits` | overwritten |
    /// | `mean` | (batch, classes): the mean over time | overwritten |
    ///
    /// # Panics
    /// A slice is shorter than its shape.
    #[doc(alias = "eq-loss")]
    pub fn evaluate(
        &self,
        size: Logits,
        logits: &[f32],
        labels: &[u32],
        grad: &mut [f32],
        mean: &mut [f32],
    ) -> f64 {
        self.evaluate_weighted(size, logits, labels, None, grad, mean)
    }

    /// As [`LossConfig::evaluate`], each sample's term times its weight: L = 1/N·Σ w_n·L_n. A user's own loss has no
    /// weights.
    ///
    /// # Panics
    /// There is not one weight a label.
    pub fn evaluate_weighted(
        &self,
        size: Logits,
        logits: &[f32],
        labels: &[u32],
        weights: Option<&[f32]>,
        grad: &mut [f32],
        mean: &mut [f32],
    ) -> f64 {
        assert!(weights.is_none_or(|weights| weights.len() == labels.len()), "a weight for each label");
        let Logits { steps, classes, stride } = size;
        let batch = labels.len();
        let row = |t: usize, n: usize| (t * batch + n) * stride;
        let mut loss = 0.0;
        for (n, (&label, mean)) in labels.iter().zip(mean.chunks_mut(classes)).enumerate() {
            for (k, mean) in mean.iter_mut().enumerate() {
                let sum: f64 = (0..steps).map(|t| f64::from(logits[row(t, n) + k])).sum();
                *mean = (sum / steps as f64) as f32;
            }
            let weight = weights.map_or(1.0, |weights| f64::from(weights[n]));
            let share = weight / (batch * steps) as f64;
            match &self.kind {
                LossKind::CrossEntropy => {
                    let first = &mut grad[row(0, n)..][..classes];
                    loss += weight * self.cross_entropy(mean, label, share, first) / batch as f64;
                    for t in 1..steps {
                        grad.copy_within(row(0, n)..row(0, n) + classes, row(t, n));
                    }
                }
                LossKind::Tet { lambda, phi } => {
                    let (lambda, phi) = (f64::from(*lambda), f64::from(*phi));
                    for t in 0..steps {
                        let z = &logits[row(t, n)..][..classes];
                        let grad = &mut grad[row(t, n)..][..classes];
                        loss += (1.0 - lambda)
                            * share
                            * self.cross_entropy(z, label, (1.0 - lambda) * share, grad);
                        for (z, grad) in z.iter().zip(grad) {
                            let off = f64::from(*z) - phi;
                            loss += lambda * share / classes as f64 * off * off;
                            *grad += (2.0 * lambda * share / classes as f64 * off) as f32;
                        }
                    }
                }
                LossKind::Custom(_) => {}
            }
        }
        if let LossKind::Custom(own) = &self.kind {
            grad.fill(0.0);
            return own.evaluate(size, logits, labels, grad);
        }
        loss
    }

    /// Computes CE(z, y), and its gradient times `share`.
    fn cross_entropy(&self, z: &[f32], label: u32, share: f64, grad: &mut [f32]) -> f64 {
        let smooth = f64::from(self.label_smoothing);
        let top = z.iter().fold(f32::NEG_INFINITY, |top, &z| top.max(z));
        // In f64 the difference of two f32 cannot overflow.
        let below_top = |z: f32| f64::from(z) - f64::from(top);
        let sum: f64 = z.iter().map(|&z| below_top(z).exp()).sum();
        let uniform = smooth / z.len() as f64;
        let mut loss = 0.0;
        for (k, (&z, grad)) in z.iter().zip(grad).enumerate() {
            let log_p = below_top(z) - sum.ln();
            let hit = if k == label as usize { 1.0 } else { 0.0 };
            let q = (1.0 - smooth) * hit + uniform;
            loss -= q * log_p;
            *grad = ((log_p.exp() - q) * share) as f32;
        }
        loss
    }
}

/// Sizes of the logits.
#[derive(Clone, Copy, Debug)]
pub struct Logits {
    /// The number of time steps, T.
    pub steps: usize,
    /// The number of classes.
    pub classes: usize,
    /// The distance between rows.
    pub stride: usize,
}
