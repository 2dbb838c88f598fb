//! Bad inputs: one clear line, the right status, nothing overwritten.

mod common;

use common::{Folder, SMALL};
use spikegrad::models::safetensors::{File, View, write};

/// Bytes of a CIFAR-10 record: label and 3×32×32 pixels.
const RECORD: usize = 3073;

/// Writes the six files of CIFAR-10 with a few records each.
fn cifar(folder: &Folder) {
    for name in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"]
    {
        folder.write(&format!("cifar/{name}.bin"), &vec![1; 4 * RECORD]);
    }
}

/// Trains on the CIFAR-10 files, which must fail; no run folder may be left.
#[track_caller]
fn refuses_cifar(folder: &Folder, words: &[&str]) {
    folder.fail(1, "train --data cifar10:cifar --net mlp --batch 4 --epochs 1", words);
    assert!(folder.list("runs").is_empty());
}

#[test]
fn damaged_cifar_files() {
    let folder = Folder::new();
    refuses_cifar(&folder, &["cifar"]);
    cifar(&folder);
    folder.write("cifar/data_batch_3.bin", &vec![1; 4 * RECORD - 7]);
    refuses_cifar(&folder, &["data_batch_3.bin", "3073"]);
    folder.write("cifar/data_batch_3.bin", &vec![1; 3074 * 4]);
    refuses_cifar(&folder, &["data_batch_3.bin", "3073"]);
    let mut label = vec![1; 4 * RECORD];
    label[2 * RECORD] = 10;
    folder.write("cifar/data_batch_3.bin", &label);
    refuses_cifar(&folder, &["data_batch_3.bin", "label 10", "6146"]);
    folder.write("cifar/data_batch_3.bin", &[]);
    refuses_cifar(&folder, &["data_batch_3.bin"]);
    std::fs::remove_file(folder.path("cifar/data_batch_3.bin")).unwrap();
    refuses_cifar(&folder, &["data_batch_3.bin"]);
    std::fs::create_dir(folder.path("empty")).unwrap();
    folder.fail(1, "train --data cifar10:empty", &["empty", "data_batch_1.bin"]);
    folder.fail(1, "train --data mnist:empty", &["empty"]);
}

#[test]
fn flags_that_make_no_sense() {
    let folder = Folder::new();
    let cases = [
        ("--timesteps 0", "timesteps is 0"),
        ("--width 0.0001", "width 0.0001"),
        ("--width -1", "--width is -1"),
        ("--lr -0.1", "--lr is -0.1"),
        ("--lr nan", "--lr is NaN"),
        ("--decay 1.5", "from 0 to 1"),
        ("--batch 0", "--batch is 0"),
        ("--batch 300 --limit 200", "200 training images"),
        ("--holdout 6000", "--holdout is 6000"),
        ("--net vgg", "lenet"),
        ("--surrogate box", "rectangle"),
        ("--surrogate arctan --window 1", "--alpha"),
        ("--reset never", "soft-detached"),
        ("--norm ln", "tdbn"),
        ("--loss huber", "tet"),
        ("--optimizer lion", "adamw"),
        ("--schedule linear", "cosine"),
        ("--init zeros", "kaiming"),
        ("--augment mixup", "cutout"),
        ("--precision f16", "f32"),
        ("--data imagenet:x", "synthetic:shapes"),
        ("--level mmx", "mmx"),
        ("--threads 0", "--threads is 0"),
        ("--stop-after 0", "--stop-after is 0"),
        ("--no-such-flag", "--no-such-flag"),
        ("--batch many", "many"),
        ("--resume a --out b", "--resume"),
    ];
    for (flags, word) in cases {
        folder.fail(2, &format!("train {flags}"), &[word]);
    }
    folder.fail(2, "eval", &["RUN"]);
    assert!(folder.list("runs").is_empty());
}

