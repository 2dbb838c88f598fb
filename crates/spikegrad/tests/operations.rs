//! Synaptic operations: counted by hand on known spikes, and against a naive counter on any.

mod common;

use common::{Case, Setup};
use spikegrad::models::{InputKind, LayerOperations, Net, NetConfig, NetKind};
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
    let config = NetConfig { scale: 0.0625, timesteps: 3, ..NetConfig::new(NetKind::ResNet19, 3, 8, 8, 10) };
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
