//! The header that Prophesee's formats share: lines `% key value`, perhaps closed by `% end`. A sensor
//! that makes no sense is an error.

use super::decoder::{Fault, Sink};
use super::event::SIDE_LIMIT;
use super::header::{Line, line};
use super::{Sensor, SensorFrom};

/// The beginning of every line.
pub(super) const MARK: &[u8] = b"%";

/// Reads header lines until they end.
#[derive(Debug)]
pub(super) struct Header {
    /// Whether lines may still come.
    pub open: bool,
    /// Columns and rows, as far as the lines tell them.
    sensor: (Option<usize>, Option<usize>),
}

impl Default for Header {
    fn default() -> Self {
        Self { open: true, sensor: (None, None) }
    }
}

impl Header {
    /// Reads all lines that are there; returns their number of bytes.
    ///
    /// Trap: data may begin with `%` too; a line's second byte is a blank or its end.
    pub fn read(&mut self, bytes: &[u8], sink: &mut Sink) -> Result<usize, Fault> {
        let mut used = 0;
        while self.open {
            let rest = &bytes[used..];
            match (rest, line(rest, MARK)) {
                ([b'%', second, ..], _) if !second.is_ascii_whitespace() => self.open = false,
                (_, Line::Whole(text, len)) => {
                    self.take(text).map_err(|what| Fault::new(used, what))?;
                    used += len;
                }
                (_, Line::Partial) => return Ok(used),
                (_, Line::Other) => self.open = false,
            }
        }
        match self.sensor {
            (Some(width), Some(height)) => {
                sink.sensor = Some((Sensor { width, height }, SensorFrom::Recording));
            }
            (None, None) => {}
            _ => return Err(Fault::new(used, "the header names one side of the sensor alone")),
        }
        Ok(used)
    }

    /// Finds the sensor in a line: `geometry 640x480`, `format EVT3;width=640;height=480`, `Width 640`, `Height 480`.
    fn take(&mut self, text: &str) -> Result<(), String> {
        let text = text.trim_start_matches('%').trim();
        let (key, value) = text.split_once(' ').unwrap_or((text, ""));
        match key.to_ascii_lowercase().as_str() {
            "end" => self.open = false,
            "width" => self.sensor.0 = Some(side(text, value)?),
            "height" => self.sensor.1 = Some(side(text, value)?),
            "geometry" => {
                let (width, height) = value.split_once('x').unwrap_or((value, ""));
                self.sensor = (Some(side(text, width)?), Some(side(text, height)?));
            }
            "format" => {
                for part in value.split(';') {
                    match part.split_once('=') {
                        Some(("width", n)) => self.sensor.0 = Some(side(text, n)?),
                        Some(("height", n)) => self.sensor.1 = Some(side(text, n)?),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// A side of the sensor, read from a part of the header line `line`.
fn side(line: &str, number: &str) -> Result<usize, String> {
    Sensor::side(number)
        .ok_or_else(|| format!("header line {line:?}: a sensor has 1 to {SIDE_LIMIT} columns and rows"))
}
