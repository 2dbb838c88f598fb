//! Files, resuming, and what a failed step or load leaves behind: nothing.

use spikegrad::Error;
use spikegrad::models::safetensors::{File, View, write};
use spikegrad::prelude::{Level, NetConfig, NetKind, Optimizer, TrainConfig, Trainer};
use spikegrad_testkit::layout;
use spikegrad_testkit::rng::Rng;
use spikegrad_testkit::temporary::Temporary;
use std::collections::BTreeMap;
use std::path::Path;

const BATCH: usize = 3;

fn config(kind: NetKind, optimizer: Optimizer) -> TrainConfig {
    let net = NetConfig::new(kind, 2, 8, 9, 4).scale(0.07);
    TrainConfig::new(net).batch(BATCH).optimizer(optimizer).lr(0.01).epochs(6)
}

fn trainer(config: &TrainConfig) -> Trainer {
    Trainer::new(config.clone(), Level::BASELINE).unwrap()
}

fn images(trainer: &Trainer, seed: u64) -> Vec<f32> {
    Rng::new(seed).normals(trainer.net().images_len()).iter().map(|&x| x as f32).collect()
}

fn train(trainer: &mut Trainer, steps: std::ops::Range<u64>) {
    for step in steps {
        let images = images(trainer, step);
        trainer.train_batch(&images, &[0, 3, 1], step as f64).unwrap();
    }
}

/// The bits of weights and running estimates, and the number of steps.
fn state(trainer: &Trainer) -> (Vec<u32>, Vec<u32>, u64) {
    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect();
    let params = trainer.net().params();
    (bits(&params.weights), bits(&params.buffers), trainer.steps())
}

/// The tensors of a file, to be changed and written again.
struct Tensors(Vec<(String, Vec<usize>, Vec<f32>)>, BTreeMap<String, String>);

impl Tensors {
    fn read(path: &Path) -> Self {
        let file = File::read(path).unwrap();
        let tensor = |name: &String, shape: &[usize]| (name.clone(), shape.to_vec(), file.f32(name).unwrap());
        Self(file.tensors.iter().map(|t| tensor(&t.name, &t.shape)).collect(), file.metadata.clone())
    }

    fn write(&self, path: &Path) {
        let views: Vec<View> = self.0.iter().map(|(name, shape, data)| View { name, shape, data }).collect();
        write(path, &self.1, &views).unwrap();
    }

    fn at(&mut self, name: &str) -> &mut (String, Vec<usize>, Vec<f32>) {
        self.0.iter_mut().find(|(other, ..)| other == name).unwrap()
    }
}

#[test]
fn a_resumed_run_has_the_bits_of_an_uninterrupted_one() {
    let optimizers = [
        Optimizer::adam(1e-3),
        Optimizer::adamw(1e-2),
        Optimizer::sgd(0.9, true, 1e-3),
        Optimizer::sgd(0.0, false, 0.0),
    ];
    for (i, optimizer) in optimizers.into_iter().enumerate() {
        for kind in [NetKind::Mlp, NetKind::LeNet, NetKind::ResNet19] {
            let config = config(kind, optimizer.clone());
            let file = Temporary::new(&format!("resume-{i}-{kind}"));
            let mut whole = trainer(&config);
            train(&mut whole, 0..3);
            let extra = BTreeMap::from([("epoch".to_string(), "3".to_string())]);
            whole.save_state(&file.0, &extra).unwrap();
            train(&mut whole, 3..6);
            // Another seed and some steps: all of it must be replaced.
            let mut resumed = trainer(&config.seed(1));
            train(&mut resumed, 7..9);
            assert_eq!(resumed.load_state(&file.0).unwrap(), extra, "the caller's strings come back");
            assert_eq!(resumed.steps(), 3);
            train(&mut resumed, 3..6);
            assert!(state(&whole) == state(&resumed), "{kind} {optimizer:?}: resumed run differs");
        }
    }
}

#[test]
fn weights_round_trip() {
    let file = Temporary::new("weights");
    let config = config(NetKind::ResNet19, Optimizer::adam(0.0));
    let mut one = trainer(&config);
    train(&mut one, 0..2);
    let extra = BTreeMap::from([("config".to_string(), "lr = 1\n[\"α\"]\n".to_string())]);
    one.save_weights_with(&file.0, &extra).unwrap();
    assert_eq!(spikegrad::files::extra(&file.0).unwrap(), extra, "the caller's strings come back");
    let mut two = trainer(&config.seed(1));
    two.load_weights(&file.0).unwrap();
    assert_eq!((state(&one).0, state(&one).1), (state(&two).0, state(&two).1));
    let images = images(&one, 9);
    assert_eq!(one.predict(&images).unwrap(), two.predict(&images).unwrap());
}

