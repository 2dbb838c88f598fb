//! Pictures of a recording: ON and OFF events over time.
//!
//! | file | |
//! |---|---|
//! | `.png` | eight parts of the recording, equal in time, side by side |
//! | `.gif` | the recording as a film of forty parts |
//! | `.html` | the same film with a slider, on a page that needs nothing else |
//!
//! A pixel shows what it had more of: ON orange, OFF blue, stronger for more; none of both, or as much, is the ground.

mod gif;
mod page;
pub mod png;

use crate::Error;
use spikegrad::data::events::{Events, Slicing};
use std::path::Path;

/// Parts of a still picture, and how many stand side by side.
const STILLS: (usize, usize) = (8, 4);
/// Parts of a film.
const FILM: usize = 40;
/// The side that small sensors are enlarged to, about.
const SIDE: usize = 240;
/// Strengths of a colour.
const STRENGTHS: usize = 4;
/// Pixels between stills.
const GAP: usize = 4;

/// The colours: ground, ON by strength, OFF by strength, the gap, and others to make sixteen.
const PALETTE: [[u8; 3]; 16] = [
    [255, 255, 255],
    [253, 208, 162],
    [253, 174, 107],
    [241, 105, 19],
    [166, 54, 3],
    [198, 219, 239],
    [107, 174, 214],
    [33, 113, 181],
    [8, 48, 107],
    [224, 224, 224],
    [0; 3],
    [0; 3],
    [0; 3],
    [0; 3],
    [0; 3],
    [0; 3],
];
/// The gap's place in the palette.
const GAP_COLOUR: u8 = 9;

/// A picture of palette indices.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Picture {
    width: usize,
    height: usize,
    /// Row by row.
    pixels: Vec<u8>,
}

/// How a recording is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Still pictures.
    Png,
    /// A film.
    Gif,
    /// A page with a film and a slider.
    Html,
}

impl Kind {
    /// The kind that the ending of a file's name says; none where it says none.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_string_lossy().to_lowercase().as_str() {
            "png" => Some(Self::Png),
            "gif" => Some(Self::Gif),
            "html" => Some(Self::Html),
            _ => None,
        }
    }
}

/// Draws a recording whose events are sorted.
///
/// # Errors
/// A recording without events, or of a sensor with more pixels than the format holds.
pub fn render(events: &Events, kind: Kind) -> Result<Vec<u8>, Error> {
    if events.is_empty() {
        return Err(Error::NoEvents);
    }
    match kind {
        Kind::Png => png::encode(&stills(&parts(events, STILLS.0))),
        Kind::Gif => gif::encode(&parts(events, FILM).iter().map(enlarged).collect::<Vec<_>>()),
        Kind::Html => Ok(page::encode(&parts(events, FILM), events).into_bytes()),
    }
}

/// Draws the parts of sorted events, equal in time, a pixel for a pixel.
fn parts(events: &Events, count: usize) -> Vec<Picture> {
    let (width, height) = (events.sensor.width, events.sensor.height);
    let draw = |range: std::ops::Range<usize>| {
        let mut balance = vec![0i32; width * height];
        for event in &events.list[range] {
            let at = usize::from(event.y) * width + usize::from(event.x);
            balance[at] += if event.on { 1 } else { -1 };
        }
        let colour = |&balance: &i32| {
            let strength = (balance.unsigned_abs() as usize).min(STRENGTHS);
            (if balance < 0 { STRENGTHS + strength } else { strength }) as u8
        };
        Picture { width, height, pixels: balance.iter().map(colour).collect() }
    };
    Slicing::Time.cut(&events.list, count).into_iter().map(draw).collect()
}

/// How often a pixel is repeated.
fn zoom(picture: &Picture) -> usize {
    (SIDE / picture.width.max(picture.height)).max(1)
}

/// Repeats every pixel.
fn enlarged(picture: &Picture) -> Picture {
    let zoom = zoom(picture);
    let (width, height) = (picture.width * zoom, picture.height * zoom);
    let pixel = |at: usize| picture.pixels[at / width / zoom * picture.width + at % width / zoom];
    Picture { width, height, pixels: (0..width * height).map(pixel).collect() }
}

/// Puts pictures side by side, with gaps.
fn stills(parts: &[Picture]) -> Picture {
    let parts: Vec<Picture> = parts.iter().map(enlarged).collect();
    let (w, h) = (parts[0].width + GAP, parts[0].height + GAP);
    let (columns, rows) = (STILLS.1, parts.len().div_ceil(STILLS.1));
    let (width, height) = (columns * w - GAP, rows * h - GAP);
    let mut pixels = vec![GAP_COLOUR; width * height];
    for (k, part) in parts.iter().enumerate() {
        let corner = k / columns * h * width + k % columns * w;
        for (y, row) in part.pixels.chunks_exact(part.width).enumerate() {
            pixels[corner + y * width..][..part.width].copy_from_slice(row);
        }
    }
    Picture { width, height, pixels }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spikegrad::data::events::{Event, Sensor};

    #[test]
    fn pixels_show_what_they_had_more_of() {
        let event = |t, x, on| Event { t, x, y: 0, on };
        let list = vec![
            event(0, 0, true),
            event(1, 0, true),
            event(2, 1, false),
            event(3, 1, true),
            event(9, 2, false),
        ];
        let events = Events::new(Sensor { width: 3, height: 1 }, list);
        let parts = parts(&events, 2);
        assert_eq!((&parts[0].pixels[..], &parts[1].pixels[..]), (&[2, 0, 0][..], &[0, 0, 5][..]));
        let many = Events::new(events.sensor, vec![event(0, 1, false); 9]);
        assert_eq!(super::parts(&many, 1)[0].pixels, [0, 8, 0]);
    }

    #[test]
    fn stills_stand_in_rows_with_gaps() {
        let part = |colour| Picture { width: 300, height: 200, pixels: vec![colour; 60_000] };
        let all = stills(&[0, 1, 2, 3, 4, 5, 6, 7].map(part));
        assert_eq!((all.width, all.height), (4 * 304 - 4, 2 * 204 - 4));
        let at = |x: usize, y: usize| all.pixels[y * all.width + x];
        assert_eq!([at(0, 0), at(304, 0), at(0, 204), at(1211, 403)], [0, 1, 4, 7]);
        assert_eq!([at(301, 5), at(5, 201)], [GAP_COLOUR; 2]);
        assert_eq!(enlarged(&Picture { width: 1, height: 2, pixels: vec![3, 4] }).pixels.len(), 120 * 240);
    }
}
