//! Weights that leave a run: the same numbers under the same names, in a file of their own.

mod common;

use common::Folder;
use spikegrad::models::safetensors::File;
use std::collections::BTreeMap;

/// Batch norm, so that there are running estimates; two epochs, of which the first is the best or the last.
const TRAIN: &str = "train --net lenet --width 0.1 --limit 200 --batch 20 --epochs 2 --lr 0.01 --out run";

/// The tensors of a file: name, shape and bits.
fn tensors(folder: &Folder, name: &str) -> BTreeMap<String, (Vec<usize>, Vec<u32>)> {
    let file = File::read(folder.path(name)).unwrap();
    let bits = |name: &str| file.f32(name).unwrap().iter().map(|x| x.to_bits()).collect();
    file.tensors.iter().map(|t| (t.name.clone(), (t.shape.clone(), bits(&t.name)))).collect()
}

#[test]
fn the_weights_are_those_of_the_run_and_can_be_scored() {
    let folder = Folder::new();
    folder.succeed(TRAIN);
    let said = folder.succeed("export run --out last.safetensors");
    assert!(said.contains("run/checkpoint.safetensors to last.safetensors"), "{said}");
    folder.succeed("export run --best --to safetensors --out best.safetensors");
    assert_eq!(tensors(&folder, "last.safetensors"), tensors(&folder, "run/checkpoint.safetensors"));
    assert_eq!(tensors(&folder, "best.safetensors"), tensors(&folder, "run/best.safetensors"));
    // LeNet of a tenth: names and shapes as PyTorch has them, [out, in, rows, columns], running estimates beside.
    let exported = tensors(&folder, "last.safetensors");
    let shape = |name: &str| exported[name].0.clone();
    assert_eq!(shape("conv1.weight")[1..], [3, 5, 5]);
    assert_eq!(shape("bn1.running_var"), shape("bn1.weight"));
    assert_eq!(shape("fc3.bias"), [10]);
    // A state has the optimiser's moments, which are left out; its weights are the last epoch's.
    folder.succeed("export run/state.safetensors --out state.safetensors");
    assert_eq!(tensors(&folder, "state.safetensors"), exported);
    let score = |run: &str| {
        let figures: serde_json::Value =
            serde_json::from_str(&folder.succeed(&format!("eval {run} --json -"))).unwrap();
        (figures["accuracy"].clone(), figures["loss"].clone())
    };
    assert_eq!(score("last.safetensors"), score("run"));
    assert_eq!(score("best.safetensors"), score("run --best"));
}

#[test]
fn an_export_overwrites_nothing_and_takes_no_damage() {
    let folder = Folder::new();
    folder.succeed(TRAIN);
    folder.write("mine.safetensors", b"mine");
    folder.fail(1, "export run --out mine.safetensors", &["mine.safetensors", "exists already"]);
    assert_eq!(folder.read("mine.safetensors"), b"mine");
    folder.fail(1, "export nowhere --out x.safetensors", &["nowhere", "no such run"]);
    folder.fail(2, "export run --to pickle --out x.safetensors", &["pickle", "safetensors"]);
    folder.fail(2, "export run", &["--out"]);
    let mut bytes = folder.read("run/checkpoint.safetensors");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    folder.write("bad.safetensors", &bytes);
    folder.fail(1, "export bad.safetensors --out x.safetensors", &["bad.safetensors", "CRC-32"]);
    folder.fail(1, "export run/config.toml --out x.safetensors", &["config.toml"]);
    assert!(!folder.path("x.safetensors").exists());
}
