//! The microscope shows what the kernels compute: against the recurrences in f64, and against the weights' gradients.

use spikegrad::gradcheck::gradients;
use spikegrad::microscope::{Instant, LayerView, Microscope, Neuron};
use spikegrad::prelude::*;
use spikegrad_testkit::check::{Tolerance, assert_close, narrow};
use spikegrad_testkit::lif::{Activation, Lif, Reset as Reference, sgs};
use spikegrad_testkit::rng::Rng;
use spikegrad_testkit::surrogate::Surrogate as ReferenceSurrogate;
use std::sync::Arc;

const BATCH: usize = 4;
const STEPS: usize = 5;
const LABELS: [u32; BATCH] = [0, 1, 2, 0];

fn trainer(kind: NetKind, reset: Reset, level: Level) -> Trainer {
    let lif = LifConfig::default().reset(reset).delta(0.3).surrogate(Surrogate::Triangle { window: 1.0 });
    let net = NetConfig::new(kind, 2, 9, 11, 3).lif(lif).timesteps(STEPS).scale(0.1);
    Trainer::new(TrainConfig::new(net).batch(BATCH).beta(0.0), level).unwrap()
}

fn images(trainer: &Trainer) -> Vec<f32> {
    narrow(&Rng::new(4).normals(trainer.net().images_len()))
}

/// Every neuron of a layer, image by image.
fn all(trainer: &Trainer, layer: &str) -> Vec<Neuron> {
    let unit = trainer.net().units().into_iter().find(|unit| unit.name == layer).unwrap();
    let d = unit.dims;
    let neuron = |k: usize| {
        let (image, k) = (k / (d.c * d.pixels()), k % (d.c * d.pixels()));
        let (channel, p) = (k / d.pixels(), k % d.pixels());
        Neuron { layer: layer.into(), image, channel, row: p / d.w, column: p % d.w }
    };
    (0..BATCH * d.c * d.pixels()).map(neuron).collect()
}

fn look(trainer: &mut Trainer, watched: &[Neuron]) -> Microscope {
    let microscope = Arc::new(Microscope::new(trainer.net(), watched).unwrap());
    let images = images(trainer);
    trainer.observe(&images, &LABELS, microscope.clone()).unwrap();
    Arc::into_inner(microscope).expect("the trainer lets go of it")
}

/// One quantity over time.
fn series(steps: &[Instant], of: fn(&Instant) -> f32) -> Vec<f32> {
    steps.iter().map(of).collect()
}

#[test]
fn every_quantity_is_the_recurrences() {
    for level in Level::available() {
        for (reset, reference) in Reset::ALL.into_iter().zip(Reference::ALL) {
            let mut trainer = trainer(NetKind::LeNet, reset, level);
            let surrogate = ReferenceSurrogate::Triangle { window: 1.0 };
            let delta = f64::from(0.3f32);
            let lif = Lif { decay: 0.5, threshold: 0.5, reset: reference, surrogate, delta, ..Lif::paper() };
            let mut spikes = 0.0;
            for layer in ["spike1", "spike2", "spike3"] {
                let watched = all(&trainer, layer);
                for (neuron, steps) in look(&mut trainer, &watched).neurons() {
                    let wide = |of: fn(&Instant) -> f32| -> Vec<f64> {
                        series(&steps, of).into_iter().map(f64::from).collect()
                    };
                    let (x, o) = (wide(|t| t.x), wide(|t| t.o));
                    let mut near = lif.forward(&x, STEPS, Activation::Spike);
                    // Where rounding decides a spike, the kernels' own decides it here too.
                    if near.u.iter().any(|u| (u - 0.5).abs() < 1e-5) {
                        continue;
                    }
                    let what = format!("{level} {reset} {neuron:?}");
                    // A soft reset cancels: m is as exact as the u it comes from.
                    let um = [series(&steps, |t| t.u), series(&steps, |t| t.m)].concat();
                    let want = [&near.u[..], &near.m].concat();
                    assert_close(&format!("u, m {what}"), &um, &want, Tolerance::Forward);
                    assert_close(&format!("o {what}"), &series(&steps, |t| t.o), &near.o, Tolerance::Bits);
                    // Backward from the kernels' own membranes, so that only the backward is compared.
                    near = lif.observed(STEPS, [&x, &wide(|t| t.u), &o, &wide(|t| t.m)]);
                    let want = lif.backward(&near, &wide(|t| t.e), STEPS, Activation::Spike);
                    let h: Vec<f64> = near.u.iter().map(|u| surrogate.derivative(u - 0.5)).collect();
                    let factor: Vec<f64> = (0..STEPS)
                        .map(|t| sgs(want.total[t].signum(), near.u[t], o[t], 1.0, delta).abs())
                        .collect();
                    let close = |name: &str, of: fn(&Instant) -> f32, want: &[f64]| {
                        assert_close(&format!("{name} {what}"), &series(&steps, of), want, Tolerance::Grad);
                    };
                    close("a", |t| t.a, &want.m);
                    close("G", |t| t.total, &want.total);
                    close("h", |t| t.h, &h);
                    close("∂L/∂u", |t| t.du, &want.x);
                    if want.total.iter().all(|g| *g != 0.0) {
                        close("factor", |t| t.factor, &factor);
                    }
                    spikes += o.iter().sum::<f64>();
                }
            }
            assert!(spikes > 100.0, "{level} {reset}: neurons fire");
        }
    }
}

