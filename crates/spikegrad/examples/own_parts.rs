//! An op, a neuron, a loss, an optimiser and a schedule of one's own: checked, trained, killed at any moment, resumed.

use spikegrad::gradcheck::finite_differences;
use spikegrad::models::Graph;
use spikegrad::models::ops::{Elementwise, Linear, NeuronGradients, NeuronModel, Step, UserNeurons};
use spikegrad::{Position, bptt::loss::Logits, prelude::*};
use std::{error::Error, ops::ControlFlow, path::Path};

/// u[t] = m[t−1]/2 + x[t], m[t] = u[t] − o[t]/2; the surrogate is the derivative of a sigmoid.
#[derive(Debug)]
struct Leaky;

impl NeuronModel for Leaky {
    fn forward(&self, step: Step<'_>, m: &mut [f32]) -> f32 {
        let (u, smooth) = (0.5 * m[0] + step.current, sigmoid(0.5 * m[0] + step.current));
        let o = if step.smooth { smooth } else { smooth.round() };
        m[0] = u - 0.5 * o;
        o
    }
    fn backward(&self, step: Step<'_>, m: &[f32], g: NeuronGradients<'_>) -> f32 {
        let o = sigmoid(0.5 * m[0] + step.current);
        let du = (g.output - 0.5 * g.state[0]) * 4.0 * o * (1.0 - o) + g.state[0];
        g.state[0] = 0.5 * du;
        du
    }
}

fn sigmoid(u: f32) -> f32 {
    1.0 / (1.0 + (-4.0 * (u - 0.5)).exp())
}

fn config(smooth: bool) -> TrainConfig {
    let mut graph = Graph::new();
    let fc1 = graph.add("fc1", Linear::new(20), [graph.input()]);
    let sine = graph.add("sine", Elementwise::new("sine", f32::sin, |x, dy| dy * x.cos()), [fc1]);
    let spikes = graph.add("spikes", UserNeurons::new(Leaky), [sine]);
    graph.add("fc2", Linear::new(2), [spikes]);
    // Half the squared distance of every step's logits to the one-hot label, summed.
    let squares = |size: Logits, z: &[f32], labels: &[u32], grad: &mut [f32]| {
        let label = |at: usize| labels[at / size.stride % labels.len()] as usize;
        grad.iter_mut().enumerate().filter(|(at, _)| at % size.stride < size.classes).for_each(|(at, g)| {
            *g = z[at] - f32::from(at % size.stride == label(at));
        });
        grad.iter().map(|g| f64::from(g * g) / 2.0).sum()
    };
    let signs = Optimizer::custom(0, |lr, _, p| {
        p.weights.iter_mut().zip(p.grads).for_each(|(w, g)| *w -= lr * g / (g.abs() + 1e-8));
    });
    let net = NetConfig::of_graph(graph, 1, 4, 4, 2).smooth(smooth).timesteps(4);
    let schedule = Schedule::custom(|progress: f64| 1.0 / (1.0 + 3.0 * progress));
    let config = TrainConfig::new(net).batch(8).lr(3e-3).beta(0.0).loss(LossConfig::custom(squares));
    config.optimizer(signs).schedule(schedule)
}

/// Bars on the left (1) and on the right (0), of eight strengths.
fn batch(k: usize) -> (Vec<f32>, Vec<u32>) {
    let is_left = |i: usize| (i + k) % 2 == 1;
    let pixel = |i: usize, p: usize| if (p % 4 < 2) == is_left(i) { 0.3 + 0.1 * i as f32 } else { 0.0 };
    ((0..8 * 16).map(|at| pixel(at / 16, at % 16)).collect(), (0..8).map(|i| is_left(i).into()).collect())
}

/// Trains from where the state in `folder` stands, or from the beginning, and keeps the state after every batch.
pub fn train(folder: &Path) -> Result<Trainer, Box<dyn Error>> {
    let (state, mut trainer) =
        (folder.join("state.safetensors"), Trainer::new(config(false), Level::detect()?)?);
    let begin = if state.exists() { trainer.load_state_at(&state)? } else { Position::default() };
    trainer.try_fit(
        begin,
        20,
        |_| (0..5).map(batch),
        |trainer, progress| -> Result<_, spikegrad::Error> {
            if let Progress::Batch { epoch, batch, .. } = progress {
                trainer.save_state_at(&state, Position { epoch, batch: batch + 1 })?;
            }
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(trainer)
}

/// Checks the gradients, then trains.
pub fn main() -> Result<(), Box<dyn Error>> {
    let (images, labels) = batch(0);
    let mut smooth = Trainer::new(config(true), Level::detect()?)?;
    for row in finite_differences(&mut smooth, &images, &labels, 1)? {
        println!("{}: backward {:.6}, forward {:.6} ± {:.6}", row.name, row.slope, row.difference, row.bound);
        assert!(row.agrees());
    }
    let folder = std::env::temp_dir().join(format!("spikegrad-own-parts-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let scores = train(&folder)?.evaluate((0..2).map(batch))?;
    println!("{} of {} right", scores.correct, scores.images);
    std::fs::remove_dir_all(&folder)?;
    assert_eq!(scores.correct, scores.images);
    Ok(())
}
