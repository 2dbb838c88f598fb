//! LIF neurons forward and backward, fused with batch norm's affine map, at every level.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use spikegrad_benches::{group, id, memory_roof, normal, words};
use spikegrad_bptt::lif::{BackwardPass, LifLayer, Output, PlaneSums, Source};
use spikegrad_bptt::{Activation, LifConfig};
use spikegrad_tensor::rng::Rng;
use spikegrad_tensor::{Dims, LANES, Level, Spikes, Workers};

/// Time steps.
const STEPS: usize = 2;
/// Layers of ResNet-19, time folded in.
const LAYERS: [Dims; 2] = [Dims::new(32, 128, 32, 32), Dims::new(32, 512, 8, 8)];

fn lif(criterion: &mut Criterion) {
    let mut group = group(criterion, "lif");
    let (lif, mut workers, mut rng) = (LifConfig::default(), Workers::new(), Rng::new(1));
    for dims in LAYERS {
        let (y, e, mut spikes) = (normal(dims, &mut rng), normal(dims, &mut rng), Spikes::zeros(dims));
        let lanes = dims.blocks() * LANES;
        let (mean, scale, shift) = (vec![0.1; lanes], vec![0.9; lanes], vec![0.05; lanes]);
        let sources = [Source::Affine { y: &y, mean: &mean, scale: &scale, shift: &shift }];
        let mut sums: Vec<PlaneSums> = vec![[[0.0; LANES]; 3]; dims.n / STEPS * dims.blocks()];
        for level in Level::available() {
            let layer = LifLayer::plain(&lif, Activation::Spike, dims, STEPS, level);
            group.throughput(Throughput::Bytes((y.bytes() + spikes.bytes()) as u64));
            group.bench_function(id("forward", &words(dims), level), |b| {
                b.iter(|| layer.forward(&sources, Output::Spikes(&mut spikes), &mut workers));
            });
            group.throughput(Throughput::Bytes(3 * y.bytes() as u64));
            group.bench_function(id("backward", &words(dims), level), |b| {
                // The gradient is overwritten, so each run gets a copy, made outside the clock.
                b.iter_batched_ref(
                    || e.clone(),
                    |du| layer.backward(&sources, BackwardPass::new(du, &mut sums), &mut workers),
                    BatchSize::PerIteration,
                );
            });
        }
        memory_roof(&mut group, 3 * y.bytes());
    }
}

criterion_group!(benches, lif);
criterion_main!(benches);
