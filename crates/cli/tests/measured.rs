//! What the commands that look at a run measure, against the library's primitives and closed forms.

mod common;

use common::Folder;
use common::by_hand::{self, BATCH, FLAGS, batches, config, images, loaded, mean, median, near, pixels};
use serde_json::Value;
use spikegrad::data::ImageSet;
use spikegrad::microscope::{Microscope, Neuron};
use spikegrad::models::{Architecture, Lanczos, Net, NetKind, NormInfo};
use std::sync::Arc;

/// What a command prints as JSON.
#[track_caller]
fn json(folder: &Folder, command: &str) -> Value {
    serde_json::from_str(&folder.succeed(&format!("{command} --json -"))).unwrap()
}

/// Trains a run.
fn run(folder: &Folder) {
    folder.succeed(&format!("train {FLAGS} --lr 0.01 --epochs 2 --seed 3 --out run"));
}

/// Images of a set, one after the other.
fn pixels_of(set: &ImageSet, images: std::ops::Range<usize>) -> Vec<f32> {
    images.flat_map(|i| pixels(set, i)).collect()
}

#[test]
fn doctor_tells_what_the_microscope_and_the_moments_say() {
    let folder = Folder::new();
    // The net with batch norm.
    let flags = FLAGS.replace("mlp", "lenet");
    folder.succeed(&format!("train {flags} --lr 0.01 --epochs 1 --seed 3 --out run"));
    let got = json(&folder, "doctor run --batches 3");
    let text = folder.succeed("doctor run --batches 3 --html page.html");
    let page = String::from_utf8(folder.read("page.html")).unwrap();
    let mut config = config(1e-3, 3, 1);
    config.net.architecture = Architecture::Named(NetKind::LeNet);
    let mut trainer = by_hand::trainer(config);
    trainer.load_weights(folder.path("run/checkpoint.safetensors")).unwrap();
    let microscope = Arc::new(Microscope::new(trainer.net(), &[]).unwrap());
    let (mut losses, mut drifts) = (Vec::new(), Vec::new());
    for batch in batches(&images(200).0, 3).epoch(0).take(3) {
        let loss = trainer.observe(&batch.images, &batch.labels, microscope.clone()).unwrap();
        losses.push(loss.data_term + loss.lipschitz);
        drifts.push(drifts_of(trainer.net()));
    }
    let about = format!("lenet on synthetic:shapes: 90 training images, mean loss {:.4}", mean(&losses));
    assert!(text.starts_with(&about) && page.contains(&about), "{about}: {text}");
    check_layers(&got, &text, &page, &microscope);
    for (k, drift) in got["drifts"].as_array().unwrap().iter().enumerate() {
        let of = |value: fn(&(String, f64, f64)) -> f64| {
            mean(&drifts.iter().map(|batch| value(&batch[k])).collect::<Vec<_>>())
        };
        assert_eq!(drift["name"], drifts[0][k].0);
        near(&drift["mean"], of(|d| d.1));
        near(&drift["variance"], of(|d| d.2));
    }
    // Two running estimates for each channel of a batch norm count as memory, too.
    let weights: usize = trainer.parameters().iter().map(|(_, _, values)| values.len()).sum();
    let estimates: usize = trainer.net().norms().iter().map(|norm| 2 * norm.mean.len()).sum();
    near(&json(&folder, "energy run --images 5")["Footprint"], 4.0 * (weights + estimates) as f64);
    let sigmas = trainer.net().lipschitz_constants(&Lanczos::default());
    assert_eq!(got["sigmas"].as_array().unwrap().len(), sigmas.len());
    for (told, want) in got["sigmas"].as_array().unwrap().iter().zip(&sigmas) {
        assert_eq!((&told["layer"], &told["settled"]), (&want.layer.clone().into(), &want.settled.into()));
        near(&told["sigma"], want.sigma);
        let row = text.lines().find(|line| line.starts_with(&want.layer)).unwrap();
        assert_eq!(row.split_whitespace().nth(1), Some(&want.shown()[..]));
    }
}

