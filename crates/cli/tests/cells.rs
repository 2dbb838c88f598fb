//! The tables of an ablation, worked out from its cells by hand.

mod common;

use common::Folder;
use common::by_hand::{self, FLAGS, answer, batches, config, images, loaded, mean, near};
use serde_json::Value;
use spikegrad::bptt::lif::record::{Charged, Place, Recorder, Returned};
use spikegrad::data::{Noise, NoiseKind, Space, Spread};
use spikegrad::microscope::Microscope;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a command prints as JSON.
#[track_caller]
fn json(folder: &Folder, command: &str) -> Value {
    serde_json::from_str(&folder.succeed(&format!("{command} --json -"))).unwrap()
}

/// t₀.₉₇₅ of two degrees of freedom, from a table.
const T_OF_TWO: f64 = 4.302_652_73;

#[test]
fn ablations_are_the_means_and_differences_of_their_cells() {
    let folder = Folder::new();
    let grid = "--epochs 3 --lr 0.03 --grid delta=0,0.5 --seeds 3";
    let got = json(&folder, &format!("ablate {FLAGS} {grid} --out grid"));
    let text = |name: &str| String::from_utf8(folder.read(&format!("grid/{name}"))).unwrap();
    let (of_point, cells_csv) = results(&folder);
    assert_eq!(text("cells.csv"), cells_csv);
    let column = |k: usize, key: &str| -> Vec<f64> {
        of_point[k].iter().map(|r: &Value| r[key].as_f64().unwrap()).collect()
    };
    let inside = |k: usize| {
        mean(&of_point[k].iter().map(|r| r["census"]["mean_inside"].as_f64().unwrap()).collect::<Vec<_>>())
    };
    let markdown = text("table.md");
    for k in 0..2 {
        let point = &got["points"][k];
        for (name, key) in [
            ("accuracy", "accuracy"),
            ("best_accuracy", "best_accuracy"),
            ("train_accuracy", "train_accuracy"),
        ] {
            check_summary(&point[name], &column(k, key));
        }
        near(&point["inside_window"]["mean"], inside(k));
        let of = |key: &str| {
            let c = column(k, key);
            format!("{:.2} ± {:.2}", 100.0 * mean(&c), 100.0 * deviation(&c))
        };
        let start = format!(
            "| delta={} | 3 | {} | {} | {} | ",
            ["0", "0.5"][k],
            of("accuracy"),
            of("best_accuracy"),
            of("train_accuracy")
        );
        assert!(markdown.contains(&start), "{start}: {markdown}");
        let end = format!(
            " | {:.1} | {:.1e} |\n",
            100.0 * inside(k),
            point["mean_scaling"]["mean"].as_f64().unwrap()
        );
        assert!(markdown.contains(&end), "{end}: {markdown}");
    }
    let differences: Vec<f64> =
        column(1, "accuracy").iter().zip(column(0, "accuracy")).map(|(a, b)| a - b).collect();
    check_summary(&got["points"][1]["difference"], &differences);
    let (middle, half) =
        (100.0 * mean(&differences), 100.0 * T_OF_TWO * deviation(&differences) / 3f64.sqrt());
    let told = format!("| {middle:+.2} | {:+.2} … {:+.2} |", middle - half, middle + half);
    assert!(markdown.contains(&told), "{told}: {markdown}");
    check_table_csv(
        &text("table.csv"),
        &column(1, "accuracy"),
        &column(1, "best_accuracy"),
        &differences,
        inside(1),
    );
    check_noise_afterwards(&folder, &format!("ablate {FLAGS} {grid} --out grid"));
}

/// Noise that is asked for afterwards is measured on the finished cells.
fn check_noise_afterwards(folder: &Folder, command: &str) {
    folder.succeed(&format!("{command} --noise gaussian --noise-levels 0.5 --noise-seeds 1"));
    let text = String::from_utf8(folder.read("grid/noise.csv")).unwrap();
    assert_eq!(text.lines().count(), 1 + 6, "{text}");
    let mut trainer = loaded(&folder.path("grid/cells/delta=0_seed=2/checkpoint.safetensors"));
    let (kind, space, spread) = (NoiseKind::Gaussian, Space::Pixel, Spread::Sigma);
    let noise = Noise { kind, level: 0.5, space, spread, seed: 0 };
    let want = answer(&mut trainer, &images(30).1, Some(noise)).accuracy;
    let line = text.lines().find_map(|line| line.strip_prefix("delta=0,2,gaussian,pixel,sigma,0.5,0,"));
    let got: f64 = line.unwrap_or_else(|| panic!("{text}")).parse().unwrap();
    assert!((got - want).abs() < 1e-9, "got {got}, want {want}");
}

/// The results of the cells, by point and seed, each checked against its run; and what `cells.csv` should hold.
fn results(folder: &Folder) -> ([Vec<Value>; 2], String) {
    let text = |name: &str| String::from_utf8(folder.read(&format!("grid/{name}"))).unwrap();
    let mut cells_csv =
        "point,seed,accuracy,best_accuracy,test_loss,train_loss,train_accuracy,mean_rate\n".to_string();
    let mut of_point = [Vec::new(), Vec::new()];
    for seed in 1..=3 {
        for (k, delta) in ["0", "0.5"].into_iter().enumerate() {
            let home = format!("cells/delta={delta}_seed={seed}");
            let kept: Value = serde_json::from_str(&text(&format!("{home}/result.json"))).unwrap();
            let result = kept["result"].clone();
            let lines: Vec<Value> = text(&format!("{home}/metrics.jsonl"))
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            let most = lines.iter().map(|line| line["test_accuracy"].as_f64().unwrap()).fold(0.0, f64::max);
            near(&result["best_accuracy"], most);
            let last = lines.last().unwrap();
            near(&result["accuracy"], last["test_accuracy"].as_f64().unwrap());
            for key in ["test_loss", "train_loss", "train_accuracy", "mean_rate"] {
                assert_eq!(result[key], last[key], "{key}");
            }
            check_census(
                folder,
                &format!("grid/{home}"),
                &result["census"],
                seed,
                if k == 0 { 0.0 } else { 0.5 },
            );
            let keys =
                ["accuracy", "best_accuracy", "test_loss", "train_loss", "train_accuracy", "mean_rate"];
            let values: Vec<String> = keys.iter().map(|key| result[key].to_string()).collect();
            cells_csv += &format!("delta={delta},{seed},{}\n", values.join(","));
            of_point[k].push(result);
        }
    }
    (of_point, cells_csv)
}

