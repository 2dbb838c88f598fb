//! All that decides a training run.

use crate::{BatchError, Error, ParamGroup};
use spikegrad_bptt::{ConfigError, LossConfig, Optimizer, Schedule};
use spikegrad_models::{Init, NetConfig, PlanReport};
use spikegrad_tensor::Level;

/// All that decides a training run, but for the data.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
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
    /// The distribution that weights begin with.
    pub init: Init,
    /// Rules for some of the parameters: learning rate, weight decay, frozen.
    pub groups: Vec<ParamGroup>,
    /// Decay d of the exponential mean of the weights, w̄ ← d·w̄ + (1 − d)·w, if it is kept.
    pub weight_mean: Option<f32>,
    /// Names of the classes, one each, or none; saved files carry them.
    pub class_names: Vec<String>,
}

/// Each setting by itself: `TrainConfig` grows, so that it is put together by these.
impl TrainConfig {
    /// Sets `net`: which net is trained.
    #[must_use]
    pub fn net(self, net: NetConfig) -> Self {
        Self { net, ..self }
    }

    /// Sets `batch`: images of a batch.
    #[must_use]
    pub fn batch(self, batch: usize) -> Self {
        Self { batch, ..self }
    }

    /// Sets `loss`: the data term of the loss.
    #[must_use]
    pub fn loss(self, loss: LossConfig) -> Self {
        Self { loss, ..self }
    }

    /// Sets `beta`: β of the Lipschitz term; 0 leaves it out.
    #[must_use]
    pub fn beta(self, beta: f32) -> Self {
        Self { beta, ..self }
    }

    /// Sets `optimizer`: the optimiser.
    #[must_use]
    pub fn optimizer(self, optimizer: Optimizer) -> Self {
        Self { optimizer, ..self }
    }

    /// Sets `lr`: learning rate before the schedule.
    #[must_use]
    pub fn lr(self, lr: f32) -> Self {
        Self { lr, ..self }
    }

    /// Sets `schedule`: the schedule.
    #[must_use]
    pub fn schedule(self, schedule: Schedule) -> Self {
        Self { schedule, ..self }
    }

    /// Sets `warmup_epochs`: epochs over which the learning rate rises from 0.
    #[must_use]
    pub fn warmup_epochs(self, warmup_epochs: f64) -> Self {
        Self { warmup_epochs, ..self }
    }

    /// Sets `clip`: largest Euclidean norm of the gradient, if it is clipped.
    #[must_use]
    pub fn clip(self, clip: Option<f32>) -> Self {
        Self { clip, ..self }
    }

    /// Sets `epochs`: epochs of the schedule.
    #[must_use]
    pub fn epochs(self, epochs: usize) -> Self {
        Self { epochs, ..self }
    }

    /// Sets `seed`: seed of the weights.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Sets `init`: the distribution that weights begin with.
    #[must_use]
    pub fn init(self, init: Init) -> Self {
        Self { init, ..self }
    }

    /// Sets `groups`: rules for some of the parameters: learning rate, weight decay, frozen.
    #[must_use]
    pub fn groups(self, groups: Vec<ParamGroup>) -> Self {
        Self { groups, ..self }
    }

    /// Sets `weight_mean`: decay d of the exponential mean of the weights, w̄ ← d·w̄ + (1 − d)·w, if it is kept.
    #[must_use]
    pub fn weight_mean(self, weight_mean: Option<f32>) -> Self {
        Self { weight_mean, ..self }
    }

