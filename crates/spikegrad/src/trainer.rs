//! The trainer: a net, a loss, an optimiser and a schedule.

use crate::config::with_estimates;
use crate::inputs::{check_input, check_logits, is_right};
use crate::{Error, TrainConfig};
use spikegrad_bptt::{ConfigError, Largest, optim};
use spikegrad_models::{Net, Params, PlanReport, available};
use spikegrad_tensor::memory::try_vec;
use spikegrad_tensor::{Level, Workers, largest_magnitude};
use std::time::Instant;

/// What a training step did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Data term + Lipschitz term.
    pub loss: f64,
    /// The data term.
    pub cross_entropy: f64,
    /// The Lipschitz term.
    pub lipschitz: f64,
    /// Images whose largest logit was their label's.
    pub correct: usize,
    /// Learning rate.
    pub lr: f32,
    /// Seconds of the forward.
    pub forward_s: f64,
    /// Seconds of the backward.
    pub backward_s: f64,
    /// Seconds of the optimiser.
    pub optimizer_s: f64,
}

/// A training run in memory.
#[derive(Debug)]
pub struct Trainer {
    pub(crate) config: TrainConfig,
    pub(crate) net: Net,
    pub(crate) step: u64,
    pub(crate) moments: [Vec<f32>; 2],
    /// Running estimates before the current step, should it fail.
    pub(crate) estimates: Vec<f32>,
    /// The largest weight and moments after the last step.
    largest: Largest,
    pub(crate) level: Level,
    /// Who runs the optimiser.
    workers: Workers,
}

impl Trainer {
    /// Plans the net, with buffers for one worker a thread of the current pool, and draws its weights.
    ///
    /// # Errors
    /// A hyper-parameter or a size makes no sense, or the run needs more memory than there is (both numbers are named).
    pub fn new(config: TrainConfig, level: Level) -> Result<Self, Error> {
        Self::with_input_gradient(config, level, false)
    }

    pub(crate) fn with_input_gradient(
        config: TrainConfig,
        level: Level,
        wanted: bool,
    ) -> Result<Self, Error> {
        available::check_net(config.plan(level)?.bytes.total)?;
        let mut net = Net::plan(&config.net, config.batch, level, wanted)?;
        if config.beta > 0.0 {
            net.reserve_lipschitz()?;
        }
        net.params_mut().initialise(config.init, config.seed);
        let len = net.params().weights.len();
        let moment = |used: bool| {
            let moment = try_vec(if used { len } else { 0 }, 0.0);
            moment.map_err(|error| ConfigError(error.to_string()))
        };
        let moments = [moment(true)?, moment(config.optimizer.moments() > 1)?];
        let estimates = net.params().buffers.clone();
        let (largest, workers) = (Largest::default(), Workers::new());
        let mut trainer = Self { config, net, step: 0, moments, estimates, largest, level, workers };
        trainer.measure();
        Ok(trainer)
    }

    /// Measures weights and moments that came from elsewhere than a step.
    pub(crate) fn measure(&mut self) {
        let [first, second] = &self.moments;
        self.largest = Largest::of(self.level, &self.net.params().weights, first, second);
    }

    /// The configuration.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// The instruction set that its kernels run on.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// Takes one step on a full batch of images (N, C, H, W), or of frames (T, N, C, H, W) where the net reads an image
    /// for each step; `progress_epoch` (3.25: a quarter into the fourth)
    /// sets the learning rate.
    ///
    /// # Errors
    /// A batch of the wrong size, a label that is no class, a pixel that is not finite or beyond ±1e15, a number other
    /// than 0 and 1 where the net reads spikes, a progress that is negative or not finite; or a loss, gradient, weight,
    /// running estimate or moment that is, or would be, not finite. Weights, running estimates, moments and the number
    /// of steps are then as before.
    pub fn train_batch(
        &mut self,
        images: &[f32],
        labels: &[u32],
        progress_epoch: f64,
    ) -> Result<StepReport, Error> {
        self.check_batch(images, labels)?;
        let lr = self.config.learning_rate(progress_epoch)?;
        let begin = Instant::now();
        self.estimates.copy_from_slice(&self.net.params().buffers);
        self.net.forward(images, true);
        let forward = begin.elapsed();
        let loss = self.net.backward(labels, &self.config.loss, self.config.beta);
        let correct = self.count_correct(labels);
        let backward = begin.elapsed();
        let total = loss.cross_entropy + loss.lipschitz;
        if let Err(error) = self.update(total, lr) {
            self.net.params_mut().buffers.copy_from_slice(&self.estimates);
            return Err(error);
        }
        let end = begin.elapsed();
        Ok(StepReport {
            loss: total,
            cross_entropy: loss.cross_entropy,
            lipschitz: loss.lipschitz,
            correct,
            lr,
            forward_s: forward.as_secs_f64(),
            backward_s: (backward - forward).as_secs_f64(),
            optimizer_s: (end - backward).as_secs_f64(),
        })
    }

