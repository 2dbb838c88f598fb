//! Every neuron in a net: gradients against finite differences, bits of threads and streams, text forms.

use spikegrad::bptt::Readout;
use spikegrad::bptt::lif::{Firing, InputScale, Learn, NEURONS, NeuronKind};
use spikegrad::gradcheck::finite_differences;
use spikegrad::models::ops::{AvgPool, Conv, Linear, Neurons, Recurrent};
use spikegrad::models::{Graph, Input, Net};
use spikegrad::prelude::*;
use spikegrad::tensor::conv::DeltaKernels;
use spikegrad_testkit::check::{Tolerance, assert_close};
use spikegrad_testkit::rng::Rng;

/// Every neuron with everything that it can learn, once for the layer and once for each channel.
fn neurons(reset: Reset) -> impl Iterator<Item = (String, LifConfig)> {
    NEURONS.iter().flat_map(move |preset| {
        [Learn::Layer, Learn::Channel].map(|learn| {
            let lif = preset.config().reset(reset).surrogate(Surrogate::Arctan { alpha: 1.0 }).delta(0.0);
            let decay = if preset.name == "if" { lif.decay } else { 0.7 };
            let lif = lif.decay(decay).learn_threshold(learn).learn_kind(learn);
            let lif = if preset.name == "if" { lif } else { lif.learn_decay(learn) };
            (format!("{} {learn} {reset}", preset.name), lif)
        })
    })
}

/// The settings that any neuron may have.
fn settings() -> impl Iterator<Item = (String, LifConfig)> {
    let smooth = || LifConfig::default().surrogate(Surrogate::Arctan { alpha: 1.0 }).delta(0.0).decay(0.7);
    let scales = [InputScale::Leak, InputScale::Constant(1.5)];
    let scaled = scales.map(|scale| {
        let lif = smooth().input_scale(scale).learn_decay(Learn::Channel);
        (format!("{scale:?}"), lif)
    });
    let rest = smooth().reset_value(-0.25).learn_threshold(Learn::Layer);
    let amount = smooth().reset(Reset::Soft).reset_amount(Some(0.75)).learn_threshold(Learn::Channel);
    scaled.into_iter().chain([("rest".to_string(), rest), ("amount".to_string(), amount)])
}

fn net(lif: LifConfig) -> NetConfig {
    let mut g = Graph::new();
    let image = g.input();
    let is_recurrent = !matches!(lif.kind, NeuronKind::Gated(_));
    let c = g.add("c", Conv::new(5, 3).norm("bn"), [image]);
    let a = g.add("a", Neurons::default(), [c]);
    let pooled = g.add("pooled", AvgPool::global(), [a]);
    let fc = g.add("fc", Linear::new(20), [pooled]);
    let b = match is_recurrent {
        true => g.add("b", Recurrent::new(), [fc]),
        false => g.add("b", Neurons::default(), [fc]),
    };
    g.add("out", Linear::new(3), [b]);
    NetConfig::of_graph(g, 2, 6, 5, 3).lif(lif).timesteps(3)
}

/// Recurrence by convolutions, on a current that is the same at every step and on one that is not.
fn recurrent_image(lif: LifConfig, input: Input) -> NetConfig {
    let mut g = Graph::new();
    let image = g.input();
    let c = g.add("c", Conv::new(5, 3).without_norm(), [image]);
    let a = g.add("a", Recurrent::conv(3), [c]);
    let d = g.add("d", Conv::new(18, 1).norm("bn"), [a]);
    let b = g.add("b", Recurrent::conv(1), [d]);
    let pooled = g.add("pooled", AvgPool::global(), [b]);
    g.add("out", Linear::new(3), [pooled]);
    NetConfig::of_graph(g, 2, 6, 5, 3).lif(lif).timesteps(3).input(input)
}

fn images(net: &NetConfig, batch: usize) -> Vec<f32> {
    let len = net.frames() * batch * net.channels * net.height * net.width;
    Rng::new(5).normals(len).iter().map(|&x| 1.5 * x as f32).collect()
}

