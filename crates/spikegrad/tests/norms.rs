//! Batch norms that tell the time steps apart: closed forms of their outputs, finite differences of their gradients.

use spikegrad::gradcheck::finite_differences;
use spikegrad::models::ops::{Add, AvgPool, Conv, Linear, Neurons};
use spikegrad::models::{Graph, Input, Memory, Net, Norm};
use spikegrad::prelude::*;
use spikegrad_testkit::rng::Rng;

const STEPS: usize = 3;
const BATCH: usize = 4;

/// Norms on a still or moving image, on spikes, and beside a current without a norm.
fn graph() -> Graph {
    let mut g = Graph::new();
    let image = g.input();
    let c = g.add("c", Conv::new(18, 3).norm("bn1"), [image]);
    let a = g.add("a", Neurons::default(), [c]);
    let d = g.add("d", Conv::new(18, 3).norm("bn2").residual(), [a]);
    let e = g.add("e", Conv::new(18, 1).bias().without_norm(), [a]);
    let b = g.add("b", Neurons::default(), [d, e]);
    let pooled = g.add("pooled", AvgPool::global(), [b]);
    g.add("out", Linear::new(3), [pooled]);
    g
}

fn config(graph: Graph, norm: Norm, input: Input) -> NetConfig {
    let lif = LifConfig::default().surrogate(Surrogate::Arctan { alpha: 1.0 }).delta(0.0);
    NetConfig::of_graph(graph, 2, 6, 5, 3).lif(lif).timesteps(STEPS).norm(norm).input(input)
}

fn images(net: &NetConfig, batch: usize) -> Vec<f32> {
    let len = net.frames() * batch * net.channels * net.height * net.width;
    Rng::new(9).normals(len).iter().map(|&x| 1.5 * x as f32 + 0.5).collect()
}

/// Gives γ, β and p values of their own, so that no term is hidden by a 1 or a 0.
fn disturb(net: &mut Net) {
    let mut rng = Rng::new(4);
    let params = net.params_mut();
    for entry in params.entries.clone() {
        if ["bn1", "bn2"].iter().any(|norm| entry.name.starts_with(norm)) {
            let noise = rng.normals(entry.range.len());
            params.weights[entry.range].iter_mut().zip(noise).for_each(|(w, x)| *w += 0.3 * x as f32);
        }
    }
}

#[test]
fn every_gradient_is_that_of_the_forward() {
    for norm in [Norm::StepBn, Norm::Bntt, Norm::Tebn] {
        for input in [Input::Still, Input::Frames] {
            for memory in [Memory::F32, Memory::Recompute] {
                let net = config(graph(), norm, input).smooth(true).memory(memory);
                let images = images(&net, BATCH);
                let trainer = TrainConfig::new(net).batch(BATCH);
                let mut net = Trainer::new(trainer.clone(), Level::BASELINE).unwrap().into_net();
                disturb(&mut net);
                let mut trainer = Trainer::from_net(net, trainer, Level::BASELINE).unwrap();
                let rows = finite_differences(&mut trainer, &images, &[0, 2, 1, 0], 3).unwrap();
                let shapes = match norm {
                    Norm::Bntt => 2 + 2,
                    Norm::Tebn => 2 + 6,
                    _ => 2 + 4,
                };
                assert_eq!(rows.len(), shapes + 2 + 1 + 1, "{norm}");
                for row in &rows {
                    assert!(row.agrees(), "{norm} {input:?} {memory:?}: {row:?}");
                    // The bias beside a norm of the same current's sum shows; a weight before a norm too.
                    assert!(row.bound < 0.3 * row.slope.abs(), "{norm} {input:?}: {row:?}");
                }
            }
        }
    }
}

/// Mean and variance of a channel at the steps of a range.
fn moments(z: &[f32], channels: usize, pixels: usize, c: usize, steps: std::ops::Range<usize>) -> (f64, f64) {
    let of_channel: Vec<f64> = (steps.start * BATCH..steps.end * BATCH)
        .flat_map(|n| &z[(n * channels + c) * pixels..][..pixels])
        .map(|&z| f64::from(z))
        .collect();
    let mean = of_channel.iter().sum::<f64>() / of_channel.len() as f64;
    let var = of_channel.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / of_channel.len() as f64;
    (mean, var)
}

