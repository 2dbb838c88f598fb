//! Clocks, and what the benchmarks say about where they ran.

use crate::{Error, Result};
use std::time::Instant;

/// The seconds that `work` takes.
pub fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// Threads of the pool this runs in.
pub fn threads() -> usize {
    #[cfg(feature = "parallel")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "parallel"))]
    1
}

/// The most steps or rounds; each keeps its time.
pub const MOST_ROUNDS: usize = 1_000_000;

/// Checks that a count of steps or rounds is from `least` to a million.
///
/// # Errors
/// It is not.
pub fn check_rounds(flag: &str, count: usize, least: usize) -> Result<()> {
    match count {
        _ if count < least => Err(Error::setting(format!("{flag} is {count}, must be at least {least}"))),
        _ if count > MOST_ROUNDS => {
            Err(Error::setting(format!("{flag} is {count}, must be at most {MOST_ROUNDS}")))
        }
        _ => Ok(()),
    }
}
