//! The embedder's loop against closed forms: steps by hand, weights of samples, parameter groups, batches that are not
//! full, the mean of the weights, scores, nets from files.

use spikegrad::gradcheck::gradients;
use spikegrad::models::ops::Kinds;
use spikegrad::models::params::Role;
use spikegrad::prelude::*;
use spikegrad::{ParamGroup, Position, Select, files};
use spikegrad_testkit::check::{Tolerance, assert_close, widen};
use spikegrad_testkit::rng::Rng;
use spikegrad_testkit::temporary::Temporary;

fn mlp(batch: usize) -> TrainConfig {
    let net = NetConfig::new(NetKind::Mlp, 1, 4, 4, 3).scale(0.05).timesteps(3);
    let (optimizer, schedule) = (Optimizer::sgd(0.0, false, 0.0), Schedule::Constant);
    TrainConfig::new(net).batch(batch).beta(0.0).lr(0.1).optimizer(optimizer).schedule(schedule)
}

fn trainer(config: TrainConfig) -> Trainer {
    Trainer::new(config, Level::BASELINE).unwrap()
}

fn images(count: usize) -> Vec<f32> {
    Rng::new(7).normals(count * 16).iter().map(|&x| x as f32).collect()
}

fn weights(trainer: &Trainer) -> Vec<f32> {
    trainer.net().params().weights.clone()
}

/// All gradients of a batch, one after the other.
fn flat(trainer: &mut Trainer, images: &[f32], labels: &[u32]) -> Vec<f32> {
    gradients(trainer, images, labels).unwrap().into_iter().flat_map(|(_, g)| g).collect()
}

#[test]
fn a_step_by_hand_is_the_trainers() {
    let (images, labels) = (images(2), [2, 0]);
    let (mut by_hand, mut own) = (trainer(mlp(2)), trainer(mlp(2)));
    by_hand.zero_gradients();
    let logits = by_hand.forward(&images).unwrap();
    assert_eq!(logits.len(), 3 * 2 * 3);
    // ∂/∂z[t,n,k] of the mean over n of −log softmax(mean over t of z)[y]: (p − 1[k = y]) / (T·N).
    let mut gradient = vec![0.0; logits.len()];
    for n in 0..2 {
        let mean = |k: usize| (0..3).map(|t| f64::from(logits[(t * 2 + n) * 3 + k])).sum::<f64>() / 3.0;
        let sum: f64 = (0..3).map(|k| mean(k).exp()).sum();
        for k in 0..3 {
            let g = (mean(k).exp() / sum - f64::from(u8::from(labels[n] as usize == k))) / 6.0;
            (0..3).for_each(|t| gradient[(t * 2 + n) * 3 + k] = g as f32);
        }
    }
    by_hand.backward(&gradient).unwrap();
    by_hand.apply(0.1).unwrap();
    own.train_batch(&images, &labels, 0.0).unwrap();
    assert_close("weights", &weights(&by_hand), &widen(&weights(&own)), Tolerance::Forward);
    assert_eq!(by_hand.steps(), 1);
    let twice = by_hand.backward(&gradient).unwrap_err().to_string();
    assert!(twice.contains("needs a forward"), "{twice}");
    // Another pass takes the place of the forward.
    by_hand.forward(&images).unwrap();
    by_hand.predict(&images).unwrap();
    assert!(by_hand.backward(&gradient).is_err());
    by_hand.forward(&images).unwrap();
    by_hand.accumulate(&images, &labels, None).unwrap();
    assert!(by_hand.backward(&gradient).is_err());
    assert!(by_hand.backward(&gradient[1..]).unwrap_err().to_string().contains("17 numbers"));
    assert!(by_hand.apply(f32::NAN).is_err() && by_hand.forward(&images[1..]).is_err());
}

#[test]
fn accumulated_batches_are_one_batch() {
    let (images, labels) = (images(4), [2, 0, 1, 1]);
    let want = flat(&mut trainer(mlp(4)), &images, &labels);
    let mut pieces = trainer(mlp(2));
    pieces.zero_gradients();
    let mut loss = 0.0;
    for (x, y) in images.chunks(32).zip(labels.chunks(2)) {
        loss += pieces.accumulate(x, y, None).unwrap() / 2.0;
    }
    pieces.scale_gradients(0.5);
    assert_close("gradient", &pieces.net().params().grads, &widen(&want), Tolerance::Forward);
    let whole = trainer(mlp(4)).accumulate(&images, &labels, None).unwrap();
    assert!((loss - whole).abs() < 1e-6, "{loss} {whole}");
    // A batch that is not full counts as the images that it has.
    let (mut two, mut full) = (trainer(mlp(4)), trainer(mlp(2)));
    let half = two.accumulate(&images[..32], &labels[..2], None).unwrap();
    assert_eq!(half, full.accumulate(&images[..32], &labels[..2], None).unwrap());
}

