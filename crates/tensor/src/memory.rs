//! Allocations that return an error where there is no memory, instead of ending the process.

use std::fmt;

/// The system does not give as much memory as was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoMemory {
    /// Bytes asked for.
    pub bytes: u128,
}

impl fmt::Display for NoMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of memory cannot be had", self.bytes)
    }
}

impl std::error::Error for NoMemory {}

/// Makes a vector that holds `value` `len` times.
///
/// # Errors
/// There is no memory for it.
pub fn try_vec<T: Clone>(len: usize, value: T) -> Result<Vec<T>, NoMemory> {
    let mut data = Vec::new();
    try_reserve(&mut data, len)?;
    data.resize(len, value);
    Ok(data)
}

/// Gives a vector room for `len` elements in all.
///
/// # Errors
/// There is no memory for them.
pub fn try_reserve<T>(data: &mut Vec<T>, len: usize) -> Result<(), NoMemory> {
    let bytes = len as u128 * size_of::<T>() as u128;
    data.try_reserve_exact(len.saturating_sub(data.len())).map_err(|_| NoMemory { bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_not_there_is_an_error() {
        assert_eq!(try_vec(3, 7u16), Ok(vec![7, 7, 7]));
        for len in [usize::MAX, isize::MAX as usize, 1 << 60] {
            assert_eq!(try_vec(len, 0.0f32), Err(NoMemory { bytes: 4 * len as u128 }));
        }
    }
}
