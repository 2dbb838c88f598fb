//! Event cameras: recordings, the frames that nets see, data sets.
//!
//! The way of an event, one file a step:
//!
//! | step | file |
//! |---|---|
//! | an event, a sensor, a list of events | `event.rs` |
//! | which format a file has | `format.rs` |
//! | read it, piece by piece | `reader.rs`, with `decoder.rs` and `header.rs` |
//! | N-MNIST's five bytes | [`five_byte`] |
//! | jAER's, cAER's, DV's files | [`aedat2`], `aedat3.rs` ([`labels`]), `aedat4.rs` (`flatbuffer.rs`, `lz4.rs`) |
//! | Prophesee's files | [`evt2`], `evt3.rs`, [`dat`] |
//! | which events make which frame; the frames | `slice.rs`, `frames.rs` |
//! | vary them | [`augment`] |
pub mod aedat2;
mod aedat3;
mod aedat4;
pub mod augment;
pub mod dat;
mod decoder;
mod event;
pub mod evt2;
mod evt3;
pub mod five_byte;
mod flatbuffer;
mod format;
mod frames;
mod header;
pub mod labels;
mod lz4;
mod prophesee;
mod reader;
mod slice;

pub use augment::EventAugment;
pub use decoder::Skipped;
pub use event::{Event, Events, Sensor};
pub use format::EventFormat;
pub use frames::{FrameConfig, Resample, Values};
pub use reader::{Recording, decode, read, read_from};
pub use slice::Slicing;
