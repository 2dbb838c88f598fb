//! Every figure that a run writes or prints, against one that the test works out with the library alone: no run is
//! compared with another run.

mod common;

use common::Folder;
use common::by_hand::{self, FLAGS, answer, config, images, loaded, mean, near};
use serde_json::Value;
use spikegrad::data::{Noise, NoiseKind, Space, Spread};
use spikegrad::models::Init;
use std::f64::consts::PI;

/// The lines of a run's metrics.
fn metrics(folder: &Folder, run: &str) -> Vec<Value> {
    let text = String::from_utf8(folder.read(&format!("{run}/metrics.jsonl"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What a command prints as JSON.
#[track_caller]
fn json(folder: &Folder, command: &str) -> Value {
    serde_json::from_str(&folder.succeed(&format!("{command} --json -"))).unwrap()
}

/// The learning rate of the last batch of an epoch, of six batches each: a linear rise, then half a cosine.
fn cosine(lr: f64, epoch: usize, epochs: f64, warmup: f64) -> f64 {
    let at = epoch as f64 + 5.0 / 6.0;
    if at < warmup {
        return lr * at / warmup;
    }
    lr * (1.0 + (PI * (at - warmup) / (epochs - warmup)).cos()) / 2.0
}

#[test]
fn every_figure_of_a_run_is_the_one_worked_out_by_hand() {
    let folder = Folder::new();
    // Stopped in the middle of an epoch, whose figures are those of all its batches none the less.
    let flags = "--lr 0.01 --seed 4 --epochs 4 --warmup 0.9 --threads 2";
    let mut out = folder.succeed(&format!("train {FLAGS} {flags} --out run --stop-after 1.5"));
    assert!(out.contains("200 training samples are 6 batches of 30; each epoch leaves out another 20"));
    out += &folder.succeed("train --resume run --json end.json --threads 2");

    let (train, test) = images(200);
    let mut config = config(0.01, 4, 4);
    config.warmup_epochs = 0.9;
    let (trainer, epochs) = by_hand::train(config, &train, &test);
    let lines = metrics(&folder, "run");
    assert_eq!(lines.len(), 4);
    for (e, (line, want)) in lines.iter().zip(&epochs).enumerate() {
        assert_eq!(line["epoch"], e + 1);
        near(&line["train_loss"], want.train_loss);
        near(&line["train_accuracy"], want.train_accuracy);
        near(&line["test_accuracy"], want.test.accuracy);
        near(&line["test_loss"], want.test.loss);
        let lr = cosine(0.01, e, 4.0, 0.9);
        assert!((line["lr"].as_f64().unwrap() - lr).abs() < 1e-6 * lr, "{line}: {lr}");
        assert_eq!(line["rates"].as_object().unwrap().len(), want.rates.len());
        want.rates.iter().for_each(|(layer, rate)| near(&line["rates"][layer], *rate));
        near(&line["mean_rate"], mean(&want.rates.iter().map(|(_, rate)| *rate).collect::<Vec<_>>()));
        let seconds = line["seconds"].as_f64().unwrap();
        assert!(seconds > 0.0);
        near(&line["images_per_second"], 180.0 / seconds);
        let (loss, right) = (want.train_loss, 100.0 * want.train_accuracy);
        let told = format!(
            "epoch {}/4  loss {loss:.4}  train {right:.2} %  test {:.2} %  lr {lr:.2e}  {:.0} images/s  {seconds:.1} s",
            e + 1,
            100.0 * want.test.accuracy,
            180.0 / seconds,
        );
        assert!(out.contains(&told), "{told}: {out}");
    }
    check_weights(&folder, &trainer);
    check_best(&folder, &epochs, &out);
    check_report(&folder, &epochs, &lines);
    check_curves(&folder, &epochs);
}

/// The checkpoint holds the weights that the replay ended with, bit for bit.
fn check_weights(folder: &Folder, trainer: &spikegrad::Trainer) {
    let got = loaded(&folder.path("run/checkpoint.safetensors")).parameters();
    assert_eq!(got, trainer.parameters());
}

/// The best epoch is the first with the most right answers.
fn check_best(folder: &Folder, epochs: &[by_hand::Epoch], out: &str) {
    let most = epochs.iter().map(|epoch| epoch.test.accuracy).fold(0.0, f64::max);
    let best = epochs.iter().position(|epoch| epoch.test.accuracy == most).unwrap() + 1;
    let told = format!("best accuracy {:.2} % in epoch {best}, chosen on the same test images", 100.0 * most);
    assert!(out.contains(&told), "{told}: {out}");
    let end: Value = serde_json::from_slice(&folder.read("end.json")).unwrap();
    near(&end["best_accuracy"], most);
    assert_eq!((&end["last"]["epoch"], &end["run"]), (&epochs.len().into(), &"run".into()));
    assert!(folder.succeed("info run/best.safetensors").contains(&format!("extra.epoch = {best}\n")));
    assert!(folder.succeed("info run/checkpoint.safetensors").contains("extra.epoch = 4\n"));
    let last = &epochs[epochs.len() - 1].test;
    assert!(
        folder
            .succeed("info run")
            .contains(&format!("4 epochs, test accuracy {:.2} %", 100.0 * last.accuracy))
    );
    for (flag, want) in [("", last), (" --best", &epochs[best - 1].test)] {
        let got = json(folder, &format!("eval run{flag}"));
        near(&got["accuracy"], want.accuracy);
        near(&got["loss"], want.loss);
        assert_eq!(got["images"], 1000);
        assert_eq!(got["confusion"], serde_json::json!(want.confusion));
        let text = folder.succeed(&format!("eval run{flag}"));
        let told = format!("accuracy {:.2} %, loss {:.4} on 1000 images", 100.0 * want.accuracy, want.loss);
        assert!(text.contains(&told), "{told}: {text}");
        // Rows are labels: a hundred images of each class.
        let row = text.lines().find(|line| line.starts_with("3 frame")).unwrap();
        let cells: Vec<String> = row.split_whitespace().skip(2).map(str::to_string).collect();
        let mut wanted: Vec<String> = want.confusion[3].iter().map(u64::to_string).collect();
        wanted.extend([format!("{:.1}", want.confusion[3][3] as f64), "%".into()]);
        assert_eq!(cells, wanted);
    }
}

/// The page shows the last epoch's figures, the best epoch, answers, the confusion matrix, the epochs, and its origin.
fn check_report(folder: &Folder, epochs: &[by_hand::Epoch], lines: &[Value]) {
    let page = String::from_utf8(folder.read("run/report.html")).unwrap();
    let last = epochs.last().unwrap();
    let accuracies: Vec<f64> = epochs.iter().map(|epoch| epoch.test.accuracy).collect();
    let most = accuracies.iter().copied().fold(0.0, f64::max);
    let best = accuracies.iter().position(|&accuracy| accuracy == most).unwrap();
    let number = |line: &Value, key: &str| line[key].as_f64().unwrap();
    let seconds: f64 = lines.iter().map(|line| number(line, "seconds")).sum();
    let mut told = vec![
        format!(
            "After 4 of 4 epochs: test accuracy <b>{:.2} %</b>; test loss {:.4}, training loss {:.4}. Training took \
             {seconds:.1} s, {:.0} images/s.",
            100.0 * last.test.accuracy,
            last.test.loss,
            last.train_loss,
            number(&lines[3], "images_per_second")
        ),
        format!("The best epoch was {} with {:.2} %", best + 1, 100.0 * most),
        "on the same 1000 test images".into(),
        format!("program</td><td>spikegrad {}, {} kernels, 2 threads", env!("CARGO_PKG_VERSION"), level()),
        "<code>spikegrad train --resume run --json end.json --threads 2</code>".into(),
        "<tr><td>warmup</td><td>0.9</td></tr>".into(),
        "<code>spikegrad robustness run</code>".into(),
        format!("mean {:.1} %", 100.0 * number(&lines[3], "mean_rate")),
    ];
    for (layer, rate) in &last.rates {
        told.push(format!("<tr><td>{layer}</td><td class=\"n\">{:.1} %</td>", 100.0 * rate));
        told.push(format!("style=\"width:{:.2}rem\"", 20.0 * rate));
    }
    for (e, epoch) in epochs.iter().enumerate() {
        told.push(format!(
            "<tr><td class=\"n\">{}</td><td class=\"n\">{:.4}</td><td class=\"n\">{:.2} %</td><td class=\"n\">{:.2} %\
             </td><td class=\"n\">{:.2e}</td>",
            e + 1,
            epoch.train_loss,
            100.0 * epoch.train_accuracy,
            100.0 * epoch.test.accuracy,
            cosine(0.01, e, 4.0, 0.9)
        ));
    }
    // A row of the matrix: a hundred images of the class, tinted by their share.
    let row: String = (0..10)
        .map(|k| {
            let (count, tint) = (last.test.confusion[7][k], if k == 7 { "right" } else { "wrong" });
            format!(
                "<td class=\"n\" style=\"--tint:var(--{tint});--share:{:.0}%\">{count}</td>",
                0.8 * count as f64
            )
        })
        .collect();
    let share = last.test.confusion[7][7];
    told.push(format!("<tr><th>horizontal-bars</th>{row}<td class=\"n\">{share}.0 %</td></tr>"));
    for told in told {
        assert!(page.contains(&told), "{told} is not on the page");
    }
    assert!(!page.contains("goes on with this run"), "the run has ended");
    check_examples(&page, last);
}

/// What stands between two marks, wherever they occur.
fn between<'a>(text: &'a str, from: &'a str, to: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(from).skip(1).filter_map(move |rest| rest.split(to).next())
}

/// The points of the curves lie where the labels of the ticks say: training first, the scoring images second.
fn check_curves(folder: &Folder, epochs: &[by_hand::Epoch]) {
    let svg = String::from_utf8(folder.read("run/curves.svg")).unwrap();
    let charts: Vec<&str> = svg.split("<g transform").skip(1).collect();
    let column = |value: fn(&by_hand::Epoch) -> f64| epochs.iter().map(value).collect::<Vec<f64>>();
    let losses = [column(|e| e.train_loss), column(|e| e.test.loss)];
    let shares = [column(|e| 100.0 * e.train_accuracy), column(|e| 100.0 * e.test.accuracy)];
    for (chart, lines) in charts.iter().zip([losses, shares]) {
        // A label of the y axis stands 4.5 below its tick, to the left of x = 56; one of the x axis at its tick.
        let number = |text: &str| text.parse::<f64>().unwrap();
        let parts = |text: &str| -> (f64, f64) {
            let (at, rest) = text.split_once('"').unwrap();
            (number(at), number(rest.rsplit_once('>').unwrap().1))
        };
        let y: Vec<_> = between(chart, "<text x=\"56\" y=\"", "</text>").map(parts).collect();
        let x: Vec<_> = between(chart, "<text x=\"", "</text>")
            .filter(|text| text.contains("\"middle\"") && text.contains("y=\"310\""))
            .map(parts)
            .collect();
        let line = |ticks: &[(f64, f64)], value: f64| {
            let ((a, low), (b, high)) = (ticks[0], ticks[ticks.len() - 1]);
            a + (b - a) * (value - low) / (high - low)
        };
        let drawn: Vec<&str> = between(chart, "<polyline points=\"", "\"").collect();
        assert_eq!(drawn.len(), 2);
        for (drawn, values) in drawn.iter().zip(&lines) {
            for (k, (point, value)) in drawn.split(' ').zip(values).enumerate() {
                let (px, py) = point.split_once(',').unwrap();
                let (want_x, want_y) = (line(&x, (k + 1) as f64), line(&y, *value) - 4.5);
                assert!(
                    (number(px) - want_x).abs() < 0.2 && (number(py) - want_y).abs() < 0.2,
                    "{point}: {want_x},{want_y}"
                );
            }
        }
    }
}

/// The first twelve images, whose classes go round: what each is, what it was taken for, and whether that is right.
fn check_examples(page: &str, last: &by_hand::Epoch) {
    let figures: Vec<&str> = page.split("<figure class=\"").skip(1).collect();
    assert_eq!(figures.len(), 12);
    let names = spikegrad::data::shapes::NAMES;
    for (i, (figure, &answer)) in figures.iter().zip(&last.test.first).enumerate() {
        let label = i % 10;
        assert!(figure.starts_with(if answer == label { "right" } else { "wrong" }), "{i}: {figure}");
        let caption = format!("<figcaption>{}<br><b>{}</b></figcaption>", names[label], names[answer]);
        assert!(figure.contains(&caption), "{caption}: {figure}");
    }
}

fn level() -> &'static str {
    spikegrad::tensor::Level::detect().unwrap().name()
}

/// With a learning rate of next to nothing the weights at the end are those of the beginning, which the seed, the
/// initialisation and the width decide.
#[test]
fn weights_begin_as_seed_width_and_initialisation_say() {
    let folder = Folder::new();
    for (k, (flags, seed, init)) in [
        ("", 0, Init::Uniform),
        ("--seed 7", 7, Init::Uniform),
        ("--seed 7 --init kaiming", 7, Init::Kaiming),
    ]
    .into_iter()
    .enumerate()
    {
        folder.succeed(&format!("train {FLAGS} --lr 1e-30 --epochs 1 {flags} --out run{k}"));
        let begun = by_hand::trainer(config(1e-3, seed, 1).init(init)).parameters();
        let ended = loaded(&folder.path(&format!("run{k}/checkpoint.safetensors"))).parameters();
        for ((name, shape, want), (_, got_shape, got)) in begun.into_iter().zip(ended) {
            assert_eq!(shape, got_shape);
            let off = want.iter().zip(&got).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 1e-28, "{flags}: {name} is off by {off}");
        }
    }
}

/// Where every epoch is as good, the first is the best: a net that never fires answers the same class always.
#[test]
fn the_best_of_equals_is_the_first() {
    let folder = Folder::new();
    let out = folder.succeed(&format!("train {FLAGS} --threshold 1e6 --lr 1e-30 --epochs 3 --out run"));
    assert!(out.contains("best accuracy 10.00 % in epoch 1,"), "{out}");
    assert!(folder.succeed("info run/best.safetensors").contains("extra.epoch = 1\n"));
    assert!(metrics(&folder, "run").iter().all(|line| line["test_accuracy"] == 0.1));
}

/// A learning rate that grows a hundred thousand times ruins the last epoch: the best stays an earlier one.
#[test]
fn a_worse_epoch_does_not_become_the_best() {
    let folder = Folder::new();
    let flags = "--lr 0.005 --schedule step --step-every 2 --step-factor 1e5 --epochs 3 --json end.json";
    folder.succeed(&format!("train {FLAGS} {flags} --out run"));
    let accuracies: Vec<f64> =
        metrics(&folder, "run").iter().map(|line| line["test_accuracy"].as_f64().unwrap()).collect();
    let best = if accuracies[1] > accuracies[0] { 1 } else { 0 };
    assert!(accuracies[2] < accuracies[best], "{accuracies:?}");
    assert!(folder.succeed("info run/best.safetensors").contains(&format!("extra.epoch = {}\n", best + 1)));
    near(&json(&folder, "eval run --best")["accuracy"], accuracies[best]);
    near(&json(&folder, "eval run")["accuracy"], accuracies[2]);
    let end: Value = serde_json::from_slice(&folder.read("end.json")).unwrap();
    near(&end["best_accuracy"], accuracies[best]);
}

/// The checkpoint of the last whole epoch is what a run that explodes leaves, and is named.
#[test]
fn a_run_that_explodes_names_its_last_checkpoint() {
    let folder = Folder::new();
    let flags =
        "--twin --optimizer sgd --lr 1e-3 --schedule step --step-every 2 --step-factor 1e33 --epochs 4";
    folder.fail(
        1,
        &format!("train {FLAGS} {flags} --out run"),
        &["epoch 3, ", "the last good checkpoint is run/checkpoint.safetensors"],
    );
    assert!(folder.succeed("info run/checkpoint.safetensors").contains("extra.epoch = 2\n"));
    // One batch an epoch: the step ends in finite weights that score to no finite loss.
    let flags = "--net mlp --width 0.1 --limit 50 --batch 50 --epochs 3 --beta 0 --lr 1e38 --out other";
    folder.fail(1, &format!("train {flags}"), &["epoch 1, ", "finite"]);
    assert!(!folder.list("other").contains(&"metrics.jsonl".to_string()), "no figure is written");
}

/// Between checkpoints that are asked for, the end of a run is one; and so is the middle of an epoch, where asked for.
#[test]
fn checkpoints_are_written_where_they_are_due() {
    let folder = Folder::new();
    folder.succeed(&format!("train {FLAGS} --epochs 3 --checkpoint-every 2 --out run"));
    assert!(folder.succeed("info run/checkpoint.safetensors").contains("extra.epoch = 3\n"));
    let resumed = folder.succeed("train --resume run");
    assert!(resumed.contains("resuming run at epoch 4, batch 1"), "{resumed}");
    // The fifth of six batches takes a step that the sixth cannot survive; half an epoch is three batches.
    let flags = "--twin --optimizer sgd --lr 1e-3 --schedule step --step-every 0.6 --step-factor 1e33";
    let last = "the last good checkpoint is half/checkpoint.safetensors";
    folder.fail(
        1,
        &format!("train {FLAGS} {flags} --epochs 2 --checkpoint-every 0.5 --out half"),
        &["epoch 1, batch 6", last],
    );
    let resumed = folder.run("train --resume half");
    let out = String::from_utf8(resumed.stdout).unwrap();
    assert!(out.contains("resuming half at epoch 1, batch 4"), "{out}");
}

#[test]
fn the_step_schedule_drops_by_batches() {
    let folder = Folder::new();
    let flags = "--schedule step --step-every 0.8 --step-factor 0.25 --lr 0.002 --epochs 3";
    folder.succeed(&format!("train {FLAGS} {flags} --out run"));
    // The last of six batches begins at 5/6, 1 5/6 and 2 5/6 epochs: after one, two and three drops.
    for (line, drops) in metrics(&folder, "run").iter().zip(1..) {
        let want = 0.002 * 0.25f64.powi(drops);
        assert!((line["lr"].as_f64().unwrap() - want).abs() < 1e-6 * want, "{line}");
    }
}

#[test]
fn held_out_images_are_the_last_of_the_training_images() {
    let folder = Folder::new();
    let out =
        folder.succeed(&format!("train {FLAGS} --lr 0.01 --holdout 170 --augment flip --epochs 2 --out run"));
    assert!(out.contains("on 200 images, scored on 170 held-out images"), "{out}");
    let mut all = images(6000).0;
    let last = by_hand::tail(&all, 170);
    all.truncate(200);
    // Training images are flipped by chance, those that are scored never.
    let loader = by_hand::varied_batches(&all, 0, "flip".parse().unwrap());
    let (mut trainer, epochs) = by_hand::train_on(&loader, config(0.01, 0, 2), &last);
    for (line, want) in metrics(&folder, "run").iter().zip(&epochs) {
        near(&line["train_loss"], want.train_loss);
        near(&line["test_accuracy"], want.test.accuracy);
        near(&line["test_loss"], want.test.loss);
    }
    let page = String::from_utf8(folder.read("run/report.html")).unwrap();
    assert!(page.contains("held-out accuracy <b>") && page.contains("on the same 170 held-out images"));
    let other = answer(&mut trainer, &by_hand::tail(&images(6000).0, 50), None);
    let got = json(&folder, "eval run --holdout 50");
    near(&got["loss"], other.loss);
    assert_eq!((&got["images"], &got["confusion"]), (&50.into(), &serde_json::json!(other.confusion)));
}

#[test]
fn accuracy_under_noise_is_that_of_images_with_the_noise_added() {
    let folder = Folder::new();
    folder.succeed(&format!("train {FLAGS} --lr 0.01 --epochs 3 --beta 0.01 --out run"));
    let set = by_hand::tail(&images(6000).0, 100);
    let mut trainer = loaded(&folder.path("run/checkpoint.safetensors"));
    let clean = answer(&mut trainer, &set, None).accuracy;
    let cases = [
        ("sigma", "pixel", Spread::Sigma, Space::Pixel),
        ("variance", "normalised", Spread::Variance, Space::Normalised),
    ];
    for (spread_name, space_name, spread, space) in cases {
        let command = format!(
            "robustness run --holdout 100 --noise-levels 0.3,0.7 --noise-seeds 2 --noise-spread {spread_name} \
             --noise-space {space_name} --out {space_name}"
        );
        let got = json(&folder, &command);
        let run = &got["runs"][0];
        near(&run["clean_accuracy"], clean);
        near(&run["beta"], f64::from(0.01f32));
        let mut csv = "run,beta,noise,space,spread,level,noise_seed,accuracy\n".to_string();
        let mut markdown = String::new();
        for (k, kind) in [NoiseKind::Gaussian, NoiseKind::SaltAndPepper].into_iter().enumerate() {
            let mut row = format!("| run | {kind} | {:.2} |", 100.0 * clean);
            for (i, level) in [0.3, 0.7].into_iter().enumerate() {
                let mut of_seed = |seed: u64| {
                    answer(&mut trainer, &set, Some(Noise { kind, level, space, spread, seed })).accuracy
                };
                let want = [of_seed(0), of_seed(1)];
                for (seed, want) in want.iter().enumerate() {
                    near(&run["noise"][k]["accuracy"][i][seed], *want);
                    csv += &format!("run,0.01,{kind},{space},{spread},{level},{seed},{:.2}\n", want);
                }
                row += &format!(" {:.2} |", 100.0 * mean(&want));
            }
            markdown += &(row + "\n");
        }
        assert_eq!(
            String::from_utf8(folder.read(&format!("{space_name}/noise.csv")))
                .unwrap()
                .lines()
                .map(rounded)
                .collect::<Vec<_>>(),
            csv.lines().map(rounded).collect::<Vec<_>>()
        );
        let table = String::from_utf8(folder.read(&format!("{space_name}/noise.md"))).unwrap();
        assert!(
            table.ends_with(&markdown) && table.starts_with("| run | noise | clean | 0.3 | 0.7 |\n"),
            "{table}"
        );
    }
}

/// A line of CSV whose last field, a number of hundredths, is rounded to them.
fn rounded(line: &str) -> String {
    let (rest, last) = line.rsplit_once(',').unwrap();
    last.parse::<f64>().map_or(line.to_string(), |number| format!("{rest},{number:.2}"))
}
