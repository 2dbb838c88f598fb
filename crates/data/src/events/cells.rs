//! Frames as they are kept.

/// One recording's frames: bytes where they hold them exactly.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cells {
    Bytes(Vec<u8>),
    Numbers(Vec<f32>),
}

impl Cells {
    /// Keeps the numbers as bytes where bytes hold them exactly.
    pub fn pack(frames: &[f32]) -> Self {
        let is_byte = |&cell: &f32| cell.fract() == 0.0 && (0.0..=255.0).contains(&cell);
        match frames.iter().all(is_byte) {
            true => Self::Bytes(frames.iter().map(|&cell| cell as u8).collect()),
            false => Self::Numbers(frames.to_vec()),
        }
    }

    /// Writes the numbers.
    pub fn unpack(&self, frames: &mut [f32]) {
        match self {
            Self::Bytes(bytes) => frames.iter_mut().zip(bytes).for_each(|(cell, &byte)| *cell = byte.into()),
            Self::Numbers(numbers) => frames.copy_from_slice(numbers),
        }
    }
}
