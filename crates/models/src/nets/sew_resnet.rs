//! SEW-ResNet-18 and -34 (Fang et al. 2021): neurons fire before a block's two branches are connected, so that a block may
//! be the identity.
//!
//! | connection | a block puts out |
//! |---|---|
//! | ADD | residual + shortcut: 0, 1, 2, …, small integers that floats hold exactly |
//! | AND | residual · shortcut: spikes |
//! | IAND | (1 − residual) · shortcut: spikes |
//!
//! The nets are those for images of 32×32 pixels and less, with a 3×3 stem and no max pooling behind it, unless their name
//! says that they have the form for ImageNet ([`super::resnet`]), which is SpikingJelly's.

use super::resnet::{LAYERS_18, LAYERS_34, Stem, read_out, stages};
use crate::graph::OpSpec;
use crate::ops::{Add, And, Conv, Iand, Neurons};
use crate::{Graph, NetConfig};
use spikegrad_bptt::ConfigError;

/// Spells SEW-ResNet-18 out, with ADD.
pub fn add18(config: &NetConfig) -> Result<Graph, ConfigError> {
    graph(config, Stem::Small, LAYERS_18, Add)
}

/// Spells SEW-ResNet-18 out, with ADD, in the form for ImageNet.
pub fn add18_imagenet(config: &NetConfig) -> Result<Graph, ConfigError> {
    graph(config, Stem::ImageNet, LAYERS_18, Add)
}

/// Spells SEW-ResNet-18 out, with AND.
pub fn and18(config: &NetConfig) -> Result<Graph, ConfigError> {
    graph(config, Stem::Small, LAYERS_18, And)
}

/// Spells SEW-ResNet-18 out, with IAND.
pub fn iand18(config: &NetConfig) -> Result<Graph, ConfigError> {
    graph(config, Stem::Small, LAYERS_18, Iand)
}

/// Spells SEW-ResNet-34 out, with ADD.
pub fn add34(config: &NetConfig) -> Result<Graph, ConfigError> {
    graph(config, Stem::Small, LAYERS_34, Add)
}

/// Spells SEW-ResNet-34 out, with ADD, in the form for ImageNet.
pub fn add34_imagenet(config: &NetConfig) -> Result<Graph, ConfigError> {
    graph(config, Stem::ImageNet, LAYERS_34, Add)
}

/// Spells SEW-ResNet-34 out, with AND.
pub fn and34(config: &NetConfig) -> Result<Graph, ConfigError> {
    graph(config, Stem::Small, LAYERS_34, And)
}

/// Spells SEW-ResNet-34 out, with IAND.
pub fn iand34(config: &NetConfig) -> Result<Graph, ConfigError> {
    graph(config, Stem::Small, LAYERS_34, Iand)
}

fn graph(
    config: &NetConfig,
    stem: Stem,
    blocks: &[usize],
    connect: impl OpSpec + Copy + 'static,
) -> Result<Graph, ConfigError> {
    let mut g = Graph::new();
    let x = stem.begin(&mut g, config.scaled(64)?);
    let x = stages(config, (64, blocks), x, |block, x, (channels, stride), project| {
        let name = |part: &str| format!("{block}.{part}");
        let first = g.add(name("conv1"), Conv::new(channels, 3).stride(stride).norm(name("bn1")), [x]);
        let inner = g.add(name("spike1"), Neurons::default(), [first]);
        let second = g.add(name("conv2"), Conv::new(channels, 3).norm(name("bn2")), [inner]);
        let residual = g.add(name("spike2"), Neurons::default(), [second]);
        let shortcut = if project {
            let conv = Conv::new(channels, 1).stride(stride).norm(name("downsample.1"));
            let current = g.add(name("downsample.0"), conv, [x]);
            g.add(name("downsample_spike"), Neurons::default(), [current])
        } else {
            x
        };
        g.add(name("connect"), connect, [residual, shortcut])
    })?;
    Ok(read_out(g, x, config.classes))
}
