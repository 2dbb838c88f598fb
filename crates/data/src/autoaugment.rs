//! AutoAugment's CIFAR-10 policy (Cubuk et al. 2019, appendix, table 7), on planar bytes.
//!
//! An image gets one of 25 sub-policies: two operations, each applied with its own probability, at its own
//! magnitude m of 0 to 9. The operations' magnitudes, and what leaves an image as it is:
//!
//! | operation | at magnitude m | nothing changes at |
//! |---|---|---|
//! | shear x, y | ± 0.3·m/9 | 0 |
//! | translate x, y | ± (150/331)·side·m/9 pixels | 0 |
//! | rotate | ± 30°·m/9 | 0 |
//! | brightness, colour, contrast, sharpness | factor 1 ± 0.9·m/9 | 1 |
//! | posterize | keeps 8 − round(m/2.25) bits | 8 |
//! | solarize | inverts bytes from 256·(1 − m/9) on | 256 |
//! | auto-contrast, equalize, invert | no magnitude | |
//!
//! Pixels from outside the image are grey, 128. Pixels move without interpolation (nearest).

use crate::rng::Rng;
use crate::size::Size;

/// The value that fills the space which a moved image leaves.
const GREY: u8 = 128;

/// Names an operation, with its argument in its own unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// Shifts each row by this many columns a row, from the top.
    ShearX(f32),
    /// Shifts each column by this many rows a column, from the left.
    ShearY(f32),
    /// Moves left by this part of the width.
    TranslateX(f32),
    /// Moves up by this part of the height.
    TranslateY(f32),
    /// Turns round the centre by these degrees.
    Rotate(f32),
    /// Stretches each channel to 0..255.
    AutoContrast,
    /// Replaces each byte by 255 minus it.
    Invert,
    /// Flattens each channel's histogram.
    Equalize,
    /// Inverts the bytes at or above this.
    Solarize(u16),
    /// Keeps this many high bits.
    Posterize(u8),
    /// Blends with the mean grey; 1 is the image.
    Contrast(f32),
    /// Blends with the grey image; 1 is the image.
    Color(f32),
    /// Blends with black; 1 is the image.
    Brightness(f32),
    /// Blends with the smoothed image; 1 is the image.
    Sharpness(f32),
}

/// Names an operation in the policy's table, still without sign and unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`Op::ShearX`]
    ShearX,
    /// [`Op::ShearY`]
    ShearY,
    /// [`Op::TranslateX`]
    TranslateX,
    /// [`Op::TranslateY`]
    TranslateY,
    /// [`Op::Rotate`]
    Rotate,
    /// [`Op::AutoContrast`]
    AutoContrast,
    /// [`Op::Invert`]
    Invert,
    /// [`Op::Equalize`]
    Equalize,
    /// [`Op::Solarize`]
    Solarize,
    /// [`Op::Posterize`]
    Posterize,
    /// [`Op::Contrast`]
    Contrast,
    /// [`Op::Color`]
    Color,
    /// [`Op::Brightness`]
    Brightness,
    /// [`Op::Sharpness`]
    Sharpness,
}

/// One operation of a sub-policy: (operation, probability in tenths, magnitude).
pub type Step = (Kind, u8, u8);

use Kind::*;

/// The 25 sub-policies, in the paper's order.
pub const POLICY: [[Step; 2]; 25] = [
    [(Invert, 1, 7), (Contrast, 2, 6)],
    [(Rotate, 7, 2), (TranslateX, 3, 9)],
    [(Sharpness, 8, 1), (Sharpness, 9, 3)],
    [(ShearY, 5, 8), (TranslateY, 7, 9)],
    [(AutoContrast, 5, 8), (Equalize, 9, 2)],
    [(ShearY, 2, 7), (Posterize, 3, 7)],
    [(Color, 4, 3), (Brightness, 6, 7)],
    [(Sharpness, 3, 9), (Brightness, 7, 9)],
    [(Equalize, 6, 5), (Equalize, 5, 1)],
    [(Contrast, 6, 7), (Sharpness, 6, 5)],
    [(Color, 7, 7), (TranslateX, 5, 8)],
    [(Equalize, 3, 7), (AutoContrast, 4, 8)],
    [(TranslateY, 4, 3), (Sharpness, 2, 6)],
    [(Brightness, 9, 6), (Color, 2, 8)],
    [(Solarize, 5, 2), (Invert, 0, 3)],
    [(Equalize, 2, 0), (AutoContrast, 6, 0)],
    [(Equalize, 2, 8), (Equalize, 6, 4)],
    [(Color, 9, 9), (Equalize, 6, 6)],
    [(AutoContrast, 8, 4), (Solarize, 2, 8)],
    [(Brightness, 1, 3), (Color, 7, 0)],
    [(Solarize, 4, 5), (AutoContrast, 9, 3)],
    [(TranslateY, 9, 9), (TranslateY, 7, 9)],
    [(AutoContrast, 9, 2), (Solarize, 8, 3)],
    [(Equalize, 8, 8), (Invert, 1, 3)],
    [(TranslateY, 7, 9), (AutoContrast, 9, 1)],
];

