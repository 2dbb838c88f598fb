//! Parameter groups: which parameters learn, how fast, and which decay.

use crate::Error;
use spikegrad_bptt::{ConfigError, Optimizer};
use spikegrad_models::Params;
use spikegrad_models::params::{Entry, Role};
use std::ops::Range;

/// The parameters of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Select {
    /// Those of a role: weights, biases, factors and summands of norms, or neurons' own.
    Role(Role),
    /// Those whose name begins so.
    Prefix(String),
}

/// A rule for some parameters; where several rules fit one, the last counts.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ParamGroup {
    /// The parameters.
    pub select: Select,
    /// Factor on the learning rate; 0 freezes them.
    pub lr_factor: f32,
    /// Weight decay instead of the optimiser's.
    pub weight_decay: Option<f32>,
}

impl ParamGroup {
    /// A group that learns as all others do.
    pub fn new(select: Select) -> Self {
        Self { select, lr_factor: 1.0, weight_decay: None }
    }

    /// Parameters whose name begins so.
    pub fn named(prefix: impl Into<String>) -> Self {
        Self::new(Select::Prefix(prefix.into()))
    }

    /// Sets the factor on the learning rate.
    pub fn lr_factor(self, lr_factor: f32) -> Self {
        Self { lr_factor, ..self }
    }

    /// Sets the weight decay.
    pub fn weight_decay(self, weight_decay: f32) -> Self {
        Self { weight_decay: Some(weight_decay), ..self }
    }

    /// Freezes the parameters: they stay as they are, and their gradient does not count where gradients are clipped.
    pub fn frozen(self) -> Self {
        self.lr_factor(0.0)
    }

    /// The usual recipe of PyTorch's users: norms, biases and neurons do not decay.
    ///
    /// ```
    /// use spikegrad::prelude::*;
    /// use spikegrad::ParamGroup;
    ///
    /// let net = NetConfig::new(NetKind::LeNet, 1, 8, 8, 10);
    /// let groups = ParamGroup::no_decay_on_norms_and_biases();
    /// let config = TrainConfig::new(net).optimizer(Optimizer::adamw(1e-2)).groups(groups);
    /// # assert_eq!(config.groups.len(), 4);
    /// ```
    pub fn no_decay_on_norms_and_biases() -> Vec<Self> {
        let without = |role| Self::new(Select::Role(role)).weight_decay(0.0);
        [Role::Bias, Role::Scale, Role::Shift, Role::Neuron].map(without).to_vec()
    }

    fn fits(&self, entry: &Entry) -> bool {
        match &self.select {
            Select::Role(role) => entry.role == *role,
            Select::Prefix(prefix) => entry.name.starts_with(prefix.as_str()),
        }
    }

    /// Checks the numbers.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let numbers =
            [("learning-rate factor", self.lr_factor), ("weight decay", self.weight_decay.unwrap_or(0.0))];
        match numbers.into_iter().find(|(_, x)| !(*x >= 0.0 && x.is_finite())) {
            None => Ok(()),
            Some((what, x)) => {
                let select = &self.select;
                Err(ConfigError::new(format!(
                    "group {select:?}: {what} is {x}, must be a finite number, 0 or more"
                )))
            }
        }
    }
}

/// Neighbouring parameters that learn alike.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Span {
    pub range: Range<usize>,
    pub lr_factor: f32,
    pub optimizer: Optimizer,
}

/// Divides all parameters into spans that learn alike.
///
/// # Errors
/// A group that has no parameter.
pub(crate) fn spans(
    params: &Params,
    groups: &[ParamGroup],
    optimizer: &Optimizer,
) -> Result<Vec<Span>, Error> {
    if let Some(group) = groups.iter().find(|group| !params.entries.iter().any(|entry| group.fits(entry)))
        && let Select::Prefix(prefix) = &group.select
    {
        return Err(
            ConfigError::new(format!("no parameter's name begins with {prefix:?}, as a group says")).into()
        );
    }
    let mut spans: Vec<Span> = Vec::new();
    for entry in &params.entries {
        let group = groups.iter().rfind(|group| group.fits(entry));
        let lr_factor = group.map_or(1.0, |group| group.lr_factor);
        let decay = group.and_then(|group| group.weight_decay);
        let optimizer = decay.map_or_else(|| optimizer.clone(), |decay| optimizer.with_weight_decay(decay));
        match spans.last_mut() {
            Some(last) if last.lr_factor == lr_factor && last.optimizer == optimizer => {
                last.range.end = entry.range.end
            }
            _ => spans.push(Span { range: entry.range.clone(), lr_factor, optimizer }),
        }
    }
    Ok(spans)
}
