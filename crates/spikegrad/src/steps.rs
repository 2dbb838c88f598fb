//! Training by hand: forward, backward from a gradient of the caller's own, accumulation, the optimiser's step.

use crate::inputs::check_input;
use crate::{BatchError, Error, Trainer};
use spikegrad_models::net::Loss;

impl Trainer {
    /// Sets all gradients to zero: what [`Trainer::accumulate`] and [`Trainer::backward`] add to.
    pub fn zero_gradients(&mut self) {
        self.net.params_mut().zero_grads();
        self.passes = 0;
        self.estimates.copy_from_slice(&self.net.params().buffers);
    }

    /// Runs a full batch forward, as in training, and returns the logits (T, N, classes) of every step.
    ///
    /// ```
    /// use spikegrad::prelude::*;
    ///
    /// let net = NetConfig::new(NetKind::Mlp, 1, 2, 2, 2).scale(0.1);
    /// let config = TrainConfig::new(net).batch(2).beta(0.0);
    /// let mut trainer = Trainer::new(config, Level::detect()?)?;
    /// let images = [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0];
    ///
    /// // A loss of one's own, without a type for it: half the squared distance to a target, for every step.
    /// trainer.zero_gradients();
    /// let logits = trainer.forward(&images)?;
    /// let targets = [1.0, 0.0, 0.0, 1.0].repeat(2);
    /// let gradient: Vec<f32> = logits.iter().zip(&targets).map(|(z, y)| z - y).collect();
    /// trainer.backward(&gradient)?;
    /// trainer.apply(1e-3)?;
    /// assert_eq!(trainer.steps(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A batch of the wrong size, or a pixel that is no input.
    pub fn forward(&mut self, images: &[f32]) -> Result<Vec<f32>, Error> {
        let (found, expected) = (images.len(), self.net.images_len());
        if found != expected {
            return Err(BatchError::Size { found, expected }.into());
        }
        check_input(&self.config.net, images)?;
        self.forward_in_training(images);
        self.is_forward = true;
        Ok(self.net.logits())
    }

    /// Adds to the gradients what follows from `gradient`, ∂L/∂(logits), in the order in which [`Trainer::forward`]
    /// returned them.
    ///
    /// # Errors
    /// There is not one number a logit, or no forward came right before: any other pass of the trainer takes its place.
    pub fn backward(&mut self, gradient: &[f32]) -> Result<(), Error> {
        let net = &self.config.net;
        let expected = net.steps() * self.net.batch() * net.classes;
        if gradient.len() != expected {
            return Err(BatchError::GradientSize { found: gradient.len(), expected }.into());
        }
        if !std::mem::take(&mut self.is_forward) {
            return Err(BatchError::NoForward.into());
        }
        self.net.backward_from(gradient);
        Ok(())
    }

    /// Runs a batch forward and backward and adds to the gradients; each sample counts by its weight, if there are
    /// weights. Up to a batch of samples may be given. Returns the data term of the loss.
    ///
    /// The gradient of k batches that make one step is their sum; a loss that is a mean over all of them wants
    /// [`Trainer::scale_gradients`] with 1/k.
    ///
    /// # Errors
    /// As [`Trainer::train_batch`], but for what the step itself would break.
    pub fn accumulate(
        &mut self,
        images: &[f32],
        labels: &[u32],
        weights: Option<&[f32]>,
    ) -> Result<f64, Error> {
        self.with_batch_of(labels.len(), |trainer| {
            trainer.check_batch(images, labels)?;
            trainer.check_weights(labels, weights)?;
            trainer.is_forward = false;
            trainer.forward_in_training(images);
            Ok(trainer.net.backward_loss(labels, weights, &trainer.config.loss))
        })
    }

    /// Multiplies all gradients by a factor.
    pub fn scale_gradients(&mut self, factor: f32) {
        self.net.params_mut().grads.iter_mut().for_each(|g| *g *= factor);
    }

    /// Adds the Lipschitz term's gradient, where there is one, and lets the optimiser take a step at a learning rate.
    /// Returns the Lipschitz term.
    ///
    /// # Errors
    /// A learning rate that makes no sense; a gradient, weight, running estimate or moment that is, or would be, not
    /// finite: weights, moments and the number of steps are then as before, and running estimates as they were at
    /// [`Trainer::zero_gradients`].
    pub fn apply(&mut self, lr: f32) -> Result<f64, Error> {
        if !(lr >= 0.0 && lr.is_finite()) {
            return Err(BatchError::LearningRate(lr).into());
        }
        let lipschitz = self.net.backward_lipschitz(self.config.beta);
        let updated = self.update(lipschitz, lr);
        if updated.is_err() {
            self.net.params_mut().buffers.copy_from_slice(&self.estimates);
        }
        updated.map(|()| lipschitz)
    }

    /// Forward and backward of a batch, gradients overwritten; for one step of training.
    pub(crate) fn loss_and_gradients(&mut self, images: &[f32], labels: &[u32]) -> Loss {
        self.is_forward = false;
        self.net.params_mut().zero_grads();
        self.passes = 0;
        self.forward_in_training(images);
        let data_term = self.net.backward_loss(labels, None, &self.config.loss);
        Loss { data_term, lipschitz: self.net.backward_lipschitz(self.config.beta) }
    }
}