impl Kind {
    /// Gives the operation at magnitude 0 to 9, with the sign turned when `negative` and it has one.
    #[must_use]
    pub fn at(self, magnitude: u8, negative: bool) -> Op {
        let part = f32::from(magnitude.min(9)) / 9.0;
        let signed = |most: f32| if negative { -most * part } else { most * part };
        match self {
            ShearX => Op::ShearX(signed(0.3)),
            ShearY => Op::ShearY(signed(0.3)),
            TranslateX => Op::TranslateX(signed(150.0 / 331.0)),
            TranslateY => Op::TranslateY(signed(150.0 / 331.0)),
            Rotate => Op::Rotate(signed(30.0)),
            AutoContrast => Op::AutoContrast,
            Invert => Op::Invert,
            Equalize => Op::Equalize,
            Solarize => Op::Solarize((256.0 * (1.0 - part)).round() as u16),
            Posterize => Op::Posterize(8 - (4.0 * part).round() as u8),
            Contrast => Op::Contrast(1.0 + signed(0.9)),
            Color => Op::Color(1.0 + signed(0.9)),
            Brightness => Op::Brightness(1.0 + signed(0.9)),
            Sharpness => Op::Sharpness(1.0 + signed(0.9)),
        }
    }
}

/// Holds the draw of one image: a sub-policy's two operations, each of which may not be applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolicyDraw {
    /// The operations to apply, in order.
    pub steps: [Option<Op>; 2],
}

impl PolicyDraw {
    /// Draws a sub-policy, whether each of its operations applies, and their signs.
    pub fn draw(rng: &mut Rng) -> Self {
        let policy = POLICY[rng.below(POLICY.len())];
        let steps = policy.map(|(kind, tenths, magnitude)| {
            let (applies, negative) = (rng.below(10) < usize::from(tenths), rng.uniform() < 0.5);
            applies.then(|| kind.at(magnitude, negative))
        });
        Self { steps }
    }
}

/// Applies a draw to an image, \[C, H, W\], in place.
pub fn apply(draw: &PolicyDraw, size: Size, image: &mut [u8]) {
    draw.steps.iter().flatten().for_each(|op| op.apply(size, image));
}

impl Op {
    /// Applies the operation to an image, \[C, H, W\], in place; any number of channels will do.
    ///
    /// ```
    /// use spikegrad_data::{augment::Size, autoaugment::Op};
    /// let size = Size { channels: 1, height: 1, width: 3 };
    /// let mut image = [0, 100, 255];
    /// Op::Solarize(100).apply(size, &mut image);
    /// assert_eq!(image, [0, 155, 0]);
    /// ```
    pub fn apply(self, size: Size, image: &mut [u8]) {
        if size.is_empty() {
            return;
        }
        let (height, width) = (size.height as f32, size.width as f32);
        match self {
            Self::ShearX(m) => remap(size, image, [1.0, m, 0.0, 0.0, 1.0, 0.0]),
            Self::ShearY(m) => remap(size, image, [1.0, 0.0, 0.0, m, 1.0, 0.0]),
            Self::TranslateX(part) => remap(size, image, [1.0, 0.0, (part * width).round(), 0.0, 1.0, 0.0]),
            Self::TranslateY(part) => remap(size, image, [1.0, 0.0, 0.0, 0.0, 1.0, (part * height).round()]),
            Self::Rotate(degrees) => {
                let (sin, cos) = degrees.to_radians().sin_cos();
                let (x, y) = (width / 2.0, height / 2.0);
                remap(size, image, [cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y]);
            }
            Self::AutoContrast => image.chunks_exact_mut(size.plane()).for_each(auto_contrast),
            Self::Equalize => image.chunks_exact_mut(size.plane()).for_each(equalize),
            Self::Invert => image.iter_mut().for_each(|p| *p = 255 - *p),
            Self::Solarize(from) => {
                image.iter_mut().filter(|p| u16::from(**p) >= from).for_each(|p| *p = 255 - *p);
            }
            Self::Posterize(bits) => {
                let mask = !(0xffu16 >> bits.min(8)) as u8;
                image.iter_mut().for_each(|p| *p &= mask);
            }
            Self::Contrast(factor) => {
                let grey = greys(size, image);
                let sum: u64 = grey.iter().map(|&g| u64::from(g)).sum();
                let mean = ((sum as f64 / grey.len() as f64) + 0.5) as u8;
                image.iter_mut().for_each(|p| *p = blend(mean, *p, factor));
            }
            Self::Color(factor) => {
                let grey = greys(size, image);
                for plane in image.chunks_exact_mut(size.plane()) {
                    plane.iter_mut().zip(&grey).for_each(|(p, &g)| *p = blend(g, *p, factor));
                }
            }
            Self::Brightness(factor) => image.iter_mut().for_each(|p| *p = blend(0, *p, factor)),
            Self::Sharpness(factor) => {
                image.chunks_exact_mut(size.plane()).for_each(|p| sharpen(size, p, factor))
            }
        }
    }
}

