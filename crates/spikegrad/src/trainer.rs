//! The trainer: a net, a loss, an optimiser and a schedule.

use crate::clock::Moment;
use crate::config::with_copies;
use crate::groups::{Span, spans};
use crate::inputs::{check_input, check_logits, is_right};
use crate::{BatchError, Error, TrainConfig};
use spikegrad_bptt::{ConfigError, Largest, LossKind, optim};
use spikegrad_models::graph::Draw;
use spikegrad_models::{Net, Params, PlanReport, available};
use spikegrad_tensor::memory::try_vec;
use spikegrad_tensor::{Level, Workers, largest_magnitude};

/// Weights below which the optimiser runs on one thread.
const FEW_WEIGHTS: usize = 1 << 18;

/// The report of a training step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Data term + Lipschitz term.
    pub loss: f64,
    /// The data term.
    pub data_term: f64,
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
    /// The optimiser's workers.
    workers: Workers,
    /// Parameters that learn alike.
    spans: Vec<Span>,
    /// Mean of the weights over the last steps, if it is kept.
    pub(crate) mean_weights: Option<Vec<f32>>,
    /// The same net planned for a smaller batch; its parameters are not used.
    partial: Option<Box<Net>>,
    /// Whether a forward waits for its backward.
    pub(crate) is_forward: bool,
    /// A learning rate instead of the schedule's.
    fixed_lr: Option<f32>,
    /// Training passes since the last step.
    pub(crate) passes: u64,
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
        net.params_mut().initialise(config.init, config.seed);
        Self::from_net(net, config, level)
    }

    /// Trains a net that is there, with the weights that it has; the inverse of [`Trainer::into_net`].
    ///
    /// # Errors
    /// The configuration is of another net or batch, or a hyper-parameter makes no sense.
    pub fn from_net(mut net: Net, config: TrainConfig, level: Level) -> Result<Self, Error> {
        config.check()?;
        if *net.config() != config.net || net.batch() != config.batch {
            return Err(ConfigError::new("the net was planned for another configuration or batch").into());
        }
        if config.beta > 0.0 {
            net.reserve_lipschitz()?;
        }
        let spans = spans(net.params(), &config.groups, &config.optimizer)?;
        let len = net.params().weights.len();
        let moment = |used: bool| try_vec(if used { len } else { 0 }, 0.0).map_err(ConfigError::from);
        let moments = [moment(true)?, moment(config.optimizer.moments() > 1)?];
        let estimates = net.params().buffers.clone();
        let mean_weights = config.weight_mean.map(|_| net.params().weights.clone());
        let mut trainer = Self {
            config,
            net,
            step: 0,
            moments,
            estimates,
            largest: Largest::default(),
            level,
            workers: if len < FEW_WEIGHTS { Workers::of(1) } else { Workers::new() },
            spans,
            mean_weights,
            partial: None,
            is_forward: false,
            fixed_lr: None,
            passes: 0,
        };
        trainer.measure();
        Ok(trainer)
    }

    /// Gives the net, with its weights, to train it by hand or to predict with it.
    pub fn into_net(self) -> Net {
        self.net
    }

    /// Fixes the learning rate from now on, whatever the schedule says, or follows the schedule again. It is not part of
    /// a saved state.
    ///
    /// # Errors
    /// It is negative or not finite.
    pub fn set_lr(&mut self, lr: Option<f32>) -> Result<(), Error> {
        match lr {
            Some(lr) if !(lr >= 0.0 && lr.is_finite()) => {
                Err(ConfigError::new(format!("learning rate is {lr}, must be a finite number, 0 or more"))
                    .into())
            }
            lr => {
                self.fixed_lr = lr;
                Ok(())
            }
        }
    }

    /// The mean of the weights over the last steps, if the configuration keeps it ([`TrainConfig::weight_mean`]).
    pub fn mean_weights(&self) -> Option<&[f32]> {
        self.mean_weights.as_deref()
    }

    /// Takes note of weights that came from elsewhere than a step: their mean begins anew.
    pub(crate) fn begin_with_weights(&mut self) {
        if let Some(mean) = &mut self.mean_weights {
            mean.copy_from_slice(&self.net.params().weights);
        }
        self.measure();
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

    /// Takes one step on up to a batch of images (N, C, H, W), or of frames (T, N, C, H, W) where the net reads an image
    /// for each step; `progress_epoch` (3.25: a quarter into the fourth) sets the learning rate.
    ///
    /// A batch that is not full is planned the first time, with buffers of its own: the mean of the loss and batch
    /// norm's statistics are over the images that there are.
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
        self.train_weighted(images, labels, None, progress_epoch)
    }

    /// As [`Trainer::train_batch`], each sample's term of the loss times its weight: L = 1/N·Σ w_n·L_n.
    ///
    /// # Errors
    /// As [`Trainer::train_batch`]; also a weight that is negative or not finite, or not one for each label.
    pub fn train_weighted(
        &mut self,
        images: &[f32],
        labels: &[u32],
        weights: Option<&[f32]>,
        progress_epoch: f64,
    ) -> Result<StepReport, Error> {
        let lr = self.config.learning_rate(progress_epoch)?;
        let lr = self.fixed_lr.unwrap_or(lr);
        self.with_batch_of(labels.len(), |trainer| {
            trainer.check_batch(images, labels)?;
            trainer.check_weights(labels, weights)?;
            trainer.step(images, labels, weights, lr)
        })
    }

    fn step(
        &mut self,
        images: &[f32],
        labels: &[u32],
        weights: Option<&[f32]>,
        lr: f32,
    ) -> Result<StepReport, Error> {
        let begin = Moment::now();
        self.is_forward = false;
        self.estimates.copy_from_slice(&self.net.params().buffers);
        self.net.params_mut().zero_grads();
        self.passes = 0;
        self.forward_in_training(images);
        let forward_s = begin.seconds();
        let data_term = self.net.backward_loss(labels, weights, &self.config.loss);
        let lipschitz = self.net.backward_lipschitz(self.config.beta);
        let correct = self.count_correct(labels);
        let backward_s = begin.seconds() - forward_s;
        let loss = data_term + lipschitz;
        if let Err(error) = self.update(loss, lr) {
            self.net.params_mut().buffers.copy_from_slice(&self.estimates);
            return Err(error);
        }
        let optimizer_s = begin.seconds() - forward_s - backward_s;
        Ok(StepReport { loss, data_term, lipschitz, correct, lr, forward_s, backward_s, optimizer_s })
    }

    /// Runs the net forward as in training; random ops draw what belongs to the step and to the pass within it.
    pub(crate) fn forward_in_training(&mut self, images: &[f32]) {
        self.net.draw_from(Draw { seed: self.config.seed, step: self.step, pass: self.passes });
        self.passes += 1;
        self.net.forward(images, true);
    }

    /// Runs something on the net planned for `count` images of a batch.
    pub(crate) fn with_batch_of<R>(
        &mut self,
        count: usize,
        run: impl FnOnce(&mut Self) -> Result<R, Error>,
    ) -> Result<R, Error> {
        if count == 0 || count >= self.config.batch {
            return run(self);
        }
        if self.partial.as_ref().is_none_or(|net| net.batch() != count) {
            self.partial = Some(Box::new(Net::plan(&self.config.net, count, self.level, false)?));
        }
        let Some(mut partial) = self.partial.take() else { unreachable!("it has just been planned") };
        let exchange = |trainer: &mut Self, other: &mut Net| {
            trainer.net.swap_params(other);
            std::mem::swap(&mut trainer.net, other);
        };
        exchange(self, &mut partial);
        let result = run(self);
        exchange(self, &mut partial);
        self.partial = Some(partial);
        result
    }

    /// Lets the optimiser take the step of the gradients that are there, if everything is and stays finite; weights,
    /// moments and the number of steps are as before where it does not.
    pub(crate) fn update(&mut self, loss: f64, lr: f32) -> Result<(), Error> {
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
        for span in self.spans.iter().filter(|span| span.lr_factor == 0.0) {
            params.grads[span.range.clone()].fill(0.0);
        }
        if let Some(limit) = self.config.clip {
            optim::clip(&mut params.grads, limit);
        }
        // Hardly ever: a step that may leave the range is taken beside a copy to come back to.
        let stays_finite = |span: &Span| {
            span.optimizer.surely_stays_finite(span.lr_factor * lr, step, gradient, self.largest)
        };
        let before = match self.spans.iter().all(stays_finite) {
            true => None,
            false => Some((params.weights.clone(), self.moments.clone())),
        };
        let largest = self.step_spans(lr, step);
        if let Some((weights, moments)) = before
            && !largest.is_finite()
        {
            let tensor = first_not_finite(self.net.params(), &self.moments);
            self.net.params_mut().weights = weights;
            self.moments = moments;
            return broken(tensor);
        }
        (self.step, self.largest, self.passes) = (step, largest, 0);
        self.update_mean_weights();
        Ok(())
    }

    /// Lets the optimiser take a step on each span of parameters that is not frozen.
    fn step_spans(&mut self, lr: f32, step: u64) -> Largest {
        let Self { net, moments: [first, second], spans, largest: before, level, workers, .. } = self;
        let Params { weights, grads, .. } = net.params_mut();
        let mut largest = Largest::default();
        for Span { range, lr_factor, optimizer } in spans.iter() {
            // Frozen parameters stay below what was the largest.
            if *lr_factor == 0.0 {
                largest = largest.or(*before);
                continue;
            }
            // A moment that is not kept is empty.
            let of = |moment: &'_ Vec<f32>| if moment.is_empty() { 0..0 } else { range.clone() };
            let (of_first, of_second) = (of(first), of(second));
            let parameters = optim::Parameters {
                weights: &mut weights[range.clone()],
                grads: &grads[range.clone()],
                first: &mut first[of_first],
                second: &mut second[of_second],
            };
            largest = largest.or(optimizer.step(lr_factor * lr, step, parameters, *level, workers));
        }
        largest
    }

    /// w̄ ← d·w̄ + (1 − d)·w.
    fn update_mean_weights(&mut self) {
        if let (Some(mean), Some(decay)) = (&mut self.mean_weights, self.config.weight_mean) {
            let weights = &self.net.params().weights;
            mean.iter_mut().zip(weights).for_each(|(mean, w)| *mean += (1.0 - decay) * (w - *mean));
        }
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
            return Err(BatchError::PartialSize { found: images.len(), image, batch }.into());
        }
        check_input(&self.config.net, images)?;
        self.is_forward = false;
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

    /// Reports the cost of the run.
    pub fn plan(&self) -> PlanReport {
        let report = self.net.report(self.config.optimizer.moments(), self.config.beta > 0.0);
        with_copies(report, self.config.weight_mean.is_some())
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
            let (found, expected) = ((images.len(), labels.len()), (self.net.images_len(), batch));
            return Err(BatchError::LabeledSize { found, expected }.into());
        }
        match labels.iter().find(|&&label| label as usize >= classes) {
            Some(&label) => Err(BatchError::Label { label, classes }.into()),
            None => check_input(&self.config.net, images),
        }
    }

    pub(crate) fn check_weights(&self, labels: &[u32], weights: Option<&[f32]>) -> Result<(), Error> {
        let Some(weights) = weights else { return Ok(()) };
        if matches!(self.config.loss.kind, LossKind::Custom(_)) {
            return Err(ConfigError::new("a loss of one's own takes no weights of samples").into());
        }
        if weights.len() != labels.len() {
            return Err(BatchError::WeightCount { found: weights.len(), expected: labels.len() }.into());
        }
        match weights.iter().find(|w| !(**w >= 0.0 && w.is_finite())) {
            Some(&weight) => Err(BatchError::SampleWeight(weight).into()),
            None => Ok(()),
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
