//! The paper's experiments in small: grids that can be cut short, noise, energy.

mod common;

use common::{Folder, SMALL};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A grid of four points and two seeds whose cells train within a second.
const GRID: &str = "--epochs 2 --grid delta=0,-0.1 --grid reset=hard,soft --seeds 2 --noise salt-and-pepper \
                    --noise-levels 0.05,0.5 --noise-seeds 2";
/// The files that an ablation amounts to.
const TABLES: [&str; 7] =
    ["cells.csv", "table.csv", "table.md", "ablation.svg", "noise.csv", "noise.md", "noise.svg"];

/// Starts the ablation, and ends it with a signal as soon as it prints a line with `word`.
#[cfg(unix)]
fn cut_short(folder: &Folder, out: &str, word: &str, signal: &str) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_spikegrad"))
        .current_dir(folder.path(""))
        .args(format!("ablate {SMALL} {GRID} --out {out}").split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(word)), "{word} is printed");
    Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    lines.map_while(Result::ok).for_each(drop);
    child.wait().unwrap();
}

#[cfg(unix)]
#[test]
fn a_grid_cut_short_ends_with_the_same_tables() {
    let folder = Folder::new();
    let whole = folder.succeed(&format!("ablate {SMALL} {GRID} --out whole"));
    assert_eq!(whole.lines().filter(|line| line.starts_with("cell ")).count(), 8, "{whole}");
    for (word, signal) in [("cell 1 of 8", "-KILL"), ("epoch 1/2", "-KILL"), ("cell 4 of 8", "-INT")] {
        cut_short(&folder, "parts", word, signal);
    }
    let rest = folder.succeed(&format!("ablate {SMALL} {GRID} --out parts"));
    assert!(rest.lines().filter(|line| line.starts_with("cell ")).count() <= 8, "{rest}");
    for file in TABLES {
        let (whole, parts) = (folder.read(&format!("whole/{file}")), folder.read(&format!("parts/{file}")));
        assert!(whole == parts, "{file} differs");
    }
    let again = folder.succeed(&format!("ablate {SMALL} {GRID} --out parts"));
    assert!(!again.contains("cell "), "finished cells are not run again: {again}");
    check_noise_table(&folder);
}

/// The last point's row is what its two seeds reached, and by how much more than the first point's, by hand.
fn check_noise_table(folder: &Folder) {
    let text = String::from_utf8(folder.read("whole/noise.csv")).unwrap();
    assert_eq!(text.lines().count(), 1 + 4 * 2 * 2 * 2, "{text}");
    let mean = |point: &str, seed: u32| {
        let start = format!("{point},{seed},salt-and-pepper,pixel,sigma,0.5,");
        let scores: Vec<f64> = text
            .lines()
            .filter_map(|line| line.strip_prefix(&start)?.split(',').nth(1)?.parse().ok())
            .collect();
        assert_eq!(scores.len(), 2, "{start}");
        50.0 * (scores[0] + scores[1])
    };
    let of = |point: &str| (mean(point, 1) + mean(point, 2)) / 2.0;
    let (first, last) = (of("delta=0 reset=hard"), of("delta=-0.1 reset=soft"));
    let table = String::from_utf8(folder.read("whole/noise.md")).unwrap();
    let row = table.lines().find(|line| line.contains("delta=-0.1 reset=soft")).unwrap();
    for told in [format!("| {last:.2} ± "), format!("| {:+.2} |", last - first)] {
        assert!(row.contains(&told), "{told} in {row}");
    }
    // What is lost is the clean accuracy less that.
    let cells = String::from_utf8(folder.read("whole/cells.csv")).unwrap();
    let clean = |point: &str| -> f64 {
        let of = |seed: u32| -> f64 {
            let start = format!("{point},{seed},");
            let line = cells.lines().find_map(|line| line.strip_prefix(&start)).unwrap();
            line.split(',').next().unwrap().parse().unwrap()
        };
        50.0 * (of(1) + of(2))
    };
    let (lost, before) = (clean("delta=-0.1 reset=soft") - last, clean("delta=0 reset=hard") - first);
    let columns: Vec<&str> = row.split(" | ").collect();
    assert!(columns[6].starts_with(&format!("{lost:.2} ± ")), "{lost} in {row}");
    assert_eq!(columns[7], format!("{:+.2}", lost - before), "{row}");
}

