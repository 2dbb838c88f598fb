//! A run goes on as the same run, or not at all: settings, data and files of its folder against its state.

mod common;

use common::{Folder, SMALL};
use std::fs;
use std::path::Path;

/// Starts a run of three epochs and stops it after two.
fn stopped_run(folder: &Folder) {
    folder.succeed(&format!("train {SMALL} --epochs 3 --augment flip --stop-after 2 --out run"));
}

/// The text of a file below.
fn text(folder: &Folder, name: &str) -> String {
    String::from_utf8(folder.read(name)).unwrap()
}

/// Gives every setting of `config.toml` another value that makes sense, as (name, line).
fn other_values(config: &str) -> Vec<(String, String)> {
    let other = |name: &str, value: &str| match name {
        "net" => "\"lenet\"".to_string(),
        "surrogate" => "\"triangle\"".into(),
        "reset" => "\"soft\"".into(),
        "norm" => "\"tdbn\"".into(),
        "readout" => "\"sum\"".into(),
        "init" => "\"kaiming\"".into(),
        "loss" => "\"tet\"".into(),
        "optimizer" => "\"adamw\"".into(),
        "schedule" => "\"constant\"".into(),
        "memory" => "\"recompute\"".into(),
        "input-gradient" => "\"direct\"".into(),
        "delta-kernels" => "\"off\"".into(),
        "augment" => "\"none\"".into(),
        "precision" => "\"f16\"".into(),
        "twin" | "nesterov" => "true".into(),
        "timesteps" | "batch" | "epochs" | "limit" | "seed" => {
            (value.parse::<u64>().unwrap() + 1).to_string()
        }
        _ => format!("{:?}", 0.5 * value.parse::<f64>().unwrap() + 0.0625),
    };
    let lines = config.lines().map(|line| line.split_once(" = ").unwrap());
    let lines = lines.filter(|(name, _)| *name != "data");
    lines.map(|(name, value)| (name.to_string(), format!("{name} = {}", other(name, value)))).collect()
}

#[test]
fn a_setting_other_than_the_runs_is_told_by_name() {
    let folder = Folder::new();
    stopped_run(&folder);
    let (config, state) = (text(&folder, "run/config.toml"), folder.read("run/state.safetensors"));
    let others = other_values(&config);
    assert!(others.len() > 30, "{} settings", others.len());
    for (name, line) in others {
        let edited: Vec<&str> = config
            .lines()
            .map(|there| if there.starts_with(&format!("{name} = ")) { &line[..] } else { there })
            .collect();
        folder.write("run/config.toml", (edited.join("\n") + "\n").as_bytes());
        let output = folder.run("train --resume run");
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && errors.lines().count() == 1, "{line}: {errors}");
        assert!(errors.contains(&name), "{line}: {errors}");
    }
    // A line less, two settings at once.
    folder.write(
        "run/config.toml",
        config.replace("seed = 0\n", "").replace("decay = 0.5", "decay = 0.75").as_bytes(),
    );
    folder.fail(1, "train --resume run", &["config.toml", "decay is 0.75, the run began with 0.5"]);
    folder.write(
        "run/config.toml",
        config.replace("lr = 0.002", "lr = 0.0002").replace("seed = 0", "seed = 1").as_bytes(),
    );
    folder.fail(1, "train --resume run", &["lr is", "0.0002", "0.002", "seed is 1, the run began with 0"]);
    assert!(folder.read("run/state.safetensors") == state, "nothing is written");
    folder.write("run/config.toml", config.as_bytes());
    folder.succeed("train --resume run");
}

/// Writes CIFAR-10's six files, four images each, with one byte of the second training image set to `value`.
fn cifar(folder: &Folder, name: &str, byte: usize, value: u8) {
    const RECORD: usize = 3073;
    let files =
        ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"];
    for file in files {
        let mut bytes: Vec<u8> = (0..4 * RECORD).map(|i| (i * i % 251) as u8).collect();
        (0..4).for_each(|k| bytes[k * RECORD] = k as u8);
        if file == "data_batch_1" {
            bytes[RECORD + byte] = value;
        }
        folder.write(&format!("{name}/{file}.bin"), &bytes);
    }
}

