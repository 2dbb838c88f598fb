//! Two samples compared: ratio of medians with an interval, and a rank test.
//!
//! | what | how |
//! |---|---|
//! | interval of the ratio | percentile bootstrap: both samples drawn anew, with replacement, 10,000 times, seeded |
//! | p | Mann–Whitney, two-sided; ties share their ranks |
//!
//! The test counts the ways to pick a's ranks out of all, exactly; samples too large for that are compared with
//! the normal distribution, corrected for ties and continuity.

use super::median;
use spikegrad::data::rng::Rng;
use statrs::distribution::{ContinuousCDF, Normal};

/// Draws of the bootstrap.
const DRAWS: usize = 10_000;
/// Elements of both samples up to which p is exact.
const EXACT: usize = 80;

/// Median of a / median of b, with the interval that holds 95 % of its bootstrap draws.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// The ratio.
    pub ratio: f64,
    /// Its lower and upper bound.
    pub interval: (f64, f64),
}

/// Computes the ratio of medians of two samples, each of one element or more.
pub fn ratio_of_medians(a: &[f64], b: &[f64], seed: u64) -> Ratio {
    let mut rng = Rng::keyed(&[seed, a.len() as u64, b.len() as u64]);
    let mut again = |sample: &[f64], draw: &mut Vec<f64>| {
        draw.clear();
        draw.extend((0..sample.len()).map(|_| sample[rng.below(sample.len())]));
        median(draw)
    };
    let mut draw = Vec::new();
    let mut ratios: Vec<f64> = (0..DRAWS).map(|_| again(a, &mut draw) / again(b, &mut draw)).collect();
    ratios.sort_by(f64::total_cmp);
    let at = |share: f64| ratios[((DRAWS - 1) as f64 * share).round() as usize];
    Ratio { ratio: median(a) / median(b), interval: (at(0.025), at(0.975)) }
}

/// The two-sided p of the Mann–Whitney test: how likely ranks as uneven as these are where a and b do not differ.
pub fn mann_whitney(a: &[f64], b: &[f64]) -> f64 {
    let ranks = doubled_ranks(a, b);
    let sum: usize = ranks[..a.len()].iter().sum();
    if ranks.len() <= EXACT { exact(&ranks, a.len(), sum) } else { normal(&ranks, a.len(), sum) }
}

/// Twice the rank of each element among both samples: whole numbers even where ties share a half.
fn doubled_ranks(a: &[f64], b: &[f64]) -> Vec<usize> {
    let all: Vec<f64> = a.iter().chain(b).copied().collect();
    let rank = |x: &f64| {
        let below = all.iter().filter(|y| *y < x).count();
        let equal = all.iter().filter(|y| *y == x).count();
        2 * below + equal + 1
    };
    all.iter().map(rank).collect()
}

/// Counts the choices of `n` ranks whose sum is as far from its mean, n·(N + 1) when doubled, as `sum`.
fn exact(ranks: &[usize], n: usize, sum: usize) -> f64 {
    let most: usize = ranks.iter().sum();
    // ways[k][s]: choices of k of the ranks seen so far with sum s.
    let mut ways = vec![vec![0.0f64; most + 1]; n + 1];
    ways[0][0] = 1.0;
    for &rank in ranks {
        for k in (1..=n).rev() {
            let (fewer, more) = ways.split_at_mut(k);
            for (to, from) in more[0][rank..].iter_mut().zip(&fewer[k - 1]) {
                *to += from;
            }
        }
    }
    let mean = n * (ranks.len() + 1);
    let far = |s: usize| s.abs_diff(mean) >= sum.abs_diff(mean);
    let all: f64 = ways[n].iter().sum();
    let extreme: f64 = ways[n].iter().enumerate().filter(|(s, _)| far(*s)).map(|(_, ways)| ways).sum();
    extreme / all
}

