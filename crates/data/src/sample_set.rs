//! What a loader hands out: images, or frames of recordings.

use crate::events::{FrameSet, Sensor};
use crate::image_set::ImageSet;
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
