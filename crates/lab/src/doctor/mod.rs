//! Examination: how a trained net is doing, and what to try where it is not well.
//!
//! A few training batches run forward and backward through the trainer's own kernels; no step is taken and nothing of
//! the run is changed.
//!
//! | column | what |
//! |---|---|
//! | fires | share of neurons and steps with a spike |
//! | silent, saturated | neurons that never fire, or at every step, in any image looked at |
//! | in window | share of membranes where the surrogate is at least a tenth of its peak |
//! | gradient | ‖∂L/∂u‖ of a layer, over all steps; its first step's share against the last's |
//! | drift | by how many running standard deviations the batch's means are off, root mean square over channels |
//! | variance | the batch's variance ÷ the running one, geometric mean over channels |
//! | σ | the largest singular value of a layer's map, batch norm folded in |

mod findings;

pub use findings::findings;
pub use spikegrad_report::doctor_page::Finding;

use crate::Result;
use crate::checkpoint::Checkpoint;
use serde_json::json;
use spikegrad::microscope::{LayerView, Microscope};
use spikegrad::models::{Lanczos, LipschitzConstant, NormInfo};
use spikegrad_report::doctor_page::{self, DoctorPage, Weights, mean, norm};
use spikegrad_report::row;
use spikegrad_report::table::table;
use std::sync::Arc;

/// A batch norm's training statistics beside its running ones.
#[derive(Clone, Debug)]
pub struct Drift {
    /// Name of the batch norm.
    pub name: String,
    /// Root mean square over channels of (mean − running mean)/√(running variance + ε).
    pub mean: f64,
    /// Geometric mean over channels of variance/running variance.
    pub variance: f64,
}

/// All that was measured.
#[derive(Debug)]
pub struct Examination {
    /// What was looked at, in a sentence.
    pub about: String,
    /// Every layer of neurons.
    pub layers: Vec<LayerView>,
    /// Every batch norm.
    pub drifts: Vec<Drift>,
    /// σ_max of every convolution and linear layer.
    pub constants: Vec<LipschitzConstant>,
}

/// Examines a trained net on so many training batches.
///
/// # Errors
/// Fewer images than a batch; what the net reports.
pub fn examine(opened: Checkpoint, batches: usize) -> Result<Examination> {
    let Checkpoint { settings, data, mut trainer, .. } = opened;
    let microscope = Arc::new(Microscope::new(trainer.net(), &[])?);
    let mut drifts: Vec<Vec<Drift>> = Vec::new();
    let (mut images, mut loss) = (0, 0.0);
    for batch in data.train_loader(&settings)?.epoch(0).take(batches) {
        let of_batch = trainer.observe(&batch.images, &batch.labels, microscope.clone())?;
        loss += (of_batch.data_term + of_batch.lipschitz) * batch.len as f64;
        images += batch.len;
        drifts.push(trainer.net().norms().iter().map(drift).collect());
    }
    let about = format!(
        "{} on {}: {images} training images, mean loss {:.4}",
        trainer.config().net.name(),
        settings.source,
        loss / images as f64
    );
    let constants = trainer.net().lipschitz_constants(&Lanczos::default());
    Ok(Examination { about, layers: microscope.layers(), drifts: mean_of(&drifts), constants })
}

/// How far a batch's statistics are from the running ones.
fn drift(norm: &NormInfo) -> Drift {
    let wide = |x: &f32| f64::from(*x);
    let channels = norm.mean.len().max(1) as f64;
    let epsilon = spikegrad::tensor::norm::EPSILON;
    let off = norm.mean.iter().zip(&norm.running_mean).zip(&norm.running_var);
    let square =
        off.map(|((mean, running), var)| (wide(mean) - wide(running)).powi(2) / (wide(var) + epsilon));
    let ratio = norm.var.iter().zip(&norm.running_var);
    let log = ratio.map(|(var, running)| ((wide(var) + epsilon) / (wide(running) + epsilon)).ln());
    Drift {
        name: norm.name.clone(),
        mean: (square.sum::<f64>() / channels).sqrt(),
        variance: (log.sum::<f64>() / channels).exp(),
    }
}

