//! DVS128 Gesture's tables of labels: which part of a recording shows which gesture.

use super::{Event, Events};
use crate::error::DataError;
use crate::files;
use std::path::Path;

/// Names a part of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// The class, as the table counts it (from 1 in DVS128 Gesture).
    pub class: u32,
    /// First microsecond.
    pub start: u64,
    /// The microsecond after the last.
    pub end: u64,
}

/// Reads a table of lines `class,start µs,end µs`, the first of which may be titles.
///
/// Errors: a line that is not three whole numbers, or an end that is not after its start; the line is named.
pub fn read(path: &Path) -> Result<Vec<Label>, DataError> {
    let bytes = files::read(path, "lines of class,start,end")?;
    parse(path, &String::from_utf8_lossy(&bytes))
}

/// Reads the text of a table; `path` is for messages alone. Errors as [`read`].
///
/// ```
/// let table = "class,startTime_usec,endTime_usec\n2,80048239,85092709\n";
/// let labels = spikegrad_data::events::labels::parse("a.csv".as_ref(), table)?;
/// assert_eq!((labels[0].class, labels[0].end - labels[0].start), (2, 5_044_470));
/// # Ok::<(), spikegrad_data::DataError>(())
/// ```
pub fn parse(path: &Path, text: &str) -> Result<Vec<Label>, DataError> {
    let mut labels = Vec::new();
    let mut offset = 0;
    for (k, line) in text.split_inclusive('\n').enumerate() {
        let at = offset;
        offset += line.len() as u64;
        if line.trim().is_empty() {
            continue;
        }
        let numbers: Vec<Option<u64>> = line.split(',').map(|field| field.trim().parse().ok()).collect();
        let label = match numbers[..] {
            [Some(class), Some(start), Some(end)] if start < end && class <= u64::from(u32::MAX) => {
                Label { class: class as u32, start, end }
            }
            // The line of titles.
            _ if k == 0 && numbers.iter().all(Option::is_none) => continue,
            _ => {
                let what = format!("line {} is {:?}, expected class,start,end", k + 1, line.trim());
                return Err(DataError::Recording { path: path.to_path_buf(), offset: at, what });
            }
        };
        labels.push(label);
    }
    Ok(labels)
}

/// Cuts a label's part out of sorted events.
#[must_use]
pub fn cut(events: &Events, label: &Label) -> Events {
    let at = |t: u64| events.list.partition_point(|event: &Event| event.t < t);
    Events::new(events.sensor, events.list[at(label.start)..at(label.end)].to_vec())
}
