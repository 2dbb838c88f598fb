//! `spikegrad nets` and `spikegrad neurons`: what `--net` and `--neuron` may name.

use crate::outputs::JsonTarget;
use clap::Args;
use serde_json::json;
use spikegrad::TrainConfig;
use spikegrad::bptt::lif::{Learn, NEURONS};
use spikegrad::models::{NetConfig, NetKind};
use spikegrad::tensor::Level;
use spikegrad_lab::{Error, Result};

/// What `nets` and `neurons` take.
#[derive(Args, Clone, Debug)]
pub struct ListArgs {
    /// Write the list as JSON to a new file, or to stdout for -
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// The side of the images for which parameters are counted.
const SIDE: usize = 32;

/// Lists the nets with their parameters at width 1, for ten classes of 3×32×32 images.
///
/// # Errors
/// `--json` cannot be written.
pub fn nets(args: ListArgs) -> Result<()> {
    let json = JsonTarget::claim(args.json.as_deref())?;
    let mut text = String::new();
    let mut rows = Vec::new();
    for &kind in NetKind::ALL {
        let parameters = TrainConfig::new(NetConfig::new(kind, 3, SIDE, SIDE, 10))
            .batch(1)
            .plan(Level::BASELINE)
            .map_err(Error::setting)?
            .parameters;
        let (name, about) = (kind.to_string(), kind.about());
        text += &format!("{name:<20} {parameters:>12} parameters  {about}\n");
        rows.push(json!({"name": name, "parameters": parameters, "about": about}));
    }
    text += "Parameters at width 1, for ten classes of 3x32x32 images.\n";
    json.report(&json!(rows), &text)
}

/// Lists the neurons with their equations, the numbers that they begin with and their sources.
///
/// # Errors
/// `--json` cannot be written.
pub fn neurons(args: ListArgs) -> Result<()> {
    let json = JsonTarget::claim(args.json.as_deref())?;
    let mut text = String::new();
    let mut rows = Vec::new();
    for neuron in NEURONS {
        let lif = neuron.config();
        let learned: Vec<&str> =
            lif.clone().learn_kind(Learn::Layer).learned(1).iter().map(|number| number.name).collect();
        text += &format!(
            "{}: {}\n  charge    {}\n  learns    {}\n  begins    decay {}, threshold {}, reset {}\n  source    {}\n",
            neuron.name,
            neuron.about,
            neuron.equation,
            neuron.learns,
            lif.decay,
            lif.threshold,
            lif.reset,
            neuron.source
        );
        rows.push(json!({
            "name": neuron.name,
            "about": neuron.about,
            "equation": neuron.equation,
            "learns": neuron.learns,
            "parameters": learned,
            "decay": lif.decay,
            "threshold": lif.threshold,
            "reset": lif.reset.name(),
            "source": neuron.source,
        }));
    }
    json.report(&json!(rows), &text)
}
