//! What stands out, and what to try: one rule a line of the table.
//!
//! | rule | from | why this much |
//! |---|---|---|
//! | silent neurons | 30 % | they carry nothing forward, and outside the window learn nothing |
//! | saturated neurons | 10 % | always on is a bias, at the cost of a spike a step |
//! | window | under 5 % | the rest of the layer gets no gradient through its spikes |
//! | vanishing gradient | a layer's norm under 1e-3 of the largest | its weights stand still beside the others' |
//! | exploding gradient | above 1e3 times the median layer's | one layer takes every step of the optimiser's |
//! | fading in time | first step under 1e-3 of the last | early inputs teach nothing |
//! | mean drift | 0.5 running standard deviations | evaluation sees other membranes than training |
//! | variance drift | beyond a factor of 2 | likewise |
//! | σ | above 20 | noise on a layer's input may grow as much |

use super::{Examination, Finding, drift_of};
use spikegrad::microscope::LayerView;
use spikegrad_report::doctor_page::{mean, norm};

const SILENT: f64 = 0.3;
const SATURATED: f64 = 0.1;
const INSIDE: f64 = 0.05;
const VANISHING: f64 = 1e-3;
const EXPLODING: f64 = 1e3;
const FADING: f64 = 1e-3;
const MEAN_DRIFT: f64 = 0.5;
const VARIANCE_DRIFT: f64 = 2.0;
const SIGMA: f64 = 20.0;

/// Looks every rule up.
pub fn findings(e: &Examination) -> Vec<Finding> {
    let mut found: Vec<Finding> = e.layers.iter().flat_map(of_neurons).collect();
    found.extend(of_gradients(&e.layers));
    found.extend(of_drifts(e));
    for constant in e.constants.iter().filter(|constant| constant.sigma > SIGMA) {
        found.push(Finding {
            place: constant.layer.clone(),
            what: format!("σ is {:.1}: a change of its input may grow as much", constant.sigma),
            suggestion: "a larger --beta holds weights nearer to orthogonal; --weight-decay holds batch norm's scale",
        });
    }
    found
}

fn of_neurons(layer: &LayerView) -> Vec<Finding> {
    let share = |count: usize| count as f64 / layer.neurons.max(1) as f64;
    let mut found = Vec::new();
    let mut add = |is: bool, what: String, suggestion| {
        if is {
            found.push(Finding { place: layer.name.clone(), what, suggestion });
        }
    };
    let (silent, saturated, inside) =
        (share(layer.silent), share(layer.saturated), mean(layer, |s| s.inside));
    add(
        silent > SILENT,
        format!("{:.0} % of its neurons never fire", 100.0 * silent),
        "a lower --threshold, a higher --decay, more --timesteps, or a smaller --lr if they died while training",
    );
    add(
        saturated > SATURATED,
        format!("{:.0} % of its neurons fire at every step", 100.0 * saturated),
        "a higher --threshold, --norm tdbn, or a larger --beta",
    );
    add(
        inside < INSIDE,
        format!("only {:.1} % of its membranes lie inside the surrogate's window", 100.0 * inside),
        "a wider --window (a smaller --alpha), or --norm tdbn, which scales currents to the threshold",
    );
    found
}

fn of_gradients(layers: &[LayerView]) -> Vec<Finding> {
    let mut norms: Vec<f64> = layers.iter().map(norm).collect();
    let largest = norms.iter().copied().fold(0.0, f64::max);
    let each: Vec<f64> = norms.clone();
    norms.sort_by(f64::total_cmp);
    let median = norms.get(norms.len() / 2).copied().unwrap_or(0.0);
    let mut found = Vec::new();
    for (layer, norm) in layers.iter().zip(each) {
        let mut add = |what: String, suggestion| {
            found.push(Finding { place: layer.name.clone(), what, suggestion });
        };
        if norm < VANISHING * largest {
            add(
                format!(
                    "its gradient, {norm:.1e}, is under a thousandth of the largest layer's, {largest:.1e}"
                ),
                "a wider surrogate (--window, --alpha), or --reset soft, which lets more gradient through time",
            );
        }
        if norm > EXPLODING * median && median > 0.0 {
            add(
                format!(
                    "its gradient, {norm:.1e}, is over a thousand times the median layer's, {median:.1e}"
                ),
                "--clip 1, a smaller --lr or a --warmup; a narrower surrogate",
            );
        }
        let ends = (layer.steps.first(), layer.steps.last());
        if let (Some(first), Some(last)) = ends
            && layer.steps.len() > 1
            && first.gradient_norm < FADING * last.gradient_norm
        {
            add(
                format!(
                    "its first step gets {:.1e} of the last step's gradient",
                    first.gradient_norm / last.gradient_norm
                ),
                "a higher --decay, or --loss tet, which gives every step a loss of its own",
            );
        }
    }
    found
}

