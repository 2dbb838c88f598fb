//! Synaptic operations: counted by hand on known spikes, and against a naive counter on any.

mod common;

use common::{Case, Setup};
use spikegrad::models::energy::{BreakEven, Constants, LayerWork, Model, Operations, Total};
use spikegrad::models::{Input, InputKind, LayerOperations, LayerSpec, Net, NetConfig, NetKind};
use spikegrad::tensor::Level;
use spikegrad_testkit::conv::Conv;

fn find<'a>(rows: &'a [LayerOperations], name: &str) -> &'a LayerOperations {
    rows.iter().find(|row| row.layer == name).unwrap_or_else(|| panic!("{name} is there"))
}

/// Sets a weight of the net by name, at all of its places.
fn fill(net: &mut Net, name: &str, value: impl Fn(usize) -> f32) {
    let params = net.params_mut();
    let entry = params.entries.iter().find(|e| e.name == name).unwrap_or_else(|| panic!("{name} is there"));
    let range = entry.range.clone();
    params.weights[range].iter_mut().enumerate().for_each(|(i, w)| *w = value(i));
}

/// A ResNet-19 on 8×8 images in which channel 0 of each layer fires at every pixel and step, and no other channel:
/// batch norm's γ is 0, its β 1 for channel 0 and 0 for the others.
fn one_channel_fires(config: &NetConfig, batch: usize) -> Net {
    let mut net = Net::plan(config, batch, Level::BASELINE, false).unwrap();
    let names: Vec<String> = net.params().entries.iter().map(|e| e.name.clone()).collect();
    for name in names {
        let is_norm = name.contains("bn") || name.contains("downsample.1");
        match (is_norm, name.ends_with(".bias")) {
            (true, true) => fill(&mut net, &name, |i| f32::from(u8::from(i == 0))),
            (true, false) => fill(&mut net, &name, |_| 0.0),
            (false, _) => fill(&mut net, &name, |_| 0.25),
        }
    }
    net
}

#[test]
fn operations_of_known_spikes_are_those_counted_by_hand() {
    let config = NetConfig::new(NetKind::ResNet19, 3, 8, 8, 10).scale(0.0625).timesteps(3);
    let mut net = one_channel_fires(&config, 4);
    // 4 channels in the stem, 8, 16 and 32 in the stages, 16 in fc1. One weight of layer1.0.conv1 is zero: output
    // channel 2, input channel 0, the middle tap.
    fill(&mut net, "layer1.0.conv1.weight", |i| if i == 2 * 4 * 9 + 4 { 0.0 } else { 1.0 });
    // One black pixel in one colour of the first image.
    let mut images = vec![0.5; 4 * 3 * 64];
    images[9] = 0.0;
    net.forward(&images, false);
    let rows = net.operations(2);
    // Along 8 pixels, the taps of a 3×3 kernel with padding 1 meet 7 + 8 + 7 = 22 of them: 484 products a channel.
    let stem = find(&rows, "conv1");
    assert_eq!((stem.input, stem.dense, stem.macs), (InputKind::Real, 3 * 484 * 4, 3 * 9 * 64 * 4));
    // The black pixel (1, 1) would have met all nine taps of four channels.
    assert_eq!(stem.effective, [2 * 3 * 484 * 4 - 9 * 4; 3]);
    // One of four channels fires, at 64 pixels of 2 images, towards 8 channels; the middle tap, which meets all 64
    // pixels, misses one of them.
    let first = find(&rows, "layer1.0.conv1");
    assert_eq!((first.input, first.dense), (InputKind::Spikes, 4 * 484 * 8));
    assert_eq!((&first.active[..], &first.effective[..]), (&[128; 3][..], &[2 * (484 * 8 - 64); 3][..]));
    assert_eq!((first.weights, first.zero_weights), (8 * 4 * 9, 1));
    // Stride 2: the taps meet 3 + 4 + 4 = 11 of 8 pixels; a 1×1 kernel meets 4 of them.
    assert_eq!(find(&rows, "layer2.0.conv1").effective, [2 * 121 * 16; 3]);
    assert_eq!(find(&rows, "layer2.0.downsample.0").effective, [2 * 16 * 16; 3]);
    // 2×2 pixels are left, of which channel 0 is 1 on average: one real number of 32 that is not zero.
    let fc1 = find(&rows, "fc1");
    assert_eq!((fc1.input, &fc1.effective[..]), (InputKind::Real, &[2 * 16; 3][..]));
    // fc1 yields 0.25·1 + 0.25 = 0.5: not above the threshold at first; 0.75 at the second step, then 0 + 0.5 again.
    let fc2 = find(&rows, "fc2");
    assert_eq!((fc2.input, &fc2.effective[..]), (InputKind::Spikes, &[0, 2 * 16 * 10, 0][..]));
    let spikes = net.spikes(2);
    let fired = |name: &str| spikes.iter().find(|unit| unit.unit == name).map(|unit| unit.spikes.clone());
    assert_eq!(fired("spike"), Some(vec![128; 3]));
    assert_eq!(fired("spike_fc"), Some(vec![0, 32, 0]));
    let all: u64 = find(&net.operations(4), "layer1.0.conv1").effective.iter().sum();
    assert_eq!(all, 2 * first.effective.iter().sum::<u64>(), "images count alike");
}

