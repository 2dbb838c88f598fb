//! The commands that prove and measure.

mod common;

use common::Folder;

#[test]
fn every_help_ends_with_an_example() {
    let folder = Folder::new();
    for command in [
        "",
        "train",
        "eval",
        "ablate",
        "robustness",
        "energy",
        "parity",
        "gradcheck",
        "trace",
        "doctor",
        "plan",
        "info",
        "film",
        "figures",
    ] {
        let help = folder.succeed(&format!("{command} --help"));
        let last = help.trim_end().lines().last().unwrap_or("");
        assert!(last.starts_with("Example: spikegrad "), "{command}: {last}");
    }
}

#[test]
fn help_shows_what_a_setting_is_by_default() {
    let folder = Folder::new();
    for command in ["train", "plan", "ablate"] {
        let help =
            folder.succeed(&format!("{command} --help")).split_whitespace().collect::<Vec<_>>().join(" ");
        for words in [
            "Threshold V_th [default: 0.5]",
            "Weight decay [default: 0.0]",
            "Seed of all chance [default: 0]",
            "resnet19 for cifar10, cifar100",
        ] {
            assert!(help.contains(words), "{command}: {words:?} is missing in {help}");
        }
    }
    // Commands with defaults of their own tell those.
    for (command, words) in [
        ("trace", "Time steps T [default: 8]"),
        ("gradcheck", "Factor on the number of channels [default: 0.0625]"),
        ("bench step", "lists them [default: resnet19]"),
        ("bench layers", "[default: cifar10:random]"),
    ] {
        let help = folder.succeed(&format!("{command} --help"));
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains(words), "{command}: {words:?} is missing in {help}");
    }
    // What is told is what is used.
    folder.succeed("train --limit 50 --epochs 1 --out run");
    let config = String::from_utf8(folder.read("run/config.toml")).unwrap();
    for line in ["threshold = 0.5", "weight-decay = 0.0", "seed = 0", "net = \"lenet\"", "delta = 0.0001"] {
        assert!(config.lines().any(|there| there == line), "{line}: {config}");
    }
}

#[test]
fn gradients_pass_for_nets_resets_and_surrogates() {
    let folder = Folder::new();
    let cases = [
        "--net mlp",
        "--net lenet --surrogate triangle --reset soft --timesteps 3",
        "--net lenet --surrogate sigmoid --reset hard-detached --norm tdbn",
        "--net lenet --twin",
        "--net mlp --surrogate gaussian --reset soft-detached --loss tet --label-smoothing 0.1",
        "--net mlp --surrogate arctan --alpha 3 --decay 0.7 --threshold 0.3 --delta 0.4",
        "--net mlp --surrogate fast-sigmoid --loss tet --tet-lambda 0.3 --tet-phi 0.6 --beta 0.1",
        "--net mlp --surrogate dspike --timesteps 1",
    ];
    for case in cases {
        let out = folder.succeed(&format!("gradcheck {case}"));
        assert!(out.contains("ok; worst: "), "{case}: {out}");
    }
    folder.fail(1, "gradcheck --net mlp --tolerance 1e-15", &["above the tolerance", "fc"]);
}

#[test]
fn the_worst_gradient_is_told() {
    let folder = Folder::new();
    let rows: serde_json::Value =
        serde_json::from_str(&folder.succeed("gradcheck --net mlp --json -")).unwrap();
    let rows = rows.as_array().unwrap();
    let of = |check: &str| rows.iter().filter(|row| row["check"] == check).count();
    // Two hidden layers and the output, weight and bias each, by three witnesses; four convolutions on spikes and
    // dense, two gradients each.
    assert_eq!(of("tape"), of("smooth tape"));
    assert_eq!((of("tape"), of("differences"), of("adjoint")), (of("smooth tape"), of("tape"), 16));
    assert!(of("tape") >= 4, "{rows:?}");
    let error = |row: &serde_json::Value| row["error_relative"].as_f64().unwrap();
    let worst = rows.iter().max_by(|a, b| error(a).total_cmp(&error(b))).unwrap();
    let out = folder.succeed("gradcheck --net mlp");
    let told = format!(
        "ok; worst: {}, {}[{}]: got {:.6e}, want {:.6e}, relative error {:.1e}\n",
        worst["check"].as_str().unwrap(),
        worst["tensor"].as_str().unwrap(),
        worst["index"],
        worst["got"].as_f64().unwrap(),
        worst["want"].as_f64().unwrap(),
        error(worst)
    );
    assert!(out.ends_with(&told), "{told}: {out}");
    // f32 against f64 is never exact everywhere, and a row's error is at least its difference over the largest.
    let of_tape = || rows.iter().filter(|row| row["check"] == "tape");
    let largest = of_tape().map(|row| row["want"].as_f64().unwrap().abs()).fold(0.0, f64::max);
    assert!(of_tape().any(|row| row["index"] != 0), "the worst element is looked for");
    for row in of_tape() {
        let off = (row["got"].as_f64().unwrap() - row["want"].as_f64().unwrap()).abs();
        assert!(error(row) >= off / largest.max(1.0) * 0.999 && error(row) < 1e-4, "{row}");
    }
    // A tolerance between two errors lets one pass and the other not.
    let above = format!("{:e}", 0.99 * error(worst));
    folder.fail(1, &format!("gradcheck --net mlp --tolerance {above}"), &["above the tolerance"]);
    folder.succeed(&format!("gradcheck --net mlp --tolerance {:e}", 1.01 * error(worst)));
}

