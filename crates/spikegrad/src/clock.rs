//! Seconds that pass, where there is a clock.

/// A moment. WebAssembly without a system has no clock: there every duration is 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(#[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))] std::time::Instant);

impl Moment {
    /// Takes the time.
    pub(crate) fn now() -> Self {
        #[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
        return Self(std::time::Instant::now());
        #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
        Self()
    }

    /// Seconds since then.
    pub(crate) fn seconds(self) -> f64 {
        #[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
        return self.0.elapsed().as_secs_f64();
        #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
        0.0
    }
}
