//! Reading small files whole, writing files so that a reader never sees half of one.

use crate::{Error, Result};
use spikegrad::models::available;
use spikegrad::models::durable::replace;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// The most bytes that are read from a pipe.
const PIPE_LIMIT: u64 = 16 << 20;

/// Reads a whole file: a regular one that memory holds, or a pipe that is open already (`/dev/stdin`, `/dev/fd/63`) of
/// 16 MiB at most. A named pipe could wait for ever, a device could give bytes without end.
///
/// # Errors
/// Whatever the file system says; a folder, a named pipe, a device; a file that grows meanwhile or is larger than memory.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let about = fs::metadata(path)?;
    let is_open = ["/dev/stdin", "/dev/fd", "/proc/self/fd"].iter().any(|open| path.starts_with(open));
    let limit = match about.is_file() {
        true => about.len(),
        false if is_open && !about.is_dir() => PIPE_LIMIT,
        false => return Err(io::Error::new(io::ErrorKind::InvalidInput, "is no regular file")),
    };
    available::check(usize::try_from(limit).unwrap_or(usize::MAX)).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit {
        true => Err(io::Error::other(format!("more than {limit} bytes came"))),
        false => Ok(bytes),
    }
}

/// Reads a whole file of text, as [`read`].
///
/// # Errors
/// As [`read`]; bytes that are no UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    let no_text = |_| io::Error::new(io::ErrorKind::InvalidData, "is no text in UTF-8");
    String::from_utf8(read(path)?).map_err(no_text)
}

/// Writes a file whole or not at all.
///
/// # Errors
/// Whatever the file system says, with the path.
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    replace(path, bytes.as_ref()).map_err(|why| Error::at(path, why))
}
