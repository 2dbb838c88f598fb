//! Builds a net of one's own from a list of layers, looks at its plan, and trains it.
//!
//! `cargo run --release --example custom_net`

use spikegrad::prelude::*;
use spikegrad::tensor::rng::Rng;
use std::ops::ControlFlow;

const SIDE: usize = 12;
const BATCH: usize = 24;

/// Noisy images of a disc (0), a ring (1) or a cross (2).
fn batch(rng: &mut Rng) -> (Vec<f32>, Vec<u32>) {
    let labels: Vec<u32> = (0..BATCH as u32).map(|i| i % 3).collect();
    let mut images = Vec::with_capacity(BATCH * SIDE * SIDE);
    for &label in &labels {
        let centre = [0; 2].map(|_| 4.0 + 3.0 * rng.uniform());
        for p in 0..SIDE * SIDE {
            let [dy, dx] = [(p / SIDE) as f32 - centre[0], (p % SIDE) as f32 - centre[1]];
            let r = (dx * dx + dy * dy).sqrt();
            let inside = match label {
                0 => r < 3.0,
                1 => (2.0..3.5).contains(&r),
                _ => r < 4.0 && dx.abs().min(dy.abs()) < 0.8,
            };
            images.push(f32::from(inside) + 0.2 * rng.normal());
        }
    }
    (images, labels)
}

/// Trains the net.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let layers = [
        LayerSpec::Conv { channels: 16, kernel: 3, stride: 1 },
        LayerSpec::Residual { channels: 32, stride: 2 },
        LayerSpec::Residual { channels: 32, stride: 1 },
        LayerSpec::GlobalPool,
        LayerSpec::Linear { outputs: 32 },
    ];
    let net = NetConfig::custom(&layers, 1, SIDE, SIDE, 3).timesteps(2);
    let config = TrainConfig::new(net).batch(BATCH).lr(3e-3).epochs(6);
    let mut trainer = Trainer::new(config, Level::detect()?)?;

    let plan = trainer.plan();
    for layer in &plan.layers {
        println!("{:28} {:>12}  {:>8} MACs a step", layer.name, layer.shape, layer.macs);
    }
    println!(
        "{} parameters, {} neurons, {} bytes of training",
        plan.parameters, plan.neurons, plan.bytes.total
    );

    let batches = |epoch: usize| {
        let mut rng = Rng::new(epoch as u64);
        (0..20).map(move |_| batch(&mut rng))
    };
    let mut accuracy = 0.0;
    trainer.fit(0..6, batches, |_, progress| {
        if let Progress::Epoch(epoch) = progress {
            println!("epoch {}: loss {:.3}, {:.1} % right", epoch.epoch, epoch.loss, 100.0 * epoch.accuracy);
            accuracy = epoch.accuracy;
        }
        ControlFlow::Continue(())
    })?;
    if accuracy < 0.9 {
        return Err(format!("the net learned too little: {accuracy}").into());
    }
    Ok(())
}
