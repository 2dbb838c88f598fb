//! Noise has the strength that its level says.

use spikegrad_data::{Noise, NoiseKind, Normalise, Space, Spread};

fn noise(kind: NoiseKind, level: f64) -> Noise {
    Noise { kind, level, space: Space::Pixel, spread: Spread::Sigma, seed: 7 }
}

fn cifar() -> Normalise {
    Normalise { mean: vec![0.4914, 0.4822, 0.4465], std: vec![0.2023, 0.1994, 0.2010] }
}

/// A normalised image whose pixels are all `value`.
fn plain(value: f32, pixels: usize, normalise: &Normalise) -> Vec<f32> {
    let channel = |(m, s): (&f32, &f32)| vec![(value - m) / s; pixels];
    normalise.mean.iter().zip(&normalise.std).flat_map(channel).collect()
}

/// The pixels, 0 to 1, of a normalised image.
fn pixels(image: &[f32], normalise: &Normalise) -> Vec<f32> {
    let per = image.len() / normalise.mean.len();
    let value = |(i, x): (usize, &f32)| x * normalise.std[i / per] + normalise.mean[i / per];
    image.iter().enumerate().map(value).collect()
}

#[test]
fn salt_and_pepper_hits_its_share_of_pixels() {
    const PIXELS: usize = 100_000;
    let normalise = cifar();
    for level in [0.0, 0.02, 0.1, 0.5, 1.0] {
        let mut image = plain(0.5, PIXELS, &normalise);
        noise(NoiseKind::SaltAndPepper, level).apply(3, &mut image, &normalise).unwrap();
        let values = pixels(&image, &normalise);
        let (red, rest) = values.split_at(PIXELS);
        let is = |x: f32, value: f32| (x - value).abs() < 1e-5;
        let count = |value: f32| red.iter().filter(|x| is(**x, value)).count();
        let (salt, pepper) = (count(1.0), count(0.0));
        assert_eq!(salt + pepper + count(0.5), PIXELS, "nothing else happens");
        let all_channels = (0..PIXELS).all(|i| rest.iter().skip(i).step_by(PIXELS).all(|x| is(*x, red[i])));
        assert!(all_channels, "a pixel is hit in every channel");
        // Five standard deviations of the binomial.
        let within = |count: usize, share: f64| {
            let deviation = (PIXELS as f64 * share * (1.0 - share)).sqrt();
            (count as f64 - PIXELS as f64 * share).abs() <= 5.0 * deviation
        };
        assert!(within(salt + pepper, level), "level {level}: {salt} + {pepper}");
        assert!(within(salt, level / 2.0), "level {level}: {salt} of {}", salt + pepper);
    }
}

#[test]
fn gaussian_noise_has_the_stated_deviation() {
    const PIXELS: usize = 60_000;
    let normalise = cifar();
    let deviation = |noise: Noise, in_pixels: bool| {
        let clean = plain(0.5, PIXELS, &normalise);
        let mut image = clean.clone();
        noise.apply(1, &mut image, &normalise).unwrap();
        let (a, b) = match in_pixels {
            true => (pixels(&image, &normalise), pixels(&clean, &normalise)),
            false => (image, clean),
        };
        let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| f64::from(a - b)).collect();
        let n = differences.len() as f64;
        let mean = differences.iter().sum::<f64>() / n;
        let square = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / n;
        // The mean's deviation is σ/√n.
        assert!(mean.abs() < 5.0 * square.sqrt() / n.sqrt(), "mean {mean}");
        square.sqrt()
    };
    // The relative deviation of a measured σ is 1/√(2n); five of them, n = 3 · 60,000.
    let bound = 5.0 / (2.0 * 3.0 * PIXELS as f64).sqrt();
    let near = |got: f64, want: f64| assert!((got / want - 1.0).abs() < bound, "got {got}, want {want}");
    // 0.1 is five deviations from the border: nothing is cut.
    let gaussian = noise(NoiseKind::Gaussian, 0.1);
    near(deviation(gaussian, true), 0.1);
    near(deviation(Noise { level: 0.01, spread: Spread::Variance, ..gaussian }, true), 0.1);
    near(deviation(Noise { space: Space::Normalised, level: 0.7, ..gaussian }, false), 0.7);
}

#[test]
fn pixels_stay_between_black_and_white() {
    let normalise = cifar();
    let mut image = plain(0.95, 1000, &normalise);
    noise(NoiseKind::Gaussian, 0.5).apply(0, &mut image, &normalise).unwrap();
    let values = pixels(&image, &normalise);
    assert!(values.iter().all(|x| (-1e-6..=1.0 + 1e-6).contains(x)));
    assert!(values.iter().any(|x| *x > 0.999), "some are cut");
}

#[test]
fn noise_depends_on_seed_and_image_and_grows_with_the_level() {
    let normalise = cifar();
    let draw = |kind: NoiseKind, level: f64, seed: u64, index: u64| {
        let mut image = plain(0.5, 400, &normalise);
        Noise { seed, ..noise(kind, level) }.apply(index, &mut image, &normalise).unwrap();
        image
    };
    for kind in [NoiseKind::Gaussian, NoiseKind::SaltAndPepper] {
        assert_eq!(draw(kind, 0.05, 1, 2), draw(kind, 0.05, 1, 2));
        assert_ne!(draw(kind, 0.05, 1, 2), draw(kind, 0.05, 1, 3));
        assert_ne!(draw(kind, 0.05, 1, 2), draw(kind, 0.05, 2, 2));
        let (clean, low, high) = (draw(kind, 0.0, 1, 2), draw(kind, 0.02, 1, 2), draw(kind, 0.1, 1, 2));
        assert_eq!(clean, plain(0.5, 400, &normalise), "no noise at level 0");
        let hit = |image: &[f32], at: usize| image[at] != clean[at];
        assert!((0..1200).all(|at| !hit(&low, at) || hit(&high, at)), "{kind}: hit at 0.02, hit at 0.1");
    }
}

#[test]
fn levels_and_images_that_make_no_sense_are_errors() {
    let (normalise, mut image) = (cifar(), [0.0; 6]);
    for (kind, level) in
        [(NoiseKind::Gaussian, -0.1), (NoiseKind::Gaussian, f64::NAN), (NoiseKind::SaltAndPepper, 1.1)]
    {
        let why = noise(kind, level).apply(0, &mut image, &normalise).unwrap_err().to_string();
        assert!(why.contains("noise level"), "{why}");
    }
    let why = noise(NoiseKind::Gaussian, 0.1).apply(0, &mut [0.0; 7], &normalise).unwrap_err().to_string();
    assert!(why.contains('7'), "{why}");
    assert!("pink".parse::<NoiseKind>().unwrap_err().to_string().contains("salt-and-pepper"));
    assert_eq!("variance".parse::<Spread>().unwrap(), Spread::Variance);
}
