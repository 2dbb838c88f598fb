//! The IDX reader, plain and gzip: no more memory than limits allow, no panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spikegrad_data::idx::{IMAGES_MAGIC, LABELS_MAGIC, decode, pair};
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let path = Path::new("x-ubyte");
    for magic in [IMAGES_MAGIC, LABELS_MAGIC] {
        if let Err(error) = decode(path, bytes, magic) {
            assert!(error.to_string().starts_with("x-ubyte: "));
        }
    }
    let (middle, rest) = bytes.split_at(bytes.len() / 2);
    if let (Ok(images), Ok(labels)) = (decode(path, middle, IMAGES_MAGIC), decode(path, rest, LABELS_MAGIC))
        && let Ok(set) = pair(path, images, path, labels)
    {
        assert_eq!(set.pixels.len(), set.labels.len() * set.height * set.width);
    }
});