#[test]
fn every_gradient_is_that_of_the_forward() {
    let mut flat = 0;
    let mut rows_seen = 0;
    for (what, lif) in [Reset::Hard, Reset::Soft].into_iter().flat_map(neurons).chain(settings()) {
        let learned = lif.learned(3).len();
        let recurrent = usize::from(!matches!(lif.kind, NeuronKind::Gated(_)));
        let net = net(lif).smooth(true);
        let images = images(&net, 2);
        let mut trainer = Trainer::new(TrainConfig::new(net).batch(2), Level::BASELINE).unwrap();
        let rows = finite_differences(&mut trainer, &images, &[0, 2], 3).unwrap();
        assert_eq!(rows.len(), 7 + recurrent + 2 * learned, "{what}");
        for row in &rows {
            assert!(row.agrees(), "{what}: {row:?}");
            rows_seen += 1;
            flat += usize::from(row.bound > 0.25 * row.slope.abs());
        }
    }
    // The bounds are narrow enough for a lost factor or sign to show, but for a few rows through which little flows.
    assert!(flat * 10 < rows_seen, "{flat} of {rows_seen} rows are flat");
}

#[test]
fn recurrent_images_have_the_gradients_of_their_forward() {
    for (what, lif) in neurons(Reset::Hard).chain(settings()) {
        if matches!(lif.kind, NeuronKind::Gated(_)) {
            let error =
                Net::plan(&recurrent_image(lif, Input::Still), 1, Level::BASELINE, false).unwrap_err();
            assert!(error.to_string().contains("gated neurons have numbers for each step"), "{error}");
            continue;
        }
        for input in [Input::Still, Input::Frames] {
            let net = recurrent_image(lif.clone(), input).smooth(true);
            let images = images(&net, 2);
            let mut trainer = Trainer::new(TrainConfig::new(net).batch(2), Level::BASELINE).unwrap();
            for row in finite_differences(&mut trainer, &images, &[0, 2], 3).unwrap() {
                assert!(row.agrees(), "{what} {input:?}: {row:?}");
            }
        }
    }
}

/// A last layer of smooth spikes under every read-out and loss; a stream's read-out is that of the unrolled net.
#[test]
fn read_outs_have_the_gradients_of_their_forward() {
    for readout in Readout::ALL {
        for loss in [LossConfig::default(), LossConfig::new(LossKind::Mse { correct: 0.8, incorrect: 0.1 })] {
            let mut g = Graph::new();
            let image = g.input();
            let fc = g.add("fc", Linear::new(6), [image]);
            let a = g.add("a", Neurons::default(), [fc]);
            let out = g.add("out", Linear::new(3), [a]);
            g.add("last", Neurons::default(), [out]);
            // Sigmoids: no output is larger than 1, no two steps are equal.
            let lif = LifConfig::default().surrogate(Surrogate::Sigmoid { alpha: 2.0 }).delta(0.0).decay(0.8);
            let net = NetConfig::of_graph(g, 2, 3, 2, 3).lif(lif).timesteps(3).readout(readout).smooth(true);
            let images = images(&net, 2);
            let config = TrainConfig::new(net).batch(2).loss(loss.clone());
            let mut trainer = Trainer::new(config, Level::BASELINE).unwrap();
            for row in finite_differences(&mut trainer, &images, &[0, 2], 3).unwrap() {
                assert!(row.agrees(), "{readout} {}: {row:?}", loss.kind.name());
            }
            let want = trainer.predict(&images).unwrap();
            let mut predictor = Predictor::of(&trainer, 2).unwrap();
            let mut stream = predictor.stream();
            (0..3).for_each(|_| drop(predictor.step(&images, &mut stream).unwrap().to_vec()));
            assert_eq!(stream.mean_logits(), want, "{readout}");
            let (_, steps) = trainer.net().output_of("last").unwrap();
            let by_hand = |k: usize| readout.read((0..3).map(|t| steps[6 * t + k])) as f32;
            (0..6).for_each(|k| assert_eq!(want[k], by_hand(k), "{readout}"));
        }
    }
}

