//! A multi-layer perceptron: two layers of spiking neurons and a read-out.

use crate::ops::{Linear, Neurons};
use crate::{Graph, NetConfig};
use spikegrad_bptt::ConfigError;

/// Spells the perceptron out.
pub fn mlp(config: &NetConfig) -> Result<Graph, ConfigError> {
    let hidden = config.scaled(256)?;
    let mut g = Graph::new();
    let mut x = g.input();
    for k in 1..3 {
        let current = g.add(format!("fc{k}"), Linear::new(hidden), [x]);
        x = g.add(format!("spike{k}"), Neurons::default(), [current]);
    }
    g.add("fc3", Linear::new(config.classes), [x]);
    Ok(g)
}
