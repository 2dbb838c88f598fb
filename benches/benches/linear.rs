//! The three passes of a fully connected layer, through matrixmultiply, which picks its own instruction set and one
//! thread: there is no level to choose, and the roof is of all threads.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use spikegrad_benches::{arithmetic_roof, group, id, normal};
use spikegrad_tensor::linear::{linear, linear_backward_input, linear_backward_weight};
use spikegrad_tensor::rng::Rng;
use spikegrad_tensor::{Dims, Tensor};

/// Rows, inputs and outputs: the first layers of ResNet-19's head, of LeNet's and of the MLP.
const LAYERS: [(usize, usize, usize); 3] = [(200, 512, 256), (200, 3136, 128), (200, 784, 256)];

fn layers(criterion: &mut Criterion) {
    let mut group = group(criterion, "linear");
    let mut rng = Rng::new(1);
    for (n, inputs, outputs) in LAYERS {
        let dims = |c| Dims::new(n, c, 1, 1);
        let (x, g) = (normal(dims(inputs), &mut rng), normal(dims(outputs), &mut rng));
        let (mut y, mut dx) = (Tensor::zeros(dims(outputs)), Tensor::zeros(dims(inputs)));
        let weight: Vec<f32> = (0..inputs * outputs).map(|_| rng.normal()).collect();
        let bias = vec![0.1; outputs];
        let (mut dw, mut db) = (vec![0.0; weight.len()], vec![0.0; outputs]);
        let shape = format!("{n}x{inputs}to{outputs}");
        group.throughput(Throughput::Elements(2 * (n * inputs * outputs) as u64));
        group.bench_function(id("forward", &shape, "own"), |b| {
            b.iter(|| linear(&x, &weight, &bias, &mut y));
        });
        group.bench_function(id("weight_gradient", &shape, "own"), |b| {
            b.iter(|| linear_backward_weight(&x, &g, &mut dw, &mut db));
        });
        group.bench_function(id("input_gradient", &shape, "own"), |b| {
            b.iter(|| linear_backward_input(&g, &weight, &mut dx));
        });
    }
    arithmetic_roof(&mut group);
}

criterion_group!(benches, layers);
criterion_main!(benches);
