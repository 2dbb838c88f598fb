//! Errors of data sets, whose texts name the file and both numbers.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A fault of a data set, of its files or of the request for it.
///
/// Every message is one line, lower case, and names the file, the byte offset or the record, the expected value and
/// the value found.
///
/// ```
/// use spikegrad_data::DataError;
/// let e = DataError::RecordSize { path: "data_batch_1.bin".into(), size: 5000, record: 3073 };
/// assert!(e.to_string().contains("5000 bytes") && e.to_string().contains("3073"));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum DataError {
    /// The system refused to open or read a file.
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file that the data set needs is not in its directory.
    Missing {
        /// The directory.
        directory: PathBuf,
        /// The names that would have done.
        expected: Vec<String>,
        /// The number of entries of the directory (0: it is empty).
        entries: usize,
    },
    /// A file holds no byte, or no image.
    Empty {
        /// The file.
        path: PathBuf,
        /// The contents that were expected there.
        expected: &'static str,
    },
    /// A file is not a whole number of records long.
    RecordSize {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        size: usize,
        /// The length of a record in bytes.
        record: usize,
    },
    /// A label is not one of the data set's classes.
    Label {
        /// The file.
        path: PathBuf,
        /// The label's offset, in bytes from the start (of the unpacked bytes, in a gzip file).
        offset: usize,
        /// The label found.
        found: usize,
        /// The number of classes.
        classes: usize,
    },
    /// A file starts with another number than its format's.
    Magic {
        /// The file.
        path: PathBuf,
        /// The number expected at offset 0.
        expected: u32,
        /// The number found there.
        found: u32,
    },
    /// The bytes present are not those that the header promises.
    Length {
        /// The file.
        path: PathBuf,
        /// Where the counted bytes start.
        offset: usize,
        /// The contents of the bytes.
        what: &'static str,
        /// The number of bytes expected.
        expected: u64,
        /// The number of bytes found.
        found: u64,
        /// Whether there were more than `found` (reading stopped there).
        or_more: bool,
    },
    /// A header promises more than any data set of this kind holds.
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The things that the header counts.
        what: &'static str,
        /// The number promised.
        found: u64,
        /// The largest number accepted.
        limit: u64,
    },
    /// A file is larger than any of its kind.
    FileSize {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        found: u64,
        /// The largest length accepted.
        limit: u64,
    },
    /// A gzip stream is damaged.
    Gzip {
        /// The file.
        path: PathBuf,
        /// The number of bytes that were unpacked before the damage.
        offset: usize,
        /// The number of unpacked bytes expected.
        expected: u64,
        /// The decoder's message.
        message: String,
    },
    /// A recording of events cannot be understood.
    Recording {
        /// The file.
        path: PathBuf,
        /// The fault's offset, in bytes from the start.
        offset: u64,
        /// The fault.
        what: String,
    },
    /// Two files that belong together disagree.
    Disagree {
        /// The first file.
        first: PathBuf,
        /// The second file.
        second: PathBuf,
        /// The things that both files count.
        what: &'static str,
        /// The first file's number.
        first_found: usize,
        /// The second file's number.
        second_found: usize,
    },
    /// A value that the caller gave does not fit.
    Argument {
        /// The argument's name.
        what: &'static str,
        /// The values that it may have.
        expected: String,
        /// The value that it has.
        found: String,
    },
    /// A text names nothing that is known here.
    Unknown {
        /// The kind of thing that the text should name.
        what: &'static str,
        /// The text.
        found: String,
        /// The texts that are known.
        known: &'static str,
    },
}

/// Writes control characters and marks that turn the direction of text as their numbers, so that a name from a file can
/// neither break a line nor command a terminal.
///
/// ```
/// assert_eq!(spikegrad_data::printable("a\u{1b}[31m\n\u{202e}ü"), "a\\u{1b}[31m\\u{a}\\u{202e}ü");
/// ```
#[must_use]
pub fn printable(text: &str) -> String {
    let commands = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if commands(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

impl DataError {
    /// Builds the error for an argument of the caller's that does not fit.
    pub(crate) fn argument(
        what: &'static str,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) -> Self {
        Self::Argument { what, expected: expected.to_string(), found: found.to_string() }
    }
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = match self.path() {
            Some(path) => format!("{}: {}", path.display(), self.fault()),
            None => self.fault(),
        };
        f.write_str(&printable(&message))
    }
}

impl DataError {
    /// Gives the file or directory at fault, where there is one alone.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Missing { directory: path, .. }
            | Self::Io { path, .. }
            | Self::Empty { path, .. }
            | Self::RecordSize { path, .. }
            | Self::Label { path, .. }
            | Self::Magic { path, .. }
            | Self::Length { path, .. }
            | Self::TooLarge { path, .. }
            | Self::FileSize { path, .. }
            | Self::Gzip { path, .. }
            | Self::Recording { path, .. } => Some(path),
            Self::Disagree { .. } | Self::Argument { .. } | Self::Unknown { .. } => None,
        }
    }

    /// Says what is wrong, without the path.
    fn fault(&self) -> String {
        match self {
            Self::Io { source, .. } => source.to_string(),
            Self::Missing { expected, entries: 0, .. } => {
                format!("the directory is empty (0 files), expected {}", expected.join(" or "))
            }
            Self::Missing { expected, entries, .. } => {
                format!("missing {} (the directory has {entries} other entries)", expected.join(" or "))
            }
            Self::Empty { expected, .. } => format!("holds nothing (0), expected {expected}"),
            Self::RecordSize { size, record, .. } => format!(
                "{size} bytes is not a whole number of records of {record} bytes ({} bytes left after record {})",
                size % record,
                size / record
            ),
            Self::Label { offset, found, classes, .. } => {
                format!("label {found} at byte offset {offset}, expected one below {classes}")
            }
            Self::Magic { expected, found, .. } => {
                format!("magic number 0x{found:08x} at byte offset 0, expected 0x{expected:08x}")
            }
            Self::Length { offset, what, expected, found, or_more, .. } => {
                let more = if *or_more { " or more" } else { "" };
                format!("{what} at byte offset {offset}: expected {expected} bytes, found {found}{more}")
            }
            Self::TooLarge { what, found, limit, .. } => {
                format!("the header promises {found} {what}, at most {limit} can be there")
            }
            Self::FileSize { found, limit, .. } => format!("{found} bytes, at most {limit} are read"),
            Self::Gzip { offset, expected, message, .. } => {
                format!("damaged gzip stream after {offset} unpacked bytes of {expected} expected: {message}")
            }
            Self::Recording { offset, what, .. } => format!("byte offset {offset}: {what}"),
            Self::Disagree { first, second, what, first_found, second_found } => {
                let (first, second) = (first.display(), second.display());
                format!("{first} has {first_found} {what}, {second} has {second_found}")
            }
            Self::Argument { what, expected, found } => format!("{what} is {found}, expected {expected}"),
            Self::Unknown { what, found, known } => format!("unknown {what} \"{found}\", expected {known}"),
        }
    }
}

impl std::error::Error for DataError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
