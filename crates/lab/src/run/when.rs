//! When training stops to be resumed, and when it writes a checkpoint.

use crate::{Error, Result};
use std::time::{Duration, Instant};

/// The plan, and what has come of it.
#[derive(Clone, Copy, Debug)]
pub struct When {
    stop_after: f64,
    every: Every,
    /// Epochs done when the last checkpoint was due, and the time.
    last: (f64, Instant),
}

/// How often a checkpoint is due.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Every {
    Epochs(f64),
    Time(Duration),
}

/// Minutes that are asked for at most: a century.
const MOST_MINUTES: f64 = 5.3e7;

impl Default for When {
    /// A checkpoint every epoch, no stop.
    fn default() -> Self {
        Self { stop_after: f64::INFINITY, every: Every::Epochs(1.0), last: (0.0, Instant::now()) }
    }
}

impl When {
    /// Reads `--stop-after` and `--checkpoint-every`.
    ///
    /// # Errors
    /// A number that is not positive, or no number.
    pub fn of(stop_after: Option<f64>, every: Option<&str>) -> Result<Self> {
        let stop_after = stop_after.unwrap_or(f64::INFINITY);
        if stop_after.is_nan() || stop_after <= 0.0 {
            return Err(Error::setting(format!("--stop-after is {stop_after}, must be above 0")));
        }
        let every = every.map_or(Ok(Every::Epochs(1.0)), Every::parse)?;
        Ok(Self { stop_after, every, ..Self::default() })
    }

    /// Starts to count with so many epochs done.
    pub fn start(&mut self, done: f64) {
        self.last = (done, Instant::now());
    }

    /// Tells whether to stop with so many epochs done.
    pub fn stops(&self, done: f64) -> bool {
        done >= self.stop_after
    }

    /// Tells whether a checkpoint is due with so many epochs done; one that is counts as written.
    pub fn is_due(&mut self, done: f64) -> bool {
        let now = Instant::now();
        let (last, since) = self.last;
        let due = match self.every {
            // Multiples of the interval, so that a resumed run writes at the same places.
            Every::Epochs(every) => (done / every + 1e-9).floor() > (last / every + 1e-9).floor(),
            Every::Time(every) => now.duration_since(since) >= every,
        };
        if due {
            self.last = (done, now);
        }
        due
    }
}

impl Every {
    fn parse(text: &str) -> Result<Self> {
        let (number, in_minutes) = match text.strip_suffix('m') {
            Some(number) => (number, true),
            None => (text, false),
        };
        match number.parse::<f64>() {
            Ok(number) if in_minutes && number > 0.0 && number <= MOST_MINUTES => {
                Ok(Self::Time(Duration::from_secs_f64(60.0 * number)))
            }
            Ok(number) if !in_minutes && number > 0.0 && number.is_finite() => Ok(Self::Epochs(number)),
            _ => Err(Error::setting(format!(
                "--checkpoint-every is {text:?}, expected epochs above 0 (2, 0.5) or minutes (10m)"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_are_counted_in_multiples() {
        let mut when = When::of(None, Some("0.5")).unwrap();
        let due: Vec<f64> = (1..=12).map(|i| f64::from(i) / 4.0).filter(|&done| when.is_due(done)).collect();
        assert_eq!(due, [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]);
        let mut when = When::of(None, Some("2")).unwrap();
        let due: Vec<f64> = (1..=12).map(|i| f64::from(i) / 2.0).filter(|&done| when.is_due(done)).collect();
        assert_eq!(due, [2.0, 4.0, 6.0]);
        let mut when = When::default();
        assert!(when.is_due(1.0) && !when.is_due(1.5), "the first epoch's end");
        when.start(2.5);
        assert!(!when.is_due(2.9) && when.is_due(3.0));
    }

    #[test]
    fn minutes_pass() {
        let mut when = When::of(Some(3.0), Some("0.0001m")).unwrap();
        when.start(0.0);
        assert!(!when.is_due(0.1));
        std::thread::sleep(Duration::from_millis(7));
        assert!(when.is_due(0.1) && !when.is_due(0.1));
        assert!(when.stops(3.0) && !when.stops(2.9));
        assert_eq!(Every::parse("10m").unwrap(), Every::Time(Duration::from_secs(600)));
        assert_eq!(Every::parse("2").unwrap(), Every::Epochs(2.0));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["0", "-1", "m", "nan", "inf", "1e99m", "often"] {
            assert!(When::of(None, Some(text)).is_err(), "{text}");
        }
        assert!(When::of(Some(0.0), None).is_err());
    }
}