/// Products of non-zero inputs and weights of one image and step, found one by one.
fn naive(conv: &Conv, x: &[f64], weight: &[f32]) -> u64 {
    let mut count = 0;
    conv.for_each_tap(|x_at, w_at, _| count += u64::from(x[x_at] != 0.0 && weight[w_at] != 0.0));
    count
}

#[test]
fn counts_agree_with_a_naive_counter() {
    for seed in 1..5 {
        let mut setup = Setup::new(NetKind::ResNet19, 8 + seed as usize % 3, 9 - seed as usize % 2, 0.04);
        setup.net.timesteps = 1 + seed as usize % 2;
        // Only whether neurons fire counts here.
        setup.margin = 1e-5;
        let case = Case::find(&setup, 100 * seed);
        for level in Level::available() {
            let mut net = case.net(level);
            net.forward(&case.images, true);
            let rows = net.operations(setup.batch);
            check_layer(&case, &net, &rows, "layer1.0.conv1", "spike", 1);
            check_layer(&case, &net, &rows, "layer1.0.conv2", "layer1.0.spike1", 1);
            check_layer(&case, &net, &rows, "layer2.0.conv1", "layer1.2.spike2", 2);
            check_layer(&case, &net, &rows, "layer2.0.downsample.0", "layer1.2.spike2", 2);
        }
    }
}

/// Checks the operations of a convolution that reads the spikes of `unit`.
fn check_layer(case: &Case, net: &Net, rows: &[LayerOperations], name: &str, unit: &str, stride: usize) {
    let entry = net.params().entries.iter().find(|e| e.name == format!("{name}.weight")).unwrap();
    let weight = &net.params().weights[entry.range.clone()];
    let (co, ci, k) = (entry.shape[0], entry.shape[1], entry.shape[2]);
    let (h, w) = (case.setup.net.height, case.setup.net.width);
    let conv = Conv { n: case.setup.batch, ci, h, w, co, k, stride, pad: k / 2 };
    let threshold = f64::from(case.setup.net.lif.threshold);
    let spikes: Vec<f64> =
        case.want.membranes[unit].iter().map(|u| f64::from(u8::from(*u > threshold))).collect();
    let want: Vec<u64> = spikes.chunks(conv.x_len()).map(|step| naive(&conv, step, weight)).collect();
    assert_eq!(find(rows, name).effective, want, "{name} of seed {}", case.seed);
    let ones = vec![1.0; ci * h * w];
    let all = naive(&Conv { n: 1, ..conv }, &ones, &vec![1.0; weight.len()]);
    assert_eq!(find(rows, name).dense, all, "{name}, dense");
}

/// An MLP of 4 inputs, 3 and 3 hidden neurons and 2 classes that reads spikes: all weights 1, all biases 0.
fn mlp_on_spikes() -> Net {
    let layers = [LayerSpec::Linear { outputs: 3 }, LayerSpec::Linear { outputs: 3 }];
    let config = NetConfig::custom(&layers, 1, 2, 2, 2).input(Input::Spikes).timesteps(2);
    let mut net = Net::plan(&config, 1, Level::BASELINE, false).unwrap();
    for layer in 1..=3 {
        fill(&mut net, &format!("fc{layer}.weight"), |_| 1.0);
        fill(&mut net, &format!("fc{layer}.bias"), |_| 0.0);
    }
    net
}

