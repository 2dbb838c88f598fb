//! PNG, with a palette or in colour: signature, then chunks of length, name, data and CRC-32.

use super::{PALETTE, Picture};
use crate::failure::Failure;
use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use std::io::Write;

/// What every PNG begins with.
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Encodes a picture.
///
/// # Errors
/// A side beyond 2³².
pub(super) fn encode(picture: &Picture) -> Result<Vec<u8>, Failure> {
    file((picture.width, picture.height), &picture.pixels, Some(PALETTE.as_flattened()))
}

/// Encodes rows of pixels of three bytes each, red, green and blue.
///
/// # Errors
/// A side beyond 2³².
pub fn encode_rgb(width: usize, height: usize, pixels: &[u8]) -> Result<Vec<u8>, Failure> {
    file((width, height), pixels, None)
}

fn file((width, height): (usize, usize), pixels: &[u8], palette: Option<&[u8]>) -> Result<Vec<u8>, Failure> {
    let side = |side: usize| u32::try_from(side).map_err(Failure::input);
    let mut header = [side(width)?.to_be_bytes(), side(height)?.to_be_bytes()].concat();
    // Eight bits; a palette (3) or colours (2); the only compression and filter, not interlaced.
    let (kind, bytes_of_pixel) = if palette.is_some() { (3, 1) } else { (2, 3) };
    header.extend([8, kind, 0, 0, 0]);
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
    for row in pixels.chunks((width * bytes_of_pixel).max(1)) {
        packed.write_all(&[0]).and_then(|()| packed.write_all(row)).map_err(Failure::input)?;
    }
    let mut bytes = SIGNATURE.to_vec();
    chunk(b"IHDR", &header, &mut bytes);
    if let Some(palette) = palette {
        chunk(b"PLTE", palette, &mut bytes);
    }
    chunk(b"IDAT", &packed.finish().map_err(Failure::input)?, &mut bytes);
    chunk(b"IEND", &[], &mut bytes);
    Ok(bytes)
}

fn chunk(name: &[u8; 4], data: &[u8], out: &mut Vec<u8>) {
    let mut crc = Crc::new();
    crc.update(name);
    crc.update(data);
    out.extend((data.len() as u32).to_be_bytes());
    out.extend(name);
    out.extend(data);
    out.extend(crc.sum().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::ZlibDecoder;
    use std::io::Read;

    #[test]
    fn chunks_hold_what_they_say() {
        let picture = Picture { width: 3, height: 2, pixels: vec![1, 2, 3, 4, 5, 6] };
        check(&encode(&picture).unwrap(), [0, 0, 0, 3, 0, 0, 0, 2, 8, 3, 0, 0, 0], &[0, 1, 2, 3, 0, 4, 5, 6]);
        let colours = encode_rgb(1, 2, &[1, 2, 3, 4, 5, 6]).unwrap();
        check(&colours, [0, 0, 0, 1, 0, 0, 0, 2, 8, 2, 0, 0, 0], &[0, 1, 2, 3, 0, 4, 5, 6]);
    }

    /// Reads a file's header and its rows, filters and all.
    #[track_caller]
    fn check(bytes: &[u8], header: [u8; 13], want: &[u8]) {
        // The empty last chunk is the same in every PNG.
        assert!(bytes.ends_with(b"\0\0\0\0IEND\xae\x42\x60\x82"));
        let (mut at, mut rows) = (SIGNATURE.len(), Vec::new());
        while at < bytes.len() {
            let length = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
            let (name, data) = (&bytes[at + 4..at + 8], &bytes[at + 8..at + 8 + length]);
            match name {
                b"IHDR" => assert_eq!(data, header),
                b"IDAT" => drop(ZlibDecoder::new(data).read_to_end(&mut rows).unwrap()),
                _ => {}
            }
            at += 12 + length;
        }
        assert_eq!(rows, want);
    }
}
