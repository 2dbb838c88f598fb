//! Grouped, depthwise and one-dimensional convolutions as layers of nets: gradients, the Lipschitz term, counts, text, bits.

use spikegrad::gradcheck::finite_differences;
use spikegrad::models::ops::{AvgPool, Conv, Linear, Neurons};
use spikegrad::models::{Graph, Input, InputKind, Lanczos, Memory, Net, PlanReport};
use spikegrad::prelude::*;
use spikegrad::tensor::conv::DeltaKernels;
use spikegrad_testkit::check::{narrow, widen};
use spikegrad_testkit::lipschitz::{lipschitz_grad, lipschitz_value};
use spikegrad_testkit::rng::Rng;

const STEPS: usize = 3;

fn neuron() -> LifConfig {
    LifConfig::default().surrogate(Surrogate::Arctan { alpha: 1.0 }).delta(0.0).threshold(0.5)
}

/// A depthwise convolution, a grouped one with stride and bias, and a 1×1 between groups: MobileNet's block.
fn mobile() -> Graph {
    let mut g = Graph::new();
    let image = g.input();
    let stem = g.add("stem", Conv::new(20, 3), [image]);
    let mut x = g.add("s1", Neurons::default(), [stem]);
    let layers = [
        ("depthwise", Conv::new(20, 3).groups(20)),
        ("grouped", Conv::new(12, 3).groups(4).stride(2).bias().without_norm()),
        ("shuffled", Conv::new(16, 1).groups(2)),
    ];
    for (k, (name, conv)) in layers.into_iter().enumerate() {
        let current = g.add(name, conv, [x]);
        x = g.add(format!("s{}", k + 2), Neurons::default(), [current]);
    }
    g.add("fc", Linear::new(3), [x]);
    g
}

/// One-dimensional convolutions of a row of numbers.
fn wave() -> Graph {
    let mut g = Graph::new();
    let image = g.input();
    let stem = g.add("stem", Conv::one_dimensional(18, 5).stride(2).norm("stem_bn"), [image]);
    let s1 = g.add("s1", Neurons::default(), [stem]);
    let second = g.add("second", Conv::one_dimensional(18, 3).groups(18), [s1]);
    let s2 = g.add("s2", Neurons::default(), [second]);
    let pooled = g.add("pool", AvgPool::adaptive(1, 4), [s2]);
    g.add("fc", Linear::new(3), [pooled]);
    g
}

fn nets() -> [NetConfig; 2] {
    let of = |graph, channels, height, width| {
        NetConfig::of_graph(graph, channels, height, width, 3).lif(neuron()).timesteps(STEPS)
    };
    [of(mobile(), 3, 7, 6), of(wave(), 2, 1, 17)]
}

fn images(net: &NetConfig, batch: usize) -> Vec<f32> {
    let len = net.frames() * batch * net.channels * net.height * net.width;
    narrow(&match net.input {
        Input::Spikes => Rng::new(5).spikes(len, 0.4),
        _ => Rng::new(5).normals(len),
    })
}

#[test]
fn gradients_are_those_of_the_forward() {
    for (net, reset) in nets().into_iter().flat_map(|net| [(net.clone(), Reset::Hard), (net, Reset::Soft)]) {
        let net = net.lif(neuron().reset(reset)).smooth(true);
        let images = images(&net, 2);
        let mut trainer = Trainer::new(TrainConfig::new(net).batch(2).beta(1e-2), Level::BASELINE).unwrap();
        for row in finite_differences(&mut trainer, &images, &[0, 2], 3).unwrap() {
            assert!(row.agrees() && row.bound < 0.25 * row.slope.abs(), "{reset}: {row:?}");
        }
    }
}

