//! LIF neurons forward and backward, fused with batch norm's affine map, at every level.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use spikegrad_benches::{group, id, memory_roof, normal, words};
use spikegrad_bptt::lif::{
    BackwardPass, Learn, LifLayer, NEURONS, Output, ParameterMap, ParameterSums, PlaneSums, Source,
};
use spikegrad_bptt::{Activation, LifConfig};
use spikegrad_tensor::rng::Rng;
use spikegrad_tensor::{Dims, LANES, Level, Spikes, Workers};

/// Time steps.
const STEPS: usize = 2;
/// Layers of ResNet-19, time folded in.
const LAYERS: [Dims; 2] = [Dims::new(32, 128, 32, 32), Dims::new(32, 512, 8, 8)];

/// The rows of a neuron's parameters, a number for each channel.
fn parameters(lif: &LifConfig, lanes: usize) -> Vec<f32> {
    let mut map = ParameterMap::new(lif, STEPS);
    let mut row = vec![0.0; map.rows()];
    let raw: Vec<f64> = lif.learned(STEPS).iter().flat_map(|n| &n.beginning).map(|&w| w.into()).collect();
    map.parameters(&raw, &mut row);
    row.iter().flat_map(|&p| vec![p as f32; lanes]).collect()
}

fn lif(criterion: &mut Criterion) {
    let mut group = group(criterion, "lif");
    let (mut workers, mut rng) = (Workers::new(), Rng::new(1));
    for dims in LAYERS {
        let (y, e, mut spikes) = (normal(dims, &mut rng), normal(dims, &mut rng), Spikes::zeros(dims));
        let lanes = dims.blocks() * LANES;
        let (mean, scale, shift) = (vec![0.1; lanes], vec![0.9; lanes], vec![0.05; lanes]);
        let sources = [Source::Affine { y: &y, mean: &mean, scale: &scale, shift: &shift }];
        let planes = dims.n / STEPS * dims.blocks();
        let mut sums: Vec<PlaneSums> = vec![[[0.0; LANES]; 3]; planes];
        for neuron in NEURONS.iter().filter(|neuron| neuron.config().fires()) {
            // Whatever a neuron may learn is learned.
            let lif = match neuron.name {
                "lif" | "if" => neuron.config(),
                _ => neuron.config().learn_kind(Learn::Channel),
            };
            let parameters = parameters(&lif, lanes);
            let rows = parameters.len() / lanes;
            let learns = !lif.learned(STEPS).is_empty();
            let mut products: Vec<ParameterSums> = vec![[0.0; LANES]; if learns { planes * rows } else { 0 }];
            // The plain neuron at every level, the others at the best.
            for level in Level::available().into_iter().rev().take(if neuron.name == "lif" { 9 } else { 1 }) {
                let plain = LifLayer::plain(&lif, Activation::Spike, dims, STEPS, level);
                let layer = LifLayer { parameters: &parameters, ..plain };
                let name = |pass: &str| id(&format!("{} {pass}", neuron.name), &words(dims), level);
                group.throughput(Throughput::Bytes((y.bytes() + spikes.bytes()) as u64));
                group.bench_function(name("forward"), |b| {
                    b.iter(|| layer.forward(&sources, Output::Spikes(&mut spikes), &mut workers));
                });
                group.throughput(Throughput::Bytes(3 * y.bytes() as u64));
                group.bench_function(name("backward"), |b| {
                    // The gradient is overwritten, so each run gets a copy, made outside the clock.
                    b.iter_batched_ref(
                        || e.clone(),
                        |du| {
                            let pass = BackwardPass::new(du, &mut sums);
                            let pass = BackwardPass { parameters: &mut products, ..pass };
                            layer.backward(&sources, pass, &mut workers);
                        },
                        BatchSize::PerIteration,
                    );
                });
            }
        }
        memory_roof(&mut group, 3 * y.bytes());
    }
}

criterion_group!(benches, lif);
criterion_main!(benches);
