//! Reads an event stream step by step: the caller owns the state, and a step allocates nothing.
//!
//! A bar moves to the left or to the right; where it arrives, pixels send an ON event, where it leaves, an OFF event.
//! One millisecond of events is one frame and one time step.
//!
//! `cargo run --release --example online_inference`

use spikegrad::prelude::*;
use spikegrad::tensor::rng::Rng;

const SIDE: usize = 12;
const FRAME: usize = 2 * SIDE * SIDE;
const BATCH: usize = 16;

/// A change of brightness at a pixel.
#[derive(Clone, Copy)]
pub struct Event {
    x: usize,
    y: usize,
    on: bool,
}

/// A bar that moves one column a step, to the right or to the left, in a flicker of stray events.
pub struct Bar {
    at: usize,
    right: bool,
    rng: Rng,
}

impl Bar {
    /// Starts somewhere.
    pub fn new(right: bool, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        Self { at: (rng.uniform() * SIDE as f32) as usize, right, rng }
    }

    /// The events of the next step, at most one a row for either edge and one stray one.
    pub fn advance(&mut self) -> impl Iterator<Item = Event> + use<> {
        let before = self.at;
        self.at = (before + if self.right { 1 } else { SIDE - 1 }) % SIDE;
        let mut pixel = || (self.rng.uniform() * SIDE as f32) as usize;
        let stray = Event { x: pixel(), y: pixel(), on: pixel() % 2 == 0 };
        let (from, to) = (before, self.at);
        let edges = (0..SIDE).flat_map(move |y| {
            // Three of four pixels answer.
            let answers = (y + from) % 4 != 0;
            [(from, false), (to, true)].into_iter().filter(move |_| answers).map(move |(x, on)| Event {
                x,
                y,
                on,
            })
        });
        edges.chain([stray])
    }
}

/// Events of a step as two planes: ON, then OFF. `frame` is overwritten.
pub fn collect(events: impl Iterator<Item = Event>, frame: &mut [f32]) {
    frame.fill(0.0);
    for Event { x, y, on } in events {
        frame[(usize::from(!on) * SIDE + y) * SIDE + x] = 1.0;
    }
}

/// Trains on single frames and makes a net that reads streams.
pub fn prepare() -> Result<Predictor, Box<dyn std::error::Error>> {
    let net = NetConfig::new(NetKind::LeNet, 2, SIDE, SIDE, 2).scale(0.25);
    let config = TrainConfig::new(net).batch(BATCH).lr(3e-3).epochs(6);
    let mut trainer = Trainer::new(config, Level::detect()?)?;
    let batches = |epoch: usize| {
        (0..15).map(move |batch| {
            let labels: Vec<u32> = (0..BATCH as u32).map(|i| i % 2).collect();
            let mut frames = vec![0.0; BATCH * FRAME];
            for (i, frame) in frames.chunks_mut(FRAME).enumerate() {
                let seed = ((epoch * 15 + batch) * BATCH + i) as u64;
                collect(Bar::new(i % 2 == 1, seed).advance(), frame);
            }
            (frames, labels)
        })
    };
    trainer.fit(0..6, batches, |_, _| std::ops::ControlFlow::Continue(()))?;
    Ok(Predictor::of(&trainer, 1)?)
}

/// Takes a stream one step further; returns whether the bar is thought to move to the right.
pub fn step(
    predictor: &mut Predictor,
    stream: &mut Stream,
    bar: &mut Bar,
    frame: &mut [f32],
) -> Result<bool, Error> {
    collect(bar.advance(), frame);
    predictor.step(frame, stream)?;
    let logits = stream.mean_logits();
    Ok(logits[1] > logits[0])
}

/// Watches sixteen bars.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut predictor = prepare()?;
    let (mut stream, mut frame) = (predictor.stream(), vec![0.0; FRAME]);
    let mut hits = 0;
    for seed in 0..16 {
        let right = seed % 2 == 1;
        let mut bar = Bar::new(right, 10_000 + seed);
        stream.reset();
        let mut answers = String::new();
        let mut answer = false;
        for _ in 0..10 {
            answer = step(&mut predictor, &mut stream, &mut bar, &mut frame)?;
            answers.push(if answer { '>' } else { '<' });
        }
        hits += usize::from(answer == right);
        println!("bar to the {:5}: {answers}", if right { "right" } else { "left" });
    }
    println!("{hits} of 16 right after 10 steps; a stream holds {} bytes", stream.bytes());
    if hits < 15 {
        return Err(format!("only {hits} of 16 bars were told apart").into());
    }
    Ok(())
}
