//! The number of threads.

use crate::Error;
use spikegrad_bptt::ConfigError;

/// The most threads, four times those of the largest machines.
const MOST_THREADS: usize = 4096;

/// Runs `f` with a number of threads (all cores where none is given); a trainer made inside keeps to them.
///
/// Results do not depend on the number. Without the feature `parallel`, `f` runs on the caller's thread.
///
/// # Errors
/// A number other than 1 to 4096, or threads that the system does not give; `f` has not run then.
pub fn with_threads<T: Send>(threads: Option<usize>, f: impl FnOnce() -> T + Send) -> Result<T, Error> {
    if let Some(count) = threads
        && !(1..=MOST_THREADS).contains(&count)
    {
        return Err(ConfigError::new(format!(
            "number of threads is {count}, must be from 1 to {MOST_THREADS}"
        ))
        .into());
    }
    #[cfg(feature = "parallel")]
    {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build();
        let pool = pool.map_err(|why| Error::Threads(Box::new(why)))?;
        Ok(pool.install(f))
    }
    #[cfg(not(feature = "parallel"))]
    Ok(f())
}