fn of_drifts(e: &Examination) -> Vec<Finding> {
    let mut found = Vec::new();
    for constant in &e.constants {
        let Some(drift) = drift_of(e, &constant.layer) else { continue };
        let spread = drift.variance.max(1.0 / drift.variance);
        if drift.mean > MEAN_DRIFT || spread > VARIANCE_DRIFT {
            found.push(Finding {
                place: drift.name.clone(),
                what: format!(
                    "training sees means {:.2} standard deviations and variances {:.2} times off the running ones",
                    drift.mean, drift.variance
                ),
                suggestion: "more epochs at a small --lr before scoring, or a larger --batch; check that test images are \
                             normalised as training images are",
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::Drift;
    use super::*;
    use spikegrad::microscope::LayerStep;
    use spikegrad::models::LipschitzConstant;

    fn layer(name: &str, silent: usize, saturated: usize, steps: &[(f64, f64)]) -> LayerView {
        let steps =
            steps.iter().map(|&(gradient_norm, inside)| LayerStep { gradient_norm, inside, rate: 0.2 });
        LayerView { name: name.into(), steps: steps.collect(), neurons: 100, silent, saturated }
    }

    fn examine(layers: Vec<LayerView>, drift: (f64, f64), sigma: f64) -> Vec<(String, String)> {
        let drifts = vec![Drift { name: "bn1".into(), mean: drift.0, variance: drift.1 }];
        let constants = vec![LipschitzConstant { layer: "conv1".into(), sigma, rounds: 3, settled: true }];
        let examination = Examination { about: String::new(), layers, drifts, constants };
        findings(&examination).into_iter().map(|f| (f.place, f.what)).collect()
    }

    #[test]
    fn a_healthy_net_has_no_findings() {
        let layers =
            vec![layer("a", 29, 9, &[(1.0, 0.06), (0.5, 0.06)]), layer("b", 0, 0, &[(0.1, 0.5), (2.0, 0.5)])];
        assert_eq!(examine(layers, (0.4, 1.9), 19.0), []);
    }

    #[test]
    fn each_rule_names_its_layer() {
        let well = || layer("well", 0, 0, &[(1.0, 0.5), (1.0, 0.5)]);
        let cases = [
            (layer("bad", 31, 0, &[(1.0, 0.5), (1.0, 0.5)]), "31 % of its neurons never fire"),
            (layer("bad", 0, 11, &[(1.0, 0.5), (1.0, 0.5)]), "11 % of its neurons fire at every step"),
            (layer("bad", 0, 0, &[(1.0, 0.04), (1.0, 0.04)]), "only 4.0 % of its membranes"),
            (layer("bad", 0, 0, &[(9e-4, 0.5), (9e-4, 0.5)]), "under a thousandth"),
            (layer("bad", 0, 0, &[(9e-4, 0.5), (1.0, 0.5)]), "first step gets 9.0e-4"),
        ];
        for (bad, words) in cases {
            let found = examine(vec![well(), bad, well()], (0.0, 1.0), 1.0);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].0 == "bad" && found[0].1.contains(words), "{found:?}");
        }
        let found = examine(vec![well(), well(), layer("bad", 0, 0, &[(2e3, 0.5)])], (0.0, 1.0), 1.0);
        assert!(
            found.iter().any(|(place, what)| place == "bad" && what.contains("over a thousand")),
            "{found:?}"
        );
        assert_eq!(examine(vec![well()], (0.6, 1.0), 1.0)[0].0, "bn1");
        assert_eq!(examine(vec![well()], (0.0, 0.4), 1.0)[0].0, "bn1");
        assert_eq!(examine(vec![well()], (0.0, 1.0), 21.0)[0].0, "conv1");
    }
}
