//! From flags to a checked configuration: every setting has a value, and the value makes sense.

use crate::defaults;
use crate::event_settings::EventSettings;
use crate::failure::Failure;
use crate::flags::Flags;
use spikegrad::TrainConfig;
use spikegrad::bptt::{LifConfig, LossConfig, LossKind, Optimizer, Schedule, Surrogate};
use spikegrad::data::events::motion;
use spikegrad::data::{Augment, SampleSet, Source};
use spikegrad::models::{Architecture, Input, Kernels, NetConfig};
use spikegrad::tensor::Level;
use spikegrad::tensor::conv::{DeltaKernels, InputGradient};
use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;

/// Under this name a checkpoint's metadata holds its run's settings, as TOML.
pub const CONFIG: &str = "config";

/// Settings with every default filled in, parsed and checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// As they go into `config.toml`.
    pub flags: Flags,
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
        let (channels, side, classes) = match source {
            Source::NMnist(_) => (2, 34, 10),
            Source::Cifar10Dvs(_) => (2, 128, 10),
            Source::Events(_) => (2, 48, source.list_events(0).map_or(2, |split| split.class_names.len())),
            Source::Motion => (2, motion::SIDE, motion::NAMES.len()),
            Source::Cifar10(_) => (3, 32, 10),
            Source::Cifar100(_) => (3, 32, 100),
            Source::Mnist(_) => (1, 28, 10),
            Source::Shapes => (3, spikegrad::data::shapes::SIDE, spikegrad::data::shapes::NAMES.len()),
        };
        Self { channels, height: side, width: side, classes }
    }

    /// The shape of a set that has been read.
    pub fn of_set(set: &SampleSet) -> Self {
        let [channels, height, width] = set.shape();
        Self { channels, height, width, classes: set.classes() }
    }
}

impl Settings {
    /// Lays flags over an optional file over the defaults, and checks the result.
    ///
    /// # Errors
    /// A file that cannot be read, an unknown name, a number out of range (with the range).
    pub fn resolve(flags: Flags, file: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = file else { return Self::check(flags) };
        let saved = Flags::read(path)?;
        let alone = saved.clone();
        // What is wrong with the file alone is the file's fault, not that of a flag.
        Self::check(flags.over_saved(saved)).map_err(|why| match Self::check(alone) {
            Err(same) if same == why => why.of_file(path),
            _ => why,
        })
    }

    /// Fills the defaults in, and checks the result.
    ///
    /// # Errors
    /// As [`Settings::resolve`], but for the file.
    pub fn check(given: Flags) -> Result<Self, Failure> {
        let source: Source =
            given.data.as_deref().unwrap_or(defaults::DATA).parse().map_err(Failure::usage)?;
        let mut flags = given.over(defaults::of(&source));
        check_ranges(&flags)?;
        let surrogate = surrogate(&mut flags)?;
        let events = EventSettings::new(&source, &flags)?;
        let augment = match events {
            Some(_) => Augment::NONE,
            None => name("augment", &flags.augment)?,
        };
        let shape = Self::promised_shape(&source, events.as_ref());
        let mut train = train_config(&flags, surrogate, shape)?;
        train.check().map_err(Failure::usage)?;
        train.net.input = events.as_ref().map_or(Input::Still, EventSettings::input);
        if events.is_some() && train.net.twin && train.net.timesteps > 1 {
            let t = train.net.timesteps;
            return Err(Failure::Usage(format!(
                "--twin reads 1 image, events give one for each of {t} steps; use --timesteps 1"
            )));
        }
        Ok(Self { flags, source, augment, events, train })
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
        if self.flags.holdout.is_some() { "held-out" } else { "test" }
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

/// Finds the SIMD level that is asked for, or the best.
///
/// # Errors
/// An unknown name, or a level this processor lacks.
pub fn level(name: Option<&str>) -> Result<Level, Failure> {
    match name {
        Some(name) => name.parse().map_err(|why| Failure::usage(format!("--level: {why}"))),
        None => Level::detect().map_err(Failure::usage),
    }
}

/// Parses a setting that has a default, saying which one is wrong.
pub fn name<T: FromStr<Err: Display>>(setting: &str, value: &Option<String>) -> Result<T, Failure> {
    let value = value.as_deref().unwrap_or("");
    value.parse().map_err(|why| Failure::Usage(format!("--{setting} {value}: {why}")))
}

/// Parses one of a few names of our own.
fn choice<'a>(setting: &str, value: &'a Option<String>, known: &[&str]) -> Result<&'a str, Failure> {
    let value = value.as_deref().unwrap_or("");
    if known.contains(&value) {
        return Ok(value);
    }
    Err(Failure::Usage(format!("--{setting} is {value:?}, must be one of {}", known.join(", "))))
}

