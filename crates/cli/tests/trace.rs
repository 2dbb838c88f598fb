//! The gradient microscope: its files, and a page whose own neuron is the trainer's.

mod common;

use common::Folder;
use common::browser::{browse, node};
use serde_json::Value;

/// A trace that takes a second.
const SMALL: &str =
    "trace --net mlp --width 0.1 --timesteps 5 --batch 10 --train-steps 5 --limit 100 --out out";

/// The data of a page.
fn data(page: &str) -> Value {
    let (_, rest) = page.split_once("id=\"data\">").expect("the page holds its data");
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

/// The page's own neuron, as it stands in the page.
fn neuron(page: &str) -> &str {
    let (_, rest) = page.split_once("<script>\n").unwrap();
    rest.split_once("</script>").unwrap().0
}

#[test]
fn a_trace_leaves_tables_and_a_page() {
    let folder = Folder::new();
    let out = folder.succeed(SMALL);
    assert!(out.contains("mlp on synthetic:shapes, T = 5: test image "), "{out}");
    assert_eq!(folder.list("out"), [".lock", "layers.csv", "trace.csv", "trace.html"]);
    let csv = String::from_utf8(folder.read("out/trace.csv")).unwrap();
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    // Three neurons of each of two layers, five steps.
    assert_eq!(rows.len(), 1 + 2 * 3 * 5);
    let column = |name: &str| rows[0].iter().position(|c| *c == name).unwrap();
    let at = |row: &[&str], name: &str| -> f32 { row[column(name)].parse().unwrap() };
    for pair in rows[1..].windows(2) {
        let [now, next] = pair else { unreachable!() };
        if at(next, "t") == 0.0 {
            assert_eq!(at(now, "a"), 0.0, "nothing reads the last membrane");
            continue;
        }
        // u[t+1] = τ·m[t] + x[t+1]; a[t] = τ·∂L/∂u[t+1]: τ is a half, so both are exact but for one rounding.
        assert_eq!(at(next, "u"), 0.5 * at(now, "m") + at(next, "x"), "{now:?} {next:?}");
        assert_eq!(at(now, "a"), 0.5 * at(next, "dL_du"), "{now:?} {next:?}");
        assert_eq!(at(now, "G"), at(now, "e") - at(now, "a") * at(now, "u"), "{now:?}");
        assert_eq!(at(now, "o") == 1.0, at(now, "u") > 0.5, "{now:?}");
    }
    assert!(rows[1..].iter().any(|row| at(row, "dL_du") != 0.0));
    let layers = String::from_utf8(folder.read("out/layers.csv")).unwrap();
    assert_eq!(layers.lines().count(), 1 + 2 * 5);
}

/// A bare `trace` is the first thing that people see: its neurons have gradients, and a net's answer beside the image.
#[test]
fn a_bare_trace_shows_neurons_that_learn() {
    let folder = Folder::new();
    let out = folder.succeed("trace --out out");
    let page = String::from_utf8(folder.read("out/trace.html")).unwrap();
    let data = data(&page);
    let neurons = data["neurons"].as_array().unwrap();
    let live = |n: &&Value| n["steps"]["du"].as_array().unwrap().iter().any(|v| v.as_f64() != Some(0.0));
    let live = neurons.iter().filter(live).count();
    assert_eq!(neurons.len(), 12);
    assert!(live >= 10, "{live} of 12 neurons get a gradient");
    assert_eq!(out.contains("get no gradient"), live < 12, "{out}");
    assert!(page.contains("data:image/png;base64,"), "the image is shown");
    // The logits beside it: the answer has the largest, and the trained net is right.
    let logits = data["logits"].as_array().unwrap();
    let value = |pair: &Value| pair[1].as_f64().unwrap();
    let top = logits.iter().max_by(|a, b| value(a).total_cmp(&value(b))).unwrap();
    assert_eq!((logits.len(), &top[0]), (10, &data["answer"]));
    assert_eq!(data["answer"], data["class"], "{out}");
    // It was trained until its loss was below a half, so that of this batch is far below that of a guess, ln 10 = 2.3.
    let loss: f64 =
        out.split("loss of its batch ").nth(1).unwrap().split(".\n").next().unwrap().parse().unwrap();
    assert!(loss < 1.2, "{out}");
    // An image of the user's own choice stays that.
    let chosen = folder.succeed("trace --sample 7 --train-steps 3 --out seven");
    assert!(chosen.contains("test image 7"), "{chosen}");
}

#[test]
fn the_pages_neuron_is_the_trainers() {
    let surrogates = ["rectangle", "triangle", "arctan", "fast-sigmoid", "sigmoid", "gaussian", "dspike"];
    let resets = ["hard", "soft", "hard-detached", "soft-detached"];
    for (k, surrogate) in surrogates.into_iter().enumerate() {
        let folder = Folder::new();
        let (reset, delta) = (resets[k % 4], ["0.3", "-0.7"][k % 2]);
        let flags =
            format!("--surrogate {surrogate} --reset {reset} --delta {delta} --decay 0.7 --threshold 0.4");
        folder.succeed(&format!("{SMALL} {flags}"));
        let page = String::from_utf8(folder.read("out/trace.html")).unwrap();
        let program = format!(
            "{}\nconst data = {};\n\
             console.log(Math.max(...data.neurons.map((n) =>\n\
               neuron.distance(neuron.run(data.lif, n.steps.x, n.steps.e), n.steps))));",
            neuron(&page),
            data(&page)
        );
        let Some(answer) = node(&program) else {
            println!("skipped: no node to run the page's script");
            return;
        };
        let distance: f64 = answer.trim().parse().unwrap();
        // Sums, products and quotients round alike everywhere; exp, cosh and tanh may differ in their last places,
        // which enters h, and through it every gradient of T = 5 steps.
        let bound = if k < 4 { 0.0 } else { 5.0 * 4.0 };
        assert!(
            distance <= bound,
            "{surrogate} {reset}: {distance} units in the last place, at most {bound}"
        );
        // The test would see a wrong formula: the other resets are far away.
        let other = program
            .replace("data.lif,", "{ ...data.lif, reset: 'soft' === data.lif.reset ? 'hard' : 'soft' },");
        let far: f64 = node(&other).unwrap().trim().parse().unwrap();
        assert!(far > 1000.0, "{surrogate} {reset}: another reset is {far} away");
    }
}

#[test]
fn the_page_opens_without_errors() {
    let folder = Folder::new();
    folder.succeed(&format!("{SMALL} --layers spike2 --per-layer 2"));
    let Some(opened) = browse(&folder, "out/trace.html") else { return };
    assert!(opened.errors.is_empty(), "{:?}", opened.errors);
    assert!(opened.dom.contains("data-distance=\"0\""), "the page says that its numbers are the trainer's");
    for drawn in [
        "∂L/∂u",
        "class=\"column\" data-t=\"4\"",
        "<option value=\"1\">spike2",
        "Gradient norm",
        "bit for bit",
    ] {
        assert!(opened.dom.contains(drawn), "{drawn:?} is on the page");
    }
    assert!(
        opened.detail > 50,
        "the screenshot is a picture, not a blank: {} different runs of bytes",
        opened.detail
    );
}

#[test]
fn what_is_not_there_is_named() {
    let folder = Folder::new();
    folder.fail(2, &format!("{SMALL} --neuron spike1:99,0,0"), &["99,0,0", "spike1", "26×1×1"]);
    folder.fail(2, &format!("{SMALL} --neuron spike1"), &["LAYER:CHANNEL,ROW,COLUMN"]);
    folder.fail(2, &format!("{SMALL} --layers spike7"), &["spike7", "spike1, spike2"]);
    folder.fail(2, &format!("{SMALL} --sample 1000000"), &["--sample is 1000000"]);
    folder.fail(2, &format!("{SMALL} --twin"), &["--twin"]);
    folder.fail(1, "trace nowhere", &["nowhere", "no such run"]);
    assert!(folder.list("out").is_empty());
}
