//! Random variations of a training image.
//!
//! | name | effect | used for |
//! |---|---|---|
//! | `autoaugment` | the CIFAR-10 policy, on bytes ([`crate::autoaugment`]) | Cubuk et al. 2019 |
//! | `crop` | pads by an eighth of the height (4 of 32), cuts the original size out anywhere | He et al. 2016 |
//! | `flip` | mirrors left and right, half of the time | He et al. 2016 |
//! | `cutout` | zeroes one square of half the height, clipped by the border | DeVries & Taylor 2017 |
//!
//! They apply in this order, the first before normalisation and the others after it, so that padding and cut-out
//! are the mean colour. What is drawn does not depend on which of them are on.

use crate::autoaugment::{self, PolicyDraw};
use crate::error::DataError;
use crate::rng::Rng;
pub use crate::size::Size;
use crate::switches;
use std::fmt;
use std::str::FromStr;

/// Says which augmentations are on.
///
/// ```
/// use spikegrad_data::Augment;
/// let augment: Augment = "crop,flip".parse()?;
/// assert!(augment.crop && augment.flip && !augment.cutout);
/// assert_eq!(augment.to_string(), "crop,flip");
/// assert_eq!("none".parse::<Augment>()?, Augment::NONE);
/// # Ok::<(), spikegrad_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Augment {
    /// Random crop of the padded image.
    pub crop: bool,
    /// Random mirror image.
    pub flip: bool,
    /// One zeroed square.
    pub cutout: bool,
    /// AutoAugment's CIFAR-10 policy.
    pub autoaugment: bool,
}

impl Augment {
    /// Leaves every image as it is.
    pub const NONE: Self = Self { crop: false, flip: false, cutout: false, autoaugment: false };
}

impl FromStr for Augment {
    type Err = DataError;

    /// Reads names separated by commas, or `none`.
    ///
    /// Errors: [`DataError::Unknown`] listing the names known.
    fn from_str(text: &str) -> Result<Self, DataError> {
        let mut augment = Self::NONE;
        let switches = &mut [
            ("crop", &mut augment.crop),
            ("flip", &mut augment.flip),
            ("cutout", &mut augment.cutout),
            ("autoaugment", &mut augment.autoaugment),
        ];
        switches::read(text, switches, "augmentation", "none, or some of crop,flip,cutout,autoaugment")?;
        Ok(augment)
    }
}

impl fmt::Display for Augment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        switches::write(
            f,
            &[
                ("crop", self.crop),
                ("flip", self.flip),
                ("cutout", self.cutout),
                ("autoaugment", self.autoaugment),
            ],
        )
    }
}

/// Holds every random choice for one image, drawn whether it is used or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Rows that the crop moves down by, −padding to padding.
    pub down: isize,
    /// Columns that the crop moves right by, −padding to padding.
    pub right: isize,
    /// Whether the image is mirrored.
    pub mirror: bool,
    /// Row and column of the hole's centre.
    pub centre: (usize, usize),
    /// AutoAugment's sub-policy, and the operations of it that apply.
    pub policy: PolicyDraw,
}

impl Choice {
    /// Draws the choices for an image of this size.
    pub fn draw(size: Size, rng: &mut Rng) -> Self {
        let padding = size.padding();
        let mut offset = || rng.below(2 * padding + 1) as isize - padding as isize;
        Self {
            down: offset(),
            right: offset(),
            mirror: rng.uniform() < 0.5,
            centre: (rng.below(size.height), rng.below(size.width)),
            policy: PolicyDraw::draw(rng),
        }
    }
}

/// Applies the augmentation that comes before normalisation, in place.
pub fn apply_to_bytes(augment: Augment, choice: &Choice, size: Size, image: &mut [u8]) {
    if augment.autoaugment {
        autoaugment::apply(&choice.policy, size, image);
    }
}

/// Applies the augmentations that come after normalisation, in place.
///
/// `scratch` is overwritten and may hold anything.
pub fn apply(augment: Augment, choice: &Choice, size: Size, image: &mut [f32], scratch: &mut Vec<f32>) {
    if augment.crop {
        scratch.clear();
        scratch.extend_from_slice(image);
        crop(scratch, size, choice.down, choice.right, image);
    }
    if augment.flip && choice.mirror {
        flip(size, image);
    }
    if augment.cutout {
        cutout(size, choice.centre, size.hole(), image);
    }
}

/// Cuts an image out of its zero-padded self: out\[c, y, x\] = image\[c, y + down, x + right\], 0 outside.
///
/// | argument | shape | |
/// |---|---|---|
/// | `image` | \[C, H, W\] | read |
/// | `out` | \[C, H, W\] | overwritten |
pub fn crop(image: &[f32], size: Size, down: isize, right: isize, out: &mut [f32]) {
    let (height, width) = (size.height, size.width);
    for row in 0..size.channels * height {
        let (plane, y) = (row / height, row % height);
        let out = &mut out[row * width..(row + 1) * width];
        let Some(from) = y.checked_add_signed(down).filter(|&from| from < height) else {
            out.fill(0.0);
            continue;
        };
        let image = &image[(plane * height + from) * width..][..width];
        for (x, out) in out.iter_mut().enumerate() {
            *out = x.checked_add_signed(right).and_then(|from| image.get(from)).copied().unwrap_or(0.0);
        }
    }
}

/// Mirrors an image left and right, in place: image\[c, y, x\] ↔ image\[c, y, W − 1 − x\].
pub fn flip(size: Size, image: &mut [f32]) {
    image.chunks_exact_mut(size.width).for_each(<[f32]>::reverse);
}

/// Zeroes a square of `side` rows and columns round `centre` (row, column), clipped by the border, in place.
///
/// The rows are `centre − side/2` to `centre − side/2 + side`, the last excluded; columns alike.
pub fn cutout(size: Size, centre: (usize, usize), side: usize, image: &mut [f32]) {
    let span = |at: usize, limit: usize| {
        at.saturating_sub(side / 2)..(at + side).saturating_sub(side / 2).min(limit)
    };
    let columns = span(centre.1, size.width);
    for plane in image.chunks_exact_mut(size.plane()) {
        for y in span(centre.0, size.height) {
            plane[y * size.width..][columns.clone()].fill(0.0);
        }
    }
}
