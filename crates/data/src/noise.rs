//! Noise on images, for robustness tests.
//!
//! | name | what it does to a pixel p in 0 to 1 |
//! |---|---|
//! | `gaussian` | p + σ·n, n standard normal for each channel; cut to 0 to 1 in pixel space |
//! | `salt-and-pepper` | with a chance of `level`, all channels become 1 (salt) or 0 (pepper), half and half |
//!
//! Nobody says of the paper's figure 7 whether a Gaussian level is σ or σ², of pixels or of normalised pixels: both
//! are settings ([`Spread`], [`Space`]). What is drawn depends on (seed, image) alone: levels differ in how far the
//! same noise goes, and nets are compared on the same noisy images.

use crate::error::DataError;
use crate::rng::Rng;
use crate::source::Normalise;
use std::fmt;
use std::str::FromStr;

/// Key of the random streams.
const NOISE_STREAM: u64 = 0x006e_6f69_7365;

/// The kind of noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoiseKind {
    /// Normal noise on every channel of every pixel.
    Gaussian,
    /// Pixels turned white or black.
    SaltAndPepper,
}

/// Where Gaussian noise is added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Space {
    /// On pixels from 0 to 1, and cut to that range.
    #[default]
    Pixel,
    /// On normalised pixels, (p − mean)/std, and not cut.
    Normalised,
}

/// What the level of Gaussian noise says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spread {
    /// The standard deviation.
    #[default]
    Sigma,
    /// The variance.
    Variance,
}

macro_rules! names {
    ($type:ident, $what:literal, $known:literal: $($variant:ident $name:literal),*) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $name),* })
            }
        }
        impl FromStr for $type {
            type Err = DataError;
            fn from_str(text: &str) -> Result<Self, DataError> {
                match text {
                    $($name => Ok(Self::$variant),)*
                    _ => Err(DataError::Unknown { what: $what, found: text.into(), known: $known }),
                }
            }
        }
    };
}
names!(NoiseKind, "noise", "gaussian or salt-and-pepper": Gaussian "gaussian", SaltAndPepper "salt-and-pepper");
names!(Space, "noise space", "pixel or normalised": Pixel "pixel", Normalised "normalised");
names!(Spread, "noise level", "sigma or variance": Sigma "sigma", Variance "variance");

/// Noise of one kind and strength.
///
/// ```
/// use spikegrad_data::{Noise, NoiseKind, Normalise, Space, Spread};
/// let noise = Noise {
///     kind: NoiseKind::SaltAndPepper, level: 1.0, space: Space::Pixel, spread: Spread::Sigma, seed: 3,
/// };
/// let mut image = [0.5; 4];
/// noise.apply(0, &mut image, &Normalise { mean: vec![0.5], std: vec![0.25] })?;
/// assert!(image.iter().all(|x| x.abs() == 2.0));
/// # Ok::<(), spikegrad_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// The kind.
    pub kind: NoiseKind,
    /// σ or σ² of Gaussian noise, the share of pixels of salt and pepper.
    pub level: f64,
    /// Where Gaussian noise is added.
    pub space: Space,
    /// What the level of Gaussian noise says.
    pub spread: Spread,
    /// The seed of what is drawn.
    pub seed: u64,
}

impl Noise {
    /// Checks the level.
    ///
    /// Errors: [`DataError::Argument`] when it is negative, not finite or, for salt and pepper, above 1.
    pub fn check(&self) -> Result<(), DataError> {
        let (most, expected) = match self.kind {
            NoiseKind::Gaussian => (f64::MAX, "a finite number, 0 or more"),
            NoiseKind::SaltAndPepper => (1.0, "from 0 to 1"),
        };
        match (0.0..=most).contains(&self.level) {
            true => Ok(()),
            false => Err(DataError::argument("the noise level", expected, self.level)),
        }
    }

    /// Adds the noise to one normalised image.
    ///
    /// | argument | shape | access |
    /// |---|---|---|
    /// | `index` | the image's place in its set | decides what is drawn |
    /// | `image` | \[channels, pixels\], normalised | changed |
    /// | `normalise` | one mean and deviation a channel | read |
    ///
    /// Errors: as [`Noise::check`]; an image that is not whole channels.
    pub fn apply(&self, index: u64, image: &mut [f32], normalise: &Normalise) -> Result<(), DataError> {
        self.check()?;
        let channels = normalise.mean.len();
        if channels == 0 || !image.len().is_multiple_of(channels) || normalise.std.len() != channels {
            let expected = format!("a multiple of {channels}, the number of channels");
            return Err(DataError::argument("the length of an image", expected, image.len()));
        }
        let mut rng = Rng::keyed(&[NOISE_STREAM, self.kind as u64, self.seed, index]);
        match self.kind {
            NoiseKind::Gaussian => self.gaussian(image, normalise, &mut rng),
            NoiseKind::SaltAndPepper => self.salt_and_pepper(image, normalise, &mut rng),
        }
        Ok(())
    }

    fn gaussian(&self, image: &mut [f32], normalise: &Normalise, rng: &mut Rng) {
        let sigma = match self.spread {
            Spread::Sigma => self.level,
            Spread::Variance => self.level.sqrt(),
        } as f32;
        let pixels = image.len() / normalise.mean.len();
        for (plane, (&mean, &std)) in image.chunks_mut(pixels).zip(normalise.mean.iter().zip(&normalise.std))
        {
            for x in plane {
                let noise = sigma * rng.normal();
                *x = match self.space {
                    Space::Pixel => ((*x * std + mean + noise).clamp(0.0, 1.0) - mean) / std,
                    Space::Normalised => *x + noise,
                };
            }
        }
    }

    fn salt_and_pepper(&self, image: &mut [f32], normalise: &Normalise, rng: &mut Rng) {
        let pixels = image.len() / normalise.mean.len();
        for pixel in 0..pixels {
            // What is hit at one level is hit at every higher one.
            let (drawn, salt) = (rng.f64(), rng.f64() < 0.5);
            if drawn < self.level {
                let value = if salt { 1.0 } else { 0.0 };
                for (c, (mean, std)) in normalise.mean.iter().zip(&normalise.std).enumerate() {
                    image[c * pixels + pixel] = (value - mean) / std;
                }
            }
        }
    }
}
