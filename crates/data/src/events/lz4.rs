//! LZ4 frames: the compression of AEDAT 4 packets.
//!
//! A frame is a magic number, a descriptor (flags, largest block, perhaps a content size, a header checksum), blocks,
//! an end mark, perhaps a checksum of the content. A block is a list of sequences: a token (two lengths of four bits),
//! literal bytes, a distance of two bytes, and a copy of at least four bytes from that far back. Checksums are xxHash32.
//!
//! Memory grows with what comes in, up to a limit of the caller's and a block more: a block unpacks to at most 255 times its
//! bytes and to 4 MiB.

/// The frame's magic number.
pub(super) const MAGIC: u32 = 0x184d_2204;
/// The shortest copy.
const LEAST_COPY: usize = 4;

/// Unpacks one frame to at most `limit` bytes.
///
/// Errors: the fault in words, with its offset.
pub(super) fn unpack(frame: &[u8], limit: usize) -> Result<Vec<u8>, (usize, String)> {
    let mut input = Input { bytes: frame, at: 0 };
    if input.word()? != MAGIC {
        return Err((0, "no LZ4 frame".into()));
    }
    let (flags, sizes) = (input.byte()?, input.byte()?);
    if flags >> 6 != 1 || flags & 3 != 0 {
        return Err((4, format!("LZ4 flags 0x{flags:02x}: version 1 without a dictionary is known")));
    }
    let block_limit = match sizes >> 4 & 7 {
        size @ 4..=7 => 1usize << (8 + 2 * size),
        size => return Err((5, format!("LZ4 block size {size}, expected 4 to 7"))),
    };
    let content_size = if flags & 8 != 0 { Some(input.long()?) } else { None };
    let checksum = (xxh32(&frame[4..input.at]) >> 8) as u8;
    if input.byte()? != checksum {
        return Err((input.at - 1, "the LZ4 header's checksum is wrong".into()));
    }
    if let Some(size) = content_size.filter(|&size| size > limit as u64) {
        return Err((6, format!("the LZ4 frame promises {size} bytes, at most {limit} are unpacked")));
    }
    let mut out = Vec::new();
    loop {
        if out.len() > limit {
            return Err((input.at, format!("the LZ4 frame unpacks to more than {limit} bytes")));
        }
        let (at, word) = (input.at, input.word()?);
        if word == 0 {
            break;
        }
        let data = input.take((word & 0x7fff_ffff) as usize)?;
        if flags & 0x10 != 0 && input.word()? != xxh32(data) {
            return Err((at, "an LZ4 block's checksum is wrong".into()));
        }
        let before = out.len();
        match word >> 31 {
            1 => out.extend_from_slice(data),
            _ => block(data, &mut out, before + block_limit).map_err(|(k, what)| (at + 4 + k, what))?,
        }
        if out.len() - before > block_limit {
            return Err((at, format!("an LZ4 block of {} bytes, at most {block_limit}", out.len() - before)));
        }
    }
    if content_size.is_some_and(|size| size != out.len() as u64) {
        return Err((input.at, format!("the LZ4 frame holds {} bytes, not what it promises", out.len())));
    }
    if flags & 4 != 0 && input.word()? != xxh32(&out) {
        return Err((input.at - 4, "the LZ4 content's checksum is wrong".into()));
    }
    Ok(out)
}

/// Unpacks one block behind what is there; stops with an error past `limit` bytes.
fn block(data: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), (usize, String)> {
    let mut input = Input { bytes: data, at: 0 };
    loop {
        let token = input.byte()?;
        let literals = input.length(token >> 4)?;
        out.extend_from_slice(input.take(literals)?);
        if input.at == data.len() {
            return Ok(());
        }
        let distance = usize::from(input.byte()?) | usize::from(input.byte()?) << 8;
        let copy = input.length(token & 15)?.saturating_add(LEAST_COPY);
        let Some(from) = out.len().checked_sub(distance).filter(|_| distance > 0) else {
            return Err((
                input.at,
                format!("LZ4 copies from {distance} bytes back, there are {}", out.len()),
            ));
        };
        if copy > limit.saturating_sub(out.len()) {
            return Err((input.at, format!("an LZ4 copy of {copy} bytes leaves its block")));
        }
        // A copy may overlap what it writes, so it goes at most `distance` bytes at a time.
        let mut left = copy;
        while left > 0 {
            let now = left.min(distance);
            let start = from + copy - left;
            out.extend_from_within(start..start + now);
            left -= now;
        }
    }
}

struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], (usize, String)> {
        let rest = &self.bytes[self.at..];
        if count > rest.len() {
            let what = format!("LZ4 wants {count} bytes, {} are left", rest.len());
            return Err((self.at, what));
        }
        self.at += count;
        Ok(&rest[..count])
    }

    fn byte(&mut self) -> Result<u8, (usize, String)> {
        Ok(self.take(1)?[0])
    }

    fn word(&mut self) -> Result<u32, (usize, String)> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes(std::array::from_fn(|k| bytes[k])))
    }

    fn long(&mut self) -> Result<u64, (usize, String)> {
        Ok(u64::from(self.word()?) | u64::from(self.word()?) << 32)
    }

    /// A length that a nibble begins: 15 goes on with bytes, 255 with another.
    fn length(&mut self, nibble: u8) -> Result<usize, (usize, String)> {
        let mut length = usize::from(nibble);
        if nibble == 15 {
            loop {
                let byte = self.byte()?;
                length += usize::from(byte);
                if byte != 255 {
                    break;
                }
            }
        }
        Ok(length)
    }
}

/// xxHash32 (Collet) with seed 0.
fn xxh32(bytes: &[u8]) -> u32 {
    const P: [u32; 5] = [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f, 0x1656_67b1];
    let word = |b: &[u8]| u32::from_le_bytes(std::array::from_fn(|k| b[k]));
    let stripes = bytes.chunks_exact(16);
    let mut tail = stripes.remainder();
    let mut hash = if bytes.len() >= 16 {
        let mut lanes = [P[0].wrapping_add(P[1]), P[1], 0, 0u32.wrapping_sub(P[0])];
        for stripe in stripes {
            for (lane, bytes) in lanes.iter_mut().zip(stripe.chunks_exact(4)) {
                let sum = lane.wrapping_add(word(bytes).wrapping_mul(P[1]));
                *lane = sum.rotate_left(13).wrapping_mul(P[0]);
            }
        }
        let turned = lanes.iter().zip([1, 7, 12, 18]).map(|(lane, turn)| lane.rotate_left(turn));
        turned.fold(0, u32::wrapping_add)
    } else {
        P[4]
    };
    hash = hash.wrapping_add(bytes.len() as u32);
    while tail.len() >= 4 {
        hash = hash.wrapping_add(word(tail).wrapping_mul(P[2])).rotate_left(17).wrapping_mul(P[3]);
        tail = &tail[4..];
    }
    for &byte in tail {
        hash = hash.wrapping_add(u32::from(byte).wrapping_mul(P[4])).rotate_left(11).wrapping_mul(P[0]);
    }
    hash = (hash ^ (hash >> 15)).wrapping_mul(P[1]);
    hash = (hash ^ (hash >> 13)).wrapping_mul(P[2]);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame with one compressed block, no content checksum.
    fn frame(block: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_le_bytes().to_vec();
        bytes.extend([0x60, 0x40]);
        bytes.push((xxh32(&[0x60, 0x40]) >> 8) as u8);
        bytes.extend((block.len() as u32).to_le_bytes());
        bytes.extend(block);
        bytes.extend([0; 4]);
        bytes
    }

    /// The published values of xxHash32 for these texts.
    #[test]
    fn hashes_as_published() {
        assert_eq!(xxh32(b""), 0x02cc_5d05);
        assert_eq!(xxh32(b"a"), 0x550d_7456);
        assert_eq!(xxh32(b"abc"), 0x32d1_53ff);
        assert_eq!(xxh32(b"Nobody inspects the spammish repetition"), 0xe229_3b2f);
    }

    #[test]
    fn overlapping_copies_repeat() {
        // Three literals, a copy of 4 + 3 bytes from 2 back, then the closing literal.
        let block = [0x33, b'a', b'b', b'c', 2, 0, 0x10, b'!'];
        assert_eq!(unpack(&frame(&block), 100).unwrap(), b"abcbcbcbcb!");
        // 15 + 255 + 10 literals.
        let mut long = vec![0xf0, 255, 10];
        long.extend([7; 280]);
        assert_eq!(unpack(&frame(&long), 1000).unwrap(), [7; 280]);
    }

    /// A block of one letter, repeated to 4 MiB less a little, over and over.
    #[test]
    fn bombs_stop_at_the_limit() {
        let mut block = vec![0x1f, b'a', 1, 0];
        block.extend([255; 16_000]);
        block.extend([0, 0x10, b'!']);
        // Beginning, 4 + 15 + 255·16,000 copied bytes, end.
        let one = 1 + 19 + 255 * 16_000 + 1;
        let bomb = |blocks: usize| {
            let mut bytes = MAGIC.to_le_bytes().to_vec();
            bytes.extend([0x60, 0x70]);
            bytes.push((xxh32(&[0x60, 0x70]) >> 8) as u8);
            for _ in 0..blocks {
                bytes.extend((block.len() as u32).to_le_bytes());
                bytes.extend(&block);
            }
            bytes.extend([0; 4]);
            bytes
        };
        assert_eq!(unpack(&bomb(2), 2 * one).unwrap().len(), 2 * one);
        let (_, what) = unpack(&bomb(2), 2 * one - 1).unwrap_err();
        assert!(what.contains("more than"), "{what}");
        assert!(unpack(&bomb(300), 2 * one).is_err());
        // A promise is enough.
        let mut promise = MAGIC.to_le_bytes().to_vec();
        promise.extend([0x68, 0x70]);
        promise.extend(u64::MAX.to_le_bytes());
        promise.push((xxh32(&promise[4..]) >> 8) as u8);
        promise.extend([0; 4]);
        let (_, what) = unpack(&promise, 1 << 28).unwrap_err();
        assert!(what.contains("promises 18446744073709551615 bytes"), "{what}");
    }

    /// Both kinds of checksum, of the text abc (0x32d153ff as published): right, and with one bit flipped.
    #[test]
    fn checksums_are_compared() {
        const SUM: u32 = 0x32d1_53ff;
        let frame = |flags: u8, block: u32, content: u32| {
            let mut bytes = MAGIC.to_le_bytes().to_vec();
            bytes.extend([flags, 0x40]);
            bytes.push((xxh32(&[flags, 0x40]) >> 8) as u8);
            bytes.extend((1u32 << 31 | 3).to_le_bytes());
            bytes.extend(b"abc");
            if flags & 0x10 != 0 {
                bytes.extend(block.to_le_bytes());
            }
            bytes.extend([0; 4]);
            if flags & 4 != 0 {
                bytes.extend(content.to_le_bytes());
            }
            unpack(&bytes, 100)
        };
        assert_eq!(frame(0x74, SUM, SUM).unwrap(), b"abc");
        assert!(frame(0x74, SUM ^ 1, SUM).unwrap_err().1.contains("block's checksum"));
        assert!(frame(0x74, SUM, SUM ^ 1).unwrap_err().1.contains("content's checksum"));
        assert!(frame(0x70, SUM ^ 1, 0).is_err() && frame(0x64, 0, SUM ^ 1).is_err());
        assert_eq!(frame(0x60, 0, 0).unwrap(), b"abc");
    }

    #[test]
    fn damage_is_told() {
        let says = |bytes: &[u8], part: &str| {
            let (_, what) = unpack(bytes, 1 << 20).unwrap_err();
            assert!(what.contains(part), "{part:?} is not in {what:?}");
        };
        let good = frame(&[0x33, b'a', b'b', b'c', 2, 0, 0x10, b'!']);
        for end in 0..good.len() {
            assert!(unpack(&good[..end], 100).is_err(), "{end} bytes");
        }
        says(&frame(&[0x30, b'a', b'b', b'c', 4, 0, 0x10, b'!']), "from 4 bytes back, there are 3");
        says(&frame(&[0x30, b'a', b'b', b'c', 0, 0, 0x10, b'!']), "from 0 bytes back");
        says(&frame(&[0xf0, 255, 255, 255, 1]), "wants");
        // A copy that would leave the block of at most 64 KiB.
        let mut bomb = vec![0x1f, b'a', 1, 0];
        bomb.extend([255; 300]);
        bomb.extend([0, 0x10, b'!']);
        says(&frame(&bomb), "leaves its block");
        let mut wrong = good.clone();
        wrong[6] ^= 1;
        says(&wrong, "checksum");
    }
}
