//! Scores on batches of the caller's own.

use crate::inputs::is_right;
use crate::{BatchError, Error, Trainer};
use spikegrad_bptt::loss::Logits;

/// The scores of a net on a set of images.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Evaluation {
    /// Images.
    pub images: usize,
    /// Images whose largest logit is their label's.
    pub correct: usize,
    /// Mean of the data term of the loss, on the logits' mean over time.
    pub loss: f64,
    /// Counts, classes × classes: row the label, column the answer.
    pub confusion: Vec<Vec<u64>>,
}

impl Evaluation {
    /// Share of images answered right; 0 of none.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.images.max(1) as f64
    }
}

impl Trainer {
    /// Scores whatever batches an iterator brings, with the running statistics; batches may be smaller than planned.
    ///
    /// ```
    /// use spikegrad::prelude::*;
    ///
    /// let net = NetConfig::new(NetKind::Mlp, 1, 2, 2, 2).scale(0.1);
    /// let mut trainer = Trainer::new(TrainConfig::new(net).batch(2), Level::detect()?)?;
    /// let batches = [(vec![0.5; 8], vec![0, 1]), (vec![0.25; 4], vec![1])];
    /// let scores = trainer.evaluate(batches)?;
    /// // Equal images have equal answers: of the first two, one is right.
    /// assert_eq!(scores.images, 3);
    /// assert!(scores.correct >= 1 && scores.loss > 0.0);
    /// assert_eq!(scores.confusion.iter().flatten().sum::<u64>(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Trainer::predict`]; also labels that are no class, or not one an image.
    pub fn evaluate<X, Y>(&mut self, batches: impl IntoIterator<Item = (X, Y)>) -> Result<Evaluation, Error>
    where
        X: AsRef<[f32]>,
        Y: AsRef<[u32]>,
    {
        let classes = self.config.net.classes;
        let confusion = vec![vec![0; classes]; classes];
        let mut scores = Evaluation { images: 0, correct: 0, loss: 0.0, confusion };
        for (images, labels) in batches {
            let labels = labels.as_ref();
            let logits = self.predict(images.as_ref())?;
            if logits.len() != labels.len() * classes {
                return Err(
                    BatchError::LabelCount { found: labels.len(), expected: logits.len() / classes }.into()
                );
            }
            if let Some(&label) = labels.iter().find(|&&label| label as usize >= classes) {
                return Err(BatchError::Label { label, classes }.into());
            }
            for (z, &label) in logits.chunks(classes).zip(labels) {
                let answer = (0..classes).find(|&k| is_right(z, k as u32)).unwrap_or(0);
                scores.confusion[label as usize][answer] += 1;
                scores.correct += usize::from(is_right(z, label));
            }
            // Of the mean logits, every loss is that of one step.
            let size = Logits { steps: 1, classes, stride: classes };
            let (mut gradient, mut mean) = (vec![0.0; logits.len()], vec![0.0; logits.len()]);
            let loss = self.config.loss.evaluate(size, &logits, labels, &mut gradient, &mut mean);
            scores.loss += loss * labels.len() as f64;
            scores.images += labels.len();
        }
        scores.loss /= scores.images.max(1) as f64;
        Ok(scores)
    }
}
