//! Spiking ResNet-18, -20 and -34: He et al. 2016, with neurons for the rectifiers, so that they fire behind each addition.
//!
//! | form | stem | for |
//! |---|---|---|
//! | small | a 3×3 convolution | images of 32×32 pixels and less |
//! | ImageNet | a 7×7 convolution of stride 2, 3×3 max pooling of stride 2 | large images, as in torchvision |
//!
//! The nets have the small form unless their name says otherwise. Shortcuts are 1×1 convolutions where size or channels
//! change.

use super::layers::residual;
use crate::ops::{AvgPool, Conv, Linear, MaxPool, Neurons};
use crate::{Graph, NetConfig, NodeId};
use spikegrad_bptt::ConfigError;

/// Blocks of the stages of 18 layers.
pub(super) const LAYERS_18: &[usize] = &[2, 2, 2, 2];
/// Blocks of the stages of 34 layers.
pub(super) const LAYERS_34: &[usize] = &[3, 4, 6, 3];

/// The part in front of the blocks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stem {
    Small,
    ImageNet,
}

/// Spells ResNet-18 out.
pub fn resnet18(config: &NetConfig) -> Result<Graph, ConfigError> {
    graph(config, Stem::Small, 64, LAYERS_18)
}

/// Spells ResNet-18 out, in the form for ImageNet.
pub fn resnet18_imagenet(config: &NetConfig) -> Result<Graph, ConfigError> {
    graph(config, Stem::ImageNet, 64, LAYERS_18)
}

/// Spells ResNet-20 out.
pub fn resnet20(config: &NetConfig) -> Result<Graph, ConfigError> {
    graph(config, Stem::Small, 16, &[3, 3, 3])
}

/// Spells ResNet-34 out.
pub fn resnet34(config: &NetConfig) -> Result<Graph, ConfigError> {
    graph(config, Stem::Small, 64, LAYERS_34)
}

/// Spells ResNet-34 out, in the form for ImageNet.
pub fn resnet34_imagenet(config: &NetConfig) -> Result<Graph, ConfigError> {
    graph(config, Stem::ImageNet, 64, LAYERS_34)
}

fn graph(config: &NetConfig, stem: Stem, base: usize, blocks: &[usize]) -> Result<Graph, ConfigError> {
    let mut g = Graph::new();
    let x = stem.begin(&mut g, config.scaled(base)?);
    let x = stages(config, (base, blocks), x, |block, x, size, project| {
        residual(&mut g, block, x, size, project)
    })?;
    Ok(read_out(g, x, config.classes))
}

impl Stem {
    /// Spells the stem out and returns its spikes.
    pub(super) fn begin(self, g: &mut Graph, channels: usize) -> NodeId {
        let conv = match self {
            Self::Small => Conv::new(channels, 3),
            Self::ImageNet => Conv::new(channels, 7).stride(2),
        };
        let image = g.input();
        let current = g.add("conv1", conv.norm("bn1"), [image]);
        let spikes = g.add("spike1", Neurons::default(), [current]);
        match self {
            Self::Small => spikes,
            Self::ImageNet => g.add("maxpool", MaxPool::square(3).stride(2).padding(1), [spikes]),
        }
    }
}

/// Strings blocks together: stage s has `blocks[s]` of them and 2ˢ·`base` channels, and all stages but the first halve the
/// image. `block` adds one, from its name, what it reads, its channels and stride, and whether the shortcut is a
/// convolution.
pub(super) fn stages(
    config: &NetConfig,
    (base, blocks): (usize, &[usize]),
    from: NodeId,
    mut block: impl FnMut(&str, NodeId, (usize, usize), bool) -> NodeId,
) -> Result<NodeId, ConfigError> {
    let (mut x, mut before) = (from, config.scaled(base)?);
    for (stage, &blocks) in blocks.iter().enumerate() {
        let channels = config.scaled(base << stage)?;
        for k in 0..blocks {
            let stride = if stage > 0 && k == 0 { 2 } else { 1 };
            let project = stride != 1 || channels != before;
            x = block(&format!("layer{}.{k}", stage + 1), x, (channels, stride), project);
            before = channels;
        }
    }
    Ok(x)
}

/// Ends a net: means over the whole image, one linear layer.
pub(super) fn read_out(mut g: Graph, x: NodeId, classes: usize) -> Graph {
    let pooled = g.add("avgpool", AvgPool::global(), [x]);
    g.add("fc", Linear::new(classes), [pooled]);
    g
}