#[test]
fn configuration_files() {
    let folder = Folder::new();
    folder.write("run.toml", b"net = \"mlp\"\nlearning-rate = 1.0\n");
    folder.fail(1, "train --config run.toml", &["run.toml", "line 2", "learning-rate"]);
    folder.write("run.toml", b"net = \"mlp\"\nbatch = -3\n");
    folder.fail(1, "train --config run.toml", &["run.toml", "line 2"]);
    folder.write("run.toml", b"net = ");
    folder.fail(1, "train --config run.toml", &["run.toml"]);
    folder.fail(1, "train --config none.toml", &["none.toml"]);
    folder.write("run.toml", b"timesteps = 0\n");
    folder.fail(2, "train --config run.toml", &["timesteps is 0"]);
}

#[test]
fn folders_that_hold_something_are_left_alone() {
    let folder = Folder::new();
    folder.write("used/precious.txt", b"mine");
    folder.fail(1, &format!("train {SMALL} --epochs 1 --out used"), &["used", "not empty"]);
    assert_eq!(folder.list("used"), ["precious.txt"]);
    folder.fail(1, &format!("train {SMALL} --epochs 1 --out used/precious.txt"), &["precious.txt"]);
    folder.write("figures.json", b"mine");
    folder.fail(1, "plan --json figures.json", &["figures.json", "exists"]);
    assert_eq!(folder.read("figures.json"), b"mine");
    folder.fail(1, "train --resume used", &["config.toml"]);
    folder.fail(1, "train --resume nowhere", &["nowhere"]);
    folder.fail(1, "eval nowhere", &["nowhere"]);
    folder.fail(1, "info nowhere.safetensors", &["nowhere.safetensors"]);
    folder.fail(1, "parity nowhere.safetensors", &["nowhere.safetensors"]);
}

/// Where the data of a safetensors file begin.
fn data_start(file: &[u8]) -> usize {
    8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize
}

