//! The images of a run: read, held out, limited, handed out.

use crate::failure::Failure;
use crate::settings::{Settings, Shape};
use spikegrad::data::{Augment, ImageSet, Loader, LoaderConfig, Normalise};
use std::sync::Arc;

/// Generated data sets are the same for every seed of training.
const DATA_SEED: u64 = 0;
/// Batches made ahead of training.
const PREFETCH: usize = 2;

/// Training and scoring images.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// To train on.
    pub train: Arc<ImageSet>,
    /// To score on.
    pub test: Arc<ImageSet>,
    normalise: Normalise,
}

impl Dataset {
    /// Reads the data set that the settings name; `holdout` first, then `limit`.
    ///
    /// # Errors
    /// A missing or damaged file; more images held out than there are.
    pub fn load(settings: &Settings) -> Result<Self, Failure> {
        let source = &settings.source;
        let split = source.load(DATA_SEED).map_err(Failure::input)?;
        let (mut train, mut test) = (split.train, split.test);
        if let Some(n) = settings.flags.holdout {
            if n >= train.len() {
                let most = train.len().saturating_sub(1);
                return Err(Failure::Usage(format!("--holdout is {n}, at most {most} can be held out")));
            }
            (train, test) = train.split_tail(n).map_err(Failure::input)?;
        }
        if let Some(n) = settings.flags.limit {
            train.truncate(n);
        }
        Ok(Self { train: Arc::new(train), test: Arc::new(test), normalise: source.normalisation() })
    }

    /// Keeps the first `n` scoring images, if so many are named.
    ///
    /// # Errors
    /// None of them.
    pub fn limit_test(&mut self, n: Option<usize>) -> Result<(), Failure> {
        match n {
            Some(0) => Err(Failure::usage("--images is 0, must be at least 1")),
            Some(n) => {
                Arc::make_mut(&mut self.test).truncate(n);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The shape of the images.
    pub fn shape(&self) -> Shape {
        Shape::of_set(&self.train)
    }

    /// Hands the training images out in full batches, shuffled and varied.
    ///
    /// # Errors
    /// Fewer images than a batch.
    pub fn train_loader(&self, settings: &Settings) -> Result<Loader, Failure> {
        let (batch, images) = (settings.batch(), self.train.len());
        if images < batch {
            return Err(Failure::Usage(format!("--batch is {batch}, there are {images} training images")));
        }
        let config = LoaderConfig {
            batch: settings.batch(),
            seed: settings.seed(),
            shuffle: true,
            augment: settings.augment,
            drop_last: true,
            prefetch: PREFETCH,
            normalise: self.normalise.clone(),
        };
        Loader::new(self.train.clone(), config).map_err(Failure::input)
    }

    /// Hands the scoring images out as they are.
    ///
    /// # Errors
    /// An empty set.
    pub fn test_loader(&self, settings: &Settings) -> Result<Loader, Failure> {
        let config = LoaderConfig {
            batch: settings.batch(),
            seed: 0,
            shuffle: false,
            augment: Augment::NONE,
            drop_last: false,
            prefetch: PREFETCH,
            normalise: self.normalise.clone(),
        };
        Loader::new(self.test.clone(), config).map_err(Failure::input)
    }
}
