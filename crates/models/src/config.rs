//! Which net.

use crate::{LayerSpec, Memory};
use spikegrad_bptt::{ConfigError, Fire, LifConfig};
use spikegrad_tensor::conv::{DeltaKernels, InputGradient};
use std::fmt;
use std::str::FromStr;

/// The most channels, rows, columns, classes or time steps.
pub(crate) const MOST_SIDE: usize = 1_000_000;
/// The most layers of a net of one's own.
const MOST_LAYERS: usize = 10_000;

/// Checks a size against its upper limit.
pub(crate) fn check_most(what: &str, value: usize, most: usize) -> Result<(), ConfigError> {
    match value <= most {
        true => Ok(()),
        false => Err(ConfigError(format!("{what} is {value}, must be at most {most}"))),
    }
}

/// A net's architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetKind {
    /// The paper's net.
    ResNet19,
    /// Two 5×5 convolutions, each pooled by 2, and three linear layers.
    LeNet,
    /// Three linear layers.
    Mlp,
    /// Eight 3×3 convolutions with biases, the image halved behind every second by average pooling, one linear layer.
    VggSnn,
    /// The same, halved by convolutions of stride 2: every activation is spikes.
    VggSnnStride,
    /// Three 3×3 convolutions, each pooled by 2, and one linear layer: a small net for small event cameras.
    EventNet,
}

/// What a net reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Input {
    /// One image, the same at every time step.
    #[default]
    Still,
    /// An image of its own for each time step.
    Frames,
    /// An image of its own for each time step, of zeros and ones: kept as bits.
    Spikes,
}

/// Normalisation after a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// Batch norm over (T, N, H, W): z = γ·x̂ + β.
    Bn,
    /// Threshold-dependent (Zheng 2021): z = γ·α·V_th·x̂ + β, α = 1/√2 on the summands of a residual addition.
    TdBn,
}

/// How weights begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// U(±1/√fan_in), as PyTorch's layers begin.
    Uniform,
    /// Kaiming: N(0, 2/fan_in), biases 0.
    Kaiming,
}

macro_rules! names {
    ($type:ident, $what:literal: $($variant:ident $name:literal),*) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($type::$variant => $name),* })
            }
        }
        impl FromStr for $type {
            type Err = ConfigError;
            fn from_str(name: &str) -> Result<Self, ConfigError> {
                match name {
                    $($name => Ok($type::$variant),)*
                    _ => {
                        let known = [$($name),*].join(", ");
                        Err(ConfigError(format!("no {} is called {name:?}; known: {known}", $what)))
                    }
                }
            }
        }
    };
}
names!(NetKind, "net":
    ResNet19 "resnet19", LeNet "lenet", Mlp "mlp",
    VggSnn "vggsnn", VggSnnStride "vggsnn-stride", EventNet "eventnet");
names!(Norm, "normalisation": Bn "bn", TdBn "tdbn");
names!(Init, "initialisation": Uniform "uniform", Kaiming "kaiming");
names!(Memory, "memory setting": F32 "f32", Bf16 "bf16", Recompute "recompute");

/// How layers compute what they compute; results differ by rounding only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kernels {
    /// The form of the input gradient; none: the fastest for each layer.
    pub input_gradient: Option<InputGradient>,
    /// Whether later time steps are computed from what changed.
    pub delta: DeltaKernels,
}

/// A net, its input and its neuron.
#[derive(Clone, Debug, PartialEq)]
pub struct NetConfig {
    /// Architecture.
    pub kind: NetKind,
    /// Layers of one's own, before a linear read-out; where there are any, `kind` and `scale` have no say.
    pub layers: Vec<LayerSpec>,
    /// Channels of the image.
    pub channels: usize,
    /// Rows of the image.
    pub height: usize,
    /// Columns of the image.
    pub width: usize,
    /// Classes.
    pub classes: usize,
    /// Factor on the layers' widths.
    pub scale: f64,
    /// T.
    pub timesteps: usize,
    /// What is read.
    pub input: Input,
    /// The neuron.
    pub lif: LifConfig,
    /// Normalisation.
    pub norm: Norm,
    /// How layers are computed.
    pub kernels: Kernels,
    /// What a training step keeps of activations.
    pub memory: Memory,
    /// The ReLU twin: the same layers, max(0, x) for neurons, one time step.
    pub twin: bool,
    /// The smooth twin of gradient checks: the surrogate's primitive for spikes.
    pub smooth: bool,
}

