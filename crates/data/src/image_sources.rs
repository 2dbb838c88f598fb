//! The sets of images that lie in folders: a row for each, which is all that the rest of the program has to know.

use crate::augment::Augment;
use crate::error::DataError;
use crate::image_set::Split;
use crate::{cifar, idx};
use std::fmt;
use std::path::Path;

/// A set of images with the figures that belong to it.
pub struct ImageSource {
    /// The name, as flags and files spell it.
    pub name: &'static str,
    /// Reads the training and test images of a folder.
    pub load: fn(&Path) -> Result<Split, DataError>,
    /// Colour planes.
    pub channels: usize,
    /// Rows and columns.
    pub side: usize,
    /// Classes.
    pub classes: usize,
    /// The customary mean of each channel, for pixels in 0 to 1.
    pub mean: &'static [f32],
    /// The customary standard deviation of each channel.
    pub std: &'static [f32],
    /// The augmentation customary for training.
    pub augment: Augment,
}

/// Every set, in the order in which messages list them.
pub static IMAGE_SOURCES: [ImageSource; 3] = [
    // The binary version: `data_batch_1.bin` …
    ImageSource {
        name: "cifar10",
        load: cifar::load_cifar10,
        channels: 3,
        side: 32,
        classes: 10,
        mean: &[0.4914, 0.4822, 0.4465],
        std: &[0.2023, 0.1994, 0.2010],
        augment: Augment { crop: true, flip: true, ..Augment::NONE },
    },
    // The binary version: `train.bin`, `test.bin`.
    ImageSource {
        name: "cifar100",
        load: cifar::load_cifar100,
        channels: 3,
        side: 32,
        classes: 100,
        mean: &[0.5071, 0.4865, 0.4409],
        std: &[0.2673, 0.2564, 0.2762],
        augment: Augment { crop: true, flip: true, ..Augment::NONE },
    },
    // The four IDX files, gzip or plain. A mirrored digit is another digit.
    ImageSource {
        name: "mnist",
        load: idx::load_mnist,
        channels: 1,
        side: 28,
        classes: 10,
        mean: &[0.1307],
        std: &[0.3081],
        augment: Augment { crop: true, ..Augment::NONE },
    },
];

impl fmt::Debug for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Sets are equal if their names are.
impl PartialEq for ImageSource {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for ImageSource {}