#[test]
fn seeds_pair_the_cells_of_a_grid() {
    let folder = Folder::new();
    folder.succeed(&format!("ablate {SMALL} --epochs 1 --grid delta=0,0.5 --seeds 2 --out a --json a.json"));
    let table: Value = serde_json::from_slice(&folder.read("a.json")).unwrap();
    let points = table["points"].as_array().unwrap();
    let accuracy = |point: usize, seed: usize| points[point]["cells"][seed]["accuracy"].as_f64().unwrap();
    let mean = ((accuracy(1, 0) - accuracy(0, 0)) + (accuracy(1, 1) - accuracy(0, 1))) / 2.0;
    let told = points[1]["difference"]["mean"].as_f64().unwrap();
    assert!((told - mean).abs() < 1e-12, "told {told}, by hand {mean}");
    assert!(points[0]["difference"].is_null());
    // SGS leaves every gradient alone at δ = 0, and scales by up to δ·|u − o| elsewhere.
    let factor = |point: usize| points[point]["cells"][0]["census"]["factor"].clone();
    let counts: Vec<u64> = serde_json::from_value(factor(0)["bins"].clone()).unwrap();
    assert!(counts[10] > 0 && counts.iter().sum::<u64>() == counts[10], "{counts:?}");
    assert_eq!(factor(0)["largest"].as_f64(), Some(0.0));
    // The window of the default rectangle is as wide as the threshold is high: |u − o| < 0.5.
    let largest = factor(1)["largest"].as_f64().unwrap();
    assert!(largest > 0.1 && largest <= 0.25, "{largest}");
    assert_eq!(factor(1)["outside"], 0);
    // A cell is a run like any other.
    folder.succeed(&format!("train {SMALL} --epochs 1 --delta 0.5 --seed 2 --out b"));
    let cell = "a/cells/delta=0.5_seed=2/checkpoint.safetensors";
    assert!(folder.read(cell) == folder.read("b/checkpoint.safetensors"));
    // With other settings, the finished cells are in the way: nothing is overwritten.
    let other = format!("ablate {SMALL} --epochs 2 --grid delta=0,0.5 --seeds 2 --out a");
    folder.fail(1, &other, &["config.toml", "other settings"]);
}

#[test]
fn a_plan_is_read_from_a_file() {
    let folder = Folder::new();
    let plan = "net = \"mlp\"\nwidth = 0.1\nlimit = 200\nbatch = 20\nepochs = 1\nseeds = [3, 8]\n\
                [grid]\nsurrogate = [\"rectangle\", \"arctan\"]\n[noise]\nkinds = \"gaussian\"\nlevels = \"0.1\"\n";
    folder.write("small.toml", plan.as_bytes());
    folder.succeed("ablate --config small.toml");
    let cells = folder.list("ablations/small/cells");
    assert_eq!(
        cells,
        ["arctan", "rectangle"].map(|s| [3, 8].map(|n| format!("surrogate={s}_seed={n}"))).concat()
    );
    let wrong = [
        ("epochs", "epoch", "unknown field `epoch`"),
        ("rectangle", "rectangel", "rectangel"),
        ("[3, 8]", "[3, 3]", "seed 3 is given twice"),
        ("[\"rectangle\", \"arctan\"]", "\"arctan\"", "must be a list"),
        ("kinds = \"gaussian\"", "kinds = \"pink\"", "salt-and-pepper"),
        ("[grid]", "[grid", "line 7"),
    ];
    for (from, to, word) in wrong {
        folder.write("wrong.toml", plan.replacen(from, to, 1).as_bytes());
        let output = folder.run("ablate --config wrong.toml");
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(matches!(output.status.code(), Some(1 | 2)), "{to}: {errors}");
        assert!(errors.contains(word) && errors.lines().count() == 1, "{to}: {errors}");
    }
}

