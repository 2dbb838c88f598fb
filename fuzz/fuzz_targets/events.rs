//! Every reader of event recordings: an error, or events within memory bounded by the file, and frames that keep them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spikegrad_data::events::{decode, labels};
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    match decode(Path::new("x.raw"), bytes) {
        Ok(recording) => {
            let mut events = recording.events;
            // EVT3's vectors have twelve events in two bytes; an LZ4 packet of AEDAT 4 unpacks to 255 times its size,
            // in events of 16 bytes.
            assert!(events.len() <= 16 * bytes.len().max(1), "{} events of {} bytes", events.len(), bytes.len());
            events.sort();
            assert_eq!(events.disorder(), 0);
        }
        Err(error) => assert!(error.to_string().starts_with("x.raw: ")),
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = labels::parse(Path::new("x.csv"), text);
    }
});
