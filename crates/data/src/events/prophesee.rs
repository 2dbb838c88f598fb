//! What Prophesee's formats share: a header of lines `% key value`, perhaps closed by `% end`.

use super::Sensor;
use super::decoder::Sink;
use super::header::{Line, line};

/// What the lines begin with.
pub(super) const MARK: &[u8] = b"%";

/// Reads header lines until they end.
#[derive(Debug)]
pub(super) struct Header {
    /// Whether lines may still come.
    pub open: bool,
    sensor: Sensor,
}

impl Default for Header {
    fn default() -> Self {
        Self { open: true, sensor: Sensor::default() }
    }
}

impl Header {
    /// Reads what lines there are; returns their bytes.
    ///
    /// Trap: data may begin with `%` too; a line's second byte is a blank or its end.
    pub fn read(&mut self, bytes: &[u8], sink: &mut Sink) -> usize {
        let mut used = 0;
        while self.open {
            let rest = &bytes[used..];
            match (rest, line(rest, MARK)) {
                ([b'%', second, ..], _) if !second.is_ascii_whitespace() => self.open = false,
                (_, Line::Whole(text, len)) => {
                    self.take(text);
                    used += len;
                }
                (_, Line::Partial) => return used,
                (_, Line::Other) => self.open = false,
            }
        }
        if self.sensor != Sensor::default() {
            sink.sensor = Some(self.sensor);
        }
        used
    }

    /// Finds the sensor in a line: `geometry 640x480`, `format EVT3;width=640;height=480`, `Width 640`, `Height 480`.
    fn take(&mut self, text: &str) {
        let text = text.trim_start_matches('%').trim();
        let (key, value) = text.split_once(' ').unwrap_or((text, ""));
        match key.to_ascii_lowercase().as_str() {
            "end" => self.open = false,
            "width" => self.sensor.width = value.trim().parse().unwrap_or(0),
            "height" => self.sensor.height = value.trim().parse().unwrap_or(0),
            "geometry" => {
                if let Some((width, height)) = value.split_once('x')
                    && let (Ok(width), Ok(height)) = (width.trim().parse(), height.trim().parse())
                {
                    self.sensor = Sensor { width, height };
                }
            }
            "format" => {
                for part in value.split(';') {
                    match part.split_once('=') {
                        Some(("width", n)) => self.sensor.width = n.parse().unwrap_or(0),
                        Some(("height", n)) => self.sensor.height = n.parse().unwrap_or(0),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}
