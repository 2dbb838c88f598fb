//! Graphs that no named net has: every op's gradient against finite differences through the forward, text forms, files.

use spikegrad::gradcheck::finite_differences;
use spikegrad::models::ops::{Add, AvgPool, Conv, Flatten, Linear, MaxPool, Neurons};
use spikegrad::models::{Graph, Input, Memory};
use spikegrad::prelude::*;
use spikegrad_testkit::rng::Rng;

fn neuron(reset: Reset) -> LifConfig {
    LifConfig::default().reset(reset).surrogate(Surrogate::Arctan { alpha: 1.0 }).delta(0.0)
}

/// Fan-out, additions before and behind neurons, biases without norms, padding, strides, both pools, a pooled current,
/// neurons that differ from layer to layer, a spiking last layer.
fn odd(reset: Reset, is_last_spiking: bool, is_smooth: bool) -> Graph {
    let plif = neuron(reset).decay(0.7).learn_decay(true);
    let strong = neuron(reset).threshold(0.3).reset_amount(Some(0.6)).amplitude(1.5);
    let mut g = Graph::new();
    let image = g.input();
    let stem = g.add("stem", Conv::new(5, 3).padding(0).norm("stem_bn"), [image]);
    let s1 = g.add("s1", Neurons::new(plif.clone()), [stem]);
    // The largest of several has a kink wherever two are equal: no finite difference is that of one side.
    let pooled = match is_smooth {
        true => g.add("pooled", AvgPool::square(2), [s1]),
        false => g.add("pooled", MaxPool::square(2).padding(1), [s1]),
    };
    // Three readers of one value; the convolution `a` is read twice, so it is written out.
    let a = g.add("a", Conv::new(5, 3).bias().without_norm(), [pooled]);
    let b = g.add("b", Conv::new(5, 1).norm("b_bn").residual(), [pooled]);
    let s2 = g.add("s2", Neurons::new(strong), [a, b]);
    let s3 = g.add("s3", Neurons::default(), [a, pooled]);
    let sum = g.add("sum", Add, [s2, s3]);
    let strided = g.add("strided", Conv::new(6, 3).stride(2).bias().norm("strided_bn"), [sum]);
    // A current that is pooled before the neurons, twice.
    let mean = g.add("mean", AvgPool::square(2), [strided]);
    let most = match is_smooth {
        true => g.add("most", AvgPool::square(2), [strided]),
        false => g.add("most", MaxPool::square(2), [strided]),
    };
    let s4 = g.add("s4", Neurons::default(), [mean, most]);
    let flat = g.add("flat", Flatten, [s4]);
    let hidden = g.add("hidden", Linear::new(7), [flat]);
    let direct = g.add("direct", Linear::new(7), [flat]);
    let s5 = g.add("s5", Neurons::new(plif), [hidden, direct]);
    let logits = g.add("logits", Linear::new(3), [s5]);
    if is_last_spiking {
        g.add("last", Neurons::default(), [logits]);
    }
    g
}

fn config(reset: Reset, is_last_spiking: bool) -> NetConfig {
    let net = NetConfig::of_graph(odd(reset, is_last_spiking, false), 2, 13, 12, 3);
    net.lif(neuron(reset)).timesteps(3)
}

fn smooth(reset: Reset, is_last_spiking: bool, memory: Memory) -> NetConfig {
    let net = NetConfig::of_graph(odd(reset, is_last_spiking, true), 2, 13, 12, 3);
    net.lif(neuron(reset)).timesteps(3).smooth(true).memory(memory)
}

fn images(net: &NetConfig, batch: usize) -> Vec<f32> {
    let len = net.frames() * batch * net.channels * net.height * net.width;
    Rng::new(5).normals(len).iter().map(|&x| x as f32).collect()
}