/// Name, distance of means and ratio of variances of each batch norm, from its moments.
fn drifts_of(net: &Net) -> Vec<(String, f64, f64)> {
    let norms = net.norms();
    assert!(!norms.is_empty());
    let drift = |norm: &NormInfo| {
        let (mut square, mut log) = (0.0, 0.0);
        let count = norm.mean.len() as f64;
        for c in 0..norm.mean.len() {
            let wide = |x: f32| f64::from(x);
            let running = wide(norm.running_var[c]) + 1e-5;
            square += (wide(norm.mean[c]) - wide(norm.running_mean[c])).powi(2) / running / count;
            log += ((wide(norm.var[c]) + 1e-5) / running).ln() / count;
        }
        (norm.name.clone(), square.sqrt(), log.exp())
    };
    norms.iter().map(drift).collect()
}

/// What JSON, table and page say of each layer of neurons.
fn check_layers(got: &Value, text: &str, page: &str, microscope: &Microscope) {
    for (layer, want) in got["layers"].as_array().unwrap().iter().zip(microscope.layers()) {
        assert_eq!(layer["name"], want.name);
        let counts = [("neurons", want.neurons), ("silent", want.silent), ("saturated", want.saturated)];
        counts.iter().for_each(|(key, count)| assert_eq!(layer[key], *count, "{key}"));
        let of = |value: fn(&spikegrad::microscope::LayerStep) -> f64| -> Vec<f64> {
            want.steps.iter().map(value).collect()
        };
        let (rates, inside, norms) = (of(|s| s.rate), of(|s| s.inside), of(|s| s.gradient_norm));
        for (t, step) in layer["steps"].as_array().unwrap().iter().enumerate() {
            near(&step["rate"], rates[t]);
            near(&step["inside"], inside[t]);
            near(&step["gradient_norm"], norms[t]);
        }
        let share = |count: usize| 100.0 * count as f64 / want.neurons as f64;
        let total = norms.iter().map(|norm| norm * norm).sum::<f64>().sqrt();
        let cells = [100.0 * mean(&rates), share(want.silent), share(want.saturated), 100.0 * mean(&inside)];
        let cells = cells.map(|cell| format!("{cell:.1} %"));
        let row = text.lines().find(|line| line.starts_with(&want.name)).unwrap();
        let told: Vec<&str> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        assert_eq!(told[1], want.neurons.to_string());
        assert_eq!(told[2..6], cells);
        assert_eq!(told[6..], [format!("{total:.2e}"), format!("{:.1e} {:.1e}", norms[0], norms[1])]);
        let bars: String = cells
            .map(|cell| {
                format!(
                    "<td class=\"n\">{cell}</td><td class=\"bar\"><i style=\"width:{}%\"></i></td>",
                    cell.trim_end_matches(" %")
                )
            })
            .concat();
        let told = format!("<tr><td>{}</td><td class=\"n\">{}</td>{bars}</tr>", want.name, want.neurons);
        assert!(page.contains(&told), "{told}: {page}");
    }
}

/// The data that a page of a trace holds.
fn data_of(page: &str) -> Value {
    let data = page.split_once("id=\"data\">").unwrap().1.split_once("</script>").unwrap().0;
    serde_json::from_str(data).unwrap()
}

