//! Spiking ResNet-18, -20 and -34: He et al. 2016, with neurons for the rectifiers, so that they fire behind each addition.
//!
//! The nets are those for images of 32×32 pixels and less: a 3×3 stem, and no max pooling behind it. Shortcuts are 1×1
//! convolutions where size or channels change.

use super::layers::residual;
use crate::ops::{AvgPool, Conv, Linear, Neurons};
use crate::{Graph, NetConfig, NodeId};
use spikegrad_bptt::ConfigError;

/// Spells ResNet-18 out.
pub fn resnet18(config: &NetConfig) -> Result<Graph, ConfigError> {
    graph(config, 64, &[2, 2, 2, 2])
}

/// Spells ResNet-20 out.
pub fn resnet20(config: &NetConfig) -> Result<Graph, ConfigError> {
    graph(config, 16, &[3, 3, 3])
}

/// Spells ResNet-34 out.
pub fn resnet34(config: &NetConfig) -> Result<Graph, ConfigError> {
    graph(config, 64, &[3, 4, 6, 3])
}

fn graph(config: &NetConfig, base: usize, blocks: &[usize]) -> Result<Graph, ConfigError> {
    let mut g = Graph::new();
    let image = g.input();
    let stem = g.add("conv1", Conv::new(config.scaled(base)?, 3).norm("bn1"), [image]);
    let x = g.add("spike1", Neurons::default(), [stem]);
    let x = stages(config, (base, blocks), x, |block, x, size, project| {
        residual(&mut g, block, x, size, project)
    })?;
    Ok(read_out(g, x, config.classes))
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