/// Texts, threads, memory, streams.
#[test]
fn bits_depend_on_the_level_alone() {
    for (net, input) in nets().into_iter().flat_map(|net| [(net.clone(), Input::Still), (net, Input::Spikes)])
    {
        let mut net = net.input(input);
        assert_eq!(NetConfig::from_text(&net.to_text()).unwrap(), net);
        net.kernels.delta = DeltaKernels::Off;
        let images = images(&net, 1);
        let run = |level: Level, threads: usize, memory| {
            with_threads(Some(threads), || {
                let config = TrainConfig::new(net.clone().memory(memory)).batch(1).init(Init::Kaiming);
                let mut trainer = Trainer::new(config, level).unwrap();
                for step in 0..3 {
                    trainer.train_batch(&images, &[2], f64::from(step)).unwrap();
                }
                let logits = trainer.predict(&images).unwrap();
                let mut predictor = Predictor::of(&trainer, 1).unwrap();
                let mut stream = predictor.stream();
                for t in 0..STEPS {
                    let len = images.len() / net.frames();
                    predictor.step(&images[t % net.frames() * len..][..len], &mut stream).unwrap();
                }
                assert_eq!(stream.mean_logits(), logits, "{input} {level}: step by step");
                (trainer.net().params().weights.clone(), logits)
            })
            .unwrap()
        };
        for level in Level::available() {
            let want = run(level, 1, Memory::F32);
            assert!(run(level, 2, Memory::F32) == want, "{level} {input}: threads");
            assert!(run(level, 1, Memory::Recompute) == want, "{level} {input}: memory");
        }
    }
}

/// Name, shape, weights and multiply-adds, by hand: outputs × inputs of a group × taps × pixels.
#[test]
fn plans_count_the_weights_of_groups_alone() {
    let rows = |net: &NetConfig| {
        let plan = PlanReport::of(net, 2, Level::BASELINE, 2, true).unwrap();
        let row = |row: spikegrad::models::LayerReport| (row.name, row.shape, row.parameters, row.macs);
        plan.layers.into_iter().map(row).collect::<Vec<_>>()
    };
    let [mobile, wave] = nets();
    let row = |name: &str, shape: &str, parameters, macs| {
        (format!("{name}.weight"), shape.to_string(), parameters, macs)
    };
    assert_eq!(
        rows(&mobile),
        [
            row("stem", "20×3×3×3", 20 * 27 + 40, 20 * 27 * 42),
            row("depthwise", "20×1×3×3", 20 * 9 + 40, 20 * 9 * 42),
            row("grouped", "12×5×3×3", 12 * 45 + 12, 12 * 45 * 12),
            row("shuffled", "16×6×1×1", 16 * 6 + 32, 16 * 6 * 12),
            row("fc", "3×192", 3 * 192 + 3, 3 * 192),
        ]
    );
    assert_eq!(
        rows(&wave),
        [
            row("stem", "18×2×5", 18 * 10 + 36, 18 * 10 * 9),
            row("second", "18×1×3", 18 * 3 + 36, 18 * 3 * 9),
            row("fc", "3×72", 3 * 72 + 3, 3 * 72),
        ]
    );
}

/// Operations, by loops over every place: weights that are not zero times inputs that are not.
#[test]
fn operations_are_those_of_the_loops() {
    let [net, _] = nets();
    let mut net = Net::plan(&net, 2, Level::BASELINE, false).unwrap();
    net.params_mut().initialise(Init::Kaiming, 4);
    // Some weights are zero.
    net.params_mut().weights.iter_mut().step_by(5).for_each(|w| *w = 0.0);
    net.forward(&images(net.config(), 2), true);
    let counted = net.operations(2);
    for (name, from, groups, stride, padding) in
        [("depthwise", "s1", 20, 1, 1), ("grouped", "s2", 4, 2, 1), ("shuffled", "s3", 2, 1, 0)]
    {
        let row = counted.iter().find(|row| row.layer == name).unwrap();
        assert_eq!(row.input, InputKind::Spikes);
        let (d, x) = net.output_of(from).unwrap();
        let entry = net.params().entries.iter().find(|e| e.name == format!("{name}.weight")).unwrap();
        let (weight, [co, inputs, k, _]) =
            (&net.params().weights[entry.range.clone()], entry.shape[..4].try_into().unwrap());
        let side = |side: usize| (side + 2 * padding - k) / stride + 1;
        let (mut effective, mut dense) = (vec![0; STEPS], 0);
        for (n, at) in (0..d.n).flat_map(|n| (0..weight.len()).map(move |at| (n, at))) {
            let (o, i, ky, kx) = (at / (inputs * k * k), at / (k * k) % inputs, at / k % k, at % k);
            let channel = o / (co / groups) * inputs + i;
            for (qy, qx) in (0..side(d.h)).flat_map(|qy| (0..side(d.w)).map(move |qx| (qy, qx))) {
                let place = |q: usize, k: usize, side: usize| {
                    (q * stride + k).checked_sub(padding).filter(|&p| p < side)
                };
                if let (Some(py), Some(px)) = (place(qy, ky, d.h), place(qx, kx, d.w)) {
                    dense += 1;
                    let value = x[((n * d.c + channel) * d.h + py) * d.w + px];
                    effective[n / 2] += u64::from(value != 0.0 && weight[at] != 0.0);
                }
            }
        }
        assert_eq!((&row.effective, row.dense), (&effective, dense / d.n as u64), "{name}");
    }
}

