//! The three passes of a convolution over spikes, on layers of ResNet-19, at every level.
//!
//! Throughput counts dense operations, whatever a kernel skips: compare with the group's roof.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use spikegrad_benches::{arithmetic_roof, group, id, normal, sparse, words};
use spikegrad_tensor::conv::{Conv, ConvConfig, InputGradient};
use spikegrad_tensor::rng::Rng;
use spikegrad_tensor::{Dims, Level, Spikes, Tensor, Workers};

/// (images, channels, side, density in percent)
const LAYERS: &[(usize, usize, usize, u32)] = &[
    (32, 128, 32, 30),
    (32, 256, 16, 30),
    (32, 512, 8, 30),
    (64, 32, 32, 30),
    (64, 32, 32, 10),
    (256, 64, 16, 30),
    (256, 128, 8, 30),
];

/// Ways to the input gradient.
const FORMS: [(InputGradient, &str); 3] = [
    (InputGradient::Direct, "direct"),
    (InputGradient::Winograd2, "winograd2"),
    (InputGradient::Winograd4, "winograd4"),
];

fn conv(criterion: &mut Criterion) {
    let mut group = group(criterion, "conv3x3");
    let mut workers = Workers::new();
    for &(n, c, side, density) in LAYERS {
        let dims = Dims::new(n, c, side, side);
        let config =
            ConvConfig { out_channels: c, kernel: 3, stride: 1, padding: 1, ..ConvConfig::default() };
        let mut rng = Rng::new(1);
        let spikes = Spikes::from_tensor(&sparse(dims, density as f32 / 100.0, &mut rng));
        let mut g = normal(dims, &mut rng);
        let shape = format!("{}/{density}%", words(dims));
        for level in Level::available() {
            let mut conv = Conv::plan(dims, config, level).expect("a valid shape");
            let weight: Vec<f32> = (0..conv.weight_len()).map(|_| rng.normal()).collect();
            let (mut y, mut dw) = (Tensor::zeros(dims), vec![0.0; weight.len()]);
            group.throughput(Throughput::Elements(2 * conv.macs() * n as u64));
            group.bench_function(id("forward", &shape, level), |b| {
                b.iter(|| conv.forward_spikes(&spikes, &weight, &mut y, &mut workers));
            });
            group.bench_function(id("weight_gradient", &shape, level), |b| {
                b.iter(|| conv.backward_weight_spikes(&spikes, &mut g, &mut dw, &mut workers));
            });
            for (form, name) in FORMS {
                conv.set_input_gradient(form);
                group.bench_function(id(&format!("input_gradient_{name}"), &shape, level), |b| {
                    b.iter(|| conv.backward_input(&g, &weight, &mut y, false, &mut workers));
                });
            }
        }
    }
    arithmetic_roof(&mut group);
}

criterion_group!(benches, conv);
criterion_main!(benches);
