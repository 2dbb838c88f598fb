//! Batches of normalised, augmented images, made ahead of time by a thread.
//!
//! For each image: copy → AutoAugment on bytes → (p/255 − mean)/std → crop → flip → cutout.
//! For each recording: events, varied → frames, varied; a batch of frames has time outermost, as nets want it.
//! The order is a shuffle seeded by (seed, epoch); an image's augmentation is drawn from a stream seeded by
//! (seed, epoch, index in the set). Nothing else has a say, so a run resumed in the middle of an epoch, with
//! another batch size or prefetch depth, sees the same images bit for bit.

use crate::augment::{self, Augment, Choice, Size};
use crate::error::DataError;
use crate::events::FrameSet;
use crate::image_set::ImageSet;
use crate::rng::Rng;
use crate::sample_set::SampleSet;
use crate::source::Normalise;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, JoinHandle};

/// Keys of the two kinds of random stream.
const ORDER_STREAM: u64 = 0x006f_7264_6572;
const IMAGE_STREAM: u64 = 0x0069_6d61_6765;

/// Says how a [`Loader`] hands its images out.
#[derive(Clone, Debug, PartialEq)]
pub struct LoaderConfig {
    /// Images a batch, 1 or more.
    pub batch: usize,
    /// The seed of order and augmentation.
    pub seed: u64,
    /// Whether each epoch has its own random order; else the set's.
    pub shuffle: bool,
    /// The augmentations of images; frames have their set's own.
    pub augment: Augment,
    /// Whether to leave out a last, shorter batch (a set smaller than a batch still gives one).
    pub drop_last: bool,
    /// Batches made ahead by a thread; 0: made in the caller's thread when asked for.
    pub prefetch: usize,
    /// The mean and standard deviation, one of each a channel of images; none for frames.
    pub normalise: Normalise,
}

/// Holds one batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Normalised pixels or frames, \[steps, len, channels, height, width\].
    pub images: Vec<f32>,
    /// The classes, \[len\].
    pub labels: Vec<u32>,
    /// The number of images or recordings.
    pub len: usize,
    /// Frames of a recording, T; 1 for images.
    pub steps: usize,
    /// Colour planes of an image.
    pub channels: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
}

/// Makes batches of a set, epoch by epoch.
///
/// ```
/// use spikegrad_data::{Augment, Loader, LoaderConfig, Source, shapes};
/// use std::sync::Arc;
///
/// let set = Arc::new(shapes::generate(25, 0, 1).train);
/// let config = LoaderConfig {
///     batch: 10, seed: 1, shuffle: true, augment: Augment::NONE, drop_last: false, prefetch: 1,
///     normalise: Source::Shapes.normalisation(),
/// };
/// let loader = Loader::new(set, config)?;
/// let sizes: Vec<usize> = loader.epoch(0).map(|batch| batch.len).collect();
/// assert_eq!(sizes, [10, 10, 5]);
/// assert_eq!(loader.epoch_from(0, 2).next(), loader.epoch(0).nth(2));
/// # Ok::<(), spikegrad_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Loader {
    set: SampleSet,
    config: Arc<LoaderConfig>,
    /// The value of byte p of channel c, at 256·c + p.
    table: Arc<Vec<f32>>,
}

