//! The Lipschitz term and its gradient for weights of ResNet-19: two matrix products, one thread.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use spikegrad_benches::{arithmetic_roof, group, id};
use spikegrad_bptt::lipschitz::lipschitz;
use spikegrad_tensor::rng::Rng;
use spikegrad_tensor::{Level, Scratch};

/// Rows and columns of the weights.
const WEIGHTS: [(usize, usize); 3] = [(64, 27), (128, 1152), (256, 2304)];

fn term(criterion: &mut Criterion) {
    let mut group = group(criterion, "lipschitz");
    let (mut rng, mut scratch) = (Rng::new(1), Scratch::default());
    for (rows, columns) in WEIGHTS {
        let weight: Vec<f32> = (0..rows * columns).map(|_| 0.05 * rng.normal()).collect();
        let mut grad = vec![0.0; weight.len()];
        // The Gram matrix and its product with W, each 2·(smaller side)²·(larger side).
        let flops = 4 * rows.min(columns).pow(2) * rows.max(columns);
        group.throughput(Throughput::Elements(flops as u64));
        for level in Level::available() {
            group.bench_function(id("value_and_gradient", &format!("{rows}x{columns}"), level), |b| {
                b.iter(|| lipschitz(level, 1e-4, rows, &weight, &mut grad, &mut scratch));
            });
        }
    }
    arithmetic_roof(&mut group);
}

criterion_group!(benches, term);
criterion_main!(benches);
