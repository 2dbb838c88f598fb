//! Batch norm's statistics and the affine map of its backward, at every level.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use spikegrad_benches::{group, id, memory_roof, normal, words};
use spikegrad_tensor::norm::{Affine, Statistics, backward_affine};
use spikegrad_tensor::rng::Rng;
use spikegrad_tensor::{Block, Dims, LANES, Level, Workers};

/// Layers of ResNet-19, time folded in.
const LAYERS: [Dims; 2] = [Dims::new(32, 128, 32, 32), Dims::new(32, 512, 8, 8)];

fn norm(criterion: &mut Criterion) {
    let mut group = group(criterion, "norm");
    let (mut workers, mut rng) = (Workers::new(), Rng::new(1));
    let block = |x| Block([x; LANES]);
    let affine = Affine { a: block(0.5), mean: block(0.25), b: block(-0.5), c: block(0.125) };
    for dims in LAYERS {
        let (y, dz) = (normal(dims, &mut rng), normal(dims, &mut rng));
        let mut statistics = Statistics::new(dims.blocks());
        let coefficients = vec![affine; dims.blocks()];
        for level in Level::available() {
            group.throughput(Throughput::Bytes(y.bytes() as u64));
            group.bench_function(id("statistics", &words(dims), level), |b| {
                b.iter(|| statistics.measure(&y, level, &mut workers));
            });
            group.throughput(Throughput::Bytes(3 * y.bytes() as u64));
            group.bench_function(id("affine", &words(dims), level), |b| {
                b.iter_batched_ref(
                    || y.clone(),
                    |y| backward_affine(&coefficients, &dz, y, level, &mut workers),
                    BatchSize::PerIteration,
                );
            });
        }
        memory_roof(&mut group, 3 * y.bytes());
    }
}

criterion_group!(benches, norm);
criterion_main!(benches);
