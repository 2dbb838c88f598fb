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
    timesteps: usize,
}

/// How events become frames, where nobody says.
struct EventRow {
    values: &'static str,
    /// Rows and columns; 0: the sensor's.
    size: usize,
}

/// The table: a bare `spikegrad train` takes minutes, CIFAR follows the paper.
fn row(source: &Source) -> Row {
    match source {
        Source::Cifar10(_) | Source::Cifar100(_) => {
            Row { net: "resnet19", batch: 100, epochs: 150, lr: 1e-3, augment: "crop,flip", timesteps: 2 }
        }
        Source::Mnist(_) => {
            Row { net: "lenet", batch: 100, epochs: 10, lr: 1e-3, augment: "none", timesteps: 2 }
        }
        Source::Shapes => Row { net: "lenet", batch: 50, epochs: 6, lr: 2e-3, augment: "none", timesteps: 2 },
        Source::NMnist(_) => {
            Row { net: "eventnet", batch: 20, epochs: 20, lr: 2e-3, augment: "roll,drop", timesteps: 10 }
        }
        Source::Cifar10Dvs(_) | Source::Events(_) => {
            Row { net: "vggsnn", batch: 20, epochs: 100, lr: 1e-3, augment: "flip,roll", timesteps: 10 }
        }
        Source::Motion => {
            Row { net: "eventnet", batch: 50, epochs: 6, lr: 2e-3, augment: "none", timesteps: 8 }
        }
    }
}

/// The same for frames; none for images.
fn event_row(source: &Source) -> Option<EventRow> {
    match source {
        Source::NMnist(_) => Some(EventRow { values: "binary", size: 0 }),
        Source::Cifar10Dvs(_) | Source::Events(_) => Some(EventRow { values: "counts", size: 48 }),
        Source::Motion => Some(EventRow { values: "binary", size: 0 }),
        Source::Cifar10(_) | Source::Cifar100(_) | Source::Mnist(_) | Source::Shapes => None,
    }
}

/// The data set of a bare command.
pub const DATA: &str = "synthetic:shapes";

/// Gives every setting that has a default; `limit`, `holdout`, `window` and `alpha` have none.
pub fn of(source: &Source) -> Flags {
    let Row { net, batch, epochs, lr, augment, timesteps } = row(source);
    let name = |name: &str| Some(name.to_string());
    let events = event_row(source);
    let event_name = |name: &str| events.as_ref().map(|_| name.to_string());
    Flags {
        data: Some(source.to_string()),
        augment: name(augment),
        frames: event_name("count"),
        values: events.as_ref().and_then(|row| name(row.values)),
        frame_size: events.as_ref().map(|row| row.size),
        resample: event_name("nearest"),
        cache: event_name("runs/cache"),
        net: name(net),
        width: Some(1.0),
        timesteps: Some(timesteps),
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
