//! Losses on the logits of each time step, with their gradients.
//!
//! ```text
//! cross-entropy   L = mean_n CE(r[n], y_n)            r: the read-out, by default mean_t z[t,n]
//! TET             L = (1 − λ)·mean_{t,n} CE(z[t,n], y_n) + λ·mean (z − φ)²       (Deng 2022; MSE over all entries)
//! MSE             L = mean_{n,k} (r[n,k] − c)²      c = the target of the label's class, or of the others
//! CE(z, y) = −Σ_k q_k·log softmax(z)_k        q = (1 − ε)·onehot(y) + ε/K          label smoothing ε
//! ```

use crate::{ConfigError, Readout};
use std::fmt;
use std::sync::Arc;

/// A user's own loss on the logits of each step.
///
/// ```
/// # use spikegrad_bptt::loss::{Logits, LossConfig, UserLoss};
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
/// let loss = LossConfig::custom(Squares);
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
    /// Mean squared distance of the read-out to a target: `correct` for the label's class, `incorrect` for the others.
    /// Behind the read-out `sum` of a spiking last layer it is the loss on spike counts.
    Mse {
        /// The target of the label's class.
        correct: f32,
        /// The target of the other classes.
        incorrect: f32,
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
            Self::Mse { .. } => "mse",
            Self::Custom(_) => "custom",
        }
    }

    /// Returns the numbers of the loss, in the order of its fields.
    pub fn numbers(&self) -> Vec<f32> {
        match *self {
            Self::Tet { lambda, phi } => vec![lambda, phi],
            Self::Mse { correct, incorrect } => vec![correct, incorrect],
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
            (Self::Mse { correct, incorrect }, Self::Mse { correct: c, incorrect: i }) => {
                correct == c && incorrect == i
            }
            (Self::Custom(own), Self::Custom(other)) => Arc::ptr_eq(own, other),
            _ => false,
        }
    }
}

/// Loss, label smoothing and weights of classes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LossConfig {
    /// The kind of loss.
    pub kind: LossKind,
    /// ε of label smoothing, in [0, 1).
    pub label_smoothing: f32,
    /// A weight for each class; the batch's mean is weighted, Σ w·L / Σ w, as in PyTorch. Empty: 1 for each.
    pub class_weights: Vec<f32>,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self { kind: LossKind::CrossEntropy, label_smoothing: 0.0, class_weights: Vec::new() }
    }
}

impl LossConfig {
    /// A loss of one's own: a function as [`UserLoss::evaluate`], or an object with that method.
    pub fn custom(own: impl UserLoss + 'static) -> Self {
        Self::new(LossKind::Custom(Arc::new(own)))
    }

    /// A loss of a kind, without label smoothing.
    pub fn new(kind: LossKind) -> Self {
        Self { kind, ..Self::default() }
    }

    /// Sets `label_smoothing`: ε, the share of the label spread over all classes.
    #[must_use]
    pub fn label_smoothing(self, label_smoothing: f32) -> Self {
        Self { label_smoothing, ..self }
    }

