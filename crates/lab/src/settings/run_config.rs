//! The settings of a run: the same names as flags, in a TOML file, and in the run folder's `config.toml`.
//!
//! | source | wins over |
//! |---|---|
//! | flags | the file |
//! | `--config FILE` | the defaults |
//! | defaults ([`super::defaults`]), by data set | |

use super::by_name;
use super::names::{
    Augmentation, DeltaName, InputGradientName, LossName, NeuronName, OptimizerName, Precision, ScheduleName,
    SurrogateName,
};
use crate::files;
use crate::{Error, Result};
use serde::{Deserialize, Serialize, Serializer};
use spikegrad::bptt::lif::{Firing, InputScale, Learn};
use spikegrad::bptt::{Readout, Reset};
use spikegrad::data::Source;
use spikegrad::data::events::{Resample, Sensor, Slicing, Values};
use spikegrad::models::{Init, Memory, NetKind, Norm};
use std::path::Path;

/// Declares the settings once: flag, TOML key, and how one set is laid over another.
macro_rules! settings {
    ($( $(#[$attribute:meta])* $name:ident: $type:ty, )*) => {
        /// Every setting of a run, each given or not.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
        #[non_exhaustive]
        pub struct RunConfig {
            $( $(#[$attribute])* #[serde(skip_serializing_if = "Option::is_none")] pub $name: Option<$type>, )*
        }

        impl RunConfig {
            /// The names of all settings.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];

            /// Lays these settings over others: what is not given here comes from `below`.
            pub fn over(self, below: RunConfig) -> RunConfig {
                RunConfig { $( $name: self.$name.or(below.$name), )* }
            }

            /// Names the settings that are given, as flags spell them.
            pub fn given(&self) -> Vec<String> {
                let mut names = Vec::new();
                $( if self.$name.is_some() { names.push(stringify!($name).replace('_', "-")); } )*
                names
            }
        }
    };
}

settings! {
    /// Data set: cifar10:DIR, cifar100:DIR, mnist:DIR or synthetic:shapes; of events: nmnist:DIR, cifar10dvs:DIR,
    /// events:DIR (a folder for each class) or synthetic:motion
    #[serde(with = "by_name")]
    data: Source,
    /// Train on the first N images
    limit: usize,
    /// Score on the last N training images instead of the test images
    holdout: usize,
    /// Some of crop,flip,cutout,autoaugment, or none; of events: some of flip,roll,jitter,drop
    #[serde(with = "by_name")]
    augment: Augmentation,
    /// How events become T frames: count (equal parts, the last takes the rest), time, tonic-count, tonic-time (the
    /// rest is dropped) or window:MICROSECONDS
    #[serde(with = "by_name")]
    frames: Slicing,
    /// What a cell of a frame holds: counts, binary (spikes, computed on bits) or normalised
    #[serde(with = "by_name")]
    values: Values,
    /// Rows and columns of a frame; 0: the sensor's
    frame_size: usize,
    /// How the sensor is brought to that size: nearest or area
    #[serde(with = "by_name")]
    resample: Resample,
    /// Columns and rows of the camera of events:DIR; default: what the recordings state or fill, once for a run
    #[serde(with = "by_name")]
    sensor: Sensor,
    /// Number of the stream of events to take from recordings that have several; default: the first
    stream: u32,
    /// Folder that keeps frames from run to run, or none
    cache: String,
    /// Net, by name; `spikegrad nets` lists them
    #[serde(with = "by_name")]
    net: NetKind,
    /// Factor on the number of channels
    width: f64,
    /// Time steps T
    timesteps: usize,
    /// Normalisation: bn, tdbn, step-bn, bntt or tebn
    #[serde(with = "by_name")]
    norm: Norm,
    /// Train the ReLU twin: the same net with max(0, x) for neurons
    twin: bool,
    /// Initial weights: uniform or kaiming
    #[serde(with = "by_name")]
    init: Init,
    /// Neuron, by name; `spikegrad neurons` lists them; default: lif
    #[serde(with = "by_name")]
    neuron: NeuronName,
    /// Threshold V_th
    #[serde(serialize_with = "shortest")]
    threshold: f32,
    /// Share τ of the membrane kept from step to step
    #[serde(serialize_with = "shortest")]
    decay: f32,
    /// Learn the decay, beginning at --decay (PLIF): layer (one a layer), channel (one a channel) or no
    #[serde(with = "by_name::switch")]
    learn_decay: Learn,
    /// Learn the threshold, beginning at --threshold: layer, channel or no
    #[serde(with = "by_name::switch")]
    learn_threshold: Learn,
    /// Learn the numbers of the neuron's kind (adaptation, synaptic decay or gates): layer, channel or no
    #[serde(with = "by_name::switch")]
    learn_kind: Learn,
    /// Factor on the input current: one, leak (1 − τ) or a number; default: one
    #[serde(with = "by_name::or_number")]
    input_scale: InputScale,
    /// Value at which the membrane rests and to which a hard reset sets it; default: 0
    #[serde(serialize_with = "shortest")]
    reset_value: f32,
    /// What a soft reset takes off the membrane; default: the threshold
    #[serde(serialize_with = "shortest")]
    reset_amount: f32,
    /// Membranes that fire: above the threshold, or at-or-above; default: above
    #[serde(with = "by_name")]
    firing: Firing,
    /// Share ρ of an adaptive threshold's rise that is kept from step to step
    #[serde(serialize_with = "shortest")]
    adaptation_decay: f32,
    /// Rise β of an adaptive threshold with every spike
    #[serde(serialize_with = "shortest")]
    adaptation: f32,
    /// Share α of a synaptic current that is kept from step to step
    #[serde(serialize_with = "shortest")]
    synapse: f32,
    /// Reset: hard, hard-detached, soft or soft-detached
    #[serde(with = "by_name")]
    reset: Reset,
    /// Surrogate: rectangle, triangle, arctan, sigmoid, gaussian, fast-sigmoid or dspike
    #[serde(with = "by_name")]
    surrogate: SurrogateName,
    /// Half width of the rectangle or triangle
    #[serde(serialize_with = "shortest")]
    window: f32,
    /// Steepness of the other surrogates
    #[serde(serialize_with = "shortest")]
    alpha: f32,
    /// Strength δ of surrogate gradient scaling, of either sign; 0: off
    #[serde(serialize_with = "shortest")]
    delta: f32,
    /// Read-out of the outputs over time: mean, sum, last, max or latency
    #[serde(with = "by_name")]
    readout: Readout,
    /// Loss: ce, mse or tet
    #[serde(with = "by_name")]
    loss: LossName,
    /// Target of the label's class in mse
    #[serde(serialize_with = "shortest")]
    mse_correct: f32,
    /// Target of the other classes in mse
    #[serde(serialize_with = "shortest")]
    mse_incorrect: f32,
    /// Weight of TET's regression term
    #[serde(serialize_with = "shortest")]
    tet_lambda: f32,
    /// Target of TET's regression term
    #[serde(serialize_with = "shortest")]
    tet_phi: f32,
    /// Share of the label spread over all classes
    #[serde(serialize_with = "shortest")]
    label_smoothing: f32,
    /// Coefficient β of the Lipschitz term; 0: off
    #[serde(serialize_with = "shortest")]
    beta: f32,
    /// Optimiser: adam, adamw or sgd
    #[serde(with = "by_name")]
    optimizer: OptimizerName,
    /// Learning rate
    #[serde(serialize_with = "shortest")]
    lr: f32,
    /// Weight decay
    #[serde(serialize_with = "shortest")]
    weight_decay: f32,
    /// Momentum of SGD
    #[serde(serialize_with = "shortest")]
    momentum: f32,
    /// Nesterov's form of SGD
    nesterov: bool,
    /// Largest gradient norm; 0: no limit
    #[serde(serialize_with = "shortest")]
    clip: f32,
    /// Learning rate over time: cosine, constant or step
    #[serde(with = "by_name")]
    schedule: ScheduleName,
    /// Epochs between the drops of the step schedule
    step_every: f64,
    /// Factor of a drop of the step schedule
    #[serde(serialize_with = "shortest")]
    step_factor: f32,
    /// Epochs over which the learning rate first rises from 0
    warmup: f64,
    /// Images a batch
    batch: usize,
    /// Passes over the training images
    epochs: usize,
    /// Seed of all chance
    seed: u64,
    /// Arithmetic: f32
    #[serde(with = "by_name")]
    precision: Precision,
    /// What a step keeps of activations: f32, bf16 (half the bytes, rounded) or recompute (bits alone)
    #[serde(with = "by_name")]
    memory: Memory,
    /// Input gradient of 3×3 convolutions: auto, direct, winograd2 or winograd4
    #[serde(with = "by_name")]
    input_gradient: InputGradientName,
    /// Compute later time steps from the spikes that changed: auto, off or on
    #[serde(with = "by_name")]
    delta_kernels: DeltaName,
}

/// Writes a number with as few digits as give its bits back: TOML and JSON would spell an f32 out as an f64.
fn shortest<S: Serializer>(number: &Option<f32>, to: S) -> std::result::Result<S::Ok, S::Error> {
    let Some(number) = number else { return to.serialize_none() };
    let short = number.to_string().parse::<f64>().ok().filter(|short| *short as f32 == *number);
    to.serialize_f64(short.unwrap_or(f64::from(*number)))
}

impl RunConfig {
    /// Reads settings from a TOML file.
    ///
    /// # Errors
    /// A missing file, broken TOML, or an unknown key, with its name and line.
    pub fn read(path: &Path) -> Result<RunConfig> {
        RunConfig::parse(&files::read_text(path).map_err(|why| Error::at(path, why))?, path)
    }

    /// Parses the TOML settings that the file at `path` holds.
    ///
    /// # Errors
    /// As [`RunConfig::read`], but for the missing file.
    pub fn parse(text: &str, path: &Path) -> Result<RunConfig> {
        toml::from_str(text).map_err(|why| {
            let before = |end: usize| text.bytes().take(end).filter(|&byte| byte == b'\n').count();
            match why.span() {
                Some(span) => Error::at(path, format!("line {}: {}", before(span.start) + 1, why.message())),
                None => Error::at(path, why.message()),
            }
        })
    }

    /// Lays these settings over those of a run; a surrogate given here drops the run's window and alpha, another data set
    /// takes the run's sensor over where it has none of its own.
    pub fn over_saved(self, mut below: RunConfig) -> RunConfig {
        if let (Some(given), Some(saved)) = (&self.data, &below.data) {
            below.sensor =
                below.sensor.or(saved.sensor()).filter(|_| given.is_events() && given.sensor().is_none());
        }
        if self.surrogate.is_some() || self.window.is_some() || self.alpha.is_some() {
            (below.window, below.alpha) = (None, None);
        }
        self.over(below)
    }

    /// Writes the settings as TOML.
    ///
    /// # Errors
    /// None in practice; the serialiser's words if ever.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(Error::input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_settings_win() {
        let upper = RunConfig { lr: Some(0.5), ..RunConfig::default() };
        let lower = RunConfig { lr: Some(0.1), batch: Some(3), ..RunConfig::default() };
        let both = upper.over(lower);
        assert_eq!((both.lr, both.batch), (Some(0.5), Some(3)));
        assert_eq!(both.given(), ["lr", "batch"]);
    }

    #[test]
    fn the_sensor_belongs_to_the_run() {
        let sensor = |saved: (&str, Option<&str>), given: &str| {
            let below = RunConfig {
                data: Some(saved.0.parse().unwrap()),
                sensor: saved.1.map(|s| s.parse().unwrap()),
                ..RunConfig::default()
            };
            let above = RunConfig { data: Some(given.parse().unwrap()), ..RunConfig::default() };
            above.over_saved(below).sensor.map(|sensor| sensor.to_string())
        };
        assert_eq!(sensor(("events:a", Some("40x30")), "events:b").as_deref(), Some("40x30"));
        assert_eq!(sensor(("nmnist:a", None), "events:b").as_deref(), Some("34x34"));
        assert_eq!(sensor(("events:a", Some("40x30")), "nmnist:b"), None);
        assert_eq!(sensor(("mnist:a", None), "mnist:b"), None);
    }

    #[test]
    fn toml_comes_back() {
        let mut config =
            RunConfig { weight_decay: Some(1e-4), net: Some(NetKind::Mlp), ..RunConfig::default() };
        assert_eq!(config.to_toml().unwrap(), "net = \"mlp\"\nweight-decay = 0.0001\n");
        let mut rng = spikegrad::data::rng::Rng::new(3);
        for _ in 0..10_000 {
            let number = f32::from_bits(rng.u64() as u32);
            config.lr = Some(number).filter(|number| number.is_finite());
            assert_eq!(toml::from_str::<RunConfig>(&config.to_toml().unwrap()).unwrap(), config);
        }
    }
}