impl NetConfig {
    /// A net of full width with the authors' neuron and batch norm, T = 2.
    pub fn new(kind: NetKind, channels: usize, height: usize, width: usize, classes: usize) -> Self {
        Self {
            kind,
            layers: Vec::new(),
            channels,
            height,
            width,
            classes,
            scale: 1.0,
            timesteps: 2,
            input: Input::Still,
            lif: LifConfig::default(),
            norm: Norm::Bn,
            kernels: Kernels::default(),
            memory: Memory::F32,
            twin: false,
            smooth: false,
        }
    }

    /// A net of one's own with the authors' neuron and batch norm, T = 2: `layers`, then a linear read-out.
    pub fn custom(
        layers: &[LayerSpec],
        channels: usize,
        height: usize,
        width: usize,
        classes: usize,
    ) -> Self {
        Self { layers: layers.to_vec(), ..Self::new(NetKind::Mlp, channels, height, width, classes) }
    }

    /// What files call the net: its kind, or `custom`.
    pub fn name(&self) -> String {
        if self.layers.is_empty() { self.kind.to_string() } else { "custom".into() }
    }

    /// Time steps that are computed: 1 for the ReLU twin.
    pub fn steps(&self) -> usize {
        if self.twin { 1 } else { self.timesteps }
    }

    /// Images of one sample: T, or 1 where it is still.
    pub fn frames(&self) -> usize {
        if self.input == Input::Still { 1 } else { self.steps() }
    }

    /// What neurons put out.
    pub fn fire(&self) -> Fire {
        match (self.twin, self.smooth) {
            (true, _) => Fire::Relu,
            (_, true) => Fire::Smooth,
            _ => Fire::Spike,
        }
    }

    /// A base width times the scale.
    ///
    /// # Errors
    /// Nothing is left.
    pub fn scaled(&self, base: usize) -> Result<usize, ConfigError> {
        let scaled = (base as f64 * self.scale).round();
        if (1.0..=MOST_SIDE as f64).contains(&scaled) {
            return Ok(scaled as usize);
        }
        Err(ConfigError(format!("width {} gives {scaled} channels of {base}, need 1 to 1000000", self.scale)))
    }

    /// Checks every number.
    ///
    /// # Errors
    /// Names the first that makes no sense.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.lif.check()?;
        for (what, value) in [
            ("timesteps", self.timesteps),
            ("image channels", self.channels),
            ("image height", self.height),
            ("image width", self.width),
            ("classes", self.classes),
        ] {
            check_most(what, value, MOST_SIDE)?;
        }
        check_most("number of layers", self.layers.len(), MOST_LAYERS)?;
        (1..).zip(&self.layers).try_for_each(|(k, layer)| layer.check(k))?;
        let least = match self.kind {
            _ if !self.layers.is_empty() => 1,
            NetKind::Mlp => 1,
            NetKind::ResNet19 | NetKind::LeNet | NetKind::EventNet => 8,
            NetKind::VggSnn | NetKind::VggSnnStride => 16,
        };
        if self.timesteps == 0 {
            return Err(ConfigError("timesteps is 0, must be at least 1".into()));
        }
        if self.twin && self.input != Input::Still && self.timesteps > 1 {
            let t = self.timesteps;
            return Err(ConfigError(format!(
                "the ReLU twin reads 1 image, the input has one for each of {t} steps"
            )));
        }
        if self.height < least || self.width < least {
            let (kind, h, w) = (self.kind, self.height, self.width);
            return Err(ConfigError(format!("image is {h}×{w}, {kind} needs at least {least}×{least}")));
        }
        if self.channels == 0 || self.classes < 2 {
            let (c, k) = (self.channels, self.classes);
            return Err(ConfigError(format!("{c} image channels (need 1) and {k} classes (need 2)")));
        }
        Ok(())
    }
}
