//! Ops of the zoo: each gradient against finite differences of the forward and against a formula in f64, text forms,
//! settings that make no sense; and every net of the registry step by step.

use spikegrad::gradcheck::finite_differences;
use spikegrad::models::ops::{And, AvgPool, Conv, Iand, Linear, Neurons};
use spikegrad::models::{Graph, Input, Memory, Net, NodeId};
use spikegrad::prelude::*;
use spikegrad::tensor::conv::DeltaKernels;
use spikegrad_testkit::check::{Tolerance, assert_close, narrow, widen};
use spikegrad_testkit::rng::Rng;
use spikegrad_testkit::tape::{Tape, Var};
use std::collections::BTreeMap;

const BATCH: usize = 2;
const STEPS: usize = 3;

fn neuron() -> LifConfig {
    LifConfig::default().surrogate(Surrogate::Arctan { alpha: 1.0 }).delta(0.0).threshold(0.5)
}

/// A net of one's own on images of 3 × 7 × 6 and three classes.
fn config(graph: Graph, input: Input) -> NetConfig {
    NetConfig::of_graph(graph, 3, 7, 6, 3).lif(neuron()).timesteps(STEPS).input(input)
}

fn images(net: &NetConfig) -> Vec<f32> {
    images_of(net, BATCH)
}

fn images_of(net: &NetConfig, batch: usize) -> Vec<f32> {
    let len = net.frames() * batch * net.channels * net.height * net.width;
    narrow(&match net.input {
        Input::Spikes => Rng::new(5).spikes(len, 0.4),
        _ => Rng::new(5).normals(len),
    })
}

/// Takes three steps on one sample.
fn train_a_little(trainer: &mut Trainer, images: &[f32], label: u32) {
    for step in 0..3 {
        trainer.train_batch(images, &[label], f64::from(step)).unwrap();
    }
}

/// Compares the gradient of every parameter with differences of the forward, in the smooth twin.
fn check_differences(what: &str, graph: impl Fn() -> Graph) {
    for reset in [Reset::Hard, Reset::Soft] {
        let net = config(graph(), Input::Still).lif(neuron().reset(reset)).smooth(true);
        let images = images(&net);
        let mut trainer =
            Trainer::new(TrainConfig::new(net).batch(BATCH).beta(1e-2), Level::BASELINE).unwrap();
        for row in finite_differences(&mut trainer, &images, &[0, 2], 3).unwrap() {
            assert!(row.agrees(), "{what} {reset}: {row:?}");
            assert!(row.bound < 0.25 * row.slope.abs(), "{what} {reset}: {row:?}");
        }
    }
}

/// Checks that a text says the same as the graph, that threads and memory leave its bits alone, and that a stream has
/// them too.
fn check_bits(what: &str, graph: impl Fn() -> Graph) {
    for input in [Input::Still, Input::Spikes] {
        let mut net = config(graph(), input);
        net.kernels.delta = DeltaKernels::Off;
        assert_eq!(NetConfig::from_text(&net.to_text()).unwrap().to_text(), net.to_text(), "{what}");
        // Up to four rows, linear layers add in one order.
        let images = images_of(&net, 1);
        let run = |level: Level, threads: usize, memory| {
            with_threads(Some(threads), || {
                let config = TrainConfig::new(net.clone().memory(memory)).batch(1).init(Init::Kaiming);
                let mut trainer = Trainer::new(config, level).unwrap();
                train_a_little(&mut trainer, &images, 2);
                let logits = trainer.predict(&images).unwrap();
                let mut predictor = Predictor::of(&trainer, 1).unwrap();
                let mut stream = predictor.stream();
                for t in 0..STEPS {
                    let frame = &images[images.len() / net.frames() * (t % net.frames())..];
                    predictor.step(&frame[..images.len() / net.frames()], &mut stream).unwrap();
                }
                assert_eq!(stream.mean_logits(), logits, "{what} {input}: step by step");
                (trainer.net().params().weights.clone(), logits)
            })
            .unwrap()
        };
        for level in Level::available() {
            let want = run(level, 1, Memory::F32);
            assert!(run(level, 2, Memory::F32) == want, "{what} {level} {input}: threads");
            assert!(run(level, 1, Memory::Recompute) == want, "{what} {level} {input}: memory");
        }
    }
}

