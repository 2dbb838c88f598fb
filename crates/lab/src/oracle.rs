//! The trainer's configuration in the words of the f64 reference.

use crate::{Error, Result};
use spikegrad::TrainConfig;
use spikegrad_testkit::layout::NetConfig;
use spikegrad_testkit::loss::LossKind;

/// Translates a configuration: the reference reads the text form of the net.
///
/// # Errors
/// A user's own surrogate, loss or net, which the reference does not know.
pub fn config(train: &TrainConfig) -> Result<NetConfig> {
    let net = NetConfig::from_text(&train.net.to_text()).map_err(Error::setting)?;
    let kind = &train.loss.kind;
    Ok(NetConfig {
        smooth: train.net.smooth,
        loss: LossKind::named(kind.name(), &kind.numbers()).map_err(Error::setting)?,
        label_smoothing: f64::from(train.loss.label_smoothing),
        beta: f64::from(train.beta),
        ..net
    })
}
