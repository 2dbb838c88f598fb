//! The layout of a net: the name and shape of every parameter and buffer, in the order of the forward.

use crate::lif::{Activation, Lif};
use crate::loss::LossKind;
use crate::rng::Rng;
use std::collections::BTreeMap;

/// The architecture of a net.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetKind {
    /// The paper's net: stem, 3 + 3 + 2 residual blocks, global average, two linear layers.
    ResNet19,
    /// Two 5×5 convolutions, each pooled by 2, and three linear layers.
    LeNet,
    /// Three linear layers.
    Mlp,
    /// Eight biased 3×3 convolutions, every second pooled by 2, one linear layer.
    VggSnn,
    /// The same with strides of 2 for pools.
    VggSnnStride,
    /// Three 3×3 convolutions, each pooled by 2, one linear layer.
    EventNet,
}

/// The normalisation of a net.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// y = γ·x̂ + β.
    Bn,
    /// y = γ·α·V_th·x̂ + β, α = 1/√2 on the summands of a residual addition, else 1.
    TdBn,
}

/// A net, its input and its loss.
#[derive(Clone, Debug, PartialEq)]
pub struct NetConfig {
    /// The architecture of a net.
    pub kind: NetKind,
    /// Channels of the input.
    pub channels: usize,
    /// Height of the input.
    pub height: usize,
    /// Width of the input.
    pub width: usize,
    /// Number of classes.
    pub classes: usize,
    /// Factor on the number of channels.
    pub scale: f64,
    /// Time steps.
    pub timesteps: usize,
    /// The neuron.
    pub lif: Lif,
    /// The normalisation of a net.
    pub norm: Norm,
    /// The ReLU twin: max(0, x) in place of the neurons, one time step.
    pub twin: bool,
    /// The smooth twin: the surrogate's primitive in place of the step.
    pub smooth: bool,
    /// Label smoothing.
    pub label_smoothing: f64,
    /// Lipschitz coefficient β.
    pub beta: f64,
    /// The loss.
    pub loss: LossKind,
}

impl NetConfig {
    /// The paper's neuron and loss round a net of the given kind, for `side` × `side` colour images, ten classes.
    pub fn paper(kind: NetKind, side: usize, scale: f64, timesteps: usize) -> NetConfig {
        NetConfig {
            kind,
            channels: 3,
            height: side,
            width: side,
            classes: 10,
            scale,
            timesteps,
            lif: Lif::paper(),
            norm: Norm::Bn,
            twin: false,
            smooth: false,
            label_smoothing: 0.0,
            beta: 1e-4,
            loss: LossKind::CrossEntropy,
        }
    }

    /// Returns the number of time steps that are computed: 1 for the ReLU twin.
    pub fn steps(&self) -> usize {
        if self.twin { 1 } else { self.timesteps }
    }

    /// Returns the activation of the neurons.
    pub fn activation(&self) -> Activation {
        match (self.twin, self.smooth) {
            (true, _) => Activation::Relu,
            (_, true) => Activation::Smooth,
            _ => Activation::Spike,
        }
    }

    /// Returns a base number of channels times the scale, at least 1.
    pub fn scaled(&self, base: usize) -> usize {
        ((base as f64 * self.scale).round() as usize).max(1)
    }
}

/// One named array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// PyTorch's name.
    pub name: String,
    /// Shape, outermost axis first.
    pub shape: Vec<usize>,
}

impl Entry {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A residual block of ResNet-19.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// `layerL.B`.
    pub name: String,
    /// Input channels.
    pub ci: usize,
    /// Output channels.
    pub co: usize,
    /// Stride of the first convolution and of the shortcut.
    pub stride: usize,
    /// Whether the shortcut is a 1×1 convolution with BN.
    pub downsample: bool,
}

/// The eight blocks of ResNet-19.
pub fn blocks(config: &NetConfig) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut ci = config.scaled(64);
    for (stage, (count, base, stride)) in [(3, 128, 1), (3, 256, 2), (2, 512, 2)].into_iter().enumerate() {
        for b in 0..count {
            let (name, co) = (format!("layer{}.{b}", stage + 1), config.scaled(base));
            blocks.push(Block { name, ci, co, stride: if b == 0 { stride } else { 1 }, downsample: b == 0 });
            ci = co;
        }
    }
    blocks
}

