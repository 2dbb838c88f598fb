//! Numbers that make no sense, from the caller or from a step: an error that names them, and everything as before.

use spikegrad::Error;
use spikegrad::bptt::lif::{Firing, NeuronKind};
use spikegrad::models::safetensors::{File, View, write};
use spikegrad::models::{Norm, names::shared_prefix};
use spikegrad::prelude::*;
use spikegrad_testkit::temporary::Temporary;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

const IMAGE: usize = 8;

fn net(kind: NetKind) -> NetConfig {
    NetConfig::new(kind, 1, IMAGE, IMAGE, 2).scale(0.04)
}

fn config(kind: NetKind, optimizer: Optimizer) -> TrainConfig {
    TrainConfig::new(net(kind)).batch(2).optimizer(optimizer).beta(0.0).epochs(3)
}

fn trainer(config: &TrainConfig) -> Trainer {
    Trainer::new(config.clone(), Level::BASELINE).unwrap()
}

fn images() -> Vec<f32> {
    (0..2 * IMAGE * IMAGE).map(|i| (i % 7) as f32 / 3.0 - 1.0).collect()
}

/// A file of its own for each caller: tests run side by side.
fn temporary(what: &str) -> Temporary {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    Temporary::new(&format!("hostile-{what}-{}", NEXT.fetch_add(1, SeqCst)))
}

/// All that a trainer is, as its state has it.
fn state(trainer: &Trainer) -> Vec<u8> {
    let file = temporary("state");
    trainer.save_state(&file.0, &BTreeMap::new()).unwrap();
    std::fs::read(&file.0).unwrap()
}

/// Reads a file, lets `change` change its tensors and metadata, and writes it again.
fn rewrite(path: &Path, change: impl Fn(&mut BTreeMap<String, String>, &mut String, &mut Vec<f32>)) {
    let file = File::read(path).unwrap();
    let mut metadata = file.metadata.clone();
    let tensor = |t: &spikegrad::models::safetensors::Entry| {
        (t.name.clone(), t.shape.clone(), file.f32(&t.name).unwrap())
    };
    let mut tensors: Vec<_> = file.tensors.iter().map(tensor).collect();
    tensors.iter_mut().for_each(|(name, _, data)| change(&mut metadata, name, data));
    let views: Vec<View> = tensors.iter().map(|(name, shape, data)| View { name, shape, data }).collect();
    write(path, &metadata, &views).unwrap();
}

#[test]
fn a_batch_that_makes_no_sense_changes_nothing() {
    let mut trainer = trainer(&config(NetKind::LeNet, Optimizer::adam(1e-3)));
    let good = images();
    trainer.train_batch(&good, &[0, 1], 0.5).unwrap();
    let before = state(&trainer);
    let with = |at: usize, x: f32| {
        let mut images = images();
        images[at] = x;
        images
    };
    let last = good.len() - 1;
    let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 1.1e15];
    let pixels = bad.into_iter().flat_map(|x| [0, 17, last].map(|at| (with(at, x), at, x)));
    for (images, at, x) in pixels {
        for error in [
            trainer.train_batch(&images, &[0, 1], 0.5).unwrap_err(),
            trainer.predict(&images).unwrap_err(),
            spikegrad::gradcheck::gradients(&mut trainer, &images, &[0, 1]).unwrap_err(),
        ] {
            assert!(error.to_string().starts_with(&format!("input {at} is {x}")), "{error}");
        }
    }
    for progress in [f64::NAN, -3.0, f64::INFINITY, f64::NEG_INFINITY, -f64::MIN_POSITIVE] {
        let error = trainer.train_batch(&good, &[0, 1], progress).unwrap_err().to_string();
        assert!(error.contains(&format!("progress is {progress}")), "{error}");
    }
    assert!(state(&trainer) == before, "weights, estimates, moments or steps have changed");
    trainer.train_batch(&good, &[0, 1], 0.0).unwrap();
}