/// Means over batches.
fn mean_of(batches: &[Vec<Drift>]) -> Vec<Drift> {
    let count = batches.len().max(1) as f64;
    let first = batches.first().map_or(&[][..], |first| first);
    let mean = |k: usize, of: fn(&Drift) -> f64| batches.iter().map(|b| of(&b[k])).sum::<f64>() / count;
    let drift = |(k, d): (usize, &Drift)| Drift {
        name: d.name.clone(),
        mean: mean(k, |d| d.mean),
        variance: mean(k, |d| d.variance),
    };
    first.iter().enumerate().map(drift).collect()
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// The examination as text.
pub fn show(e: &Examination, findings: &[Finding]) -> String {
    let mut rows =
        vec![row!["neurons", "count", "fires", "silent", "saturated", "in window", "gradient", "by step"]];
    for layer in &e.layers {
        let share = |n: usize| percent(n as f64 / layer.neurons.max(1) as f64);
        let total = norm(layer);
        let steps: Vec<String> = layer.steps.iter().map(|s| format!("{:.1e}", s.gradient_norm)).collect();
        let steps = if steps.len() > 4 {
            format!("{} … {}", steps[0], steps[steps.len() - 1])
        } else {
            steps.join(" ")
        };
        let (fires, inside) = (percent(mean(layer, |s| s.rate)), percent(mean(layer, |s| s.inside)));
        let (silent, saturated) = (share(layer.silent), share(layer.saturated));
        rows.push(row![
            layer.name,
            layer.neurons,
            fires,
            silent,
            saturated,
            inside,
            format!("{total:.2e}"),
            steps
        ]);
    }
    let mut weights = vec![row!["weights", "σ", "drift of mean", "variance ratio"]];
    for constant in &e.constants {
        let drift = drift_of(e, &constant.layer);
        let number = |of: fn(&Drift) -> f64| drift.map_or("-".to_string(), |d| format!("{:.3}", of(d)));
        let sigma = constant.shown();
        weights.push(row![constant.layer, sigma, number(|d| d.mean), number(|d| d.variance)]);
    }
    let mut text = format!("{}\n\n{}\n{}\n", e.about, table(&rows), table(&weights));
    if findings.is_empty() {
        text += "Nothing stands out.\n";
    }
    for finding in findings {
        text += &format!("{}: {}\n  {}\n", finding.place, finding.what, finding.suggestion);
    }
    text
}

/// The examination as a page.
pub fn page(e: &Examination, findings: &[Finding]) -> String {
    let weights = |constant: &LipschitzConstant| Weights {
        layer: constant.layer.clone(),
        sigma: constant.shown(),
        drift: drift_of(e, &constant.layer).map(|drift| (drift.mean, drift.variance)),
    };
    let weights: Vec<Weights> = e.constants.iter().map(weights).collect();
    doctor_page::html(&DoctorPage { about: &e.about, findings, layers: &e.layers, weights: &weights })
}

/// The batch norm that belongs to a convolution.
pub fn drift_of<'a>(e: &'a Examination, weight: &str) -> Option<&'a Drift> {
    let norm = weight.replace("conv", "bn").replace("downsample.0", "downsample.1");
    e.drifts.iter().find(|drift| drift.name == norm && norm != weight)
}

/// The examination as JSON.
pub fn figures(e: &Examination, findings: &[Finding]) -> serde_json::Value {
    let layer = |l: &LayerView| {
        let steps = l
            .steps
            .iter()
            .map(|s| json!({ "rate": s.rate, "inside": s.inside, "gradient_norm": s.gradient_norm }));
        let steps: Vec<_> = steps.collect();
        json!({ "name": l.name, "neurons": l.neurons, "silent": l.silent, "saturated": l.saturated, "steps": steps })
    };
    json!({
        "layers": e.layers.iter().map(layer).collect::<Vec<_>>(),
        "drifts": e.drifts.iter().map(|d| json!({ "name": d.name, "mean": d.mean, "variance": d.variance })).collect::<Vec<_>>(),
        "sigmas": e.constants.iter().map(|c| json!({ "layer": c.layer, "sigma": c.sigma, "settled": c.settled })).collect::<Vec<_>>(),
        "findings": findings.iter().map(|f| json!({ "place": f.place, "what": f.what, "suggestion": f.suggestion })).collect::<Vec<_>>(),
    })
}