#[test]
fn traces_show_what_the_microscope_sees() {
    let folder = Folder::new();
    run(&folder);
    folder.succeed("trace run --sample 37 --neuron spike1:4,0,0 --neuron spike2:9,0,0 --out out");
    // Image 37 is the eighth of the second batch of thirty.
    let neuron = |layer: &str, channel| Neuron { layer: layer.into(), image: 7, channel, row: 0, column: 0 };
    let watched = [neuron("spike1", 4), neuron("spike2", 9)];
    let mut trainer = loaded(&folder.path("run/checkpoint.safetensors"));
    let microscope = Arc::new(Microscope::new(trainer.net(), &watched).unwrap());
    let test = images(30).1;
    let (seen, labels) = (pixels_of(&test, 30..60), (30..60).map(|i| i % 10).collect::<Vec<u32>>());
    let loss = trainer.observe(&seen, &labels, microscope.clone()).unwrap();
    let mut rows = vec!["layer,image,channel,row,column,t,x,u,o,m,e,a,G,h,factor,dL_du,dL_dx".to_string()];
    for (n, steps) in microscope.neurons() {
        for (t, s) in steps.iter().enumerate() {
            let values =
                [s.x, s.u, s.o, s.m, s.e, s.a, s.total, s.h, s.factor, s.du, s.du].map(|x| x.to_string());
            rows.push(format!("{},7,{},0,0,{t},{}", n.layer, n.channel, values.join(",")));
        }
    }
    let text = |name: &str| String::from_utf8(folder.read(name)).unwrap();
    assert_eq!(text("out/trace.csv").lines().collect::<Vec<_>>(), rows);
    let mut rows = vec!["layer,t,gradient_norm,share_inside_window,firing_rate".to_string()];
    for layer in microscope.layers() {
        for (t, s) in layer.steps.iter().enumerate() {
            rows.push(format!("{},{t},{},{},{}", layer.name, s.gradient_norm, s.inside, s.rate));
        }
    }
    assert_eq!(text("out/layers.csv").lines().collect::<Vec<_>>(), rows);
    let page = text("out/trace.html");
    let data = data_of(&page);
    let logits = trainer.predict(&seen).unwrap()[70..80].to_vec();
    for (pair, want) in data["logits"].as_array().unwrap().iter().zip(&logits) {
        assert_eq!(pair[1].as_f64().map(|x| x as f32), Some(*want));
    }
    let top = (0..10).fold(0, |best, k| if logits[k] > logits[best] { k } else { best });
    let names = spikegrad::data::shapes::NAMES;
    assert_eq!((&data["class"], &data["answer"]), (&names[7].into(), &names[top].into()));
    let told = format!(
        "test image 37, a {:?}, taken for a {:?}; loss of its batch {:.4}.",
        names[7],
        names[top],
        loss.data_term + loss.lipschitz
    );
    assert!(data["about"].as_str().unwrap().ends_with(&told), "{told}: {}", data["about"]);
    check_series(&data, &microscope);
    // Each number of the neuron is its own.
    let flags = "--threshold 0.25 --decay 0.75 --delta 0.125 --surrogate arctan --alpha 3 --reset soft";
    folder.succeed(&format!("trace {FLAGS} {flags} --train-steps 1 --out other"));
    let lif = &data_of(&text("other/trace.html"))["lif"];
    let numbers = [("decay", 0.75), ("threshold", 0.25), ("parameter", 3.0), ("delta", 0.125)];
    numbers.iter().for_each(|(key, want)| near(&lif[key], *want));
    assert_eq!((&lif["reset"], &lif["surrogate"]), (&"soft".into(), &"arctan".into()));
}

/// The page's series of each neuron and layer.
fn check_series(data: &Value, microscope: &Microscope) {
    for (told, (_, steps)) in data["neurons"].as_array().unwrap().iter().zip(microscope.neurons()) {
        for (t, s) in steps.iter().enumerate() {
            let values = [
                ("x", s.x),
                ("u", s.u),
                ("o", s.o),
                ("m", s.m),
                ("e", s.e),
                ("a", s.a),
                ("G", s.total),
                ("h", s.h),
                ("factor", s.factor),
                ("du", s.du),
            ];
            for (name, want) in values {
                assert_eq!(told["steps"][name][t].as_f64().map(|x| x as f32), Some(want), "{name}");
            }
        }
    }
    for (told, want) in data["layers"].as_array().unwrap().iter().zip(microscope.layers()) {
        for (step, want) in told["steps"].as_array().unwrap().iter().zip(want.steps) {
            near(&step["gradient_norm"], want.gradient_norm);
            near(&step["inside"], want.inside);
            near(&step["rate"], want.rate);
        }
    }
    let lif = &data["lif"];
    let numbers = [("decay", 0.5), ("threshold", 0.5), ("parameter", 0.5), ("delta", f64::from(1e-4f32))];
    numbers.iter().for_each(|(key, want)| near(&lif[key], *want));
    assert_eq!((&lif["reset"], &lif["surrogate"]), (&"hard".into(), &"rectangle".into()));
}

/// Energies whose digits tell which was taken.
const CONSTANTS: &str =
    "integer = { mac = 3.0, ac = 0.5 }\nfloat = { mac = 7.0, ac = 0.25 }\naccess = [[1, 2.0]]\n";

