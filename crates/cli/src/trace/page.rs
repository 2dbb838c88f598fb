//! The page of a trace: one file, nothing to fetch.

use crate::escape;
use crate::settings::Settings;
use serde_json::{Value, json};
use spikegrad::bptt::surrogate::NAMES;
use spikegrad::bptt::{LifConfig, Surrogate};
use spikegrad::microscope::{Instant, LayerView, Neuron};
use spikegrad::models::net::Loss;
use std::collections::BTreeMap;

/// All that the page shows.
pub struct Page<'a> {
    /// The run's settings.
    pub settings: &'a Settings,
    /// The neuron.
    pub lif: &'a LifConfig,
    /// Number of the image.
    pub sample: usize,
    /// What it looks like, as an element of the page.
    pub picture: String,
    /// What it is.
    pub class: String,
    /// What the net takes it for.
    pub answer: String,
    /// The mean logit of each class.
    pub logits: Vec<(String, f32)>,
    /// The loss of its batch.
    pub loss: Loss,
    /// Every layer.
    pub layers: Vec<LayerView>,
    /// The chosen neurons.
    pub neurons: Vec<(Neuron, Vec<Instant>)>,
}

impl Page<'_> {
    /// What is traced, in a sentence.
    pub fn about(&self) -> String {
        let flags = &self.settings.flags;
        format!(
            "{} on {}, T = {}: test image {}, a {:?}, taken for a {:?}; loss of its batch {:.4}.",
            flags.net.as_deref().unwrap_or("net"),
            self.settings.source,
            self.layers.first().map_or(0, |layer| layer.steps.len()),
            self.sample,
            self.class,
            self.answer,
            self.loss.data_term + self.loss.lipschitz,
        )
    }

    /// The page.
    pub fn html(&self) -> String {
        let data = escape::script(&self.data());
        let parts = [
            ("{{css}}", include_str!("page.css")),
            ("{{neuron}}", include_str!("neuron.js")),
            ("{{page}}", include_str!("page.js")),
            ("{{picture}}", &self.picture),
            ("{{data}}", &data),
        ];
        parts
            .iter()
            .fold(include_str!("page.html").to_string(), |page, (mark, text)| page.replace(mark, text))
    }

    fn data(&self) -> Value {
        let usual = |name: &str| Surrogate::named(name, None).ok().and_then(|s| s.parameter());
        let usual: BTreeMap<&str, Option<f32>> = NAMES.iter().map(|&name| (name, usual(name))).collect();
        json!({
            "about": self.about(),
            "class": self.class,
            "answer": self.answer,
            "logits": self.logits.iter().map(|(name, logit)| json!([name, logit])).collect::<Vec<_>>(),
            "lif": {
                "decay": self.lif.decay,
                "threshold": self.lif.threshold,
                "reset": self.lif.reset.name(),
                "surrogate": self.lif.surrogate.name(),
                "parameter": self.lif.surrogate.parameter(),
                "delta": self.lif.delta,
            },
            "usual": usual,
            "layers": self.layers.iter().map(layer).collect::<Vec<_>>(),
            "neurons": self.neurons.iter().map(neuron).collect::<Vec<_>>(),
        })
    }
}

fn layer(layer: &LayerView) -> Value {
    let steps = layer
        .steps
        .iter()
        .map(|step| json!({ "gradient_norm": step.gradient_norm, "inside": step.inside, "rate": step.rate }));
    json!({ "name": layer.name, "neurons": layer.neurons, "steps": steps.collect::<Vec<_>>() })
}

fn neuron((neuron, steps): &(Neuron, Vec<Instant>)) -> Value {
    let series = |of: fn(&Instant) -> f32| steps.iter().map(of).collect::<Vec<f32>>();
    json!({
        "layer": neuron.layer,
        "image": neuron.image,
        "channel": neuron.channel,
        "row": neuron.row,
        "column": neuron.column,
        "steps": {
            "x": series(|s| s.x),
            "u": series(|s| s.u),
            "o": series(|s| s.o),
            "m": series(|s| s.m),
            "e": series(|s| s.e),
            "a": series(|s| s.a),
            "G": series(|s| s.total),
            "h": series(|s| s.h),
            "factor": series(|s| s.factor),
            "du": series(|s| s.du),
        },
    })
}
