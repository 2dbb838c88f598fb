//! Pictures as PNG, with a palette or in colour.

use super::{PALETTE, Picture};
use crate::Error;
use png::{BitDepth, ColorType, Compression, Encoder, Filter};

/// Encodes a picture of palette indices.
///
/// # Errors
/// A side of 0, or one that the format cannot hold.
pub(super) fn encode(picture: &Picture) -> Result<Vec<u8>, Error> {
    file((picture.width, picture.height), &picture.pixels, Some(PALETTE.as_flattened()))
}

/// Encodes rows of pixels of three bytes each, red, green and blue.
///
/// # Errors
/// A side of 0, or one that the format cannot hold.
pub fn encode_rgb(width: usize, height: usize, pixels: &[u8]) -> Result<Vec<u8>, Error> {
    file((width, height), pixels, None)
}

fn file((width, height): (usize, usize), pixels: &[u8], palette: Option<&[u8]>) -> Result<Vec<u8>, Error> {
    let (Ok(columns), Ok(rows)) = (u32::try_from(width), u32::try_from(height)) else {
        return Err(Error::TooLarge { width, height });
    };
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, columns, rows);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_color(if palette.is_some() { ColorType::Indexed } else { ColorType::Rgb });
    encoder.set_compression(Compression::High);
    if let Some(palette) = palette {
        encoder.set_palette(palette);
        // Differences of palette indices mean nothing.
        encoder.set_filter(Filter::NoFilter);
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use png::{Decoder, Transformations};
    use std::io::Cursor;

    /// The size, the colour type and the samples that a decoder finds.
    fn decoded(bytes: &[u8]) -> (u32, u32, ColorType, Vec<u8>) {
        let mut decoder = Decoder::new(Cursor::new(bytes));
        decoder.set_transformations(Transformations::IDENTITY);
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let info = reader.info();
        (info.width, info.height, info.color_type, pixels)
    }

    #[test]
    fn a_decoder_finds_the_pixels() {
        let picture = Picture { width: 3, height: 2, pixels: vec![1, 2, 3, 4, 5, 6] };
        let bytes = encode(&picture).unwrap();
        assert_eq!(decoded(&bytes), (3, 2, ColorType::Indexed, vec![1, 2, 3, 4, 5, 6]));
        // The palette's chunk: its length of 48 bytes, its name, its colours.
        let chunk = [&48u32.to_be_bytes()[..], b"PLTE", PALETTE.as_flattened()].concat();
        assert!(bytes.windows(chunk.len()).any(|window| window == chunk));
        let bytes = encode_rgb(1, 2, &[1, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!(decoded(&bytes), (1, 2, ColorType::Rgb, vec![1, 2, 3, 4, 5, 6]));
    }

    #[test]
    fn pictures_that_cannot_be_are_errors() {
        assert!(matches!(encode_rgb(0, 1, &[]), Err(Error::Png(_))));
        assert!(matches!(encode_rgb(2, 1, &[1]), Err(Error::Png(_))));
        if let Ok(wide) = usize::try_from(1u64 << 33) {
            assert!(matches!(encode_rgb(wide, 1, &[]), Err(Error::TooLarge { .. })));
        }
    }
}
