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
#[non_exhaustive]
pub struct LevelError {
    /// The name that was asked for.
    pub name: String,
    /// The names of the processor's levels.
    pub available: Vec<&'static str>,
    /// Whether the environment's variable `SPIKEGRAD_LEVEL` asked for it.
    pub is_from_environment: bool,
}

impl fmt::Display for LevelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = if self.is_from_environment { "SPIKEGRAD_LEVEL: " } else { "" };
        let (name, have) = (&self.name, self.available.join(", "));
        write!(f, "{from}no level {name:?} on this processor, which has {have}")
    }
}

impl std::error::Error for LevelError {}

impl Level {
    /// The level that every processor has.
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
            Ok(name) => name.parse().map_err(|why| LevelError { is_from_environment: true, ..why }),
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
            let available = levels.iter().map(|level| level.name()).collect();
            LevelError { name: name.to_string(), available, is_from_environment: false }
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
        let error = "avx9".parse::<Level>().unwrap_err();
        assert!(error.to_string().starts_with("no level \"avx9\" on this processor, which has baseline"));
        let error = LevelError { is_from_environment: true, ..error };
        assert!(error.to_string().starts_with("SPIKEGRAD_LEVEL: no level \"avx9\" on"));
    }
}