#[test]
fn flattened_spikes_are_accumulated() {
    let mut net = mlp_on_spikes();
    // Two pixels at the first step, one at the second.
    net.forward(&[1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0], false);
    let rows = net.operations(1);
    let fc1 = find(&rows, "fc1");
    assert_eq!(
        (fc1.input, &fc1.active[..], &fc1.effective[..]),
        (InputKind::Spikes, &[2, 1][..], &[6, 3][..])
    );
    assert_eq!((fc1.dense, fc1.macs), (12, 12));
    assert!(rows.iter().all(|row| row.input == InputKind::Spikes));
    // u = 2, then 0 + 1: all three neurons fire at both steps, and the next three.
    assert_eq!(find(&rows, "fc2").effective, [9, 9]);
    assert_eq!(find(&rows, "fc3").effective, [6, 6]);
    let units = net.spikes(1);
    let work: Vec<LayerWork> =
        rows.iter().enumerate().map(|(i, row)| LayerWork::mean(row, i == 0, &units, 1)).collect();
    // Counted over two images, each does half of it: 9 operations, 3 active inputs, 6 spikes behind them.
    let of_two = LayerWork::mean(&rows[0], true, &units, 2);
    assert_eq!((of_two.effective, of_two.active, of_two.fired, of_two.neurons), (4.5, 1.5, 3.0, 3.0));
    let constants = Constants {
        integer: Operations { mac: 3.2, ac: 0.1 },
        float: Operations { mac: 4.6, ac: 0.9 },
        access: vec![(1.0, 0.0)],
    };
    let close = |got: f64, want: f64| assert!((got - want).abs() < 1e-9, "got {got}, want {want}");
    // 9 + 18 + 12 accumulates, against 12 + 9 + 6 products of the ANN.
    let total = Total::of(&work, Model::Counted, &constants);
    close(total.snn, 39.0 * 0.9);
    close(total.ann, 27.0 * 4.6);
    close(total.ratio(), 27.0 * 4.6 / (39.0 * 0.9));
    // At rate r the net takes 2·27·r accumulates: even at 4.6 / (2·0.9) > 1, it never takes as much.
    assert_eq!(total.break_even, BreakEven::Always);
    // With a dearer accumulate, even at r = 4.6 / (2·4.0).
    let dear = Constants { float: Operations { mac: 4.6, ac: 4.0 }, ..constants.clone() };
    match Total::of(&work, Model::Counted, &dear).break_even {
        BreakEven::At(rate) => close(rate, 4.6 / 8.0),
        other => panic!("{other:?}"),
    }
    // The paper's formula: macs · S · T · E, S = 3/8 for fc1 and 1 behind it; integers.
    for model in [Model::PaperAc, Model::PaperMac] {
        let total = Total::of(&work, model, &constants);
        close(total.snn, (12.0 * 2.0 * 3.0 / 8.0 + 9.0 * 2.0 + 6.0 * 2.0) * 0.1);
        close(total.ann, 27.0 * 3.2);
    }
}

#[test]
fn what_a_layer_reads_is_told_by_kind() {
    let kinds = |config: NetConfig| -> Vec<(String, bool)> {
        let mut net = Net::plan(&config, 1, Level::BASELINE, false).unwrap();
        net.forward(&vec![0.0; net.images_len()], false);
        net.operations(1).into_iter().map(|row| (row.layer, row.input == InputKind::Spikes)).collect()
    };
    let of = |kind, input| NetConfig::new(kind, 2, 16, 16, 3).scale(0.03).input(input);
    let spikes = |rows: &[(String, bool)], name: &str| rows.iter().find(|row| row.0 == name).unwrap().1;
    let lenet = kinds(of(NetKind::LeNet, Input::Spikes));
    assert!(
        spikes(&lenet, "conv1")
            && !spikes(&lenet, "conv2")
            && !spikes(&lenet, "fc1")
            && spikes(&lenet, "fc2")
    );
    let strided = kinds(of(NetKind::VggSnnStride, Input::Still));
    assert!(!spikes(&strided, "conv1") && spikes(&strided, "conv8") && spikes(&strided, "fc1"));
    let pooled = kinds(of(NetKind::VggSnn, Input::Spikes));
    assert!(spikes(&pooled, "conv1") && !spikes(&pooled, "conv3") && !spikes(&pooled, "fc1"));
    for (input, want) in [(Input::Still, false), (Input::Frames, false), (Input::Spikes, true)] {
        assert_eq!(spikes(&kinds(of(NetKind::Mlp, input)), "fc1"), want, "{input:?}");
    }
    // Windows of one pixel average nothing; the flattened result is spikes still.
    let conv = LayerSpec::Conv { channels: 4, kernel: 3, stride: 1 };
    for (size, want) in [(1, true), (2, false)] {
        let layers = [conv, LayerSpec::AvgPool { size }, LayerSpec::Linear { outputs: 3 }];
        assert_eq!(spikes(&kinds(NetConfig::custom(&layers, 1, 4, 4, 2)), "fc3"), want, "pool of {size}");
    }
    // The twin's activations are real numbers.
    assert!(!spikes(&kinds(of(NetKind::VggSnnStride, Input::Still).twin(true)), "fc1"));
}

