//! From settings that are given to a checked configuration: every setting has a value, and the value makes sense.
//!
//! | module | what |
//! |---|---|
//! | `run_config` | [`RunConfig`]: every setting, given or not, as flags and files have them |
//! | [`names`] | choices that have a name |
//! | [`defaults`] | the one table of defaults |
//! | `events` | [`EventSettings`]: how recordings become frames |

pub(crate) mod by_name;
pub mod defaults;
mod events;
pub mod names;
mod neuron;
mod run_config;

pub use events::EventSettings;
pub use run_config::RunConfig;

use crate::{Error, Result};
use names::{Augmentation, DeltaName, InputGradientName, LossName, OptimizerName, ScheduleName};
use spikegrad::TrainConfig;
use spikegrad::bptt::{LossConfig, LossKind, Optimizer, Schedule, Surrogate};
use spikegrad::data::{Augment, DataError, SampleSet, Source};
use spikegrad::models::{Input, Kernels, NetConfig};
use spikegrad::tensor::Level;
use spikegrad::tensor::conv::{DeltaKernels, InputGradient};
use std::path::Path;

/// Under this name a checkpoint's metadata holds its run's settings, as TOML.
pub const CONFIG: &str = "config";

/// Settings with every default filled in, parsed and checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// As they go into `config.toml`.
    pub config: RunConfig,
    /// The data set.
    pub source: Source,
    /// The augmentation of images.
    pub augment: Augment,
    /// How recordings become frames, where the data set holds events.
    pub events: Option<EventSettings>,
    train: TrainConfig,
}

/// The size of an image and the number of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Colour planes.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Classes.
    pub classes: usize,
}

impl Shape {
    /// The shape that a data set's name promises; of unknown cameras, 48×48, with as many classes as there are folders.
    pub fn of(source: &Source) -> Self {
        let of_folders = || ([2, 48, 48], source.list_events(0).map_or(2, |split| split.class_names.len()));
        let ([channels, height, width], classes) = source.shape().unwrap_or_else(of_folders);
        Self { channels, height, width, classes }
    }

    /// The shape of a set that has been read.
    pub fn of_set(set: &SampleSet) -> Self {
        let [channels, height, width] = set.shape();
        Self { channels, height, width, classes: set.classes() }
    }
}

impl Settings {
    /// Lays `config` over an optional file over the defaults, and checks the result.
    ///
    /// # Errors
    /// A file that cannot be read, an unknown name, a number out of range (with the range).
    pub fn resolve(config: RunConfig, file: Option<&Path>) -> Result<Self> {
        let Some(path) = file else { return Self::check(config) };
        let saved = RunConfig::read(path)?;
        let alone = saved.clone();
        // What is wrong with the file alone is the file's fault, not that of `config`.
        Self::check(config.over_saved(saved)).map_err(|why| match Self::check(alone) {
            Err(same) if same.to_string() == why.to_string() => why.of_file(path),
            _ => why,
        })
    }

    /// Fills the defaults in, and checks the result.
    ///
    /// # Errors
    /// As [`Settings::resolve`], but for the file.
    pub fn check(given: RunConfig) -> Result<Self> {
        let source = given.data.clone().unwrap_or(defaults::DATA);
        let defaults = defaults::of(&source);
        let below = match given.neuron {
            Some(neuron) => neuron::defaults(neuron)?.over(defaults),
            None => defaults,
        };
        let mut config = given.over(below);
        check_ranges(&config)?;
        let surrogate = surrogate(&mut config)?;
        let events = EventSettings::new(&source, &config)?;
        let augment = match events {
            Some(_) => Augment::NONE,
            None => augmentation(&config)?.of_images().map_err(|why| wrong_augmentation(&config, &why))?,
        };
        let shape = Self::promised_shape(&source, events.as_ref());
        let mut train = train_config(&config, surrogate, shape)?;
        train.check().map_err(Error::setting)?;
        train.net.input = events.as_ref().map_or(Input::Still, EventSettings::input);
        if events.is_some() && train.net.twin && train.net.timesteps > 1 {
            let t = train.net.timesteps;
            return Err(Error::setting(format!(
                "--twin reads 1 image, events give one for each of {t} steps; use --timesteps 1"
            )));
        }
        Ok(Self { config, source, augment, events, train })
    }

    /// The shape of what the net reads, as far as the data set's name and the settings tell.
    pub fn shape(&self) -> Shape {
        Self::promised_shape(&self.source, self.events.as_ref())
    }

    fn promised_shape(source: &Source, events: Option<&EventSettings>) -> Shape {
        let shape = Shape::of(source);
        match (events.and_then(|events| events.size), events.and_then(|events| events.sensor)) {
            (Some(side), _) => Shape { height: side, width: side, ..shape },
            (None, Some(sensor)) => Shape { height: sensor.height, width: sensor.width, ..shape },
            (None, None) => shape,
        }
    }

