//! Ops of the zoo: each gradient against finite differences of the forward and against a formula in f64, text forms,
//! settings that make no sense; and every net of the registry step by step.

use spikegrad::gradcheck::finite_differences;
use spikegrad::models::graph::OpSpec;
use spikegrad::models::ops::{And, AvgPool, Conv, Dropout, Flatten, Iand, Linear, Neurons, Upsample, Vote};
use spikegrad::models::{Graph, Input, InputKind, Memory, Net, NodeId};
use spikegrad::prelude::*;
use spikegrad::tensor::conv::DeltaKernels;
use spikegrad_testkit::check::{Tolerance, assert_close, narrow, widen};
use spikegrad_testkit::rng::Rng;
use spikegrad_testkit::tape::{Tape, Var};
use spikegrad_testkit::temporary::Temporary;
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
        net.backward(&[0, 2], &LossConfig::default(), 0.0);
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

/// A linear map of an image: (output, input, factor) of each term, and the size of the output.
type Map = (Vec<(usize, usize, f64)>, usize);

/// Compares an op that is a linear map with the map written out: y = M·x, ∂L/∂x = Mᵀ·∂L/∂y.
fn check_map(what: &str, op: impl OpSpec + Clone + 'static, (terms, outputs): Map) {
    for (level, input) in
        Level::available().into_iter().flat_map(|l| [(l, Input::Frames), (l, Input::Spikes)])
    {
        let mut g = Graph::new();
        let image = g.input();
        let op = g.add("op", op.clone(), [image]);
        g.add("fc", Linear::new(3), [op]);
        let mut net = Net::plan(&config(g, input), BATCH, level, true).unwrap();
        net.params_mut().initialise(Init::Uniform, 4);
        let images = images(net.config());
        net.forward(&images, true);
        let y = net.output_of("op").unwrap().1;
        let gradient = narrow(&Rng::new(8).normals(STEPS * BATCH * 3));
        net.params_mut().zero_grads();
        net.backward_from(&gradient);
        let weight = widen(net.params().get("fc.weight").unwrap());
        let (mut want_y, mut want_dx) = (Vec::new(), Vec::new());
        for (x, g) in images.chunks(3 * 7 * 6).zip(gradient.chunks(3)) {
            let (mut y, mut dx) = (vec![0.0; outputs], vec![0.0; x.len()]);
            for &(to, from, factor) in &terms {
                y[to] += factor * f64::from(x[from]);
                let dy: f64 = (0..3).map(|k| f64::from(g[k]) * weight[k * outputs + to]).sum();
                dx[from] += factor * dy;
            }
            want_y.extend(y);
            want_dx.extend(dx);
        }
        assert_close(&format!("{what} {level} {input}"), &y, &want_y, Tolerance::Forward);
        let dx = net.input_gradient().unwrap();
        assert_close(&format!("∂L/∂x {what} {level} {input}"), &dx, &want_dx, Tolerance::Forward);
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

#[test]
fn pixels_are_repeated() {
    let repeat = |factor: usize| -> Map {
        let (h, w) = (7 * factor, 6 * factor);
        let term = |at: usize| {
            let (c, row, column) = (at / (h * w), at / w % h, at % w);
            (at, c * 42 + row / factor * 6 + column / factor, 1.0)
        };
        ((0..3 * h * w).map(term).collect(), 3 * h * w)
    };
    for factor in [1, 2, 3] {
        check_map(&format!("{factor} times"), Upsample::nearest(factor), repeat(factor));
    }
    let graph = || {
        let mut g = Graph::new();
        let spikes = branch(&mut g, "a", 18);
        let wide = g.add("wide", Upsample::nearest(2), [spikes]);
        let current = g.add("conv", Conv::new(4, 3).stride(2), [wide]);
        let fired = g.add("spikes", Neurons::default(), [current]);
        // A current that is repeated.
        let current = g.add("again", Conv::new(4, 3), [fired]);
        let dense = g.add("dense", Upsample::nearest(3), [current]);
        let last = g.add("last", Neurons::default(), [dense]);
        g.add("fc", Linear::new(3), [last]);
        g
    };
    check_differences("upsampling", graph);
    check_bits("upsampling", graph);
}

/// PyTorch's rule: window i of o along s pixels reaches from ⌊i·s/o⌋ to ⌈(i + 1)·s/o⌉.
#[test]
fn adaptive_windows_are_those_of_pytorch() {
    let span = |i: usize, s: usize, o: usize| (i * s / o)..((i + 1) * s).div_ceil(o);
    let mean = |rows: usize, columns: usize| -> Map {
        let mut terms = Vec::new();
        for (c, q) in (0..3).flat_map(|c| (0..rows * columns).map(move |q| (c, q))) {
            let (y, x) = (span(q / columns, 7, rows), span(q % columns, 6, columns));
            let factor = 1.0 / (y.len() * x.len()) as f64;
            let pixels = y.flat_map(|y| x.clone().map(move |x| y * 6 + x));
            terms.extend(pixels.map(|p| (c * rows * columns + q, c * 42 + p, factor)));
        }
        (terms, 3 * rows * columns)
    };
    // Of seven rows: windows that overlap, that do not, and that repeat.
    for (rows, columns) in [(1, 1), (3, 4), (7, 6), (2, 3), (9, 5)] {
        check_map(&format!("{rows}×{columns}"), AvgPool::adaptive(rows, columns), mean(rows, columns));
    }
    let graph = || {
        let mut g = Graph::new();
        let spikes = branch(&mut g, "a", 18);
        let pooled = g.add("pool", AvgPool::adaptive(3, 4), [spikes]);
        let current = g.add("conv", Conv::new(4, 3), [pooled]);
        let wide = g.add("wide", AvgPool::adaptive(4, 6), [current]);
        let last = g.add("last", Neurons::default(), [wide]);
        g.add("fc", Linear::new(3), [last]);
        g
    };
    check_differences("adaptive pools", graph);
    check_bits("adaptive pools", graph);
}

#[test]
fn groups_of_channels_vote() {
    let mean = |size: usize| -> Map {
        let term = |at: usize| (at / 42 / size * 42 + at % 42, at, 1.0 / size as f64);
        ((0..3 * 42).map(term).collect(), 3 / size * 42)
    };
    for size in [1, 3] {
        check_map(&format!("votes of {size}"), Vote::new(size), mean(size));
    }
    let graph = || {
        let mut g = Graph::new();
        let spikes = branch(&mut g, "a", 36);
        let voted = g.add("vote", Vote::new(2), [spikes]);
        let pooled = g.add("pool", AvgPool::global(), [voted]);
        let hidden = g.add("hidden", Linear::new(21).without_bias(), [pooled]);
        let last = g.add("last", Neurons::default(), [hidden]);
        g.add("out", Vote::new(7), [last]);
        g
    };
    check_differences("votes", graph);
    check_bits("votes", graph);
}

fn dropped() -> Graph {
    let mut g = Graph::new();
    let spikes = branch(&mut g, "a", 18);
    let kept = g.add("drop", Dropout::new(0.4), [spikes]);
    let current = g.add("conv", Conv::new(5, 3), [kept]);
    let more = g.add("more", Dropout::new(0.25), [current]);
    let last = g.add("last", Neurons::default(), [more]);
    let flat = g.add("flat", Flatten, [last]);
    g.add("fc", Linear::new(3), [flat]);
    g
}

#[test]
fn dropout_has_the_gradient_of_its_forward() {
    check_differences("dropout", dropped);
    check_bits("dropout", dropped);
}

/// A pass on the image alone: the factors that a mask puts on a batch of ones, (T, N, C, H, W).
fn factors(trainer: &mut Trainer) -> Vec<f32> {
    let images = vec![1.0; trainer.net().images_len()];
    trainer.forward(&images).unwrap();
    trainer.net().output_of("drop").unwrap().1
}

fn on_ones(p: f32) -> Trainer {
    let mut g = Graph::new();
    let image = g.input();
    let kept = g.add("drop", Dropout::new(p), [image]);
    g.add("fc", Linear::new(3), [kept]);
    let net = NetConfig::of_graph(g, 20, 17, 16, 3).timesteps(STEPS).input(Input::Frames);
    Trainer::new(TrainConfig::new(net).batch(BATCH), Level::BASELINE).unwrap()
}

#[test]
fn a_mask_is_the_same_at_every_step_and_another_for_every_sample() {
    for p in [0.0, 0.25, 0.5, 0.9] {
        let mut trainer = on_ones(p);
        let factors = factors(&mut trainer);
        let sample = 20 * 17 * 16;
        let (first, rest) = factors.split_at(BATCH * sample);
        assert!(rest.chunks(first.len()).all(|step| step == first), "{p}: every step");
        assert!(first.iter().all(|&x| x == 0.0 || x == 1.0 / (1.0 - p)), "{p}: dropped, or scaled");
        // Binomial: five standard deviations.
        let (n, kept) = (first.len() as f64, first.iter().filter(|&&x| x > 0.0).count() as f64);
        let q = 1.0 - f64::from(p);
        assert!((kept - n * q).abs() <= 5.0 * (n * q * (1.0 - q)).sqrt(), "{p}: {kept} of {n}");
        assert!(p == 0.0 || first[..sample] != first[sample..], "{p}: samples differ");
        let images = vec![1.0; trainer.net().images_len()];
        trainer.predict(&images).unwrap();
        let stay = trainer.net().output_of("drop").unwrap().1;
        assert!(stay.iter().all(|&x| x == 1.0), "{p}: all stay in evaluation");
    }
}

#[test]
fn a_mask_belongs_to_the_step_and_the_pass() {
    let mut trainer = on_ones(0.5);
    trainer.zero_gradients();
    let [first, second] = [0, 1].map(|_| factors(&mut trainer));
    assert_ne!(first, second, "the second pass of a step");
    trainer.zero_gradients();
    assert_eq!(factors(&mut trainer), first, "the step begins anew");
    trainer.apply(0.0).unwrap();
    assert_ne!(factors(&mut trainer), first, "the next step");
    let other = on_ones(0.5).config().clone().seed(7);
    assert_ne!(factors(&mut Trainer::new(other, Level::BASELINE).unwrap()), first, "another seed");
}

/// In evaluation dropped spikes are spikes, whose operations are additions.
#[test]
fn operations_on_dropped_spikes_are_additions() {
    let net = config(dropped(), Input::Still);
    let images = images(&net);
    let mut trainer = Trainer::new(TrainConfig::new(net).batch(BATCH), Level::BASELINE).unwrap();
    trainer.predict(&images).unwrap();
    let kinds: Vec<_> =
        trainer.net().operations(BATCH).into_iter().map(|row| (row.layer, row.input)).collect();
    let (real, spikes) = (InputKind::Real, InputKind::Spikes);
    let want = [("a.conv", real), ("conv", spikes), ("fc", spikes)];
    assert_eq!(kinds, want.map(|(layer, kind)| (layer.to_string(), kind)));
}

/// A run that is saved and goes on in another process has the weights of one that never stopped.
#[test]
fn masks_survive_the_end_of_a_process() {
    let net = config(dropped(), Input::Still);
    let images = images(&net);
    let fresh =
        || Trainer::new(TrainConfig::new(net.clone()).batch(BATCH), Level::detect().unwrap()).unwrap();
    let train = |trainer: &mut Trainer, steps: std::ops::Range<u32>| {
        steps.for_each(|step| {
            trainer.train_batch(&images, &[0, 2], f64::from(step)).unwrap();
        });
    };
    let mut whole = fresh();
    train(&mut whole, 0..4);
    let file = Temporary::new("masks.safetensors");
    let mut before = fresh();
    train(&mut before, 0..2);
    before.save_state(&file.0, &BTreeMap::new()).unwrap();
    let mut after = fresh();
    after.load_state(&file.0).unwrap();
    train(&mut after, 2..4);
    assert!(whole.net().params().weights == after.net().params().weights);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    fn why(op: impl OpSpec + 'static) -> String {
        let mut g = Graph::new();
        let image = g.input();
        let op = g.add("op", op, [image]);
        g.add("fc", Linear::new(3), [op]);
        Net::plan(&config(g, Input::Still), BATCH, Level::BASELINE, false).unwrap_err().to_string()
    }
    for p in [1.0, -0.1, f32::NAN] {
        assert_eq!(
            why(Dropout::new(p)),
            format!("layer \"op\": p is {p}, must be at least 0 and less than 1")
        );
    }
    for size in [0, 2] {
        assert_eq!(why(Vote::new(size)), format!("layer \"op\": size is {size}, must divide the 3 channels"));
    }
    assert_eq!(why(Upsample::nearest(0)), "layer \"op\": factor is 0, must be at least 1");
    assert!(why(Upsample::nearest(usize::MAX)).contains("at most 1000000"));
    assert_eq!(why(AvgPool::adaptive(0, 2)), "layer \"op\": rows is 0, must be at least 1");
    assert!(why(AvgPool::adaptive(2, usize::MAX)).contains("at most 1000000"));
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