/// The standard deviation with n − 1.
fn deviation(sample: &[f64]) -> f64 {
    let middle = mean(sample);
    (sample.iter().map(|x| (x - middle).powi(2)).sum::<f64>() / (sample.len() - 1) as f64).sqrt()
}

#[track_caller]
fn check_summary(got: &Value, sample: &[f64]) {
    assert_eq!(got["n"], sample.len());
    near(&got["mean"], mean(sample));
    near(&got["sd"], deviation(sample));
    let half = T_OF_TWO * deviation(sample) / (sample.len() as f64).sqrt();
    for (k, want) in [mean(sample) - half, mean(sample) + half].into_iter().enumerate() {
        let got = got["t_interval"][k].as_f64().unwrap();
        assert!((got - want).abs() < 1e-7, "got {got}, want {want}");
    }
    // The means of three drawn anew are never beyond the least and the largest.
    let bound = |k: usize| got["bootstrap"][k].as_f64().unwrap();
    let (low, high) = sample.iter().fold((f64::MAX, f64::MIN), |(a, b), &x| (a.min(x), b.max(x)));
    assert!(low - 1e-9 <= bound(0) && bound(0) <= bound(1) && bound(1) <= high + 1e-9);
}

/// The line of the second point.
fn check_table_csv(text: &str, accuracy: &[f64], best: &[f64], differences: &[f64], inside: f64) {
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    let at = |name: &str| -> f64 {
        let column = rows[0].iter().position(|head| *head == name).unwrap();
        rows[2][column].parse().unwrap()
    };
    let half = T_OF_TWO * deviation(differences) / 3f64.sqrt();
    let wants = [
        ("seeds", 3.0),
        ("accuracy_mean", mean(accuracy)),
        ("accuracy_sd", deviation(accuracy)),
        ("best_mean", mean(best)),
        ("best_sd", deviation(best)),
        ("difference_mean", mean(differences)),
        ("t_low", mean(differences) - half),
        ("t_high", mean(differences) + half),
        ("inside_mean", inside),
    ];
    for (name, want) in wants {
        assert!((at(name) - want).abs() < 1e-7, "{name}: {}, want {want}", at(name));
    }
    assert!(at("bootstrap_low") <= mean(differences) && mean(differences) <= at("bootstrap_high"));
    assert_eq!(rows[1][6..11], ["", "", "", "", ""], "the first point has no difference to itself");
}

/// Counts neurons and steps where neither the surrogate nor the gradient that comes to it is 0.
#[derive(Debug, Default)]
struct Passed(AtomicU64);

impl Recorder for Passed {
    fn charged(&self, _: Place, _: Charged<'_>) {}

    fn returned(&self, place: Place, values: Returned<'_>) {
        let passes = |h: &f32, g: &f32| *h != 0.0 && *g != 0.0;
        let lanes = place.channels.len();
        for (h, g) in values.h.iter().zip(values.total) {
            let count = h.0[..lanes].iter().zip(&g.0[..lanes]).filter(|(h, g)| passes(h, g)).count();
            self.0.fetch_add(count as u64, Ordering::Relaxed);
        }
    }
}

/// Shares inside the window are the microscope's of the first batch; |factor − 1| is at most |δ|·|u − o| ≤ |δ|/2.
fn check_census(folder: &Folder, home: &str, census: &Value, seed: u64, delta: f32) {
    let mut config = config(1e-3, seed, 1);
    config.net.lif.delta = delta;
    let mut trainer = by_hand::trainer(config);
    trainer.load_weights(folder.path(&format!("{home}/checkpoint.safetensors"))).unwrap();
    let microscope = Arc::new(Microscope::new(trainer.net(), &[]).unwrap());
    let batch = batches(&images(200).0, seed).epoch(0).next().unwrap();
    trainer.observe(&batch.images, &batch.labels, microscope.clone()).unwrap();
    let mut shares = Vec::new();
    for layer in microscope.layers() {
        shares.push(mean(&layer.steps.iter().map(|step| step.inside).collect::<Vec<_>>()));
        near(&census["inside"][&layer.name], shares[shares.len() - 1]);
    }
    near(&census["mean_inside"], mean(&shares));
    near(&census["factor"]["range"], f64::from(delta));
    let bins: Vec<u64> = serde_json::from_value(census["factor"]["bins"].clone()).unwrap();
    assert_eq!(bins.len(), 20);
    // What is counted are neurons that a gradient passes.
    let passed = Arc::new(Passed::default());
    trainer.observe(&batch.images, &batch.labels, passed.clone()).unwrap();
    let outside = census["factor"]["outside"].as_u64().unwrap();
    assert_eq!(bins.iter().sum::<u64>() + outside, passed.0.load(Ordering::Relaxed));
}
