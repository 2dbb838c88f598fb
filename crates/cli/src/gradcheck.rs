//! `spikegrad gradcheck`: the trainer's gradients on a tiny net, against four witnesses.

use crate::exercise;
use crate::flags::Flags;
use crate::outputs::JsonTarget;
use crate::terminal::print;
use clap::Args;
use serde_json::json;
use spikegrad::tensor::Level;
pub use spikegrad_lab::gradcheck::usual;
use spikegrad_lab::gradcheck::{Worst, check, tiny};
use spikegrad_lab::settings::level;
use spikegrad_lab::{Error, Result};
use spikegrad_report::row;
use spikegrad_report::table::table;
use std::path::PathBuf;

/// What `gradcheck` takes.
#[derive(Args, Clone, Debug)]
pub struct GradcheckArgs {
    #[command(flatten)]
    flags: Flags,
    /// Settings from a TOML file, under the flags' names; flags win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Grade an exercise instead: lif_forward, sgs, lif_backward, batch_norm_backward, conv_input_gradient,
    /// lipschitz_gradient or all
    #[arg(long, value_name = "NAME", exclusive = true)]
    exercise: Option<String>,
    /// Largest error allowed, relative to the largest magnitude of a tensor
    #[arg(long, value_name = "E", default_value_t = 1e-4)]
    tolerance: f64,
    /// SIMD level: baseline, avx2 or avx512; default: the best
    #[arg(long, value_name = "NAME")]
    level: Option<Level>,
    /// Write the errors as JSON to a new file, or to stdout for -
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// Checks.
///
/// # Errors
/// Settings that make no sense, or an error above the tolerance.
pub fn run(args: GradcheckArgs) -> Result<()> {
    if let Some(name) = &args.exercise {
        return exercise::grade(name);
    }
    let tolerance = args.tolerance;
    if tolerance.is_nan() || tolerance <= 0.0 {
        return Err(Error::setting(format!("--tolerance is {tolerance}, must be above 0")));
    }
    let json = JsonTarget::claim(args.json.as_deref())?;
    let config = tiny(args.flags.into(), args.config.as_deref())?;
    finish(tolerance, &json, &check(&config, level(args.level)?)?)
}

/// Prints the table and gives the verdict.
fn finish(tolerance: f64, json: &JsonTarget, rows: &[Worst]) -> Result<()> {
    let figures: Vec<_> = rows
        .iter()
        .map(|w| json!({ "check": w.check, "tensor": w.tensor, "index": w.index, "got": w.got, "want": w.want, "error_relative": w.error }))
        .collect();
    json.write(&json!(figures))?;
    let mut lines = vec![row!["check", "tensor", "worst element", "got", "want", "relative error"]];
    for w in rows {
        let element =
            if w.check == "differences" { "random direction".into() } else { format!("[{}]", w.index) };
        let numbers = [w.got, w.want].map(|x| format!("{x:.6e}"));
        lines.push(row![w.check, w.tensor, element, numbers[0], numbers[1], format!("{:.1e}", w.error)]);
    }
    if !json.is_stdout() {
        print(&table(&lines));
    }
    let Some(worst) = rows.iter().max_by(|a, b| a.error.total_cmp(&b.error)) else { return Ok(()) };
    let Worst { check, tensor, index, got, want, error } = worst;
    let what =
        format!("{check}, {tensor}[{index}]: got {got:.6e}, want {want:.6e}, relative error {error:.1e}");
    if *error > tolerance {
        return Err(Error::input(format!("above the tolerance {:.0e}: {what}", tolerance)));
    }
    if !json.is_stdout() {
        print(&format!("ok; worst: {what}\n"));
    }
    Ok(())
}
