//! Loads weights that PyTorch saved, and predicts.
//!
//! In Python, with `pip install safetensors`:
//!
//! ```python
//! from safetensors.torch import save_file
//! save_file(model.state_dict(), "weights.safetensors")
//! ```
//!
//! `cargo run --release --example load_pytorch_weights -- weights.safetensors` loads a ResNet-19 of ten classes, for
//! 32×32 images, whose layers have PyTorch's names (`conv1.weight`, `bn1.running_mean`, `layer1.0.conv1.weight`, …) or
//! those of the paper's authors. Without a file, the program writes a small one itself and reads it back.

use spikegrad::models::safetensors::{View, write};
use spikegrad::prelude::*;
use spikegrad::tensor::rng::Rng;
use std::collections::BTreeMap;
use std::path::Path;

/// Writes a file as PyTorch would, with one tensor under a name of the authors' code, and reads it back.
fn demonstrate(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let net = NetConfig::new(NetKind::ResNet19, 3, 16, 16, 10).scale(0.1);
    let seed = |seed| TrainConfig::new(net.clone()).batch(4).seed(seed);
    let mut source = Trainer::new(seed(1), Level::detect()?)?;
    let weights = source.parameters();
    let params = source.net().params();
    let buffers = params.buffer_entries.iter();
    let estimates = buffers.map(|e| (&e.name[..], &e.shape[..], &params.buffers[e.range.clone()]));
    let mut views: Vec<View> = estimates.map(|(name, shape, data)| View { name, shape, data }).collect();
    views.extend(weights.iter().map(|(name, shape, data)| {
        let name = if name == "fc1.weight" { "fc1_s.layer.module.weight" } else { name };
        View { name, shape, data }
    }));
    // PyTorch's batch norms count batches; the counter is read over.
    views.push(View { name: "bn1.num_batches_tracked", shape: &[1], data: &[7.0] });
    let file = folder.join("weights.safetensors");
    write(&file, &BTreeMap::new(), &views)?;
    println!("wrote {} tensors", views.len());

    let mut trainer = Trainer::new(seed(2), Level::detect()?)?;
    let mut rng = Rng::new(3);
    let images: Vec<f32> = (0..4 * 3 * 16 * 16).map(|_| rng.normal()).collect();
    let (want, before) = (source.predict(&images)?, trainer.predict(&images)?);
    trainer.load_weights(&file)?;
    let after = trainer.predict(&images)?;
    println!("logits of the first image: {:?}", &after[..10]);
    if before == want || after != want {
        return Err("the loaded net does not predict what the saved one does".into());
    }
    // A file that does not fit says so, and the net stays as it was.
    let other = net.scale(0.2);
    let mut wide = Trainer::new(TrainConfig::new(other).batch(4), Level::detect()?)?;
    match wide.load_weights(&file) {
        Err(why) => println!("into a wider net: {why}"),
        Ok(()) => return Err("a wider net took the weights".into()),
    }
    Ok(())
}

/// Loads the file that is named on the command line, or a small one of its own.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Some(file) = std::env::args().nth(1).filter(|name| name.ends_with(".safetensors")) {
        let mut predictor =
            Predictor::new(&NetConfig::new(NetKind::ResNet19, 3, 32, 32, 10), 1, Level::detect()?)?;
        predictor.load_weights(&file)?;
        let mut stream = predictor.stream();
        for _ in 0..2 {
            predictor.step(&[0.0; 3 * 32 * 32], &mut stream)?;
        }
        println!("{file}: logits of a grey image: {:?}", stream.mean_logits());
        return Ok(());
    }
    let folder = std::env::temp_dir().join(format!("spikegrad-pytorch-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let result = demonstrate(&folder);
    std::fs::remove_dir_all(&folder)?;
    result
}
