//! What a setting is when nobody gives it: one table, by data set.

use super::RunConfig;
use super::names::{DeltaName, InputGradientName, LossName, OptimizerName, Precision, ScheduleName};
use serde_json::{Map, Value};
use spikegrad::bptt::surrogate::{self, Surrogate};
use spikegrad::bptt::{Readout, Reset};
use spikegrad::data::Source;
use spikegrad::data::events::{Resample, Slicing, Values};
use spikegrad::models::{Init, Memory, NetKind, Norm};
use std::collections::BTreeMap;

/// What differs between data sets.
struct Row {
    net: NetKind,
    batch: usize,
    epochs: usize,
    lr: f32,
    augment: &'static str,
    timesteps: usize,
}

/// How events become frames, where nobody says.
struct EventRow {
    values: Values,
    /// Rows and columns; 0: the sensor's.
    size: usize,
}

/// The table: a bare `spikegrad train` takes minutes, images in colour follow the paper.
fn row(source: &Source) -> Row {
    match source {
        Source::Images(set, _) if set.channels > 1 => Row {
            net: NetKind::ResNet19,
            batch: 100,
            epochs: 150,
            lr: 1e-3,
            augment: "crop,flip",
            timesteps: 2,
        },
        Source::Images(..) => {
            Row { net: NetKind::LeNet, batch: 100, epochs: 10, lr: 1e-3, augment: "none", timesteps: 2 }
        }
        Source::NMnist(_) => Row {
            net: NetKind::EventNet,
            batch: 20,
            epochs: 20,
            lr: 2e-3,
            augment: "roll,drop",
            timesteps: 10,
        },
        Source::Cifar10Dvs(_) | Source::Events(_) => Row {
            net: NetKind::VggSnn,
            batch: 20,
            epochs: 100,
            lr: 1e-3,
            augment: "flip,roll",
            timesteps: 10,
        },
        Source::Motion => {
            Row { net: NetKind::EventNet, batch: 50, epochs: 6, lr: 2e-3, augment: "none", timesteps: 8 }
        }
        // Generated images, and any set that has no row of its own.
        _ => Row { net: NetKind::LeNet, batch: 50, epochs: 6, lr: 2e-3, augment: "none", timesteps: 2 },
    }
}

/// The same for frames; none for images.
fn event_row(source: &Source) -> Option<EventRow> {
    match source {
        Source::NMnist(_) | Source::Motion => Some(EventRow { values: Values::Binary, size: 0 }),
        Source::Cifar10Dvs(_) | Source::Events(_) => Some(EventRow { values: Values::Counts, size: 48 }),
        _ => None,
    }
}

/// The data set of a bare command.
pub const DATA: Source = Source::Shapes;

/// Gives every setting that has a default; `limit`, `holdout`, `window` and `alpha` have none.
pub fn of(source: &Source) -> RunConfig {
    let Row { net, batch, epochs, lr, augment, timesteps } = row(source);
    let events = event_row(source);
    let events = events.as_ref();
    RunConfig {
        data: Some(source.clone()),
        augment: augment.parse().ok(),
        frames: events.map(|_| Slicing::Count),
        values: events.map(|row| row.values),
        frame_size: events.map(|row| row.size),
        resample: events.map(|_| Resample::Nearest),
        cache: events.map(|_| "runs/cache".to_string()),
        net: Some(net),
        width: Some(1.0),
        timesteps: Some(timesteps),
        norm: Some(Norm::Bn),
        twin: Some(false),
        init: Some(Init::Uniform),
        threshold: Some(0.5),
        decay: Some(0.5),
        reset: Some(Reset::Hard),
        surrogate: "rectangle".parse().ok(),
        delta: Some(1e-4),
        readout: Some(Readout::Mean),
        loss: Some(LossName::Ce),
        mse_correct: Some(1.0),
        mse_incorrect: Some(0.0),
        tet_lambda: Some(0.05),
        tet_phi: Some(1.0),
        label_smoothing: Some(0.0),
        beta: Some(1e-4),
        optimizer: Some(OptimizerName::Adam),
        lr: Some(lr),
        weight_decay: Some(0.0),
        momentum: Some(0.9),
        nesterov: Some(false),
        clip: Some(0.0),
        schedule: Some(ScheduleName::Cosine),
        step_every: Some(30.0),
        step_factor: Some(0.1),
        warmup: Some(0.0),
        batch: Some(batch),
        epochs: Some(epochs),
        seed: Some(0),
        precision: Some(Precision::F32),
        memory: Some(Memory::F32),
        input_gradient: Some(InputGradientName::Auto),
        delta_kernels: Some(DeltaName::Auto),
        ..RunConfig::default()
    }
}

/// Data sets whose defaults may differ, each by one name that stands for its kind.
const KINDS: [&str; 8] = [
    "synthetic:shapes",
    "cifar10:DIR",
    "cifar100:DIR",
    "mnist:DIR",
    "nmnist:DIR",
    "cifar10dvs:DIR",
    "events:DIR",
    "synthetic:motion",
];

