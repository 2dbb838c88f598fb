//! Average pooling forward and backward. Its loops have no level: they are compiled for the baseline.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use spikegrad_benches::{group, id, memory_roof, normal, words};
use spikegrad_tensor::pool::AvgPool;
use spikegrad_tensor::rng::Rng;
use spikegrad_tensor::{Dims, Level, Tensor, Workers};

/// The end of ResNet-19, and the first pooling of LeNet: size, window.
const LAYERS: [(Dims, usize); 2] = [(Dims::new(32, 512, 8, 8), 8), (Dims::new(100, 32, 28, 28), 2)];

fn pool(criterion: &mut Criterion) {
    let mut group = group(criterion, "pool");
    let (mut workers, mut rng) = (Workers::new(), Rng::new(1));
    for (dims, window) in LAYERS {
        let pool = AvgPool::plan(dims, (window, window)).expect("a valid window");
        let (x, g) = (normal(dims, &mut rng), normal(pool.output(), &mut rng));
        let (mut y, mut dx) = (Tensor::zeros(pool.output()), Tensor::zeros(dims));
        let shape = format!("{}/{window}x{window}", words(dims));
        let bytes = x.bytes() + y.bytes();
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(id("forward", &shape, Level::BASELINE), |b| {
            b.iter(|| pool.forward(&x, &mut y, &mut workers));
        });
        group.bench_function(id("backward", &shape, Level::BASELINE), |b| {
            b.iter(|| pool.backward(&g, &mut dx, &mut workers));
        });
        memory_roof(&mut group, bytes);
    }
}

criterion_group!(benches, pool);
criterion_main!(benches);