#[test]
fn energy_is_that_of_the_operations_counted() {
    let folder = Folder::new();
    run(&folder);
    folder.write("constants.toml", CONSTANTS.as_bytes());
    let command = "energy run --images 70 --constants constants.toml";
    let got = json(&folder, &format!("{command} --out energy"));
    let text = folder.succeed(command);
    let markdown = String::from_utf8(folder.read("energy/energy.md")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&folder.read("energy/energy.json")).unwrap(), got);
    let mut trainer = loaded(&folder.path("run/checkpoint.safetensors"));
    let test = images(30).1;
    // Sums over the first seventy images, of two whole batches and ten images of the third.
    let (mut active, mut effective) = (vec![[0u64; 2]; 3], vec![[0u64; 2]; 3]);
    let mut spikes = vec![[0u64; 2]; 2];
    for (from, count) in [(0, 30), (30, 30), (60, 10)] {
        trainer.predict(&pixels_of(&test, from..from + BATCH)).unwrap();
        for (k, layer) in trainer.net().operations(count).iter().enumerate() {
            (0..2).for_each(|t| active[k][t] += layer.active[t]);
            (0..2).for_each(|t| effective[k][t] += layer.effective[t]);
        }
        for (k, unit) in trainer.net().spikes(count).iter().enumerate() {
            (0..2).for_each(|t| spikes[k][t] += unit.spikes[t]);
        }
    }
    let widths: Vec<f64> = trainer.net().spikes(1).iter().map(|unit| unit.neurons as f64).collect();
    // Layers of 768 pixels, then of the neurons before them, then of ten classes.
    let sides = [768.0, widths[0], widths[1], 10.0];
    let names: Vec<String> = trainer.net().operations(1).into_iter().map(|layer| layer.layer).collect();
    let [ann, snn, counted] = check_layer_energies(&got, &markdown, &names, &sides, (&active, &effective));
    let dense: f64 = (0..3).map(|k| sides[k] * sides[k + 1]).sum();
    near(&got["models"][0]["ann_pj"], ann);
    near(&got["models"][0]["snn_pj"], snn);
    near(&got["models"][0]["ann_over_snn"], ann / snn);
    near(&got["models"][2]["ann_pj"], 7.0 * dense);
    near(&got["models"][2]["snn_pj"], counted);
    // Where all layers but the first fire at the rate r: 7·first·2·(share of pixels not 0) + 0.25·2·r·rest = 7·dense.
    let first = 7.0 * effective[0].iter().sum::<u64>() as f64 / 70.0;
    let even = (7.0 * dense - first) / (0.25 * 2.0 * (dense - 768.0 * sides[1]));
    let told = &got["models"][2]["break_even_rate"];
    if (0.0..=1.0).contains(&even) {
        near(told, even)
    } else {
        assert_eq!(told, if even > 1.0 { "any" } else { "none" })
    }
    check_energy_totals(&folder, &got, &trainer, &spikes);
    let counts = |layers: &[[u64; 2]]| layers.iter().flatten().sum::<u64>() as f64 / 70.0;
    let operations = &got["SynapticOperations"];
    near(&operations["Effective_MACs"], counts(&effective[..1]));
    near(&operations["Effective_ACs"], counts(&effective[1..]));
    near(&operations["Dense"], 2.0 * dense);
    let row = format!(
        "| counted, FP32 | {:.3} | {:.3} | {:.2} |",
        7.0 * dense / 1e6,
        counted / 1e6,
        7.0 * dense / counted
    );
    assert!(markdown.contains(&row), "{row}: {markdown}");
    assert!(text.contains("counted on 70 images") && markdown.contains("Counted on 70 images"));
    check_spikes(&markdown, &spikes, &widths);
}

/// Two running estimates for each channel of a batch norm are memory, too.
#[test]
fn energy_counts_running_estimates_as_memory() {
    let folder = Folder::new();
    folder.succeed(&format!("train {} --epochs 1 --out run", FLAGS.replace("mlp", "lenet")));
    let mut config = config(1e-3, 0, 1);
    config.net.architecture = Architecture::Named(NetKind::LeNet);
    let trainer = by_hand::trainer(config);
    let weights: usize = trainer.parameters().iter().map(|(_, _, values)| values.len()).sum();
    let channels: usize = trainer.net().norms().iter().map(|norm| norm.mean.len()).sum();
    let got = json(&folder, "energy run --images 5");
    near(&got["Footprint"], 4.0 * (weights + 2 * channels) as f64);
}

/// The rows of the layers of neurons: spikes at each step and the rate, an image.
fn check_spikes(markdown: &str, spikes: &[[u64; 2]], widths: &[f64]) {
    for (k, width) in widths.iter().enumerate() {
        let of = |t: usize| spikes[k][t] as f64 / 70.0;
        let rate = 50.0 * (of(0) + of(1)) / width;
        let row = format!("| spike{} | {width} | {:.1} | {:.1} | {rate:.1} |", k + 1, of(0), of(1));
        assert!(markdown.contains(&row), "{row}: {markdown}");
    }
}

