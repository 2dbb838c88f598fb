//! Trains on data that the program itself makes, and keeps the best weights.
//!
//! `cargo run --release --example embed_trainer`

use spikegrad::prelude::*;
use spikegrad::tensor::rng::Rng;
use std::ops::ControlFlow;

const SIDE: usize = 8;
const BATCH: usize = 32;

/// Noisy images of a horizontal (0) or a vertical (1) bar.
fn batch(rng: &mut Rng) -> (Vec<f32>, Vec<u32>) {
    let mut images = Vec::with_capacity(BATCH * SIDE * SIDE);
    let mut labels = Vec::with_capacity(BATCH);
    for _ in 0..BATCH {
        let (label, at) = ((rng.uniform() * 2.0) as u32, (rng.uniform() * SIDE as f32) as usize);
        for pixel in 0..SIDE * SIDE {
            let along = if label == 0 { pixel / SIDE } else { pixel % SIDE };
            images.push(f32::from(along == at) + 0.3 * rng.normal());
        }
        labels.push(label);
    }
    (images, labels)
}

/// Trains until nine of ten images are right, and returns the share that was right in the last epoch.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let net = NetConfig::new(NetKind::LeNet, 1, SIDE, SIDE, 2).timesteps(4).scale(0.25);
    let config = TrainConfig::new(net).batch(BATCH).lr(3e-3).epochs(10);
    let mut trainer = Trainer::new(config, Level::detect()?)?;

    // Any iterator of (images, labels) will do: in memory, from a file, from a queue.
    let batches = |epoch: usize| {
        let mut rng = Rng::new(epoch as u64);
        (0..20).map(move |_| batch(&mut rng))
    };
    let mut accuracy = 0.0;
    let epochs = trainer.fit(0..10, batches, |trainer, progress| {
        let Progress::Epoch(epoch) = progress else { return ControlFlow::Continue(()) };
        let rates: Vec<String> =
            trainer.rates().iter().map(|(layer, rate)| format!("{layer} {:.0} %", 100.0 * rate)).collect();
        println!("epoch {}: loss {:.3}, {:.1} % right", epoch.epoch, epoch.loss, 100.0 * epoch.accuracy);
        println!("  firing: {}", rates.join(", "));
        accuracy = epoch.accuracy;
        if accuracy > 0.9 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    println!("{epochs} epochs, {:.1} % right", 100.0 * accuracy);

    let folder = std::env::temp_dir().join(format!("spikegrad-embed-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("bars.safetensors");
    trainer.save_weights(&file)?;
    let mut copy = Trainer::new(trainer.config().clone(), Level::detect()?)?;
    copy.load_weights(&file)?;
    std::fs::remove_dir_all(&folder)?;
    let (images, labels) = batch(&mut Rng::new(99));
    let logits = copy.predict(&images)?;
    let right = logits.chunks(2).zip(&labels).filter(|(z, label)| (z[1] > z[0]) == (**label == 1)).count();
    println!("after saving and loading: {right} of {BATCH} new images right");
    if accuracy < 0.9 || right * 10 < BATCH * 8 {
        return Err("the net did not learn the bars".into());
    }
    Ok(())
}
