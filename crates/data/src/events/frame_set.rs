//! A labelled set of recordings, as frames in memory.

use super::augment::{self, EventChoice};
use super::cache::Cache;
use super::cells::Cells;
use super::{EventAugment, Events, Fit, FrameConfig, Origin, Sample, Sensor, Tally};
use crate::error::DataError;
use crate::rng::Rng;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// The most bytes of events that are kept for augmentations that work on events.
const EVENTS_LIMIT: u64 = 8 << 30;

/// The most cells of all frames of a set.
const SET_LIMIT: u64 = 1 << 36;

/// Holds the settings with which recordings become samples.
#[derive(Clone, Debug)]
pub struct FrameOptions<'a> {
    /// The settings with which events become frames.
    pub config: FrameConfig,
    /// The options with which recordings are read.
    pub fit: Fit,
    /// The augmentations that are applied when recordings are handed out.
    pub augment: EventAugment,
    /// The folder in which frames are kept from run to run.
    pub cache: Option<&'a Path>,
}

/// Holds labelled frames.
pub struct FrameSet {
    /// The settings with which events became frames.
    pub config: FrameConfig,
    /// Every recording's class.
    pub labels: Vec<u16>,
    /// The classes' names, in label order.
    pub class_names: Vec<String>,
    /// The number of recordings that came from the cache.
    pub cached: usize,
    /// The remarks on the recordings, those from the cache included.
    pub tally: Tally,
    augment: EventAugment,
    cells: Vec<Cells>,
    /// The events, where an augmentation works on them.
    events: Vec<Arc<Events>>,
}

impl FrameSet {
    /// Reads recordings and makes their frames, or takes them from the cache.
    ///
    /// A cache that cannot be read or written, or that is damaged, is as good as none.
    /// Errors: frames that are too large, each or all together; a recording that cannot be read; events of more than 8 GiB to
    /// keep for an augmentation.
    pub fn load(
        samples: &[Sample],
        class_names: Vec<String>,
        options: &FrameOptions<'_>,
    ) -> Result<Self, DataError> {
        let FrameOptions { config, fit, augment, cache } = options;
        config.check()?;
        let all = (config.len() as u64).saturating_mul(samples.len() as u64);
        if all > SET_LIMIT {
            let expected = format!("at most {SET_LIMIT}; use smaller or fewer frames, or --limit");
            return Err(DataError::argument("the number of cells of all frames", expected, all));
        }
        let mut cache = Cache::open(*cache, config, fit);
        let mut set = Self {
            config: *config,
            labels: samples.iter().map(|sample| sample.label).collect(),
            class_names,
            cached: 0,
            tally: Tally::default(),
            augment: *augment,
            cells: Vec::with_capacity(samples.len()),
            events: Vec::new(),
        };
        let (mut frames, mut kept) = (vec![0.0; config.len()], 0u64);
        let mut tallies = Vec::with_capacity(samples.len());
        for sample in samples {
            let cached = cache.take(&sample.origin).filter(|_| !augment.needs_events());
            let (cells, tally) = match cached {
                Some(cached) => {
                    set.cached += 1;
                    cached
                }
                None => {
                    let (events, tally) = sample.read(fit)?;
                    config.frames(&events, &mut frames);
                    if augment.needs_events() {
                        kept += 16 * events.len() as u64;
                        set.keep(&sample.origin, events, kept)?;
                    }
                    (Cells::pack(&frames), tally)
                }
            };
            set.cells.push(cells);
            set.tally.add(tally);
            tallies.push(tally);
        }
        cache.store(samples, &set.cells, &tallies);
        Ok(set)
    }

    /// Keeps a recording's events.
    fn keep(&mut self, origin: &Origin, events: Events, kept: u64) -> Result<(), DataError> {
        if kept > EVENTS_LIMIT {
            let found = format!("{kept} after {} recordings", self.cells.len());
            let expected = format!("at most {EVENTS_LIMIT}; use flip and roll alone");
            return Err(DataError::argument("the bytes of events kept for drop and jitter", expected, found));
        }
        self.events.push(match origin {
            Origin::Memory(events) => events.clone(),
            Origin::File(_) | Origin::Scene(_) => Arc::new(events),
        });
        Ok(())
    }

    /// Counts the recordings.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Tells whether there is no recording.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Hands all frames out as bytes, recording by recording: one byte a cell where bytes hold them, else four, low first.
    pub(crate) fn each_run_of_bytes(&self, mut take: impl FnMut(&[u8])) {
        for cells in &self.cells {
            match cells {
                Cells::Bytes(bytes) => take(bytes),
                Cells::Numbers(numbers) => numbers.iter().for_each(|cell| take(&cell.to_le_bytes())),
            }
        }
    }

    /// Writes recording `i`'s frames as they are, \[T\]\[2\]\[H\]\[W\].
    ///
    /// # Panics
    /// `i` is not below [`len`](Self::len), or `frames` has another length than the configuration's.
    pub fn frames(&self, i: usize, frames: &mut [f32]) {
        assert_eq!(frames.len(), self.config.len());
        self.cells[i].unpack(frames);
    }

    /// Writes recording `i`'s frames, varied by what `rng` draws; `scratch` is overwritten.
    ///
    /// # Panics
    /// As [`frames`](Self::frames).
    pub fn varied_frames(&self, i: usize, rng: &mut Rng, frames: &mut [f32], scratch: &mut Vec<f32>) {
        let choice = EventChoice::draw(rng);
        match self.events.get(i) {
            Some(events) => {
                let mut events = Events::clone(events);
                augment::apply_to_events(self.augment, &choice, &mut events);
                self.config.frames(&events, frames);
            }
            None => self.frames(i, frames),
        }
        let size = (self.config.size.height, self.config.size.width);
        augment::apply_to_frames(self.augment, &choice, size, frames, scratch);
    }
}

impl fmt::Debug for FrameSet {
    /// Prints the shape, not the frames.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FrameConfig { steps, size: Sensor { width, height }, .. } = self.config;
        let (len, classes) = (self.len(), self.class_names.len());
        write!(f, "FrameSet({len} recordings of {steps}×2×{height}×{width}, {classes} classes)")
    }
}
