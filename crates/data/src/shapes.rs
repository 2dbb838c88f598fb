//! `synthetic:shapes`: ten kinds of shape on 3×16×16 colour images, drawn by the program.
//!
//! Position, size (9 to 13 pixels across), both colours and the noise vary; which of the two colours is the
//! lighter is chance, so that no single pixel tells anything about the class and a linear classifier fails,
//! while a small convolutional net learns it within a few epochs.

use crate::image_set::{ImageSet, Split};
use crate::rng::Rng;

/// The number of training images of `synthetic:shapes`.
pub const TRAIN: usize = 6000;
/// The number of test images of `synthetic:shapes`.
pub const TEST: usize = 1000;
/// Rows and columns of an image.
pub const SIDE: usize = 16;
/// The classes' names, in label order.
pub const NAMES: [&str; 10] = [
    "disc",
    "ring",
    "square",
    "frame",
    "triangle",
    "plus",
    "cross",
    "horizontal-bars",
    "vertical-bars",
    "checkerboard",
];

/// Standard deviation of the noise, for pixels in 0 to 1.
const NOISE: f32 = 0.08;
/// The least difference of the two colours' mean over the channels.
const CONTRAST: f32 = 0.3;
/// Samples along a pixel's side that a shape's edge is averaged over.
const SAMPLES: usize = 4;
/// Keys of the two parts' random streams.
const TRAIN_STREAM: u64 = 1;
const TEST_STREAM: u64 = 2;

/// Draws `train` and `test` images from `seed`.
///
/// Image i of a part depends on (seed, part, i) alone and its class is i mod 10, so that every prefix is balanced.
///
/// ```
/// let split = spikegrad_data::shapes::generate(20, 10, 1);
/// assert_eq!((split.train.len(), split.test.len()), (20, 10));
/// assert_eq!(split.train.image(0).len(), 3 * 16 * 16);
/// ```
#[must_use]
pub fn generate(train: usize, test: usize, seed: u64) -> Split {
    Split { train: part(train, seed, TRAIN_STREAM), test: part(test, seed, TEST_STREAM) }
}

/// Draws the images of one part.
fn part(count: usize, seed: u64, stream: u64) -> ImageSet {
    let mut set = ImageSet {
        channels: 3,
        height: SIDE,
        width: SIDE,
        classes: NAMES.len(),
        pixels: Vec::with_capacity(count * 3 * SIDE * SIDE),
        labels: Vec::with_capacity(count),
        class_names: NAMES.map(str::to_owned).to_vec(),
    };
    for i in 0..count {
        let class = i % NAMES.len();
        draw(class, &mut Rng::keyed(&[seed, stream, i as u64]), &mut set.pixels);
        set.labels.push(class as u16);
    }
    set
}

/// Draws one image and appends its 3·16·16 bytes to `pixels`.
fn draw(class: usize, rng: &mut Rng, pixels: &mut Vec<u8>) {
    let half = rng.range(4.5, 6.5);
    let (cx, cy) = (rng.range(half, SIDE as f32 - half), rng.range(half, SIDE as f32 - half));
    let (inside, outside) = colours(rng);
    let mut cover = [0.0f32; SIDE * SIDE];
    for (i, cover) in cover.iter_mut().enumerate() {
        let (x, y) = ((i % SIDE) as f32, (i / SIDE) as f32);
        let hits = (0..SAMPLES * SAMPLES).filter(|s| {
            let sub = |k: usize| (k as f32 + 0.5) / SAMPLES as f32;
            contains(class, (x + sub(s % SAMPLES) - cx) / half, (y + sub(s / SAMPLES) - cy) / half)
        });
        *cover = hits.count() as f32 / (SAMPLES * SAMPLES) as f32;
    }
    for c in 0..3 {
        for cover in cover {
            let value = outside[c] + cover * (inside[c] - outside[c]) + NOISE * rng.normal();
            pixels.push((value.clamp(0.0, 1.0) * 255.0).round() as u8);
        }
    }
}

/// Draws the shape's and the ground's colour, far enough apart.
fn colours(rng: &mut Rng) -> ([f32; 3], [f32; 3]) {
    loop {
        let mut colour = || [(); 3].map(|()| rng.range(0.05, 0.95));
        let (inside, outside) = (colour(), colour());
        let difference = inside.iter().sum::<f32>() - outside.iter().sum::<f32>();
        if difference.abs() >= 3.0 * CONTRAST {
            return (inside, outside);
        }
    }
}

/// Tells whether the shape of a class, which spans −1 to 1, contains the point (u, v); v points down.
fn contains(class: usize, u: f32, v: f32) -> bool {
    let (across, down) = (u.abs(), v.abs());
    let (far, radius) = (across.max(down), u.hypot(v));
    let stripe = |t: f32, n: f32| ((t + 1.0) * 0.5 * n).floor() as i32;
    match class {
        0 => radius <= 1.0,
        1 => (0.55..=1.0).contains(&radius),
        2 => far <= 0.9,
        3 => (0.5..=0.9).contains(&far),
        4 => down <= 0.9 && across <= (v + 0.9) / 1.8,
        5 => far <= 1.0 && across.min(down) <= 0.28,
        6 => far <= 0.95 && (across - down).abs() <= 0.36,
        7 => far <= 1.0 && stripe(v, 5.0) % 2 == 0,
        8 => far <= 1.0 && stripe(u, 5.0) % 2 == 0,
        _ => far < 1.0 && (stripe(u, 4.0) + stripe(v, 4.0)) % 2 == 0,
    }
}
