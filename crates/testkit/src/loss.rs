//! Cross-entropy with label smoothing, on the mean of the outputs over time, and the TET loss.
//!
//! ```text
//! CE(z, y)   = −Σ_c q_c·log softmax(z)_c,   q_c = (1 − s)·[c = y] + s/classes        mean over the batch
//! loss       = CE(mean_t o_t, y)
//! TET        = (1 − λ)·mean_t CE(o_t, y) + λ·mean (o_t − φ)²                          (Deng et al. 2022)
//! ```
//!
//! Every function returns the value and the gradient with respect to its first argument.

/// The kind of loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LossKind {
    /// Cross-entropy of the mean over time.
    CrossEntropy,
    /// Temporal efficient training.
    Tet {
        /// Weight λ of the squared distance to φ.
        lambda: f64,
        /// Target φ of the squared distance.
        phi: f64,
    },
}

/// Cross-entropy of `logits` (n × classes) against `labels` (n), mean over n.
///
/// # Panics
/// There is not one row of logits for each label.
pub fn cross_entropy(logits: &[f64], labels: &[usize], classes: usize, smoothing: f64) -> (f64, Vec<f64>) {
    let n = labels.len() as f64;
    assert_eq!(logits.len(), labels.len() * classes, "size of logits");
    let (mut loss, mut grad) = (0.0, Vec::with_capacity(logits.len()));
    for (row, &label) in logits.chunks(classes).zip(labels) {
        let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let log_sum = max + row.iter().map(|z| (z - max).exp()).sum::<f64>().ln();
        for (c, z) in row.iter().enumerate() {
            let log_p = z - log_sum;
            let hit = if c == label { 1.0 } else { 0.0 };
            let q = (1.0 - smoothing) * hit + smoothing / classes as f64;
            loss -= q * log_p / n;
            grad.push((log_p.exp() - q) / n);
        }
    }
    (loss, grad)
}

/// Mean over time of `outputs` (steps × rows): what the read-out hands to the loss.
pub fn mean_over_time(outputs: &[f64], steps: usize) -> Vec<f64> {
    let len = outputs.len() / steps;
    (0..len).map(|i| (0..steps).map(|t| outputs[t * len + i]).sum::<f64>() / steps as f64).collect()
}

/// Cross-entropy of the mean over time of `outputs` (steps × n × classes).
pub fn mean_cross_entropy(
    outputs: &[f64],
    steps: usize,
    labels: &[usize],
    classes: usize,
    smoothing: f64,
) -> (f64, Vec<f64>) {
    let (loss, g) = cross_entropy(&mean_over_time(outputs, steps), labels, classes, smoothing);
    let len = g.len();
    (loss, (0..outputs.len()).map(|i| g[i % len] / steps as f64).collect())
}

/// TET loss of `outputs` (steps × n × classes), with λ and φ.
pub fn tet(
    outputs: &[f64],
    steps: usize,
    labels: &[usize],
    classes: usize,
    smoothing: f64,
    (lambda, phi): (f64, f64),
) -> (f64, Vec<f64>) {
    let (mut loss, mut grad) = (0.0, Vec::with_capacity(outputs.len()));
    for step in outputs.chunks(outputs.len() / steps) {
        let (ce, g) = cross_entropy(step, labels, classes, smoothing);
        loss += (1.0 - lambda) * ce / steps as f64;
        grad.extend(g.iter().map(|g| (1.0 - lambda) * g / steps as f64));
    }
    let count = outputs.len() as f64;
    for (o, grad) in outputs.iter().zip(&mut grad) {
        loss += lambda * (o - phi).powi(2) / count;
        *grad += 2.0 * lambda * (o - phi) / count;
    }
    (loss, grad)
}
