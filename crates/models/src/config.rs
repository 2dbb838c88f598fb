//! The configuration of a net: architecture, sizes, neuron, normalisation; and its text form.

use crate::graph::{Setting, Settings, parse};
use crate::nets::{self, NetKind};
use crate::ops::{Kinds, neuron_settings, read_neuron};
use crate::{Graph, LayerSpec, Memory};
use spikegrad_bptt::{Activation, ConfigError, LifConfig};
use spikegrad_tensor::conv::{DeltaKernels, InputGradient};

/// The most channels, rows, columns, classes or time steps.
pub(crate) const MOST_SIDE: usize = 1_000_000;
/// The most layers of a net of one's own.
const MOST_LAYERS: usize = 10_000;

/// Checks a size against its upper limit.
pub(crate) fn check_most(what: &str, value: usize, most: usize) -> Result<(), ConfigError> {
    match value <= most {
        true => Ok(()),
        false => Err(ConfigError::out_of_range(what, value, format_args!("at most {most}"))),
    }
}

/// The kind of a net's input.
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
    #[doc(alias = "eq-tdbn")]
    TdBn,
    /// Batch norm of each time step by itself, γ and β shared: what a batch norm called step by step does.
    StepBn,
    /// Batch norm through time (Kim & Panda 2021): statistics, running estimates and γ of each step, no β.
    Bntt,
    /// Temporal effective batch norm (Duan et al. 2022): batch norm over all steps, then a learned factor p\[t\] on each.
    Tebn,
}

/// The distribution that weights begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// U(±1/√fan_in), as PyTorch's layers begin.
    Uniform,
    /// Kaiming: N(0, 2/fan_in), biases 0.
    Kaiming,
}

/// Gives a type names, as flags and files spell them.
macro_rules! names {
    ($type:ident, $what:literal: $($variant:ident $name:literal),*) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $($type::$variant => $name),* })
            }
        }
        impl std::str::FromStr for $type {
            type Err = spikegrad_bptt::ConfigError;
            fn from_str(name: &str) -> Result<Self, Self::Err> {
                match name {
                    $($name => Ok($type::$variant),)*
                    _ => {
                        let known = [$($name),*].join(", ");
                        Err(spikegrad_bptt::ConfigError::unknown($what, name, known))
                    }
                }
            }
        }
    };
}
pub(crate) use names;

names!(Norm, "normalisation": Bn "bn", TdBn "tdbn", StepBn "step-bn", Bntt "bntt", Tebn "tebn");
names!(Input, "input": Still "still", Frames "frames", Spikes "spikes");
names!(Init, "initialisation": Uniform "uniform", Kaiming "kaiming");
names!(Memory, "memory setting": F32 "f32", Bf16 "bf16", Recompute "recompute");

/// The algorithms of layers; results differ by rounding only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kernels {
    /// The form of the input gradient; none: the fastest for each layer.
    pub input_gradient: Option<InputGradient>,
    /// Whether later time steps are computed from what changed.
    pub delta: DeltaKernels,
}

/// The architecture of a net.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Architecture {
    /// A net that has a name.
    Named(NetKind),
    /// A list of layers before a linear read-out.
    Layers(Vec<LayerSpec>),
    /// Any graph.
    Graph(Graph),
}

/// A net, its input and its neuron.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NetConfig {
    /// The architecture.
    pub architecture: Architecture,
    /// Channels of the image.
    pub channels: usize,
    /// Rows of the image.
    pub height: usize,
    /// Columns of the image.
    pub width: usize,
    /// Classes.
    pub classes: usize,
    /// Factor on the widths of a net that has a name.
    pub scale: f64,
    /// T.
    pub timesteps: usize,
    /// The kind of input.
    pub input: Input,
    /// The neuron.
    pub lif: LifConfig,
    /// Normalisation.
    pub norm: Norm,
    /// The algorithms of layers.
    pub kernels: Kernels,
    /// The activations that a training step keeps.
    pub memory: Memory,
    /// The ReLU twin: the same layers, max(0, x) for neurons, one time step.
    pub twin: bool,
    /// The smooth twin of gradient checks: the surrogate's primitive for spikes.
    pub smooth: bool,
}

/// Each setting by itself: `NetConfig` grows, so that it is put together by these.
impl NetConfig {
    /// Sets `architecture`: the architecture.
    #[must_use]
    pub fn architecture(self, architecture: Architecture) -> Self {
        Self { architecture, ..self }
    }

    /// Sets `channels`: channels of the image.
    #[must_use]
    pub fn channels(self, channels: usize) -> Self {
        Self { channels, ..self }
    }

