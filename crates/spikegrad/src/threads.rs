//! How many threads work.

/// Runs `f` with a number of threads (all cores where none is given); a trainer made inside keeps to them.
///
/// Results do not depend on the number. Without the feature `parallel`, `f` runs on the caller's thread.
pub fn with_threads<T: Send>(threads: Option<usize>, f: impl FnOnce() -> T + Send) -> T {
    #[cfg(feature = "parallel")]
    if let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build() {
        return pool.install(f);
    }
    let _ = threads;
    f()
}
