//! Steps of the optimisers over the weights of ResNet-19 at width 1/4. Scalar loops: one thread, no level.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use spikegrad_benches::{group, id, memory_roof};
use spikegrad_bptt::Optimizer;
use spikegrad_tensor::Level;
use spikegrad_tensor::rng::Rng;

/// Learned numbers.
const WEIGHTS: usize = 800_000;

fn optimisers(criterion: &mut Criterion) {
    let mut group = group(criterion, "optim");
    let mut rng = Rng::new(1);
    let mut numbers = || -> Vec<f32> { (0..WEIGHTS).map(|_| 0.01 * rng.normal()).collect() };
    let (mut weights, grads) = (numbers(), numbers());
    for (name, optimizer) in [
        ("sgd", Optimizer::sgd(0.9, false, 1e-4)),
        ("adam", Optimizer::adam(1e-4)),
        ("adamw", Optimizer::adamw(1e-4)),
    ] {
        let (mut first, mut second) = (vec![0.0; WEIGHTS], vec![0.0; WEIGHTS]);
        // The gradient is read; weights and moments are read and written.
        let bytes = 4 * WEIGHTS * (1 + 2 * (1 + optimizer.moments()));
        let mut step = 0;
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(id(name, &WEIGHTS.to_string(), Level::BASELINE), |b| {
            b.iter(|| {
                step += 1;
                optimizer.step(1e-3, step, &mut weights, &grads, &mut first, &mut second);
            });
        });
    }
    memory_roof(&mut group, 4 * WEIGHTS * 7);
}

criterion_group!(benches, optimisers);
criterion_main!(benches);
