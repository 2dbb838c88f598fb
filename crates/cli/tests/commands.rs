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
    ];
    for case in cases {
        let out = folder.succeed(&format!("gradcheck {case}"));
        assert!(out.contains("ok; worst: "), "{case}: {out}");
    }
    folder.fail(1, "gradcheck --net mlp --tolerance 1e-15", &["above the tolerance", "fc"]);
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
    assert_eq!(folder.list("drawn").len(), 3);
    for name in folder.list("drawn") {
        let want = std::fs::read(committed.join(&name)).unwrap_or_default();
        assert!(
            folder.read(&format!("drawn/{name}")) == want,
            "docs/figures/{name}: draw it anew with `figures`"
        );
    }
}
