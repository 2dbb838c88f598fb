//! Spiking VGG-9, -11 and -16: 3×3 convolutions with biases and batch norm, the image halved by max pooling, so that every
//! convolution but the first reads spikes.
//!
//! VGG-11 and -16 are Simonyan and Zisserman's (2015) in the usual form for 32×32 pixels: five stages, one linear layer.
//! VGG-9 is that of Kim and Panda (2021): seven convolutions in three stages and two linear layers, the first of which
//! has 1024 neurons. Names count convolutions, norms, neurons and pools in one row, as torchvision's `features` do.

use crate::ops::{Conv, Linear, MaxPool, Neurons};
use crate::{Graph, NetConfig, NodeId};
use spikegrad_bptt::ConfigError;

/// Spells VGG-9 out.
pub fn vgg9(config: &NetConfig) -> Result<Graph, ConfigError> {
    let (mut g, x) = features(config, &[(2, 64), (2, 128), (3, 256)])?;
    let hidden = g.add("classifier.0", Linear::new(config.scaled(1024)?), [x]);
    let spikes = g.add("classifier.1", Neurons::default(), [hidden]);
    g.add("classifier.2", Linear::new(config.classes), [spikes]);
    Ok(g)
}

/// Spells VGG-11 out.
pub fn vgg11(config: &NetConfig) -> Result<Graph, ConfigError> {
    let (mut g, x) = features(config, &[(1, 64), (1, 128), (2, 256), (2, 512), (2, 512)])?;
    g.add("classifier", Linear::new(config.classes), [x]);
    Ok(g)
}

/// Spells VGG-16 out.
pub fn vgg16(config: &NetConfig) -> Result<Graph, ConfigError> {
    let (mut g, x) = features(config, &[(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)])?;
    g.add("classifier", Linear::new(config.classes), [x]);
    Ok(g)
}

/// Spells the stages out: so many convolutions of so many channels, then a pool.
fn features(config: &NetConfig, stages: &[(usize, usize)]) -> Result<(Graph, NodeId), ConfigError> {
    let mut g = Graph::new();
    let (mut x, mut at) = (g.input(), 0);
    let name = |at: usize| format!("features.{at}");
    for &(convolutions, base) in stages {
        let channels = config.scaled(base)?;
        for _ in 0..convolutions {
            let conv = Conv::new(channels, 3).bias().norm(name(at + 1));
            let current = g.add(name(at), conv, [x]);
            x = g.add(name(at + 2), Neurons::default(), [current]);
            at += 3;
        }
        x = g.add(name(at), MaxPool::square(2), [x]);
        at += 1;
    }
    Ok((g, x))
}
