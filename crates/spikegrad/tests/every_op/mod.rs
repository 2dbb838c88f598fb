//! A net that has every op of the zoo, for what must hold for all of them: threads, memory, allocations.

use spikegrad::models::ops::{
    Add, And, AvgPool, Conv, Dropout, Iand, Linear, MaxPool, Neurons, Upsample, Vote,
};
use spikegrad::models::{Graph, NetConfig};
use spikegrad::prelude::LifConfig;

/// Linear layers of the net.
#[allow(dead_code, reason = "each test file uses its part")]
pub const LINEAR_LAYERS: usize = 2;

/// The net, on images of 3 × `side` × `side` and five classes.
pub fn net(side: usize) -> NetConfig {
    let plif = LifConfig::default().threshold(0.5).learn_decay(true);
    let mut g = Graph::new();
    let image = g.input();
    let stem = g.add("stem", Conv::new(40, 3), [image]);
    let spikes = g.add("stem.spike", Neurons::default(), [stem]);
    let depthwise = g.add("depthwise", Conv::new(40, 3).groups(40), [spikes]);
    let alone = g.add("depthwise.spike", Neurons::new(plif), [depthwise]);
    let grouped = g.add("grouped", Conv::new(40, 3).groups(5), [spikes]);
    let group = g.add("grouped.spike", Neurons::default(), [grouped]);
    let both = g.add("both", And, [alone, group]);
    let either = g.add("either", Iand, [alone, spikes]);
    let sum = g.add("sum", Add, [both, either]);
    let kept = g.add("kept", Dropout::new(0.2), [sum]);
    let conv = g.add("conv", Conv::new(64, 3), [kept]);
    let fired = g.add("conv.spike", Neurons::default(), [conv]);
    let pooled = g.add("pool", MaxPool::square(2), [fired]);
    let wide = g.add("wide", Upsample::nearest(3), [pooled]);
    let last = g.add("last", Conv::new(20, 3).stride(2), [wide]);
    let means = g.add("means", AvgPool::adaptive(2, 3), [last]);
    let hidden = g.add("hidden", Linear::new(30).without_bias(), [means]);
    let voters = g.add("voters", Neurons::default(), [hidden]);
    let read = g.add("read", Linear::new(10), [voters]);
    g.add("vote", Vote::new(2), [read]);
    NetConfig::of_graph(g, 3, side, side, 5).lif(LifConfig::default().threshold(0.5)).timesteps(2)
}
