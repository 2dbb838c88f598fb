//! A small net for small event cameras: three 3×3 convolutions, each pooled by 2, and one linear layer.

use crate::ops::{AvgPool, Conv, Linear, Neurons};
use crate::{Graph, NetConfig};
use spikegrad_bptt::ConfigError;

/// Spells the event net out.
pub fn eventnet(config: &NetConfig) -> Result<Graph, ConfigError> {
    let mut g = Graph::new();
    let mut x = g.input();
    for (k, base) in [(1, 32), (2, 64), (3, 128)] {
        let conv = Conv::new(config.scaled(base)?, 3).norm(format!("bn{k}"));
        let current = g.add(format!("conv{k}"), conv, [x]);
        let spikes = g.add(format!("spike{k}"), Neurons::default(), [current]);
        x = g.add(format!("pool{k}"), AvgPool::square(2), [spikes]);
    }
    g.add("fc1", Linear::new(config.classes), [x]);
    Ok(g)
}