#[test]
fn a_weight_counts_a_sample() {
    let (images, labels) = (images(2), [2, 1]);
    let each = [0, 1].map(|n| flat(&mut trainer(mlp(1)), &images[n * 16..][..16], &labels[n..n + 1]));
    let mut weighted = trainer(mlp(2));
    weighted.zero_gradients();
    weighted.accumulate(&images, &labels, Some(&[3.0, 0.5])).unwrap();
    // L = 1/2·(3·L₀ + 0.5·L₁).
    let want: Vec<f64> = each[0].iter().zip(&each[1]).map(|(a, b)| f64::from(1.5 * a + 0.25 * b)).collect();
    assert_close("gradient", &weighted.net().params().grads, &want, Tolerance::Forward);
    for (weights, want) in [(&[1.0][..], "1 weights"), (&[1.0, -1.0], "-1"), (&[f32::NAN, 1.0], "NaN")] {
        let error = weighted.train_weighted(&images, &labels, Some(weights), 0.0).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    }
}

/// A file tells that its net has a surrogate of one's own; which one, its reader tells.
#[test]
fn a_net_with_a_surrogate_of_ones_own_is_opened_with_it() {
    struct Flat;
    impl UserSurrogate for Flat {
        fn derivative(&self, _: f32) -> f32 {
            0.25
        }
        fn primitive(&self, d: f32) -> f32 {
            0.25 * d
        }
    }
    let surrogate = Surrogate::Custom(std::sync::Arc::new(Flat));
    let config = mlp(1);
    let net = config.net.clone().lif(LifConfig::default().surrogate(surrogate.clone()));
    let own = trainer(config.net(net.clone()));
    let file = Temporary::new("own-surrogate");
    own.save_weights(&file.0).unwrap();
    let error = Trainer::open(&file.0, 1, Level::BASELINE).unwrap_err().to_string();
    assert!(error.contains("with_surrogate"), "{error}");
    let kinds = Kinds::default().with_surrogate(surrogate);
    let opened = Trainer::open_with(&file.0, &kinds, Level::BASELINE, |config| config.batch(1)).unwrap();
    assert_eq!((&opened.config().net, weights(&opened)), (&net, weights(&own)));
}

/// A loss of one's own sees no weights, so that none may be given.
#[test]
fn a_loss_of_ones_own_takes_no_weights() {
    let mut own = trainer(mlp(2).loss(LossConfig::custom(|_, _: &[f32], _: &[u32], grad: &mut [f32]| {
        grad.fill(0.0);
        0.0
    })));
    assert!(own.accumulate(&images(2), &[0, 1], None).is_ok());
    let error = own.accumulate(&images(2), &[0, 1], Some(&[1.0, 2.0])).unwrap_err().to_string();
    assert!(error.contains("weights of samples"), "{error}");
}

#[test]
fn a_batch_that_is_not_full_is_one_of_its_size() {
    for kind in [NetKind::Mlp, NetKind::LeNet] {
        let config = |batch| {
            let net = NetConfig::new(kind, 1, 8, 8, 3).scale(0.1);
            TrainConfig::new(net).batch(batch)
        };
        let images: Vec<f32> = Rng::new(3).normals(5 * 64).iter().map(|&x| x as f32).collect();
        let (mut large, mut small) = (trainer(config(5)), trainer(config(3)));
        for step in 0..3 {
            let (a, b) = (
                large.train_batch(&images[..192], &[0, 1, 2], f64::from(step)).unwrap(),
                small.train_batch(&images[..192], &[0, 1, 2], f64::from(step)).unwrap(),
            );
            assert_eq!((a.loss, a.correct), (b.loss, b.correct));
        }
        assert!(weights(&large) == weights(&small), "{kind}");
        assert!(large.net().params().buffers == small.net().params().buffers, "{kind}");
        large.train_batch(&images, &[0, 1, 2, 0, 1], 3.0).unwrap();
        assert!(large.train_batch(&images[..192], &[0, 1], 3.0).is_err(), "{kind}: two labels, three images");
        assert!(large.train_batch(&[], &[], 3.0).is_err(), "{kind}: none");
    }
}

