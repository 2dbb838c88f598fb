//! The CIFAR reader: whole records with labels in range, or an error; never more pixels than bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spikegrad_data::ImageSet;
use spikegrad_data::cifar::{Layout, decode};
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    for (layout, classes) in [(Layout::Cifar10, 10), (Layout::Cifar100, 100)] {
        let (pixels, labels, class_names) = (Vec::new(), Vec::new(), Vec::new());
        let mut set = ImageSet { channels: 3, height: 32, width: 32, classes, pixels, labels, class_names };
        match decode(Path::new("x.bin"), bytes, layout, &mut set) {
            Ok(()) => {
                assert!(set.pixels.len() <= bytes.len());
                assert_eq!(set.pixels.len(), set.labels.len() * 3072);
                assert!(set.labels.iter().all(|label| usize::from(*label) < classes));
            }
            Err(error) => assert!(error.to_string().starts_with("x.bin: ")),
        }
    }
});
