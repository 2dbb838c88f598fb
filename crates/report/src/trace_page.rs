//! A trace as a page (one file, nothing to fetch), as CSV and as text.

use crate::csv::Csv;
use crate::table::table;
use crate::{escape, row};
use serde_json::{Value, json};
use spikegrad::bptt::surrogate::NAMES;
use spikegrad::bptt::{LifConfig, Surrogate};
use spikegrad::microscope::{Instant, LayerView, Neuron};
use spikegrad::models::net::Loss;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Everything on the page of a trace.
#[derive(Clone, Debug)]
pub struct TracePage<'a> {
    /// The net's name.
    pub net: String,
    /// The data set's name.
    pub data: String,
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

impl TracePage<'_> {
    /// What is traced, in a sentence.
    pub fn about(&self) -> String {
        format!(
            "{} on {}, T = {}: test image {}, a {:?}, taken for a {:?}; loss of its batch {:.4}.",
            self.net,
            self.data,
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
            ("{{css}}", include_str!("trace_page/page.css")),
            ("{{neuron}}", include_str!("trace_page/neuron.js")),
            ("{{page}}", include_str!("trace_page/page.js")),
            ("{{picture}}", &self.picture),
            ("{{data}}", &data),
        ];
        parts.iter().fold(include_str!("trace_page/page.html").to_string(), |page, (mark, text)| {
            page.replace(mark, text)
        })
    }

    /// Describes what was traced, and one neuron step by step: the last that a gradient reaches.
    pub fn summary(&self) -> String {
        let page = self;
        let mut text = format!("{}\n", page.about());
        let is_live = |(_, steps): &&(Neuron, Vec<Instant>)| steps.iter().any(|step| step.du != 0.0);
        let live = page.neurons.iter().filter(is_live).count();
        if live < page.neurons.len() {
            let none = page.neurons.len() - live;
            let _ = writeln!(
                text,
                "{none} of {} neurons traced get no gradient at any step.",
                page.neurons.len()
            );
        }
        let Some((neuron, steps)) = page.neurons.iter().rfind(is_live).or(page.neurons.last()) else {
            return text;
        };
        let Neuron { layer, channel, row, column, .. } = neuron;
        let _ = writeln!(
            text,
            "\n{layer}, channel {channel}, row {row}, column {column}: read upward, the gradient flows back"
        );
        let mut rows = vec![row!["t", "x", "u", "o", "e", "a", "G", "h(u)", "SGS factor", "dL/du"]];
        for (t, s) in steps.iter().enumerate() {
            let small = |v: f32| if v == 0.0 { "0".to_string() } else { format!("{v:.2e}") };
            let (x, u) = (format!("{:.4}", s.x), format!("{:.4}", s.u));
            let factor = format!("{:.6}", s.factor);
            rows.push(row![t, x, u, s.o, small(s.e), small(s.a), small(s.total), s.h, factor, small(s.du)]);
        }
        text + &table(&rows)
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

/// Writes chosen neurons as CSV, one line a step; numbers read back to the same bits.
pub fn neurons_csv(neurons: &[(Neuron, Vec<Instant>)]) -> String {
    let mut csv = Csv::with_head(&[
        "layer", "image", "channel", "row", "column", "t", "x", "u", "o", "m", "e", "a", "G", "h", "factor",
        "dL_du", "dL_dx",
    ]);
    for (n, steps) in neurons {
        let Neuron { layer, image, channel, row, column } = n;
        for (t, Instant { x, u, o, m, e, a, total, h, factor, du }) in steps.iter().enumerate() {
            let mut fields = row![layer, image, channel, row, column, t];
            fields.extend([x, u, o, m, e, a, total, h, factor, du, du].map(f32::to_string));
            csv.row(fields);
        }
    }
    csv.finish()
}

/// Writes every layer as CSV, one line a step.
pub fn layers_csv(layers: &[LayerView]) -> String {
    let mut csv = Csv::with_head(&["layer", "t", "gradient_norm", "share_inside_window", "firing_rate"]);
    for layer in layers {
        for (t, step) in layer.steps.iter().enumerate() {
            csv.row(row![layer.name, t, step.gradient_norm, step.inside, step.rate]);
        }
    }
    csv.finish()
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
