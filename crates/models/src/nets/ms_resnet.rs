//! MS-ResNet-18 (Hu et al. 2021): a block fires, convolves and norms, twice, and adds what it read; the sum is a current,
//! on which the next block's neurons stand. Its shortcuts carry membrane potentials, not spikes.
//!
//! The net is that for images of 32×32 pixels and less: a 3×3 stem, whose stride is 1, and a first stage that does not
//! halve the image.

use super::resnet::{LAYERS_18, read_out, stages};
use crate::ops::{Add, Conv, Neurons};
use crate::{Graph, NetConfig};
use spikegrad_bptt::ConfigError;

/// Spells MS-ResNet-18 out.
pub fn ms_resnet18(config: &NetConfig) -> Result<Graph, ConfigError> {
    let mut g = Graph::new();
    let image = g.input();
    let stem = g.add("conv1", Conv::new(config.scaled(64)?, 3).norm("bn1"), [image]);
    let x = stages(config, (64, LAYERS_18), stem, |block, x, (channels, stride), project| {
        let name = |part: &str| format!("{block}.{part}");
        let fired = g.add(name("spike1"), Neurons::default(), [x]);
        let first = g.add(name("conv1"), Conv::new(channels, 3).stride(stride).norm(name("bn1")), [fired]);
        let inner = g.add(name("spike2"), Neurons::default(), [first]);
        let second = g.add(name("conv2"), Conv::new(channels, 3).norm(name("bn2")).residual(), [inner]);
        let shortcut = if project {
            let conv = Conv::new(channels, 1).stride(stride).norm(name("downsample.1")).residual();
            g.add(name("downsample.0"), conv, [x])
        } else {
            x
        };
        g.add(name("sum"), Add, [second, shortcut])
    })?;
    let fired = g.add("spike", Neurons::default(), [x]);
    Ok(read_out(g, fired, config.classes))
}
