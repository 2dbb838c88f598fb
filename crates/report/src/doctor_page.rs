//! The examination as a page: findings first, then every layer by time step.

use crate::escape::html as escape;
use spikegrad::microscope::{LayerStep, LayerView};
use std::fmt::Write;

/// Something that stands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which layer.
    pub place: String,
    /// What was seen.
    pub what: String,
    /// What to try.
    pub suggestion: &'static str,
}

/// A layer with weights.
#[derive(Clone, Debug)]
pub struct Weights {
    /// Its name.
    pub layer: String,
    /// The largest singular value, as it is shown.
    pub sigma: String,
    /// Where a batch norm follows: how far its means drifted, in running standard deviations, and the ratio of variances.
    pub drift: Option<(f64, f64)>,
}

/// Everything on the page of an examination.
#[derive(Clone, Copy, Debug)]
pub struct DoctorPage<'a> {
    /// What was looked at, in a sentence.
    pub about: &'a str,
    /// What stands out.
    pub findings: &'a [Finding],
    /// Every layer of neurons.
    pub layers: &'a [LayerView],
    /// Every layer with weights.
    pub weights: &'a [Weights],
}

/// The mean of a figure over the steps of a layer.
pub fn mean(layer: &LayerView, of: fn(&LayerStep) -> f64) -> f64 {
    layer.steps.iter().map(of).sum::<f64>() / layer.steps.len().max(1) as f64
}

/// ‖∂L/∂u‖ of a layer over all steps.
pub fn norm(layer: &LayerView) -> f64 {
    layer.steps.iter().map(|step| step.gradient_norm.powi(2)).sum::<f64>().sqrt()
}

/// Writes the page.
pub fn html(e: &DoctorPage<'_>) -> String {
    let findings = e.findings;
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><link rel=\"icon\" href=\"data:,\">\
         <title>Examination of a spiking net</title><style>\n{}</style></head><body>\n\
         <h1>Examination</h1>\n<p class=\"quiet\">{}.</p>\n",
        include_str!("doctor_page.css"),
        escape(e.about)
    );
    let _ = writeln!(page, "<h2>Findings</h2>");
    if findings.is_empty() {
        page += "<p class=\"well\">Nothing stands out.</p>\n";
    }
    for finding in findings {
        let (place, what) = (escape(&finding.place), escape(&finding.what));
        let _ = writeln!(
            page,
            "<div class=\"finding\"><b>{place}</b> {what}<p>Try: {}</p></div>",
            escape(finding.suggestion)
        );
    }
    neurons(&mut page, e.layers);
    map(&mut page, "Gradient norm ‖∂L/∂u[t]‖ by layer and time step, logarithmic", e.layers);
    weights(&mut page, e.weights);
    page + "</body></html>\n"
}

fn bar(share: f64) -> String {
    let width = 100.0 * share.clamp(0.0, 1.0);
    format!("<td class=\"n\">{width:.1} %</td><td class=\"bar\"><i style=\"width:{width:.1}%\"></i></td>")
}

fn neurons(page: &mut String, layers: &[LayerView]) {
    *page += "<h2>Neurons</h2>\n<div class=\"scroll\"><table><tr><th>layer</th><th class=\"n\">neurons</th>\
              <th colspan=\"2\">fires</th><th colspan=\"2\">never fires</th><th colspan=\"2\">always fires</th>\
              <th colspan=\"2\">inside the window</th></tr>\n";
    for layer in layers {
        let share = |n: usize| bar(n as f64 / layer.neurons.max(1) as f64);
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td class=\"n\">{}</td>{}{}{}{}</tr>",
            escape(&layer.name),
            layer.neurons,
            bar(mean(layer, |s| s.rate)),
            share(layer.silent),
            share(layer.saturated),
            bar(mean(layer, |s| s.inside)),
        );
    }
    *page += "</table></div>\n";
}

/// A cell a step, its opacity the logarithm of the norm between the smallest and the largest.
fn map(page: &mut String, title: &str, layers: &[LayerView]) {
    let norms = || layers.iter().flat_map(|layer| &layer.steps).map(|s| s.gradient_norm).filter(|n| *n > 0.0);
    let (least, most) = norms().fold((f64::INFINITY, 0.0f64), |(a, b), n| (a.min(n), b.max(n)));
    let span = (most / least).ln().max(1e-9);
    let steps = layers.first().map_or(0, |layer| layer.steps.len());
    let _ = write!(page, "<h2>{title}</h2>\n<div class=\"scroll\"><table class=\"map\"><tr><th>layer</th>");
    (0..steps).for_each(|t| {
        let _ = write!(page, "<th class=\"n\">t = {t}</th>");
    });
    *page += "<th class=\"n\">all</th></tr>\n";
    for layer in layers {
        let _ = write!(page, "<tr><td>{}</td>", escape(&layer.name));
        for step in &layer.steps {
            let n = step.gradient_norm;
            let strength = if n > 0.0 { 0.05 + 0.6 * (n / least).ln() / span } else { 0.0 };
            let _ =
                write!(page, "<td class=\"n\" style=\"--strength:{:.0}%\">{n:.1e}</td>", 100.0 * strength);
        }
        let _ = writeln!(page, "<td class=\"n\">{:.1e}</td></tr>", norm(layer));
    }
    *page += "</table></div>\n";
}

fn weights(page: &mut String, all: &[Weights]) {
    *page += "<h2>Weights</h2>\n<p class=\"quiet\">σ is the largest singular value of a layer's map with batch norm folded \
              in: by how much a change of its input may grow. Drift compares a training batch's statistics with the \
              running ones that evaluation uses: the distance of means in running standard deviations, and the ratio of \
              variances.</p>\n<div class=\"scroll\"><table><tr><th>layer</th><th class=\"n\">σ</th>\
              <th class=\"n\">drift of the mean</th><th class=\"n\">variance ratio</th></tr>\n";
    for Weights { layer, sigma, drift } in all {
        let (mean, variance) = match drift {
            Some((mean, variance)) => (format!("{mean:.3}"), format!("{variance:.3}")),
            None => ("–".into(), "–".into()),
        };
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{mean}</td><td class=\"n\">{variance}</td></tr>",
            escape(layer),
            escape(sigma),
        );
    }
    *page += "</table></div>\n";
}
