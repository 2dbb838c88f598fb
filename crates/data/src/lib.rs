//! Images and recordings of event cameras for training: the readers, the augmentations and the loader of spikegrad.
//!
//! The way of an image, one file a step:
//!
//! | step | file |
//! |---|---|
//! | name a data set (`cifar10:DIR`, `synthetic:shapes`) | `source.rs` |
//! | read its files | [`cifar`], [`idx`], or draw it: [`shapes`] |
//! | hold it as bytes | `image_set.rs` |
//! | vary it | [`augment`], [`autoaugment`] |
//! | hand it out in normalised batches | `loader.rs` |
//! | disturb images, to measure a net's robustness | [`noise`] |
//!
//! The way of an event is told in [`events`]; frames join images in `sample_set.rs`.
//!
//! All chance comes from [`rng`], seeded by counters: the order of an epoch depends on (seed, epoch), the
//! augmentation of an image on (seed, epoch, image), and on nothing else. Batch size, prefetch depth and
//! resuming in the middle of an epoch leave every image's bits alone.
//!
//! ```
//! use spikegrad_data::{Augment, Loader, LoaderConfig, Source};
//! use std::sync::Arc;
//!
//! let source: Source = "synthetic:shapes".parse()?;
//! let split = source.load(7)?;
//! let config = LoaderConfig {
//!     batch: 100,
//!     seed: 7,
//!     shuffle: true,
//!     augment: Augment { flip: true, ..Augment::NONE },
//!     drop_last: true,
//!     prefetch: 2,
//!     normalise: source.normalisation(),
//! };
//! let loader = Loader::new(Arc::new(split.train), config)?;
//! assert_eq!(loader.batches(), 60);
//! let first = loader.epoch(0).next().expect("sixty batches");
//! assert_eq!(first.images.len(), 100 * 3 * 16 * 16);
//! # Ok::<(), spikegrad_data::DataError>(())
//! ```
#![forbid(unsafe_code)]

pub mod augment;
pub mod autoaugment;
pub mod cifar;
mod error;
pub mod events;
mod files;
pub mod idx;
mod image_set;
mod image_sources;
mod loader;
pub mod noise;
mod sample_set;
pub use spikegrad_tensor::rng;
pub mod shapes;
mod size;
mod source;
mod switches;

pub use augment::Augment;
pub use error::{DataError, printable};
pub use image_set::{ImageSet, Split};
pub use image_sources::{IMAGE_SOURCES, ImageSource};
pub use loader::{Batch, Epoch, Loader, LoaderConfig};
pub use noise::{Noise, NoiseKind, Space, Spread};
pub use sample_set::SampleSet;
pub use source::{Normalise, Source};
