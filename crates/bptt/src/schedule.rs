//! Learning-rate schedules, with a linear warm-up.

use crate::ConfigError;
use std::fmt;
use std::sync::Arc;

/// A user's own schedule.
///
/// ```
/// # use spikegrad_bptt::Schedule;
/// let triangle = Schedule::custom(|progress: f64| 1.0 - (2.0 * progress - 1.0).abs());
/// assert_eq!(triangle.at(0.5, 2.0, 8.0, 0.0), 0.25);
/// ```
pub trait UserSchedule: Send + Sync {
    /// The factor on the learning rate at a progress from 0, when warm-up is over, to 1 and beyond.
    fn factor(&self, progress: f64) -> f64;
}

impl<F: Fn(f64) -> f64 + Send + Sync> UserSchedule for F {
    fn factor(&self, progress: f64) -> f64 {
        self(progress)
    }
}

impl fmt::Debug for dyn UserSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a user's own schedule")
    }
}

/// The course of the learning rate over training.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// The learning rate stays lr.
    Constant,
    /// The learning rate is lr·(1 + cos(π·progress))/2 and falls to zero.
    Cosine,
    /// lr·factor^⌊epoch / every⌋; epochs count from the beginning of training, warm-up included.
    Step {
        /// Epochs between drops.
        every_epochs: f64,
        /// Factor of a drop.
        factor: f32,
    },
    /// A user's own.
    Custom(Arc<dyn UserSchedule>),
}

/// Schedules of one's own are equal if they are the same object.
impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Constant, Self::Constant) | (Self::Cosine, Self::Cosine) => true,
            (
                Self::Step { every_epochs, factor },
                Self::Step { every_epochs: other_every, factor: other_factor },
            ) => every_epochs == other_every && factor == other_factor,
            (Self::Custom(own), Self::Custom(other)) => Arc::ptr_eq(own, other),
            _ => false,
        }
    }
}

/// Counts the whole intervals of `every` epochs in `epoch`.
///
/// Neither number is a whole one in binary: 0.3 ÷ 0.1 is a little less than 3. Where the quotient is within rounding of
/// a whole number, that number counts; 1e-12 of the epoch is far above rounding and far below one batch.
fn drops(epoch: f64, every: f64) -> i32 {
    let nearest = (epoch / every).round();
    let is_multiple = (epoch - nearest * every).abs() <= 1e-12 * epoch.abs();
    (if is_multiple { nearest } else { (epoch / every).floor() }) as i32
}

impl Schedule {
    /// A schedule of one's own: a function as [`UserSchedule::factor`], or an object with that method.
    pub fn custom(own: impl UserSchedule + 'static) -> Self {
        Self::Custom(Arc::new(own))
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// An interval without length, or a factor that is negative or not finite.
    pub fn check(&self) -> Result<(), ConfigError> {
        let &Schedule::Step { every_epochs, factor } = self else { return Ok(()) };
        if !(every_epochs > 0.0 && every_epochs.is_finite()) {
            return Err(ConfigError::new(format!(
                "schedule drops every {every_epochs} epochs, must be positive and finite"
            )));
        }
        if !(factor >= 0.0 && factor.is_finite()) {
            return Err(ConfigError::out_of_range("schedule's factor", factor, "a finite number, 0 or more"));
        }
        Ok(())
    }

    /// The learning rate at a (fractional) `epoch` of `epochs`, the first `warmup` rising linearly from 0.
    ///
    /// ```
    /// # use spikegrad_bptt::Schedule;
    /// assert_eq!(Schedule::Cosine.at(0.1, 5.0, 10.0, 0.0), 0.05);
    /// assert_eq!(Schedule::Constant.at(0.1, 1.0, 10.0, 2.0), 0.05);
    /// ```
    #[doc(alias = "eq-schedule")]
    pub fn at(&self, lr: f32, epoch: f64, epochs: f64, warmup: f64) -> f32 {
        if epoch < warmup {
            return (f64::from(lr) * epoch / warmup) as f32;
        }
        let progress = (epoch - warmup) / (epochs - warmup).max(f64::MIN_POSITIVE);
        let factor = match self {
            Schedule::Constant => 1.0,
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress.clamp(0.0, 1.0)).cos()),
            Schedule::Step { every_epochs, factor } => f64::from(*factor).powi(drops(epoch, *every_epochs)),
            Schedule::Custom(own) => own.factor(progress),
        };
        (f64::from(lr) * factor) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The batch of a drop is a matter of whole numbers: batch b of epochs of `batches` batches has taken
    /// ⌊(b/batches) ÷ (p/q)⌋ = ⌊b·q / (batches·p)⌋ intervals of p/q epochs.
    #[test]
    fn drops_come_at_the_batch_that_whole_numbers_name() {
        for batches in [1u64, 3, 7, 10, 30, 64, 97, 600, 1000] {
            for (p, q) in [(1, 10), (1, 5), (3, 10), (1, 3), (7, 10), (1, 100), (11, 10), (30, 1), (1, 7)] {
                let schedule = Schedule::Step { every_epochs: p as f64 / q as f64, factor: 0.5 };
                for b in 0..batches * 5 {
                    let epoch = (b / batches) as f64 + (b % batches) as f64 / batches as f64;
                    let drops = b * q / (batches * p);
                    let want = 0.5f64.powi(drops as i32) as f32;
                    assert_eq!(schedule.at(1.0, epoch, 5.0, 0.0), want, "batch {b} of {batches}, {p}/{q}");
                }
            }
        }
    }

    #[test]
    fn each_schedule_follows_its_formula() {
        assert_eq!(Schedule::Constant.at(0.3, 7.5, 10.0, 0.0), 0.3);
        // (1 + cos 60°)/2 = 3/4 after a third of the epochs that warm-up leaves.
        assert_eq!(Schedule::Cosine.at(1.0, 4.0, 10.0, 1.0), 0.75);
        assert_eq!(Schedule::Cosine.at(1.0, 12.0, 10.0, 1.0), 0.0);
        assert_eq!(Schedule::Cosine.at(1.0, 0.5, 10.0, 2.0), 0.25);
        // Warm-up counts: the first drop comes after 2 epochs of training, not 2 after the warm-up.
        let step = Schedule::Step { every_epochs: 2.0, factor: 0.5 };
        assert_eq!(
            [1.0, 1.5, 2.0, 3.9, 4.0].map(|epoch| step.at(8.0, epoch, 9.0, 1.5)),
            [8.0 / 1.5, 8.0, 4.0, 4.0, 2.0]
        );
    }

    #[test]
    fn steps_that_make_no_sense_are_refused() {
        let step = |every_epochs, factor| Schedule::Step { every_epochs, factor }.check();
        assert_eq!(step(0.1, 0.1), Ok(()));
        for (every, factor, named) in [
            (0.0, 0.1, "0 epochs"),
            (f64::NAN, 0.1, "NaN epochs"),
            (-1.0, 0.1, "-1 epochs"),
            (f64::INFINITY, 0.1, "inf epochs"),
            (1.0, f32::NAN, "NaN"),
            (1.0, -0.1, "-0.1"),
            (1.0, f32::INFINITY, "inf"),
        ] {
            let error = step(every, factor).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