/// Checks that counts are at least 1.
fn check_counts(flags: &Flags) -> Result<(), Failure> {
    let counts = [
        ("timesteps", flags.timesteps),
        ("batch", flags.batch),
        ("epochs", flags.epochs),
        ("limit", flags.limit),
        ("holdout", flags.holdout),
    ];
    match counts.iter().find(|(_, value)| *value == Some(0)) {
        Some((setting, _)) => Err(Failure::Usage(format!("--{setting} is 0, must be at least 1"))),
        None => Ok(()),
    }
}

/// Checks every number against its range.
fn check_ranges(flags: &Flags) -> Result<(), Failure> {
    check_counts(flags)?;
    let wide = |x: Option<f32>| x.map(f64::from);
    let most = f64::from(f32::MAX);
    let tiny = f64::from(f32::MIN_POSITIVE);
    let ranges = [
        ("width", flags.width, tiny, 1024.0),
        ("threshold", wide(flags.threshold), tiny, most),
        ("decay", wide(flags.decay), 0.0, 1.0),
        ("window", wide(flags.window), tiny, most),
        ("alpha", wide(flags.alpha), tiny, most),
        ("delta", wide(flags.delta), -most, most),
        ("tet-lambda", wide(flags.tet_lambda), 0.0, 1.0),
        ("tet-phi", wide(flags.tet_phi), -most, most),
        ("label-smoothing", wide(flags.label_smoothing), 0.0, 0.999),
        ("beta", wide(flags.beta), 0.0, most),
        ("lr", wide(flags.lr), tiny, most),
        ("weight-decay", wide(flags.weight_decay), 0.0, most),
        ("momentum", wide(flags.momentum), 0.0, 0.999_999),
        ("clip", wide(flags.clip), 0.0, most),
        ("step-every", flags.step_every, tiny, most),
        ("step-factor", wide(flags.step_factor), tiny, most),
        ("warmup", flags.warmup, 0.0, most),
    ];
    for (setting, value, low, high) in ranges {
        if let Some(value) = value.filter(|value| !(low..=high).contains(value)) {
            let bound = match (low == tiny, high == most) {
                (true, true) => "must be above 0".to_string(),
                (false, true) => format!("must be at least {low}"),
                (true, false) => format!("must be above 0 and at most {high}"),
                (false, false) => format!("must be from {low} to {high}"),
            };
            return Err(Failure::Usage(format!("--{setting} is {value}, {bound}")));
        }
    }
    Ok(())
}

/// Makes the surrogate, and writes the parameter it ends up with back to the settings.
fn surrogate(flags: &mut Flags) -> Result<Surrogate, Failure> {
    let name = flags.surrogate.clone().unwrap_or_default();
    let windowed = matches!(name.as_str(), "rectangle" | "triangle");
    let (parameter, other, wants, has) = match windowed {
        true => (flags.window, flags.alpha, "window", "alpha"),
        false => (flags.alpha, flags.window, "alpha", "window"),
    };
    let surrogate = Surrogate::named(&name, parameter).map_err(Failure::usage)?;
    if other.is_some() {
        return Err(Failure::Usage(format!("the {name} surrogate takes --{wants}, not --{has}")));
    }
    match windowed {
        true => flags.window = surrogate.parameter(),
        false => flags.alpha = surrogate.parameter(),
    }
    Ok(surrogate)
}