/// Base widths of VGGSNN's convolutions.
pub const VGG_WIDTHS: [usize; 8] = [64, 128, 256, 256, 512, 512, 512, 512];
/// Base widths of the small event net's convolutions.
pub const EVENT_WIDTHS: [usize; 3] = [32, 64, 128];

/// Collects entries under their names.
#[derive(Default)]
struct Listing {
    parameters: Vec<Entry>,
    buffers: Vec<Entry>,
    /// The parameters of neurons, and the values at which they begin.
    beginnings: BTreeMap<String, Vec<f64>>,
}

impl Listing {
    fn conv(&mut self, name: &str, co: usize, ci: usize, k: usize) {
        self.parameters.push(Entry { name: format!("{name}.weight"), shape: vec![co, ci, k, k] });
    }

    fn norm(&mut self, name: &str, c: usize) {
        for part in ["weight", "bias"] {
            self.parameters.push(Entry { name: format!("{name}.{part}"), shape: vec![c] });
        }
        for part in ["running_mean", "running_var"] {
            self.buffers.push(Entry { name: format!("{name}.{part}"), shape: vec![c] });
        }
    }

    /// The learned numbers of a layer of neurons.
    fn neurons(&mut self, config: &NetConfig, name: &str, channels: usize) {
        if config.twin {
            return;
        }
        let steps = config.steps();
        for part in config.lif.parts() {
            let name = format!("{name}.{}", part.name);
            self.beginnings.insert(name.clone(), config.lif.beginning(channels, steps)[part.name].clone());
            self.parameters.push(Entry { name, shape: part.shape(channels, steps) });
        }
    }

    fn linear(&mut self, name: &str, outputs: usize, inputs: usize) {
        self.parameters.push(Entry { name: format!("{name}.weight"), shape: vec![outputs, inputs] });
        self.parameters.push(Entry { name: format!("{name}.bias"), shape: vec![outputs] });
    }

    fn resnet19(&mut self, config: &NetConfig) {
        self.conv("conv1", config.scaled(64), config.channels, 3);
        self.norm("bn1", config.scaled(64));
        self.neurons(config, "spike", config.scaled(64));
        for Block { name, ci, co, downsample, .. } in blocks(config) {
            self.conv(&format!("{name}.conv1"), co, ci, 3);
            self.norm(&format!("{name}.bn1"), co);
            self.neurons(config, &format!("{name}.spike1"), co);
            self.conv(&format!("{name}.conv2"), co, co, 3);
            self.norm(&format!("{name}.bn2"), co);
            if downsample {
                self.conv(&format!("{name}.downsample.0"), co, ci, 1);
                self.norm(&format!("{name}.downsample.1"), co);
            }
            self.neurons(config, &format!("{name}.spike2"), co);
        }
        self.linear("fc1", config.scaled(256), config.scaled(512));
        self.neurons(config, "spike_fc", config.scaled(256));
        self.linear("fc2", config.classes, config.scaled(256));
    }

    fn lenet(&mut self, config: &NetConfig) {
        let (c1, c2) = (config.scaled(32), config.scaled(64));
        self.conv("conv1", c1, config.channels, 5);
        self.norm("bn1", c1);
        self.neurons(config, "spike1", c1);
        self.conv("conv2", c2, c1, 5);
        self.norm("bn2", c2);
        self.neurons(config, "spike2", c2);
        let (f1, f2) = (config.scaled(128), config.scaled(64));
        self.linear("fc1", f1, c2 * (config.height / 2 / 2) * (config.width / 2 / 2));
        self.neurons(config, "spike3", f1);
        self.linear("fc2", f2, f1);
        self.neurons(config, "spike4", f2);
        self.linear("fc3", config.classes, f2);
    }

    fn mlp(&mut self, config: &NetConfig) {
        let hidden = config.scaled(256);
        self.linear("fc1", hidden, config.channels * config.height * config.width);
        self.neurons(config, "spike1", hidden);
        self.linear("fc2", hidden, hidden);
        self.neurons(config, "spike2", hidden);
        self.linear("fc3", config.classes, hidden);
    }

