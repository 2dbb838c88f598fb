//! The trainer's configuration in the words of the f64 reference.

use crate::{Error, Result};
use spikegrad::TrainConfig;
use spikegrad::bptt as fast;
use spikegrad::models as net;
use spikegrad_testkit::layout::{LossKind, NetConfig, NetKind, NormKind};
use spikegrad_testkit::lif::{Lif, Reset, SpikeMode};
use spikegrad_testkit::loss::Tet;
use spikegrad_testkit::surrogate::Surrogate;

/// Translates a configuration.
///
/// # Errors
/// A user's own surrogate, loss or net, or a learned decay, which the reference does not know.
pub fn config(train: &TrainConfig) -> Result<NetConfig> {
    let net = &train.net;
    if net.lif.learn_decay != fast::lif::Learn::No {
        return Err(Error::setting(
            "the f64 reference does not learn the decay: leave --learn-decay off, or take the library's finite differences",
        ));
    }
    let loss = match train.loss.kind {
        fast::LossKind::CrossEntropy => LossKind::CrossEntropy,
        fast::LossKind::Tet { lambda, phi } => {
            LossKind::Tet(Tet { lambda: f64::from(lambda), phi: f64::from(phi) })
        }
        _ => return Err(Error::setting("the f64 reference does not have this loss")),
    };
    Ok(NetConfig {
        kind: match net.kind() {
            Some(net::NetKind::ResNet19) => NetKind::ResNet19,
            Some(net::NetKind::LeNet) => NetKind::LeNet,
            Some(net::NetKind::Mlp) => NetKind::Mlp,
            Some(net::NetKind::VggSnn) => NetKind::VggSnn,
            Some(net::NetKind::VggSnnStride) => NetKind::VggSnnStride,
            Some(net::NetKind::EventNet) => NetKind::EventNet,
            _ => {
                return Err(Error::setting(format!(
                    "the f64 reference does not have the net {:?}",
                    net.name()
                )));
            }
        },
        channels: net.channels,
        h: net.height,
        w: net.width,
        classes: net.classes,
        width: net.scale,
        timesteps: net.timesteps,
        lif: lif(&net.lif)?,
        spike_mode: if net.smooth { SpikeMode::Smooth } else { SpikeMode::Step },
        norm: match net.norm {
            net::Norm::Bn => NormKind::Bn,
            net::Norm::TdBn => NormKind::TdBn,
        },
        ann: net.twin,
        label_smoothing: f64::from(train.loss.label_smoothing),
        beta: f64::from(train.beta),
        loss,
    })
}

/// Translates the neuron.
fn lif(lif: &fast::LifConfig) -> Result<Lif> {
    use fast::Surrogate as S;
    let wide = f64::from;
    let surrogate = match lif.surrogate {
        S::Rectangle { window } => Surrogate::Rectangle { w: wide(window) },
        S::Triangle { window } => Surrogate::Triangle { w: wide(window) },
        S::Arctan { alpha } => Surrogate::Arctan { alpha: wide(alpha) },
        S::Sigmoid { alpha } => Surrogate::Sigmoid { alpha: wide(alpha) },
        S::Gaussian { alpha } => Surrogate::Gaussian { alpha: wide(alpha) },
        S::FastSigmoid { alpha } => Surrogate::FastSigmoid { alpha: wide(alpha) },
        S::Dspike { alpha } => Surrogate::Dspike { b: wide(alpha) },
        S::Custom(_) => {
            return Err(Error::setting("the reference knows no surrogate of a user's own"));
        }
    };
    let reset = match lif.reset {
        fast::Reset::Hard => Reset::Hard,
        fast::Reset::HardDetached => Reset::HardDetached,
        fast::Reset::Soft => Reset::Soft,
        fast::Reset::SoftDetached => Reset::SoftDetached,
    };
    let (decay, threshold) = (wide(lif.decay), wide(lif.threshold));
    Ok(Lif { decay, threshold, reset, surrogate, delta: wide(lif.delta) })
}
