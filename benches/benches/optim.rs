//! Steps of the optimisers over the weights of ResNet-19 at width 1/4, at every level.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use spikegrad_benches::{group, id, memory_roof};
use spikegrad_bptt::Optimizer;
use spikegrad_bptt::optim::Parameters;
use spikegrad_tensor::rng::Rng;
use spikegrad_tensor::{Level, Workers};

/// Learned numbers.
const WEIGHTS: usize = 800_000;

fn optimisers(criterion: &mut Criterion) {
    let mut group = group(criterion, "optim");
    let (mut rng, mut workers) = (Rng::new(1), Workers::new());
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
        group.throughput(Throughput::Bytes(bytes as u64));
        for level in Level::available() {
            let mut step = 0;
            group.bench_function(id(name, &WEIGHTS.to_string(), level), |b| {
                b.iter(|| {
                    step += 1;
                    let (weights, first, second) = (&mut weights[..], &mut first[..], &mut second[..]);
                    let parameters = Parameters { weights, grads: &grads, first, second };
                    optimizer.step(1e-3, step, parameters, level, &mut workers);
                });
            });
        }
    }
    memory_roof(&mut group, 4 * WEIGHTS * 7);
}

criterion_group!(benches, optimisers);
criterion_main!(benches);