    fn vggsnn(&mut self, config: &NetConfig) {
        let mut ci = config.channels;
        for (k, base) in VGG_WIDTHS.into_iter().enumerate() {
            let (name, co) = (format!("conv{}", k + 1), config.scaled(base));
            self.conv(&name, co, ci, 3);
            self.parameters.push(Entry { name: format!("{name}.bias"), shape: vec![co] });
            self.norm(&format!("bn{}", k + 1), co);
            self.neurons(config, &format!("spike{}", k + 1), co);
            ci = co;
        }
        let sides = [config.height, config.width].map(|side| {
            let halved =
                |side: usize| if config.kind == NetKind::VggSnn { side / 2 } else { side.div_ceil(2) };
            (0..4).fold(side, |side, _| halved(side))
        });
        self.linear("fc1", config.classes, ci * sides[0] * sides[1]);
    }

    fn eventnet(&mut self, config: &NetConfig) {
        let mut ci = config.channels;
        for (k, base) in EVENT_WIDTHS.into_iter().enumerate() {
            let co = config.scaled(base);
            self.conv(&format!("conv{}", k + 1), co, ci, 3);
            self.norm(&format!("bn{}", k + 1), co);
            self.neurons(config, &format!("spike{}", k + 1), co);
            ci = co;
        }
        self.linear("fc1", config.classes, ci * (config.height / 8) * (config.width / 8));
    }

    fn of(config: &NetConfig) -> Listing {
        let mut listing = Listing::default();
        match config.kind {
            NetKind::ResNet19 => listing.resnet19(config),
            NetKind::LeNet => listing.lenet(config),
            NetKind::Mlp => listing.mlp(config),
            NetKind::VggSnn | NetKind::VggSnnStride => listing.vggsnn(config),
            NetKind::EventNet => listing.eventnet(config),
        }
        listing
    }
}

/// Every parameter of the net.
pub fn parameters(config: &NetConfig) -> Vec<Entry> {
    Listing::of(config).parameters
}

/// Every running statistic of the net.
pub fn buffers(config: &NetConfig) -> Vec<Entry> {
    Listing::of(config).buffers
}

/// The names under which the authors' files hold a tensor of ResNet-19: each layer is wrapped, and a
/// batch norm stands under each of its wrappers.
///
/// # Panics
/// If `name` has no dot.
pub fn aliases(name: &str) -> Vec<String> {
    let (stem, part) = name.rsplit_once('.').expect("a layer and its part");
    let stems = if let Some(stem) = stem.strip_suffix("downsample.0") {
        vec![format!("{stem}downsample.layer.module")]
    } else if let Some(stem) = stem.strip_suffix("downsample.1") {
        vec![format!("{stem}downsample.bn.bn"), format!("{stem}downsample.bn.seqbn.module")]
    } else if stem.ends_with("bn1") || stem.ends_with("bn2") {
        let conv = stem.replace("bn", "conv");
        let wrapped = ["bn", "seqbn.module"];
        wrapped.iter().flat_map(|w| [format!("{stem}.{w}"), format!("{conv}_s.bn.{w}")]).collect()
    } else {
        vec![format!("{stem}_s.layer.module")]
    };
    stems.into_iter().map(|stem| format!("{stem}.{part}")).collect()
}

/// Random parameters and buffers by name: U(±1/√fan_in) for weights and biases, BN and the neurons' numbers near their
/// start (γ round 1, β round 0, so that no two channels are alike), running statistics (0, 1).
pub fn random_values(config: &NetConfig, rng: &mut Rng) -> BTreeMap<String, Vec<f64>> {
    let mut values = BTreeMap::new();
    let mut fan_in = 1;
    let Listing { parameters, buffers, beginnings } = Listing::of(config);
    for entry in parameters {
        if let Some(beginning) = beginnings.get(&entry.name) {
            let value = beginning.iter().map(|value| value + rng.uniform(-0.3, 0.3)).collect();
            values.insert(entry.name, value);
            continue;
        }
        let in_norm = entry.name.contains("bn") || entry.name.contains("downsample.1");
        if entry.shape.len() > 1 {
            fan_in = entry.shape[1..].iter().product();
        }
        let reach = 1.0 / (fan_in as f64).sqrt();
        let value = match (in_norm, entry.name.ends_with("weight")) {
            (true, true) => rng.uniforms(entry.len(), 0.7, 1.3),
            (true, false) => rng.uniforms(entry.len(), -0.2, 0.4),
            _ => rng.uniforms(entry.len(), -reach, reach),
        };
        values.insert(entry.name, value);
    }
    for entry in buffers {
        let start = if entry.name.ends_with("running_var") { 1.0 } else { 0.0 };
        values.insert(entry.name.clone(), vec![start; entry.len()]);
    }
    values
}
