//! `synthetic:motion`: eight kinds of motion, filmed by the simulated camera on 32×32 pixels for 100 ms.
//!
//! A scene is five round spots, brighter or darker than the ground by chance, that move together. A single moment
//! tells little: brightening on one side of a spot is a bright one coming or a dark one leaving. Only how the
//! edges move on tells the class.

use super::{Camera, Events, Sensor};
use crate::rng::Rng;

/// The number of training recordings of `synthetic:motion`.
pub const TRAIN: usize = 2000;
/// The number of test recordings of `synthetic:motion`.
pub const TEST: usize = 400;
/// Rows and columns of the camera.
pub const SIDE: usize = 32;
/// The classes' names, in label order.
pub const NAMES: [&str; 8] =
    ["right", "left", "down", "up", "clockwise", "counterclockwise", "growing", "shrinking"];

/// Microseconds of a recording.
const DURATION: u64 = 100_000;
/// Spots of a scene.
const SPOTS: usize = 5;
/// Keys of the two parts' random streams.
const TRAIN_STREAM: u64 = 3;
const TEST_STREAM: u64 = 4;

/// A spot: centre and radius in half sides, and how it differs from the ground.
struct Spot {
    u: f32,
    v: f32,
    radius: f32,
    contrast: f32,
}

/// Recordings with their labels.
pub type Labelled = Vec<(Events, u16)>;

/// Films `train` and `test` recordings from `seed`, with their labels.
///
/// Recording i of a part depends on (seed, part, i) alone and its class is i mod 8, so that every prefix is balanced.
///
/// ```
/// let (train, test) = spikegrad_data::events::motion::generate(8, 1, 1);
/// assert_eq!((train.len(), test.len(), train[3].1), (8, 1, 3));
/// assert!(train[0].0.len() > 100);
/// ```
#[must_use]
pub fn generate(train: usize, test: usize, seed: u64) -> (Labelled, Labelled) {
    let (train, test) = scenes(train, test, seed);
    let film = |scenes: Vec<Scene>| scenes.into_iter().map(|scene| (scene.film(), scene.label())).collect();
    (film(train), film(test))
}

/// Names a scene that is not filmed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scene {
    seed: u64,
    stream: u64,
    index: usize,
}

/// Names `train` and `test` scenes of `seed`.
#[must_use]
pub fn scenes(train: usize, test: usize, seed: u64) -> (Vec<Scene>, Vec<Scene>) {
    let part = |count: usize, stream: u64| (0..count).map(|index| Scene { seed, stream, index }).collect();
    (part(train, TRAIN_STREAM), part(test, TEST_STREAM))
}

impl Scene {
    /// Gives the kind of motion.
    #[must_use]
    pub fn label(self) -> u16 {
        (self.index % NAMES.len()) as u16
    }

    /// Films the scene.
    #[must_use]
    pub fn film(self) -> Events {
        film(self.label().into(), &mut Rng::keyed(&[self.seed, self.stream, self.index as u64]))
    }
}

/// Films one scene.
fn film(class: usize, rng: &mut Rng) -> Events {
    let spots: [Spot; SPOTS] = std::array::from_fn(|_| Spot {
        u: rng.range(-0.9, 0.9),
        v: rng.range(-0.9, 0.9),
        radius: rng.range(0.2, 0.5),
        contrast: if rng.uniform() < 0.5 { rng.range(0.25, 0.45) } else { rng.range(-0.45, -0.25) },
    });
    let speed = rng.range(0.5, 1.0);
    let sensor = Sensor { width: SIDE, height: SIDE };
    Camera::default().film(sensor, DURATION, rng.u64(), |t, out| {
        let moved = speed * t as f32 / DURATION as f32;
        for (at, l) in out.iter_mut().enumerate() {
            let place = |k: usize| (k as f32 + 0.5) * 2.0 / SIDE as f32 - 1.0;
            let (u, v) = back(class, moved, place(at % SIDE), place(at / SIDE));
            *l = (0.5 + spots.iter().map(|spot| spot.at(u, v)).sum::<f32>()).clamp(0.0, 1.0);
        }
    })
}

/// Returns the place at the beginning of the point that is now at (u, v); v points down.
fn back(class: usize, moved: f32, u: f32, v: f32) -> (f32, f32) {
    let turned = |angle: f32| {
        let (sin, cos) = angle.sin_cos();
        (cos * u + sin * v, cos * v - sin * u)
    };
    let scaled = |factor: f32| (u * factor, v * factor);
    match class {
        0 => (u - moved, v),
        1 => (u + moved, v),
        2 => (u, v - moved),
        3 => (u, v + moved),
        4 => turned(moved),
        5 => turned(-moved),
        6 => scaled((-moved).exp()),
        _ => scaled(moved.exp()),
    }
}

impl Spot {
    /// contrast·(1 − r²/R²)² inside, 0 outside.
    fn at(&self, u: f32, v: f32) -> f32 {
        let (du, dv) = (u - self.u, v - self.v);
        let inside = (1.0 - (du * du + dv * dv) / (self.radius * self.radius)).max(0.0);
        self.contrast * inside * inside
    }
}
