//! Why a picture cannot be made.

use std::fmt;

/// An error of an encoder, or of what it was given.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The recording has no events, so there is nothing to draw.
    NoEvents,
    /// The PNG encoder refuses the picture.
    Png(png::EncodingError),
    /// The GIF encoder refuses the frames.
    Gif(gif::EncodingError),
    /// A picture has more rows or columns than its format can hold.
    TooLarge {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEvents => f.write_str("the recording has no events to draw"),
            Self::Png(why) => write!(f, "the picture cannot become a PNG: {why}"),
            Self::Gif(why) => write!(f, "the frames cannot become a GIF: {why}"),
            Self::TooLarge { width, height } => {
                write!(f, "{width}×{height} pixels are more than the format holds")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Png(why) => Some(why),
            Self::Gif(why) => Some(why),
            Self::NoEvents | Self::TooLarge { .. } => None,
        }
    }
}

impl From<png::EncodingError> for Error {
    fn from(why: png::EncodingError) -> Self {
        Self::Png(why)
    }
}

impl From<gif::EncodingError> for Error {
    fn from(why: gif::EncodingError) -> Self {
        Self::Gif(why)
    }
}