#[test]
fn the_gradients_shown_are_those_the_weights_get() {
    for reset in Reset::ALL {
        let mut trainer = trainer(NetKind::Mlp, reset, Level::detect().unwrap());
        let images = images(&trainer);
        for (layer, bias) in [("spike1", "fc1.bias"), ("spike2", "fc2.bias")] {
            let watched = all(&trainer, layer);
            let neurons = look(&mut trainer, &watched).neurons();
            let all = gradients(&mut trainer, &images, &LABELS).unwrap();
            let (_, got) = all.iter().find(|(name, _)| name == bias).unwrap();
            // x[t] = W·o[t] + b: ∂L/∂b is ∂L/∂u summed over steps and images.
            let mut want = vec![0.0; got.len()];
            for (neuron, steps) in neurons {
                want[neuron.channel] += steps.iter().map(|t| f64::from(t.du)).sum::<f64>();
            }
            assert_close(&format!("{reset} {bias}"), got, &want, Tolerance::Grad);
        }
    }
}

fn views(threads: usize, level: Level) -> Vec<LayerView> {
    with_threads(Some(threads), || {
        let mut trainer = trainer(NetKind::ResNet19, Reset::Hard, level);
        look(&mut trainer, &[]).layers()
    })
    .unwrap()
}

#[test]
fn layers_have_the_same_bits_whatever_the_threads() {
    for level in Level::available() {
        let one = views(1, level);
        assert_eq!(one, views(2, level), "{level}");
        assert_eq!(one.len(), 18);
        assert!(one.iter().all(|layer| layer.steps.iter().all(|t| t.gradient_norm > 0.0)), "{one:?}");
    }
}

#[test]
fn layers_sum_their_neurons_up() {
    let mut trainer = trainer(NetKind::LeNet, Reset::Soft, Level::detect().unwrap());
    for (at, layer) in ["spike1", "spike2", "spike3", "spike4"].into_iter().enumerate() {
        let watched = all(&trainer, layer);
        let microscope = look(&mut trainer, &watched);
        let (view, neurons) = (&microscope.layers()[at], microscope.neurons());
        assert_eq!((&view.name[..], view.neurons), (layer, neurons.len() / BATCH));
        for (t, step) in view.steps.iter().enumerate() {
            let count = |of: &dyn Fn(&Instant) -> bool| {
                neurons.iter().filter(|(_, steps)| of(&steps[t])).count() as f64 / neurons.len() as f64
            };
            let square: f64 = neurons.iter().map(|(_, steps)| f64::from(steps[t].du).powi(2)).sum();
            assert_close("norm", &[step.gradient_norm as f32], &[square.sqrt()], Tolerance::Forward);
            assert_eq!(step.rate, count(&|now| now.o == 1.0), "{layer} {t}");
            assert_eq!(step.inside, count(&|now| now.h >= 0.1), "{layer} {t}");
            assert!(step.inside > 0.0, "{layer} {t}");
        }
        let quiet = |want: f32| {
            let of_neuron = |k: usize| {
                let fired =
                    |image: usize| neurons[image * view.neurons + k].1.iter().map(|t| t.o).sum::<f32>();
                (0..BATCH).map(fired).sum::<f32>() == want
            };
            (0..view.neurons).filter(|&k| of_neuron(k)).count()
        };
        assert_eq!((view.silent, view.saturated), (quiet(0.0), quiet((BATCH * STEPS) as f32)), "{layer}");
    }
}

#[test]
fn looking_changes_nothing() {
    let mut trainer = trainer(NetKind::LeNet, Reset::Hard, Level::detect().unwrap());
    let before = (trainer.parameters(), trainer.net().params().buffers.clone(), trainer.steps());
    let images = images(&trainer);
    let plain = gradients(&mut trainer, &images, &LABELS).unwrap();
    let watched = all(&trainer, "spike1");
    look(&mut trainer, &watched);
    let params = trainer.net().params();
    let watched: Vec<_> =
        params.entries.iter().map(|e| (e.name.clone(), params.grads[e.range.clone()].to_vec())).collect();
    assert!(plain == watched, "gradients have the same bits with a recorder and without");
    assert!(before == (trainer.parameters(), params.buffers.clone(), trainer.steps()));
}

#[test]
fn neurons_that_are_not_there_are_errors() {
    let trainer = trainer(NetKind::Mlp, Reset::Hard, Level::detect().unwrap());
    let neuron = Neuron { layer: "spike1".into(), image: 0, channel: 26, row: 0, column: 0 };
    let why = |neuron: &Neuron| {
        Microscope::new(trainer.net(), std::slice::from_ref(neuron)).map(|_| ()).unwrap_err().to_string()
    };
    assert_eq!(why(&neuron), "no neuron 26,0,0 of image 0 in spike1, which has 4 images of 26×1×1");
    let elsewhere = Neuron { layer: "spike9".into(), ..neuron };
    assert_eq!(why(&elsewhere), "no layer is called \"spike9\"; known: spike1, spike2");
}

/// Looked at twice, a layer has the shares of once, and the norm of both gradients together: √2 times one's.
#[test]
fn passes_are_averaged_and_gradients_added() {
    let mut trainer = trainer(NetKind::LeNet, Reset::Soft, Level::detect().unwrap());
    let once = look(&mut trainer, &[]).layers();
    let microscope = Arc::new(Microscope::new(trainer.net(), &[]).unwrap());
    let images = images(&trainer);
    for _ in 0..2 {
        trainer.observe(&images, &LABELS, microscope.clone()).unwrap();
    }
    for (once, twice) in once.iter().zip(microscope.layers()) {
        assert_eq!(
            (once.silent, once.saturated, once.neurons),
            (twice.silent, twice.saturated, twice.neurons)
        );
        for (once, twice) in once.steps.iter().zip(&twice.steps) {
            assert_eq!((once.rate, once.inside), (twice.rate, twice.inside));
            let ratio = twice.gradient_norm / once.gradient_norm;
            assert!((ratio - 2f64.sqrt()).abs() < 1e-9, "{ratio}");
        }
    }
}
