//! Means with intervals, for a handful of seeds.
//!
//! | what | how |
//! |---|---|
//! | t interval | mean ± t₀.₉₇₅(n − 1)·s/√n, exact where the numbers are normal |
//! | bootstrap interval | percentile: the numbers drawn anew, with replacement, 10,000 times, seeded |
//!
//! With five seeds the bootstrap interval is too narrow (it knows no spread but the five numbers'); both are shown.

use spikegrad::data::rng::Rng;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Draws of the bootstrap.
const DRAWS: usize = 10_000;
/// Its seed.
const SEED: u64 = 0;

/// Mean, spread and intervals of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// How many numbers.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation (n − 1); 0 of a single number.
    pub deviation: f64,
    /// The 95 % t interval of the mean; none of a single number.
    pub t_interval: Option<(f64, f64)>,
    /// The 95 % bootstrap interval of the mean; none of a single number.
    pub bootstrap: Option<(f64, f64)>,
}

impl Summary {
    /// Summarises a sample of one number or more.
    pub fn of(sample: &[f64]) -> Self {
        let n = sample.len();
        let mean = mean(sample);
        let square: f64 = sample.iter().map(|x| (x - mean).powi(2)).sum();
        let deviation = if n > 1 { (square / (n - 1) as f64).sqrt() } else { 0.0 };
        let half = (n > 1).then(|| t_quantile(n - 1) * deviation / (n as f64).sqrt());
        let t_interval = half.map(|half| (mean - half, mean + half));
        Self { n, mean, deviation, t_interval, bootstrap: (n > 1).then(|| bootstrap(sample)) }
    }
}

fn mean(sample: &[f64]) -> f64 {
    sample.iter().sum::<f64>() / sample.len() as f64
}

/// The interval that holds 95 % of the means of samples drawn from the sample.
fn bootstrap(sample: &[f64]) -> (f64, f64) {
    let mut rng = Rng::keyed(&[SEED, sample.len() as u64]);
    let mut draw = || (0..sample.len()).map(|_| sample[rng.below(sample.len())]).sum::<f64>();
    let mut sums: Vec<f64> = (0..DRAWS).map(|_| draw()).collect();
    sums.sort_by(f64::total_cmp);
    let at = |share: f64| sums[((DRAWS - 1) as f64 * share).round() as usize] / sample.len() as f64;
    (at(0.025), at(0.975))
}

/// t such that P(|T| ≤ t) = 0.95 for Student's T with so many degrees of freedom, 1 or more.
fn t_quantile(freedom: usize) -> f64 {
    StudentsT::new(0.0, 1.0, freedom as f64).map_or(f64::NAN, |t| t.inverse_cdf(0.975))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        let table = [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (9, 2.262), (30, 2.042)];
        for (freedom, want) in table {
            let got = t_quantile(freedom);
            assert!((got - want).abs() < 5e-4, "{freedom}: got {got}, want {want}");
        }
    }

    #[test]
    fn intervals_cover_the_true_mean_as_often_as_they_say() {
        let (mut t, mut boot) = (0, 0);
        for seed in 0..400 {
            let mut rng = Rng::new(seed);
            let sample: Vec<f64> = (0..5).map(|_| 3.0 + f64::from(rng.normal())).collect();
            let summary = Summary::of(&sample);
            let covers = |interval: Option<(f64, f64)>| interval.is_some_and(|(a, b)| a <= 3.0 && 3.0 <= b);
            t += usize::from(covers(summary.t_interval));
            boot += usize::from(covers(summary.bootstrap));
        }
        // 380 ± 5·√(400·0.95·0.05); the bootstrap of five numbers is known to be too narrow.
        assert!((358..=400).contains(&t), "{t} of 400");
        assert!((280..=t).contains(&boot), "{boot} of 400");
    }

    #[test]
    fn samples_worked_out_by_hand() {
        // Of 1 … 5: s = √(10/4), t of four degrees of freedom from a table.
        let five = Summary::of(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!((five.n, five.mean), (5, 3.0));
        assert!((five.deviation - 2.5f64.sqrt()).abs() < 1e-12);
        let (low, high) = five.t_interval.unwrap();
        let half = 2.776_445_1 * (2.5f64 / 5.0).sqrt();
        assert!((low - (3.0 - half)).abs() < 1e-6 && (high - (3.0 + half)).abs() < 1e-6, "{low} {high}");
        // Two numbers are drawn as both the one or both the other with a chance of a quarter each.
        assert_eq!(Summary::of(&[2.0, 6.0]).bootstrap, Some((2.0, 6.0)));
        // Forty draws of a fair coin: P(at most 13 heads) = 1.9 %, P(at most 14) = 4.0 %, and the same from above.
        let coin: Vec<f64> = (0..40).map(|i| f64::from(i % 2)).collect();
        assert_eq!(Summary::of(&coin).bootstrap, Some((14.0 / 40.0, 26.0 / 40.0)));
    }

    #[test]
    fn one_number_has_no_interval() {
        let one = Summary::of(&[0.5]);
        assert_eq!((one.mean, one.deviation, one.t_interval, one.bootstrap), (0.5, 0.0, None, None));
        let same = Summary::of(&[2.0; 4]);
        assert_eq!(same.t_interval, Some((2.0, 2.0)));
    }
}
