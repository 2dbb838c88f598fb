//! Training on batches of the caller's own, with the caller looking on.

use crate::clock::Moment;
use crate::{Error, StepReport, Trainer};
use std::ops::{ControlFlow, Range};

/// An event of [`Trainer::fit`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Progress {
    /// A batch was learned.
    Batch {
        /// Epoch, from 0.
        epoch: usize,
        /// Batch of the epoch, from 0.
        batch: usize,
        /// The report of the step.
        report: StepReport,
    },
    /// An epoch is over.
    Epoch(EpochReport),
}

/// The place of a training run: the batch that is learned next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Epoch, from 0.
    pub epoch: usize,
    /// Batch of the epoch, from 0.
    pub batch: usize,
}

/// An epoch in figures.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EpochReport {
    /// Epoch, from 0.
    pub epoch: usize,
    /// Batches learned.
    pub batches: usize,
    /// Images learned.
    pub images: usize,
    /// Mean loss over the batches.
    pub loss: f64,
    /// Share of images answered right while training.
    pub accuracy: f64,
    /// Seconds, the caller's own included.
    pub seconds: f64,
}

impl Trainer {
    /// Trains on whatever batches an iterator brings, epoch after epoch.
    ///
    /// | argument | what |
    /// |---|---|
    /// | `epochs` | which epochs of the schedule: `0..20`, or `7..20` after a resume |
    /// | `batches` | makes the iterator of an epoch: pairs of images (batch·C·H·W) and labels (batch) |
    /// | `observe` | is called after each batch and each epoch, with the trainer to score, save, or look into; `Break` stops |
    ///
    /// Where an iterator knows its length, the learning rate follows the schedule within the epoch; else it changes
    /// from epoch to epoch. Returns the number of epochs finished.
    ///
    /// # Errors
    /// As [`Trainer::train_batch`]; what was learned before stays.
    ///
    /// ```
    /// use spikegrad::prelude::*;
    /// use std::ops::ControlFlow;
    ///
    /// let net = NetConfig::new(NetKind::Mlp, 1, 2, 2, 2).scale(0.1);
    /// let config = TrainConfig::new(net).batch(2).epochs(3);
    /// let mut trainer = Trainer::new(config, Level::detect()?)?;
    /// let batches = |_epoch| (0..4).map(|_| ([1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0], [0, 1]));
    /// let mut losses = Vec::new();
    /// let epochs = trainer.fit(0..3, batches, |_, progress| {
    ///     if let Progress::Epoch(epoch) = progress { losses.push(epoch.loss) }
    ///     ControlFlow::Continue(())
    /// })?;
    /// assert_eq!((epochs, losses.len()), (3, 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fit<I, X, Y>(
        &mut self,
        epochs: Range<usize>,
        batches: impl FnMut(usize) -> I,
        mut observe: impl FnMut(&mut Trainer, Progress) -> ControlFlow<()>,
    ) -> Result<usize, Error>
    where
        I: IntoIterator<Item = (X, Y)>,
        X: AsRef<[f32]>,
        Y: AsRef<[u32]>,
    {
        let begin = Position { epoch: epochs.start, batch: 0 };
        self.try_fit(begin, epochs.end, batches, |trainer, progress| Ok(observe(trainer, progress)))
    }

    /// As [`Trainer::fit`] from any batch of any epoch to the end of epoch `end` − 1, with an observer that may fail.
    ///
    /// The iterator of the first epoch still brings all its batches; those before `begin` are passed over. With
    /// [`Trainer::save_state_at`] and [`Trainer::load_state_at`] a run that was killed goes on to the same bits, if its
    /// iterators bring the same batches again; the report of the first epoch is over the batches that were learned.
    ///
    /// # Errors
    /// As [`Trainer::train_batch`], or the observer's own; what was learned before stays.
    pub fn try_fit<I, X, Y, E>(
        &mut self,
        begin: Position,
        end: usize,
        mut batches: impl FnMut(usize) -> I,
        mut observe: impl FnMut(&mut Trainer, Progress) -> Result<ControlFlow<()>, E>,
    ) -> Result<usize, E>
    where
        I: IntoIterator<Item = (X, Y)>,
        X: AsRef<[f32]>,
        Y: AsRef<[u32]>,
        E: From<Error>,
    {
        let mut finished = 0;
        for epoch in begin.epoch..end {
            let start = Moment::now();
            let batches = batches(epoch).into_iter();
            // Of an iterator that does not know its length, every batch stands at the epoch's beginning.
            let length = match batches.size_hint() {
                (least, Some(most)) if least == most => most.max(1) as f64,
                _ => f64::INFINITY,
            };
            let first = if epoch == begin.epoch { begin.batch } else { 0 };
            let mut sum = EpochReport { epoch, ..EpochReport::default() };
            for (batch, (images, labels)) in batches.enumerate().skip(first) {
                let progress = epoch as f64 + batch as f64 / length;
                let report = self.train_batch(images.as_ref(), labels.as_ref(), progress)?;
                sum.batches += 1;
                sum.images += labels.as_ref().len();
                sum.loss += report.loss;
                sum.accuracy += report.correct as f64;
                if observe(self, Progress::Batch { epoch, batch, report })?.is_break() {
                    return Ok(finished);
                }
            }
            sum.loss /= sum.batches.max(1) as f64;
            sum.accuracy /= sum.images.max(1) as f64;
            sum.seconds = start.seconds();
            finished += 1;
            if observe(self, Progress::Epoch(sum))?.is_break() {
                break;
            }
        }
        Ok(finished)
    }
}
