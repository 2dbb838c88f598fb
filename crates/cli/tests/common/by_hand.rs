//! What a run's figures should be: trained and scored with the library alone, summed up by the formulas of the books.

use spikegrad::bptt::{LifConfig, LossConfig, Optimizer, Reset, Schedule, Surrogate};
use spikegrad::data::shapes::generate;
use spikegrad::data::{Augment, ImageSet, Loader, LoaderConfig, Noise, Normalise};
use spikegrad::models::{Init, NetConfig, NetKind};
use spikegrad::tensor::Level;
use spikegrad::{TrainConfig, Trainer};

/// Images of a batch. It divides neither the training images that are used nor the test images.
pub const BATCH: usize = 30;
/// The flags of [`config`], but for the learning rate, the seed and the epochs.
pub const FLAGS: &str = "--net mlp --width 0.1 --limit 200 --batch 30";

/// The configuration that [`FLAGS`] ask for, spelled out.
pub fn config(lr: f32, seed: u64, epochs: usize) -> TrainConfig {
    let lif = LifConfig::default()
        .decay(0.5)
        .threshold(0.5)
        .reset(Reset::Hard)
        .surrogate(Surrogate::Rectangle { window: 0.5 })
        .delta(1e-4);
    let net = NetConfig::new(NetKind::Mlp, 3, 16, 16, 10).scale(0.1).timesteps(2).lif(lif);
    TrainConfig::new(net)
        .batch(BATCH)
        .loss(LossConfig::default())
        .beta(1e-4)
        .optimizer(Optimizer::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 })
        .lr(lr)
        .schedule(Schedule::Cosine)
        .warmup_epochs(0.0)
        .clip(None)
        .epochs(epochs)
        .seed(seed)
        .init(Init::Uniform)
}

/// A trainer at its beginning.
pub fn trainer(config: TrainConfig) -> Trainer {
    Trainer::new(config, Level::detect().unwrap()).unwrap()
}

/// A trainer that has loaded weights.
pub fn loaded(path: &std::path::Path) -> Trainer {
    let mut trainer = trainer(config(1e-3, 99, 1));
    trainer.load_weights(path).unwrap();
    trainer
}

/// The first `limit` training images, and all test images.
pub fn images(limit: usize) -> (ImageSet, ImageSet) {
    let split = generate(6000, 1000, 0);
    let mut train = split.train;
    train.truncate(limit);
    (train, split.test)
}

/// Mean and standard deviation of the shapes' pixels.
pub fn normalise() -> Normalise {
    Normalise { mean: vec![0.5; 3], std: vec![0.25; 3] }
}

/// Full batches in the order of a seed.
pub fn batches(train: &ImageSet, seed: u64) -> Loader {
    varied_batches(train, seed, Augment::NONE)
}

/// The same of images that are varied.
pub fn varied_batches(train: &ImageSet, seed: u64, augment: Augment) -> Loader {
    let config = LoaderConfig {
        batch: BATCH,
        seed,
        shuffle: true,
        augment,
        drop_last: true,
        prefetch: 0,
        normalise: normalise(),
    };
    Loader::new(std::sync::Arc::new(train.clone()), config).unwrap()
}

/// How images were answered.
#[derive(Clone, Debug)]
pub struct Answers {
    pub accuracy: f64,
    pub loss: f64,
    pub confusion: Vec<Vec<u64>>,
    pub first: Vec<usize>,
}

/// An image as the net reads it.
pub fn pixels(set: &ImageSet, i: usize) -> Vec<f32> {
    set.image(i).iter().map(|&byte| (f32::from(byte) / 255.0 - 0.5) / 0.25).collect()
}

/// Answers every image of a set, under noise where some is given.
pub fn answer(trainer: &mut Trainer, set: &ImageSet, noise: Option<Noise>) -> Answers {
    let (count, classes) = (set.len(), set.classes);
    let mut answers =
        Answers { accuracy: 0.0, loss: 0.0, confusion: vec![vec![0; classes]; classes], first: Vec::new() };
    for from in (0..count).step_by(BATCH) {
        let batch = from..(from + BATCH).min(count);
        let seen = batch.clone().flat_map(|i| {
            let mut image = pixels(set, i);
            if let Some(noise) = noise {
                noise.apply(i as u64, &mut image, &normalise()).unwrap();
            }
            image
        });
        let logits = trainer.predict(&seen.collect::<Vec<f32>>()).unwrap();
        for (row, i) in logits.chunks(classes).zip(batch) {
            let row: Vec<f64> = row.iter().map(|&z| f64::from(z)).collect();
            let label = usize::from(set.labels[i]);
            let top = row.iter().copied().fold(f64::MIN, f64::max);
            let answer = row.iter().position(|&z| z == top).unwrap();
            let chances: f64 = row.iter().map(|z| z.exp()).sum();
            answers.loss -= (row[label].exp() / chances).ln() / count as f64;
            answers.accuracy += f64::from(u8::from(answer == label)) / count as f64;
            answers.confusion[label][answer] += 1;
            answers.first.push(answer);
        }
    }
    answers.first.truncate(12);
    answers
}

/// An epoch's figures.
#[derive(Clone, Debug)]
pub struct Epoch {
    pub train_loss: f64,
    pub train_accuracy: f64,
    /// Of the last batch.
    pub rates: Vec<(String, f64)>,
    pub test: Answers,
}

/// Trains all epochs.
pub fn train(config: TrainConfig, train: &ImageSet, test: &ImageSet) -> (Trainer, Vec<Epoch>) {
    let loader = batches(train, config.seed);
    train_on(&loader, config, test)
}

/// The same on the batches of a loader.
pub fn train_on(loader: &Loader, config: TrainConfig, test: &ImageSet) -> (Trainer, Vec<Epoch>) {
    let (count, all) = (loader.set().len() / BATCH, config.epochs);
    let mut trainer = trainer(config);
    let mut epochs = Vec::new();
    for epoch in 0..all {
        let (mut loss, mut right) = (0.0, 0);
        for (k, batch) in loader.epoch(epoch as u64).enumerate() {
            let progress = epoch as f64 + k as f64 / count as f64;
            let step = trainer.train_batch(&batch.images, &batch.labels, progress).unwrap();
            loss += step.loss / count as f64;
            right += step.correct;
        }
        let rates = trainer.rates();
        let test = answer(&mut trainer, test, None);
        let train_accuracy = right as f64 / (count * BATCH) as f64;
        epochs.push(Epoch { train_loss: loss, train_accuracy, rates, test });
    }
    (trainer, epochs)
}

/// Checks a number of a JSON object against one worked out here.
#[track_caller]
pub fn near(got: &serde_json::Value, want: f64) {
    let number = got.as_f64().unwrap_or_else(|| panic!("{got} is no number"));
    assert!((number - want).abs() <= 1e-9 * want.abs().max(1e-3), "got {number}, want {want}");
}

/// The mean of numbers.
pub fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

/// The middle of numbers, or the mean of the two there.
pub fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0
}

/// The last images of a set.
pub fn tail(set: &ImageSet, count: usize) -> ImageSet {
    let from = set.len() - count;
    let mut tail = set.clone();
    tail.pixels.drain(..from * set.image(0).len());
    tail.labels.drain(..from);
    tail
}
