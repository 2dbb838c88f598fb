//! Event cameras: recordings, the frames that nets see, data sets.
//!
//! The way of an event, one file a step:
//!
//! | step | file |
//! |---|---|
//! | an event, a sensor, a list of events | `event.rs` |
//! | the format of a file, also of files that are no recordings | `format.rs`, `magic.rs` |
//! | read it, piece by piece | `reader.rs`, with `options.rs`, `decoder.rs`, `header.rs` and `clock.rs` |
//! | N-MNIST's five bytes | [`five_byte`] |
//! | jAER's, cAER's, DV's files | [`aedat2`], `aedat3.rs` ([`labels`]), `aedat4.rs` (`description.rs`, `flatbuffer.rs`, `lz4.rs`) |
//! | Prophesee's files | [`evt2`], `evt3.rs`, [`dat`] |
//! | which events make which frame; the frames | `slice.rs`, `frames.rs` |
//! | vary them | [`augment`] |
//! | list the files of a data set; read them into frames, or take those kept on disk | [`folder`], `frame_set.rs`, `cache.rs` |
//! | simulate a camera; film images, or scenes of the program's own | `camera.rs`, `film.rs`, [`motion`] |
pub mod aedat2;
mod aedat3;
mod aedat4;
pub mod augment;
mod cache;
mod camera;
mod cells;
mod clock;
pub mod dat;
mod decoder;
mod description;
mod event;
pub mod evt2;
mod evt3;
mod film;
pub mod five_byte;
mod flatbuffer;
pub mod folder;
mod format;
mod frame_set;
mod frames;
mod header;
pub mod labels;
mod lz4;
mod magic;
pub mod motion;
mod options;
mod prophesee;
mod reader;
mod slice;

pub use augment::EventAugment;
pub use camera::Camera;
pub use decoder::Skipped;
pub use event::{Event, Events, SIDE_LIMIT, Sensor};
pub use film::FilmConfig;
pub use folder::{EventSplit, Fit, Origin, Sample, Tally};
pub use format::EventFormat;
pub use frame_set::{FrameOptions, FrameSet};
pub use frames::{FrameConfig, NUMBERS_LIMIT, Resample, Values};
pub use options::{Axes, ReadOptions, SensorFrom, Stream};
pub use reader::{EVENTS_LIMIT, PIPE_LIMIT, Recording, decode, read, read_from};
pub use slice::Slicing;
