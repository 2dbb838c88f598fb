//! A recurrent net for spike trains, such as spoken digits from a cochlea (SHD: 700 inputs, 100 steps): two layers of
//! neurons whose spikes come back to them, and a leaky integrator for each class.

use crate::ops::{Linear, Neurons, Recurrent};
use crate::{Graph, NetConfig};
use spikegrad_bptt::ConfigError;
use spikegrad_bptt::lif::{LifConfig, NeuronKind};

/// The decay of the integrators that read the net out.
const READ_OUT_DECAY: f32 = 0.9;

/// Spells the net out.
pub fn rsnn(config: &NetConfig) -> Result<Graph, ConfigError> {
    let hidden = config.scaled(128)?;
    let mut g = Graph::new();
    let mut x = g.input();
    for k in 1..3 {
        let current = g.add(format!("fc{k}"), Linear::new(hidden), [x]);
        x = g.add(format!("spike{k}"), Recurrent::new(), [current]);
    }
    let current = g.add("fc3", Linear::new(config.classes), [x]);
    let integrator = LifConfig::default().kind(NeuronKind::Integrator).decay(READ_OUT_DECAY);
    let integrator = integrator.learn_decay(config.lif.learn_decay);
    g.add("read_out", Neurons::new(integrator), [current]);
    Ok(g)
}
