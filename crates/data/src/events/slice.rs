//! Slicing: the rule that assigns events to frames.
//!
//! | slicing | frame k of T, N events from t₀ to t₁ | remainder |
//! |---|---|---|
//! | `count` | events k·⌊N/T⌋ to (k+1)·⌊N/T⌋ | goes to the last frame |
//! | `time` | times t₀ + k·d to t₀ + (k+1)·d, d = ⌊(t₁ − t₀)/T⌋ | goes to the last frame |
//! | `tonic-count` | as `count` | is dropped |
//! | `tonic-time` | as `time` | is dropped; the event at t₁ always is |
//! | `window:US` | times t₀ + k·US to t₀ + (k+1)·US | after T windows: is dropped |
//!
//! The first two are SpikingJelly's `split_by='number'` and `'time'`, the next two Tonic's `n_event_bins` and
//! `n_time_bins` of `ToFrame` without overlap, the last Tonic's `time_window` cut at T frames. A frame's last time is
//! excluded. Two differences: fewer events than frames, or a shorter time than T µs, give empty frames here, where
//! SpikingJelly fails; and a recording shorter than T windows ends with empty frames.

use super::Event;
use crate::error::DataError;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// Says how events are dealt out to frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slicing {
    /// Equal counts, the last takes the rest.
    Count,
    /// Equal times, the last takes the rest.
    Time,
    /// Equal counts, the rest is dropped.
    TonicCount,
    /// Equal times, the rest is dropped.
    TonicTime,
    /// A fixed time each, in µs.
    Window(u64),
}

impl Slicing {
    /// Deals sorted events out to `frames` frames: a range of indices each, one after the other.
    ///
    /// ```
    /// use spikegrad_data::events::{Event, Slicing};
    /// let events: Vec<Event> = [0, 1, 5, 6, 10].map(|t| Event { t, ..Event::default() }).into();
    /// assert_eq!(Slicing::Count.cut(&events, 2), [0..2, 2..5]);
    /// assert_eq!(Slicing::TonicCount.cut(&events, 2), [0..2, 2..4]);
    /// assert_eq!(Slicing::Time.cut(&events, 2), [0..2, 2..5]);
    /// assert_eq!(Slicing::TonicTime.cut(&events, 2), [0..2, 2..4]);
    /// assert_eq!(Slicing::Window(6).cut(&events, 2), [0..3, 3..5]);
    /// ```
    #[must_use]
    pub fn cut(self, events: &[Event], frames: usize) -> Vec<Range<usize>> {
        let (Some(first), Some(last)) = (events.first(), events.last()) else { return vec![0..0; frames] };
        if frames == 0 {
            return Vec::new();
        }
        let count = events.len() / frames;
        let span = match self {
            Self::Window(span) => span,
            _ => (last.t - first.t) / frames as u64,
        };
        let at = |k: usize| match self {
            Self::Count | Self::TonicCount => k * count,
            _ => {
                let start = first.t.saturating_add(span.saturating_mul(k as u64));
                events.partition_point(|event| event.t < start)
            }
        };
        let mut ranges: Vec<_> = (0..frames).map(|k| at(k)..at(k + 1)).collect();
        if let (Self::Count | Self::Time, Some(last)) = (self, ranges.last_mut()) {
            last.end = events.len();
        }
        ranges
    }
}

impl FromStr for Slicing {
    type Err = DataError;

    /// Reads `count`, `time`, `tonic-count`, `tonic-time` or `window:` and microseconds.
    ///
    /// Errors: [`DataError::Unknown`] listing these.
    fn from_str(text: &str) -> Result<Self, DataError> {
        let window = || text.strip_prefix("window:")?.parse().ok().filter(|&us: &u64| us > 0);
        match text {
            "count" => Ok(Self::Count),
            "time" => Ok(Self::Time),
            "tonic-count" => Ok(Self::TonicCount),
            "tonic-time" => Ok(Self::TonicTime),
            _ => window().map(Self::Window).ok_or_else(|| {
                let known = "count, time, tonic-count, tonic-time or window:MICROSECONDS";
                DataError::Unknown { what: "way to make frames", found: text.into(), known }
            }),
        }
    }
}

impl fmt::Display for Slicing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count => f.write_str("count"),
            Self::Time => f.write_str("time"),
            Self::TonicCount => f.write_str("tonic-count"),
            Self::TonicTime => f.write_str("tonic-time"),
            Self::Window(us) => write!(f, "window:{us}"),
        }
    }
}