#[test]
fn a_frame_that_makes_no_sense_leaves_the_stream_as_it_was() {
    let trainer = trainer(&config(NetKind::Mlp, Optimizer::adam(0.0)));
    let (mut one, mut other) = (Predictor::of(&trainer, 1).unwrap(), Predictor::of(&trainer, 1).unwrap());
    let (mut stream, mut undisturbed) = (one.stream(), other.stream());
    let frame = vec![0.7; IMAGE * IMAGE];
    for k in 0..6 {
        let mut bad = frame.clone();
        bad[k] = [f32::NAN, f32::INFINITY, f32::MIN][k % 3];
        let error = one.step(&bad, &mut stream).unwrap_err().to_string();
        assert!(error.starts_with(&format!("input {k} is")), "{error}");
        let got = one.step(&frame, &mut stream).unwrap().to_vec();
        assert_eq!(got, other.step(&frame, &mut undisturbed).unwrap(), "step {k}");
    }
    assert_eq!(stream.mean_logits(), undisturbed.mean_logits());
    assert_eq!(stream.steps(), 6);
}

/// Which steps break: by the learning rate, the decay of weights, and both under a clipped gradient.
#[test]
fn a_step_that_breaks_a_number_is_told_and_undone() {
    let optimizers = |decay: f32| {
        [
            Optimizer::sgd(0.9, true, decay),
            Optimizer::sgd(0.9, false, decay),
            Optimizer::sgd(0.0, false, decay),
            Optimizer::adam(decay),
            Optimizer::adamw(decay),
        ]
    };
    for clip in [None, Some(1.0)] {
        for (lr, decay) in [(f32::MAX, 0.0), (1.0, f32::MAX), (1e20, 1e30)] {
            for optimizer in optimizers(decay) {
                for kind in [NetKind::Mlp, NetKind::LeNet] {
                    let config = config(kind, optimizer.clone()).lr(lr).clip(clip);
                    let what = format!("{optimizer:?}, lr {lr}, {kind}, clip {clip:?}");
                    let mut trainer = trainer(&config);
                    // SGD at the largest rate may yield large, finite weights; the next step tells.
                    let mut before = state(&trainer);
                    let error = (0..6).find_map(|_| {
                        before = state(&trainer);
                        trainer.train_batch(&images(), &[0, 1], 0.0).err()
                    });
                    let error = error.unwrap_or_else(|| panic!("{what}: six steps went well"));
                    let Error::NotFinite { step, layer } = &error else { panic!("{what}: {error}") };
                    assert!(*step == trainer.steps() + 1 && !layer.is_empty(), "{what}: {error}");
                    assert!(state(&trainer) == before, "{what}: {error}, and something has changed");
                }
            }
        }
    }
}

/// A gradient of 1e21 is finite, and its square, which Adam keeps, is not: fc1's weights are 0 and its biases at the
/// threshold, so that pixels of 1e15 reach its gradient and not its neurons; fc3 carries some 1e6 back to them.
#[test]
fn adams_second_moment_is_checked() {
    let config = config(NetKind::Mlp, Optimizer::adam(0.0));
    let file = temporary("gradient");
    let mut trainer = trainer(&config);
    trainer.save_state(&file.0, &BTreeMap::new()).unwrap();
    rewrite(&file.0, |_, name, data| {
        let half = data.len() / 2;
        let value = |i: usize| match name.as_str() {
            "fc1.weight" => 0.0,
            "fc1.bias" | "fc2.bias" => 0.5,
            "fc2.weight" => 1e-3,
            "fc3.weight" if i < half => 1e8,
            "fc3.weight" => -1e8,
            _ => 0.0,
        };
        data.iter_mut().enumerate().for_each(|(i, x)| *x = value(i));
    });
    trainer.load_state(&file.0).unwrap();
    let before = state(&trainer);
    let images = vec![1e15; 2 * IMAGE * IMAGE];
    let gradients = spikegrad::gradcheck::gradients(&mut trainer, &images, &[0, 1]).unwrap();
    let largest = gradients.iter().flat_map(|(_, g)| g).fold(0.0f32, |a, g| a.max(g.abs()));
    assert!(largest > 1e19 && largest.is_finite(), "{largest}");
    let error = trainer.train_batch(&images, &[0, 1], 0.0).unwrap_err().to_string();
    assert_eq!(error, "step 1: not finite (NaN or infinity), first in second moment of fc1.weight");
    assert!(state(&trainer) == before, "something has changed");
    // SGD keeps no square, and a clipped gradient has a small one.
    let sgd = config.clone().optimizer(Optimizer::sgd(0.0, false, 0.0));
    let clipped = config.clip(Some(1.0));
    for config in [sgd.lr(1e-30), clipped] {
        let mut other = Trainer::new(config, Level::BASELINE).unwrap();
        other.load_weights(&file.0).unwrap_err();
        let weights = temporary("weights");
        trainer.save_weights(&weights.0).unwrap();
        other.load_weights(&weights.0).unwrap();
        other.train_batch(&images, &[0, 1], 0.0).unwrap();
    }
}