#[test]
fn noise_lowers_accuracy_and_leaves_a_table() {
    let folder = Folder::new();
    folder.succeed("train --net lenet --width 0.25 --limit 3000 --epochs 4 --out run");
    let command = "robustness run --noise-levels 0,0.3 --noise-seeds 2 --out noise --json -";
    let figures: Value = serde_json::from_str(&folder.succeed(command)).unwrap();
    let run = &figures["runs"][0];
    let clean = run["clean_accuracy"].as_f64().unwrap();
    for noise in run["noise"].as_array().unwrap() {
        let rows = noise["accuracy"].as_array().unwrap();
        let at = |i: usize, seed: usize| rows[i][seed].as_f64().unwrap();
        // Level 0 is the clean set, but for the rounding of pixels to and fro.
        assert!((at(0, 0) - clean).abs() <= 0.002 && (at(0, 1) - clean).abs() <= 0.002, "{noise}");
        assert!(at(1, 0) < clean - 0.05, "noise hurts: {noise}");
    }
    assert_eq!(folder.list("noise"), ["noise.csv", "noise.md", "noise.svg"]);
    folder.fail(1, command, &["noise.csv", "exists already"]);
    folder.fail(2, "robustness run --noise-levels 0.1,x", &["--noise-levels", "x"]);
    folder.fail(2, "robustness run --noise salt-and-pepper --noise-levels 2", &["noise level", "2"]);
    folder.fail(1, "robustness nowhere", &["nowhere"]);
}

#[test]
fn energy_adds_up_what_was_counted() {
    let folder = Folder::new();
    folder.succeed("train --net lenet --width 0.25 --limit 500 --epochs 1 --beta 0 --out run");
    let figures: Value =
        serde_json::from_str(&folder.succeed("energy run --images 130 --out energy --json -")).unwrap();
    assert_eq!(folder.list("energy"), ["energy.json", "energy.md", "energy.svg"]);
    let layers = figures["layers"].as_array().unwrap();
    let sum = |list: &Value| list.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum::<u64>() as f64;
    let of = |spikes: bool| {
        let layers = layers.iter().filter(|layer| layer["spikes"] == Value::Bool(spikes));
        layers.map(|layer| sum(&layer["effective"])).sum::<f64>() / 130.0
    };
    let operations = &figures["SynapticOperations"];
    let near = |got: &Value, want: f64| {
        let got = got.as_f64().unwrap();
        assert!((got - want).abs() <= 1e-9 * want.abs(), "got {got}, want {want}");
    };
    near(&operations["Effective_ACs"], of(true));
    near(&operations["Effective_MACs"], of(false));
    // conv1: 3 colours, 8 filters of 5×5 on 16×16; 130 images; two steps.
    assert_eq!(layers[0]["macs"], 3 * 25 * 256 * 8);
    // Along 16 pixels with padding 2 the five taps meet 14 + 15 + 16 + 15 + 14.
    assert_eq!(layers[0]["dense"], 3 * 8 * 74 * 74);
    let models = figures["models"].as_array().unwrap();
    near(&models[2]["snn_pj"], 4.6 * of(false) + 0.9 * of(true));
    near(&models[0]["ann_pj"], 3.2 * layers.iter().map(|l| l["macs"].as_f64().unwrap()).sum::<f64>());
    let other = folder.succeed("energy --print-constants").replace("mac = 4.6", "mac = 46");
    folder.write("constants.toml", other.as_bytes());
    let dear: Value =
        serde_json::from_str(&folder.succeed("energy run --images 130 --constants constants.toml --json -"))
            .unwrap();
    near(&dear["models"][2]["snn_pj"], 46.0 * of(false) + 0.9 * of(true));
    folder.write("constants.toml", other.replace("mac = 46", "mac = true").as_bytes());
    folder.fail(1, "energy run --constants constants.toml", &["constants.toml", "true"]);
    folder.fail(2, "energy run --images 0", &["--images is 0"]);
}

#[test]
fn every_plan_of_the_results_runs_in_small() {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/results");
    let plans: Vec<PathBuf> = std::fs::read_dir(&results)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    assert!(plans.len() >= 3, "{plans:?}");
    let folder = Folder::new();
    let small = "--data synthetic:shapes --width 0.05 --limit 100 --holdout 50 --epochs 1 --seeds 2";
    for plan in plans {
        let out = plan.file_stem().unwrap().to_str().unwrap().to_string();
        let command =
            format!("ablate --config {} {small} --noise-levels 0.1 --out {out} --json -", plan.display());
        let table: Value =
            serde_json::from_str(&folder.succeed(&command)).expect("nothing but JSON on stdout");
        let points = table["points"].as_array().unwrap();
        assert!(
            points.len() >= 3 && points.iter().all(|point| point["accuracy"]["n"] == 2),
            "{out}: {points:?}"
        );
        assert!(folder.list(&out).contains(&"ablation.svg".to_string()));
    }
}
