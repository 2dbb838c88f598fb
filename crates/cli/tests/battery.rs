//! Odd files and odd sizes, each through every command that takes them.

mod common;

use common::Folder;
use std::io::Write;
use std::process::{Command, Stdio};

/// A run that trains in a moment.
const TRAIN: &str = "train --net mlp --width 0.1 --limit 40 --batch 20 --epochs 2 --threads 1";

/// Puts a symbolic link or a named pipe where a file is.
#[cfg(unix)]
fn replace(folder: &Folder, name: &str, what: &str) {
    let path = folder.path(name);
    let _ = std::fs::remove_file(&path);
    if what == "pipe" {
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    } else {
        std::os::unix::fs::symlink(what, &path).unwrap();
    }
}

#[test]
#[cfg(unix)]
fn no_command_reads_pipes_and_devices_as_small_files() {
    let folder = Folder::new();
    folder.succeed(&format!("{TRAIN} --stop-after 1 --out run"));
    folder.write("good.json", br#"{"steps": [1.0, 1.0, 1.0]}"#);
    for what in ["pipe", "/dev/zero"] {
        replace(&folder, "odd", what);
        for command in [
            "train --config odd --out other",
            "plan --config odd",
            "gradcheck --config odd",
            "ablate --config odd --out other",
            "eval run --config odd",
            "energy run --constants odd",
            "bench step --config odd",
            "bench compare odd odd",
            "info odd",
            "parity odd",
            "eval odd",
        ] {
            folder.fail(1, command, &["odd: "]);
        }
        for (name, words) in [
            ("metrics.jsonl", "is no regular file"),
            ("best.safetensors", "is no regular file"),
            ("config.toml", "run"),
        ] {
            let kept = folder.read(&format!("run/{name}"));
            replace(&folder, &format!("run/{name}"), what);
            folder.fail(1, "train --resume run", &[name, words]);
            std::fs::remove_file(folder.path(&format!("run/{name}"))).unwrap();
            folder.write(&format!("run/{name}"), &kept);
        }
    }
    folder.succeed("train --resume run");
}

#[test]
#[cfg(target_os = "linux")]
fn settings_come_through_an_open_pipe() {
    let folder = Folder::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_spikegrad"));
    command.args(["plan", "--config", "/dev/stdin", "--json", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"net = \"mlp\"\nbatch = 7\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let piped: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let given: serde_json::Value =
        serde_json::from_str(&folder.succeed("plan --net mlp --batch 7 --json -")).unwrap();
    assert_eq!(piped, given);
    let other: serde_json::Value =
        serde_json::from_str(&folder.succeed("plan --net mlp --batch 8 --json -")).unwrap();
    assert_ne!(piped, other);
}

#[test]
fn sizes_of_benchmarks_and_grids_have_limits() {
    let folder = Folder::new();
    let (most, wraps) = (u64::MAX, 1u64 << 61);
    let net = "--net mlp --width 0.1 --data synthetic:shapes";
    for batch in [most, wraps, 1 << 32, 1_000_000_001] {
        folder.fail(2, &format!("bench layers {net} --batch {batch}"), &["batch is", "at most 1000000000"]);
    }
    folder.fail(2, &format!("bench layers {net} --batch 1000000000"), &["memory", "can be had"]);
    for command in ["bench step --steps", "bench layers --repeat", "bench peak --repeat"] {
        for count in [most, 1_000_001] {
            folder.fail(2, &format!("{command} {count}"), &[&count.to_string(), "at most 1000000"]);
        }
    }
    let trained = format!("bench step {net} --trained {most}");
    folder.fail(2, &trained, &["--trained is", "at most 1000000"]);
    for seeds in [most, 1 << 32, 5_001] {
        let cells = 2 * u128::from(seeds);
        let words = [&format!("{cells} cells")[..], "at most 10000"];
        folder.fail(2, &format!("ablate --grid delta=0,0.1 --seeds {seeds} --out grid"), &words);
    }
    assert!(!folder.path("grid").exists());
    folder.succeed(&format!("{TRAIN} --out run"));
    folder.fail(2, &format!("robustness run --noise-seeds {most}"), &["--noise-seeds", "at most 1000000"]);
}

#[test]
fn no_output_is_given_twice() {
    let folder = Folder::new();
    folder.succeed(&format!("{TRAIN} --out run"));
    std::fs::create_dir(folder.path("there")).unwrap();
    folder.write("dvs.bin", &[10, 20, 0, 0, 1, 11, 20, 128, 0, 2]);
    let before = folder.list(".");
    for (command, path) in [
        (format!("{TRAIN} --out x --json ./x"), "./x"),
        (format!("ablate --grid delta=0 --seeds 1 --out x --json {}", folder.path("x").display()), "x"),
        ("energy run --out x --json x".into(), "x"),
        ("energy run --out there --json there/energy.json".into(), "there/energy.json"),
        ("robustness run --out there/ --json ./there/noise.csv".into(), "./there/noise.csv"),
        ("doctor run --html x --json there/../x".into(), "there/../x"),
        ("info dvs.bin --render x.html --json x.html".into(), "x.html"),
        ("bench layers --sweep x --json x".into(), "x"),
        ("bench layers --roofline x --json x".into(), "x"),
    ] {
        folder.fail(2, &command, &["--json", path, "another output"]);
        assert_eq!(folder.list("."), before, "{command}");
    }
    assert!(folder.list("there").is_empty());
    folder.succeed("energy run --out there --json there/other.json");
}

#[test]
fn the_best_weights_of_another_run_are_not_taken() {
    let folder = Folder::new();
    // With a learning rate of almost 0 the first epoch of each run is its best.
    let train = format!("{TRAIN} --lr 1e-30");
    let idle = format!("{train} --out run");
    folder.succeed(&idle);
    let own = folder.read("run/best.safetensors");
    for (name, flags, words) in [
        ("seed", "--seed 9", "is of another run: seed is 9, the run began with 0"),
        ("threshold", "--threshold 0.25", "is of another run: threshold is 0.25, the run began with 0.5"),
    ] {
        folder.succeed(&format!("{train} {flags} --out {name}"));
        folder.write("run/best.safetensors", &folder.read(&format!("{name}/best.safetensors")));
        let out = folder.succeed("train --resume run");
        assert!(out.contains("best.safetensors") && out.contains(words), "{out}");
        assert!(out.contains("the weights of epoch 1 "), "{out}");
        std::fs::remove_dir_all(folder.path("run")).unwrap();
        folder.succeed(&idle);
        assert!(folder.read("run/best.safetensors") == own);
    }
    // The same settings, and data of one other label.
    let (mut images, labels) =
        (vec![0, 0, 8, 3, 0, 0, 0, 40, 0, 0, 0, 28, 0, 0, 0, 28], [0, 0, 8, 1, 0, 0, 0, 40]);
    images.extend((0..40u32 * 784).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8));
    for (set, last) in [("a", 0), ("b", 1)] {
        let labels: Vec<u8> = labels.into_iter().chain((0..39).map(|i| i % 10)).chain([last]).collect();
        for part in ["train", "t10k"] {
            folder.write(&format!("{set}/{part}-images-idx3-ubyte"), &images);
            folder.write(&format!("{set}/{part}-labels-idx1-ubyte"), &labels);
        }
        folder.succeed(&format!("{train} --data mnist:{set} --out on-{set}"));
    }
    folder.write("on-a/best.safetensors", &folder.read("on-b/best.safetensors"));
    let out = folder.succeed("train --resume on-a");
    assert!(out.contains("best.safetensors: is of a run on other data"), "{out}");
}

#[test]
fn results_of_cells_are_their_own() {
    let folder = Folder::new();
    let grid = "ablate --grid delta=0,0.1 --seeds 1 --net mlp --width 0.1 --limit 40 --batch 20 --epochs 1 --out grid";
    folder.succeed(grid);
    let table = folder.read("grid/cells.csv");
    let (first, second) =
        ("grid/cells/delta=0_seed=1/result.json", "grid/cells/delta=0.1_seed=1/result.json");
    let good = String::from_utf8(folder.read(first)).unwrap();
    let place = good.find("\"accuracy\": 0.").unwrap() + "\"accuracy\": 0.".len();
    let mut changed = good.clone().into_bytes();
    changed[place] = if changed[place] == b'9' { b'8' } else { b'9' };
    folder.write(first, &changed);
    folder.fail(1, grid, &[first, "CRC-32", "delete the file"]);
    folder.write(first, &folder.read(second));
    folder.fail(1, grid, &[first, "is the result of cell delta=0.1_seed=1, not of delta=0_seed=1"]);
    folder.write(first, &good.as_bytes()[..good.len() / 2]);
    folder.fail(1, grid, &[first, "EOF", "delete the file"]);
    std::fs::remove_file(folder.path(first)).unwrap();
    folder.succeed(grid);
    assert_eq!(String::from_utf8(folder.read(first)).unwrap(), good);
    assert!(folder.read("grid/cells.csv") == table);
}
