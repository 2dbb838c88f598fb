//! VGGSNN (Deng et al. 2022): eight 3×3 convolutions with biases; the image is halved behind every second.

use crate::ops::{AvgPool, Conv, Linear, Neurons};
use crate::{Graph, NetConfig};
use spikegrad_bptt::ConfigError;

/// Spells VGGSNN out; the image is halved by average pooling.
pub fn vggsnn(config: &NetConfig) -> Result<Graph, ConfigError> {
    graph(config, true)
}

/// Spells VGGSNN out; the image is halved by convolutions of stride 2.
pub fn vggsnn_stride(config: &NetConfig) -> Result<Graph, ConfigError> {
    graph(config, false)
}

fn graph(config: &NetConfig, is_pooled: bool) -> Result<Graph, ConfigError> {
    let mut g = Graph::new();
    let mut x = g.input();
    for (k, base) in (1..).zip([64, 128, 256, 256, 512, 512, 512, 512]) {
        let halves = k % 2 == 0;
        let stride = if halves && !is_pooled { 2 } else { 1 };
        let conv = Conv::new(config.scaled(base)?, 3).stride(stride).bias().norm(format!("bn{k}"));
        let current = g.add(format!("conv{k}"), conv, [x]);
        x = g.add(format!("spike{k}"), Neurons::default(), [current]);
        if halves && is_pooled {
            x = g.add(format!("pool{k}"), AvgPool::square(2), [x]);
        }
    }
    g.add("fc1", Linear::new(config.classes), [x]);
    Ok(g)
}