#[test]
fn every_gradient_is_that_of_the_forward() {
    for reset in [Reset::Hard, Reset::Soft] {
        for (is_last_spiking, memory) in [(false, Memory::F32), (true, Memory::Recompute)] {
            let net = smooth(reset, is_last_spiking, memory);
            let images = images(&net, 2);
            let mut trainer =
                Trainer::new(TrainConfig::new(net).batch(2).beta(1e-2), Level::BASELINE).unwrap();
            let rows = finite_differences(&mut trainer, &images, &[0, 2], 3).unwrap();
            assert_eq!(rows.len(), 20);
            for row in &rows {
                assert!(row.agrees(), "{reset} {memory:?}: {row:?}");
                // The bound is narrow enough for a lost factor or sign to show, where enough flows.
                let is_flat = ["strided.bias", "s1.w"].contains(&row.name.as_str());
                assert!(is_flat || row.bound < 0.25 * row.slope.abs(), "{reset} {memory:?}: {row:?}");
            }
        }
    }
}

/// What reads no smooth function is refused, not measured.
#[test]
fn spikes_and_detached_resets_have_no_differences() {
    for net in [config(Reset::Hard, false), config(Reset::SoftDetached, false).smooth(true)] {
        let images = images(&net, 1);
        let mut trainer = Trainer::new(TrainConfig::new(net).batch(1), Level::BASELINE).unwrap();
        assert!(finite_differences(&mut trainer, &images, &[0], 3).is_err());
    }
}

/// Memory settings, levels, threads and a stream leave the bits of an odd graph alone too.
#[test]
fn bits_depend_on_the_level_alone() {
    for reset in Reset::ALL {
        let train = |memory, level: Level, threads| {
            let net = config(reset, false).memory(memory);
            let images = images(&net, 4);
            with_threads(Some(threads), || {
                let mut trainer = Trainer::new(TrainConfig::new(net).batch(4), level).unwrap();
                for step in 0..3 {
                    trainer.train_batch(&images, &[0, 1, 2, 1], f64::from(step)).unwrap();
                }
                let logits = trainer.predict(&images).unwrap();
                let mut predictor = Predictor::of(&trainer, 4).unwrap();
                let mut stream = predictor.stream();
                (0..3).for_each(|_| drop(predictor.step(&images, &mut stream).map(<[f32]>::to_vec).unwrap()));
                assert_eq!(stream.mean_logits(), logits, "{reset}: step by step");
                (trainer.net().params().weights.clone(), logits)
            })
            .unwrap()
        };
        for level in Level::available() {
            let want = train(Memory::F32, level, 1);
            assert!(train(Memory::F32, level, 2) == want, "{level} {reset}: threads");
            assert!(train(Memory::Recompute, level, 1) == want, "{level} {reset}: memory");
        }
    }
}

/// A spiking last layer answers with the mean of its spikes over time.
#[test]
fn a_spiking_last_layer_answers_with_rates() {
    let net = config(Reset::Hard, true).input(Input::Frames);
    let images = images(&net, 2);
    let mut trainer = Trainer::new(TrainConfig::new(net).batch(2), Level::BASELINE).unwrap();
    let logits = trainer.predict(&images).unwrap();
    let (_, spikes) = trainer.net().output_of("last").unwrap();
    for (k, logit) in logits.iter().enumerate() {
        let rate = (0..3).map(|t| spikes[t * 6 + k]).sum::<f32>() / 3.0;
        assert!((logit - rate).abs() < 1e-6, "{logit} {rate}");
    }
}

