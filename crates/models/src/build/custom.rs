//! Nets of one's own: a list of layers, ended by a linear read-out.

use super::{Builder, Current};
use crate::config::{MOST_SIDE, check_most};
use spikegrad_bptt::ConfigError;
use spikegrad_tensor::conv::ConvConfig;

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
            Err(ConfigError(format!("layer {k}: {what} is {value}, must be {want}")))
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
                Err(ConfigError("layer 1 is a residual block, which reads spikes: begin with another".into()))
            }
            _ => Ok(()),
        }
    }
}

impl Builder<'_> {
    pub(super) fn custom(&mut self) -> Result<(), ConfigError> {
        let mut x = 0;
        for (k, &layer) in (1..).zip(&self.config.layers) {
            x = match layer {
                LayerSpec::Conv { channels, kernel, stride } => {
                    let conv = ConvConfig { out_channels: channels, kernel, stride, padding: kernel / 2 };
                    let current = self.conv((&format!("conv{k}"), &format!("bn{k}")), x, conv, false)?;
                    self.unit(&format!("spike{k}"), vec![current])?
                }
                LayerSpec::Residual { channels, stride } => {
                    let project = stride != 1 || channels != self.dims[x].c;
                    self.residual(&format!("block{k}"), x, (channels, stride), project)?
                }
                LayerSpec::AvgPool { size } => self.pool(x, (size, size))?,
                LayerSpec::GlobalPool => self.pool(x, (self.dims[x].h, self.dims[x].w))?,
                LayerSpec::Linear { outputs } => {
                    let x = self.vector(x)?;
                    self.linear_unit(&format!("fc{k}"), &format!("spike{k}"), x, outputs)?
                }
            };
        }
        let x = self.vector(x)?;
        self.output(&format!("fc{}", self.config.layers.len() + 1), x)
    }

    /// A value as feature vectors: flattened if it has pixels.
    fn vector(&mut self, x: usize) -> Result<usize, ConfigError> {
        if self.dims[x].pixels() > 1 || x == 0 { self.flatten(x) } else { Ok(x) }
    }

    /// Two 3×3 convolutions and a shortcut: the image's own spikes, or a 1×1 convolution of them.
    pub(super) fn residual(
        &mut self,
        block: &str,
        x: usize,
        (channels, stride): (usize, usize),
        project: bool,
    ) -> Result<usize, ConfigError> {
        let conv =
            |kernel, stride| ConvConfig { out_channels: channels, kernel, stride, padding: kernel / 2 };
        let name = |part: &str| format!("{block}.{part}");
        let first = self.conv((&name("conv1"), &name("bn1")), x, conv(3, stride), false)?;
        let inner = self.unit(&name("spike1"), vec![first])?;
        let second = self.conv((&name("conv2"), &name("bn2")), inner, conv(3, 1), true)?;
        let shortcut = if project {
            let names = (&name("downsample.0")[..], &name("downsample.1")[..]);
            self.conv(names, x, conv(1, stride), true)?
        } else {
            Current::Identity(x)
        };
        self.unit(&name("spike2"), vec![second, shortcut])
    }
}