/// The Lipschitz term reads a weight as the matrix of its first axis against all others.
#[test]
fn the_lipschitz_term_is_that_of_the_flattened_weight() {
    for net in nets() {
        let mut net = Net::plan(&net, 2, Level::BASELINE, false).unwrap();
        net.params_mut().initialise(Init::Kaiming, 4);
        net.params_mut().zero_grads();
        let got = net.backward_lipschitz(0.5);
        let mut sum = 0.0;
        for entry in net.params().entries.iter().filter(|entry| entry.shape.len() > 1) {
            let weight = widen(&net.params().weights[entry.range.clone()]);
            let rows = entry.shape[0];
            sum += lipschitz_value(&weight, rows, 0.5);
            let want = lipschitz_grad(&weight, rows, 0.5);
            let gradient = &net.params().grads[entry.range.clone()];
            let most = want.iter().fold(0.0f64, |most, x| most.max(x.abs()));
            let is_near = |(got, want): (&f32, &f64)| (f64::from(*got) - want).abs() <= 1e-4 * most;
            assert!(gradient.iter().zip(&want).all(is_near), "{}", entry.name);
        }
        assert!((got - sum).abs() <= 1e-5 * sum.abs(), "{got} {sum}");
    }
}

/// A depthwise 1×1 convolution multiplies each channel by a number: its Lipschitz constant is the largest of them.
#[test]
fn the_lipschitz_constant_of_a_depthwise_factor_is_the_largest() {
    let mut g = Graph::new();
    let image = g.input();
    let scaled = g.add("scale", Conv::new(20, 1).groups(20).without_norm(), [image]);
    g.add("fc", Linear::new(3), [scaled]);
    let net = NetConfig::of_graph(g, 20, 4, 3, 3).input(Input::Frames);
    let mut net = Net::plan(&net, 2, Level::BASELINE, false).unwrap();
    net.params_mut().initialise(Init::Kaiming, 4);
    let most = net.params().get("scale.weight").unwrap().iter().fold(0.0f32, |most, w| most.max(w.abs()));
    let constants = net.lipschitz_constants(&Lanczos::default());
    assert_eq!(constants[0].layer, "scale");
    assert!((constants[0].sigma / f64::from(most) - 1.0).abs() < 1e-3, "{constants:?} {most}");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    fn why(conv: Conv) -> String {
        let mut g = Graph::new();
        let image = g.input();
        let conv = g.add("op", conv, [image]);
        g.add("fc", Linear::new(3), [conv]);
        let net = NetConfig::of_graph(g, 4, 5, 5, 3);
        Net::plan(&net, 2, Level::BASELINE, false).unwrap_err().to_string()
    }
    let three = why(Conv::new(6, 3).groups(3));
    assert_eq!(three, "layer \"op\": groups is 3, must divide the 4 channels read and the 6 written");
    assert_eq!(why(Conv::new(6, 3).groups(0)), "layer \"op\": groups is 0, must be at least 1");
    let text = "net = 'custom'\nchannels = 1\nheight = 4\nwidth = 4\nclasses = 2\n[[layer]]\nop = 'conv'\nname = 'c'\n\
        channels = 2\nkernel = 3\ndimensions = 3\n";
    let why = NetConfig::from_text(text).unwrap_err().to_string();
    assert_eq!(why, "layer 1: dimensions is 3, must be 1 or 2");
}
