//! Clocks, medians, and what the benchmarks say about where they ran.

use crate::failure::Failure;
use crate::files::print;
use crate::outputs::JsonTarget;
use serde_json::Value;
use std::time::Instant;

/// The seconds that `work` takes.
pub fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// The middle value, or the mean of the two in the middle; 0 of none.
pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[half],
        _ => (values[half - 1] + values[half]) / 2.0,
    }
}

/// Threads of the pool this runs in.
pub fn threads() -> usize {
    #[cfg(feature = "parallel")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "parallel"))]
    1
}

/// Gives the figures as JSON where that is wanted, and as text unless the JSON went to stdout.
///
/// # Errors
/// A file that exists already, or whatever the file system says.
pub fn report(json: &JsonTarget, figures: &Value, text: &str) -> Result<(), Failure> {
    if !json.is_stdout() {
        print(text);
    }
    json.write(figures)
}

/// The most steps or rounds; each keeps its time.
pub const MOST_ROUNDS: usize = 1_000_000;

/// Checks that a count of steps or rounds is from `least` to [`MOST_ROUNDS`].
///
/// # Errors
/// It is not.
pub fn check_rounds(flag: &str, count: usize, least: usize) -> Result<(), Failure> {
    match count {
        _ if count < least => Err(Failure::Usage(format!("{flag} is {count}, must be at least {least}"))),
        _ if count > MOST_ROUNDS => {
            Err(Failure::Usage(format!("{flag} is {count}, must be at most {MOST_ROUNDS}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
    }
}
