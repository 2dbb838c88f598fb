//! The settings of a run: the same names as flags, in a TOML file, and in the run folder's `config.toml`.
//!
//! | source | wins over |
//! |---|---|
//! | flags | the file |
//! | `--config FILE` | the defaults |
//! | defaults ([`crate::defaults`]), by data set | |

use crate::failure::Failure;
use crate::files;
use clap::Args;
use serde::{Deserialize, Serialize, Serializer};
use spikegrad::data::Source;
use std::path::Path;

/// Declares the settings once: flag, TOML key, and how one set is laid over another.
macro_rules! settings {
    ($( $(#[$attribute:meta])* $name:ident: $type:ty, )*) => {
        /// Every setting of a run, each given or not.
        #[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
        pub struct Flags {
            $( $(#[$attribute])* #[serde(skip_serializing_if = "Option::is_none")] pub $name: Option<$type>, )*
        }

        impl Flags {
            /// Lays these settings over others: what is not given here comes from `below`.
            pub fn over(self, below: Flags) -> Flags {
                Flags { $( $name: self.$name.or(below.$name), )* }
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
    #[arg(long, value_name = "NAME[:DIR]", help_heading = "Data")]
    data: String,
    /// Train on the first N images
    #[arg(long, value_name = "N", help_heading = "Data")]
    limit: usize,
    /// Score on the last N training images instead of the test images
    #[arg(long, value_name = "N", help_heading = "Data")]
    holdout: usize,
    /// Some of crop,flip,cutout,autoaugment, or none; of events: some of flip,roll,jitter,drop
    #[arg(long, value_name = "LIST", help_heading = "Data")]
    augment: String,
    /// How events become T frames: count (equal parts, the last takes the rest), time, tonic-count, tonic-time (the
    /// rest is dropped) or window:MICROSECONDS
    #[arg(long, value_name = "HOW", help_heading = "Events")]
    frames: String,
    /// What a cell of a frame holds: counts, binary (spikes, computed on bits) or normalised
    #[arg(long, value_name = "NAME", help_heading = "Events")]
    values: String,
    /// Rows and columns of a frame; 0: the sensor's
    #[arg(long, value_name = "N", help_heading = "Events")]
    frame_size: usize,
    /// How the sensor is brought to that size: nearest or area
    #[arg(long, value_name = "NAME", help_heading = "Events")]
    resample: String,
    /// Columns and rows of the camera of events:DIR; default: what the recordings state or fill, once for a run
    #[arg(long, value_name = "WIDTHxHEIGHT", help_heading = "Events")]
    sensor: String,
    /// Number of the stream of events to take from recordings that have several; default: the first
    #[arg(long, value_name = "N", help_heading = "Events")]
    stream: u32,
    /// Folder that keeps frames from run to run, or none
    #[arg(long, value_name = "DIR", help_heading = "Events")]
    cache: String,
    /// Net: resnet19, lenet or mlp; for events also vggsnn, vggsnn-stride or eventnet
    #[arg(long, value_name = "NAME", help_heading = "Net")]
    net: String,
    /// Factor on the number of channels
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true, help_heading = "Net")]
    width: f64,
    /// Time steps T
    #[arg(long, value_name = "T", help_heading = "Net")]
    timesteps: usize,
    /// Normalisation: bn or tdbn
    #[arg(long, value_name = "NAME", help_heading = "Net")]
    norm: String,
    /// Train the ReLU twin: the same net with max(0, x) for neurons
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", help_heading = "Net")]
    twin: bool,
    /// Initial weights: uniform or kaiming
    #[arg(long, value_name = "NAME", help_heading = "Net")]
    init: String,
    /// Threshold V_th
    #[arg(long, value_name = "V", allow_negative_numbers = true, help_heading = "Neuron")]
    #[serde(serialize_with = "shortest")]
    threshold: f32,
    /// Share τ of the membrane kept from step to step
    #[arg(long, value_name = "TAU", allow_negative_numbers = true, help_heading = "Neuron")]
    #[serde(serialize_with = "shortest")]
    decay: f32,
    /// Reset: hard, hard-detached, soft or soft-detached
    #[arg(long, value_name = "NAME", help_heading = "Neuron")]
    reset: String,
    /// Surrogate: rectangle, triangle, arctan, sigmoid, gaussian, fast-sigmoid or dspike
    #[arg(long, value_name = "NAME", help_heading = "Neuron")]
    surrogate: String,
    /// Half width of the rectangle or triangle
    #[arg(long, value_name = "W", allow_negative_numbers = true, help_heading = "Neuron")]
    #[serde(serialize_with = "shortest")]
    window: f32,
    /// Steepness of the other surrogates
    #[arg(long, value_name = "A", allow_negative_numbers = true, help_heading = "Neuron")]
    #[serde(serialize_with = "shortest")]
    alpha: f32,
    /// Strength δ of surrogate gradient scaling, of either sign; 0: off
    #[arg(long, value_name = "D", allow_negative_numbers = true, help_heading = "Neuron")]
    #[serde(serialize_with = "shortest")]
    delta: f32,
    /// Loss: ce or tet
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    loss: String,
    /// Weight of TET's regression term
    #[arg(long, value_name = "L", allow_negative_numbers = true, help_heading = "Training")]
    #[serde(serialize_with = "shortest")]
    tet_lambda: f32,
    /// Target of TET's regression term
    #[arg(long, value_name = "PHI", allow_negative_numbers = true, help_heading = "Training")]
    #[serde(serialize_with = "shortest")]
    tet_phi: f32,
    /// Share of the label spread over all classes
    #[arg(long, value_name = "E", allow_negative_numbers = true, help_heading = "Training")]
    #[serde(serialize_with = "shortest")]
    label_smoothing: f32,
    /// Coefficient β of the Lipschitz term; 0: off
    #[arg(long, value_name = "B", allow_negative_numbers = true, help_heading = "Training")]
    #[serde(serialize_with = "shortest")]
    beta: f32,
    /// Optimiser: adam, adamw or sgd
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    optimizer: String,
    /// Learning rate
    #[arg(long, value_name = "LR", allow_negative_numbers = true, help_heading = "Training")]
    #[serde(serialize_with = "shortest")]
    lr: f32,
    /// Weight decay
    #[arg(long, value_name = "L", allow_negative_numbers = true, help_heading = "Training")]
    #[serde(serialize_with = "shortest")]
    weight_decay: f32,
    /// Momentum of SGD
    #[arg(long, value_name = "M", allow_negative_numbers = true, help_heading = "Training")]
    #[serde(serialize_with = "shortest")]
    momentum: f32,
    /// Nesterov's form of SGD
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", help_heading = "Training")]
    nesterov: bool,
    /// Largest gradient norm; 0: no limit
    #[arg(long, value_name = "NORM", allow_negative_numbers = true, help_heading = "Training")]
    #[serde(serialize_with = "shortest")]
    clip: f32,
    /// Learning rate over time: cosine, constant or step
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    schedule: String,
    /// Epochs between the drops of the step schedule
    #[arg(long, value_name = "N", allow_negative_numbers = true, help_heading = "Training")]
    step_every: f64,
    /// Factor of a drop of the step schedule
    #[arg(long, value_name = "F", allow_negative_numbers = true, help_heading = "Training")]
    #[serde(serialize_with = "shortest")]
    step_factor: f32,
    /// Epochs over which the learning rate first rises from 0
    #[arg(long, value_name = "N", allow_negative_numbers = true, help_heading = "Training")]
    warmup: f64,
    /// Images a batch
    #[arg(long, value_name = "N", help_heading = "Training")]
    batch: usize,
    /// Passes over the training images
    #[arg(long, value_name = "N", help_heading = "Training")]
    epochs: usize,
    /// Seed of all chance
    #[arg(long, value_name = "N", help_heading = "Training")]
    seed: u64,
    /// Arithmetic: f32
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    precision: String,
    /// What a step keeps of activations: f32, bf16 (half the bytes, rounded) or recompute (bits alone)
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    memory: String,
    /// Input gradient of 3×3 convolutions: auto, direct, winograd2 or winograd4
    #[arg(long, value_name = "FORM", help_heading = "Training")]
    input_gradient: String,
    /// Compute later time steps from the spikes that changed: auto, off or on
    #[arg(long, value_name = "WHEN", help_heading = "Training")]
    delta_kernels: String,
}

/// Writes a number with as few digits as give its bits back: TOML and JSON would spell an f32 out as an f64.
fn shortest<S: Serializer>(number: &Option<f32>, to: S) -> Result<S::Ok, S::Error> {
    let Some(number) = number else { return to.serialize_none() };
    let short = number.to_string().parse::<f64>().ok().filter(|short| *short as f32 == *number);
    to.serialize_f64(short.unwrap_or(f64::from(*number)))
}

impl Flags {
    /// Reads settings from a TOML file.
    ///
    /// # Errors
    /// A missing file, broken TOML, or an unknown key, with its name and line.
    pub fn read(path: &Path) -> Result<Flags, Failure> {
        Flags::parse(&files::read_text(path).map_err(|why| Failure::at(path, why))?, path)
    }

    /// Parses the TOML settings that the file at `path` holds.
    ///
    /// # Errors
    /// As [`Flags::read`], but for the missing file.
    pub fn parse(text: &str, path: &Path) -> Result<Flags, Failure> {
        toml::from_str(text).map_err(|why| {
            let before = |end: usize| text.bytes().take(end).filter(|&byte| byte == b'\n').count();
            match why.span() {
                Some(span) => {
                    Failure::at(path, format!("line {}: {}", before(span.start) + 1, why.message()))
                }
                None => Failure::at(path, why.message()),
            }
        })
    }

    /// Lays these settings over those of a run; a surrogate given here drops the run's window and alpha, another data set
    /// takes the run's sensor over where it has none of its own.
    pub fn over_saved(self, mut below: Flags) -> Flags {
        let source = |data: &Option<String>| data.as_ref().and_then(|data| data.parse::<Source>().ok());
        if let (Some(given), Some(saved)) = (source(&self.data), source(&below.data)) {
            let own = saved.sensor().map(|sensor| sensor.to_string());
            below.sensor = below.sensor.or(own).filter(|_| given.is_events() && given.sensor().is_none());
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
    pub fn to_toml(&self) -> Result<String, Failure> {
        toml::to_string(self).map_err(Failure::input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_settings_win() {
        let upper = Flags { lr: Some(0.5), ..Flags::default() };
        let lower = Flags { lr: Some(0.1), batch: Some(3), ..Flags::default() };
        let both = upper.over(lower);
        assert_eq!((both.lr, both.batch), (Some(0.5), Some(3)));
        assert_eq!(both.given(), ["lr", "batch"]);
    }

    #[test]
    fn the_sensor_belongs_to_the_run() {
        let sensor = |saved: (&str, Option<&str>), given: &str| {
            let below =
                Flags { data: Some(saved.0.into()), sensor: saved.1.map(str::to_string), ..Flags::default() };
            let above = Flags { data: Some(given.into()), ..Flags::default() };
            above.over_saved(below).sensor
        };
        assert_eq!(sensor(("events:a", Some("40x30")), "events:b").as_deref(), Some("40x30"));
        assert_eq!(sensor(("nmnist:a", None), "events:b").as_deref(), Some("34x34"));
        assert_eq!(sensor(("events:a", Some("40x30")), "nmnist:b"), None);
        assert_eq!(sensor(("mnist:a", None), "mnist:b"), None);
    }

    #[test]
    fn toml_comes_back() {
        let mut flags = Flags { weight_decay: Some(1e-4), net: Some("mlp".into()), ..Flags::default() };
        assert_eq!(flags.to_toml().unwrap(), "net = \"mlp\"\nweight-decay = 0.0001\n");
        let mut rng = spikegrad::data::rng::Rng::new(3);
        for _ in 0..10_000 {
            let number = f32::from_bits(rng.u64() as u32);
            flags.lr = Some(number).filter(|number| number.is_finite());
            assert_eq!(toml::from_str::<Flags>(&flags.to_toml().unwrap()).unwrap(), flags);
        }
    }
}
