//! What an event camera puts out: events, and the sensor they come from.

use crate::error::DataError;

/// Counts the pixels of a sensor along its sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sensor {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// Holds one change of brightness: 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// When, in microseconds.
    pub t: u64,
    /// Column, from the left.
    pub x: u16,
    /// Row, from the top.
    pub y: u16,
    /// Brighter (ON), or darker (OFF).
    pub on: bool,
}

/// Holds a sensor's events, in the order in which they came.
///
/// ```
/// use spikegrad_data::events::{Event, Events, Sensor};
/// let late = Event { t: 9, x: 1, y: 0, on: true };
/// let mut events = Events::new(Sensor { width: 2, height: 2 }, vec![late, Event { t: 4, ..late }]);
/// assert_eq!((events.disorder(), events.duration()), (1, 5));
/// events.sort();
/// assert_eq!((events.disorder(), events.list[0].t), (0, 4));
/// events.check()?;
/// # Ok::<(), spikegrad_data::DataError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// The sensor.
    pub sensor: Sensor,
    /// The events.
    pub list: Vec<Event>,
}

impl Events {
    /// Puts a sensor and its events together.
    #[must_use]
    pub fn new(sensor: Sensor, list: Vec<Event>) -> Self {
        Self { sensor, list }
    }

    /// Counts the events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Tells whether there is no event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Counts the events that are earlier than the one before them.
    #[must_use]
    pub fn disorder(&self) -> usize {
        self.list.windows(2).filter(|pair| pair[1].t < pair[0].t).count()
    }

    /// Sorts by time; events of one time keep their order.
    pub fn sort(&mut self) {
        if self.disorder() > 0 {
            self.list.sort_by_key(|event| event.t);
        }
    }

    /// Gives the microseconds between the earliest and the latest event, 0 without events.
    #[must_use]
    pub fn duration(&self) -> u64 {
        let span = self.list.iter().fold((u64::MAX, 0), |(low, high), e| (low.min(e.t), high.max(e.t)));
        span.1.saturating_sub(span.0)
    }

    /// Gives the smallest sensor that holds every event.
    #[must_use]
    pub fn extent(&self) -> Sensor {
        let most = self.list.iter().fold((0, 0), |(x, y), e| (e.x.max(x), e.y.max(y)));
        let side = |most: u16| if self.is_empty() { 0 } else { usize::from(most) + 1 };
        Sensor { width: side(most.0), height: side(most.1) }
    }

    /// Checks that every event lies on the sensor.
    ///
    /// Errors: [`DataError::Argument`] naming the first that does not.
    pub fn check(&self) -> Result<(), DataError> {
        let Sensor { width, height } = self.sensor;
        let outside = |e: &Event| usize::from(e.x) >= width || usize::from(e.y) >= height;
        match self.list.iter().position(outside) {
            None => Ok(()),
            Some(at) => {
                let Event { x, y, .. } = self.list[at];
                let found = format!("column {x}, row {y} of event {at}");
                Err(DataError::argument("the pixel", format!("one of {width}×{height}"), found))
            }
        }
    }
}
