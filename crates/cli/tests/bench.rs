//! `spikegrad bench`: every figure of the contract, tiny sizes, and bad input.

mod common;

use common::{Folder, assert_numbers};
use serde_json::Value;

/// Runs a command and reads the JSON it prints.
#[track_caller]
fn figures(folder: &Folder, arguments: &str) -> Value {
    serde_json::from_str(&folder.succeed(arguments)).unwrap()
}

/// A net whose kernels take microseconds.
const TINY: &str = "--net resnet19 --width 0.05 --batch 2 --data synthetic:shapes --repeat 1 --threads 2";

#[test]
fn every_help_ends_with_an_example() {
    let folder = Folder::new();
    for command in ["peak", "layers", "step", "compare"] {
        let help = folder.succeed(&format!("bench {command} --help"));
        let last = help.trim_end().lines().last().unwrap_or("");
        assert!(last.starts_with("Example: spikegrad bench "), "{command}: {last}");
    }
}

#[test]
fn step_gives_every_figure() {
    let folder = Folder::new();
    let flags = "--net mlp --width 0.1 --data synthetic:shapes --batch 8 --steps 2 --threads 2 --json -";
    let figures = figures(&folder, &format!("bench step {flags}"));
    assert_numbers(&figures, "width batch timesteps threads trained");
    assert_numbers(&figures, "median_s forward_s backward_s optimizer_s images_per_s effective_gflops");
    assert_numbers(&figures, "peak_rss_bytes mean_rate");
    assert_eq!(figures["steps"].as_array().map(Vec::len), Some(2));
    assert!(figures["net"] == "mlp" && figures["level"].is_string() && figures["memory"] == "f32");
}

#[test]
fn a_trained_net_is_measured_on_real_images() {
    let folder = Folder::new();
    let flags = "--net mlp --width 0.1 --batch 20 --limit 60 --steps 2 --memory bf16 --json -";
    let figures =
        figures(&folder, &format!("bench step --trained 5 --data synthetic:shapes {flags} --threads 2"));
    assert_eq!((&figures["trained"], &figures["memory"]), (&5.into(), &"bf16".into()));
    assert_eq!(figures["steps"].as_array().map(Vec::len), Some(2));
    let rate = figures["mean_rate"].as_f64().unwrap();
    assert!(0.0 < rate && rate < 1.0, "{rate}");
    folder.fail(2, &format!("bench step --trained 5 {flags}"), &["--trained", "--data"]);
    folder.fail(1, "bench step --trained 5 --data cifar10:nowhere", &["nowhere"]);
    folder.fail(2, "bench step --steps 0", &["--steps is 0"]);
}

#[test]
fn peak_gives_every_figure() {
    let folder = Folder::new();
    let figures = figures(&folder, "bench peak --repeat 1 --mib 1 --level baseline --threads 2 --json -");
    assert_numbers(&figures, "peak_gflops peak_gflops_one_thread read_gb_s copy_gb_s write_gb_s triad_gb_s");
    assert_eq!((&figures["level"], &figures["threads"]), (&"baseline".into(), &2.into()));
    let text = folder.succeed("bench peak --repeat 1 --mib 1");
    assert!(text.contains("GFLOP/s") && text.contains("GB/s"), "{text}");
    folder.fail(2, "bench peak --mib 0", &["--mib is 0"]);
    folder.fail(2, "bench peak --mib 1000000", &["--mib is 1000000", "16384"]);
    folder.fail(2, "bench peak --repeat 0", &["--repeat is 0"]);
    folder.fail(2, "bench peak --level mmx", &["mmx"]);
}