/// Two neurons, two steps, by hand: τ = 1/2, V_th = 1/2, hard reset, R = [[0, 1], [1, 0]].
#[test]
fn recurrence_by_hand() {
    let mut g = Graph::new();
    let image = g.input();
    g.add("s", Recurrent::new(), [image]);
    let net = NetConfig::of_graph(g, 2, 1, 1, 2).timesteps(3);
    let mut net = Net::plan(&net, 1, Level::BASELINE, false).unwrap();
    net.params_mut().weights.copy_from_slice(&[0.0, 1.0, 1.0, 0.0]);
    // Neuron 0 gets 0.3 a step and never fires by itself: u = 0.3, 0.45, … Neuron 1 gets 0.6 and fires at every step, which
    // lifts neuron 0 to 0.15 + 0.3 + 1 at step 1 and to 1.3 at step 2, and neuron 0's spike lifts neuron 1 to 1.6 at step 2.
    net.forward(&[0.3, 0.6], false);
    let (_, spikes) = net.output_of("s").unwrap();
    assert_eq!(spikes, [0.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
    // The matrix passes the spikes of the first two steps on, one each: three additions in all.
    let operations = &net.operations(1)[0];
    assert_eq!(operations.active, [0, 1, 2]);
}

/// A stream of single steps, pieces of the batch on other threads and other levels' order of work change no bit.
#[test]
fn bits_depend_on_the_level_alone() {
    for (what, lif) in Reset::ALL.into_iter().flat_map(neurons).chain(settings()) {
        let is_gated = matches!(lif.kind, NeuronKind::Gated(_));
        let mut net = net(lif.delta(0.1));
        net.kernels.delta = DeltaKernels::Off;
        let images = images(&net, 4);
        let train = |level: Level, threads| {
            with_threads(Some(threads), || {
                let mut trainer = Trainer::new(TrainConfig::new(net.clone()).batch(4), level).unwrap();
                for step in 0..3 {
                    trainer.train_batch(&images, &[0, 1, 2, 1], f64::from(step)).unwrap();
                }
                let logits = trainer.predict(&images).unwrap();
                // The gated neuron has numbers for each of its three steps: no net of one step holds them.
                if !is_gated {
                    let mut predictor = Predictor::of(&trainer, 4).unwrap();
                    let mut stream = predictor.stream();
                    (0..3).for_each(|_| drop(predictor.step(&images, &mut stream).unwrap().to_vec()));
                    // The density of all steps, or of one, may choose another kernel: the order of sums.
                    let wide: Vec<f64> = logits.iter().map(|&z| f64::from(z)).collect();
                    assert_close(&format!("{what} stream"), stream.mean_logits(), &wide, Tolerance::Forward);
                }
                (trainer.net().params().weights.clone(), logits)
            })
            .unwrap()
        };
        for level in Level::available() {
            assert!(train(level, 1) == train(level, 2), "{level} {what}: threads");
        }
    }
}

/// The text form of every neuron reads back to the same neuron.
#[test]
fn text_forms_read_back() {
    let firing = LifConfig::default().firing(Firing::AtOrAbove).reset_amount(Some(0.25)).amplitude(0.5);
    for (what, lif) in neurons(Reset::SoftDetached).chain(settings()).chain([("firing".to_string(), firing)])
    {
        let net = net(lif);
        let text = net.to_text();
        let read = NetConfig::from_text(&text).unwrap();
        assert_eq!(read.lif, net.lif, "{what}: {text}");
    }
}

/// u ≥ V_th fires, u > V_th does not where they are equal.
#[test]
fn firing_at_the_threshold_is_a_setting() {
    for (firing, want) in [(Firing::Above, 0.0), (Firing::AtOrAbove, 1.0)] {
        let mut g = Graph::new();
        let image = g.input();
        g.add("s", Neurons::default(), [image]);
        let net = NetConfig::of_graph(g, 2, 1, 1, 2).lif(LifConfig::default().firing(firing)).timesteps(1);
        for level in Level::available() {
            let mut trainer = Trainer::new(TrainConfig::new(net.clone()).batch(1), level).unwrap();
            assert_eq!(trainer.predict(&[0.5, 0.25]).unwrap(), [want, 0.0], "{firing} {level}");
        }
    }
}
