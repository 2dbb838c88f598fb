//! LeNet: two 5×5 convolutions, each pooled by 2, and three linear layers.

use crate::ops::{AvgPool, Conv, Linear, Neurons};
use crate::{Graph, NetConfig};
use spikegrad_bptt::ConfigError;

/// Spells LeNet out.
pub fn lenet(config: &NetConfig) -> Result<Graph, ConfigError> {
    let mut g = Graph::new();
    let mut x = g.input();
    for (k, base) in [(1, 32), (2, 64)] {
        let conv = Conv::new(config.scaled(base)?, 5).norm(format!("bn{k}"));
        let current = g.add(format!("conv{k}"), conv, [x]);
        let spikes = g.add(format!("spike{k}"), Neurons::default(), [current]);
        x = g.add(format!("pool{k}"), AvgPool::square(2), [spikes]);
    }
    for (k, base) in [(1, 128), (2, 64)] {
        let current = g.add(format!("fc{k}"), Linear::new(config.scaled(base)?), [x]);
        x = g.add(format!("spike{}", k + 2), Neurons::default(), [current]);
    }
    g.add("fc3", Linear::new(config.classes), [x]);
    Ok(g)
}
