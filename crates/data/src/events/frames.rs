//! Frames: events added up, \[T\]\[2\]\[H\]\[W\].
//!
//! Channel 0 holds OFF events, channel 1 ON events, as in Tonic and SpikingJelly. Every event counts, also several of one
//! pixel in one frame: the naive `frame[p, y, x] += 1` of array languages counts repeated indices once, Tonic's
//! `np.add.at` and SpikingJelly's `bincount` count them all.
//!
//! | values | cell |
//! |---|---|
//! | `counts` | the number of events, n |
//! | `binary` | min(n, 1) |
//! | `normalised` | n / the largest n of the frame; 0 in an empty frame |
//!
//! | resampling to h×w of H×W | the values that an event at (x, y) adds |
//! |---|---|
//! | `nearest` | 1 to (⌊x·w/W⌋, ⌊y·h/H⌋) |
//! | `area` | its pixel's area, shared among the cells that it covers |
//!
//! Both keep the sum: an image library's resizing averages instead, and its values are smaller by hw/(HW).

use super::{Event, Events, Sensor, Slicing};
use crate::error::DataError;
use std::fmt;
use std::str::FromStr;

/// The values that a cell of a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// The number of events.
    Counts,
    /// Whether there is an event.
    Binary,
    /// The number of events, divided by the frame's largest.
    Normalised,
}

/// Says how a sensor is brought to the size of the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resample {
    /// Every event to one cell.
    Nearest,
    /// Every event to the cells that its pixel covers.
    Area,
}

macro_rules! names {
    ($type:ident, $what:literal, $known:literal: $($variant:ident $name:literal),*) => {
        impl FromStr for $type {
            type Err = DataError;

            /// Reads the name. Errors: [`DataError::Unknown`] listing the names known.
            fn from_str(text: &str) -> Result<Self, DataError> {
                match text {
                    $($name => Ok(Self::$variant),)*
                    _ => Err(DataError::Unknown { what: $what, found: text.into(), known: $known }),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $name),* })
            }
        }
    };
}
names!(Values, "values", "counts, binary or normalised": Counts "counts", Binary "binary", Normalised "normalised");
names!(Resample, "resampling", "nearest or area": Nearest "nearest", Area "area");

/// The most numbers of one recording's frames: 256 MiB of them.
pub const NUMBERS_LIMIT: usize = 1 << 26;

/// Says how events become frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameConfig {
    /// T, 1 or more.
    pub steps: usize,
    /// The rule that assigns events to frames.
    pub slicing: Slicing,
    /// The values that a cell holds.
    pub values: Values,
    /// Rows and columns of a frame.
    pub size: Sensor,
    /// The resampling of the sensor to that size.
    pub resample: Resample,
}

impl FrameConfig {
    /// Checks that there are frames, and no more of them than memory should hold for one recording.
    ///
    /// Errors: [`DataError::Argument`] where T, H or W is 0, or T·2·H·W is above [`NUMBERS_LIMIT`].
    pub fn check(&self) -> Result<(), DataError> {
        let Self { steps, size: Sensor { width, height }, .. } = *self;
        match self.len() {
            1..=NUMBERS_LIMIT => Ok(()),
            _ => {
                let found = format!("{steps} frames of 2×{height}×{width}");
                let expected =
                    format!("1 to {NUMBERS_LIMIT} numbers; use a smaller --frame-size or --timesteps");
                Err(DataError::argument("what a recording becomes", expected, found))
            }
        }
    }

    /// Counts the numbers of all frames, T·2·H·W.
    #[must_use]
    pub fn len(&self) -> usize {
        [2, self.size.width, self.size.height].iter().fold(self.steps, |n, &side| n.saturating_mul(side))
    }

