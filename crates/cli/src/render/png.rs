//! PNG, with a palette: signature, then chunks of length, name, data and CRC-32.

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
pub fn encode(picture: &Picture) -> Result<Vec<u8>, Failure> {
    let side = |side: usize| u32::try_from(side).map_err(Failure::input);
    let mut header = [side(picture.width)?.to_be_bytes(), side(picture.height)?.to_be_bytes()].concat();
    // Eight bits, a palette, the only compression and filter, not interlaced.
    header.extend([8, 3, 0, 0, 0]);
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
    for row in picture.pixels.chunks(picture.width.max(1)) {
        packed.write_all(&[0]).and_then(|()| packed.write_all(row)).map_err(Failure::input)?;
    }
    let mut bytes = SIGNATURE.to_vec();
    chunk(b"IHDR", &header, &mut bytes);
    chunk(b"PLTE", PALETTE.as_flattened(), &mut bytes);
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
        let bytes = encode(&picture).unwrap();
        // The empty last chunk is the same in every PNG.
        assert!(bytes.ends_with(b"\0\0\0\0IEND\xae\x42\x60\x82"));
        let (mut at, mut rows) = (SIGNATURE.len(), Vec::new());
        while at < bytes.len() {
            let length = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
            let (name, data) = (&bytes[at + 4..at + 8], &bytes[at + 8..at + 8 + length]);
            match name {
                b"IHDR" => assert_eq!(data, [0, 0, 0, 3, 0, 0, 0, 2, 8, 3, 0, 0, 0]),
                b"IDAT" => drop(ZlibDecoder::new(data).read_to_end(&mut rows).unwrap()),
                _ => {}
            }
            at += 12 + length;
        }
        assert_eq!(rows, [0, 1, 2, 3, 0, 4, 5, 6]);
    }
}