    /// Sets `height`: rows of the image.
    #[must_use]
    pub fn height(self, height: usize) -> Self {
        Self { height, ..self }
    }

    /// Sets `width`: columns of the image.
    #[must_use]
    pub fn width(self, width: usize) -> Self {
        Self { width, ..self }
    }

    /// Sets `classes`: how many there are.
    #[must_use]
    pub fn classes(self, classes: usize) -> Self {
        Self { classes, ..self }
    }

    /// Sets `scale`: factor on the widths of a net that has a name.
    #[must_use]
    pub fn scale(self, scale: f64) -> Self {
        Self { scale, ..self }
    }

    /// Sets `timesteps`: T.
    #[must_use]
    pub fn timesteps(self, timesteps: usize) -> Self {
        Self { timesteps, ..self }
    }

    /// Sets `input`: the kind of input.
    #[must_use]
    pub fn input(self, input: Input) -> Self {
        Self { input, ..self }
    }

    /// Sets `lif`: the neuron of every layer that has none of its own.
    #[must_use]
    pub fn lif(self, lif: LifConfig) -> Self {
        Self { lif, ..self }
    }

    /// Sets `norm`: normalisation.
    #[must_use]
    pub fn norm(self, norm: Norm) -> Self {
        Self { norm, ..self }
    }

    /// Sets `kernels`: the algorithms of layers.
    #[must_use]
    pub fn kernels(self, kernels: Kernels) -> Self {
        Self { kernels, ..self }
    }

    /// Sets `memory`: the activations that a training step keeps.
    #[must_use]
    pub fn memory(self, memory: Memory) -> Self {
        Self { memory, ..self }
    }

    /// Sets `twin`: the ReLU twin: the same layers, max(0, x) for neurons, one time step.
    #[must_use]
    pub fn twin(self, twin: bool) -> Self {
        Self { twin, ..self }
    }

    /// Sets `smooth`: the smooth twin of gradient checks: the surrogate's primitive for spikes.
    #[must_use]
    pub fn smooth(self, smooth: bool) -> Self {
        Self { smooth, ..self }
    }
}