/// Changes a saved file, loads it, and expects an error that names `wants`, the trainer unchanged.
fn expect_refused(what: &str, with_state: bool, change: impl Fn(&mut Tensors), wants: &[&str]) {
    let file = Temporary::new(&format!("broken-{}", what.replace(' ', "-")));
    let config = config(NetKind::ResNet19, Optimizer::adam(0.0));
    let mut saved = trainer(&config.clone().seed(1));
    train(&mut saved, 0..1);
    if with_state {
        saved.save_state(&file.0, &BTreeMap::new()).unwrap();
    } else {
        saved.save_weights(&file.0).unwrap();
    }
    let mut tensors = Tensors::read(&file.0);
    change(&mut tensors);
    tensors.write(&file.0);
    let mut victim = trainer(&config);
    let mut twin = trainer(&config);
    train(&mut victim, 0..2);
    train(&mut twin, 0..2);
    let before = state(&victim);
    let result =
        if with_state { victim.load_state(&file.0).map(|_| ()) } else { victim.load_weights(&file.0) };
    let error = result.expect_err(what).to_string();
    for want in wants {
        assert!(error.contains(want), "{what}: error {error:?} does not name {want:?}");
    }
    assert!(error.contains("spikegrad-test"), "{what}: error {error:?} does not name the file");
    assert!(state(&victim) == before, "{what}: the trainer is changed");
    // Neither are its moments.
    train(&mut victim, 2..3);
    train(&mut twin, 2..3);
    assert!(state(&victim) == state(&twin), "{what}: the optimiser is changed");
}

#[test]
fn broken_files_are_refused_and_change_nothing() {
    for with_state in [false, true] {
        let refused = |what: &str, change: &dyn Fn(&mut Tensors), wants: &[&str]| {
            expect_refused(&format!("{what} {with_state}"), with_state, change, wants);
        };
        let without = |t: &mut Tensors, lost: &str| t.0.retain(|(name, ..)| name != lost);
        refused("missing weight", &|t| without(t, "layer3.1.conv2.weight"), &["layer3.1.conv2.weight"]);
        refused("missing estimate", &|t| without(t, "bn1.running_var"), &["bn1.running_var"]);
        refused("surplus", &|t| t.0.push(("fc9.weight".into(), vec![2], vec![1.0, 2.0])), &["fc9.weight"]);
        let reshape = |t: &mut Tensors| t.at("fc2.weight").1.reverse();
        refused("wrong shape", &reshape, &["fc2.weight", "18", "4"]);
        refused("nan", &|t| t.at("conv1.weight").2[5] = f32::NAN, &["conv1.weight", "NaN", "5"]);
        refused("infinity", &|t| t.at("bn1.running_mean").2[1] = f32::INFINITY, &["bn1.running_mean", "inf"]);
        let disagree = |t: &mut Tensors| {
            let (_, shape, mut data) = t.at("conv1.weight").clone();
            data[0] += 1.0;
            t.0.push(("conv1_s.layer.module.weight".into(), shape, data));
        };
        refused("aliases", &disagree, &["conv1.weight", "conv1_s.layer.module.weight", "disagree"]);
    }
}

#[test]
fn broken_states_are_refused_and_change_nothing() {
    let short = |t: &mut Tensors| {
        let moment = t.at("moment.first");
        moment.2.pop();
        moment.1[0] -= 1;
    };
    expect_refused("short moment", true, short, &["moment"]);
    expect_refused("nan moment", true, |t| t.at("moment.second").2[3] = f32::NAN, &["moment.second", "NaN"]);
    let gone = |t: &mut Tensors| t.0.retain(|(name, ..)| name != "moment.second");
    expect_refused("no moment", true, gone, &["moment.second"]);
    let format = |t: &mut Tensors| drop(t.1.insert("format".into(), "other-7".into()));
    expect_refused("format", true, format, &["other-7", "spikegrad-1"]);
    expect_refused("step", true, |t| drop(t.1.insert("step".into(), "-1".into())), &["step"]);
    expect_refused("no step", true, |t| drop(t.1.remove("step")), &["step"]);
}

#[test]
fn weights_are_not_read_from_a_state_nor_a_state_from_weights() {
    let (with_moments, without) = (Temporary::new("as-weights"), Temporary::new("as-state"));
    let config = config(NetKind::LeNet, Optimizer::adam(0.0));
    let mut saved = trainer(&config.clone().seed(1));
    train(&mut saved, 0..1);
    saved.save_state(&with_moments.0, &BTreeMap::new()).unwrap();
    saved.save_weights(&without.0).unwrap();
    let mut victim = trainer(&config);
    train(&mut victim, 0..2);
    let before = state(&victim);
    let error = victim.load_weights(&with_moments.0).unwrap_err().to_string();
    assert!(error.contains("as-weights") && error.contains("moment.first"), "{error}");
    let error = victim.load_state(&without.0).unwrap_err().to_string();
    assert!(error.contains("as-state") && error.contains("moment.first"), "{error}");
    assert!(state(&victim) == before, "the trainer is changed");
}

