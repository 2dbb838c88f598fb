//! What training shows: a bar on a terminal, one plain line per epoch elsewhere.

use crate::terminal::print;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use spikegrad_lab::Outline;
use spikegrad_lab::run::{Metrics, Position};
use std::io::IsTerminal;

/// The progress of a run.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    epochs: usize,
    /// What the scoring images are called.
    scored: &'static str,
}

impl Progress {
    /// Starts where the training stands.
    pub fn new(outline: &Outline) -> Self {
        let Outline { epochs, batches, done, scored_on } = *outline;
        let target = match std::io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr_with_hz(10),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(epochs.saturating_mul(batches) as u64), target);
        let template = "{msg} [{bar:30}] {percent:>3}% left {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_position(done as u64);
        bar.reset_eta();
        Self { bar, epochs, scored: scored_on }
    }

    /// Shows the state after a batch, of so many an epoch.
    pub fn batch(&self, at: &Position, batches: usize) {
        let images = at.images as f64;
        let (loss, accuracy) = (at.loss_sum / images, 100.0 * at.correct as f64 / images);
        let (epoch, epochs, batch, rate) =
            (at.epoch + 1, self.epochs, at.batch, images / at.seconds.max(1e-9));
        self.bar.set_message(format!(
            "epoch {epoch}/{epochs} batch {batch}/{batches} loss {loss:.4} accuracy {accuracy:.2} % {rate:.0} images/s"
        ));
        self.bar.inc(1);
    }

    /// Prints the line of an epoch.
    pub fn epoch(&self, m: &Metrics) {
        let line = format!(
            "epoch {}/{}  loss {:.4}  train {:.2} %  {} {:.2} %  lr {:.2e}  {:.0} images/s  {:.1} s\n",
            m.epoch,
            self.epochs,
            m.train_loss,
            100.0 * m.train_accuracy,
            self.scored,
            100.0 * m.test_accuracy,
            m.lr,
            m.images_per_second,
            m.seconds
        );
        self.bar.suspend(|| print(&line));
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