/// Pixels near the limit overflow no estimate; weights near the end of the range do, and running estimates with them.
#[test]
fn running_estimates_are_checked() {
    let config = config(NetKind::LeNet, Optimizer::adam(0.0));
    let file = temporary("estimates");
    let mut trainer = trainer(&config);
    trainer.save_weights(&file.0).unwrap();
    rewrite(&file.0, |_, name, data| {
        if name == "conv1.weight" {
            data.fill(2e38);
        }
    });
    trainer.load_weights(&file.0).unwrap();
    let before = state(&trainer);
    let error = trainer.train_batch(&images(), &[0, 1], 0.0).unwrap_err();
    assert!(matches!(error, Error::NotFinite { step: 1, .. }), "{error}");
    assert!(state(&trainer) == before, "something has changed");
}

#[test]
fn logits_that_are_not_finite_are_no_answer() {
    let config = config(NetKind::Mlp, Optimizer::adam(0.0));
    let file = temporary("logits");
    let mut trainer = trainer(&config);
    trainer.save_weights(&file.0).unwrap();
    rewrite(&file.0, |_, name, data| match name.as_str() {
        "fc3.bias" | "fc3.weight" => data.fill(f32::MAX),
        "fc1.bias" | "fc2.bias" => data.fill(9.0),
        _ => data.fill(0.0),
    });
    trainer.load_weights(&file.0).unwrap();
    let error = trainer.predict(&images()).unwrap_err();
    assert!(matches!(error, Error::LogitsNotFinite { image: 0 }), "{error}");
    let mut predictor = Predictor::of(&trainer, 1).unwrap();
    let mut stream = predictor.stream();
    let error = predictor.step(&images()[..IMAGE * IMAGE], &mut stream).unwrap_err();
    assert!(matches!(error, Error::LogitsNotFinite { image: 0 }), "{error}");
    assert_eq!((stream.steps(), stream.mean_logits()), (0, &[0.0, 0.0][..]), "the stream begins anew");
}