#[test]
fn groups_learn_as_they_say() {
    let groups = [
        ParamGroup::new(Select::Role(Role::Bias)).weight_decay(0.0),
        ParamGroup::named("fc2").lr_factor(0.25),
        ParamGroup::named("fc3.weight").frozen(),
    ];
    let optimizer = Optimizer::sgd(0.0, false, 0.01);
    let config = mlp(2).groups(groups.to_vec()).optimizer(optimizer);
    let mut trainer = trainer(config.clone());
    let before = trainer.net().params().clone();
    let gradient = flat(&mut trainer, &images(2), &[1, 2]);
    trainer.train_batch(&images(2), &[1, 2], 0.0).unwrap();
    let after = weights(&trainer);
    for entry in &before.entries {
        // The last rule that fits counts, so the bias of fc2 decays.
        let (factor, decay) = match entry.name.as_str() {
            "fc3.weight" => (0.0, 0.0),
            name if name.starts_with("fc2") => (0.25, 0.01),
            name if name.ends_with("bias") => (1.0, 0.0),
            _ => (1.0, 0.01),
        };
        for k in entry.range.clone() {
            let w = f64::from(before.weights[k]);
            let want = w - 0.1 * factor * (f64::from(gradient[k]) + decay * w);
            assert!((f64::from(after[k]) - want).abs() < 1e-6, "{} {k}: {} {want}", entry.name, after[k]);
        }
    }
    let refused = |group: ParamGroup| {
        Trainer::new(config.clone().groups(vec![group]), Level::BASELINE).unwrap_err().to_string()
    };
    assert!(refused(ParamGroup::named("fc9")).contains("\"fc9\""));
    assert!(refused(ParamGroup::named("fc1").lr_factor(-1.0)).contains("-1"));
    let recipe = ParamGroup::no_decay_on_norms_and_biases();
    assert!(recipe.iter().all(|group| group.weight_decay == Some(0.0) && group.lr_factor == 1.0));
}

#[test]
fn the_mean_of_weights_follows_its_recursion() {
    let config = mlp(2).weight_mean(Some(0.75));
    let mut trainer = trainer(config.clone());
    let mut want = widen(&weights(&trainer));
    for step in 0..3 {
        trainer.train_batch(&images(2), &[1, 2], f64::from(step)).unwrap();
        want.iter_mut()
            .zip(weights(&trainer))
            .for_each(|(mean, w)| *mean = 0.75 * *mean + 0.25 * f64::from(w));
    }
    assert_close("mean", trainer.mean_weights().unwrap(), &want, Tolerance::Forward);
    // A state brings it back; the file of the mean holds it.
    let [state, mean] = ["mean-state", "mean-weights"].map(Temporary::new);
    trainer.save_state_at(&state.0, Position { epoch: 3, batch: 1 }).unwrap();
    trainer.save_mean_weights(&mean.0).unwrap();
    let mut back = Trainer::new(config, Level::BASELINE).unwrap();
    assert_eq!(back.load_state_at(&state.0).unwrap(), Position { epoch: 3, batch: 1 });
    assert_eq!(back.mean_weights(), trainer.mean_weights());
    back.load_weights(&mean.0).unwrap();
    assert_eq!(weights(&back), trainer.mean_weights().unwrap());
    assert_eq!(back.mean_weights().unwrap(), weights(&back), "the mean begins with weights that are loaded");
    let mut without = Trainer::new(mlp(2), Level::BASELINE).unwrap();
    assert!(without.load_state_at(&state.0).unwrap_err().to_string().contains("has a mean"));
    assert!(without.save_mean_weights(&mean.0).is_err());
}

#[test]
fn a_fixed_learning_rate_is_taken() {
    let mut trainer = trainer(mlp(2).schedule(Schedule::Cosine).epochs(2));
    assert_eq!(trainer.train_batch(&images(2), &[0, 1], 1.0).unwrap().lr, 0.05);
    trainer.set_lr(Some(0.3)).unwrap();
    assert_eq!(trainer.train_batch(&images(2), &[0, 1], 1.0).unwrap().lr, 0.3);
    trainer.set_lr(None).unwrap();
    assert_eq!(trainer.train_batch(&images(2), &[0, 1], 1.0).unwrap().lr, 0.05);
    assert!(trainer.set_lr(Some(f32::INFINITY)).is_err());
}

#[test]
fn scores_are_counted_image_by_image() {
    let mut trainer = trainer(mlp(4));
    let (images, labels) = (images(7), [0u32, 1, 2, 2, 1, 0, 1]);
    let batches = || images.chunks(64).zip(labels.chunks(4)).map(|(x, y)| (x.to_vec(), y.to_vec()));
    let logits: Vec<f32> = batches().flat_map(|(x, _)| trainer.predict(&x).unwrap()).collect();
    let (mut confusion, mut loss) = (vec![vec![0u64; 3]; 3], 0.0);
    for (z, &label) in logits.chunks(3).zip(&labels) {
        let answer = (0..3).fold(0, |best, k| if z[k] > z[best] { k } else { best });
        confusion[label as usize][answer] += 1;
        let sum: f64 = z.iter().map(|z| f64::from(*z).exp()).sum();
        loss -= (f64::from(z[label as usize]).exp() / sum).ln() / 7.0;
    }
    let scores = trainer.evaluate(batches()).unwrap();
    assert_eq!((scores.images, &scores.confusion), (7, &confusion));
    assert_eq!(scores.correct as u64, (0..3).map(|k| confusion[k][k]).sum::<u64>());
    assert!((scores.loss - loss).abs() < 1e-9 && scores.accuracy() == scores.correct as f64 / 7.0);
    assert!(trainer.evaluate([(images[..16].to_vec(), vec![0, 1])]).is_err());
    assert!(trainer.evaluate([(images[..16].to_vec(), vec![3])]).is_err());
    assert_eq!(trainer.evaluate(Vec::<(Vec<f32>, Vec<u32>)>::new()).unwrap().accuracy(), 0.0);
}