#[test]
fn a_step_of_pytorch_is_compared_tensor_by_tensor() {
    let folder = Folder::new();
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../models/tests/golden/resnet19-hard-sgs.safetensors");
    let good = std::fs::read(golden).unwrap();
    folder.write("good.safetensors", &good);
    let files: serde_json::Value =
        serde_json::from_str(&folder.succeed("parity good.safetensors --json -")).unwrap();
    assert_eq!((&files[0]["file"], &files[0]["passed"]), (&"good.safetensors".into(), &true.into()));
    let rows = files[0]["rows"].as_array().unwrap();
    let worst = rows.iter().map(|row| row["error_relative"].as_f64().unwrap()).fold(0.0, f64::max);
    assert!(worst > 0.0 && worst <= 1e-4, "{worst}");
    let out = folder.succeed("parity good.safetensors");
    assert!(
        out.starts_with(&format!("ok  good.safetensors: largest relative error {worst:.2e} in ")),
        "{out}"
    );
    assert!(out.contains(&format!("({} tensors)", rows.len())), "{out}");
    let all = folder.succeed("parity good.safetensors --all");
    assert_eq!(all.lines().count(), 1 + rows.len());
    // A reference whose numbers are 8 times as large, one exponent bit, is told.
    let header = 8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
    let mut bad = good.clone();
    for number in bad[header..].chunks_exact_mut(4).rev().take(40) {
        number[3] ^= 0x80;
    }
    folder.write("bad.safetensors", &bad);
    let output = folder.run("parity good.safetensors bad.safetensors");
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("bad.safetensors: ") && !errors.contains("good.safetensors"), "{errors}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("\nFAILED  bad.safetensors"));
}

#[test]
fn a_data_set_is_summed_up_by_its_classes() {
    let folder = Folder::new();
    let out = folder.succeed("info synthetic:shapes");
    assert!(
        out.starts_with("training: 6000 images of 3×16×16, 10 classes\ntest: 1000 images of 3×16×16"),
        "{out}"
    );
    let row = out.lines().find(|line| line.starts_with("7 horizontal-bars")).unwrap();
    assert_eq!(row.split_whitespace().skip(2).collect::<Vec<_>>(), ["600", "100"]);
}

#[test]
fn plans_count_the_papers_net() {
    let folder = Folder::new();
    let out = folder.succeed("plan --net resnet19 --data cifar10:nowhere --json -");
    let plan: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(plan["parameters"], 12_630_858);
    let bytes = plan["bytes"].as_object().unwrap();
    let sum: u64 = bytes.iter().filter(|(key, _)| *key != "total").filter_map(|(_, n)| n.as_u64()).sum();
    assert_eq!(bytes["total"].as_u64(), Some(sum));
}

#[test]
fn the_books_figures_are_as_the_functions_draw_them() {
    let folder = Folder::new();
    folder.succeed("figures drawn");
    let committed = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/figures");
    assert_eq!(folder.list("drawn").len(), 4);
    for name in folder.list("drawn") {
        let want = std::fs::read(committed.join(&name)).unwrap_or_default();
        assert!(
            folder.read(&format!("drawn/{name}")) == want,
            "docs/figures/{name}: draw it anew with `figures`"
        );
    }
}