/// Every setting's default in words, under the flag's name: the value of `usual` where that has one, else one value, or
/// one for each group of data sets.
pub fn texts(usual: &RunConfig) -> BTreeMap<String, String> {
    let of_kind = |name: &&str| -> Option<(String, Map<String, Value>)> {
        let source: Source = name.parse().ok()?;
        let config = usual.clone().over(of(&source));
        let entries = serde_json::from_str(&serde_json::to_string(&config).ok()?).ok()?;
        Some((name.trim_end_matches(":DIR").trim_start_matches("synthetic:").to_string(), entries))
    };
    let kinds: Vec<(String, Map<String, Value>)> = KINDS.iter().filter_map(of_kind).collect();
    let names: std::collections::BTreeSet<&String> =
        kinds.iter().flat_map(|(_, entries)| entries.keys()).collect();
    let text = |name: &String| {
        if name == "data" {
            return usual.data.clone().unwrap_or(DATA).to_string();
        }
        let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
        for (kind, entries) in kinds.iter().filter(|(_, entries)| entries.contains_key(name)) {
            let value = entries[name].as_str().map_or(entries[name].to_string(), str::to_string);
            match groups.iter_mut().find(|(other, _)| *other == value) {
                Some((_, kinds)) => kinds.push(kind),
                None => groups.push((value, vec![kind])),
            }
        }
        match &groups[..] {
            [(value, _)] => value.clone(),
            groups => {
                let words: Vec<String> =
                    groups.iter().map(|(value, kinds)| format!("{value} for {}", kinds.join(", "))).collect();
                words.join("; ")
            }
        }
    };
    let mut texts: BTreeMap<String, String> =
        names.into_iter().map(|name| (name.clone(), text(name))).collect();
    for (flag, surrogates) in [("window", &surrogate::NAMES[..2]), ("alpha", &surrogate::NAMES[2..])] {
        let usual =
            |name: &&str| Some(format!("{} for {name}", Surrogate::named(name, None).ok()?.parameter()?));
        texts.insert(flag.into(), surrogates.iter().filter_map(usual).collect::<Vec<_>>().join("; "));
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_data_set_has_its_own() {
        let of_name = |name: &str| {
            let flags = of(&name.parse().unwrap());
            let (batch, epochs, timesteps) =
                (flags.batch.unwrap(), flags.epochs.unwrap(), flags.timesteps.unwrap());
            let (net, augment) = (flags.net.unwrap().to_string(), flags.augment.unwrap().to_string());
            (net, batch, epochs, flags.lr.unwrap(), augment, timesteps)
        };
        let table = [
            ("synthetic:shapes", "lenet", 50, 6, 2e-3, "none", 2),
            ("cifar10:x", "resnet19", 100, 150, 1e-3, "crop,flip", 2),
            ("cifar100:x", "resnet19", 100, 150, 1e-3, "crop,flip", 2),
            ("mnist:x", "lenet", 100, 10, 1e-3, "none", 2),
            ("nmnist:x", "eventnet", 20, 20, 2e-3, "roll,drop", 10),
            ("cifar10dvs:x", "vggsnn", 20, 100, 1e-3, "flip,roll", 10),
            ("events:x", "vggsnn", 20, 100, 1e-3, "flip,roll", 10),
            ("synthetic:motion", "eventnet", 50, 6, 2e-3, "none", 8),
        ];
        for (name, net, batch, epochs, lr, augment, timesteps) in table {
            let want = (net.to_string(), batch, epochs, lr, augment.to_string(), timesteps);
            assert_eq!(of_name(name), want, "{name}");
        }
        let size = |name: &str| of(&name.parse().unwrap()).frame_size;
        assert_eq!(
            ["nmnist:x", "cifar10dvs:x", "events:x", "synthetic:motion", "mnist:x"].map(size),
            [Some(0), Some(48), Some(48), Some(0), None]
        );
    }

    #[test]
    fn the_other_settings_are_the_papers_or_off() {
        let toml = of(&"synthetic:shapes".parse().unwrap()).to_toml().unwrap();
        let want = "data = \"synthetic:shapes\"\naugment = \"none\"\nnet = \"lenet\"\nwidth = 1.0\ntimesteps = 2\n\
                    norm = \"bn\"\ntwin = false\ninit = \"uniform\"\nthreshold = 0.5\ndecay = 0.5\n\
                    reset = \"hard\"\nsurrogate = \"rectangle\"\ndelta = 0.0001\nreadout = \"mean\"\n\
                    loss = \"ce\"\nmse-correct = 1.0\nmse-incorrect = 0.0\ntet-lambda = 0.05\n\
                    tet-phi = 1.0\nlabel-smoothing = 0.0\nbeta = 0.0001\noptimizer = \"adam\"\nlr = 0.002\n\
                    weight-decay = 0.0\nmomentum = 0.9\nnesterov = false\nclip = 0.0\nschedule = \"cosine\"\n\
                    step-every = 30.0\nstep-factor = 0.1\nwarmup = 0.0\nbatch = 50\nepochs = 6\nseed = 0\n\
                    precision = \"f32\"\nmemory = \"f32\"\ninput-gradient = \"auto\"\ndelta-kernels = \"auto\"\n";
        assert_eq!(toml, want);
    }

    #[test]
    fn defaults_are_told_as_they_are() {
        let texts = super::texts(&RunConfig::default());
        assert_eq!(texts["decay"], "0.5");
        assert_eq!(texts["delta"], "0.0001");
        assert_eq!(texts["data"], "synthetic:shapes");
        assert_eq!(texts["values"], "binary for nmnist, motion; counts for cifar10dvs, events");
        assert_eq!(
            texts["epochs"],
            "6 for shapes, motion; 150 for cifar10, cifar100; 10 for mnist; 20 for nmnist; 100 for cifar10dvs, events"
        );
        assert_eq!(texts["window"], "0.5 for rectangle; 1 for triangle");
        assert_eq!(
            texts["alpha"],
            "2 for arctan; 4 for sigmoid; 2 for gaussian; 10 for fast-sigmoid; 3 for dspike"
        );
        assert!(!texts.contains_key("limit"));
        let usual = RunConfig { batch: Some(20), net: Some(NetKind::Mlp), ..RunConfig::default() };
        let texts = super::texts(&usual);
        assert_eq!((&texts["batch"][..], &texts["net"][..], &texts["decay"][..]), ("20", "mlp", "0.5"));
    }
}