/// Makes a leaf of a parameter.
type Leaf<'a> = &'a mut dyn FnMut(&mut Tape, &str) -> Var;

/// Compares logits and every gradient of a net without neurons with the tape's; `features` spells all but the last
/// layer, `fc`, out on the tape.
fn check_tape(net: &NetConfig, features: impl Fn(&mut Tape, Leaf<'_>, Var) -> Var) {
    let images = images(net);
    for level in Level::available() {
        let mut net = Net::plan(net, BATCH, level, true).unwrap();
        net.params_mut().initialise(Init::Uniform, 4);
        net.forward(&images, true);
        let logits = net.logits();
        net.backward(&[0, 2], &LossConfig { kind: LossKind::CrossEntropy, label_smoothing: 0.0 }, 0.0);
        let (mut tape, mut leaves, config) = (Tape::new(), BTreeMap::new(), net.config());
        let shape = [config.frames() * BATCH, config.channels, config.height, config.width];
        let image = tape.leaf(&shape, widen(&images));
        let params = net.params();
        let mut leaf = |tape: &mut Tape, name: &str| {
            let entry = params.entries.iter().find(|entry| entry.name == name).expect("a parameter");
            let leaf = tape.leaf(&entry.shape, widen(&params.weights[entry.range.clone()]));
            leaves.insert(name.to_string(), leaf);
            leaf
        };
        let x = features(&mut tape, &mut leaf, image);
        let (weight, bias) = (leaf(&mut tape, "fc.weight"), leaf(&mut tape, "fc.bias"));
        let wide = tape.linear(x, weight, bias);
        let mean = tape.mean_over_time(wide, config.frames());
        let loss = tape.cross_entropy(mean, &[0, 2], 0.0);
        let grads = tape.backward(loss);
        assert_close(&format!("logits {level}"), &logits, tape.value(wide), Tolerance::Grad);
        assert_eq!(leaves.len(), params.entries.len());
        for entry in &params.entries {
            let (got, want) = (&params.grads[entry.range.clone()], grads.of(leaves[&entry.name]));
            assert_close(&format!("∂L/∂{} {level}", entry.name), got, &want, Tolerance::Grad);
        }
        let got = net.input_gradient().unwrap();
        assert_close(&format!("∂L/∂images {level}"), &got, &grads.of(image), Tolerance::Grad);
    }
}

/// Neurons on a convolution of the image.
fn branch(g: &mut Graph, name: &str, channels: usize) -> NodeId {
    let image = g.input();
    let current = g.add(format!("{name}.conv"), Conv::new(channels, 3), [image]);
    g.add(format!("{name}.spike"), Neurons::default(), [current])
}

fn gates() -> Graph {
    let mut g = Graph::new();
    let (a, b) = (branch(&mut g, "a", 18), branch(&mut g, "b", 18));
    let both = g.add("both", And, [a, b]);
    let either = g.add("either", Iand, [a, b]);
    let conv = g.add("conv", Conv::new(5, 3), [both]);
    let second = g.add("second", Conv::new(5, 3).without_norm(), [either]);
    let spikes = g.add("spikes", Neurons::default(), [conv, second]);
    g.add("fc", Linear::new(3), [spikes]);
    g
}

#[test]
fn gates_have_the_gradients_of_their_forward() {
    check_differences("gates", gates);
    check_bits("gates", gates);
}

/// Spikes and numbers alike: y = a·b or (1 − a)·b.
#[test]
fn gates_are_those_of_the_formula() {
    for (is_spiking, inverts) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut g = Graph::new();
        let branches = [branch(&mut g, "a", 18), branch(&mut g, "b", 18)];
        let gate = if inverts { g.add("gate", Iand, branches) } else { g.add("gate", And, branches) };
        g.add("fc", Linear::new(3), [gate]);
        let net = config(g, Input::Still).smooth(!is_spiking);
        let mut net = Net::plan(&net, BATCH, Level::BASELINE, false).unwrap();
        net.params_mut().initialise(Init::Kaiming, 4);
        net.forward(&images(net.config()), true);
        let of = |name: &str| widen(&net.output_of(name).unwrap().1);
        let (a, b, y) = (of("a.spike"), of("b.spike"), net.output_of("gate").unwrap().1);
        assert!(y.iter().any(|&y| y > 0.0) && y.len() == 18 * 7 * 6 * BATCH * STEPS);
        let product = |(a, b): (&f64, &f64)| if inverts { (1.0 - a) * b } else { a * b };
        let want: Vec<f64> = a.iter().zip(&b).map(product).collect();
        assert_close("gate", &y, &want, Tolerance::Ulp(2));
    }
}