#[test]
fn layers_are_timed_and_right() {
    let folder = Folder::new();
    let rows = figures(&folder, &format!("bench layers {TINY} --roofline roof.svg --json -"));
    let rows = rows.as_array().unwrap();
    let passes = ["forward", "input gradient", "weight gradient", "norm statistics", "norm gradient"];
    for pass in passes.into_iter().chain(["neurons forward", "neurons backward"]) {
        assert!(rows.iter().any(|row| row["pass"] == pass), "{pass}");
    }
    for row in rows {
        assert!(row["layer"].is_string() && row["shape"].is_string(), "{row}");
        assert_numbers(row, "ms effective_gflops percent_of_peak density max_rel_error gb_s count");
        assert!(row["max_rel_error"].as_f64().unwrap() < 1e-5, "{row}");
        assert_eq!(row["samples_ms"].as_array().map(Vec::len), Some(1));
    }
    // The stem reads the image, whose gradient nobody wants; each of the 20 convolutions is counted once.
    let stem: Vec<&Value> = rows.iter().filter(|row| row["layer"] == "conv1").collect();
    assert!(stem.len() == 2 && stem[0]["density"] == 1.0, "{stem:?}");
    let conv = rows.iter().filter(|row| row["sizes"]["kernel"].is_number() && row["pass"] == "forward");
    assert_eq!(conv.map(|row| row["count"].as_u64().unwrap()).sum::<u64>(), 20);
    let svg = String::from_utf8(folder.read("roof.svg")).unwrap();
    assert!(svg.contains("FMA peak") && svg.contains("neurons backward") && svg.ends_with("</svg>\n"));

    let text = folder.succeed(&format!("bench layers {TINY} --only layer3.0 --spike-kernel lists"));
    assert!(text.contains("layer3.0.downsample.0") && !text.contains("layer2."), "{text}");
    folder.fail(1, &format!("bench layers {TINY} --roofline roof.svg"), &["roof.svg", "exists"]);
}

#[test]
fn layers_of_other_nets() {
    let folder = Folder::new();
    for net in ["lenet --width 0.2", "mlp --width 0.1", "lenet --width 0.2 --twin --timesteps 1"] {
        let common = "--batch 2 --data synthetic:shapes --repeat 1 --threads 2";
        let rows = figures(&folder, &format!("bench layers --net {net} {common} --json -"));
        assert!(rows.as_array().unwrap().len() > 8, "{net}");
    }
}

#[test]
fn sweeps_draw_both_kernels() {
    let folder = Folder::new();
    let flags = format!("bench layers {TINY} --only layer3.1.conv --sweep sweep.svg");
    folder.fail(2, &format!("{flags} --roofline r.svg"), &["--roofline"]);
    folder.fail(2, &flags, &["--only layer3.1.conv", "layer3.0.conv2"]);
    let flags = flags.replace("layer3.1.conv", "layer3.0.conv2");
    let figures = figures(&folder, &format!("{flags} --json -"));
    assert_numbers(&figures, "peak_gflops threads repeats");
    let points = figures["points"].as_array().unwrap();
    assert_eq!(points.len(), 12 * 2 * 2);
    assert_numbers(&points[0], "density ms effective_gflops");
    let svg = String::from_utf8(folder.read("sweep.svg")).unwrap();
    assert!(svg.contains("FMA peak") && svg.contains("look-up") && svg.contains("weight gradient"));
    folder.fail(2, "bench layers --net mlp --sweep other.svg", &["--sweep", "convolution over spikes"]);
}

#[test]
fn layers_refuse_what_makes_no_sense() {
    let folder = Folder::new();
    for (flags, word) in [
        ("--density 0", "--density is 0"),
        ("--density 1.5", "--density is 1.5"),
        ("--density nan", "--density is NaN"),
        ("--repeat 0", "--repeat is 0"),
        ("--spike-kernel fast", "lookup"),
        ("--net vgg", "lenet"),
        ("--level mmx", "mmx"),
    ] {
        folder.fail(2, &format!("bench layers {flags}"), &[word]);
    }
}

