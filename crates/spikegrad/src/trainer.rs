//! The trainer: a net, a loss, an optimiser and a schedule.

use crate::Error;
use spikegrad_bptt::{ConfigError, LossConfig, Optimizer, Schedule, optim};
use spikegrad_models::{Init, Input, Net, NetConfig, PlanReport};
use spikegrad_tensor::{Level, Workers};
use std::time::Instant;

/// All that decides a training run, but for the data.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainConfig {
    /// The net.
    pub net: NetConfig,
    /// Images of a batch.
    pub batch: usize,
    /// The data term of the loss.
    pub loss: LossConfig,
    /// β of the Lipschitz term; 0 leaves it out.
    pub beta: f32,
    /// The optimiser.
    pub optimizer: Optimizer,
    /// Learning rate before the schedule.
    pub lr: f32,
    /// The schedule.
    pub schedule: Schedule,
    /// Epochs over which the learning rate rises from 0.
    pub warmup_epochs: f64,
    /// Largest Euclidean norm of the gradient, if it is clipped.
    pub clip: Option<f32>,
    /// Epochs of the schedule.
    pub epochs: usize,
    /// Seed of the weights.
    pub seed: u64,
    /// How weights begin.
    pub init: Init,
}

impl TrainConfig {
    /// The paper's recipe for a net: Adam at 1e-3 with a cosine, batch 100, 150 epochs, β = 1e-4, seed 2022.
    pub fn new(net: NetConfig) -> Self {
        Self {
            net,
            batch: 100,
            loss: LossConfig::default(),
            beta: 1e-4,
            optimizer: Optimizer::adam(0.0),
            lr: 1e-3,
            schedule: Schedule::Cosine,
            warmup_epochs: 0.0,
            clip: None,
            epochs: 150,
            seed: 2022,
            init: Init::Uniform,
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.loss.check()?;
        self.optimizer.check()?;
        let at_least_zero = |x: f64| x >= 0.0 && x.is_finite();
        let bad = |what: &str, value: f64| {
            Err(ConfigError(format!("{what} is {value}, must be a finite number, 0 or more")))
        };
        match self {
            c if !at_least_zero(c.lr.into()) => bad("learning rate", c.lr.into()),
            c if !at_least_zero(c.beta.into()) => bad("beta", c.beta.into()),
            c if !at_least_zero(c.warmup_epochs) => bad("warm-up", c.warmup_epochs),
            c if c.clip.is_some_and(|clip| !at_least_zero(clip.into())) => {
                bad("clip", c.clip.unwrap_or(0.0).into())
            }
            _ => Ok(()),
        }
    }
}

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
    pub(crate) level: Level,
    /// Who runs the optimiser.
    workers: Workers,
}

impl Trainer {
    /// Plans the net, with buffers for one worker a thread of the current pool, and draws its weights.
    ///
    /// # Errors
    /// A hyper-parameter or a size makes no sense.
    pub fn new(config: TrainConfig, level: Level) -> Result<Self, Error> {
        Self::with_input_gradient(config, level, false)
    }

    pub(crate) fn with_input_gradient(
        config: TrainConfig,
        level: Level,
        wanted: bool,
    ) -> Result<Self, Error> {
        config.check()?;
        let mut net = Net::plan(&config.net, config.batch, level, wanted)?;
        net.params_mut().initialise(config.init, config.seed);
        let len = net.params().weights.len();
        let moment = |used: bool| vec![0.0; if used { len } else { 0 }];
        let moments = [moment(true), moment(config.optimizer.moments() > 1)];
        let estimates = net.params().buffers.clone();
        Ok(Self { config, net, step: 0, moments, estimates, level, workers: Workers::new() })
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
    /// A batch of the wrong size, a label that is no class, a number other than 0 and 1 where the net reads spikes, or a loss or gradient that is not finite; weights,
    /// running estimates, moments and the number of steps are then as before.
    pub fn train_batch(
        &mut self,
        images: &[f32],
        labels: &[u32],
        progress_epoch: f64,
    ) -> Result<StepReport, Error> {
        self.check_batch(images, labels)?;
        let begin = Instant::now();
        self.estimates.copy_from_slice(&self.net.params().buffers);
        self.net.forward(images, true);
        let forward = begin.elapsed();
        let loss = self.net.backward(labels, &self.config.loss, self.config.beta);
        let correct = self.count_correct(labels);
        let backward = begin.elapsed();
        let c = &self.config;
        let lr = c.schedule.at(c.lr, progress_epoch, c.epochs as f64, c.warmup_epochs);
        let step = self.step + 1;
        let total = loss.cross_entropy + loss.lipschitz;
        if !total.is_finite() || !self.net.params().grads.iter().all(|g| g.is_finite()) {
            let layer = self.net.first_not_finite().unwrap_or_else(|| "the loss".into());
            self.net.params_mut().buffers.copy_from_slice(&self.estimates);
            return Err(Error::NotFinite { step, layer });
        }
        self.step = step;
        let params = self.net.params_mut();
        if let Some(limit) = c.clip {
            optim::clip(&mut params.grads, limit);
        }
        let [first, second] = &mut self.moments;
        let parameters =
            optim::Parameters { weights: &mut params.weights, grads: &params.grads, first, second };
        c.optimizer.step(lr, step, parameters, self.level, &mut self.workers);
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

    /// The mean logits (N, classes) of up to a batch of images or frames, with the running statistics.
    ///
    /// # Errors
    /// No whole image, more than a batch, or a number other than 0 and 1 where the net reads spikes.
    pub fn predict(&mut self, images: &[f32]) -> Result<Vec<f32>, Error> {
        let (full, batch) = (self.net.images_len(), self.net.batch());
        let image = full / batch;
        let count = images.len() / image;
        if count == 0 || count > batch || !images.len().is_multiple_of(image) {
            let got = images.len();
            return Err(Error::Batch(format!("got {got} numbers, need 1 to {batch} images of {image}")));
        }
        check_spikes(&self.config.net, images)?;
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
        Ok(self.net.mean_logits()[..count * classes].to_vec())
    }

    /// Firing rate of each spiking layer in the last batch.
    pub fn rates(&self) -> Vec<(String, f64)> {
        self.net.rates()
    }

    /// What the run costs.
    pub fn plan(&self) -> PlanReport {
        self.net.report(self.config.optimizer.moments())
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
            None => check_spikes(&self.config.net, images),
        }
    }

    fn count_correct(&mut self, labels: &[u32]) -> usize {
        let classes = self.config.net.classes;
        let logits = self.net.mean_logits();
        labels.iter().zip(logits.chunks(classes)).filter(|(label, z)| argmax(z) == **label as usize).count()
    }
}

/// Where a net reads spikes, its input is zeros and ones.
pub(crate) fn check_spikes(net: &NetConfig, images: &[f32]) -> Result<(), Error> {
    let spikes = net.input == Input::Spikes;
    match images.iter().position(|&x| spikes && x != 0.0 && x != 1.0) {
        Some(at) => {
            let x = images[at];
            Err(Error::Batch(format!("input {at} is {x}, the net reads spikes, 0 or 1")))
        }
        None => Ok(()),
    }
}

/// The first index of the largest number.
fn argmax(z: &[f32]) -> usize {
    (0..z.len()).fold(0, |best, k| if z[k] > z[best] { k } else { best })
}
