//! Gradient checks: the trainer's gradients on a tiny net, against four witnesses.
//!
//! | witness | what it proves |
//! |---|---|
//! | `tape`: f64 reverse mode with the same surrogate rule | the spiking backward, SGS included |
//! | `smooth tape`: the same with the surrogate's primitive for spikes | the same code on a differentiable net |
//! | `differences`: f64 finite differences of the smooth loss | that both are the gradient, not only equal |
//! | `adjoint`: ⟨W ∗ x, g⟩ = ⟨x, dx⟩ = ⟨W, dW⟩ | that the three passes of a convolution belong together |
//!
//! A spike flips when f32 and f64 fall on either side of the threshold, which no tolerance could forgive: of a few
//! random inputs, the one whose membranes keep the largest distance to such points is used.

use crate::settings::{RunConfig, Settings, Shape};
use crate::{Error, Result, adjoint, oracle};
use spikegrad::data::rng::Rng;
use spikegrad::gradcheck::gradients;
use spikegrad::models::{Input, NetKind};
use spikegrad::tensor::Level;
use spikegrad::{TrainConfig, Trainer};
use spikegrad_testkit::check::{dot, largest};
use spikegrad_testkit::layout::{NetConfig, buffers};
use spikegrad_testkit::net::{StepResult, step};
use std::collections::BTreeMap;
use std::path::Path;

/// The images of the check: as small as most nets allow.
const SHAPE: Shape = Shape { channels: 3, height: 8, width: 8, classes: 5 };
/// The same for VGGSNN.
const VGG_SHAPE: Shape = Shape { height: 16, width: 16, ..SHAPE };
/// Random inputs to choose from.
const TRIES: u64 = 12;
/// Distance of membranes to a flip that is surely enough.
const SAFE: f64 = 2e-5;
/// Step of the finite differences, relative to the norm of the weights.
const STEP: f64 = 1e-6;
/// Gradients below this share of the net's largest count as that share when errors become relative.
const FLOOR: f64 = 1e-3;

/// The worst element of a comparison.
#[derive(Clone, Debug)]
pub struct Worst {
    /// The witness.
    pub check: &'static str,
    /// The tensor, or the identity.
    pub tensor: String,
    /// The element; 0 where a whole tensor is compared.
    pub index: usize,
    /// The trainer's number.
    pub got: f64,
    /// The witness's number.
    pub want: f64,
    /// The relative error.
    pub error: f64,
}

/// A batch, and what the f64 reference makes of it.
struct Case {
    images: Vec<f32>,
    labels: Vec<u32>,
    reference: StepResult,
    margin: f64,
}

/// Checks the gradients of a tiny net against all witnesses; a row for each tensor and witness.
///
/// # Errors
/// Settings that make no sense, or that the reference does not know.
pub fn check(config: &TrainConfig, level: Level) -> Result<Vec<Worst>> {
    let mut rows = Vec::new();
    let mut trainer = Trainer::new(config.clone(), level)?;
    rows.extend(against_tape(&mut trainer, config, "tape")?.0);
    if !config.net.twin {
        let mut smooth = config.clone();
        smooth.net.smooth = true;
        let mut trainer = Trainer::new(smooth.clone(), level)?;
        let (errors, got, case) = against_tape(&mut trainer, &smooth, "smooth tape")?;
        rows.extend(errors);
        let detached = smooth.net.lif.reset.to_string().ends_with("detached");
        if !detached {
            rows.extend(against_differences(&trainer, &smooth, &got, &case)?);
        }
    }
    rows.extend(against_adjoint(level, config.seed)?);
    Ok(rows)
}

/// The convolution kernels against each other.
fn against_adjoint(level: Level, seed: u64) -> Result<Vec<Worst>> {
    let identities = adjoint::identities(level, seed).map_err(Error::input)?;
    let worst = |row: adjoint::Identity| {
        let adjoint::Identity { name, got, want, error } = row;
        Worst { check: "adjoint", tensor: name, index: 0, got, want, error }
    };
    Ok(identities.into_iter().map(worst).collect())
}

/// What the net of a check is where nobody says.
pub fn usual() -> RunConfig {
    RunConfig { width: Some(0.0625), batch: Some(4), ..RunConfig::default() }
}

/// The training configuration of a check: `config` over `file` over a tiny net.
///
/// # Errors
/// Settings that make no sense.
pub fn tiny(config: RunConfig, file: Option<&Path>) -> Result<TrainConfig> {
    let config = if file.is_some() { config } else { config.over(usual()) };
    let settings = Settings::resolve(config, file)?;
    let is_vgg =
        matches!(settings.train_config(SHAPE).net.kind(), Some(NetKind::VggSnn | NetKind::VggSnnStride));
    Ok(settings.train_config(if is_vgg { VGG_SHAPE } else { SHAPE }))
}

/// The weights and the fresh running statistics, in f64.
fn values(trainer: &Trainer, net: &NetConfig) -> BTreeMap<String, Vec<f64>> {
    let wide = |values: Vec<f32>| values.into_iter().map(f64::from).collect();
    let mut all: BTreeMap<String, Vec<f64>> =
        trainer.parameters().into_iter().map(|(name, _, values)| (name, wide(values))).collect();
    for entry in buffers(net) {
        let start = if entry.name.ends_with("running_var") { 1.0 } else { 0.0 };
        all.insert(entry.name.clone(), vec![start; entry.len()]);
    }
    all
}