impl Loader {
    /// Plans the batches of a set of images or frames.
    ///
    /// Errors: [`DataError::Argument`] when the set is empty or its fields disagree, the batch is 0, or the mean
    /// and standard deviation are not one of each a channel (none for frames), finite, the latter positive.
    pub fn new(set: impl Into<SampleSet>, config: LoaderConfig) -> Result<Self, DataError> {
        let set = set.into();
        let channels = set.images().map_or(0, |images| images.channels);
        if let Some(images) = set.images() {
            images.check()?;
        }
        if set.is_empty() {
            return Err(DataError::argument("the number of images", "1 or more", 0));
        }
        if config.batch == 0 {
            return Err(DataError::argument("the batch size", "1 or more", 0));
        }
        let Normalise { mean, std } = &config.normalise;
        for (what, values) in [("the number of means", mean), ("the number of standard deviations", std)] {
            if values.len() != channels {
                let expected = format!("{channels}, the number of channels");
                return Err(DataError::argument(what, expected, values.len()));
            }
        }
        if let Some(bad) = mean.iter().find(|m| !m.is_finite()) {
            return Err(DataError::argument("a mean", "a finite number", bad));
        }
        if let Some(bad) = std.iter().find(|s| !s.is_normal() || **s < 0.0) {
            return Err(DataError::argument("a standard deviation", "a positive number", bad));
        }
        let channel = |(&m, &s): (&f32, &f32)| (0u8..=255).map(move |p| (f32::from(p) / 255.0 - m) / s);
        let table = mean.iter().zip(std).flat_map(channel).collect();
        Ok(Self { set, config: Arc::new(config), table: Arc::new(table) })
    }

    /// Counts the batches of an epoch.
    #[must_use]
    pub fn batches(&self) -> usize {
        let (images, batch) = (self.set.len(), self.config.batch);
        if self.config.drop_last { (images / batch).max(1) } else { images.div_ceil(batch) }
    }

    /// Gives the set that the batches come from.
    #[must_use]
    pub fn set(&self) -> &SampleSet {
        &self.set
    }

    /// Gives the configuration.
    #[must_use]
    pub fn config(&self) -> &LoaderConfig {
        &self.config
    }

    /// Starts an epoch.
    #[must_use]
    pub fn epoch(&self, epoch: u64) -> Epoch {
        self.epoch_from(epoch, 0)
    }

    /// Starts an epoch at batch `first`, making none of the batches before it; empty when there is none left.
    #[must_use]
    pub fn epoch_from(&self, epoch: u64, first: usize) -> Epoch {
        let batches = self.batches();
        let maker = Maker {
            loader: self.clone(),
            epoch,
            order: self.order(epoch),
            next: first.min(batches),
            batches,
        };
        let left = batches - maker.next;
        let depth = self.config.prefetch.min(left);
        Epoch {
            left,
            source: if depth == 0 { BatchSource::Here(Box::new(maker)) } else { ahead(maker, depth) },
        }
    }

    /// Gives the order of an epoch's images, from (seed, epoch) alone.
    fn order(&self, epoch: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.set.len()).collect();
        if self.config.shuffle {
            Rng::keyed(&[ORDER_STREAM, self.config.seed, epoch]).shuffle(&mut order);
        }
        order
    }
}

/// Makes an epoch's batches one after the other.
#[derive(Clone, Debug)]
struct Maker {
    loader: Loader,
    epoch: u64,
    order: Vec<usize>,
    next: usize,
    batches: usize,
}

impl Maker {
    /// Makes the next batch, until there is none left.
    fn make(&mut self) -> Option<Batch> {
        if self.next >= self.batches {
            return None;
        }
        let Loader { set, config, .. } = &self.loader;
        let start = self.next * config.batch;
        let chosen = &self.order[start..start.saturating_add(config.batch).min(self.order.len())];
        self.next += 1;
        let (steps, [channels, height, width]) = (set.steps(), set.shape());
        let images = match set {
            SampleSet::Images(set) => self.images(set, chosen),
            SampleSet::Frames(set) => self.frames(set, chosen),
        };
        let labels = chosen.iter().map(|&i| u32::from(set.labels()[i])).collect();
        Some(Batch { images, labels, len: chosen.len(), steps, channels, height, width })
    }

    fn images(&self, set: &ImageSet, chosen: &[usize]) -> Vec<f32> {
        let mut images = vec![0.0; chosen.len() * set.image_size()];
        let (mut bytes, mut scratch) = (Vec::new(), Vec::new());
        for (&i, image) in chosen.iter().zip(images.chunks_exact_mut(set.image_size())) {
            self.image(set, i, image, &mut bytes, &mut scratch);
        }
        images
    }

