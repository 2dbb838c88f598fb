//! Films as GIF, endlessly repeated.

use super::{PALETTE, Picture};
use crate::Error;
use gif::{Encoder, Frame, Repeat};
use std::borrow::Cow;

/// Hundredths of a second that a frame stands.
const DELAY: u16 = 8;

/// Encodes frames of one size, one or more.
///
/// # Errors
/// A side that the format cannot hold.
pub fn encode(frames: &[Picture]) -> Result<Vec<u8>, Error> {
    let Some(Picture { width, height, .. }) = frames.first() else { return Ok(Vec::new()) };
    let (width, height) = match (u16::try_from(*width), u16::try_from(*height)) {
        (Ok(columns), Ok(rows)) => (columns, rows),
        _ => return Err(Error::TooLarge { width: *width, height: *height }),
    };
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width, height, PALETTE.as_flattened())?;
    encoder.set_repeat(Repeat::Infinite)?;
    for frame in frames {
        let buffer = Cow::Borrowed(&frame.pixels[..]);
        encoder.write_frame(&Frame { width, height, delay: DELAY, buffer, ..Frame::default() })?;
    }
    drop(encoder);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gif::{ColorOutput, DecodeOptions};

    #[test]
    fn a_decoder_finds_the_frames() {
        let mut rng = spikegrad::data::rng::Rng::new(1);
        let mut picture = |width: usize, height: usize, most: usize| {
            let pixels = (0..width * height).map(|_| rng.below(most) as u8).collect();
            Picture { width, height, pixels }
        };
        for (width, height) in [(1, 1), (3, 1), (50, 40), (300, 250)] {
            let frames = [picture(width, height, 16), picture(width, height, 2), picture(width, height, 1)];
            let bytes = encode(&frames).unwrap();
            let mut options = DecodeOptions::new();
            options.set_color_output(ColorOutput::Indexed);
            let mut decoder = options.read_info(&bytes[..]).unwrap();
            assert_eq!(decoder.repeat(), Repeat::Infinite);
            assert_eq!(decoder.global_palette(), Some(PALETTE.as_flattened()));
            for frame in &frames {
                let found = decoder.read_next_frame().unwrap().unwrap();
                assert_eq!((found.delay, found.left, found.top), (DELAY, 0, 0));
                assert!(found.buffer[..] == frame.pixels, "{width}×{height}");
            }
            assert!(decoder.read_next_frame().unwrap().is_none());
        }
    }

    #[test]
    fn frames_lie_between_head_and_tail() {
        let frame = Picture { width: 3, height: 1, pixels: vec![1, 2, 3] };
        let bytes = encode(&[frame.clone(), frame]).unwrap();
        // The size; a global palette of 2^(3 + 1) colours.
        assert!(bytes.starts_with(b"GIF89a\x03\0\x01\0"), "{bytes:?}");
        assert_eq!(bytes[10] & 0x87, 0x83);
        assert_eq!(bytes.last(), Some(&0x3b));
        assert_eq!(bytes.windows(3).filter(|three| *three == [0x21, 0xf9, 4]).count(), 2);
        let wide = Picture { width: 1 << 16, height: 1, pixels: vec![0; 1 << 16] };
        assert!(matches!(encode(&[wide]), Err(Error::TooLarge { .. })));
    }
}
