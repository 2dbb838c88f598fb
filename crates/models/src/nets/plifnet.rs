//! PLIF-Net (Fang et al. 2021): 3×3 convolutions of 128 channels, each max-pooled by 2, a hidden layer a quarter as wide as
//! what they yield, ten neurons for each class that vote; all neurons learn their decay, a number a layer, and dropout of
//! one half stands before both linear layers, which have no bias.
//!
//! | net | convolutions | for |
//! |---|---|---|
//! | [`nmnist`] | 2 | N-MNIST, 34×34 |
//! | [`cifar10dvs`] | 4 | CIFAR10-DVS, 128×128 |
//! | [`gesture`] | 5 | DVS128 Gesture, 128×128 |
//!
//! Names count the layers of a part in one row, as in the authors' code.

use crate::ops::{Conv, Dropout, Flatten, Linear, MaxPool, Neurons, Vote};
use crate::{Graph, NetConfig};
use spikegrad_bptt::ConfigError;

/// Neurons that vote for a class.
const VOTERS: usize = 10;

/// Spells the net for N-MNIST out.
pub fn nmnist(config: &NetConfig) -> Result<Graph, ConfigError> {
    graph(config, 2)
}

/// Spells the net for CIFAR10-DVS out.
pub fn cifar10dvs(config: &NetConfig) -> Result<Graph, ConfigError> {
    graph(config, 4)
}

/// Spells the net for DVS128 Gesture out.
pub fn gesture(config: &NetConfig) -> Result<Graph, ConfigError> {
    graph(config, 5)
}

fn graph(config: &NetConfig, convolutions: usize) -> Result<Graph, ConfigError> {
    let plif = || Neurons::new(config.lif.clone().learn_decay(true));
    let channels = config.scaled(128)?;
    let mut g = Graph::new();
    let mut x = g.input();
    for at in (0..4 * convolutions).step_by(4) {
        let conv = Conv::new(channels, 3).norm(format!("conv.{}", at + 1));
        let current = g.add(format!("conv.{at}"), conv, [x]);
        let spikes = g.add(format!("conv.{}", at + 2), plif(), [current]);
        x = g.add(format!("conv.{}", at + 3), MaxPool::square(2), [spikes]);
    }
    let features = channels * (config.height >> convolutions) * (config.width >> convolutions);
    x = g.add("fc.0", Flatten, [x]);
    for (at, outputs) in [(1, features / 4), (4, VOTERS * config.classes)] {
        let kept = g.add(format!("fc.{at}"), Dropout::new(0.5), [x]);
        let current = g.add(format!("fc.{}", at + 1), Linear::new(outputs).without_bias(), [kept]);
        x = g.add(format!("fc.{}", at + 2), plif(), [current]);
    }
    g.add("vote", Vote::new(VOTERS), [x]);
    Ok(g)
}