#[test]
fn comparisons_of_steps() {
    let folder = Folder::new();
    folder.write("a.json", br#"{"steps": [2.0, 2.1, 1.9, 2.05, 2.02], "batch": 16, "net": "mlp"}"#);
    folder.write("b.json", br#"{"steps": [1.0, 1.1, 0.9, 1.05, 1.02], "batch": 32, "torch": "2.5.1"}"#);
    let all = figures(&folder, "bench compare a.json b.json --json -");
    let row = &all["rows"][0];
    assert_numbers(row, "ratio low high p median_a median_b");
    assert_eq!(row["b_is"], "faster");
    assert!((row["ratio"].as_f64().unwrap() - 2.02 / 1.02).abs() < 1e-12);
    assert_eq!(all, figures(&folder, "bench compare a.json b.json --json -"), "the seed decides");
    let text = folder.succeed("bench compare b.json a.json");
    assert!(text.contains("slower") && text.contains("batch 32 against 16"), "{text}");
    let text = folder.succeed("bench compare a.json a.json");
    assert!(text.contains("no difference shown"), "{text}");
}

#[test]
fn comparisons_of_layers() {
    let folder = Folder::new();
    folder
        .succeed(&format!("bench layers {TINY} --json a.json --only fc").replace("--repeat 1", "--repeat 4"));
    folder.succeed(
        &format!("bench layers {TINY} --json b.json --only fc1").replace("--repeat 1", "--repeat 4"),
    );
    let all = figures(&folder, "bench compare a.json b.json --json -");
    assert_eq!(all["rows"].as_array().map(Vec::len), Some(3));
    assert_eq!(all["unmatched"], 5, "fc2's passes and the neurons' stand in one file");
    assert_numbers(&all, "geometric_mean_ratio");
    folder.write("steps.json", br#"{"steps": [1.0]}"#);
    folder.fail(1, "bench compare a.json steps.json", &["a.json", "nothing in common", "training step"]);
}

/// Two rows with ratios of 2 and 8: their geometric mean is 4.
#[test]
fn comparisons_say_what_the_times_say() {
    let folder = Folder::new();
    let rows = |a: f64, b: f64, more: &str| {
        let row = |layer: &str, ms: f64| {
            format!(
                "{{\"layer\": \"{layer}\", \"shape\": \"s\", \"pass\": \"p\", \"samples_ms\": [{ms}, {ms}, {ms}, {ms}]}}"
            )
        };
        format!("[{}, {}{more}]", row("one", a), row("two", b)).into_bytes()
    };
    let alone = ", {\"layer\": \"three\", \"shape\": \"s\", \"pass\": \"p\", \"samples_ms\": [1.0]}";
    folder.write("a.json", &rows(6.0, 24.0, alone));
    folder.write("b.json", &rows(3.0, 3.0, ""));
    let all = figures(&folder, "bench compare a.json b.json --json -");
    assert!((all["geometric_mean_ratio"].as_f64().unwrap() - 4.0).abs() < 1e-12);
    assert_eq!((&all["unmatched"], &all["a"], &all["seed"]), (&1.into(), &"a.json".into(), &0.into()));
    let row = &all["rows"][1];
    assert_eq!((&row["what"], &row["ratio"], &row["low"]), (&"two s p".into(), &8.0.into(), &8.0.into()));
    assert_eq!((&row["median_a"], &row["median_b"]), (&24.0.into(), &3.0.into()));
    assert_eq!((&row["samples_a"], &row["b_is"]), (&4.into(), &"faster".into()));
    // Four against four, none in between: 2 of the 70 choices of ranks are as uneven.
    assert!((row["p"].as_f64().unwrap() - 2.0 / 70.0).abs() < 1e-12);
    let text = folder.succeed("bench compare a.json b.json");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("two s p 24.0000 3.0000 8.000 8.000 to 8.000 0.0286 faster"), "{text}");
    assert!(text.contains("Geometric mean of A / B: 4.000. Of 2 rows, 0.1 would show"), "{text}");
    assert!(text.contains("1 rows stand in one file alone"), "{text}");
}

#[test]
fn comparisons_of_bad_files() {
    let folder = Folder::new();
    folder.write("good.json", br#"{"steps": [1.0, 2.0]}"#);
    let cases: [(&[u8], &str); 9] = [
        (b"", "EOF"),
        (b"{\"steps\": [1.0", "EOF"),
        (b"\xff\xfe", "UTF-8"),
        (b"7", "expected an object"),
        (b"{}", "\"steps\""),
        (b"{\"steps\": []}", "0 times"),
        (b"{\"steps\": [1.0, -1.0, \"x\"]}", "2 of them"),
        (b"[]", "empty"),
        (b"[{\"layer\": \"a\", \"shape\": \"b\", \"pass\": \"c\"}]", "samples_ms"),
    ];
    for (text, word) in cases {
        folder.write("bad.json", text);
        folder.fail(1, "bench compare good.json bad.json", &["bad.json", word]);
    }
    folder.write("bad.json", b"[{\"layer\": 3}]");
    folder.fail(1, "bench compare bad.json good.json", &["bad.json", "row 0", "layer"]);
    folder.fail(1, "bench compare good.json none.json", &["none.json"]);
    folder.fail(2, "bench compare good.json", &["B.json"]);
}
