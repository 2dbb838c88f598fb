//! The examination of a run.

mod common;

use common::browser::browse;
use common::{Folder, SMALL};
use serde_json::Value;

#[test]
fn a_run_is_examined() {
    let folder = Folder::new();
    folder.succeed("train --net lenet --width 0.1 --limit 200 --batch 20 --epochs 1 --out run");
    let before = folder.read("run/checkpoint.safetensors");
    let out = folder.succeed("doctor run --batches 3 --html page.html --json figures.json");
    assert!(out.contains("lenet on synthetic:shapes: 60 training images"), "{out}");
    for word in ["spike1", "spike4", "silent", "saturated", "in window", "conv2", "fc3", "drift of mean", "σ"]
    {
        assert!(out.contains(word), "{word} in {out}");
    }
    let figures: Value = serde_json::from_slice(&folder.read("figures.json")).unwrap();
    let layers = figures["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 4);
    for layer in layers {
        for step in layer["steps"].as_array().unwrap() {
            let share = |name: &str| step[name].as_f64().unwrap();
            assert!(
                (0.0..=1.0).contains(&share("rate")) && (0.0..=1.0).contains(&share("inside")),
                "{layer}"
            );
            assert!(share("gradient_norm") > 0.0, "{layer}");
        }
    }
    assert_eq!(figures["drifts"].as_array().unwrap().len(), 2);
    assert!(figures["sigmas"].as_array().unwrap().iter().all(|s| s["sigma"].as_f64().unwrap() > 0.0));
    // One epoch of ten batches: running estimates are still a third of their beginning, mean 0 and variance 1.
    assert!(figures["drifts"][0]["variance"].as_f64().unwrap() != 1.0);
    assert!(before == folder.read("run/checkpoint.safetensors"), "the run is as it was");
    folder.fail(1, "doctor run --html page.html", &["page.html", "exists already"]);
    folder.fail(1, "doctor nowhere", &["nowhere", "no such run"]);
    folder.fail(2, "doctor run --batches 0", &["--batches is 0"]);

    let Some(opened) = browse(&folder, "page.html") else { return };
    assert!(opened.errors.is_empty(), "{:?}", opened.errors);
    assert!(opened.detail > 50, "a picture, not a blank: {} different runs of bytes", opened.detail);
    assert!(opened.dom.contains("t = 1"), "a column a step");
}

#[test]
fn a_net_that_never_fires_is_found_out() {
    let folder = Folder::new();
    folder.succeed(&format!("train {SMALL} --threshold 50 --epochs 1 --out run"));
    let out = folder.succeed("doctor run --batches 2");
    assert!(out.contains("spike1: 100 % of its neurons never fire"), "{out}");
    assert!(out.contains("a lower --threshold"), "{out}");
    assert!(out.contains("only 0.0 % of its membranes lie inside"), "{out}");
}
