//! Flags and settings have types: a value that is none of a setting's is refused before anything runs, with those that are.

mod common;

use common::{Folder, SMALL};

/// Every setting with a name for a value, a wrong one, and words of the list that must be told.
const NAMES: [(&str, &str, &[&str]); 21] = [
    ("data", "imagenet:x", &["imagenet", "cifar10:DIR", "synthetic:shapes"]),
    ("augment", "zoom", &["zoom", "crop,flip,cutout,autoaugment", "flip,roll,jitter,drop"]),
    ("frames", "bins", &["bins", "window:MICROSECONDS"]),
    ("values", "reals", &["reals", "counts, binary or normalised"]),
    ("resample", "cubic", &["cubic", "nearest or area"]),
    ("sensor", "big", &["big", "WIDTHxHEIGHT"]),
    ("net", "transformer", &["transformer", "resnet19, lenet, mlp"]),
    ("norm", "layer", &["layer", "bn, tdbn"]),
    ("init", "zeros", &["zeros", "uniform, kaiming"]),
    ("reset", "never", &["never", "hard, hard-detached, soft, soft-detached"]),
    ("surrogate", "step", &["step", "rectangle, triangle, arctan"]),
    ("loss", "huber", &["huber", "ce, mse, tet"]),
    ("readout", "first", &["first", "mean, sum, last, max, latency"]),
    ("neuron", "frog", &["frog", "lif, if, plif, diet-snn, alif, synaptic, glif, integrator"]),
    ("firing", "below", &["below", "above, at-or-above"]),
    ("input-scale", "half", &["half", "one, leak, or a number"]),
    ("optimizer", "lion", &["lion", "adam, adamw, sgd"]),
    ("schedule", "linear", &["linear", "cosine, constant, step"]),
    ("memory", "disk", &["disk", "f32, bf16, recompute"]),
    ("input-gradient", "fft", &["fft", "auto, direct, winograd2, winograd4"]),
    ("delta-kernels", "maybe", &["maybe", "auto, off, on"]),
];

#[test]
fn a_wrong_name_is_refused_with_the_known_ones() {
    let folder = Folder::new();
    for (setting, wrong, words) in NAMES {
        let flag = format!("'{wrong}' for '--{setting} ");
        let words: Vec<&str> = words.iter().copied().chain([&flag[..]]).collect();
        for command in ["train", "plan", "ablate"] {
            folder.fail(2, &format!("{command} --{setting} {wrong}"), &words[..]);
        }
    }
    folder.fail(2, "bench layers --spike-kernel fast", &["fast", "auto, lookup, lists"]);
    folder.fail(2, "plan --precision f16", &["f16", "f32"]);
    folder.fail(2, "robustness run --noise-space log", &["log", "pixel or normalised"]);
    folder.fail(2, "train --level mmx", &["'mmx' for '--level", "baseline"]);
    assert!(folder.list("runs").is_empty());
}

#[test]
fn a_wrong_name_in_a_file_is_told_with_its_line() {
    let folder = Folder::new();
    for (setting, wrong, words) in NAMES {
        folder.write("settings.toml", format!("epochs = 1\n{setting} = {wrong:?}\n").as_bytes());
        let words: Vec<&str> = words.iter().copied().chain(["settings.toml: line 2"]).collect();
        folder.fail(1, "train --config settings.toml", &words);
    }
    assert!(folder.list("runs").is_empty());
}

#[test]
fn a_file_of_an_older_version_still_says_the_same() {
    let folder = Folder::new();
    // As the versions before typed settings wrote it.
    let old = "data = \"synthetic:shapes\"\nlimit = 100\naugment = \"crop, flip\"\nnet = \"mlp\"\nwidth = 0.1\ntimesteps = 2\n\
               norm = \"bn\"\ntwin = false\ninit = \"uniform\"\nthreshold = 0.5\ndecay = 0.5\nreset = \"soft\"\n\
               surrogate = \"arctan\"\nalpha = 2.0\ndelta = 0.0001\nloss = \"ce\"\noptimizer = \"sgd\"\nlr = 0.01\n\
               schedule = \"constant\"\nbatch = 20\nepochs = 1\nseed = 3\nprecision = \"f32\"\nmemory = \"bf16\"\n\
               input-gradient = \"direct\"\ndelta-kernels = \"off\"\n";
    folder.write("old.toml", old.as_bytes());
    folder.succeed("train --config old.toml --out run");
    let written = String::from_utf8(folder.read("run/config.toml")).unwrap();
    for line in old.lines() {
        assert!(written.lines().any(|have| have == line), "{line} in {written}");
    }
}

#[test]
fn commands_that_look_at_a_run_take_the_same_flags() {
    let folder = Folder::new();
    let common = [
        "--best",
        "--config <FILE>",
        "--data <NAME[:DIR]>",
        "--holdout <N>",
        "--cache <DIR>",
        "--level <NAME>",
    ];
    for command in ["eval", "doctor", "trace", "energy", "robustness"] {
        let help = folder.succeed(&format!("{command} --help"));
        for flag in common {
            assert!(help.contains(flag), "{command}: {flag} in {help}");
        }
        assert!(!help.contains("--optimizer"), "{command} trains nothing of a run: {help}");
    }
    folder.succeed(&format!("train {SMALL} --epochs 1 --out run"));
    for look in [
        "doctor run --best --batches 1",
        "trace run --best --out traced",
        "doctor run/best.safetensors --batches 1",
    ] {
        folder.succeed(look);
    }
    // What a net is made of belongs to nets that are made; a run has its own.
    folder.fail(2, "trace run --net lenet", &["--net", "cannot be used with"]);
    folder.fail(2, "doctor run --batch 7", &["--batch"]);
    // Other settings are the user's to give.
    folder.write("hard.toml", b"net = \"mlp\"\nwidth = 0.1\nlimit = 200\nbatch = 20\nthreshold = 50\n");
    let out = folder.succeed("doctor run --config hard.toml --batches 1");
    assert!(out.contains("spike1: 100 % of its neurons never fire"), "{out}");
}
