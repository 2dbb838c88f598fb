//! `nets`, `neurons` and the flags that choose a neuron.

mod common;

use common::Folder;

fn json(arguments: &str) -> serde_json::Value {
    serde_json::from_str(&Folder::new().succeed(&format!("{arguments} --json -"))).unwrap()
}

#[test]
fn nets_are_listed_with_their_parameters() {
    let nets = json("nets");
    let parameters = |name: &str| {
        let row = nets.as_array().unwrap().iter().find(|row| row["name"] == name);
        row.unwrap_or_else(|| panic!("no net {name}"))["parameters"].as_u64().unwrap()
    };
    // ResNet-18 for CIFAR: 3·64·9 + 2·64 in the stem, then 147,968 + 525,568 + 2,099,712 + 8,393,728 in the stages, 5,130
    // in the last layer.
    assert_eq!(parameters("resnet18"), 1_856 + 147_968 + 525_568 + 2_099_712 + 8_393_728 + 5_130);
    assert_eq!(parameters("sew-resnet18"), parameters("resnet18"));
}

#[test]
fn neurons_are_listed_with_what_they_learn() {
    let neurons = json("neurons");
    let names: Vec<&str> =
        neurons.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["lif", "if", "plif", "diet-snn", "alif", "synaptic", "glif", "integrator"]);
    assert_eq!(neurons[3]["parameters"], serde_json::json!(["w", "threshold"]));
}

/// The MLP has two layers of 256 neurons, 16 at width 1/16.
#[test]
fn learned_numbers_are_parameters() {
    let parameters =
        |flags: &str| json(&format!("plan --net mlp --width 0.0625 {flags}"))["parameters"].as_u64().unwrap();
    let lif = parameters("");
    let hidden = 16 + 16;
    for (flags, more) in [
        ("--neuron plif", 2),
        ("--neuron diet-snn", 4),
        ("--neuron diet-snn --learn-decay=no", 2),
        ("--neuron plif --learn-decay=channel", hidden),
        ("--learn-threshold=channel", hidden),
        ("--neuron alif --learn-kind", 4),
        ("--neuron synaptic --learn-kind", 2),
        // Decay, three gates, leak, reset, and a conductance for each of two steps.
        ("--neuron glif --timesteps 2", 2 * 8),
    ] {
        assert_eq!(parameters(flags), lif + more, "{flags}");
    }
}

#[test]
fn any_neuron_is_proven_from_the_command_line() {
    for neuron in ["alif", "glif"] {
        let out = Folder::new().succeed(&format!("gradcheck --net mlp --neuron {neuron} --timesteps 2"));
        assert!(out.contains("ok; worst:"), "{neuron}: {out}");
    }
}

/// A loss on read-outs trains, and its settings are kept with the run.
#[test]
fn read_outs_and_squares_train() {
    let folder = Folder::new();
    let flags =
        "--net mlp --width 0.05 --limit 40 --batch 10 --epochs 1 --readout sum --loss mse --mse-correct 1.5";
    folder.succeed(&format!("train {flags} --out run"));
    let config = String::from_utf8(folder.read("run/config.toml")).unwrap();
    for line in ["readout = \"sum\"", "loss = \"mse\"", "mse-correct = 1.5", "mse-incorrect = 0.0"] {
        assert!(config.lines().any(|own| own == line), "{line}: {config}");
    }
    let words = ["the f64 reference reads out the mean over time, not"];
    folder.fail(2, "gradcheck --net mlp --readout last", &words);
}

/// Every command that looks into a run takes nets whose norms have a row for each time step.
#[test]
fn norms_of_single_steps_are_looked_into() {
    for norm in ["step-bn", "bntt", "tebn"] {
        let folder = Folder::new();
        let flags = "--net lenet --width 0.2 --limit 40 --batch 10 --epochs 1 --timesteps 3";
        folder.succeed(&format!("train {flags} --norm {norm} --out run"));
        let looks =
            ["doctor run --batches 1", "energy run --images 5", "trace run --out t", "eval run", "info run"];
        looks.iter().for_each(|look| drop(folder.succeed(look)));
    }
}

#[test]
fn numbers_of_another_neuron_are_refused() {
    let folder = Folder::new();
    folder.fail(2, "plan --neuron lif --synapse 0.5", &["--synapse is no number of the neuron lif"]);
    let words = ["reset value is 0.1, must be 0 where the reset is soft"];
    folder.fail(2, "plan --reset soft --reset-value 0.1", &words);
    folder.fail(2, "plan --learn-kind", &["--learn-kind: the neuron lif has no numbers of its kind"]);
    let words = ["input scale is leak, must be one"];
    folder.fail(2, "plan --neuron glif --input-scale leak", &words);
    let words = ["reset value is 0.1, must be at most 0 where the threshold is learned"];
    folder.fail(2, "plan --learn-threshold --reset-value 0.1", &words);
    folder.fail(2, "plan --neuron frog", &["no neuron is called \"frog\"", "alif"]);
}