#[test]
fn configurations_that_make_no_sense_are_refused_by_name() {
    let good = || config(NetKind::Mlp, Optimizer::adam(0.0));
    let with_net = |change: fn(&mut NetConfig)| {
        let mut config = good();
        change(&mut config.net);
        config
    };
    let refused = |config: TrainConfig, wants: &str| {
        let error = Trainer::new(config, Level::BASELINE).unwrap_err().to_string();
        assert!(error.contains(wants), "{error}, expected {wants}");
    };
    for x in [f32::NAN, f32::INFINITY, -1.0] {
        refused(good().lr(x), &format!("learning rate is {x}"));
        refused(good().beta(x), &format!("beta is {x}"));
        refused(good().clip(Some(x)), &format!("clip is {x}"));
        refused(good().warmup_epochs(x.into()), &format!("warm-up is {x}"));
        refused(good().optimizer(Optimizer::adam(x)), &format!("weight decay is {x}"));
        let schedule = Schedule::Step { every_epochs: x.into(), factor: 0.1 };
        refused(good().schedule(schedule), &format!("every {x} epochs"));
        let schedule = Schedule::Step { every_epochs: 1.0, factor: x };
        refused(good().schedule(schedule), &format!("factor is {x}"));
        let loss = LossConfig::default().label_smoothing(x);
        refused(good().loss(loss), &format!("label smoothing is {x}"));
    }
    let schedule = Schedule::Step { every_epochs: 0.0, factor: 0.1 };
    refused(good().schedule(schedule), "every 0 epochs");
    refused(good().epochs(0), "epochs is 0");
    refused(good().batch(0), "batch is 0");
    refused(good().optimizer(Optimizer::sgd(0.0, true, 0.0)), "Nesterov");
    refused(with_net(|net| net.scale = f64::NAN), "width NaN");
    refused(with_net(|net| net.scale = f64::INFINITY), "width inf");
    refused(with_net(|net| net.scale = -1.0), "width -1");
    refused(with_net(|net| net.lif.threshold = f32::NAN), "threshold is NaN");
    refused(with_net(|net| net.lif.decay = f32::NAN), "decay is NaN");
    refused(with_net(|net| net.lif.delta = f32::INFINITY), "delta is inf");
    refused(with_net(|net| net.lif.surrogate = Surrogate::Rectangle { window: f32::NAN }), "window is NaN");
    refused(with_net(|net| net.lif.surrogate = Surrogate::Sigmoid { alpha: -4.0 }), "alpha is -4");
    // A schedule that grows beyond every number is told when it does.
    let schedule = Schedule::Step { every_epochs: 0.01, factor: 1e3 };
    let mut trainer = Trainer::new(good().schedule(schedule), Level::BASELINE).unwrap();
    let error = trainer.train_batch(&images(), &[0, 1], 2.0).unwrap_err().to_string();
    assert!(error.contains("learning rate is inf at epoch 2"), "{error}");
}

#[test]
fn what_is_hardly_meant_is_said() {
    let good = || config(NetKind::Mlp, Optimizer::adam(0.0));
    assert!(good().warnings().is_empty());
    let lines = good().warmup_epochs(3.0).warnings();
    assert!(
        lines.len() == 1 && lines[0].contains("warm-up takes 3 epochs and training ends after 3"),
        "{lines:?}"
    );
    let schedule = Schedule::Step { every_epochs: 30.0, factor: 0.1 };
    assert!(good().schedule(schedule).warnings()[0].contains("after 30 epochs"));
    // Four strides of 2 leave one pixel of 16; two images, or two steps of frames, are more than one value.
    let strided = net(NetKind::VggSnnStride).timesteps(1);
    let strided = strided.height(16).width(16);
    let lines = good().batch(1).net(strided.clone()).warnings();
    assert!(lines.len() == 1 && lines[0].starts_with("batch norm bn8 has one value"), "{lines:?}");
    assert!(good().batch(2).net(strided.clone()).warnings().is_empty());
    let frames = strided.timesteps(2).input(Input::Frames);
    assert!(good().batch(1).net(frames).warnings().is_empty());
    assert!(good().lr(0.0).warnings()[0].contains("learning rate is 0"));
}

/// A file of a net with `change`, loaded into the plain one.
fn load_from(kind: NetKind, change: fn(&mut NetConfig)) -> Result<(), String> {
    let mut other = config(kind, Optimizer::adam(0.0));
    change(&mut other.net);
    let file = temporary("origin");
    trainer(&other).save_weights(&file.0).unwrap();
    let mut victim = trainer(&config(kind, Optimizer::adam(0.0)));
    let before = state(&victim);
    let read = victim.load_weights(&file.0).map_err(|why| why.to_string());
    assert!(read.is_ok() || state(&victim) == before, "something has changed");
    let mut predictor = Predictor::new(&net(kind), 1, Level::BASELINE).unwrap();
    assert_eq!(predictor.load_weights(&file.0).map_err(|why| why.to_string()), read);
    read
}