/// One step of the reference.
fn reference(
    net: &NetConfig,
    values: &BTreeMap<String, Vec<f64>>,
    images: &[f32],
    labels: &[u32],
) -> StepResult {
    let images: Vec<f64> = images.iter().map(|&x| f64::from(x)).collect();
    let labels: Vec<usize> = labels.iter().map(|&label| label as usize).collect();
    step(net, &|name| values.get(name).cloned().unwrap_or_default(), &images, &labels)
}

/// Finds an input whose membranes stay away from every point where the gradient jumps.
fn case(trainer: &Trainer, train: &TrainConfig, net: &NetConfig) -> Case {
    let values = values(trainer, net);
    let mut best: Option<Case> = None;
    for seed in 0..TRIES {
        let mut rng = Rng::keyed(&[train.seed, seed]);
        let count = trainer.net().images_len();
        let number = |x: f32| if train.net.input == Input::Spikes { f32::from(x > 0.5) } else { x };
        let images: Vec<f32> = (0..count).map(|_| number(rng.normal())).collect();
        let labels: Vec<u32> = (0..train.batch).map(|_| rng.below(SHAPE.classes) as u32).collect();
        let reference = reference(net, &values, &images, &labels);
        let margin = margin(net, &reference);
        if best.as_ref().is_none_or(|best| margin > best.margin) {
            best = Some(Case { images, labels, reference, margin });
        }
        if margin > SAFE {
            break;
        }
    }
    best.unwrap_or_else(|| unreachable!("at least one input was tried"))
}

/// The least distance of a membrane to the threshold or a kink of the surrogate.
fn margin(net: &NetConfig, reference: &StepResult) -> f64 {
    let mut points = if net.twin { Vec::new() } else { net.lif.surrogate.kinks() };
    if !net.smooth || net.twin {
        points.push(0.0);
    }
    let distance = |d: &f64| points.iter().map(|p| (d - p).abs()).fold(f64::INFINITY, f64::min);
    reference.distances.values().flatten().map(distance).fold(f64::INFINITY, f64::min)
}

/// The trainer's gradients by name.
type Gradients = Vec<(String, Vec<f32>)>;

/// Compares every element with the tape.
fn against_tape(
    trainer: &mut Trainer,
    train: &TrainConfig,
    check: &'static str,
) -> Result<(Vec<Worst>, Gradients, Case)> {
    let net = oracle::config(train)?;
    let case = case(trainer, train, &net);
    let got = gradients(trainer, &case.images, &case.labels)?;
    let top = case.reference.grads.values().flatten().fold(0.0f64, |top, g| top.max(g.abs()));
    let mut rows = Vec::new();
    for (tensor, got) in &got {
        let Some(want) = case.reference.grads.get(tensor).filter(|want| want.len() == got.len()) else {
            return Err(Error::input(format!("{tensor}: the reference has no such gradient")));
        };
        let scale = largest(want).max(FLOOR * top).max(f64::MIN_POSITIVE);
        let error = |i: usize| {
            let error = (f64::from(got[i]) - want[i]).abs() / scale;
            if error.is_nan() { f64::INFINITY } else { error }
        };
        let index = (0..got.len()).fold(0, |worst, i| if error(i) > error(worst) { i } else { worst });
        let (tensor, got, want) = (tensor.clone(), f64::from(got[index]), want[index]);
        rows.push(Worst { check, tensor, index, got, want, error: error(index) });
    }
    Ok((rows, got, case))
}

/// Compares the derivative along a random direction of each tensor with finite differences of the f64 loss.
fn against_differences(
    trainer: &Trainer,
    train: &TrainConfig,
    got: &Gradients,
    case: &Case,
) -> Result<Vec<Worst>> {
    let net = oracle::config(train)?;
    let mut values = values(trainer, &net);
    let top = case.reference.grads.values().map(|g| dot(g, g).sqrt()).fold(0.0, f64::max);
    let mut rows = Vec::new();
    for (k, (tensor, gradient)) in got.iter().enumerate() {
        let mut rng = Rng::keyed(&[train.seed, TRIES, k as u64]);
        let direction: Vec<f64> = gradient.iter().map(|_| f64::from(rng.normal())).collect();
        let length = dot(&direction, &direction).sqrt();
        let start = values.get(tensor).cloned().unwrap_or_default();
        let mut loss_at = |h: f64| {
            let moved = start.iter().zip(&direction).map(|(w, d)| w + h * d / length).collect();
            values.insert(tensor.clone(), moved);
            reference(&net, &values, &case.images, &case.labels).loss
        };
        let want = (loss_at(STEP) - loss_at(-STEP)) / (2.0 * STEP);
        values.insert(tensor.clone(), start);
        let gradient: Vec<f64> = gradient.iter().map(|&g| f64::from(g)).collect();
        let got = dot(&gradient, &direction) / length;
        let scale = dot(&gradient, &gradient).sqrt().max(FLOOR * top).max(f64::MIN_POSITIVE);
        let error = (got - want).abs() / scale;
        let error = if error.is_nan() { f64::INFINITY } else { error };
        rows.push(Worst { check: "differences", tensor: tensor.clone(), index: 0, got, want, error });
    }
    Ok(rows)
}
