//! GIF89a, endlessly repeated: a palette of sixteen colours, then frames packed by LZW.
//!
//! LZW hands out codes for strings of pixels: one for each colour, one to clear the table, one to end, then a new
//! one for every string that was sent and one pixel more. Codes are as long as the largest handed out, up to twelve
//! bits; then the table is cleared.

use super::{PALETTE, Picture};
use std::collections::HashMap;

/// Bits of a colour.
const BITS: u32 = 4;
/// Hundredths of a second that a frame stands.
const DELAY: u16 = 8;
/// Clears the table.
const CLEAR: u16 = 1 << BITS;
/// Ends the pixels.
const END: u16 = CLEAR + 1;
/// The first code beyond twelve bits.
const FULL: u16 = 1 << 12;

/// Encodes frames of one size.
pub fn encode(frames: &[Picture]) -> Vec<u8> {
    let (width, height) = (short(frames[0].width), short(frames[0].height));
    let mut bytes = b"GIF89a".to_vec();
    bytes.extend([width, height].concat());
    // A global palette of 2^(3 + 1) colours; ground 0; square pixels.
    bytes.extend([0x80 | (BITS as u8 - 1), 0, 0]);
    bytes.extend(PALETTE.as_flattened());
    bytes.extend(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0");
    for frame in frames {
        bytes.extend([0x21, 0xf9, 4, 4]);
        bytes.extend(DELAY.to_le_bytes());
        bytes.extend([0, 0, 0x2c, 0, 0, 0, 0]);
        bytes.extend([width, height].concat());
        bytes.extend([0, BITS as u8]);
        for block in pack(&frame.pixels).chunks(255) {
            bytes.push(block.len() as u8);
            bytes.extend(block);
        }
        bytes.push(0);
    }
    bytes.push(0x3b);
    bytes
}

/// A side; a sensor's are below 2¹⁶.
fn short(side: usize) -> [u8; 2] {
    (side.min(usize::from(u16::MAX)) as u16).to_le_bytes()
}

/// Bits, low ones first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    held: u32,
    count: u32,
}

impl Bits {
    fn put(&mut self, code: u16, width: u32) {
        self.held |= u32::from(code) << self.count;
        self.count += width;
        while self.count >= 8 {
            self.bytes.push(self.held as u8);
            (self.held, self.count) = (self.held >> 8, self.count - 8);
        }
    }
}

/// Packs pixels, one or more, by LZW.
fn pack(pixels: &[u8]) -> Vec<u8> {
    let (mut bits, mut width) = (Bits::default(), BITS + 1);
    let mut table: HashMap<(u16, u8), u16> = HashMap::new();
    let mut next = END + 1;
    bits.put(CLEAR, width);
    let mut string = u16::from(pixels[0]);
    for &pixel in &pixels[1..] {
        if let Some(&longer) = table.get(&(string, pixel)) {
            string = longer;
            continue;
        }
        bits.put(string, width);
        if next == FULL {
            bits.put(CLEAR, width);
            table.clear();
            (next, width) = (END + 1, BITS + 1);
        } else {
            table.insert((string, pixel), next);
            // A code is as long as the largest handed out before it.
            width += u32::from(next == 1 << width);
            next += 1;
        }
        string = pixel.into();
    }
    bits.put(string, width);
    width += u32::from(next == 1 << width && next < FULL);
    bits.put(END, width);
    bits.put(0, 7);
    bits.bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use spikegrad::data::rng::Rng;

    /// Unpacks as the format's definition says.
    fn unpack(bytes: &[u8]) -> Vec<u8> {
        let (mut at, mut width) = (0usize, BITS + 1);
        let mut read = |width: u32| {
            let code =
                (0..width as usize).map(|k| u16::from(bytes[(at + k) / 8] >> ((at + k) % 8) & 1) << k).sum();
            at += width as usize;
            code
        };
        let mut table: Vec<Vec<u8>> = Vec::new();
        let (mut pixels, mut last): (Vec<u8>, Option<Vec<u8>>) = (Vec::new(), None);
        loop {
            let code: u16 = read(width);
            if code == END {
                return pixels;
            }
            if code == CLEAR {
                table = (0..=END).map(|code| vec![code as u8]).collect();
                (width, last) = (BITS + 1, None);
                continue;
            }
            let string = match (table.get(usize::from(code)), &last) {
                (Some(string), _) => string.clone(),
                (None, Some(last)) => [last.clone(), vec![last[0]]].concat(),
                (None, None) => panic!("code {code} before any"),
            };
            if let Some(last) = last {
                table.push([last, vec![string[0]]].concat());
            }
            if table.len() == 1 << width && width < 12 {
                width += 1;
            }
            pixels.extend(&string);
            last = Some(string);
        }
    }

    #[test]
    fn pixels_come_back() {
        let mut rng = Rng::new(1);
        for len in [1, 2, 3, 100, 5000, 70_000] {
            let noise: Vec<u8> = (0..len).map(|_| rng.below(16) as u8).collect();
            let sparse: Vec<u8> = noise.iter().map(|&pixel| if pixel > 1 { 0 } else { pixel }).collect();
            for pixels in [noise, sparse, vec![5; len]] {
                assert!(unpack(&pack(&pixels)) == pixels, "{len} pixels");
            }
        }
    }

    #[test]
    fn frames_lie_between_head_and_tail() {
        let frame = Picture { width: 3, height: 1, pixels: vec![1, 2, 3] };
        let bytes = encode(&[frame.clone(), frame]);
        assert!(bytes.starts_with(b"GIF89a\x03\0\x01\0\x83"));
        assert_eq!(bytes.last(), Some(&0x3b));
        assert_eq!(bytes.windows(3).filter(|three| *three == [0x21, 0xf9, 4]).count(), 2);
    }
}