/// Makes the optimiser.
fn optimizer(flags: &Flags) -> Result<Optimizer, Failure> {
    let decay = flags.weight_decay.unwrap_or(0.0);
    Ok(match choice("optimizer", &flags.optimizer, &["adam", "adamw", "sgd"])? {
        "adam" => Optimizer::adam(decay),
        "adamw" => Optimizer::adamw(decay),
        _ => Optimizer::sgd(flags.momentum.unwrap_or(0.9), flags.nesterov.unwrap_or(false), decay),
    })
}

/// Makes the loss.
fn loss(flags: &Flags) -> Result<LossConfig, Failure> {
    let kind = match choice("loss", &flags.loss, &["ce", "tet"])? {
        "ce" => LossKind::CrossEntropy,
        _ => LossKind::Tet { lambda: flags.tet_lambda.unwrap_or(0.05), phi: flags.tet_phi.unwrap_or(1.0) },
    };
    Ok(LossConfig { kind, label_smoothing: flags.label_smoothing.unwrap_or(0.0) })
}

/// Makes the schedule.
fn schedule(flags: &Flags) -> Result<Schedule, Failure> {
    Ok(match choice("schedule", &flags.schedule, &["cosine", "constant", "step"])? {
        "cosine" => Schedule::Cosine,
        "constant" => Schedule::Constant,
        _ => Schedule::Step {
            every_epochs: flags.step_every.unwrap_or(30.0),
            factor: flags.step_factor.unwrap_or(0.1),
        },
    })
}

/// Chooses how layers are computed.
fn kernels(flags: &Flags) -> Result<Kernels, Failure> {
    let forms = ["auto", "direct", "winograd2", "winograd4"];
    let input_gradient = match choice("input-gradient", &flags.input_gradient, &forms)? {
        "direct" => Some(InputGradient::Direct),
        "winograd2" => Some(InputGradient::Winograd2),
        "winograd4" => Some(InputGradient::Winograd4),
        _ => None,
    };
    let delta = match choice("delta-kernels", &flags.delta_kernels, &["auto", "off", "on"])? {
        "off" => DeltaKernels::Off,
        "on" => DeltaKernels::On,
        _ => DeltaKernels::Auto,
    };
    Ok(Kernels { input_gradient, delta })
}

/// Puts the trainer's configuration together.
fn train_config(flags: &Flags, surrogate: Surrogate, shape: Shape) -> Result<TrainConfig, Failure> {
    choice("precision", &flags.precision, &["f32"])?;
    let lif = LifConfig {
        decay: flags.decay.unwrap_or(0.5),
        threshold: flags.threshold.unwrap_or(0.5),
        reset: name("reset", &flags.reset)?,
        surrogate,
        delta: flags.delta.unwrap_or(1e-4),
        ..LifConfig::default()
    };
    let net = NetConfig {
        architecture: Architecture::Named(name("net", &flags.net)?),
        channels: shape.channels,
        height: shape.height,
        width: shape.width,
        classes: shape.classes,
        scale: flags.width.unwrap_or(1.0),
        timesteps: flags.timesteps.unwrap_or(2),
        input: Input::Still,
        lif,
        norm: name("norm", &flags.norm)?,
        kernels: kernels(flags)?,
        memory: name("memory", &flags.memory)?,
        twin: flags.twin.unwrap_or(false),
        smooth: false,
    };
    Ok(TrainConfig {
        net,
        batch: flags.batch.unwrap_or(50),
        loss: loss(flags)?,
        beta: flags.beta.unwrap_or(0.0),
        optimizer: optimizer(flags)?,
        lr: flags.lr.unwrap_or(1e-3),
        schedule: schedule(flags)?,
        warmup_epochs: flags.warmup.unwrap_or(0.0),
        clip: flags.clip.filter(|&norm| norm > 0.0),
        epochs: flags.epochs.unwrap_or(1),
        seed: flags.seed.unwrap_or(0),
        init: name("init", &flags.init)?,
        groups: Vec::new(),
        weight_mean: None,
        class_names: Vec::new(),
    })
}

#[cfg(test)]
mod tests;