    /// The frames of the recordings, time outermost.
    fn frames(&self, set: &FrameSet, chosen: &[usize]) -> Vec<f32> {
        let frame = set.config.len() / set.config.steps;
        let mut images = vec![0.0; chosen.len() * set.config.len()];
        let (mut frames, mut scratch) = (vec![0.0; set.config.len()], Vec::new());
        for (k, &i) in chosen.iter().enumerate() {
            set.varied_frames(i, &mut self.stream(i), &mut frames, &mut scratch);
            for (t, frame_of) in frames.chunks_exact(frame).enumerate() {
                images[(t * chosen.len() + k) * frame..][..frame].copy_from_slice(frame_of);
            }
        }
        images
    }

    /// The random stream of a sample in this epoch.
    fn stream(&self, i: usize) -> Rng {
        Rng::keyed(&[IMAGE_STREAM, self.loader.config.seed, self.epoch, i as u64])
    }

    /// Writes image `i` of the set, augmented for this epoch and normalised; `bytes` and `scratch` are overwritten.
    fn image(
        &self,
        set: &ImageSet,
        i: usize,
        image: &mut [f32],
        bytes: &mut Vec<u8>,
        scratch: &mut Vec<f32>,
    ) {
        let Loader { config, table, .. } = &self.loader;
        let size = Size { channels: set.channels, height: set.height, width: set.width };
        let choice = Choice::draw(size, &mut self.stream(i));
        bytes.clear();
        bytes.extend_from_slice(set.image(i));
        augment::apply_to_bytes(config.augment, &choice, size, bytes);
        for (k, (value, &byte)) in image.iter_mut().zip(bytes.iter()).enumerate() {
            *value = table[256 * (k / size.plane()) + usize::from(byte)];
        }
        augment::apply(config.augment, &choice, size, image, scratch);
    }
}

/// Iterates over the batches of one epoch.
///
/// Dropping it early stops its thread and waits for it (for the batch in the making at most).
#[derive(Debug)]
pub struct Epoch {
    source: BatchSource,
    left: usize,
}

/// Says where the batches come from.
#[derive(Debug)]
enum BatchSource {
    /// Made when asked for.
    Here(Box<Maker>),
    /// Made by a thread; both are present until the end.
    Ahead { batches: Option<Receiver<Batch>>, thread: Option<JoinHandle<()>> },
}

/// Starts the thread that makes batches ahead; without one to be had, they are made in the caller's.
fn ahead(maker: Maker, depth: usize) -> BatchSource {
    let (sender, receiver) = sync_channel(depth);
    let mut there = maker.clone();
    let work = move || {
        while let Some(batch) = there.make() {
            if sender.send(batch).is_err() {
                return;
            }
        }
    };
    match Builder::new().name("spikegrad-loader".into()).spawn(work) {
        Ok(thread) => BatchSource::Ahead { batches: Some(receiver), thread: Some(thread) },
        Err(_) => BatchSource::Here(Box::new(maker)),
    }
}

impl Iterator for Epoch {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let batch = match &mut self.source {
            BatchSource::Here(maker) => maker.make(),
            BatchSource::Ahead { batches, thread } => match batches.as_ref()?.recv() {
                Ok(batch) => Some(batch),
                Err(_) => {
                    // The thread has ended: at the epoch's end, or by a panic that must not pass for it.
                    *batches = None;
                    if let Some(Err(panic)) = thread.take().map(JoinHandle::join) {
                        std::panic::resume_unwind(panic);
                    }
                    None
                }
            },
        };
        self.left -= usize::from(batch.is_some());
        batch
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Epoch {}

impl Drop for Epoch {
    fn drop(&mut self) {
        if let BatchSource::Ahead { batches, thread } = &mut self.source {
            // First the channel, so that a thread waiting to send wakes up; then the thread.
            *batches = None;
            if let Some(thread) = thread.take() {
                let _ = thread.join();
            }
        }
    }
}
