//! Small pictures of samples, as they stand in a page: PNG in a `data:` address.

use crate::Error;
use crate::render::png;
use spikegrad::data::SampleSet;
use std::fmt::Write;

/// Writes an `<img>` of sample `i`, `pixels` wide: an image as it is, a recording with its ON events red and its OFF
/// events blue, summed over time.
///
/// # Errors
/// A sample of more than 2³² rows or columns.
pub fn picture(set: &SampleSet, i: usize, pixels: usize) -> Result<String, Error> {
    let [channels, height, width] = set.shape();
    let rgb = match set {
        SampleSet::Images(images) => of_image(images.image(i), channels, height * width),
        SampleSet::Frames(frames) => {
            let mut cells = vec![0.0; frames.config.len()];
            frames.frames(i, &mut cells);
            of_frames(&cells, height * width)
        }
    };
    let data = base64(&png::encode_rgb(width, height, &rgb)?);
    let mut img = String::new();
    let _ = write!(
        img,
        "<img width=\"{pixels}\" height=\"{}\" alt=\"\" style=\"image-rendering:pixelated\" \
         src=\"data:image/png;base64,{data}\">",
        (pixels * height).div_ceil(width.max(1))
    );
    Ok(img)
}

/// Red, green and blue of planes of bytes; one plane is grey.
fn of_image(image: &[u8], channels: usize, pixels: usize) -> Vec<u8> {
    let plane = |c: usize| if channels >= 3 { c * pixels } else { 0 };
    (0..pixels).flat_map(|p| [0, 1, 2].map(|c| image[plane(c) + p])).collect()
}

/// Red, green and blue of frames, \[T\]\[2\]\[pixels\], on a dark ground; channel 0 holds OFF events, 1 ON.
fn of_frames(cells: &[f32], pixels: usize) -> Vec<u8> {
    let mut sums = vec![[0.0f32; 2]; pixels];
    for step in cells.chunks_exact(2 * pixels) {
        for (p, sum) in sums.iter_mut().enumerate() {
            sum[0] += step[p];
            sum[1] += step[pixels + p];
        }
    }
    let most = sums.as_flattened().iter().fold(f32::MIN_POSITIVE, |most, &sum| most.max(sum));
    let shade = |sum: f32| 24 + (231.0 * (sum / most).max(0.0).sqrt()) as u8;
    sums.iter().flat_map(|[off, on]| [shade(*on), shade(0.5 * (on + off)), shade(*off)]).collect()
}

/// Base 64 (RFC 4648), with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word =
            group.iter().fold(0u32, |word, &byte| word << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        for k in 0..4 {
            match k <= group.len() {
                true => out.push(char::from(LETTERS[(word >> (18 - 6 * k) & 63) as usize])),
                false => out.push('='),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        // The test vectors of RFC 4648.
        let vectors = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        for (length, want) in vectors.into_iter().enumerate() {
            assert_eq!(base64(&b"foobar"[..length]), want);
        }
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
    }

    #[test]
    fn planes_become_pixels() {
        assert_eq!(of_image(&[1, 2, 3, 4, 5, 6], 3, 2), [1, 3, 5, 2, 4, 6]);
        assert_eq!(of_image(&[7, 8], 1, 2), [7, 7, 7, 8, 8, 8]);
        // Two steps, two pixels: the first has two ON events, the second one OFF event.
        let cells = [0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
        let rgb = of_frames(&cells, 2);
        assert_eq!((rgb[0], rgb[2], rgb[3]), (255, 24, 24));
        assert_eq!(rgb[5], 24 + (231.0 * 0.5f32.sqrt()) as u8);
    }
}