/// What JSON and table say of each layer, from inputs and operations at each step; gives the energies in all.
fn check_layer_energies(
    got: &Value,
    markdown: &str,
    names: &[String],
    sides: &[f64; 4],
    (active, effective): (&[[u64; 2]], &[[u64; 2]]),
) -> [f64; 3] {
    assert_eq!(names.len(), 3);
    let (mut ann, mut snn, mut counted) = (0.0, 0.0, 0.0);
    for k in 0..3 {
        let (macs, told) = (sides[k] * sides[k + 1], &got["layers"][k]);
        let rate = active[k].iter().sum::<u64>() as f64 / (sides[k] * 2.0 * 70.0);
        let work = effective[k].iter().sum::<u64>() as f64 / 70.0;
        near(&told["macs"], macs);
        near(&told["dense"], macs);
        near(&told["rate"], rate);
        assert_eq!(told["active"], serde_json::json!(active[k]));
        assert_eq!(told["effective"], serde_json::json!(effective[k]));
        assert_eq!(told["spikes"], Value::Bool(k > 0));
        let float = if k > 0 { 0.25 } else { 7.0 };
        let energies = &told["energies"];
        near(&energies[0]["ann_pj"], 3.0 * macs);
        near(&energies[0]["snn_pj"], 0.5 * macs * rate * 2.0);
        near(&energies[1]["snn_pj"], if k > 0 { 0.5 } else { 3.0 } * macs * rate * 2.0);
        near(&energies[2]["ann_pj"], 7.0 * macs);
        near(&energies[2]["snn_pj"], float * work);
        (ann, snn, counted) = (ann + 3.0 * macs, snn + 0.5 * macs * rate * 2.0, counted + float * work);
        let cells = [
            if k > 0 { "spikes" } else { "reals" }.to_string(),
            format!("{:.1}", 100.0 * rate),
            format!("{work:.0}"),
            format!("{:.1}", 100.0 * work / (2.0 * macs)),
            format!("{:.1}", 7.0 * macs / 1e3),
            format!("{:.1}", float * work / 1e3),
        ];
        let row = format!("| {} | {} | ", names[k], cells.join(" | "));
        assert!(markdown.contains(&row), "{row}: {markdown}");
    }
    [ann, snn, counted]
}

/// NeuroBench's figures.
fn check_energy_totals(folder: &Folder, got: &Value, trainer: &spikegrad::Trainer, spikes: &[[u64; 2]]) {
    let weights: usize = trainer.parameters().iter().map(|(_, _, values)| values.len()).sum();
    near(&got["Footprint"], 4.0 * weights as f64);
    let neurons: u64 = trainer.net().spikes(1).iter().map(|unit| unit.neurons).sum();
    let fired: u64 = spikes.iter().flatten().sum();
    near(&got["ActivationSparsity"], 1.0 - fired as f64 / (neurons * 2 * 70) as f64);
    near(&got["ConnectionSparsity"], 0.0);
    for (unit, want) in got["units"].as_array().unwrap().iter().zip(spikes) {
        assert_eq!(unit["spikes"], serde_json::json!(want));
    }
    let used = folder.succeed("energy --print-constants");
    assert!(used.contains("mac = 3.2, ac = 0.1") && used.contains("mac = 4.6, ac = 0.9"));
}

/// A perceptron of 768 pixels, its hidden widths, and ten classes: weights and multiply-adds by hand.
#[test]
fn plans_count_a_perceptron_by_hand() {
    let folder = Folder::new();
    let got = json(&folder, &format!("plan {FLAGS}"));
    let neurons = by_hand::trainer(config(1e-3, 0, 1)).net().spikes(1);
    let (a, b) = (neurons[0].neurons, neurons[1].neurons);
    let macs = 768 * a + a * b + b * 10;
    assert_eq!((&got["macs_per_step"], &got["neurons"]), (&macs.into(), &(a + b).into()));
    let layers = got["layers"].as_array().unwrap();
    assert_eq!(layers.iter().map(|layer| layer["macs"].as_u64().unwrap()).sum::<u64>(), macs);
    let parameters: u64 = layers.iter().map(|layer| layer["parameters"].as_u64().unwrap()).sum();
    assert_eq!(got["parameters"], parameters);
    assert!((macs..macs + 5 * (a + b) + 11).contains(&parameters), "{parameters}, {macs} of them weights");
    let bytes = &got["bytes"];
    assert_eq!(bytes["gradients"], 4 * parameters);
    assert_eq!(bytes["optimizer"], 8 * parameters, "Adam keeps two moments");
    let text = folder.succeed(&format!("plan {FLAGS}"));
    let mib = |key: &str| format!("{:.2} MiB", bytes[key].as_f64().unwrap() / 1_048_576.0);
    let parts = [
        ("weights", "weights"),
        ("gradients", "gradients"),
        ("optimizer", "optimizer"),
        ("saved for the backward", "saved"),
        ("workspace", "workspace"),
        ("total", "total"),
    ];
    for (words, key) in parts {
        assert!(
            text.lines().any(|line| line.starts_with(words) && line.ends_with(&mib(key))),
            "{key}: {text}"
        );
    }
    assert!(text.contains(&format!("{} neurons", a + b)), "{text}");
    let sgd = json(&folder, &format!("plan {FLAGS} --optimizer sgd"));
    assert_eq!(sgd["bytes"]["optimizer"], 4 * parameters);
}

