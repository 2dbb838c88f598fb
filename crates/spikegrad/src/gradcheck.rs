//! Gradients laid open, for checks and for the eye.

use crate::{Error, Trainer};
use spikegrad_bptt::lif::record::Recorder;
use spikegrad_models::net::Loss;
use std::sync::Arc;

/// Computes the gradients of one batch without taking a step: name and gradient of each weight.
///
/// Weights, running estimates, moments and the number of steps stay as they are.
///
/// # Errors
/// The batch does not fit the plan.
pub fn gradients(
    trainer: &mut Trainer,
    images: &[f32],
    labels: &[u32],
) -> Result<Vec<(String, Vec<f32>)>, Error> {
    trainer.pass(images, labels)?;
    let params = trainer.net.params();
    Ok(params.entries.iter().map(|e| (e.name.clone(), params.grads[e.range.clone()].to_vec())).collect())
}

impl Trainer {
    /// Runs one training batch forward and backward, with a recorder looking on, and takes no step.
    ///
    /// Weights, running estimates, moments and the number of steps stay as they are.
    ///
    /// # Errors
    /// The batch does not fit the plan.
    pub fn observe(
        &mut self,
        images: &[f32],
        labels: &[u32],
        recorder: Arc<dyn Recorder>,
    ) -> Result<Loss, Error> {
        self.net.record(Some(recorder));
        let loss = self.pass(images, labels);
        self.net.record(None);
        loss
    }

    /// Forward and backward, without a trace in the running estimates.
    fn pass(&mut self, images: &[f32], labels: &[u32]) -> Result<Loss, Error> {
        self.check_batch(images, labels)?;
        self.estimates.copy_from_slice(&self.net.params().buffers);
        let loss = self.loss_and_gradients(images, labels, None);
        self.net.params_mut().buffers.copy_from_slice(&self.estimates);
        Ok(loss)
    }
}
