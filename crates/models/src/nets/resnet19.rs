//! ResNet-19, the paper's net: a stem, eight residual blocks in three stages, global pooling, two linear layers.

use super::layers::residual;
use crate::ops::{AvgPool, Conv, Linear, Neurons};
use crate::{Graph, NetConfig};
use spikegrad_bptt::ConfigError;

/// Spells ResNet-19 out.
#[doc(alias = "eq-resnet19")]
pub fn resnet19(config: &NetConfig) -> Result<Graph, ConfigError> {
    let mut g = Graph::new();
    let image = g.input();
    let stem = g.add("conv1", Conv::new(config.scaled(64)?, 3).norm("bn1"), [image]);
    let mut x = g.add("spike", Neurons::default(), [stem]);
    let stages = [(3, 128, 1), (3, 256, 2), (2, 512, 2)];
    for (stage, (blocks, base, stride)) in (1..).zip(stages) {
        let channels = config.scaled(base)?;
        for block in 0..blocks {
            let is_first = block == 0;
            let stride = if is_first { stride } else { 1 };
            x = residual(&mut g, &format!("layer{stage}.{block}"), x, (channels, stride), is_first);
        }
    }
    let pooled = g.add("pool", AvgPool::global(), [x]);
    let hidden = g.add("fc1", Linear::new(config.scaled(256)?), [pooled]);
    let spikes = g.add("spike_fc", Neurons::default(), [hidden]);
    g.add("fc2", Linear::new(config.classes), [spikes]);
    Ok(g)
}
