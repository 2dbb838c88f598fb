//! What is written is read back: names, shapes, numbers to the bit, metadata. One flipped bit is found.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spikegrad_models::safetensors::{File, View, write};
use std::collections::BTreeMap;
use std::path::Path;

fuzz_target!(|input: (Vec<(u8, u8, Vec<u32>)>, BTreeMap<String, String>, u32)| {
    let (tensors, metadata, flip) = input;
    let tensors: Vec<(String, Vec<usize>, Vec<f32>)> = tensors
        .into_iter()
        .enumerate()
        .map(|(i, (a, b, bits))| {
            let shape = vec![usize::from(a % 5), usize::from(b % 7)];
            let bits = bits.into_iter().chain(std::iter::repeat(7)).take(shape.iter().product());
            (format!("tensor {i} \"{a}\\{b}\""), shape, bits.map(f32::from_bits).collect())
        })
        .collect();
    if metadata.contains_key("crc32") {
        return;
    }
    let path = std::env::temp_dir().join(format!("spikegrad-fuzz-{}", std::process::id()));
    let views: Vec<View> = tensors.iter().map(|(name, shape, data)| View { name, shape, data }).collect();
    write(&path, &metadata, &views).expect("a folder for temporary files");
    let mut bytes = std::fs::read(&path).expect("written");
    let file = File::parse(&path, bytes.clone()).expect("what was written");
    assert!(file.is_verified);
    assert_eq!(file.metadata, metadata);
    for (name, shape, data) in &tensors {
        assert_eq!(&file.entry(name).expect("written").shape, shape);
        let read = file.f32(name).expect("written");
        assert!(read.iter().map(|x| x.to_bits()).eq(data.iter().map(|x| x.to_bits())));
    }
    let at = flip as usize % (8 * bytes.len());
    bytes[at / 8] ^= 1 << (at % 8);
    // A flip within the entry's own name makes it a file without a checksum; everywhere else it is found.
    if let Ok(file) = File::parse(Path::new("x"), bytes) {
        assert!(!file.is_verified);
    }
});