/// The model with memory, reckoned by hand. Accesses cost 1 pJ up to 8 bytes and 5 pJ from 24 on, so 3 pJ at 16 bytes
/// and 2 pJ at 12.
#[test]
fn memory_is_charged_as_reckoned_by_hand() {
    let constants = Constants {
        integer: Operations { mac: 0.0, ac: 0.0 },
        float: Operations { mac: 4.0, ac: 1.0 },
        access: vec![(8.0, 1.0), (24.0, 5.0)],
    };
    for (bytes, energy) in [(1.0, 1.0), (8.0, 1.0), (12.0, 2.0), (16.0, 3.0), (24.0, 5.0), (1e9, 5.0)] {
        assert_eq!(constants.access(bytes), energy, "{bytes} bytes");
    }
    let on_spikes = LayerWork {
        layer: "fc1".into(),
        input: InputKind::Spikes,
        first: true,
        steps: 2.0,
        active: 3.0,
        effective: 9.0,
        neurons: 3.0,
        fired: 6.0,
        dense: 12.0,
        macs: 12.0,
        inputs: 4.0,
        outputs: 3.0,
        weights: 12.0,
    };
    assert_eq!(on_spikes.rate(), 3.0 / 8.0);
    // 12 products; an input (16 bytes) and a weight (48) read for each; 3 outputs (12) written; 27 addresses.
    assert_eq!(on_spikes.ann(Model::Memory, &constants), 12.0 * 4.0 + 12.0 * (3.0 + 5.0) + 3.0 * 2.0 + 27.0);
    // 9 additions, each with a weight, and a potential (12 bytes) read and written; 6 leaks, each a product and a potential
    // read and written; 3 input spikes and 6 of the output, of less than a word; 27 + 12 + 3 + 6 addresses.
    let of_spikes = 9.0 + 9.0 * (5.0 + 2.0 * 2.0) + 6.0 * (2.0 * 2.0 + 4.0) + (3.0 + 6.0) + 48.0;
    assert_eq!(on_spikes.snn(Model::Memory, &constants), of_spikes);
    // Real inputs are multiplied, and read as words of 16 bytes in all.
    let on_reals = LayerWork { input: InputKind::Real, ..on_spikes };
    let of_reals = 9.0 * 4.0 + 9.0 * (5.0 + 2.0 * 2.0) + 6.0 * (2.0 * 2.0 + 4.0) + (3.0 * 3.0 + 6.0) + 48.0;
    assert_eq!(on_reals.snn(Model::Memory, &constants), of_reals);
    // The paper's formula charges its first layer by the model, and any other on real numbers with products.
    let paper = Constants { integer: Operations { mac: 3.0, ac: 0.5 }, ..constants };
    let formula = 12.0 * 3.0 / 8.0 * 2.0;
    assert_eq!(on_reals.snn(Model::PaperAc, &paper), formula * 0.5);
    assert_eq!(on_reals.snn(Model::PaperMac, &paper), formula * 3.0);
    let later = LayerWork { first: false, ..on_reals };
    assert_eq!(later.snn(Model::PaperAc, &paper), formula * 3.0);
    assert_eq!(later.ann(Model::PaperAc, &paper), 36.0);
    // Leaks alone cost more than a net without any.
    let none = LayerWork {
        dense: 0.0,
        outputs: 0.0,
        inputs: 0.0,
        weights: 0.0,
        effective: 0.0,
        active: 0.0,
        ..later
    };
    assert_eq!(Total::of(&[none], Model::Memory, &paper).break_even, BreakEven::Never);
}
