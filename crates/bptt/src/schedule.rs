//! Learning-rate schedules, with a linear warm-up.

/// How the learning rate moves over training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// lr.
    Constant,
    /// lr·(1 + cos(π·progress))/2: to zero at the end.
    Cosine,
    /// lr·factor^⌊epoch / every⌋.
    Step {
        /// Epochs between drops.
        every_epochs: f64,
        /// Factor of a drop.
        factor: f32,
    },
}

impl Schedule {
    /// The learning rate at a (fractional) `epoch` of `epochs`, the first `warmup` rising linearly from 0.
    ///
    /// ```
    /// # use spikegrad_bptt::Schedule;
    /// assert_eq!(Schedule::Cosine.at(0.1, 5.0, 10.0, 0.0), 0.05);
    /// assert_eq!(Schedule::Constant.at(0.1, 1.0, 10.0, 2.0), 0.05);
    /// ```
    pub fn at(self, lr: f32, epoch: f64, epochs: f64, warmup: f64) -> f32 {
        if epoch < warmup {
            return (f64::from(lr) * epoch / warmup) as f32;
        }
        let factor = match self {
            Schedule::Constant => 1.0,
            Schedule::Cosine => {
                let progress = ((epoch - warmup) / (epochs - warmup).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
                0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
            }
            Schedule::Step { every_epochs, factor } => {
                f64::from(factor).powi((epoch / every_epochs).floor() as i32)
            }
        };
        (f64::from(lr) * factor) as f32
    }
}
