//! Labelled images, held as bytes.

use crate::error::DataError;
use std::fmt;

/// Holds labelled images of one size.
///
/// | field | shape | unit |
/// |---|---|---|
/// | `pixels` | \[N, C, H, W\], planar | 0 to 255 |
/// | `labels` | \[N\] | below `classes` |
/// | `class_names` | \[classes\], or empty | text |
///
/// ```
/// use spikegrad_data::ImageSet;
/// let set = ImageSet {
///     channels: 1, height: 2, width: 2, classes: 3,
///     pixels: (0..12).collect(), labels: vec![0, 1, 2], class_names: vec![],
/// };
/// assert_eq!(set.image(1), &[4, 5, 6, 7]);
/// let (train, held) = set.split_tail(1)?;
/// assert_eq!((train.len(), held.labels), (2, vec![2]));
/// # Ok::<(), spikegrad_data::DataError>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct ImageSet {
    /// Colour planes of an image, C.
    pub channels: usize,
    /// Rows of an image, H.
    pub height: usize,
    /// Columns of an image, W.
    pub width: usize,
    /// The number of classes.
    pub classes: usize,
    /// Every pixel, \[N, C, H, W\].
    pub pixels: Vec<u8>,
    /// Every image's class, \[N\].
    pub labels: Vec<u16>,
    /// The classes' names, \[classes\].
    pub class_names: Vec<String>,
}

/// Holds a data set's two parts.
#[derive(Clone, Debug)]
pub struct Split {
    /// The images to train on.
    pub train: ImageSet,
    /// The images to score on.
    pub test: ImageSet,
}

impl ImageSet {
    /// Counts the images, N.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Tells whether there is no image.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Counts the bytes of one image, C·H·W.
    #[must_use]
    pub fn image_size(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Gives image `i`, \[C, H, W\].
    ///
    /// Panics when `i` is not below [`len`](Self::len).
    #[must_use]
    pub fn image(&self, i: usize) -> &[u8] {
        let size = self.image_size();
        &self.pixels[i * size..(i + 1) * size]
    }

    /// Keeps the first `n` images; changes nothing when there are no more than that.
    pub fn truncate(&mut self, n: usize) {
        if n < self.len() {
            self.labels.truncate(n);
            self.pixels.truncate(n * self.image_size());
        }
    }

    /// Splits the last `n` images off: (the rest, the last n). Copies the last n only.
    ///
    /// Errors: [`DataError::Argument`] when that would leave no image in the first part.
    pub fn split_tail(mut self, n: usize) -> Result<(ImageSet, ImageSet), DataError> {
        self.check()?;
        if n >= self.len() {
            return Err(DataError::argument(
                "the number of images to split off",
                format!("one below {}", self.len()),
                n,
            ));
        }
        let kept = self.len() - n;
        let tail = ImageSet {
            pixels: self.pixels.split_off(kept * self.image_size()),
            labels: self.labels.split_off(kept),
            class_names: self.class_names.clone(),
            ..self
        };
        Ok((self, tail))
    }

    /// Checks that the fields agree: N·C·H·W pixels, no side of 0, every label below `classes`.
    ///
    /// Errors: [`DataError::Argument`] naming the first that does not, with both numbers.
    pub fn check(&self) -> Result<(), DataError> {
        let shape = [self.labels.len(), self.channels, self.height, self.width];
        if shape[1..].contains(&0) {
            return Err(DataError::argument(
                "the shape of an image",
                "sides of 1 or more",
                format!("{:?}", &shape[1..]),
            ));
        }
        let product = shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
        if product != Some(self.pixels.len()) {
            let want = product.map_or("a count that fits memory".into(), |n| n.to_string());
            return Err(DataError::argument(
                "the number of pixels",
                format!("{want} for {shape:?}"),
                self.pixels.len(),
            ));
        }
        if let Some((i, &label)) =
            self.labels.iter().enumerate().find(|&(_, &l)| usize::from(l) >= self.classes)
        {
            let found = format!("{label} at image {i}");
            return Err(DataError::argument("the label", format!("one below {}", self.classes), found));
        }
        Ok(())
    }
}

impl fmt::Debug for ImageSet {
    /// Prints the shape, not the pixels.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { channels, height, width, classes, .. } = self;
        write!(f, "ImageSet({} images of {channels}×{height}×{width}, {classes} classes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> ImageSet {
        ImageSet {
            channels: 1,
            height: 1,
            width: 2,
            classes: 2,
            pixels: vec![1, 2, 3, 4, 5, 6],
            labels: vec![0, 1, 0],
            class_names: vec![],
        }
    }

    #[test]
    fn truncates_to_the_first() {
        let mut set = small();
        set.truncate(9);
        assert_eq!(set, small());
        set.truncate(1);
        assert_eq!((set.pixels.as_slice(), set.labels.as_slice()), (&[1, 2][..], &[0][..]));
        set.truncate(0);
        assert!(set.is_empty());
    }

    #[test]
    fn splits_the_last_off() {
        let (rest, tail) = small().split_tail(2).unwrap();
        assert_eq!((rest.pixels, tail.pixels), (vec![1, 2], vec![3, 4, 5, 6]));
        assert_eq!((rest.labels, tail.labels), (vec![0], vec![1, 0]));
        let message = small().split_tail(3).unwrap_err().to_string();
        assert!(message.contains("is 3, expected one below 3"), "{message}");
    }

    #[test]
    fn check_prints_both_numbers() {
        let wrong = ImageSet { pixels: vec![0; 5], ..small() };
        assert!(wrong.check().unwrap_err().to_string().contains("is 5, expected 6"));
        let wrong = ImageSet { labels: vec![0, 2, 0], ..small() };
        assert!(wrong.check().unwrap_err().to_string().contains("2 at image 1, expected one below 2"));
        let wrong = ImageSet { height: usize::MAX, ..small() };
        assert!(wrong.check().is_err());
        assert!(ImageSet { width: 0, ..small() }.check().is_err());
    }
}
