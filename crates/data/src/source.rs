//! Data sets by name, with the figures that belong to each.

use crate::augment::Augment;
use crate::error::DataError;
use crate::events::{Axes, EventSplit, Fit, Origin, Sample, Sensor, folder, motion, motion::Scene};
use crate::image_set::Split;
use crate::image_sources::{IMAGE_SOURCES, ImageSource};
use crate::shapes;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::LazyLock;

/// The names that [`Source`] reads.
static KNOWN: LazyLock<String> = LazyLock::new(|| {
    let images: String = IMAGE_SOURCES.iter().map(|set| format!("{}:DIR, ", set.name)).collect();
    images + "nmnist:DIR, cifar10dvs:DIR, events:DIR, synthetic:shapes or synthetic:motion"
});

/// Names a data set and where it lies.
///
/// ```
/// use spikegrad_data::Source;
/// let source: Source = "cifar10:data/cifar-10-batches-bin".parse()?;
/// assert_eq!(source.to_string(), "cifar10:data/cifar-10-batches-bin");
/// assert!("imagenet:x".parse::<Source>().unwrap_err().to_string().contains("synthetic:shapes"));
/// # Ok::<(), spikegrad_data::DataError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `cifar10:DIR` and its like: a set of [`IMAGE_SOURCES`] in a folder.
    Images(&'static ImageSource, PathBuf),
    /// `synthetic:shapes`, drawn by [`shapes`], 3×16×16, 10 classes.
    Shapes,
    /// `nmnist:DIR`, events of a 34×34 camera, 10 classes.
    NMnist(PathBuf),
    /// `cifar10dvs:DIR`, events of a 128×128 camera, a folder for each of 10 classes.
    Cifar10Dvs(PathBuf),
    /// `events:DIR`, recordings of any format and camera, a folder for each class.
    Events(PathBuf),
    /// `synthetic:motion`, filmed by [`motion`], events of a 32×32 camera, 8 classes.
    Motion,
}

/// Holds the mean and standard deviation of each channel, for pixels in 0 to 1: \[C\] each.
///
/// A pixel byte p becomes (p/255 − mean)/std.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalise {
    /// Each channel's mean.
    pub mean: Vec<f32>,
    /// Each channel's standard deviation.
    pub std: Vec<f32>,
}

impl Source {
    /// Names CIFAR-10 in a folder.
    pub fn cifar10(folder: impl Into<PathBuf>) -> Self {
        Self::Images(&IMAGE_SOURCES[0], folder.into())
    }

    /// Names CIFAR-100 in a folder.
    pub fn cifar100(folder: impl Into<PathBuf>) -> Self {
        Self::Images(&IMAGE_SOURCES[1], folder.into())
    }

    /// Names MNIST in a folder.
    pub fn mnist(folder: impl Into<PathBuf>) -> Self {
        Self::Images(&IMAGE_SOURCES[2], folder.into())
    }

    /// Gives the folder that the data lie in, where they are not generated.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Images(_, folder)
            | Self::NMnist(folder)
            | Self::Cifar10Dvs(folder)
            | Self::Events(folder) => Some(folder),
            Self::Shapes | Self::Motion => None,
        }
    }

    /// Reads (or draws, from `seed`) the training and test images.
    ///
    /// `seed` counts for `synthetic:shapes` alone.
    /// Errors: any [`DataError`] about the files, naming the one at fault; a data set of events, which
    /// [`list_events`](Self::list_events) lists.
    pub fn load(&self, seed: u64) -> Result<Split, DataError> {
        match self {
            Self::Images(set, directory) => (set.load)(directory),
            Self::Shapes => Ok(shapes::generate(shapes::TRAIN, shapes::TEST, seed)),
            Self::NMnist(_) | Self::Cifar10Dvs(_) | Self::Events(_) | Self::Motion => Err(
                DataError::argument("the data set", "one of images", format!("{self}, which holds events")),
            ),
        }
    }

    /// Gives the shape (channels, rows, columns) of an image or frame, and the number of classes, where the data set's name
    /// promises them; none for `events:DIR`, where recordings and folders decide.
    #[must_use]
    pub fn shape(&self) -> Option<([usize; 3], usize)> {
        let square = |channels, side, classes| Some(([channels, side, side], classes));
        match self {
            Self::Images(set, _) => square(set.channels, set.side, set.classes),
            Self::Shapes => square(3, shapes::SIDE, shapes::NAMES.len()),
            Self::NMnist(_) => square(2, 34, 10),
            Self::Cifar10Dvs(_) => square(2, 128, 10),
            Self::Motion => square(2, motion::SIDE, motion::NAMES.len()),
            Self::Events(_) => None,
        }
    }

    /// Tells whether the data set holds recordings of events.
    #[must_use]
    pub fn is_events(&self) -> bool {
        matches!(self, Self::NMnist(_) | Self::Cifar10Dvs(_) | Self::Events(_) | Self::Motion)
    }

    /// Gives the sensor of all recordings, where the data set's name says it.
    #[must_use]
    pub fn sensor(&self) -> Option<Sensor> {
        let square = |side| Some(Sensor { width: side, height: side });
        match self {
            Self::NMnist(_) => square(34),
            Self::Cifar10Dvs(_) => square(128),
            Self::Motion => square(motion::SIDE),
            Self::Events(_) | Self::Images(..) | Self::Shapes => None,
        }
    }

    /// Lists (or names, to be filmed from `seed`) the training and test recordings of a data set of events.
    ///
    /// `seed` counts for `synthetic:motion` alone.
    /// Errors: a folder that cannot be read, has no classes, or holds something else than recordings; a data set of images.
    pub fn list_events(&self, seed: u64) -> Result<EventSplit, DataError> {
        let fit = Fit { sensor: self.sensor(), strict: true, ..Fit::default() };
        match self {
            Self::NMnist(directory) => folder::list(directory, fit),
            Self::Cifar10Dvs(directory) => folder::list(directory, Fit { axes: Axes::Cifar10Dvs, ..fit }),
            Self::Events(directory) => folder::list(directory, Fit::default()),
            Self::Motion => {
                let (train, test) = motion::scenes(motion::TRAIN, motion::TEST, seed);
                let sample = |scene: Scene| Sample { label: scene.label(), origin: Origin::Scene(scene) };
                Ok(EventSplit {
                    train: train.into_iter().map(sample).collect(),
                    test: test.into_iter().map(sample).collect(),
                    class_names: motion::NAMES.map(str::to_owned).to_vec(),
                    fit,
                    rule: "the program films them",
                })
            }
            Self::Images(..) | Self::Shapes => Err(DataError::argument(
                "the data set",
                "one of events",
                format!("{self}, which holds images"),
            )),
        }
    }

    /// Gives the customary mean and standard deviation of the data set; none for events.
    #[must_use]
    pub fn normalisation(&self) -> Normalise {
        let (mean, std): (&[f32], &[f32]) = match self {
            Self::Images(set, _) => (set.mean, set.std),
            Self::Shapes => (&[0.5; 3], &[0.25; 3]),
            Self::NMnist(_) | Self::Cifar10Dvs(_) | Self::Events(_) | Self::Motion => (&[], &[]),
        };
        Normalise { mean: mean.to_vec(), std: std.to_vec() }
    }

    /// Gives the augmentation customary for training on the data set: crop and flip for CIFAR, crop for MNIST
    /// (a mirrored digit is another digit), flip for the shapes (a crop could cut one in two); none for events, which
    /// have [`EventAugment`](crate::events::EventAugment).
    #[must_use]
    pub fn default_augment(&self) -> Augment {
        match self {
            Self::Images(set, _) => set.augment,
            Self::Shapes => Augment { flip: true, ..Augment::NONE },
            Self::NMnist(_) | Self::Cifar10Dvs(_) | Self::Events(_) | Self::Motion => Augment::NONE,
        }
    }
}