    /// Sets `class_names`: names of the classes, one each, or none; saved files carry them.
    #[must_use]
    pub fn class_names(self, class_names: Vec<String>) -> Self {
        Self { class_names, ..self }
    }
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
            groups: Vec::new(),
            weight_mean: None,
            class_names: Vec::new(),
        }
    }

    /// Checks every number but the net's, which planning checks.
    ///
    /// # Errors
    /// Names the first that makes no sense.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.loss.check()?;
        self.optimizer.check()?;
        self.schedule.check()?;
        self.groups.iter().try_for_each(ParamGroup::check)?;
        if let Some(decay) = self.weight_mean
            && !(0.0..1.0).contains(&decay)
        {
            return Err(ConfigError::new(format!(
                "decay of the weights' mean is {decay}, must be from 0 to below 1"
            )));
        }
        let (names, classes) = (self.class_names.len(), self.net.classes);
        if names != 0 && names != classes {
            return Err(ConfigError::new(format!("{names} classes have names, the net has {classes}")));
        }
        let weights = self.loss.class_weights.len();
        if weights != 0 && weights != classes {
            return Err(ConfigError::new(format!("{weights} classes have weights, the net has {classes}")));
        }
        let numbers = [
            ("learning rate", f64::from(self.lr)),
            ("beta", self.beta.into()),
            ("warm-up", self.warmup_epochs),
            ("clip", self.clip.unwrap_or(0.0).into()),
        ];
        if let Some((what, value)) = numbers.into_iter().find(|(_, x)| !(*x >= 0.0 && x.is_finite())) {
            return Err(ConfigError::new(format!("{what} is {value}, must be a finite number, 0 or more")));
        }
        for (what, value) in [("batch", self.batch), ("epochs", self.epochs)] {
            if value == 0 {
                return Err(ConfigError::new(format!("{what} is 0, must be at least 1")));
            }
        }
        Ok(())
    }

    /// Plans the run: what it costs, computed from its sizes; nothing is allocated, and memory need not be there.
    ///
    /// # Errors
    /// A hyper-parameter or a size makes no sense, or is beyond what can be computed with.
    pub fn plan(&self, level: Level) -> Result<PlanReport, Error> {
        self.check()?;
        let moments = self.optimizer.moments();
        let plan = PlanReport::of(&self.net, self.batch, level, moments, self.beta > 0.0)?;
        Ok(with_copies(plan, self.weight_mean.is_some()))
    }

    /// Says what makes sense but is hardly meant: a line for each.
    pub fn warnings(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let (warmup, epochs) = (self.warmup_epochs, self.epochs);
        if warmup >= epochs as f64 {
            lines.push(format!(
                "warm-up takes {warmup} epochs and training ends after {epochs}: the learning rate never arrives"
            ));
        }
        if let Schedule::Step { every_epochs, .. } = &self.schedule
            && *every_epochs >= epochs as f64
        {
            lines.push(format!(
                "the first drop of the learning rate comes after {every_epochs} epochs and training ends after {epochs}"
            ));
        }
        let plan = PlanReport::of(&self.net, self.batch, Level::BASELINE, 0, false);
        for norm in plan.map(|plan| plan.norms_of_one_value).unwrap_or_default() {
            lines.push(format!(
                "batch norm {norm} has one value a channel to average over (one image, step and pixel): it puts out its \
                 bias, whatever comes in"
            ));
        }
        if self.lr == 0.0 {
            lines.push("the learning rate is 0: nothing is learned".into());
        }
        lines
    }

    /// The learning rate at a progress in epochs.
    pub(crate) fn learning_rate(&self, progress: f64) -> Result<f32, Error> {
        if !(progress >= 0.0 && progress.is_finite()) {
            return Err(BatchError::Progress(progress).into());
        }
        let lr = self.schedule.at(self.lr, progress, self.epochs as f64, self.warmup_epochs);
        match lr.is_finite() {
            true => Ok(lr),
            false => {
                Err(ConfigError::new(format!("learning rate is {lr} at epoch {progress}, must be finite"))
                    .into())
            }
        }
    }
}

/// Adds what a trainer keeps beside the net: a copy of the running estimates, should a step fail, and the mean of the
/// weights.
pub(crate) fn with_copies(mut plan: PlanReport, has_mean: bool) -> PlanReport {
    let weights = 4 * plan.parameters;
    let copies = plan.bytes.weights - weights + if has_mean { weights } else { 0 };
    plan.bytes.workspace += copies;
    plan.bytes.total += copies;
    plan
}
