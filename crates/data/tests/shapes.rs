//! `synthetic:shapes`: balanced, the same from the same seed, too hard for a linear classifier.

use spikegrad_data::rng::Rng;
use spikegrad_data::{ImageSet, Source, shapes};

#[test]
fn has_its_sizes_and_is_balanced() {
    let split = Source::Shapes.load(1).unwrap();
    assert_eq!((split.train.len(), split.test.len()), (6000, 1000));
    for (set, want) in [(&split.train, 600), (&split.test, 100)] {
        set.check().unwrap();
        assert_eq!((set.channels, set.height, set.width, set.classes), (3, 16, 16, 10));
        assert!((0..10).all(|class| set.labels.iter().filter(|&&l| l == class).count() == want));
    }
}

#[test]
fn follows_the_seed_alone() {
    let (one, two) = (shapes::generate(50, 30, 4), shapes::generate(70, 10, 4));
    assert_eq!(one.train.pixels, two.train.pixels[..one.train.pixels.len()]);
    assert_eq!(one.test.pixels[..two.test.pixels.len()], two.test.pixels);
    assert_ne!(one.train.image(0), one.test.image(0));
    assert_ne!(one.train.pixels, shapes::generate(50, 0, 5).train.pixels);
}

/// Pixels as (p/255 − 0.5)/0.25, with a 1 behind them for the bias.
fn features(set: &ImageSet, i: usize) -> Vec<f32> {
    set.image(i).iter().map(|&p| (f32::from(p) / 255.0 - 0.5) / 0.25).chain([1.0]).collect()
}

fn scores(weights: &[Vec<f32>], x: &[f32]) -> Vec<f32> {
    weights.iter().map(|w| w.iter().zip(x).map(|(w, x)| w * x).sum()).collect()
}

fn accuracy(weights: &[Vec<f32>], set: &ImageSet) -> f64 {
    let right = (0..set.len()).filter(|&i| {
        let scores = scores(weights, &features(set, i));
        let best = (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        best == Some(usize::from(set.labels[i]))
    });
    right.count() as f64 / set.len() as f64
}

/// Softmax regression by stochastic gradient descent: an epoch is one pass in random order.
fn regression(set: &ImageSet, epochs: usize, rate: f32) -> Vec<Vec<f32>> {
    let mut weights = vec![vec![0.0f32; set.image_size() + 1]; set.classes];
    let mut order: Vec<usize> = (0..set.len()).collect();
    let mut rng = Rng::new(1);
    for _ in 0..epochs {
        rng.shuffle(&mut order);
        for &i in &order {
            let x = features(set, i);
            let scores = scores(&weights, &x);
            let top = scores.iter().copied().fold(f32::MIN, f32::max);
            let powers: Vec<f32> = scores.iter().map(|s| (s - top).exp()).collect();
            let sum: f32 = powers.iter().sum();
            for (class, (w, power)) in weights.iter_mut().zip(&powers).enumerate() {
                let error = power / sum - f32::from(u8::from(class == usize::from(set.labels[i])));
                w.iter_mut().zip(&x).for_each(|(w, x)| *w -= rate * error * x);
            }
        }
    }
    weights
}

#[test]
fn a_linear_classifier_fails() {
    let split = Source::Shapes.load(0).unwrap();
    let weights = regression(&split.train, 8, 1e-3);
    let (train, test) = (accuracy(&weights, &split.train), accuracy(&weights, &split.test));
    println!("softmax regression: {train:.3} of the training images, {test:.3} of the test images");
    assert!(test < 0.6, "a linear classifier gets {test}");
}