#[test]
fn weights_for_another_neuron_are_refused_with_both_values() {
    let refused = |kind, change, key: &str, told: &str, own: &str| {
        let error = load_from(kind, change).unwrap_err();
        let want = format!("trained with {key} {told}, the net has {key} {own}");
        assert!(error.contains(&want), "{error}, expected {want}");
    };
    refused(NetKind::Mlp, |net| net.timesteps = 5, "timesteps", "5", "2");
    refused(NetKind::Mlp, |net| net.lif.decay = 0.25, "decay", "0.25", "0.5");
    refused(NetKind::Mlp, |net| net.lif.threshold = 1.0, "threshold", "1", "0.5");
    refused(NetKind::Mlp, |net| net.lif.reset = Reset::SoftDetached, "reset", "soft-detached", "hard");
    refused(NetKind::LeNet, |net| net.norm = Norm::TdBn, "norm", "tdbn", "bn");
    let firing = |net: &mut NetConfig| net.lif.firing = Firing::AtOrAbove;
    refused(NetKind::Mlp, firing, "firing", "at-or-above", "above");
    let synaptic = |net: &mut NetConfig| net.lif.kind = NeuronKind::Synaptic { decay: 0.5 };
    refused(NetKind::Mlp, synaptic, "kind", "synaptic", "lif");
    // What changes the backward alone, or nothing, or is an ANN, is accepted.
    load_from(NetKind::Mlp, |net| net.norm = Norm::TdBn).unwrap();
    load_from(NetKind::Mlp, |net| net.lif.reset = Reset::HardDetached).unwrap();
    load_from(NetKind::Mlp, |net| net.lif.surrogate = Surrogate::Arctan { alpha: 2.0 }).unwrap();
    load_from(NetKind::Mlp, |net| net.lif.delta = 0.5).unwrap();
    load_from(NetKind::Mlp, |net| net.twin = true).unwrap();
    // Who wants another neuron all the same, says so.
    let file = temporary("any");
    trainer(&config(NetKind::Mlp, Optimizer::adam(0.0))).save_weights(&file.0).unwrap();
    let mut other = config(NetKind::Mlp, Optimizer::adam(0.0));
    other.net.lif.decay = 0.25;
    let mut other = trainer(&other);
    assert!(other.load_weights(&file.0).is_err());
    other.load_weights_of_any_neuron(&file.0).unwrap();
    // A predictor made for one step takes as many as it likes.
    let file = temporary("stepwise");
    trainer(&config(NetKind::Mlp, Optimizer::adam(0.0))).save_weights(&file.0).unwrap();
    let stepwise = net(NetKind::Mlp).timesteps(1);
    Predictor::new(&stepwise, 1, Level::BASELINE).unwrap().load_weights(&file.0).unwrap();
}

#[test]
fn files_without_a_word_about_neurons_are_accepted() {
    let file = temporary("foreign");
    let mut trainer = trainer(&config(NetKind::LeNet, Optimizer::adam(0.0)));
    trainer.save_weights(&file.0).unwrap();
    let own = File::read(&file.0).unwrap();
    let data: Vec<_> =
        own.tensors.iter().map(|t| (t.name.clone(), t.shape.clone(), own.f32(&t.name).unwrap())).collect();
    for (prefix, metadata) in [
        ("", BTreeMap::new()),
        (
            "",
            BTreeMap::from([
                ("format".to_string(), "pt".to_string()),
                ("decay".to_string(), "0.9".to_string()),
            ]),
        ),
        ("_orig_mod.", BTreeMap::new()),
        ("module.", BTreeMap::new()),
        ("model._orig_mod.", BTreeMap::new()),
    ] {
        let names: Vec<_> = data.iter().map(|(name, ..)| format!("{prefix}{name}")).collect();
        let views = names.iter().zip(&data).map(|(name, (_, shape, data))| View { name, shape, data });
        write(&file.0, &metadata, &views.collect::<Vec<_>>()).unwrap();
        trainer.load_weights(&file.0).unwrap_or_else(|why| panic!("{prefix}: {why}"));
    }
    let named: Vec<_> = data.iter().map(|(name, ..)| format!("encoder.{name}")).collect();
    let views = named.iter().zip(&data).map(|(name, (_, shape, data))| View { name, shape, data });
    write(&file.0, &BTreeMap::new(), &views.collect::<Vec<_>>()).unwrap();
    let error = trainer.load_weights(&file.0).unwrap_err().to_string();
    assert!(error.ends_with("all names in the file begin with \"encoder.\""), "{error}");
    assert_eq!(shared_prefix(["model.a", "module.b"].into_iter()), "");
}