    /// The trainer's configuration for images of this shape.
    pub fn train_config(&self, shape: Shape) -> TrainConfig {
        let mut train = self.train.clone();
        (train.net.channels, train.net.height) = (shape.channels, shape.height);
        (train.net.width, train.net.classes) = (shape.width, shape.classes);
        train
    }

    /// Images a batch.
    pub fn batch(&self) -> usize {
        self.train.batch
    }

    /// Passes over the training images.
    pub fn epochs(&self) -> usize {
        self.train.epochs
    }

    /// The seed of all chance.
    pub fn seed(&self) -> u64 {
        self.train.seed
    }

    /// What the scoring images are: never to be trained on, but also those by which the best epoch is chosen.
    pub fn scored_on(&self) -> &'static str {
        if self.config.holdout.is_some() { "held-out" } else { "test" }
    }

    /// Keeps no frames, whatever the settings say.
    pub fn without_cache(mut self) -> Self {
        if let Some(events) = &mut self.events {
            events.cache = None;
        }
        self
    }

    /// The label that names the run: net and data set.
    pub fn title(&self) -> String {
        let data = self.source.to_string();
        let data = data.strip_prefix("synthetic:").unwrap_or(data.split(':').next().unwrap_or(""));
        format!("{}-{data}", self.train.net.name())
    }
}

/// The SIMD level that is asked for, or the best.
///
/// # Errors
/// This processor has no level that the kernels are compiled for.
pub fn level(asked: Option<Level>) -> Result<Level> {
    match asked {
        Some(level) => Ok(level),
        None => Level::detect().map_err(Error::setting),
    }
}

/// The value of a setting that has a default.
fn given<T>(setting: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| Error::setting(format!("--{setting} has no value")))
}

/// The augmentation that is asked for.
fn augmentation(config: &RunConfig) -> Result<&Augmentation> {
    given("augment", config.augment.as_ref())
}

/// Explains names of augmentations that do not belong to the data set.
fn wrong_augmentation(config: &RunConfig, why: &DataError) -> Error {
    let names = config.augment.as_ref().map(ToString::to_string).unwrap_or_default();
    Error::setting(format!("--augment {names}: {why}"))
}

/// Checks that counts are at least 1.
fn check_counts(config: &RunConfig) -> Result<()> {
    let counts = [
        ("timesteps", config.timesteps),
        ("batch", config.batch),
        ("epochs", config.epochs),
        ("limit", config.limit),
        ("holdout", config.holdout),
    ];
    match counts.iter().find(|(_, value)| *value == Some(0)) {
        Some((setting, _)) => Err(Error::setting(format!("--{setting} is 0, must be at least 1"))),
        None => Ok(()),
    }
}

/// Checks every number against its range.
fn check_ranges(config: &RunConfig) -> Result<()> {
    check_counts(config)?;
    let wide = |x: Option<f32>| x.map(f64::from);
    let most = f64::from(f32::MAX);
    let tiny = f64::from(f32::MIN_POSITIVE);
    let ranges = [
        ("width", config.width, tiny, 1024.0),
        ("threshold", wide(config.threshold), tiny, most),
        ("decay", wide(config.decay), 0.0, 1.0),
        ("window", wide(config.window), tiny, most),
        ("alpha", wide(config.alpha), tiny, most),
        ("delta", wide(config.delta), -most, most),
        ("tet-lambda", wide(config.tet_lambda), 0.0, 1.0),
        ("tet-phi", wide(config.tet_phi), -most, most),
        ("mse-correct", wide(config.mse_correct), -most, most),
        ("mse-incorrect", wide(config.mse_incorrect), -most, most),
        ("label-smoothing", wide(config.label_smoothing), 0.0, 0.999),
        ("beta", wide(config.beta), 0.0, most),
        ("lr", wide(config.lr), tiny, most),
        ("weight-decay", wide(config.weight_decay), 0.0, most),
        ("momentum", wide(config.momentum), 0.0, 0.999_999),
        ("clip", wide(config.clip), 0.0, most),
        ("step-every", config.step_every, tiny, most),
        ("step-factor", wide(config.step_factor), tiny, most),
        ("warmup", config.warmup, 0.0, most),
    ];
    for (setting, value, low, high) in ranges {
        if let Some(value) = value.filter(|value| !(low..=high).contains(value)) {
            let bound = match (low == tiny, high == most) {
                (true, true) => "must be above 0".to_string(),
                (false, true) => format!("must be at least {low}"),
                (true, false) => format!("must be above 0 and at most {high}"),
                (false, false) => format!("must be from {low} to {high}"),
            };
            return Err(Error::setting(format!("--{setting} is {value}, {bound}")));
        }
    }
    Ok(())
}

