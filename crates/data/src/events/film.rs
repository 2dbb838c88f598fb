//! Filming still images, as CIFAR10-DVS was made (Li et al. 2017): the image moves before a camera that stands still.
//!
//! The way is a closed loop of four straight legs, a diamond: from the top down to the right, down to the left, up to the
//! left, up to the right; and again. The image, in shades of grey (0.299 R + 0.587 G + 0.114 B), is enlarged between its
//! pixels (bilinear) to leave room for the way, on mid-grey ground.

use super::{Camera, Events, Sensor};
use crate::image_set::ImageSet;

/// Weights of red, green and blue in the luminance.
const GREY: [f32; 3] = [0.299, 0.587, 0.114];
/// The ground's luminance.
const GROUND: f32 = 0.5;

/// Says how images are filmed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FilmConfig {
    /// Rows and columns of the camera.
    pub side: usize,
    /// The number of times that the image goes round.
    pub loops: usize,
    /// Microseconds of one of the four legs.
    pub leg: u64,
    /// The length of a leg in each direction, as a share of the side.
    pub reach: f32,
    /// The camera.
    pub camera: Camera,
}

impl Default for FilmConfig {
    /// A DVS128, twice round, 50 ms a leg, a sixteenth of the side.
    fn default() -> Self {
        Self { side: 128, loops: 2, leg: 50_000, reach: 1.0 / 16.0, camera: Camera::default() }
    }
}

impl FilmConfig {
    /// Films image `i` of a set; noise and mismatch come from `seed`.
    ///
    /// Panics when `i` is not below the set's length.
    #[must_use]
    pub fn film(&self, set: &ImageSet, i: usize, seed: u64) -> Events {
        let picture = Picture::new(set, i);
        let (side, reach) = (self.side as f32, self.reach * self.side as f32);
        // The way goes from −reach to reach across, and from 0 to 2·reach down.
        let zoom = (side - 2.0 * reach) / set.width.max(set.height) as f32;
        let sensor = Sensor { width: self.side, height: self.side };
        let duration = 4 * self.leg * self.loops as u64;
        let (left, top) =
            ((side - zoom * set.width as f32) / 2.0, (side - zoom * set.height as f32) / 2.0 - reach);
        self.camera.film(sensor, duration, seed, |t, out| {
            let (across, down) = self.way(t);
            let column = |x: usize| (x as f32 + 0.5 - left - across * reach) / zoom - 0.5;
            let columns: Vec<f32> = (0..self.side).map(column).collect();
            for (y, row) in out.chunks_exact_mut(self.side).enumerate() {
                let v = (y as f32 + 0.5 - top - down * reach) / zoom - 0.5;
                row.iter_mut().zip(&columns).for_each(|(l, &u)| *l = picture.at(u, v));
            }
        })
    }

    /// Returns the image's place at a time, in reaches: −1 to 1 to the right, 0 to 2 down.
    #[must_use]
    pub fn way(&self, t: u64) -> (f32, f32) {
        let leg = t / self.leg % 4;
        let share = (t % self.leg) as f32 / self.leg as f32;
        match leg {
            0 => (share, share),
            1 => (1.0 - share, 1.0 + share),
            2 => (-share, 2.0 - share),
            _ => (share - 1.0, 1.0 - share),
        }
    }
}

/// An image in shades of grey.
struct Picture {
    width: usize,
    height: usize,
    luminance: Vec<f32>,
}

impl Picture {
    fn new(set: &ImageSet, i: usize) -> Self {
        let (image, plane) = (set.image(i), set.height * set.width);
        let weights: &[f32] = if set.channels == 3 { &GREY } else { &[1.0] };
        let grey = |p: usize| {
            let sum = weights.iter().enumerate().map(|(c, weight)| weight * f32::from(image[c * plane + p]));
            sum.sum::<f32>() / 255.0
        };
        Self { width: set.width, height: set.height, luminance: (0..plane).map(grey).collect() }
    }

    /// The luminance between pixels, bilinear; the ground outside.
    fn at(&self, u: f32, v: f32) -> f32 {
        let (x, y) = (u.floor(), v.floor());
        let (right, down) = (u - x, v - y);
        let pixel = |x: isize, y: isize| {
            let inside = (0..self.width as isize).contains(&x) && (0..self.height as isize).contains(&y);
            if inside { self.luminance[y as usize * self.width + x as usize] } else { GROUND }
        };
        let (x, y) = (x as isize, y as isize);
        let upper = (1.0 - right) * pixel(x, y) + right * pixel(x + 1, y);
        let lower = (1.0 - right) * pixel(x, y + 1) + right * pixel(x + 1, y + 1);
        (1.0 - down) * upper + down * lower
    }
}
