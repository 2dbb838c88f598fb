//! An op, a neuron, a loss, an optimiser and a schedule of one's own: checked, trained, killed at any moment, resumed.

use spikegrad::bptt::loss::Logits;
use spikegrad::gradcheck::finite_differences;
use spikegrad::models::Graph;
use spikegrad::models::ops::{Elementwise, Linear, NeuronGradients, NeuronModel, Step, UserNeurons};
use spikegrad::{Position, prelude::*};
use std::{error::Error, ops::ControlFlow, path::Path};

/// u[t] = p·m[t−1] + x[t], m[t] = u[t] − o[t]/2, with p learned; the surrogate is a sigmoid's derivative.
#[derive(Debug)]
struct Leaky;

impl NeuronModel for Leaky {
    fn kind(&self) -> &str {
        "leaky"
    }
    fn parameters(&self) -> Vec<f32> {
        vec![0.5]
    }
    fn forward(&self, step: Step<'_>, m: &mut [f32]) -> f32 {
        let u = step.parameters[0] * m[0] + step.current;
        let o = if step.smooth { sigmoid(u - 0.5) } else { f32::from(u > 0.5) };
        m[0] = u - 0.5 * o;
        o
    }
    fn backward(&self, step: Step<'_>, m: &[f32], g: NeuronGradients<'_>) -> f32 {
        let s = sigmoid(step.parameters[0] * m[0] + step.current - 0.5);
        let du = (g.output - 0.5 * g.state[0]) * 4.0 * s * (1.0 - s) + g.state[0];
        g.parameters[0] += f64::from(du * m[0]);
        g.state[0] = du * step.parameters[0];
        du
    }
}

fn sigmoid(d: f32) -> f32 {
    1.0 / (1.0 + (-4.0 * d).exp())
}

/// Half the squared distance of every step's logits to the one-hot label, mean over steps and images.
fn squares(size: Logits, z: &[f32], labels: &[u32], grad: &mut [f32]) -> f64 {
    let share = 1.0 / (labels.len() * size.steps) as f32;
    let mut loss = 0.0;
    for (row, k) in (0..labels.len() * size.steps).flat_map(|row| (0..size.classes).map(move |k| (row, k))) {
        let off = z[row * size.stride + k] - f32::from(k == labels[row % labels.len()] as usize);
        grad[row * size.stride + k] = off * share;
        loss += f64::from(off * off * share) / 2.0;
    }
    loss
}

fn config(smooth: bool) -> TrainConfig {
    let mut graph = Graph::new();
    let fc1 = graph.add("fc1", Linear::new(20), [graph.input()]);
    let sine = graph.add("sine", Elementwise::new("sine", f32::sin, |x, dy| dy * x.cos()), [fc1]);
    let spikes = graph.add("spikes", UserNeurons::new(Leaky), [sine]);
    graph.add("fc2", Linear::new(2), [spikes]);
    let net = NetConfig::of_graph(graph, 1, 4, 4, 2).smooth(smooth).timesteps(4);
    let optimizer = Optimizer::custom(1, |lr, _, p| {
        let places = p.weights.iter_mut().zip(p.grads).zip(p.first.iter_mut());
        places.for_each(|((w, g), v)| (*v, *w) = (0.9 * *v + g, *w - lr * (0.9 * *v + g).signum()));
    });
    let schedule = Schedule::custom(|progress| 1.0 / (1.0 + 3.0 * progress));
    let (loss, beta) = (LossConfig::custom(squares), 0.0);
    TrainConfig::new(net)
        .batch(8)
        .lr(3e-3)
        .epochs(20)
        .loss(loss)
        .beta(beta)
        .optimizer(optimizer)
        .schedule(schedule)
}

/// Bars on the left and on the right, of eight strengths.
fn batch(k: usize) -> (Vec<f32>, Vec<u32>) {
    let labels: Vec<u32> = (0..8).map(|i| (i + k as u32) % 2).collect();
    let pixel = |i: usize, p: usize| if (p % 4 < 2) == (labels[i] == 1) { 0.3 + 0.1 * i as f32 } else { 0.0 };
    ((0..8 * 16).map(|at| pixel(at / 16, at % 16)).collect(), labels)
}

/// Trains from where the state in `folder` stands, or from the beginning, and keeps the state after every batch.
pub fn train(folder: &Path) -> Result<Trainer, Box<dyn Error>> {
    let state = folder.join("state.safetensors");
    let mut trainer = Trainer::new(config(false), Level::detect()?)?;
    let begin = if state.exists() { trainer.load_state_at(&state)? } else { Position::default() };
    trainer.try_fit(
        begin,
        20,
        |_| (0..5).map(batch),
        |trainer, progress| {
            if let Progress::Batch { epoch, batch, .. } = progress {
                trainer.save_state_at(&state, Position { epoch, batch: batch + 1 })?;
            }
            Ok::<_, spikegrad::Error>(ControlFlow::Continue(()))
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
    std::fs::remove_dir_all(&folder)?;
    println!("{} of {} right, p learned", scores.correct, scores.images);
    assert_eq!(scores.correct, scores.images);
    Ok(())
}
