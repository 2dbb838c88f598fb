//! Training end to end: what a run leaves behind, and that stopping changes nothing.

mod common;

use common::{Folder, SMALL, assert_numbers};

#[test]
fn one_epoch_writes_the_whole_run_folder() {
    let folder = Folder::new();
    let out = folder.succeed("train --net lenet --width 0.25 --limit 200 --epochs 1");
    assert_eq!(out.lines().filter(|line| line.starts_with("epoch ")).count(), 1, "{out}");
    let run = "runs/lenet-shapes-1";
    let files = [
        ".lock",
        "best.safetensors",
        "checkpoint.safetensors",
        "config.toml",
        "curves.svg",
        "metrics.jsonl",
        "report.html",
        "state.safetensors",
    ];
    assert_eq!(folder.list(run), files);
    let line: serde_json::Value =
        serde_json::from_slice(&folder.read(&format!("{run}/metrics.jsonl"))).unwrap();
    let keys = "epoch train_loss train_accuracy test_accuracy lr images_per_second seconds mean_rate";
    assert_numbers(&line, keys);
    assert!(line["rates"].as_object().is_some_and(|rates| !rates.is_empty()), "{line}");
    let report = String::from_utf8(folder.read(&format!("{run}/report.html"))).unwrap();
    assert!(report.contains("<svg") && report.contains("surrogate") && report.ends_with("</html>\n"));
    folder.succeed("train --net lenet --width 0.25 --limit 50 --epochs 1");
    assert_eq!(folder.list("runs"), ["lenet-shapes-1", "lenet-shapes-2"]);
}

/// Stops a run at each of `stops` and checks that its end has the same bytes as that of a run without a stop.
fn resumes_exactly(stops: &[&str]) {
    let folder = Folder::new();
    folder.succeed(&format!("train {SMALL} --epochs 3 --augment flip --out whole"));
    let mut command = format!("train {SMALL} --epochs 3 --augment flip --out parts");
    for stop in stops {
        let out = folder.succeed(&format!("{command} --stop-after {stop}"));
        assert!(out.contains("train --resume parts"), "{out}");
        command = "train --resume parts".to_string();
    }
    folder.succeed(&command);
    for file in ["checkpoint.safetensors", "best.safetensors", "config.toml"] {
        let (whole, parts) = (folder.read(&format!("whole/{file}")), folder.read(&format!("parts/{file}")));
        assert!(whole == parts, "{file} differs after stops at {stops:?}");
    }
    let metrics = |run: &str| -> Vec<serde_json::Value> {
        let text = String::from_utf8(folder.read(&format!("{run}/metrics.jsonl"))).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (whole, parts) = (metrics("whole"), metrics("parts"));
    assert_eq!((whole.len(), parts.len()), (3, 3));
    for (a, b) in whole.iter().zip(&parts) {
        for key in ["epoch", "train_loss", "train_accuracy", "test_accuracy", "lr", "rates"] {
            assert_eq!(a[key], b[key], "{key}");
        }
    }
}

#[test]
fn resuming_after_an_epoch_gives_the_same_bytes() {
    resumes_exactly(&["1"]);
}

#[test]
fn resuming_within_epochs_gives_the_same_bytes() {
    resumes_exactly(&["0.3", "1.5", "2"]);
}

#[test]
fn threads_do_not_change_the_bits() {
    let folder = Folder::new();
    folder.succeed(&format!("train {SMALL} --epochs 1 --threads 1 --out one"));
    folder.succeed(&format!("train {SMALL} --epochs 1 --threads 3 --out three"));
    assert!(folder.read("one/checkpoint.safetensors") == folder.read("three/checkpoint.safetensors"));
}

#[test]
fn the_written_configuration_repeats_the_run() {
    let folder = Folder::new();
    folder.succeed(&format!(
        "train {SMALL} --epochs 1 --surrogate arctan --alpha 3 --weight-decay 1e-4 --out a"
    ));
    folder.succeed("train --config a/config.toml --out b");
    assert!(folder.read("a/config.toml") == folder.read("b/config.toml"));
    assert!(folder.read("a/checkpoint.safetensors") == folder.read("b/checkpoint.safetensors"));
}

#[test]
fn scoring_a_run_repeats_its_accuracy() {
    let folder = Folder::new();
    folder.succeed(&format!("train {SMALL} --epochs 1 --out a"));
    let score: serde_json::Value = serde_json::from_str(&folder.succeed("eval a --json -")).unwrap();
    let line: serde_json::Value = serde_json::from_slice(&folder.read("a/metrics.jsonl")).unwrap();
    assert_eq!(score["accuracy"], line["test_accuracy"]);
    assert!(folder.succeed("eval a/best.safetensors").contains("checkerboard"));
    assert!(folder.succeed("info a").contains("net = \"mlp\""));
    assert!(folder.succeed("info a/best.safetensors").contains("fc1.weight"));
}

#[test]
fn a_checkpoint_alone_can_be_scored() {
    let folder = Folder::new();
    folder.succeed(&format!("train {SMALL} --epochs 1 --surrogate arctan --alpha 3 --seed 5 --out a"));
    let figures = |command: &str| -> serde_json::Value {
        serde_json::from_str(&folder.succeed(&format!("{command} --json -"))).unwrap()
    };
    let want = figures("eval a");
    folder.write("elsewhere/weights.safetensors", &folder.read("a/best.safetensors"));
    let alone = figures("eval elsewhere/weights.safetensors");
    assert_eq!((&alone["accuracy"], &alone["loss"]), (&want["accuracy"], &want["loss"]));
    // The checkpoint's own settings, not those of another run beside it.
    folder.write("elsewhere/config.toml", b"net = \"lenet\"\n");
    assert_eq!(figures("eval elsewhere/weights.safetensors"), alone);
    // Unless --config says so.
    let toml = String::from_utf8(folder.read("a/config.toml")).unwrap();
    folder.write("other.toml", toml.replace("decay = 0.5", "decay = 0.0").as_bytes());
    let other = figures("eval elsewhere/weights.safetensors --config other.toml");
    assert_ne!(other["loss"], want["loss"], "--config is followed");
    let wrong = "eval elsewhere/weights.safetensors --config elsewhere/config.toml";
    folder.fail(1, wrong, &["weights.safetensors", "conv1.weight"]);
    let info = folder.succeed("info elsewhere/weights.safetensors");
    let lines: Vec<String> = toml.lines().map(|line| format!("    {line}")).collect();
    assert!(info.contains(&format!("extra.config:\n{}\n", lines.join("\n"))), "{info}");
}