    /// Sets `class_weights`: a weight for each class.
    #[must_use]
    pub fn class_weights(self, class_weights: impl Into<Vec<f32>>) -> Self {
        Self { class_weights: class_weights.into(), ..self }
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// Smoothing outside [0, 1), λ outside [0, 1], φ not finite.
    pub fn check(&self) -> Result<(), ConfigError> {
        if !(0.0..1.0).contains(&self.label_smoothing) {
            return Err(ConfigError::out_of_range("label smoothing", self.label_smoothing, "in [0, 1)"));
        }
        if let Some(weight) = self.class_weights.iter().find(|w| !(**w >= 0.0 && w.is_finite())) {
            return Err(ConfigError::out_of_range("class weight", weight, "at least 0 and finite"));
        }
        if let LossKind::Mse { correct, incorrect } = &self.kind
            && !(correct.is_finite() && incorrect.is_finite())
        {
            return Err(ConfigError::new(format!(
                "MSE has targets {correct} and {incorrect}, must be finite"
            )));
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
        self.evaluate_weighted((size, Readout::Mean), logits, (labels, None), grad, mean)
    }

    /// As [`LossConfig::evaluate`], of any read-out and with each sample's term times its weight: L = 1/N·Σ w_n·L_n. With
    /// weights of classes the mean over the samples is weighted by both, Σ w_n·c_n·L_n / Σ w_n·c_n·(Σ w_n / N). A user's own loss has no weights, and looks at the outputs of every step, as TET does. The read-out goes to `read`.
    ///
    /// # Panics
    /// There is not one weight a label, or a class.
    pub fn evaluate_weighted(
        &self,
        (size, readout): (Logits, Readout),
        logits: &[f32],
        (labels, weights): (&[u32], Option<&[f32]>),
        grad: &mut [f32],
        read: &mut [f32],
    ) -> f64 {
        assert!(weights.is_none_or(|weights| weights.len() == labels.len()), "a weight for each label");
        let of_class = |label: u32| match self.class_weights.is_empty() {
            true => 1.0,
            false => f64::from(self.class_weights[label as usize]),
        };
        let of_sample = |n: usize| weights.map_or(1.0, |weights| f64::from(weights[n]));
        let samples: f64 = (0..labels.len()).map(of_sample).sum();
        let total: f64 = labels.iter().enumerate().map(|(n, &label)| of_sample(n) * of_class(label)).sum();
        // Σ w·c·L·Σ w / Σ w·c; a batch whose classes all weigh nothing has no loss.
        let of_class = |label| if total > 0.0 { of_class(label) * samples / total } else { 0.0 };
        let Logits { steps, classes, stride } = size;
        let batch = labels.len();
        let row = |t: usize, n: usize| (t * batch + n) * stride;
        let mut loss = 0.0;
        for (n, (&label, read)) in labels.iter().zip(read.chunks_mut(classes)).enumerate() {
            for (k, read) in read.iter_mut().enumerate() {
                *read = readout.read((0..steps).map(|t| logits[row(t, n) + k])) as f32;
            }
            let weight = if self.class_weights.is_empty() { 1.0 } else { of_class(label) } * of_sample(n);
            let share = weight / (batch * steps) as f64;
            match &self.kind {
                LossKind::CrossEntropy if readout == Readout::Mean => {
                    let first = &mut grad[row(0, n)..][..classes];
                    loss += weight * self.cross_entropy(read, label, share, first) / batch as f64;
                    for t in 1..steps {
                        grad.copy_within(row(0, n)..row(0, n) + classes, row(t, n));
                    }
                }
                LossKind::CrossEntropy | LossKind::Mse { .. } => {
                    let first = &mut grad[row(0, n)..][..classes];
                    let share = weight / batch as f64;
                    loss += match self.kind {
                        LossKind::Mse { correct, incorrect } => {
                            share * squares(read, label, (correct, incorrect), share, first)
                        }
                        _ => share * self.cross_entropy(read, label, share, first),
                    };
                    for k in 0..classes {
                        let d = f64::from(grad[row(0, n) + k]);
                        let z = |t: usize| logits[row(t, n) + k];
                        (0..steps)
                            .for_each(|t| grad[row(t, n) + k] = (d * readout.derivative(steps, z, t)) as f32);
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

/// Computes the mean squared distance of r to its targets, and its gradient times `share`.
fn squares(r: &[f32], label: u32, (correct, incorrect): (f32, f32), share: f64, grad: &mut [f32]) -> f64 {
    let classes = r.len() as f64;
    let mut loss = 0.0;
    for (k, (&r, grad)) in r.iter().zip(grad).enumerate() {
        let target = if k == label as usize { correct } else { incorrect };
        let off = f64::from(r) - f64::from(target);
        loss += off * off / classes;
        *grad = (2.0 * off / classes * share) as f32;
    }
    loss
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