#[test]
fn variances_below_zero_are_refused() {
    let mut trainer = trainer(&config(NetKind::LeNet, Optimizer::adam(0.0)));
    let file = temporary("variance");
    for (with_state, name) in [(false, "bn1.running_var"), (true, "bn2.running_var"), (true, "moment.second")]
    {
        trainer.save_state(&file.0, &BTreeMap::new()).unwrap();
        if !with_state {
            trainer.save_weights(&file.0).unwrap();
        }
        rewrite(&file.0, |_, other, data| {
            if other == name {
                data[0] = -1e-3;
            }
        });
        let before = state(&trainer);
        let read =
            if with_state { trainer.load_state(&file.0).map(|_| ()) } else { trainer.load_weights(&file.0) };
        let error = read.unwrap_err().to_string();
        assert!(error.ends_with(&format!("tensor {name:?} holds -0.001 at 0, must be 0 or more")), "{error}");
        assert!(state(&trainer) == before);
    }
}

/// The largest moment is known from the step before, and measured where it comes from a file.
#[test]
fn moments_from_a_file_are_checked_before_a_step() {
    for (optimizer, lr) in [(Optimizer::sgd(0.9, false, 0.0), 10.0), (Optimizer::adam(0.0), 1e-3)] {
        let config = config(NetKind::Mlp, optimizer.clone()).lr(lr).schedule(Schedule::Constant);
        let file = temporary("moments");
        let mut trainer = trainer(&config);
        trainer.save_state(&file.0, &BTreeMap::new()).unwrap();
        rewrite(&file.0, |metadata, name, data| {
            metadata.insert("step".into(), "1".into());
            if name == "moment.first" {
                data.fill(3e38);
            }
        });
        trainer.load_state(&file.0).unwrap();
        let before = state(&trainer);
        let error = trainer.train_batch(&images(), &[0, 1], 0.0).unwrap_err();
        assert!(matches!(error, Error::NotFinite { step: 2, .. }), "{optimizer:?}: {error}");
        assert!(state(&trainer) == before, "{optimizer:?}: something has changed");
    }
}

/// A state written by somebody who knows its names but writes no checksum: nothing says that it is whole.
#[test]
fn a_state_without_a_checksum_is_refused() {
    let file = temporary("unchecked");
    let mut trainer = trainer(&config(NetKind::Mlp, Optimizer::adam(0.0)));
    trainer.save_state(&file.0, &BTreeMap::new()).unwrap();
    let bytes = std::fs::read(&file.0).unwrap();
    // The same JSON, its checksum overwritten by blanks and an entry that means nothing.
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let at = text.find("\"crc32\":\"").unwrap();
    let mut unchecked = bytes.clone();
    unchecked[at..at + 18].copy_from_slice(b"\"a\":\"bcdefghijklm\"");
    std::fs::write(&file.0, &unchecked).unwrap();
    assert!(!File::read(&file.0).unwrap().is_verified);
    let before = state(&trainer);
    let error = trainer.load_state(&file.0).unwrap_err().to_string();
    assert!(error.contains("has no checksum"), "{error}");
    assert!(state(&trainer) == before);
    // Weights need none: PyTorch's files have none.
    trainer.save_weights(&file.0).unwrap();
    let mut bytes = std::fs::read(&file.0).unwrap();
    bytes[at..at + 18].copy_from_slice(b"\"a\":\"bcdefghijklm\"");
    std::fs::write(&file.0, &bytes).unwrap();
    trainer.load_weights(&file.0).unwrap();
}
