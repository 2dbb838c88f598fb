//! What training shows: a bar on a terminal, one plain line per epoch elsewhere.

use crate::files::print;
use crate::run_folder::Metrics;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;

/// The progress of a run.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    epochs: usize,
}

impl Progress {
    /// Starts at batch `done` of `epochs` times `batches`.
    pub fn new(epochs: usize, batches: usize, done: usize) -> Self {
        let target = match std::io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr_with_hz(10),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some((epochs * batches) as u64), target);
        let template = "{msg} [{bar:30}] {percent:>3}% left {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_position(done as u64);
        bar.reset_eta();
        Self { bar, epochs }
    }

    /// Shows the state after a batch.
    pub fn batch(&self, at: (usize, usize, usize), loss: f64, accuracy: f64, rate: f64) {
        let (epoch, batch, batches) = at;
        let epochs = self.epochs;
        self.bar.set_message(format!(
            "epoch {epoch}/{epochs} batch {batch}/{batches} loss {loss:.4} accuracy {:.2} % {rate:.0} images/s",
            100.0 * accuracy
        ));
        self.bar.inc(1);
    }

    /// Prints the line of an epoch.
    pub fn epoch(&self, m: &Metrics) {
        let line = format!(
            "epoch {}/{}  loss {:.4}  train {:.2} %  test {:.2} %  lr {:.2e}  {:.0} images/s  {:.1} s\n",
            m.epoch,
            self.epochs,
            m.train_loss,
            100.0 * m.train_accuracy,
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