#[test]
fn the_authors_names_are_accepted() {
    let file = Temporary::new("authors");
    let config = config(NetKind::ResNet19, Optimizer::adam(0.0));
    let mut saved = trainer(&config);
    train(&mut saved, 0..2);
    saved.save_weights(&file.0).unwrap();
    let mut tensors = Tensors::read(&file.0);
    let mut aliases = Vec::new();
    for (name, shape, data) in &tensors.0 {
        aliases.extend(layout::aliases(name).into_iter().map(|alias| (alias, shape.clone(), data.clone())));
    }
    aliases.push(("bn1.bn.num_batches_tracked".into(), vec![1], vec![7.0]));
    tensors.0 = aliases;
    tensors.write(&file.0);
    let mut loaded = trainer(&config.seed(1));
    loaded.load_weights(&file.0).unwrap();
    assert!(state(&loaded).0 == state(&saved).0 && state(&loaded).1 == state(&saved).1);
}

#[test]
fn a_part_of_a_batch_is_predicted_as_in_the_batch() {
    for kind in [NetKind::Mlp, NetKind::LeNet, NetKind::ResNet19] {
        let mut trainer = trainer(&config(kind, Optimizer::adam(0.0)));
        train(&mut trainer, 0..3);
        let images = images(&trainer, 33);
        let (image, whole) = (images.len() / BATCH, trainer.predict(&images).unwrap());
        assert_eq!(whole.len(), BATCH * 4);
        for first in 0..BATCH {
            for end in first + 1..=BATCH {
                let part = trainer.predict(&images[first * image..end * image]).unwrap();
                assert_eq!(part, whole[first * 4..end * 4], "{kind}: images {first}..{end}");
            }
        }
        for wrong in [0, 1, image - 1, image + 1, images.len() + image] {
            let error = trainer.predict(&vec![0.0; wrong]).unwrap_err();
            assert!(matches!(error, Error::Batch(_)), "{kind}: {wrong} numbers: {error}");
        }
    }
}

#[test]
fn a_step_that_is_not_finite_is_named_and_changes_nothing() {
    // The largest pixel, 1e15, times such a weight: the sum of a linear layer overflows, the variance of a convolution.
    for (kind, large, layer) in [
        (NetKind::Mlp, 1e24, "spike1"),
        (NetKind::LeNet, 1e15, "bn1.running_var"),
        (NetKind::ResNet19, 1e15, "spike"),
    ] {
        for bad in [1e15, -1e15] {
            let config = config(kind, Optimizer::adam(0.0)).beta(0.0);
            let (mut trainer, mut twin) = (trainer(&config), self::trainer(&config));
            let file = Temporary::new(&format!("large-{kind}-{bad}"));
            trainer.save_weights(&file.0).unwrap();
            let mut tensors = Tensors::read(&file.0);
            tensors.at(if kind == NetKind::Mlp { "fc1.weight" } else { "conv1.weight" }).2.fill(large);
            tensors.write(&file.0);
            trainer.load_weights(&file.0).unwrap();
            twin.load_weights(&file.0).unwrap();
            train(&mut trainer, 0..2);
            train(&mut twin, 0..2);
            let before = state(&trainer);
            let mut images = images(&trainer, 5);
            images[17] = bad;
            let error = trainer.train_batch(&images, &[0, 1, 2], 2.0).unwrap_err();
            let Error::NotFinite { step, layer: found } = &error else { panic!("{kind} {bad}: {error}") };
            assert_eq!((*step, &found[..]), (3, layer), "{kind} {bad}: step and layer");
            assert!(error.to_string().contains("step 3") && error.to_string().contains(layer), "{error}");
            let after = state(&trainer);
            assert!(after.0 == before.0, "{kind} {bad}: weights are changed");
            assert!(after.1 == before.1, "{kind} {bad}: running estimates are changed");
            // Training goes on as if the batch had never been.
            train(&mut trainer, 2..4);
            train(&mut twin, 2..4);
            assert!(state(&trainer) == state(&twin), "{kind} {bad}: the step left something behind");
        }
    }
}

#[test]
fn wrong_batches_are_refused() {
    let mut trainer = trainer(&config(NetKind::Mlp, Optimizer::adam(0.0)));
    let images = images(&trainer, 1);
    let before = state(&trainer);
    for (images, labels, wants) in [
        (&images[1..], &[0, 1, 2][..], ["431", "432"]),
        (&images[..], &[0, 1], ["2 labels", "3"]),
        (&images[..], &[0, 1, 4], ["label 4", "4"]),
    ] {
        let error = trainer.train_batch(images, labels, 0.0).unwrap_err().to_string();
        assert!(wants.iter().all(|want| error.contains(want)), "{error:?} does not name {wants:?}");
    }
    assert!(state(&trainer) == before, "refused batches change nothing");
}
