//! The description in an AEDAT 4 header: which streams a recording has.
//!
//! It is XML of nodes and attributes: under a node `outInfo`, a node for each stream, named by its number, has the attributes
//! `typeIdentifier` and `originalOutputName`; a node `info` in it has `sizeX` and `sizeY` where the stream has a sensor.

use super::event::SIDE_LIMIT;
use super::{Sensor, Stream};

/// The most streams of a recording.
const STREAMS_LIMIT: usize = 1024;

/// Reads the streams.
///
/// Errors: no stream, too many, or one described twice; a size that no sensor has.
pub(super) fn streams(text: &str) -> Result<Vec<Stream>, String> {
    let mut streams: Vec<Stream> = Vec::new();
    // Names of the nodes that are open, and the sides of the last stream's sensor.
    let (mut open, mut sides) = (Vec::new(), (None, None));
    for piece in text.split('<').skip(1) {
        let Some((tag, value)) = piece.split_once('>') else { return Err("a tag without an end".into()) };
        let value = value.trim();
        if tag.starts_with("/node") {
            open.pop();
        } else if tag.starts_with("node") {
            let name = attribute(tag, "name").unwrap_or_default();
            if open.last() == Some(&"outInfo") {
                let number = name.parse().map_err(|_| format!("stream {name:?} has no number"))?;
                if streams.iter().any(|stream| stream.number == number) || streams.len() == STREAMS_LIMIT {
                    return Err(format!("stream {number} a second time, or more than {STREAMS_LIMIT}"));
                }
                streams.push(Stream { number, ..Stream::default() });
                sides = (None, None);
            }
            if !tag.ends_with('/') {
                open.push(name);
            }
        } else if let (Some(key), Some(stream)) = (attribute(tag, "key"), streams.last_mut()) {
            match key {
                "typeIdentifier" => stream.kind = value.into(),
                "originalOutputName" => stream.name = value.into(),
                "sizeX" => sides.0 = Some(side(value)?),
                "sizeY" => sides.1 = Some(side(value)?),
                _ => {}
            }
            if let (Some(width), Some(height)) = sides {
                stream.sensor = Some(Sensor { width, height });
            }
        }
    }
    match streams.is_empty() {
        true => Err("no stream is described".into()),
        false => Ok(streams),
    }
}

/// The value of an attribute of a tag.
fn attribute<'a>(tag: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = tag.split_once(&format!(" {key}=\""))?;
    rest.split('"').next()
}

fn side(value: &str) -> Result<usize, String> {
    Sensor::side(value)
        .ok_or_else(|| format!("a sensor has 1 to {SIDE_LIMIT} columns and rows, not {value:?}"))
}