#[test]
fn data_other_than_the_runs_are_told() {
    let folder = Folder::new();
    cifar(&folder, "first", 0, 1);
    cifar(&folder, "moved", 0, 1);
    cifar(&folder, "label", 0, 2);
    cifar(&folder, "pixel", 700, 1);
    folder.succeed(
        "train --data cifar10:first --net mlp --width 0.02 --batch 5 --epochs 2 --stop-after 1 --out run",
    );
    let resume = |data: &str| format!("train --resume run --data {data}");
    folder.fail(
        1,
        &resume("cifar10:label"),
        &["cifar10:label", "training labels have CRC-32", "the run began with"],
    );
    folder.fail(1, &resume("cifar10:pixel"), &["cifar10:pixel", "training contents have CRC-32"]);
    folder.fail(1, &resume("synthetic:shapes"), &["cifar10", "synthetic:shapes"]);
    // The same data in another place are the same data, and the place is remembered.
    fs::remove_dir_all(folder.path("first")).unwrap();
    folder.fail(1, "train --resume run", &["first"]);
    folder.succeed(&(resume("cifar10:moved") + " --stop-after 1.3"));
    assert!(text(&folder, "run/config.toml").contains("cifar10:moved"));
    let out = folder.succeed("train --resume run");
    assert!(out.contains("on cifar10:moved"), "{out}");
}

#[test]
fn metrics_that_were_changed_are_told_and_mended_from_the_state() {
    let folder = Folder::new();
    stopped_run(&folder);
    let metrics = text(&folder, "run/metrics.jsonl");
    let lines: Vec<&str> = metrics.lines().collect();
    let accuracy = lines[0].split("\"test_accuracy\":").nth(1).unwrap().split(',').next().unwrap();
    let cases = [
        (None, "holds 0 of the run's 2 epochs"),
        (Some(format!("{}\n", lines[0])), "holds 1 of the run's 2 epochs"),
        (Some(metrics.repeat(2)), "line 3 is of epoch 1, expected epoch 3"),
        (Some(format!("{}\n{}\n", lines[1], lines[0])), "line 1 is of epoch 2, expected epoch 1"),
        (Some(metrics.replacen(accuracy, "0.99", 1)), "line 1 is not what the run wrote"),
        (Some(metrics[..metrics.len() - 20].to_string()), "line 2: "),
        (Some("nonsense\n".to_string()), "line 1: "),
    ];
    for (changed, said) in cases {
        match changed {
            Some(changed) => drop(folder.write("run/metrics.jsonl", changed.as_bytes())),
            None => fs::remove_file(folder.path("run/metrics.jsonl")).unwrap(),
        }
        let info = folder.succeed("info run");
        assert!(info.contains(said) && info.contains("2 epochs, test accuracy"), "{said}: {info}");
        let out = folder.succeed("train --resume run --stop-after 2");
        assert!(out.contains("metrics.jsonl") && out.contains(said), "{said}: {out}");
        assert_eq!(text(&folder, "run/metrics.jsonl"), metrics, "{said}");
    }
    folder.succeed("train --resume run");
    let ended = text(&folder, "run/metrics.jsonl");
    assert!(ended.starts_with(&metrics) && ended.lines().count() == 3, "{ended}");
    let report = text(&folder, "run/report.html");
    assert!(report.contains("After 3 of 3 epochs"));
}

#[test]
fn best_weights_that_are_damaged_or_missing_are_told() {
    let folder = Folder::new();
    // Accuracy on the training images with a learning rate of almost 0: every epoch is as good as the first.
    folder.succeed(&format!("train {SMALL} --lr 1e-30 --epochs 4 --stop-after 2 --out run"));
    let best = folder.read("run/best.safetensors");
    let mut damaged = best.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    folder.write("run/best.safetensors", &damaged);
    let out = folder.succeed("train --resume run --stop-after 2");
    assert!(
        out.contains("best.safetensors") && out.contains("CRC-32") && out.contains("of epoch 1"),
        "{out}"
    );
    // The next epoch is the best again, and is what the file holds.
    folder.succeed("train --resume run --stop-after 3");
    let info = folder.succeed("info run/best.safetensors");
    assert!(info.contains("extra.epoch = 3"), "{info}");
    // The state of the best epoch itself can write it anew.
    let third = folder.read("run/best.safetensors");
    fs::remove_file(folder.path("run/best.safetensors")).unwrap();
    let out = folder.succeed("train --resume run --stop-after 3");
    assert!(out.contains("best.safetensors") && out.contains("written anew from the state"), "{out}");
    assert!(folder.read("run/best.safetensors") == third);
    // One of another epoch is not taken for it.
    folder.write("run/best.safetensors", &best);
    let out = folder.succeed("train --resume run --stop-after 3");
    assert!(out.contains("is of epoch 1, the best is 3"), "{out}");
}

