//! Scoring: accuracy, cross-entropy and confusion matrix on the test images.

use crate::monitor::Monitor;
use crate::{Error, Result};
use spikegrad::Trainer;
use spikegrad::data::{Loader, Noise};

/// What scoring found.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Share of images answered right.
    pub accuracy: f64,
    /// Mean cross-entropy.
    pub loss: f64,
    /// `confusion[label][answer]`: how many images.
    pub confusion: Vec<Vec<u64>>,
    /// Answers to the first images, twelve at most.
    pub answers: Vec<usize>,
}

/// Images whose answers are kept one by one.
const EXAMPLES: usize = 12;

impl Score {
    /// Share of the images of class `label` that were answered right; none without such images.
    pub fn class_accuracy(&self, label: usize) -> Option<f64> {
        let total: u64 = self.confusion[label].iter().sum();
        (total > 0).then(|| self.confusion[label][label] as f64 / total as f64)
    }
}

/// Scores a net on all images of a loader, under noise where some is given; `None` where the monitor asks to stop.
///
/// # Errors
/// What the net reports; a noise level that makes no sense; noise on recordings, for which it is not defined.
pub fn score(
    trainer: &mut Trainer,
    loader: &Loader,
    noise: Option<&Noise>,
    monitor: &dyn Monitor,
) -> Result<Option<Score>> {
    let classes = loader.set().classes();
    if noise.is_some() && loader.set().images().is_none() {
        return Err(Error::setting("noise is defined on images; this data set holds event recordings"));
    }
    let mut confusion = vec![vec![0u64; classes]; classes];
    let (mut loss, mut right, mut answers) = (0.0, 0u64, Vec::new());
    for (n, mut batch) in loader.epoch(0).enumerate() {
        if monitor.must_stop() {
            return Ok(None);
        }
        if let Some(noise) = noise {
            let image = batch.images.len() / batch.len;
            for (i, image) in batch.images.chunks_mut(image).enumerate() {
                let index = n * loader.config().batch + i;
                noise.apply(index as u64, image, &loader.config().normalise).map_err(Error::setting)?;
            }
        }
        let logits = trainer.predict(&batch.images)?;
        for (row, &label) in logits.chunks_exact(classes).zip(&batch.labels) {
            let answer = largest(row);
            confusion[label as usize][answer] += 1;
            if answers.len() < EXAMPLES {
                answers.push(answer);
            }
            right += u64::from(answer == label as usize);
            loss += cross_entropy(row, label as usize);
        }
    }
    let images = loader.set().len() as f64;
    Ok(Some(Score { accuracy: right as f64 / images, loss: loss / images, confusion, answers }))
}

/// The index of the largest value, the first of equals.
fn largest(row: &[f32]) -> usize {
    (0..row.len()).fold(0, |best, k| if row[k] > row[best] { k } else { best })
}

/// −log softmax(row)_label, in f64.
fn cross_entropy(row: &[f32], label: usize) -> f64 {
    let top = f64::from(row[largest(row)]);
    let sum: f64 = row.iter().map(|&z| (f64::from(z) - top).exp()).sum();
    sum.ln() - (f64::from(row[label]) - top)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_logits_cost_the_log_of_the_classes() {
        assert!((cross_entropy(&[3.0; 4], 2) - 4f64.ln()).abs() < 1e-12);
        assert_eq!(largest(&[1.0, 5.0, 5.0]), 1);
    }
}
