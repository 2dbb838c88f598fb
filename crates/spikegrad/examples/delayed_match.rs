//! Delayed match to sample: was the second cue the same as the first, twelve steps ago?
//!
//! Each of two cues makes twenty inputs fire for four steps. What is between the cues is noise, so that an answer needs a
//! memory of the first: adaptive thresholds and recurrent weights have one, plain neurons have not.
//!
//! ```text
//! cargo run --release -p spikegrad --example delayed_match
//! ```

use spikegrad::bptt::Readout;
use spikegrad::bptt::lif::{Learn, NeuronKind};
use spikegrad::models::ops::{Linear, Neurons, Recurrent};
use spikegrad::models::{Graph, Input};
use spikegrad::prelude::*;
use spikegrad::tensor::rng::Rng;

/// Steps of a trial: a cue, the delay, a cue, the answer.
const STEPS: usize = 20;
/// Steps of a cue.
const CUE: usize = 4;
/// The first step of the second cue.
const SECOND: usize = 12;
/// Inputs of each of the two cues.
const INPUTS: usize = 20;
/// Trials of a batch.
const BATCH: usize = 64;

/// Makes a batch of trials: spikes (steps, trials, inputs), and whether the cues are the same.
fn trials(rng: &mut Rng) -> (Vec<f32>, Vec<u32>) {
    let (mut spikes, mut labels) = (vec![0.0; STEPS * BATCH * 2 * INPUTS], Vec::new());
    for trial in 0..BATCH {
        let cues = [rng.below(2), rng.below(2)];
        labels.push(u32::from(cues[0] == cues[1]));
        for t in 0..STEPS {
            let cue = match t {
                t if t < CUE => Some(cues[0]),
                t if (SECOND..SECOND + CUE).contains(&t) => Some(cues[1]),
                _ => None,
            };
            for input in 0..2 * INPUTS {
                let probability = if cue.is_some_and(|cue| input / INPUTS == cue) { 0.5 } else { 0.02 };
                let fires = rng.uniform() < probability;
                spikes[(t * BATCH + trial) * 2 * INPUTS + input] = f32::from(u8::from(fires));
            }
        }
    }
    (spikes, labels)
}

/// A hidden layer of neurons, and a leaky integrator for each answer, read at the last step.
fn net(is_recurrent: bool, neuron: LifConfig) -> NetConfig {
    let mut g = Graph::new();
    let input = g.input();
    let current = g.add("fc1", Linear::new(64), [input]);
    let hidden = match is_recurrent {
        true => g.add("hidden", Recurrent::new(), [current]),
        false => g.add("hidden", Neurons::default(), [current]),
    };
    let answer = g.add("fc2", Linear::new(2), [hidden]);
    let integrator = LifConfig::default().kind(NeuronKind::Integrator).decay(0.8);
    g.add("read_out", Neurons::new(integrator), [answer]);
    let net = NetConfig::of_graph(g, 2 * INPUTS, 1, 1, 2).lif(neuron).timesteps(STEPS);
    net.input(Input::Spikes).readout(Readout::Last)
}

/// Trains on fresh trials and returns the accuracy on trials that come after them.
fn accuracy(net: NetConfig, batches: u64) -> Result<f64, Error> {
    let config = TrainConfig::new(net).batch(BATCH).lr(3e-3).beta(0.0);
    let mut trainer = Trainer::new(config, Level::detect()?)?;
    let mut rng = Rng::new(1);
    for step in 0..batches {
        let (spikes, labels) = trials(&mut rng);
        trainer.train_batch(&spikes, &labels, step as f64 / batches as f64)?;
    }
    let (mut right, tested) = (0, 16);
    for _ in 0..tested {
        let (spikes, labels) = trials(&mut rng);
        let logits = trainer.predict(&spikes)?;
        right += logits.chunks(2).zip(&labels).filter(|(z, y)| u32::from(z[1] > z[0]) == **y).count();
    }
    Ok(right as f64 / (tested * BATCH) as f64)
}

fn main() -> Result<(), Error> {
    let batches = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(600);
    let surrogate = Surrogate::Arctan { alpha: 2.0 };
    let plain = LifConfig::default().surrogate(surrogate.clone());
    let adaptive = NeuronKind::Adaptive { decay: 0.95, strength: 0.3 };
    let alif = plain.clone().kind(adaptive).learn_kind(Learn::Channel).reset(Reset::Soft);
    let rows = [
        ("recurrent, adaptive", net(true, alif.clone())),
        ("feed-forward, adaptive", net(false, alif)),
        ("recurrent, plain", net(true, plain.clone())),
        ("feed-forward, plain", net(false, plain)),
    ];
    for (name, net) in rows {
        println!("{name:<24} {:.1} %", 100.0 * accuracy(net, batches)?);
    }
    Ok(())
}