#[test]
fn a_file_says_what_net_it_is_for() {
    let names = ["ant", "bee", "crab"].map(str::to_string).to_vec();
    let config = mlp(2).class_names(names.clone());
    let trainer = trainer(config.clone());
    let file = Temporary::new("opened");
    trainer.save_weights(&file.0).unwrap();
    let (net, told) = files::net_of(&file.0, &Kinds::default()).unwrap();
    assert_eq!((&net, &told), (&config.net, &names));
    let mut opened = Trainer::open(&file.0, 2, Level::BASELINE).unwrap();
    assert_eq!((weights(&opened), &opened.config().class_names), (weights(&trainer), &names));
    let mut predictor = Predictor::open(&file.0, 1, Level::BASELINE).unwrap();
    let mut stream = predictor.stream();
    (0..3).for_each(|_| drop(predictor.step(&images(1), &mut stream).map(<[f32]>::to_vec).unwrap()));
    assert_eq!(stream.mean_logits(), &opened.predict(&images(1)).unwrap()[..]);
    assert_eq!(stream.membranes_of(predictor.net(), "spike1").map(|m| m.len()), Some(13));
    // Other names, or another number of them, are another net's.
    let other = ["ant", "bee", "cow"].map(str::to_string).to_vec();
    let mut wrong = Trainer::new(config.clone().class_names(other), Level::BASELINE).unwrap();
    let error = wrong.load_weights(&file.0).unwrap_err().to_string();
    assert!(error.contains("\"crab\"") && error.contains("\"cow\""), "{error}");
    let few = Trainer::new(config.class_names(names[..2].to_vec()), Level::BASELINE);
    assert!(few.unwrap_err().to_string().contains("2 classes have names"));
}

#[test]
fn a_net_and_a_trainer_turn_into_each_other() {
    let config = mlp(2);
    let mut own = trainer(config.clone());
    own.train_batch(&images(2), &[0, 1], 0.0).unwrap();
    let trained = weights(&own);
    let mut net = own.into_net();
    // One floor down: the same step by hand.
    net.forward(&images(2), true);
    net.params_mut().zero_grads();
    net.backward_loss(&[0, 1], None, &config.loss);
    let want: Vec<f32> = trained.iter().zip(&net.params().grads).map(|(w, g)| w - 0.1 * g).collect();
    let mut back = Trainer::from_net(net, config.clone(), Level::BASELINE).unwrap();
    assert_eq!(weights(&back), trained);
    back.train_batch(&images(2), &[0, 1], 1.0).unwrap();
    assert_eq!(weights(&back), want);
    let net = back.into_net();
    assert!(Trainer::from_net(net, config.batch(3), Level::BASELINE).is_err());
}

#[test]
fn predictors_hold_their_weights_together() {
    let mut trainer = trainer(mlp(1));
    let want = trainer.predict(&images(1)).unwrap();
    let mut first = Predictor::of(&trainer, 1).unwrap();
    let mut second = first.try_clone().unwrap();
    let place = |predictor: &Predictor| predictor.net().params().weights.as_ptr();
    assert_eq!(place(&first), place(&second));
    assert!(first.net().params().grads.is_empty(), "who predicts has no gradients");
    let bytes = first.net().report(0, false).bytes;
    // The trainer has a gradient and a moment for each of the weights.
    assert!(
        bytes.gradients == 0 && bytes.total + 2 * bytes.weights < trainer.plan().bytes.total,
        "{bytes:?}"
    );
    for predictor in [&mut first, &mut second] {
        let mut stream = predictor.stream();
        (0..3).for_each(|_| drop(predictor.step(&images(1), &mut stream).map(<[f32]>::to_vec).unwrap()));
        assert_eq!(stream.mean_logits(), want);
    }
    // Another file for one of them leaves the other as it is.
    let file = Temporary::new("other-weights");
    Trainer::new(mlp(1).seed(5), Level::BASELINE).unwrap().save_weights(&file.0).unwrap();
    second.load_weights(&file.0).unwrap();
    assert!(place(&first) != place(&second) && first.net().params().weights == weights(&trainer));
}