/// The mean firing rate of the second step on eight random images from −2 to 2, labelled in turn: the first step is
/// there to warm up.
fn rate_of_the_second_step() -> f64 {
    let mut rng = spikegrad::data::rng::Rng::keyed(&[0]);
    let images: Vec<f32> = (0..8 * 768).map(|_| 4.0 * rng.uniform() - 2.0).collect();
    let labels: Vec<u32> = (0..8).collect();
    let mut trainer = by_hand::trainer(config(2e-3, 0, 6).batch(8));
    for _ in 0..2 {
        trainer.train_batch(&images, &labels, 0.0).unwrap();
    }
    mean(&trainer.rates().iter().map(|(_, rate)| *rate).collect::<Vec<_>>())
}

#[test]
fn speeds_follow_from_the_times_beside_them() {
    let folder = Folder::new();
    let flags = "--net mlp --width 0.1 --data synthetic:shapes --batch 8 --threads 2";
    let step = json(&folder, &format!("bench step {flags} --steps 4"));
    let times = |value: &Value| -> Vec<f64> { serde_json::from_value(value.clone()).unwrap() };
    let middle = median(&times(&step["steps"]));
    near(&step["median_s"], middle);
    near(&step["images_per_s"], 8.0 / middle);
    // Six operations a multiply-add, for forward and both gradients; eight images, two steps.
    let macs = by_hand::trainer(config(1e-3, 0, 1)).plan().macs_per_step as f64;
    near(&step["effective_gflops"], 6.0 * macs * 8.0 * 2.0 / middle / 1e9);
    let parts = ["forward_s", "backward_s", "optimizer_s"].map(|key| step[key].as_f64().unwrap());
    assert!(parts.iter().all(|part| *part > 0.0) && parts.iter().sum::<f64>() < 2.0 * middle, "{step}");
    let rows = json(&folder, &format!("bench layers {flags} --repeat 4"));
    let mut flops = 0.0;
    for row in rows.as_array().unwrap() {
        let ms = median(&times(&row["samples_ms"]));
        let number = |key: &str| row[key].as_f64().unwrap();
        near(&row["ms"], ms);
        near(&row["effective_gflops"], number("flops") / ms / 1e6);
        near(&row["percent_of_peak"], 100.0 * number("effective_gflops") / number("peak_gflops"));
        near(&row["gb_s"], number("bytes") / ms / 1e6);
        if row["layer"].as_str().unwrap().starts_with("fc") {
            let size = |key: &str| row["sizes"][key].as_f64().unwrap();
            // Eight images; two steps, but for the first layer, which reads the image once.
            assert_eq!(size("n"), if row["layer"] == "fc1" { 8.0 } else { 16.0 }, "{row}");
            near(&row["flops"], 2.0 * size("n") * size("in") * size("out"));
            flops += number("flops") * number("count");
        }
    }
    assert!(flops > 0.0, "{rows}");
    // Of a single step, the parts are within the whole.
    let one = json(&folder, &format!("bench step {flags} --steps 1"));
    let parts = ["forward_s", "backward_s", "optimizer_s"].map(|key| one[key].as_f64().unwrap());
    assert!(parts.iter().sum::<f64>() <= one["median_s"].as_f64().unwrap(), "{one}");
    near(&one["mean_rate"], rate_of_the_second_step());
    let text = folder.succeed(&format!("bench step {flags} --steps 1"));
    assert!(text.starts_with("mlp width 0.1 batch 8 T 2 on 2 threads"), "{text}");
}
