//! The SIMD level: found once at run time, passed by value, entered through [`Level::run`].

use crate::isa;
use crate::lanes::Kernel;
use std::fmt;
use std::str::FromStr;

/// An instruction set that this processor is known to have.
///
/// There is no public way to make a level that the processor lacks, so [`Level::run`] is safe.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(Set);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Set {
    Baseline,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// A level that was asked for and cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelError(String);

impl fmt::Display for LevelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LevelError {}

impl Level {
    /// What every processor has.
    pub const BASELINE: Level = Level(Set::Baseline);

    /// Returns the levels this processor has, lowest first.
    ///
    /// ```
    /// # use spikegrad_tensor::Level;
    /// assert_eq!(Level::available()[0], Level::BASELINE);
    /// ```
    pub fn available() -> Vec<Level> {
        let mut levels = vec![Level::BASELINE];
        #[cfg(target_arch = "x86_64")]
        {
            if isa::avx2::detected() {
                levels.push(Level(Set::Avx2));
            }
            if isa::avx512::detected() {
                levels.push(Level(Set::Avx512));
            }
        }
        levels
    }

    /// Returns the level that `SPIKEGRAD_LEVEL` asks for, or the best one where it is unset.
    ///
    /// # Errors
    /// The variable holds no level's name, or one that this processor lacks.
    pub fn detect() -> Result<Level, LevelError> {
        match std::env::var("SPIKEGRAD_LEVEL") {
            Ok(name) => name.parse().map_err(|LevelError(why)| LevelError(format!("SPIKEGRAD_LEVEL: {why}"))),
            Err(_) => Ok(Level::available().pop().unwrap_or(Level::BASELINE)),
        }
    }

    /// Returns the name: `baseline`, `avx2` or `avx512`.
    pub fn name(self) -> &'static str {
        match self.0 {
            Set::Baseline => "baseline",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "avx512",
        }
    }

    /// Returns the floats in a register: 4, 8 or 16.
    pub fn width(self) -> usize {
        match self.0 {
            Set::Baseline => 4,
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => 8,
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => 16,
        }
    }

    /// Runs `kernel`, compiled for this level.
    #[inline]
    #[allow(unsafe_code)]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            Set::Baseline => kernel.run::<isa::baseline::F32x4>(),
            // SAFETY: this value was made only after `avx2::detected` held.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => unsafe { isa::avx2::run(kernel) },
            // SAFETY: this value was made only after `avx512::detected` held.
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => unsafe { isa::avx512::run(kernel) },
        }
    }
}

impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Level {
    type Err = LevelError;

    fn from_str(name: &str) -> Result<Level, LevelError> {
        let levels = Level::available();
        levels.iter().copied().find(|level| level.name() == name).ok_or_else(|| {
            let have: Vec<_> = levels.iter().map(|level| level.name()).collect();
            LevelError(format!("no level {name:?} on this processor, which has {}", have.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for level in Level::available() {
            assert_eq!(level.name().parse(), Ok(level));
        }
        assert!("avx9".parse::<Level>().is_err());
    }
}
