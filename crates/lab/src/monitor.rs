//! What an experiment tells the program around it, and asks it.

use crate::run::metrics::Metrics;
use crate::run::state::Position;

/// The training that is about to begin or to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Epochs in all.
    pub epochs: usize,
    /// Batches an epoch.
    pub batches: usize,
    /// Batches done already.
    pub done: usize,
    /// What the scoring images are called: test or held-out.
    pub scored_on: &'static str,
}

/// Listens to an experiment, and may stop it. Every method has an empty body to begin with.
pub trait Monitor: Sync {
    /// Hears a line or several, each with its line end.
    fn say(&self, _text: &str) {}

    /// Tells whether the experiment shall stop after the batch at work, with everything left in order.
    fn must_stop(&self) -> bool {
        false
    }

    /// Hears that training begins.
    fn begins(&self, _outline: &Outline) {}

    /// Hears how far training has come, after each batch; an epoch has so many.
    fn batch(&self, _at: &Position, _batches: usize) {}

    /// Hears the figures of an epoch that has been scored.
    fn epoch(&self, _metrics: &Metrics) {}

    /// Hears that training has ended or stops.
    fn ends(&self) {}

    /// The command that runs the experiment, as it can be typed again; empty where none does.
    fn command(&self) -> String {
        String::new()
    }
}

/// Hears everything and does nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Monitor for Silent {}