    /// Tells whether there is no number.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds events up.
    ///
    /// | argument | shape | |
    /// |---|---|---|
    /// | `events` | sorted by time, on their sensor | read |
    /// | `frames` | \[T\]\[2\]\[H\]\[W\] | overwritten |
    ///
    /// Numerics: counts are exact up to 2²⁴; areas are sums of products of
    /// two f32, so that a frame's sum is right to its rounding.
    ///
    /// # Panics
    /// `frames` has another length than the configuration's.
    ///
    /// ```
    /// use spikegrad_data::events::{Event, Events, FrameConfig, Resample, Sensor, Slicing, Values};
    /// let size = Sensor { width: 2, height: 1 };
    /// let config = FrameConfig {
    ///     steps: 2, slicing: Slicing::Count, values: Values::Counts, size, resample: Resample::Nearest,
    /// };
    /// let on = Event { t: 0, x: 1, y: 0, on: true };
    /// let mut frames = vec![0.0; config.len()];
    /// config.frames(&Events::new(size, vec![on, on, Event { on: false, ..on }, on]), &mut frames);
    /// assert_eq!(frames, [0.0, 0.0, 0.0, 2.0, /* second frame */ 0.0, 1.0, 0.0, 1.0]);
    /// ```
    pub fn frames(&self, events: &Events, frames: &mut [f32]) {
        assert_eq!(frames.len(), self.len());
        frames.fill(0.0);
        let frame = self.len() / self.steps;
        let (across, down) = (self.axis(events.sensor.width, false), self.axis(events.sensor.height, true));
        for (range, frame) in
            self.slicing.cut(&events.list, self.steps).into_iter().zip(frames.chunks_mut(frame))
        {
            for event in &events.list[range] {
                self.add(event, &across, &down, frame);
            }
            self.finish(frame);
        }
    }

    /// For each pixel along a side: the cells that it falls into.
    fn axis(&self, from: usize, rows: bool) -> Vec<Span> {
        let to = if rows { self.size.height } else { self.size.width };
        (0..from).map(|at| Span::of(at, from, to, self.resample)).collect()
    }

    fn add(&self, event: &Event, across: &[Span], down: &[Span], frame: &mut [f32]) {
        let (columns, rows) = (&across[usize::from(event.x)], &down[usize::from(event.y)]);
        let plane = usize::from(event.on) * self.size.height;
        for (k, down) in rows.shares().enumerate() {
            let row = (plane + rows.first + k) * self.size.width;
            for (l, across) in columns.shares().enumerate() {
                frame[row + columns.first + l] += down * across;
            }
        }
    }

    fn finish(&self, frame: &mut [f32]) {
        match self.values {
            Values::Counts => {}
            Values::Binary => frame.iter_mut().for_each(|cell| *cell = cell.min(1.0)),
            Values::Normalised => {
                let most = frame.iter().fold(0.0f32, |most, &cell| most.max(cell));
                if most > 0.0 {
                    frame.iter_mut().for_each(|cell| *cell /= most);
                }
            }
        }
    }
}

/// The cells along a side that a pixel falls into, and its share in each.
#[derive(Clone, Debug, PartialEq)]
struct Span {
    first: usize,
    /// Share in the first cell, in those between, in the last.
    share: [f32; 3],
    cells: usize,
}

impl Span {
    /// Pixel `at` of `from`, brought to `to` cells: it covers at·to/from to (at + 1)·to/from.
    fn of(at: usize, from: usize, to: usize, resample: Resample) -> Self {
        let first = at * to / from;
        if resample == Resample::Nearest {
            return Self { first, share: [1.0; 3], cells: 1 };
        }
        // In units of 1/from of a cell: exact.
        let (start, end) = (at * to, (at + 1) * to);
        let last = (end - 1) / from;
        let part = |units: usize| units as f32 / to as f32;
        if first == last {
            return Self { first, share: [1.0; 3], cells: 1 };
        }
        let share = [part((first + 1) * from - start), part(from), part(end - last * from)];
        Self { first, share, cells: last - first + 1 }
    }

    fn shares(&self) -> impl Iterator<Item = f32> + '_ {
        (0..self.cells).map(|k| match k {
            0 => self.share[0],
            k if k + 1 == self.cells => self.share[2],
            _ => self.share[1],
        })
    }
}