/// The state of the middle of an epoch cannot give the weights of its beginning.
#[test]
fn best_weights_that_are_lost_within_an_epoch_stay_lost() {
    let folder = Folder::new();
    folder.succeed(&format!("train {SMALL} --epochs 3 --stop-after 1.5 --out run"));
    fs::remove_file(folder.path("run/best.safetensors")).unwrap();
    let out = folder.succeed("train --resume run --stop-after 1.6 --json figures.json");
    assert!(out.contains("the weights of epoch 1") && out.contains("are lost"), "{out}");
    assert!(!folder.list("run").contains(&"best.safetensors".to_string()));
    let figures = String::from_utf8(folder.read("figures.json")).unwrap();
    assert!(figures.contains("\"best_accuracy\": 0.0"), "nothing is the best yet: {figures}");
    folder.succeed("train --resume run");
    let info = folder.succeed("info run/best.safetensors");
    assert!(info.contains("extra.epoch = 2\n") || info.contains("extra.epoch = 3\n"), "{info}");
    // The last epoch's weights are in the state of a run that has ended.
    let last = folder.read("run/checkpoint.safetensors");
    fs::remove_file(folder.path("run/checkpoint.safetensors")).unwrap();
    folder.succeed("train --resume run");
    assert!(folder.read("run/checkpoint.safetensors") == last);
}

#[test]
fn a_start_that_failed_early_leaves_a_folder_that_can_be_used_again() {
    let folder = Folder::new();
    // The second batch explodes.
    let explode = "--lr 1e30 --optimizer sgd --twin --schedule constant --epochs 3 --out run";
    folder.fail(1, &format!("train {SMALL} {explode}"), &["epoch 1, ", "no checkpoint yet", "--out run"]);
    folder.succeed(&format!("train {SMALL} --epochs 1 --out run"));
    fs::remove_dir_all(folder.path("run")).unwrap();
    // As a process that is killed while it writes its first state leaves it.
    folder.write("run/.lock", b"");
    folder.write("run/config.toml", b"net = \"mlp\"\n");
    folder.write("run/state.safetensors.4711.part", b"half");
    folder.fail(
        1,
        "train --resume run",
        &["state.safetensors", "before its first checkpoint", "train --out run"],
    );
    folder.succeed(&format!("train {SMALL} --epochs 1 --out run"));
    assert!(!folder.list("run").contains(&"state.safetensors.4711.part".to_string()));
    // Where the settings cannot be written, the start takes its lock back: here a folder has their name.
    folder.write("odd/.lock", b"");
    fs::create_dir(folder.path("odd/config.toml")).unwrap();
    folder.fail(1, &format!("train {SMALL} --epochs 1 --out odd"), &["odd/config.toml"]);
    assert_eq!(folder.list("odd"), ["config.toml"]);
    // A user's own settings are no leftovers.
    folder.write("mine/config.toml", b"net = \"mlp\"\n");
    folder.fail(1, &format!("train {SMALL} --epochs 1 --out mine"), &["mine", "not empty"]);
    assert_eq!(folder.read("mine/config.toml"), b"net = \"mlp\"\n");
}

/// Copies the files of a folder into another, new one.
fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Flips bits of every file of a run folder, one at a time, spread over the file with a few in its first bytes: each
/// is told, or the run that is taken up is the same to the last bit. `SPIKEGRAD_FLIPS` sets how many a file.
#[test]
fn bits_flipped_in_any_file_of_a_run_are_told_or_harmless() {
    let flips: usize = std::env::var("SPIKEGRAD_FLIPS").map_or(10, |text| text.parse().expect("a number"));
    let folder = Folder::new();
    folder
        .succeed("train --net mlp --width 0.02 --limit 100 --batch 20 --epochs 3 --stop-after 2.5 --out run");
    let (whole, flipped) = (folder.path("run"), folder.path("flipped"));
    copy(&whole, &flipped);
    let (want, nothing) = spikegrad_lab::run::taken_up(&flipped).unwrap();
    assert_eq!(nothing, Vec::<String>::new());
    let (mut told, mut harmless) = (0, 0);
    for name in folder.list("run") {
        let good = folder.read(&format!("run/{name}"));
        for k in 0..flips.min(8 * good.len()) {
            let bits = 8 * good.len();
            let bit = if k % 4 == 0 { k * 7 % bits } else { (k * bits / flips + 13 * k) % bits };
            copy(&whole, &flipped);
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(flipped.join(&name), &bad).unwrap();
            match spikegrad_lab::run::taken_up(&flipped) {
                Err(why) => {
                    let why = why.to_string();
                    // Flipped data or cache settings name what is no place, in whatever words fit it.
                    let is_place = why.contains("data set") || why.contains("events");
                    assert!(
                        why.contains("flipped") || is_place,
                        "{name}, bit {bit}: the line names no file: {why}"
                    );
                    told += 1;
                }
                Ok((_, lines)) if !lines.is_empty() => {
                    assert!(lines.iter().all(|line| line.contains(&name)), "{name}, bit {bit}: {lines:?}");
                    told += 1;
                }
                Ok((state, _)) => {
                    assert!(state == want, "{name}, bit {bit}: another run goes on");
                    harmless += 1;
                }
            }
        }
    }
    println!("{told} flips told, {harmless} harmless");
    assert!(told > 0 && harmless > 0, "{told} told, {harmless} harmless");
}