/// The normal approximation, with corrections for ties and continuity.
fn normal(ranks: &[usize], n: usize, sum: usize) -> f64 {
    let (all, n) = (ranks.len() as f64, n as f64);
    let mean = n * (all + 1.0) / 2.0;
    let square: f64 = ranks.iter().map(|&rank| (rank as f64 / 2.0 - (all + 1.0) / 2.0).powi(2)).sum();
    let deviation = (n * (all - n) / (all * (all - 1.0)) * square).sqrt();
    let distance = ((sum as f64 / 2.0 - mean).abs() - 0.5).max(0.0);
    if deviation == 0.0 { 1.0 } else { (2.0 * upper_tail(distance / deviation)).min(1.0) }
}

/// P(Z > z).
fn upper_tail(z: f64) -> f64 {
    Normal::standard().sf(z)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seed: u64, n: usize, centre: f64) -> Vec<f64> {
        let mut rng = Rng::new(seed);
        (0..n).map(|_| centre + 0.1 * f64::from(rng.normal())).collect()
    }

    #[test]
    fn p_of_samples_known_from_tables() {
        // All of a below all of b: 2 of the C(n+m, n) choices are as extreme.
        assert!((mann_whitney(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]) - 0.1).abs() < 1e-12);
        let (a, b) = ([1.0, 2.0, 3.0, 4.0, 5.0], [6.0, 7.0, 8.0, 9.0, 10.0]);
        assert!((mann_whitney(&a, &b) - 2.0 / 252.0).abs() < 1e-12);
        assert_eq!(mann_whitney(&a, &b), mann_whitney(&b, &a));
        // U = 1 of 3 and 3: four choices.
        assert!((mann_whitney(&[1.0, 2.0, 4.0], &[3.0, 5.0, 6.0]) - 0.2).abs() < 1e-12);
        // Ranks 1, 3, 3, 3, 5½, 5½: a's sum of 7 is 3½ off the mean, as are 6 of 20 choices.
        assert!((mann_whitney(&[1.0, 2.0, 2.0], &[2.0, 3.0, 3.0]) - 0.3).abs() < 1e-12);
        assert_eq!(mann_whitney(&[1.0; 4], &[1.0; 4]), 1.0);
        assert_eq!(mann_whitney(&[1.0], &[2.0]), 1.0);
    }

    #[test]
    fn the_approximation_joins_the_exact_test() {
        for (seed, centre) in [(1, 1.0), (2, 1.04), (3, 1.08)] {
            let (a, b) = (sample(seed, 30, 1.0), sample(seed + 50, 30, centre));
            let ranks = doubled_ranks(&a, &b);
            let sum = ranks[..30].iter().sum();
            let (exact, normal) = (exact(&ranks, 30, sum), normal(&ranks, 30, sum));
            assert!((exact - normal).abs() < 0.005, "{exact} {normal}");
        }
        assert!((upper_tail(1.959_963_985) - 0.025).abs() < 1e-6);
        assert!(mann_whitney(&sample(1, 100, 1.0), &sample(2, 100, 1.2)) < 1e-6);
    }

    #[test]
    fn p_is_uniform_where_nothing_differs() {
        let low =
            (0..400).filter(|&i| mann_whitney(&sample(2 * i, 8, 1.0), &sample(2 * i + 1, 8, 1.0)) < 0.05);
        let share = low.count() as f64 / 400.0;
        assert!((0.02..0.08).contains(&share), "{share}");
    }

    #[test]
    fn intervals_cover_the_true_ratio() {
        let mut covered = 0;
        for i in 0..100 {
            let got = ratio_of_medians(&sample(2 * i, 15, 2.0), &sample(2 * i + 1, 15, 1.0), 7);
            assert!(got.interval.0 <= got.ratio && got.ratio <= got.interval.1);
            covered += usize::from(got.interval.0 <= 2.0 && 2.0 <= got.interval.1);
        }
        assert!((88..=100).contains(&covered), "{covered} of 100");
        let (a, b) = (sample(1, 9, 1.0), sample(2, 9, 1.0));
        assert_eq!(ratio_of_medians(&a, &b, 3), ratio_of_medians(&a, &b, 3), "the seed decides");
        let same = ratio_of_medians(&[2.0; 5], &[1.0; 5], 0);
        assert_eq!((same.ratio, same.interval), (2.0, (2.0, 2.0)));
    }
}
