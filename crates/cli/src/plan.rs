//! `spikegrad plan`: what training will cost, before it starts.

use crate::flags::Flags;
use crate::outputs::JsonTarget;
use clap::Args;
use serde_json::json;
use spikegrad::models::PlanReport;
use spikegrad_lab::Result;
use spikegrad_lab::settings::{Settings, level};
use spikegrad_report::row;
use spikegrad_report::table::table;
use std::path::PathBuf;

/// What `plan` takes.
#[derive(Args, Clone, Debug)]
pub struct PlanArgs {
    #[command(flatten)]
    flags: Flags,
    /// Settings from a TOML file, under the flags' names; flags win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write the plan as JSON to a new file, or to stdout for -
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// Plans, by arithmetic alone: nothing is allocated, and memory need not be there. The data set is not read, its name
/// says the shape.
///
/// # Errors
/// Settings that make no sense.
pub fn run(args: PlanArgs) -> Result<()> {
    let json = JsonTarget::claim(args.json.as_deref())?;
    let settings = Settings::resolve(args.flags.into(), args.config.as_deref())?;
    let config = settings.train_config(settings.shape());
    let (plan, warnings) = (config.plan(level(None)?)?, config.warnings());
    let notes: String = warnings.iter().map(|line| format!("note: {line}\n")).collect();
    json.report(&figures(&plan), &(show(&plan) + &notes))
}

/// The plan as JSON.
fn figures(plan: &PlanReport) -> serde_json::Value {
    let bytes = &plan.bytes;
    json!({
        "parameters": plan.parameters,
        "macs_per_step": plan.macs_per_step,
        "neurons": plan.neurons,
        "bytes": {
            "weights": bytes.weights,
            "gradients": bytes.gradients,
            "optimizer": bytes.optimizer,
            "saved": bytes.saved,
            "workspace": bytes.workspace,
            "total": bytes.total,
        },
        "layers": plan.layers.iter().map(|layer| json!({
            "layer": layer.name,
            "shape": layer.shape.to_string(),
            "parameters": layer.parameters,
            "macs": layer.macs,
        })).collect::<Vec<_>>(),
    })
}

/// The plan as a table.
fn show(plan: &PlanReport) -> String {
    let mut rows = vec![row!["layer", "shape", "parameters", "MACs a step"]];
    for layer in &plan.layers {
        rows.push(row![layer.name, layer.shape, layer.parameters, layer.macs]);
    }
    rows.push(row!["total", "", plan.parameters, plan.macs_per_step]);
    let mut text = table(&rows);
    text += &format!("{} neurons\n", plan.neurons);
    let bytes = &plan.bytes;
    let parts = [
        ("weights", bytes.weights),
        ("gradients", bytes.gradients),
        ("optimizer", bytes.optimizer),
        ("saved for the backward", bytes.saved),
        ("workspace", bytes.workspace),
        ("total", bytes.total),
    ];
    let rows: Vec<Vec<String>> = parts
        .iter()
        .map(|(name, bytes)| row![name, format!("{:.2} MiB", *bytes as f64 / 1_048_576.0)])
        .collect();
    text + &table(&rows)
}
