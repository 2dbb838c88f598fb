//! A few small, valid inputs for each fuzz target.

use crate::repository::{self, Result};
use flate2::{Compression, Crc, write::GzEncoder};
use std::io::Write as _;
use std::path::Path;

/// An event of a camera.
struct Event {
    time: u32,
    x: u16,
    y: u16,
    on: u16,
}

/// Writes the seeds of every target into `folder/TARGET`.
pub fn write(folder: &Path) -> Result {
    for (target, seeds) in all() {
        for (i, seed) in seeds.iter().enumerate() {
            repository::write(&folder.join(target).join(format!("seed-{i}")), seed)?;
        }
    }
    Ok(())
}

/// Returns the names of the targets that have seeds.
#[cfg(test)]
pub fn targets() -> Vec<&'static str> {
    all().into_iter().map(|(target, _)| target).collect()
}

fn all() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let events: Vec<Event> = (0u16..40)
        .map(|i| Event { time: u32::from(10 * i), x: 7 * i % 128, y: 11 * i % 128, on: i % 2 })
        .collect();
    let images = [big_endian(&[0x803, 2, 2, 3]), vec![0; 12]].concat();
    let labels = [big_endian(&[0x801, 2]), vec![1, 2]].concat();
    let conv = [[1, 16, 8, 8, 16, 2, 0, 1], [2, 33, 5, 7, 18, 4, 1, 2]];
    vec![
        (
            "safetensors",
            vec![
                safetensors(&[("a", &[1.0, -2.5]), ("b", &[])], false),
                safetensors(&[("w", &[0.5; 7])], true),
            ],
        ),
        ("safetensors_round_trip", vec![(0..64).collect(), [3, 4].repeat(40)]),
        ("cifar", vec![[vec![3], vec![0; 3072]].concat(), [vec![4, 5], vec![0; 3072]].concat()]),
        ("idx", vec![images, labels, gzip(&[big_endian(&[0x801, 3]), vec![1, 2, 3]].concat())]),
        (
            "settings",
            vec![
                b"net = \"lenet\"\nlr = 0.01\nbatch = 20\n".to_vec(),
                b"surrogate = \"arctan\"\nalpha = 3.0\nreset = \"soft\"\n".to_vec(),
            ],
        ),
        ("events", vec![five_byte(&events), aedat2(&events), dat(&events), evt2(&events), evt3(&events)]),
        ("events_round_trip", vec![(0..200).collect()]),
        ("run_folder", vec![(0..20).collect(), vec![1, 0, 3, 9, 9, 9, 9, 0, 2, 200, 1, 0, 0, 4, 1]]),
        ("conv", vec![[&conv[0][..], &[0; 9]].concat(), [&conv[1][..], &[0x77; 9]].concat()]),
    ]
}

/// A file of f32 tensors, with a checksum as spikegrad writes it or without one.
fn safetensors(tensors: &[(&str, &[f32])], checksum: bool) -> Vec<u8> {
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    for (name, numbers) in tensors {
        let begin = data.len();
        data.extend(numbers.iter().flat_map(|x| x.to_le_bytes()));
        let (shape, end) = (numbers.len(), data.len());
        entries
            .push(format!(r#""{name}":{{"dtype":"F32","shape":[{shape}],"data_offsets":[{begin},{end}]}}"#));
    }
    let entries = entries.join(",");
    let file = |header: &str| {
        let length = (header.len() as u64).to_le_bytes();
        [&length[..], header.as_bytes(), &data].concat()
    };
    if !checksum {
        return file(&format!("{{{entries}}}"));
    }
    let header = |crc: u32| format!(r#"{{"__metadata__":{{"crc32":"{crc:08x}"}},{entries}}}"#);
    // The checksum is that of the file whose own place holds zeros.
    let mut crc = Crc::new();
    crc.update(&file(&header(0)));
    file(&header(crc.sum()))
}

fn five_byte(events: &[Event]) -> Vec<u8> {
    let bytes = |e: &Event| {
        let [_, high, middle, low] = e.time.to_be_bytes();
        [e.x as u8, e.y as u8, (e.on as u8) << 7 | high, middle, low]
    };
    events.iter().flat_map(bytes).collect()
}

fn aedat2(events: &[Event]) -> Vec<u8> {
    let address = |e: &Event| u32::from((127 - e.x) << 8 | (127 - e.y) << 1 | (1 - e.on));
    let body = events.iter().flat_map(|e| big_endian(&[address(e), e.time]));
    b"#!AER-DAT2.0\r\n# AEChip: DVS128\r\n#End Of ASCII Header\r\n".iter().copied().chain(body).collect()
}

fn dat(events: &[Event]) -> Vec<u8> {
    let address = |e: &Event| u32::from(e.on) << 28 | u32::from(e.y) << 14 | u32::from(e.x);
    let body = events.iter().flat_map(|e| [e.time, address(e)]).flat_map(u32::to_le_bytes);
    b"% Version 2\n% Height 128\n% Width 128\n\x0c\x08".iter().copied().chain(body).collect()
}

fn evt2(events: &[Event]) -> Vec<u8> {
    let words = |e: &Event| {
        let event = u32::from(e.on) << 28 | (e.time & 63) << 22 | u32::from(e.x) << 11 | u32::from(e.y);
        [8 << 28 | e.time >> 6, event]
    };
    let body = events.iter().flat_map(words).flat_map(u32::to_le_bytes);
    b"% evt 2.0\n% geometry 128x128\n% end\n".iter().copied().chain(body).collect()
}

fn evt3(events: &[Event]) -> Vec<u8> {
    let words = |e: &Event| {
        let (high, low) = ((e.time >> 12) as u16, (e.time & 4095) as u16);
        let at = e.on << 11 | e.x;
        [8 << 12 | high, 6 << 12 | low, e.y, 2 << 12 | at, 3 << 12 | at, 4 << 12 | 0b1011]
    };
    let body = events.iter().flat_map(words).flat_map(u16::to_le_bytes);
    b"% evt 3.0\n% geometry 128x128\n% end\n".iter().copied().chain(body).collect()
}

fn big_endian(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CRC-32 of the first seeds of each target, one after the other, as an independent program packed them.
    #[test]
    fn seeds_are_those_of_an_independent_writer() {
        let want = [
            ("cifar", 2, 0x5e829d2b),
            ("conv", 2, 0x967fa4c2),
            ("events", 5, 0x6a1987d4),
            ("events_round_trip", 1, 0xed086180),
            ("idx", 2, 0x54bb5e9b),
            ("run_folder", 2, 0xd95edf93),
            ("safetensors", 2, 0x6101b9b5),
            ("safetensors_round_trip", 2, 0x91209e7b),
            ("settings", 2, 0xcb7977e9),
        ];
        let mut seeds = all();
        seeds.sort_by_key(|(target, _)| *target);
        assert_eq!(seeds.len(), want.len());
        for ((target, seeds), (name, count, sum)) in seeds.iter().zip(want) {
            let mut crc = Crc::new();
            crc.update(&seeds[..count].concat());
            assert_eq!((*target, crc.sum()), (name, sum), "{target}");
        }
    }
}