impl FromStr for Source {
    type Err = DataError;

    /// Reads `cifar10:DIR`, `cifar100:DIR`, `mnist:DIR`, `nmnist:DIR`, `cifar10dvs:DIR`, `events:DIR`, `synthetic:shapes` or
    /// `synthetic:motion`.
    ///
    /// Errors: [`DataError::Unknown`] listing these.
    fn from_str(text: &str) -> Result<Self, DataError> {
        let unknown = || Err(DataError::Unknown { what: "data set", found: text.into(), known: &KNOWN });
        match text.split_once(':') {
            Some(("synthetic", "shapes")) => Ok(Self::Shapes),
            Some(("synthetic", "motion")) => Ok(Self::Motion),
            Some(("nmnist", directory)) if !directory.is_empty() => Ok(Self::NMnist(directory.into())),
            Some(("cifar10dvs", directory)) if !directory.is_empty() => {
                Ok(Self::Cifar10Dvs(directory.into()))
            }
            Some(("events", directory)) if !directory.is_empty() => Ok(Self::Events(directory.into())),
            Some((name, directory)) if !directory.is_empty() => {
                match IMAGE_SOURCES.iter().find(|set| set.name == name) {
                    Some(set) => Ok(Self::Images(set, directory.into())),
                    None => unknown(),
                }
            }
            _ => unknown(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Images(set, directory) => write!(f, "{}:{}", set.name, directory.display()),
            Self::Shapes => f.write_str("synthetic:shapes"),
            Self::NMnist(directory) => write!(f, "nmnist:{}", directory.display()),
            Self::Cifar10Dvs(directory) => write!(f, "cifar10dvs:{}", directory.display()),
            Self::Events(directory) => write!(f, "events:{}", directory.display()),
            Self::Motion => f.write_str("synthetic:motion"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        let events = ["nmnist:a", "cifar10dvs:b", "events:c/d", "synthetic:motion"];
        for name in
            ["cifar10:a/b", "cifar100:.", "mnist:C:\\digits", "synthetic:shapes"].into_iter().chain(events)
        {
            assert_eq!(name.parse::<Source>().unwrap().to_string(), name);
        }
    }

    /// The customary augmentations, and the published statistics of CIFAR and MNIST.
    #[test]
    fn each_set_has_its_own_figures() {
        let rows: [(&str, &str, &[f32], &[f32]); 5] = [
            ("cifar10:a", "crop,flip", &[0.4914, 0.4822, 0.4465], &[0.2023, 0.1994, 0.2010]),
            ("cifar100:a", "crop,flip", &[0.5071, 0.4865, 0.4409], &[0.2673, 0.2564, 0.2762]),
            ("mnist:a", "crop", &[0.1307], &[0.3081]),
            ("synthetic:shapes", "flip", &[0.5, 0.5, 0.5], &[0.25, 0.25, 0.25]),
            ("nmnist:a", "none", &[], &[]),
        ];
        for (name, augment, mean, std) in rows {
            let source: Source = name.parse().unwrap();
            assert_eq!(source.default_augment().to_string(), augment, "{name}");
            assert_eq!(
                (&source.normalisation().mean[..], &source.normalisation().std[..]),
                (mean, std),
                "{name}"
            );
        }
    }

    #[test]
    fn unknown_names_list_the_known() {
        for name in ["", "cifar10", "cifar10:", "mnist:", "synthetic:dogs", "Cifar10:x", "events:"] {
            let message = name.parse::<Source>().unwrap_err().to_string();
            assert!(
                message.contains(&format!("\"{name}\"")) && message.contains(KNOWN.as_str()),
                "{message}"
            );
        }
    }
}
