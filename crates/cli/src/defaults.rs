//! What a setting is when nobody gives it: one table, by data set.

use crate::flags::Flags;
use spikegrad::data::Source;

/// What differs between data sets.
struct Row {
    net: &'static str,
    batch: usize,
    epochs: usize,
    lr: f32,
    augment: &'static str,
}

/// The table: a bare `spikegrad train` takes minutes, CIFAR follows the paper.
fn row(source: &Source) -> Row {
    match source {
        Source::Cifar10(_) | Source::Cifar100(_) => {
            Row { net: "resnet19", batch: 100, epochs: 150, lr: 1e-3, augment: "crop,flip" }
        }
        Source::Mnist(_) => Row { net: "lenet", batch: 100, epochs: 10, lr: 1e-3, augment: "none" },
        Source::Shapes => Row { net: "lenet", batch: 50, epochs: 6, lr: 2e-3, augment: "none" },
    }
}

/// The data set of a bare command.
pub const DATA: &str = "synthetic:shapes";

/// Gives every setting that has a default; `limit`, `holdout`, `window` and `alpha` have none.
pub fn of(source: &Source) -> Flags {
    let Row { net, batch, epochs, lr, augment } = row(source);
    let name = |name: &str| Some(name.to_string());
    Flags {
        data: Some(source.to_string()),
        augment: name(augment),
        net: name(net),
        width: Some(1.0),
        timesteps: Some(2),
        norm: name("bn"),
        twin: Some(false),
        init: name("uniform"),
        threshold: Some(0.5),
        decay: Some(0.5),
        reset: name("hard"),
        surrogate: name("rectangle"),
        delta: Some(1e-4),
        loss: name("ce"),
        tet_lambda: Some(0.05),
        tet_phi: Some(1.0),
        label_smoothing: Some(0.0),
        beta: Some(1e-4),
        optimizer: name("adam"),
        lr: Some(lr),
        weight_decay: Some(0.0),
        momentum: Some(0.9),
        nesterov: Some(false),
        clip: Some(0.0),
        schedule: name("cosine"),
        step_every: Some(30.0),
        step_factor: Some(0.1),
        warmup: Some(0.0),
        batch: Some(batch),
        epochs: Some(epochs),
        seed: Some(0),
        precision: name("f32"),
        memory: name("f32"),
        input_gradient: name("auto"),
        delta_kernels: name("auto"),
        ..Flags::default()
    }
}
