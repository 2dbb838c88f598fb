//! Events → bytes → events, for each format that is written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spikegrad_data::DataError;
use spikegrad_data::events::{Event, EventFormat, Events, Sensor, aedat2, dat, decode, evt2, five_byte};
use std::path::Path;

type Encode = fn(&Events) -> Result<Vec<u8>, DataError>;

/// The formats that are written. Five bytes an event have no mark of their own, and may be taken for another format.
const FORMATS: [(EventFormat, Encode); 4] = [
    (EventFormat::Aedat2, aedat2::encode),
    (EventFormat::Dat, dat::encode),
    (EventFormat::Evt2, evt2::encode),
    (EventFormat::FiveByte, five_byte::encode),
];

fuzz_target!(|input: Vec<(u16, u8, u8, bool)>| {
    let mut t = 0u64;
    let list = input.iter().map(|&(dt, x, y, on)| {
        t += u64::from(dt);
        Event { t, x: u16::from(x % 128), y: u16::from(y % 128), on }
    });
    let events = Events::new(Sensor { width: 128, height: 128 }, list.collect());
    for (format, encode) in FORMATS {
        let Ok(bytes) = encode(&events) else { continue };
        match decode(Path::new("x"), &bytes) {
            Ok(back) if back.format == format => assert_eq!(back.events.list, events.list, "{}", format.name()),
            Ok(other) => assert_eq!(format, EventFormat::FiveByte, "taken for {}", other.format.name()),
            Err(why) => assert!(format == EventFormat::FiveByte || events.is_empty(), "{}: {why}", format.name()),
        }
    }
});