/// Makes the surrogate, and writes the parameter it ends up with back to the settings.
fn surrogate(config: &mut RunConfig) -> Result<Surrogate> {
    let name = given("surrogate", config.surrogate)?;
    let (parameter, other, wants, has) = match name.is_windowed() {
        true => (config.window, config.alpha, "window", "alpha"),
        false => (config.alpha, config.window, "alpha", "window"),
    };
    let surrogate = Surrogate::named(name.as_str(), parameter).map_err(Error::setting)?;
    if other.is_some() {
        return Err(Error::setting(format!("the {name} surrogate takes --{wants}, not --{has}")));
    }
    match name.is_windowed() {
        true => config.window = surrogate.parameter(),
        false => config.alpha = surrogate.parameter(),
    }
    Ok(surrogate)
}

/// Makes the optimiser.
fn optimizer(config: &RunConfig) -> Result<Optimizer> {
    let decay = given("weight-decay", config.weight_decay)?;
    Ok(match given("optimizer", config.optimizer)? {
        OptimizerName::Adam => Optimizer::adam(decay),
        OptimizerName::AdamW => Optimizer::adamw(decay),
        OptimizerName::Sgd => {
            Optimizer::sgd(given("momentum", config.momentum)?, given("nesterov", config.nesterov)?, decay)
        }
    })
}

/// Makes the loss.
fn loss(config: &RunConfig) -> Result<LossConfig> {
    let kind = match given("loss", config.loss)? {
        LossName::Ce => LossKind::CrossEntropy,
        LossName::Mse => LossKind::Mse {
            correct: given("mse-correct", config.mse_correct)?,
            incorrect: given("mse-incorrect", config.mse_incorrect)?,
        },
        LossName::Tet => LossKind::Tet {
            lambda: given("tet-lambda", config.tet_lambda)?,
            phi: given("tet-phi", config.tet_phi)?,
        },
    };
    Ok(LossConfig::new(kind).label_smoothing(given("label-smoothing", config.label_smoothing)?))
}

/// Makes the schedule.
fn schedule(config: &RunConfig) -> Result<Schedule> {
    Ok(match given("schedule", config.schedule)? {
        ScheduleName::Cosine => Schedule::Cosine,
        ScheduleName::Constant => Schedule::Constant,
        ScheduleName::Step => Schedule::Step {
            every_epochs: given("step-every", config.step_every)?,
            factor: given("step-factor", config.step_factor)?,
        },
    })
}

/// Chooses how layers are computed.
fn kernels(config: &RunConfig) -> Result<Kernels> {
    let input_gradient = match given("input-gradient", config.input_gradient)? {
        InputGradientName::Auto => None,
        InputGradientName::Direct => Some(InputGradient::Direct),
        InputGradientName::Winograd2 => Some(InputGradient::Winograd2),
        InputGradientName::Winograd4 => Some(InputGradient::Winograd4),
    };
    let delta = match given("delta-kernels", config.delta_kernels)? {
        DeltaName::Auto => DeltaKernels::Auto,
        DeltaName::Off => DeltaKernels::Off,
        DeltaName::On => DeltaKernels::On,
    };
    Ok(Kernels { input_gradient, delta })
}

/// Puts the trainer's configuration together.
fn train_config(config: &RunConfig, surrogate: Surrogate, shape: Shape) -> Result<TrainConfig> {
    let lif = neuron::config(config, surrogate)?;
    let net =
        NetConfig::new(given("net", config.net)?, shape.channels, shape.height, shape.width, shape.classes)
            .scale(given("width", config.width)?)
            .timesteps(given("timesteps", config.timesteps)?)
            .input(Input::Still)
            .lif(lif)
            .norm(given("norm", config.norm)?)
            .readout(given("readout", config.readout)?)
            .kernels(kernels(config)?)
            .memory(given("memory", config.memory)?)
            .twin(given("twin", config.twin)?);
    Ok(TrainConfig::new(net)
        .batch(given("batch", config.batch)?)
        .loss(loss(config)?)
        .beta(given("beta", config.beta)?)
        .optimizer(optimizer(config)?)
        .lr(given("lr", config.lr)?)
        .schedule(schedule(config)?)
        .warmup_epochs(given("warmup", config.warmup)?)
        .clip(config.clip.filter(|&norm| norm > 0.0))
        .epochs(given("epochs", config.epochs)?)
        .seed(given("seed", config.seed)?)
        .init(given("init", config.init)?))
}

#[cfg(test)]
mod tests;
