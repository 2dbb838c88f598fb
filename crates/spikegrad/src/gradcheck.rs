//! Gradients laid open, for checks and for the eye.

use crate::{Error, Trainer};
use spikegrad_bptt::lif::record::Recorder;
use spikegrad_bptt::{ConfigError, Reset};
use spikegrad_models::net::Loss;
use spikegrad_tensor::rng::Rng;
use std::sync::Arc;

/// Computes the gradients of one batch without taking a step: name and gradient of each weight.
///
/// Weights, running estimates, moments and the number of steps stay as they are.
///
/// # Errors
/// The batch does not fit the plan.
pub fn gradients(
    trainer: &mut Trainer,
    images: &[f32],
    labels: &[u32],
) -> Result<Vec<(String, Vec<f32>)>, Error> {
    trainer.pass(images, labels)?;
    let params = trainer.net.params();
    Ok(params.entries.iter().map(|e| (e.name.clone(), params.grads[e.range.clone()].to_vec())).collect())
}

impl Trainer {
    /// Runs one training batch forward and backward, with a recorder looking on, and takes no step.
    ///
    /// Weights, running estimates, moments and the number of steps stay as they are.
    ///
    /// # Errors
    /// The batch does not fit the plan.
    pub fn observe(
        &mut self,
        images: &[f32],
        labels: &[u32],
        recorder: Arc<dyn Recorder>,
    ) -> Result<Loss, Error> {
        self.net.record(Some(recorder));
        let loss = self.pass(images, labels);
        self.net.record(None);
        loss
    }

    /// Forward and backward, without a trace in the running estimates.
    fn pass(&mut self, images: &[f32], labels: &[u32]) -> Result<Loss, Error> {
        self.check_batch(images, labels)?;
        self.estimates.copy_from_slice(&self.net.params().buffers);
        let loss = self.loss_and_gradients(images, labels);
        self.net.params_mut().buffers.copy_from_slice(&self.estimates);
        Ok(loss)
    }
}

/// A directional derivative of the loss in the space of one parameter.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Difference {
    /// Name of the parameter.
    pub name: String,
    /// The slope by the backward: gradient · direction.
    pub slope: f64,
    /// The slope by the forward: the loss's difference along the direction.
    pub difference: f64,
    /// The largest distance of the difference to the derivative, estimated from its truncation and from the rounding of the
    /// loss.
    pub bound: f64,
}

impl Difference {
    /// Whether backward and forward agree within the bound.
    pub fn agrees(&self) -> bool {
        (self.slope - self.difference).abs() <= self.bound
    }
}

/// Rounding of a loss of size 1 that is computed from `f32` logits through some layers.
const LOSS_ROUNDING: f64 = 2e-6;

/// Compares the gradient of every parameter with central differences of the loss, on any net, its ops of one's own
/// included. The direction is the gradient's, mixed with a random one drawn from `seed`.
///
/// Steps from 2⁻³ to 2⁻¹⁰ are tried, each with Richardson's extrapolation D = (4·D(h/2) − D(h))/3, and the one with the
/// least bound |D − D(h/2)| + rounding/h counts.
///
/// # Errors
/// The net is not smooth ([`spikegrad_models::NetConfig::smooth`]), a reset is detached, so that the gradient is that of
/// no function, or the batch does not fit the plan.
pub fn finite_differences(
    trainer: &mut Trainer,
    images: &[f32],
    labels: &[u32],
    seed: u64,
) -> Result<Vec<Difference>, Error> {
    let net = &trainer.config.net;
    if !net.smooth || matches!(net.lif.reset, Reset::HardDetached | Reset::SoftDetached) {
        let why = "finite differences need a smooth net whose resets are attached";
        return Err(ConfigError::new(why).into());
    }
    let loss = trainer.pass(images, labels)?;
    let rounding = LOSS_ROUNDING * (1.0 + loss.data_term.abs() + loss.lipschitz.abs());
    let params = trainer.net.params();
    let (entries, weights, gradient) = (params.entries.clone(), params.weights.clone(), params.grads.clone());
    let mut rng = Rng::new(seed);
    let mut rows = Vec::new();
    for entry in entries {
        let gradient = &gradient[entry.range.clone()];
        let direction = direction(gradient, &mut rng);
        let slope = gradient.iter().zip(&direction).map(|(g, d)| f64::from(*g) * d).sum();
        let mut at = |step: f64| -> Result<f64, Error> {
            let weights = &weights[entry.range.clone()];
            let moved = &mut trainer.net.params_mut().weights[entry.range.clone()];
            let places = moved.iter_mut().zip(weights).zip(&direction);
            places.for_each(|((moved, w), d)| *moved = (f64::from(*w) + step * d) as f32);
            let loss = trainer.pass(images, labels)?;
            Ok(loss.data_term + loss.lipschitz)
        };
        let mut best = (0.0, f64::INFINITY);
        let mut wide = (at(0.25)? - at(-0.25)?) / 0.5;
        for k in 3..=10 {
            let h = 0.5f64.powi(k);
            let narrow = (at(h)? - at(-h)?) / (2.0 * h);
            let derivative = (4.0 * narrow - wide) / 3.0;
            let bound = (derivative - narrow).abs() + rounding / h;
            if bound < best.1 {
                best = (derivative, bound);
            }
            wide = narrow;
        }
        trainer.net.params_mut().weights[entry.range.clone()].copy_from_slice(&weights[entry.range.clone()]);
        rows.push(Difference { name: entry.name, slope, difference: best.0, bound: best.1 });
    }
    Ok(rows)
}

/// The gradient's direction and half a random one, of length 1.
fn direction(gradient: &[f32], rng: &mut Rng) -> Vec<f64> {
    let unit = |v: Vec<f64>| {
        let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        v.into_iter().map(move |x| if length > 0.0 { x / length } else { 0.0 }).collect::<Vec<_>>()
    };
    let own = unit(gradient.iter().map(|&g| f64::from(g)).collect());
    let random = unit(gradient.iter().map(|_| f64::from(rng.normal())).collect());
    // Half of the random one: two of length 1 may cancel.
    unit(own.iter().zip(&random).map(|(a, b)| a + 0.5 * b).collect())
}