/// With γ = 1 and β = 0 the current has mean 0 and variance 1: at each step, or over all of them; p scales a step.
#[test]
fn each_norm_has_the_moments_of_its_definition() {
    for norm in [Norm::StepBn, Norm::Bntt, Norm::Tebn] {
        let mut g = Graph::new();
        let image = g.input();
        let c = g.add("c", Conv::new(3, 3).norm("bn1"), [image]);
        // Two readers: the current is written out.
        let a = g.add("a", Neurons::default(), [c]);
        let sum = g.add("sum", Add, [c, a]);
        let pooled = g.add("pooled", AvgPool::global(), [sum]);
        g.add("out", Linear::new(3), [pooled]);
        let config = config(g, norm, Input::Frames);
        let trainer = Trainer::new(TrainConfig::new(config.clone()).batch(BATCH), Level::BASELINE).unwrap();
        let mut net = trainer.into_net();
        if norm == Norm::Tebn {
            let p = net.params().entries.iter().find(|entry| entry.name == "bn1.p").unwrap().range.clone();
            net.params_mut().weights[p].copy_from_slice(&[1.0, 2.0, 0.5]);
        }
        net.forward(&images(&config, BATCH), true);
        let (_, z) = net.output_of("c").unwrap();
        for c in 0..3 {
            if norm == Norm::Tebn {
                let scaled: Vec<f32> = z
                    .chunks(z.len() / STEPS)
                    .zip([1.0, 0.5, 2.0])
                    .flat_map(|(z, factor)| z.iter().map(move |z| z * factor))
                    .collect();
                let (mean, var) = moments(&scaled, 3, 30, c, 0..STEPS);
                assert!(mean.abs() < 1e-5 && (var - 1.0).abs() < 1e-4, "{norm}: {mean} {var}");
                continue;
            }
            for t in 0..STEPS {
                let (mean, var) = moments(&z, 3, 30, c, t..t + 1);
                assert!(mean.abs() < 1e-5 && (var - 1.0).abs() < 1e-4, "{norm} step {t}: {mean} {var}");
            }
        }
    }
}

/// Running estimates move a tenth of the way from 0 and 1 to the mean and the unbiased variance of their steps.
#[test]
fn running_estimates_are_those_of_their_steps() {
    for norm in [Norm::StepBn, Norm::Bntt, Norm::Tebn] {
        let mut g = Graph::new();
        let image = g.input();
        let c = g.add("c", Conv::new(2, 1).norm("bn1"), [image]);
        let a = g.add("a", Neurons::default(), [c]);
        let pooled = g.add("pooled", AvgPool::global(), [a]);
        g.add("out", Linear::new(3), [pooled]);
        let config = config(g, norm, Input::Frames);
        let trainer = Trainer::new(TrainConfig::new(config.clone()).batch(BATCH), Level::BASELINE).unwrap();
        let mut net = trainer.into_net();
        let w = net.params().entries.iter().find(|entry| entry.name == "c.weight").unwrap().range.clone();
        // The convolution hands its two channels through.
        net.params_mut().weights[w].copy_from_slice(&[1.0, 0.0, 0.0, 1.0]);
        let images = images(&config, BATCH);
        net.forward(&images, true);
        let rows = if norm == Norm::Tebn { 1 } else { STEPS };
        // What is told of the last batch has the order of the running estimates.
        let info = net.norms().remove(0);
        let lengths = [&info.mean, &info.var, &info.running_mean, &info.running_var].map(Vec::len);
        assert_eq!(lengths, [2 * rows; 4], "{norm}");
        for (at, (mean, var)) in info.mean.iter().zip(&info.var).enumerate() {
            let steps = if rows == 1 { 0..STEPS } else { at / 2..at / 2 + 1 };
            let want = moments(&images, 2, 30, at % 2, steps);
            let off = (f64::from(*mean) - want.0).abs() + (f64::from(*var) - want.1).abs();
            assert!(off < 1e-5, "{norm} {at}: {mean} {var} {want:?}");
        }
        for (k, buffer) in ["bn1.running_mean", "bn1.running_var"].iter().enumerate() {
            let entries = &net.params().buffer_entries;
            let range = entries.iter().find(|entry| entry.name == *buffer).unwrap().range.clone();
            assert_eq!(range.len(), 2 * rows);
            for (at, got) in net.params().buffers[range].iter().enumerate() {
                let (t, c) = (at / 2, at % 2);
                let steps = if rows == 1 { 0..STEPS } else { t..t + 1 };
                let count = (steps.len() * BATCH * 30) as f64;
                let (mean, var) = moments(&images, 2, 30, c, steps);
                let want = if k == 0 { 0.1 * mean } else { 0.9 + 0.1 * var * count / (count - 1.0) };
                assert!((f64::from(*got) - want).abs() < 1e-6, "{norm} {buffer} {at}: {got} {want}");
            }
        }
    }
}