#[test]
fn a_text_spells_any_graph() {
    let net = config(Reset::SoftDetached, true);
    let text = net.to_text();
    assert_eq!(NetConfig::from_text(&text).unwrap(), net);
    // Written by hand: layers read the one before them.
    let by_hand = "net = 'custom'\nchannels = 1\nheight = 4\nwidth = 4\nclasses = 2\n\
        [neuron]\ndecay = 0.9\nlearn_decay = true\n[[layer]]\nop = 'conv'\nname = 'c'\nchannels = 3\nkernel = 3\n\
        [[layer]]\nop = 'neurons'\nname = 's'\n[[layer]]\nop = 'max-pool'\nname = 'p'\nsize = 2\n\
        [[layer]]\nop = 'linear'\nname = 'out'\noutputs = 2\n";
    let net = NetConfig::from_text(by_hand).unwrap();
    let trainer = Trainer::new(TrainConfig::new(net).batch(1), Level::BASELINE).unwrap();
    let names: Vec<_> = trainer.parameters().into_iter().map(|(name, shape, _)| (name, shape)).collect();
    let want = [
        ("c.weight", vec![3, 1, 3, 3]),
        ("c_bn.weight", vec![3]),
        ("c_bn.bias", vec![3]),
        ("s.w", vec![1]),
        ("out.weight", vec![2, 12]),
        ("out.bias", vec![2]),
    ];
    assert_eq!(names, want.map(|(name, shape)| (name.to_string(), shape)));
    // σ(w) is the decay it began with: ln(0.9/0.1).
    let w = trainer.net().params().get("s.w").unwrap()[0];
    assert!((w - 9f32.ln()).abs() < 1e-6, "{w}");
}

#[test]
fn graphs_that_make_no_sense_are_refused_by_name() {
    let layer = |text: &str| {
        let head = "net = 'custom'\nchannels = 1\nheight = 4\nwidth = 4\nclasses = 2\n";
        let net = NetConfig::from_text(&format!("{head}{text}")).map_err(|error| error.to_string())?;
        net_error(net)
    };
    fn net_error(net: NetConfig) -> Result<(), String> {
        Trainer::new(TrainConfig::new(net).batch(1), Level::BASELINE)
            .map(|_| ())
            .map_err(|error| error.to_string())
    }
    let linear = "[[layer]]\nop = 'linear'\nname = 'a'\noutputs = 2\n[[layer]]\nop = 'neurons'\nname = 's'\n";
    assert_eq!(layer(linear), Ok(()));
    for (text, want) in [
        ("", "needs its layers"),
        ("[[layer]]\nop = 'konv'\nname = 'a'\n", "no op is called \"konv\"; known: add, and, avg-pool, conv"),
        ("[[layer]]\nop = 'flatten'\n", "layer 1: name is missing"),
        ("[[layer]]\nop = 'flatten'\nname = 'f'\nsize = 2\n", "setting \"size\""),
        (
            "[[layer]]\nop = 'linear'\nname = 'a'\noutputs = 2\ninputs = ['b']\n",
            "no layer \"b\" stands before \"a\"",
        ),
        (
            "[[layer]]\nop = 'linear'\nname = 'a'\noutputs = 3\n[[layer]]\nop = 'neurons'\nname = 's'\n",
            "3 channels",
        ),
        ("[[layer]]\nop = 'linear'\nname = 'a'\noutputs = 2\n", "yields 1 steps"),
        ("[[layer]]\nop = 'linear'\nname = 'a'\noutputs = 0\n", "layer \"a\": outputs is 0"),
        ("[[layer]]\nop = 'max-pool'\nname = 'p'\nsize = 5\n", "5×5"),
        ("[[layer]]\nop = 'conv'\nname = 'c'\nchannels = 1\nkernel = 0\n", "kernel is 0"),
        ("[[layer]]\nop = 'add'\nname = 's'\ninputs = ['input', 'input']\n", "the same input twice"),
        (
            "[[layer]]\nop = 'flatten'\nname = 'f'\n[[layer]]\nop = 'add'\nname = 's'\ninputs = ['f', 'input']\n",
            "adds 16 channels of 1×1 pixels and 1 of 4×4",
        ),
        (&format!("{linear}[[layer]]\nop = 'linear'\nname = 'a'\noutputs = 2\n"), "name of its own"),
        (
            &format!("{linear}[[layer]]\nop = 'linear'\nname = 'b'\noutputs = 2\ninputs = ['a']\n"),
            "\"s\" is read by no",
        ),
        ("[neuron]\ndecay = 1.0\nlearn_decay = true\n", "needs its layers"),
    ] {
        let error = layer(text).expect_err(text);
        assert!(error.contains(want), "{text}\n{error}");
    }
}