    /// Lets the optimiser take the step of the gradients that are there, if everything is and stays finite; weights,
    /// moments and the number of steps are as before where it does not.
    fn update(&mut self, loss: f64, lr: f32) -> Result<(), Error> {
        let step = self.step + 1;
        let broken = |layer: String| Err(Error::NotFinite { step, layer });
        let params = self.net.params_mut();
        let gradient = largest_magnitude(self.level, &params.grads);
        if !(loss.is_finite() && gradient.is_finite()) {
            return broken(self.net.first_not_finite().unwrap_or_else(|| "the loss".into()));
        }
        if let Some(entry) = params.first_estimate_not_finite() {
            return broken(entry.to_string());
        }
        if let Some(limit) = self.config.clip {
            optim::clip(&mut params.grads, limit);
        }
        // Hardly ever: a step that may leave the range is taken beside a copy to come back to.
        let optimizer = &self.config.optimizer;
        let before = match optimizer.surely_stays_finite(lr, step, gradient, self.largest) {
            true => None,
            false => Some((params.weights.clone(), self.moments.clone())),
        };
        let [first, second] = &mut self.moments;
        let parameters =
            optim::Parameters { weights: &mut params.weights, grads: &params.grads, first, second };
        let largest = optimizer.step(lr, step, parameters, self.level, &mut self.workers);
        if let Some((weights, moments)) = before
            && !largest.is_finite()
        {
            let tensor = first_not_finite(self.net.params(), &self.moments);
            self.net.params_mut().weights = weights;
            self.moments = moments;
            return broken(tensor);
        }
        (self.step, self.largest) = (step, largest);
        Ok(())
    }

    /// The mean logits (N, classes) of up to a batch of images or frames, with the running statistics.
    ///
    /// # Errors
    /// No whole image, more than a batch, a pixel that is not finite or beyond ±1e15, a number other than 0 and 1 where
    /// the net reads spikes, or logits that are not finite.
    pub fn predict(&mut self, images: &[f32]) -> Result<Vec<f32>, Error> {
        let (full, batch) = (self.net.images_len(), self.net.batch());
        let image = full / batch;
        let count = images.len() / image;
        if count == 0 || count > batch || !images.len().is_multiple_of(image) {
            let got = images.len();
            return Err(Error::Batch(format!("got {got} numbers, need 1 to {batch} images of {image}")));
        }
        check_input(&self.config.net, images)?;
        if images.len() == full {
            self.net.forward(images, false);
        } else {
            // Time is outermost: every step is padded with images of zeros.
            let frames = self.config.net.frames();
            let mut padded = vec![0.0; full];
            for (to, from) in padded.chunks_mut(full / frames).zip(images.chunks(images.len() / frames)) {
                to[..from.len()].copy_from_slice(from);
            }
            self.net.forward(&padded, false);
        }
        let classes = self.config.net.classes;
        let logits = &self.net.mean_logits()[..count * classes];
        check_logits(logits, classes)?;
        Ok(logits.to_vec())
    }

    /// Firing rate of each spiking layer in the last batch.
    pub fn rates(&self) -> Vec<(String, f64)> {
        self.net.rates()
    }

    /// What the run costs.
    pub fn plan(&self) -> PlanReport {
        with_estimates(self.net.report(self.config.optimizer.moments(), self.config.beta > 0.0))
    }

    /// Name, shape and numbers of each weight.
    pub fn parameters(&self) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let params = self.net.params();
        let weight = |range: std::ops::Range<usize>| params.weights[range].to_vec();
        params.entries.iter().map(|e| (e.name.clone(), e.shape.clone(), weight(e.range.clone()))).collect()
    }

    /// The planned net.
    pub fn net(&self) -> &Net {
        &self.net
    }

    pub(crate) fn check_batch(&self, images: &[f32], labels: &[u32]) -> Result<(), Error> {
        let (batch, classes) = (self.net.batch(), self.config.net.classes);
        if images.len() != self.net.images_len() || labels.len() != batch {
            let (got, want) = (images.len(), self.net.images_len());
            let n = labels.len();
            return Err(Error::Batch(format!(
                "got {got} numbers and {n} labels, planned for {want} and {batch}"
            )));
        }
        match labels.iter().find(|&&label| label as usize >= classes) {
            Some(label) => Err(Error::Batch(format!("label {label} is no class, the net has {classes}"))),
            None => check_input(&self.config.net, images),
        }
    }

    fn count_correct(&mut self, labels: &[u32]) -> usize {
        let classes = self.config.net.classes;
        let logits = self.net.mean_logits();
        labels.iter().zip(logits.chunks(classes)).filter(|(label, z)| is_right(z, **label)).count()
    }
}

/// The first weight, or moment of one, that is not finite.
fn first_not_finite(params: &Params, moments: &[Vec<f32>; 2]) -> String {
    let lists =
        [("", &params.weights), ("first moment of ", &moments[0]), ("second moment of ", &moments[1])];
    for (what, numbers) in lists {
        let Some(at) = numbers.iter().position(|x| !x.is_finite()) else { continue };
        let entry = params.entries.iter().find(|entry| entry.range.contains(&at));
        return format!("{what}{}", entry.map_or("the weights", |entry| &entry.name));
    }
    "the weights".into()
}
