//! A simulated event camera, after Lichtsteiner et al. 2008.
//!
//! A pixel sees L(t), 0 to 1, as ℓ = ln(0.05 + L) and remembers a level r, at first ℓ. Whenever ℓ has moved from r by the
//! pixel's threshold θ, r follows by θ and the pixel puts out an event, ON upward, OFF downward, unless its last event is
//! younger than the refractory time. The scene is looked at in steps; between two of them ℓ is taken as straight, and an
//! event has the time at which that line meets the level. θ varies from pixel to pixel (a normal number, at least a fifth
//! of its mean), and noise adds events of either kind anywhere at any time.

use super::{Event, Events, Sensor};
use crate::rng::Rng;

/// The luminance of a dark pixel, added before the logarithm.
const DARK: f32 = 0.05;

/// Describes a camera.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// Mean threshold θ, in natural logarithms.
    pub threshold: f32,
    /// Standard deviation of θ between pixels.
    pub mismatch: f32,
    /// Microseconds after an event during which its pixel is silent.
    pub refractory: u64,
    /// Noise events of a pixel each second.
    pub noise: f32,
    /// Microseconds between two looks at the scene.
    pub step: u64,
}

impl Default for Camera {
    /// Figures like a DVS128's: θ = 0.2 ± 0.02, 100 µs, 0.1 Hz; a look each millisecond.
    fn default() -> Self {
        Self { threshold: 0.2, mismatch: 0.02, refractory: 100, noise: 0.1, step: 1000 }
    }
}

/// The state of a pixel.
#[derive(Clone, Copy, Debug)]
struct Pixel {
    threshold: f32,
    /// The level r.
    level: f32,
    /// ℓ at the last look.
    last: f32,
    /// Before this time the pixel is silent.
    ready: u64,
}

impl Camera {
    /// Films for `duration` µs: `scene` writes the luminance at a time, in µs, to \[H\]\[W\].
    ///
    /// ```
    /// use spikegrad_data::events::{Camera, Sensor};
    /// let camera = Camera { mismatch: 0.0, noise: 0.0, ..Camera::default() };
    /// let sensor = Sensor { width: 1, height: 1 };
    /// let brightening = |t: u64, pixel: &mut [f32]| pixel[0] = t as f32 / 10_000.0;
    /// let events = camera.film(sensor, 10_000, 1, brightening);
    /// // ln(1.05 / 0.05) = 3.04: fifteen thresholds of 0.2.
    /// assert_eq!(events.len(), 15);
    /// assert!(events.list.iter().all(|event| event.on));
    /// ```
    pub fn film(
        &self,
        sensor: Sensor,
        duration: u64,
        seed: u64,
        mut scene: impl FnMut(u64, &mut [f32]),
    ) -> Events {
        let mut rng = Rng::new(seed);
        let mut luminance = vec![0.0; sensor.width * sensor.height];
        scene(0, &mut luminance);
        let mut pixels: Vec<Pixel> = luminance
            .iter()
            .map(|l| {
                let level = (DARK + l).ln();
                let threshold = (self.threshold + self.mismatch * rng.normal()).max(self.threshold / 5.0);
                Pixel { threshold, level, last: level, ready: 0 }
            })
            .collect();
        let mut list = Vec::new();
        let mut start = 0;
        while start < duration {
            let end = (start + self.step).min(duration);
            scene(end, &mut luminance);
            let first = list.len();
            for (at, (pixel, l)) in pixels.iter_mut().zip(&luminance).enumerate() {
                let (x, y) = ((at % sensor.width) as u16, (at / sensor.width) as u16);
                pixel.look((DARK + l).ln(), (start, end), self.refractory, |t, on| {
                    list.push(Event { t, x, y, on });
                });
            }
            self.add_noise(sensor, (start, end), &mut pixels, &mut rng, &mut list);
            list[first..].sort_by_key(|event| event.t);
            start = end;
        }
        Events::new(sensor, list)
    }

    fn add_noise(
        &self,
        sensor: Sensor,
        (start, end): (u64, u64),
        pixels: &mut [Pixel],
        rng: &mut Rng,
        list: &mut Vec<Event>,
    ) {
        let expected = f64::from(self.noise) * pixels.len() as f64 * (end - start) as f64 * 1e-6;
        let count = (expected + rng.f64()) as usize;
        for _ in 0..count {
            let at = rng.below(pixels.len());
            let (t, on) = (start + 1 + rng.below((end - start) as usize) as u64, rng.uniform() < 0.5);
            if t >= pixels[at].ready {
                pixels[at].ready = t + self.refractory;
                list.push(Event { t, x: (at % sensor.width) as u16, y: (at / sensor.width) as u16, on });
            }
        }
    }
}

impl Pixel {
    /// Sees `now` at the end of a step; gives the events on the way.
    fn look(
        &mut self,
        now: f32,
        (start, end): (u64, u64),
        refractory: u64,
        mut event: impl FnMut(u64, bool),
    ) {
        while (now - self.level).abs() >= self.threshold {
            let on = now > self.level;
            self.level += if on { self.threshold } else { -self.threshold };
            let share = ((self.level - self.last) / (now - self.last)).clamp(0.0, 1.0);
            // After `start`: the events of a step follow those of the step before.
            let t = start + ((end - start) as f32 * share).ceil().max(1.0) as u64;
            if t >= self.ready {
                self.ready = t + refractory;
                event(t, on);
            }
        }
        self.last = now;
    }
}
