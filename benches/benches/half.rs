//! Packing to bfloat16 and back, at every level.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use spikegrad_benches::{group, id, memory_roof, normal, words};
use spikegrad_tensor::rng::Rng;
use spikegrad_tensor::{Dims, HalfTensor, Level, Workers};

fn half(criterion: &mut Criterion) {
    let mut group = group(criterion, "half");
    let dims = Dims::new(32, 128, 32, 32);
    let (mut x, mut half, mut workers) =
        (normal(dims, &mut Rng::new(1)), HalfTensor::zeros(dims), Workers::new());
    let bytes = x.bytes() + half.bytes();
    group.throughput(Throughput::Bytes(bytes as u64));
    for level in Level::available() {
        let shape = words(dims);
        group.bench_function(id("pack", &shape, level), |b| {
            b.iter(|| half.pack(&x, level, &mut workers));
        });
        group.bench_function(id("unpack", &shape, level), |b| {
            b.iter(|| half.unpack(&mut x, level, &mut workers));
        });
    }
    memory_roof(&mut group, bytes);
}

criterion_group!(benches, half);
criterion_main!(benches);