/// Goes from `base` (factor 0) over `value` (factor 1) and beyond, cut to a byte.
fn blend(base: u8, value: u8, factor: f32) -> u8 {
    let base = f32::from(base);
    (base + factor * (f32::from(value) - base)) as u8
}

/// Gives each pixel's lightness, \[H, W\]: ITU-R 601 weights for three channels, else their mean.
fn greys(size: Size, image: &[u8]) -> Vec<u8> {
    let plane = size.plane();
    let at = |c: usize, i: usize| u32::from(image[c * plane + i]);
    let grey = |i: usize| match size.channels {
        3 => (19_595 * at(0, i) + 38_470 * at(1, i) + 7_471 * at(2, i) + 0x8000) >> 16,
        n => (0..n).map(|c| at(c, i)).sum::<u32>() / n as u32,
    };
    (0..plane).map(|i| grey(i) as u8).collect()
}

/// Moves pixels: out(x, y) = image(a·x + b·y + c, d·x + e·y + f), pixel centres at halves, grey outside.
fn remap(size: Size, image: &mut [u8], [a, b, c, d, e, f]: [f32; 6]) {
    let (height, width) = (size.height, size.width);
    let inside = |at: f32, limit: usize| (at >= 0.0 && at < limit as f32).then_some(at as usize);
    let from = |i: usize| {
        let (x, y) = ((i % width) as f32 + 0.5, (i / width) as f32 + 0.5);
        Some(inside(d * x + e * y + f, height)? * width + inside(a * x + b * y + c, width)?)
    };
    let sources: Vec<Option<usize>> = (0..height * width).map(from).collect();
    for plane in image.chunks_exact_mut(height * width) {
        let before = plane.to_vec();
        for (p, source) in plane.iter_mut().zip(&sources) {
            *p = source.map_or(GREY, |i| before[i]);
        }
    }
}

/// Stretches a channel's bytes to reach 0 and 255; a flat channel stays.
fn auto_contrast(plane: &mut [u8]) {
    let low = plane.iter().copied().min().unwrap_or(0);
    let range = u32::from(plane.iter().copied().max().unwrap_or(0) - low);
    if range > 0 {
        plane.iter_mut().for_each(|p| *p = (u32::from(*p - low) * 255 / range) as u8);
    }
}

/// Maps a channel's bytes so that its histogram becomes flat (as PIL's `ImageOps.equalize`).
fn equalize(plane: &mut [u8]) {
    let mut histogram = [0usize; 256];
    plane.iter().for_each(|&p| histogram[usize::from(p)] += 1);
    let last = histogram.iter().rev().find(|&&n| n > 0).copied().unwrap_or(0);
    let step = (plane.len() - last) / 255;
    if step == 0 {
        return;
    }
    let (mut below, mut map) = (step / 2, [0u8; 256]);
    for (to, n) in map.iter_mut().zip(histogram) {
        *to = (below / step).min(255) as u8;
        below += n;
    }
    plane.iter_mut().for_each(|p| *p = map[usize::from(*p)]);
}

/// Blends a channel with its smoothed self, (1 1 1; 1 5 1; 1 1 1)/13; the border stays.
fn sharpen(size: Size, plane: &mut [u8], factor: f32) {
    let (before, width) = (plane.to_vec(), size.width);
    for y in 1..size.height.saturating_sub(1) {
        for x in 1..width.saturating_sub(1) {
            let at = y * width + x;
            let sum: u32 = (0..9).map(|k| u32::from(before[at + k / 3 * width + k % 3 - width - 1])).sum();
            let smooth = (sum + 4 * u32::from(before[at])) as f32 / 13.0;
            plane[at] = blend((smooth + 0.5) as u8, before[at], factor);
        }
    }
}
