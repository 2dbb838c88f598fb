//! The terminal as an experiment's listener: lines, a progress bar, and signals that ask to stop.

use crate::interrupt;
use crate::progress::Progress;
use crate::terminal::print;
use spikegrad_lab::run::{Metrics, Position};
use spikegrad_lab::{Monitor, Outline};
use spikegrad_report::escape::shell;
use std::sync::{Mutex, MutexGuard};

/// Prints what an experiment says, shows how far training has come, and asks to stop when a signal came.
#[derive(Debug)]
pub struct Terminal {
    progress: Mutex<Option<Progress>>,
    hears_signals: bool,
}

impl Terminal {
    /// A terminal at which a signal stops the experiment in good order; [`interrupt::listen`] must have been called.
    pub fn new() -> Self {
        Self { progress: Mutex::new(None), hears_signals: true }
    }

    /// A terminal at which a signal ends the process as the system does.
    pub fn deaf() -> Self {
        Self { hears_signals: false, ..Self::new() }
    }

    fn progress(&self) -> MutexGuard<'_, Option<Progress>> {
        self.progress.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Monitor for Terminal {
    fn say(&self, text: &str) {
        print(text);
    }

    fn must_stop(&self) -> bool {
        self.hears_signals && interrupt::asked()
    }

    fn begins(&self, outline: &Outline) {
        *self.progress() = Some(Progress::new(outline));
    }

    fn batch(&self, at: &Position, batches: usize) {
        if let Some(progress) = &*self.progress() {
            progress.batch(at, batches);
        }
    }

    fn epoch(&self, metrics: &Metrics) {
        if let Some(progress) = &*self.progress() {
            progress.epoch(metrics);
        }
    }

    fn ends(&self) {
        if let Some(progress) = self.progress().take() {
            progress.finish();
        }
    }

    fn command(&self) -> String {
        let words = std::env::args_os().skip(1).map(|word| shell(&word.to_string_lossy()));
        format!("spikegrad {}", words.collect::<Vec<_>>().join(" "))
    }
}
