//! Gradients laid open, for checks.

use crate::{Error, Trainer};

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
    trainer.check_batch(images, labels)?;
    let estimates = trainer.net.params().buffers.clone();
    trainer.net.forward(images, true);
    trainer.net.backward(labels, &trainer.config.loss, trainer.config.beta);
    trainer.net.params_mut().buffers = estimates;
    let params = trainer.net.params();
    Ok(params.entries.iter().map(|e| (e.name.clone(), params.grads[e.range.clone()].to_vec())).collect())
}
