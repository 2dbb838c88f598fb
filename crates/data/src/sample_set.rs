//! The samples that a loader hands out: images, or frames of recordings.

use crate::events::{FrameSet, Sensor};
use crate::image_set::ImageSet;
use flate2::Crc;
use std::sync::Arc;

/// Holds a labelled set of either kind.
///
/// ```
/// use spikegrad_data::{SampleSet, shapes};
/// use std::sync::Arc;
/// let set = SampleSet::from(Arc::new(shapes::generate(20, 0, 1).train));
/// assert_eq!((set.len(), set.classes(), set.steps(), set.shape()), (20, 10, 1, [3, 16, 16]));
/// ```
#[derive(Clone, Debug)]
pub enum SampleSet {
    /// Still images.
    Images(Arc<ImageSet>),
    /// Recordings, as frames.
    Frames(Arc<FrameSet>),
}

impl SampleSet {
    /// Counts the images or recordings.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels().len()
    }

    /// Tells whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels().is_empty()
    }

    /// Gives every sample's class.
    #[must_use]
    pub fn labels(&self) -> &[u16] {
        match self {
            Self::Images(set) => &set.labels,
            Self::Frames(set) => &set.labels,
        }
    }

    /// Counts the classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        match self {
            Self::Images(set) => set.classes,
            Self::Frames(set) => set.class_names.len(),
        }
    }

    /// Gives the classes' names, in label order, or none.
    #[must_use]
    pub fn class_names(&self) -> &[String] {
        match self {
            Self::Images(set) => &set.class_names,
            Self::Frames(set) => &set.class_names,
        }
    }

    /// Gives channels, rows and columns of an image or frame.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        match self {
            Self::Images(set) => [set.channels, set.height, set.width],
            Self::Frames(set) => {
                let Sensor { width, height } = set.config.size;
                [2, height, width]
            }
        }
    }

    /// Counts the frames of a recording, T; 1 for images.
    #[must_use]
    pub fn steps(&self) -> usize {
        match self {
            Self::Images(_) => 1,
            Self::Frames(set) => set.config.steps,
        }
    }

    /// Computes the CRC-32 (IEEE 802.3) of the labels, two bytes each, and of the contents: pixels, or the cells of
    /// frames; low bytes first. Sets that differ in a label or a pixel differ here, but for one in four billion.
    ///
    /// ```
    /// use spikegrad_data::{ImageSet, SampleSet};
    /// use std::sync::Arc;
    /// let set = ImageSet {
    ///     channels: 1, height: 1, width: 3, classes: 300,
    ///     pixels: b"123456789".to_vec(), labels: vec![1, 2, 258], class_names: vec![],
    /// };
    /// // As Python's zlib.crc32 of bytes([1, 0, 2, 0, 2, 1]) and of b"123456789".
    /// assert_eq!(SampleSet::from(Arc::new(set)).checksums(), (0x95a6_e899, 0xcbf4_3926));
    /// ```
    #[must_use]
    pub fn checksums(&self) -> (u32, u32) {
        let mut labels = Crc::new();
        self.labels().iter().for_each(|label| labels.update(&label.to_le_bytes()));
        let mut contents = Crc::new();
        match self {
            Self::Images(set) => contents.update(&set.pixels),
            Self::Frames(set) => set.each_run_of_bytes(|bytes| contents.update(bytes)),
        }
        (labels.sum(), contents.sum())
    }

    /// Gives the images, where they are images.
    #[must_use]
    pub fn images(&self) -> Option<&Arc<ImageSet>> {
        match self {
            Self::Images(set) => Some(set),
            Self::Frames(_) => None,
        }
    }
}

impl From<Arc<ImageSet>> for SampleSet {
    fn from(set: Arc<ImageSet>) -> Self {
        Self::Images(set)
    }
}

impl From<Arc<FrameSet>> for SampleSet {
    fn from(set: Arc<FrameSet>) -> Self {
        Self::Frames(set)
    }
}
