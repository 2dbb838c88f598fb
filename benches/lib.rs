//! Criterion benchmarks of the spikegrad kernels, one file for each concept; the benches themselves lie in `benches/`.
//!
//! Names: `op/pass/shape/level`. Each group ends with its roof: multiply-adds in registers, or a copy of as many
//! bytes as the kernel moves.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use spikegrad_tensor::rng::Rng;
use spikegrad_tensor::{Block, Dims, LANES, Level, Tensor, Workers, roof};
use std::hint::black_box;
use std::time::Duration;

/// Begins a group of short measurements.
pub fn group<'a>(criterion: &'a mut Criterion, op: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(op);
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    group
}

/// The name of a benchmark within its group.
pub fn id(pass: &str, shape: &str, level: impl std::fmt::Display) -> BenchmarkId {
    BenchmarkId::new(pass, format!("{shape}/{level}"))
}

/// A shape in words: images × channels @ side.
pub fn words(dims: Dims) -> String {
    format!("{}x{}@{}", dims.n, dims.c, dims.h)
}

/// A tensor of normal numbers, padding lanes zero.
pub fn normal(dims: Dims, rng: &mut Rng) -> Tensor {
    filled(dims, || rng.normal())
}

/// A tensor of ones, as many as `density` says, and zeros.
pub fn sparse(dims: Dims, density: f32, rng: &mut Rng) -> Tensor {
    filled(dims, || f32::from(rng.uniform() < density))
}

fn filled(dims: Dims, mut number: impl FnMut() -> f32) -> Tensor {
    let numbers: Vec<f32> = (0..dims.len()).map(|_| number()).collect();
    let mut tensor = Tensor::zeros(dims);
    tensor.copy_from_nchw(&numbers);
    tensor
}

/// The roof of what memory bounds: a copy that reads and writes `bytes` bytes in all, all threads.
pub fn memory_roof(group: &mut BenchmarkGroup<'_, WallTime>, bytes: usize) {
    const CHUNK: usize = 1 << 12;
    let blocks = (bytes / 2).div_ceil(size_of::<Block>()).max(1);
    let (from, mut to) = (vec![Block([1.0; LANES]); blocks], vec![Block::default(); blocks]);
    let mut workers = Workers::new();
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function(BenchmarkId::new("roof", format!("copy/{bytes}")), |bencher| {
        bencher.iter(|| {
            let chunks = from.chunks(CHUNK).zip(to.chunks_mut(CHUNK));
            workers.run(chunks, |(from, to), _| black_box(to).copy_from_slice(black_box(from)));
        });
    });
}

/// The roof of what arithmetic bounds: multiply-adds in registers, all threads, at each level.
pub fn arithmetic_roof(group: &mut BenchmarkGroup<'_, WallTime>) {
    const ITERATIONS: usize = 100_000;
    let mut workers = Workers::new();
    let tasks = 4 * workers.count();
    for level in Level::available() {
        let flops = tasks as u64 * roof::multiply_add_flops(level, ITERATIONS);
        group.throughput(Throughput::Elements(flops));
        group.bench_function(id("roof", "multiply_add", level), |bencher| {
            bencher.iter(|| {
                workers.run(0..tasks, |_, _| {
                    black_box(roof::multiply_add(level, ITERATIONS));
                });
            });
        });
    }
}
