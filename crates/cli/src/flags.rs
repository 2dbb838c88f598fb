//! The settings of a run as flags, under the names that they have in files.

use clap::Args;
use spikegrad::bptt::lif::{Firing, InputScale, Learn};
use spikegrad::bptt::{Readout, Reset};
use spikegrad::data::Source;
use spikegrad::data::events::{Resample, Sensor, Slicing, Values};
use spikegrad::models::{Init, Memory, NetKind, Norm};
use spikegrad_lab::settings::RunConfig;
use spikegrad_lab::settings::names::{
    Augmentation, DeltaName, InputGradientName, LossName, NeuronName, OptimizerName, Precision, ScheduleName,
    SurrogateName,
};

/// Declares flags whose names are settings', and what they become.
macro_rules! flags {
    ($(#[$about:meta])* $flags:ident: $( $(#[$attribute:meta])* $name:ident: $type:ty, )*) => {
        #[derive(Args, Clone, Debug, Default)]
        $(#[$about])*
        pub struct $flags {
            $( $(#[$attribute])* $name: Option<$type>, )*
        }

        impl From<$flags> for RunConfig {
            fn from(flags: $flags) -> Self {
                let mut config = Self::default();
                $( config.$name = flags.$name; )*
                config
            }
        }
    };
}
pub(crate) use flags;

flags! {
    /// Every setting of a run, each given or not.
    Flags:
    /// Data set: cifar10:DIR, cifar100:DIR, mnist:DIR or synthetic:shapes; of events: nmnist:DIR, cifar10dvs:DIR,
    /// events:DIR (a folder for each class) or synthetic:motion
    #[arg(long, value_name = "NAME[:DIR]", help_heading = "Data")]
    data: Source,
    /// Train on the first N images
    #[arg(long, value_name = "N", help_heading = "Data")]
    limit: usize,
    /// Score on the last N training images instead of the test images
    #[arg(long, value_name = "N", help_heading = "Data")]
    holdout: usize,
    /// Some of crop,flip,cutout,autoaugment, or none; of events: some of flip,roll,jitter,drop
    #[arg(long, value_name = "LIST", help_heading = "Data")]
    augment: Augmentation,
    /// How events become T frames: count (equal parts, the last takes the rest), time, tonic-count, tonic-time (the
    /// rest is dropped) or window:MICROSECONDS
    #[arg(long, value_name = "HOW", help_heading = "Events")]
    frames: Slicing,
    /// What a cell of a frame holds: counts, binary (spikes, computed on bits) or normalised
    #[arg(long, value_name = "NAME", help_heading = "Events")]
    values: Values,
    /// Rows and columns of a frame; 0: the sensor's
    #[arg(long, value_name = "N", help_heading = "Events")]
    frame_size: usize,
    /// How the sensor is brought to that size: nearest or area
    #[arg(long, value_name = "NAME", help_heading = "Events")]
    resample: Resample,
    /// Columns and rows of the camera of events:DIR; default: what the recordings state or fill, once for a run
    #[arg(long, value_name = "WIDTHxHEIGHT", help_heading = "Events")]
    sensor: Sensor,
    /// Number of the stream of events to take from recordings that have several; default: the first
    #[arg(long, value_name = "N", help_heading = "Events")]
    stream: u32,
    /// Folder that keeps frames from run to run, or none
    #[arg(long, value_name = "DIR", help_heading = "Events")]
    cache: String,
    /// Net, by name; `spikegrad nets` lists them
    #[arg(long, value_name = "NAME", help_heading = "Net")]
    net: NetKind,
    /// Factor on the number of channels
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true, help_heading = "Net")]
    width: f64,
    /// Time steps T
    #[arg(long, value_name = "T", help_heading = "Net")]
    timesteps: usize,
    /// Normalisation: bn, tdbn, step-bn, bntt or tebn
    #[arg(long, value_name = "NAME", help_heading = "Net")]
    norm: Norm,
    /// Train the ReLU twin: the same net with max(0, x) for neurons
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", help_heading = "Net")]
    twin: bool,
    /// Initial weights: uniform or kaiming
    #[arg(long, value_name = "NAME", help_heading = "Net")]
    init: Init,
    /// Neuron, by name; `spikegrad neurons` lists them; default: lif
    #[arg(long, value_name = "NAME", help_heading = "Neuron")]
    neuron: NeuronName,
    /// Threshold V_th
    #[arg(long, value_name = "V", allow_negative_numbers = true, help_heading = "Neuron")]
    threshold: f32,
    /// Share τ of the membrane kept from step to step
    #[arg(long, value_name = "TAU", allow_negative_numbers = true, help_heading = "Neuron")]
    decay: f32,
    /// Learn the decay, beginning at --decay (PLIF): layer (one a layer), channel (one a channel) or no
    #[arg(long, num_args = 0..=1, default_missing_value = "layer", require_equals = true, value_name = "WHOSE", help_heading = "Neuron")]
    learn_decay: Learn,
    /// Learn the threshold, beginning at --threshold: layer, channel or no
    #[arg(long, num_args = 0..=1, default_missing_value = "layer", require_equals = true, value_name = "WHOSE", help_heading = "Neuron")]
    learn_threshold: Learn,
    /// Learn the numbers of the neuron's kind (adaptation, synaptic decay or gates): layer, channel or no
    #[arg(long, num_args = 0..=1, default_missing_value = "layer", require_equals = true, value_name = "WHOSE", help_heading = "Neuron")]
    learn_kind: Learn,
    /// Factor on the input current: one, leak (1 − τ) or a number; default: one
    #[arg(long, value_name = "S", allow_negative_numbers = true, help_heading = "Neuron")]
    input_scale: InputScale,
    /// Value at which the membrane rests and to which a hard reset sets it; default: 0
    #[arg(long, value_name = "V", allow_negative_numbers = true, help_heading = "Neuron")]
    reset_value: f32,
    /// What a soft reset takes off the membrane; default: the threshold
    #[arg(long, value_name = "V", allow_negative_numbers = true, help_heading = "Neuron")]
    reset_amount: f32,
    /// Membranes that fire: above the threshold, or at-or-above; default: above
    #[arg(long, value_name = "NAME", help_heading = "Neuron")]
    firing: Firing,
    /// Share ρ of an adaptive threshold's rise that is kept from step to step
    #[arg(long, value_name = "RHO", allow_negative_numbers = true, help_heading = "Neuron")]
    adaptation_decay: f32,
    /// Rise β of an adaptive threshold with every spike
    #[arg(long, value_name = "BETA", allow_negative_numbers = true, help_heading = "Neuron")]
    adaptation: f32,
    /// Share α of a synaptic current that is kept from step to step
    #[arg(long, value_name = "ALPHA", allow_negative_numbers = true, help_heading = "Neuron")]
    synapse: f32,
    /// Reset: hard, hard-detached, soft or soft-detached
    #[arg(long, value_name = "NAME", help_heading = "Neuron")]
    reset: Reset,
    /// Surrogate: rectangle, triangle, arctan, sigmoid, gaussian, fast-sigmoid or dspike
    #[arg(long, value_name = "NAME", help_heading = "Neuron")]
    surrogate: SurrogateName,
    /// Half width of the rectangle or triangle
    #[arg(long, value_name = "W", allow_negative_numbers = true, help_heading = "Neuron")]
    window: f32,
    /// Steepness of the other surrogates
    #[arg(long, value_name = "A", allow_negative_numbers = true, help_heading = "Neuron")]
    alpha: f32,
    /// Strength δ of surrogate gradient scaling, of either sign; 0: off
    #[arg(long, value_name = "D", allow_negative_numbers = true, help_heading = "Neuron")]
    delta: f32,
    /// Read-out of the outputs over time: mean, sum, last, max or latency
    #[arg(long, value_name = "NAME", help_heading = "Net")]
    readout: Readout,
    /// Loss: ce, mse or tet
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    loss: LossName,
    /// Target of the label's class in mse
    #[arg(long, value_name = "C", allow_negative_numbers = true, help_heading = "Training")]
    mse_correct: f32,
    /// Target of the other classes in mse
    #[arg(long, value_name = "C", allow_negative_numbers = true, help_heading = "Training")]
    mse_incorrect: f32,
    /// Weight of TET's regression term
    #[arg(long, value_name = "L", allow_negative_numbers = true, help_heading = "Training")]
    tet_lambda: f32,
    /// Target of TET's regression term
    #[arg(long, value_name = "PHI", allow_negative_numbers = true, help_heading = "Training")]
    tet_phi: f32,
    /// Share of the label spread over all classes
    #[arg(long, value_name = "E", allow_negative_numbers = true, help_heading = "Training")]
    label_smoothing: f32,
    /// Coefficient β of the Lipschitz term; 0: off
    #[arg(long, value_name = "B", allow_negative_numbers = true, help_heading = "Training")]
    beta: f32,
    /// Optimiser: adam, adamw or sgd
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    optimizer: OptimizerName,
    /// Learning rate
    #[arg(long, value_name = "LR", allow_negative_numbers = true, help_heading = "Training")]
    lr: f32,
    /// Weight decay
    #[arg(long, value_name = "L", allow_negative_numbers = true, help_heading = "Training")]
    weight_decay: f32,
    /// Momentum of SGD
    #[arg(long, value_name = "M", allow_negative_numbers = true, help_heading = "Training")]
    momentum: f32,
    /// Nesterov's form of SGD
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", help_heading = "Training")]
    nesterov: bool,
    /// Largest gradient norm; 0: no limit
    #[arg(long, value_name = "NORM", allow_negative_numbers = true, help_heading = "Training")]
    clip: f32,
    /// Learning rate over time: cosine, constant or step
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    schedule: ScheduleName,
    /// Epochs between the drops of the step schedule
    #[arg(long, value_name = "N", allow_negative_numbers = true, help_heading = "Training")]
    step_every: f64,
    /// Factor of a drop of the step schedule
    #[arg(long, value_name = "F", allow_negative_numbers = true, help_heading = "Training")]
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
    precision: Precision,
    /// What a step keeps of activations: f32, bf16 (half the bytes, rounded) or recompute (bits alone)
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    memory: Memory,
    /// Input gradient of 3×3 convolutions: auto, direct, winograd2 or winograd4
    #[arg(long, value_name = "FORM", help_heading = "Training")]
    input_gradient: InputGradientName,
    /// Compute later time steps from the spikes that changed: auto, off or on
    #[arg(long, value_name = "WHEN", help_heading = "Training")]
    delta_kernels: DeltaName,
}
