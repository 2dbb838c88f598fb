//! Nets of one's own as a list of layers, ended by a linear read-out; a [`Graph`] spells any other.

use crate::config::{MOST_SIDE, check_most};
use crate::ops::{AvgPool, Conv, Linear, Neurons};
use crate::{Graph, NodeId};
use spikegrad_bptt::ConfigError;

/// A layer of a net of one's own; layer k of the list gives its weights the names below.
///
/// | layer | what | names |
/// |---|---|---|
/// | `Conv` | convolution without bias, batch norm, neurons | `conv{k}`, `bn{k}`, neurons `spike{k}` |
/// | `Residual` | two 3×3 `Conv`s and a shortcut, added before the second neurons | `block{k}.conv1`, `.bn1`, `.conv2`, … |
/// | `AvgPool` | mean over squares | |
/// | `GlobalPool` | mean over all pixels | |
/// | `Linear` | linear layer, neurons | `fc{k}`, neurons `spike{k}` |
///
/// ```
/// use spikegrad_models::{LayerSpec, Net, NetConfig};
/// use spikegrad_tensor::Level;
///
/// let layers = [
///     LayerSpec::Conv { channels: 16, kernel: 3, stride: 1 },
///     LayerSpec::Residual { channels: 32, stride: 2 },
///     LayerSpec::GlobalPool,
///     LayerSpec::Linear { outputs: 20 },
/// ];
/// let config = NetConfig::custom(&layers, 3, 12, 12, 10);
/// let net = Net::plan(&config, 4, Level::BASELINE, false)?;
/// assert!(net.params().get("block2.downsample.0.weight").is_some());
/// assert_eq!(net.params().get("fc5.weight").map(<[f32]>::len), Some(10 * 20));
/// # Ok::<(), spikegrad_bptt::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerSpec {
    /// Convolution, batch norm, neurons.
    Conv {
        /// Channels out.
        channels: usize,
        /// Side of the kernel, odd; the border is padded by half of it.
        kernel: usize,
        /// Distance of neighbouring outputs.
        stride: usize,
    },
    /// A residual block; its shortcut is a 1×1 convolution where size or channels change.
    Residual {
        /// Channels out.
        channels: usize,
        /// Stride of the first convolution and of the shortcut.
        stride: usize,
    },
    /// Means over squares of `size`, which must divide both sides of the image.
    AvgPool {
        /// Side of a square.
        size: usize,
    },
    /// Means over the whole image.
    GlobalPool,
    /// A linear layer and neurons; an image is flattened before it.
    Linear {
        /// Neurons.
        outputs: usize,
    },
}

impl LayerSpec {
    /// Checks what planning would not.
    pub(crate) fn check(self, k: usize) -> Result<(), ConfigError> {
        let sizes = match self {
            Self::Conv { channels, kernel, stride } => {
                vec![
                    ("channels", channels, MOST_SIDE),
                    ("kernel", kernel, 255),
                    ("stride", stride, MOST_SIDE),
                ]
            }
            Self::Residual { channels, stride } => {
                vec![("channels", channels, MOST_SIDE), ("stride", stride, MOST_SIDE)]
            }
            Self::AvgPool { size } => vec![("size", size, MOST_SIDE)],
            Self::GlobalPool => Vec::new(),
            Self::Linear { outputs } => vec![("outputs", outputs, MOST_SIDE)],
        };
        for (what, value, most) in sizes {
            check_most(&format!("layer {k}: {what}"), value, most)?;
        }
        let bad = |what: &str, value: usize, want: &str| {
            Err(ConfigError::out_of_range(what, value, want).within(format_args!("layer {k}")))
        };
        match self {
            Self::Conv { channels: 0, .. } | Self::Residual { channels: 0, .. } => {
                bad("channels", 0, "at least 1")
            }
            Self::Linear { outputs: 0 } => bad("outputs", 0, "at least 1"),
            Self::Conv { kernel, .. } if kernel % 2 == 0 => bad("kernel", kernel, "odd"),
            Self::Conv { stride: 0, .. } | Self::Residual { stride: 0, .. } => bad("stride", 0, "at least 1"),
            Self::AvgPool { size: 0 } => bad("size", 0, "at least 1"),
            Self::Residual { .. } if k == 1 => {
                Err(ConfigError::new("layer 1 is a residual block, which reads spikes: begin with another"))
            }
            _ => Ok(()),
        }
    }
}

/// Spells out a list of layers, ended by a linear read-out of `classes`, for images of `channels`.
pub(crate) fn graph(layers: &[LayerSpec], channels: usize, classes: usize) -> Graph {
    let mut g = Graph::new();
    let (mut x, mut channels) = (g.input(), channels);
    for (k, &layer) in (1..).zip(layers) {
        x = match layer {
            LayerSpec::Conv { channels: out, kernel, stride } => {
                channels = out;
                let conv = Conv::new(out, kernel).stride(stride).norm(format!("bn{k}"));
                let current = g.add(format!("conv{k}"), conv, [x]);
                g.add(format!("spike{k}"), Neurons::default(), [current])
            }
            LayerSpec::Residual { channels: out, stride } => {
                let project = stride != 1 || out != channels;
                channels = out;
                residual(&mut g, &format!("block{k}"), x, (out, stride), project)
            }
            LayerSpec::AvgPool { size } => g.add(format!("pool{k}"), AvgPool::square(size), [x]),
            LayerSpec::GlobalPool => g.add(format!("pool{k}"), AvgPool::global(), [x]),
            LayerSpec::Linear { outputs } => {
                channels = outputs;
                let current = g.add(format!("fc{k}"), Linear::new(outputs), [x]);
                g.add(format!("spike{k}"), Neurons::default(), [current])
            }
        };
    }
    g.add(format!("fc{}", layers.len() + 1), Linear::new(classes), [x]);
    g
}

/// Two 3×3 convolutions and a shortcut: the image's own spikes, or a 1×1 convolution of them.
pub(super) fn residual(
    g: &mut Graph,
    block: &str,
    x: NodeId,
    (channels, stride): (usize, usize),
    project: bool,
) -> NodeId {
    let name = |part: &str| format!("{block}.{part}");
    let first = g.add(name("conv1"), Conv::new(channels, 3).stride(stride).norm(name("bn1")), [x]);
    let inner = g.add(name("spike1"), Neurons::default(), [first]);
    let second = g.add(name("conv2"), Conv::new(channels, 3).norm(name("bn2")).residual(), [inner]);
    let shortcut = if project {
        let conv = Conv::new(channels, 1).stride(stride).norm(name("downsample.1")).residual();
        g.add(name("downsample.0"), conv, [x])
    } else {
        x
    };
    g.add(name("spike2"), Neurons::default(), [second, shortcut])
}