#[test]
fn damaged_checkpoints() {
    let folder = Folder::new();
    folder.succeed(&format!("train {SMALL} --epochs 2 --stop-after 1 --out run"));
    let good = folder.read("run/checkpoint.safetensors");
    let start = data_start(&good);

    let mut lying = good.clone();
    lying[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    let rewritten = |rename: fn(&str) -> String, change: fn(&mut [f32])| {
        let file = File::read(folder.path("run/checkpoint.safetensors")).unwrap();
        let tensors = file.tensors.iter().map(|t| {
            let mut data = file.f32(&t.name).unwrap();
            change(&mut data);
            (rename(&t.name), t.shape.clone(), data)
        });
        let tensors: Vec<_> = tensors.collect();
        let views: Vec<View> = tensors.iter().map(|(name, shape, data)| View { name, shape, data }).collect();
        write(&folder.path("rewritten"), &file.metadata, &views).unwrap();
        folder.read("rewritten")
    };
    let nan = rewritten(str::to_string, |data| data[0] = f32::NAN);
    let renamed = rewritten(|name| name.replace("fc1.weight", "fc9.weight"), |_| ());
    let mut flipped = good.clone();
    flipped[start + 9] ^= 0x10;
    let cases = [
        ("a length that lies", lying, "header"),
        ("NaN", nan, "NaN"),
        ("a flipped bit", flipped, "CRC-32"),
        ("another name", renamed, "fc1.weight"),
        ("a cut end", good[..good.len() - 5].to_vec(), "bytes"),
        ("a cut header", good[..start / 2].to_vec(), "header"),
        ("nothing", Vec::new(), "bytes"),
    ];
    for (what, bytes, word) in cases {
        folder.write("run/checkpoint.safetensors", &bytes);
        let output = folder.run("eval run");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{what}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{what}: {errors}");
        assert!(errors.contains("checkpoint.safetensors"), "{what}: {errors}");
        assert!(errors.contains(word), "{what}: {word:?} is missing in {errors}");
    }
    folder.write("run/checkpoint.safetensors", &good);
    folder.write("run/wide.toml", b"net = \"mlp\"\nwidth = 0.2\n");
    folder.fail(1, "eval run --config run/wide.toml", &["checkpoint.safetensors", "shape"]);
    folder.write("run/state.safetensors", &good);
    folder.fail(1, "train --resume run", &["state.safetensors"]);
    assert_eq!(folder.read("run/checkpoint.safetensors"), good);
    folder.fail(2, "train --resume run --lr 1", &["--lr"]);
}

/// Writes a checkpoint again with other settings in its metadata, or with none.
fn with_settings(folder: &Folder, from: &str, to: &str, settings: Option<&str>) {
    let file = File::read(folder.path(from)).unwrap();
    let data: Vec<_> = file.tensors.iter().map(|t| file.f32(&t.name).unwrap()).collect();
    let both = file.tensors.iter().zip(&data);
    let views: Vec<View> = both.map(|(t, data)| View { name: &t.name, shape: &t.shape, data }).collect();
    let mut metadata = file.metadata.clone();
    assert!(metadata.remove("extra.config").is_some(), "{from} holds its settings");
    metadata.extend(settings.map(|text| ("extra.config".to_string(), text.to_string())));
    write(&folder.path(to), &metadata, &views).unwrap();
}

#[test]
fn checkpoints_without_valid_settings_of_their_own() {
    let folder = Folder::new();
    folder.succeed(&format!("train {SMALL} --epochs 1 --out run"));
    std::fs::create_dir(folder.path("old")).unwrap();
    with_settings(&folder, "run/checkpoint.safetensors", "old/old.safetensors", None);
    folder.fail(1, "eval old/old.safetensors", &["old.safetensors", "holds no settings", "--config"]);
    let want = folder.succeed("eval run").replace("run/checkpoint", "old/old");
    assert_eq!(folder.succeed("eval old/old.safetensors --config run/config.toml"), want);
    // In a run folder the folder's settings serve.
    folder.write("old/config.toml", &folder.read("run/config.toml"));
    assert_eq!(folder.succeed("eval old/old.safetensors"), want);
    let broken = "net = \"mlp\"\nlearning-rate = 1.0\n";
    with_settings(&folder, "run/checkpoint.safetensors", "old/broken.safetensors", Some(broken));
    folder.fail(1, "eval old/broken.safetensors", &["broken.safetensors", "line 2", "learning-rate"]);
    folder.succeed("info old/broken.safetensors");
}

#[test]
fn losses_that_explode_name_the_step_and_the_layer() {
    let folder = Folder::new();
    let flags = "--lr 1e30 --optimizer sgd --twin --schedule constant --epochs 3 --out run";
    folder.fail(1, &format!("train {SMALL} {flags}"), &["epoch", "step", "not finite", "checkpoint"]);
}

#[cfg(unix)]
#[test]
fn environments_that_make_no_sense() {
    use std::process::{Command, Stdio};
    let folder = Folder::new();
    let command = |arguments: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spikegrad"));
        command.current_dir(folder.path("")).args(arguments.split_whitespace());
        command
    };
    for level in ["mmx", "", "AVX2"] {
        let output = command("plan").env("SPIKEGRAD_LEVEL", level).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), errors.lines().count()), (Some(2), 1), "{level:?}: {errors}");
        assert!(errors.contains("SPIKEGRAD_LEVEL") && errors.contains("baseline"), "{level:?}: {errors}");
    }
    let plain = command("plan").output().unwrap();
    let bare = command("plan").env_clear().env("LC_ALL", "xx_YY").stdin(Stdio::null()).output().unwrap();
    assert!(bare.status.success() && bare.stdout == plain.stdout);
    // A reader that has gone away before the first line.
    let mut child = command(&format!("train {SMALL} --epochs 2 --out run"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Adds every Rust file of a folder and the folders in it.
fn add_sources(folder: &std::path::Path, sources: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            add_sources(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            *sources += &std::fs::read_to_string(path).unwrap();
        }
    }
}

/// docs/reliability.md names a test in every row, and each is there.
#[test]
fn every_row_of_the_table_is_a_test() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let table = std::fs::read_to_string(root.join("docs/reliability.md")).unwrap();
    let mut sources = String::new();
    add_sources(&root.join("crates"), &mut sources);
    let is_row = |line: &&str| line.starts_with("| ") && !line.ends_with("| test |");
    let rows: Vec<&str> = table.lines().filter(is_row).collect();
    assert!(rows.len() > 20, "{} rows", rows.len());
    for row in rows {
        let tests = row.trim_end_matches('|').rsplit('|').next().unwrap().trim();
        for test in tests.split(", ") {
            let name = test.trim_matches('`');
            assert!(sources.contains(&format!("fn {name}(")), "{name} is no test: {row}");
        }
    }
}