/// The gradients of a product of two convolutions are those of the tape.
#[test]
fn gradients_of_gates_are_those_of_the_tape() {
    for inverts in [false, true] {
        let mut g = Graph::new();
        let image = g.input();
        let conv = || Conv::new(18, 3).bias().without_norm();
        let branches = [g.add("a", conv(), [image]), g.add("b", conv(), [image])];
        let gate = if inverts { g.add("gate", Iand, branches) } else { g.add("gate", And, branches) };
        let pooled = g.add("pool", AvgPool::global(), [gate]);
        g.add("fc", Linear::new(3), [pooled]);
        check_tape(&config(g, Input::Frames), |tape, leaf, image| {
            let [a, b] = ["a", "b"].map(|name| {
                let (weight, bias) =
                    (leaf(tape, &format!("{name}.weight")), leaf(tape, &format!("{name}.bias")));
                let y = tape.conv(image, weight, 1, 1);
                tape.channel_bias(y, bias)
            });
            let a = if inverts { tape.affine(a, -1.0, 1.0) } else { a };
            let y = tape.mul(a, b);
            tape.global_pool(y)
        });
    }
}

#[test]
fn gates_that_make_no_sense_are_refused() {
    let why = |build: &dyn Fn(&mut Graph, NodeId, NodeId) -> NodeId| {
        let mut g = Graph::new();
        let (a, b) = (branch(&mut g, "a", 4), branch(&mut g, "b", 5));
        build(&mut g, a, b);
        Net::plan(&config(g, Input::Still), BATCH, Level::BASELINE, false).unwrap_err().to_string()
    };
    let sizes = why(&|g, a, b| g.add("gate", And, [a, b]));
    assert_eq!(sizes, "layer \"gate\": gates 3 steps of 4 channels and 7×6 pixels by 3 of 5 and 7×6");
    let one = why(&|g, a, _| g.add("gate", Iand, [a]));
    assert_eq!(one, "layer \"gate\": reads 1 inputs, must read 2");
    let twice = why(&|g, a, _| g.add("gate", And, [a, a]));
    assert_eq!(twice, "layer \"gate\": reads the same input twice");
}

/// Steps on a still image are the unrolled net, bit for bit, for every net of the registry.
#[test]
fn nets_step_by_step_are_the_unrolled_nets() {
    for &kind in NetKind::ALL {
        for reset in [Reset::Hard, Reset::Soft] {
            let lif = LifConfig::default().reset(reset).threshold(0.3);
            let mut net = NetConfig::new(kind, 2, 33, 32, 3).lif(lif).timesteps(STEPS).scale(0.0625);
            net.kernels.delta = DeltaKernels::Off;
            let config = TrainConfig::new(net).batch(1).lr(1e-4).init(Init::Kaiming);
            let mut trainer = Trainer::new(config, Level::detect().unwrap()).unwrap();
            let images = narrow(&Rng::new(9).normals(trainer.net().images_len()));
            train_a_little(&mut trainer, &images, 1);
            let want = trainer.predict(&images).unwrap();
            let mut predictor = Predictor::of(&trainer, 1).unwrap();
            let mut stream = predictor.stream();
            (0..STEPS).for_each(|_| drop(predictor.step(&images, &mut stream).unwrap().to_vec()));
            assert_eq!(stream.mean_logits(), want, "{kind} {reset}");
        }
    }
}