impl NetConfig {
    /// A net of full width with the authors' neuron and batch norm, T = 2.
    pub fn new(kind: NetKind, channels: usize, height: usize, width: usize, classes: usize) -> Self {
        Self {
            architecture: Architecture::Named(kind),
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
        let architecture = Architecture::Layers(layers.to_vec());
        Self { architecture, ..Self::new(NetKind::Mlp, channels, height, width, classes) }
    }

    /// A net of any graph with the authors' neuron and batch norm, T = 2. The graph's last layer yields a number for
    /// each class.
    pub fn of_graph(graph: Graph, channels: usize, height: usize, width: usize, classes: usize) -> Self {
        let architecture = Architecture::Graph(graph);
        Self { architecture, ..Self::new(NetKind::Mlp, channels, height, width, classes) }
    }

    /// The net's name in files, or `custom`.
    pub fn name(&self) -> String {
        match self.architecture {
            Architecture::Named(kind) => kind.to_string(),
            Architecture::Layers(_) | Architecture::Graph(_) => "custom".into(),
        }
    }

    /// Tells the net's kind, if it is one of those that have names.
    pub fn kind(&self) -> Option<NetKind> {
        match self.architecture {
            Architecture::Named(kind) => Some(kind),
            Architecture::Layers(_) | Architecture::Graph(_) => None,
        }
    }

    /// Spells the net out.
    ///
    /// # Errors
    /// The factor on its widths leaves nothing.
    pub fn graph(&self) -> Result<Graph, ConfigError> {
        match &self.architecture {
            Architecture::Named(kind) => kind.graph(self),
            Architecture::Layers(layers) => Ok(nets::list_graph(layers, self.channels, self.classes)),
            Architecture::Graph(graph) => Ok(graph.clone()),
        }
    }

    /// Time steps that are computed: 1 for the ReLU twin.
    pub fn steps(&self) -> usize {
        if self.twin { 1 } else { self.timesteps }
    }

    /// Images of one sample: T, or 1 where it is still.
    pub fn frames(&self) -> usize {
        if self.input == Input::Still { 1 } else { self.steps() }
    }

    /// The activation of neurons.
    pub fn activation(&self) -> Activation {
        match (self.twin, self.smooth) {
            (true, _) => Activation::Relu,
            (_, true) => Activation::Smooth,
            _ => Activation::Spike,
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
        Err(ConfigError::new(format!(
            "width {} gives {scaled} channels of {base}, need 1 to 1000000",
            self.scale
        )))
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
        let least = match &self.architecture {
            Architecture::Named(kind) => kind.least_side(),
            Architecture::Layers(layers) => {
                check_most("number of layers", layers.len(), MOST_LAYERS)?;
                (1..).zip(layers).try_for_each(|(k, layer)| layer.check(k))?;
                1
            }
            Architecture::Graph(graph) => {
                check_most("number of layers", graph.len(), MOST_LAYERS)?;
                1
            }
        };
        if self.timesteps == 0 {
            return Err(ConfigError::out_of_range("timesteps", 0, "at least 1"));
        }
        if self.twin && self.input != Input::Still && self.timesteps > 1 {
            let t = self.timesteps;
            return Err(ConfigError::new(format!(
                "the ReLU twin reads 1 image, the input has one for each of {t} steps"
            )));
        }
        if self.height < least || self.width < least {
            let (kind, h, w) = (self.name(), self.height, self.width);
            return Err(ConfigError::new(format!("image is {h}×{w}, {kind} needs at least {least}×{least}")));
        }
        if self.channels == 0 || self.classes < 2 {
            let (c, k) = (self.channels, self.classes);
            return Err(ConfigError::new(format!("{c} image channels (need 1) and {k} classes (need 2)")));
        }
        Ok(())
    }

    /// Writes down all that decides what the net computes: its architecture, input, neuron and normalisation. How it is
    /// computed (kernels, memory, gradient checks) is left out.
    pub fn to_text(&self) -> String {
        let mut text = Settings::from([
            ("net", Setting::text(self.name())),
            ("channels", Setting::number(self.channels)),
            ("height", Setting::number(self.height)),
            ("width", Setting::number(self.width)),
            ("classes", Setting::number(self.classes)),
            ("scale", Setting::number(self.scale)),
            ("timesteps", Setting::number(self.timesteps)),
            ("input", Setting::text(self.input)),
            ("norm", Setting::text(self.norm)),
            ("twin", Setting::Bool(self.twin)),
            ("neuron", Setting::Table(neuron_settings(&self.lif))),
        ]);
        if let (Architecture::Layers(_) | Architecture::Graph(_), Ok(graph)) =
            (&self.architecture, self.graph())
        {
            text.push("layer", Setting::List(graph.to_settings()));
        }
        text.to_string()
    }

    /// Reads what [`NetConfig::to_text`] wrote, or what someone wrote in its form.
    ///
    /// # Errors
    /// Names the line or the layer that makes no sense.
    pub fn from_text(text: &str) -> Result<Self, ConfigError> {
        Self::from_text_with(text, &Kinds::default())
    }

    /// As [`NetConfig::from_text`], with ops or a surrogate of one's own.
    ///
    /// # Errors
    /// As [`NetConfig::from_text`].
    pub fn from_text_with(text: &str, kinds: &Kinds) -> Result<Self, ConfigError> {
        let mut text = parse(text)?;
        let name: String = text.need("net")?;
        let architecture = match (name.as_str(), text.take("layer")) {
            ("custom", Some(Setting::List(layers))) => {
                Architecture::Graph(Graph::from_settings(layers, kinds)?)
            }
            ("custom", _) => return Err(ConfigError::new("a custom net needs its layers, [[layer]]")),
            (name, None) => Architecture::Named(name.parse()?),
            (name, Some(_)) => {
                return Err(ConfigError::new(format!(
                    "the net {name:?} has its own layers; a net with others is \"custom\""
                )));
            }
        };
        let sides =
            [text.need("channels")?, text.need("height")?, text.need("width")?, text.need("classes")?];
        let [channels, height, width, classes] = sides;
        let usual = Self::new(NetKind::Mlp, channels, height, width, classes);
        let lif = match text.take("neuron") {
            Some(neuron) => {
                let mut neuron = neuron.parse_table("neuron")?;
                let own = kinds.own_surrogate(&mut neuron)?;
                let lif = read_neuron(&mut neuron)?;
                neuron.finish()?;
                match own {
                    Some(surrogate) => lif.surrogate(surrogate),
                    None => lif,
                }
            }
            None => usual.lif.clone(),
        };
        let config = Self {
            architecture,
            scale: text.take_as("scale")?.unwrap_or(usual.scale),
            timesteps: text.take_as("timesteps")?.unwrap_or(usual.timesteps),
            input: text.take_as("input")?.unwrap_or(usual.input),
            norm: text.take_as("norm")?.unwrap_or(usual.norm),
            twin: text.take_as("twin")?.unwrap_or(usual.twin),
            lif,
            ..usual
        };
        text.finish()?;
        config.check()?;
        Ok(config)
    }
}
