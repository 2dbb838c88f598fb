//! The output of an event camera: events, and the sensor they come from.

use crate::error::DataError;
use std::fmt;
use std::str::FromStr;

/// The most columns or rows of a sensor: a pixel's place has sixteen bits.
pub const SIDE_LIMIT: usize = 1 << 16;

/// Counts the pixels of a sensor along its sides.
///
/// ```
/// use spikegrad_data::events::Sensor;
/// let sensor: Sensor = "346x260".parse()?;
/// assert_eq!((sensor.width, sensor.height, sensor.to_string()), (346, 260, "346x260".into()));
/// assert!("0x9".parse::<Sensor>().is_err() && "9999999x9".parse::<Sensor>().is_err());
/// # Ok::<(), spikegrad_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sensor {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Sensor {
    /// A side written in digits, if a sensor can have it.
    pub(super) fn side(digits: &str) -> Option<usize> {
        let digits = digits.trim();
        let side = digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()));
        side.filter(|side| (1..=SIDE_LIMIT).contains(side))
    }
}

impl FromStr for Sensor {
    type Err = DataError;

    /// Reads columns and rows, `WIDTHxHEIGHT`.
    ///
    /// Errors: [`DataError::Argument`] with the largest that a sensor can have.
    fn from_str(text: &str) -> Result<Self, DataError> {
        let sides = text.split_once('x').and_then(|(width, height)| {
            Some(Self { width: Self::side(width)?, height: Self::side(height)? })
        });
        let expected = || format!("WIDTHxHEIGHT with 1 to {SIDE_LIMIT} columns and rows, such as 346x260");
        sides.ok_or_else(|| DataError::argument("the sensor", expected(), format!("{text:?}")))
    }
}

impl fmt::Display for Sensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
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

    /// Puts the events on another sensor, and leaves out those that lie outside; returns how many.
    ///
    /// ```
    /// use spikegrad_data::events::{Event, Events, Sensor};
    /// let far = Event { t: 0, x: 200, y: 0, on: true };
    /// let mut events = Events::new(Sensor { width: 201, height: 1 }, vec![far, Event { x: 3, ..far }]);
    /// assert_eq!((events.fit(Sensor { width: 4, height: 4 }), events.len()), (1, 1));
    /// ```
    pub fn fit(&mut self, sensor: Sensor) -> usize {
        let before = self.len();
        self.sensor = sensor;
        self.list.retain(|e| usize::from(e.x) < sensor.width && usize::from(e.y) < sensor.height);
        before - self.len()
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
