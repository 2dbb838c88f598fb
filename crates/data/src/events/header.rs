//! The lines of text that recordings begin with.

/// The longest line accepted.
const LINE_LIMIT: usize = 1 << 16;

/// The beginning of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// A header line: its text without the end of line, and its bytes with it.
    Whole(&'a str, usize),
    /// The beginning of a header line; more bytes are needed.
    Partial,
    /// Something else.
    Other,
}

/// Looks for a line that begins with `mark`; bytes that are no UTF-8 end the text.
///
/// A line without an end within 64 KiB is no line.
pub(super) fn line<'a>(bytes: &'a [u8], mark: &[u8]) -> Line<'a> {
    let known = bytes.len().min(mark.len());
    if bytes[..known] != mark[..known] {
        return Line::Other;
    }
    let head = &bytes[..bytes.len().min(LINE_LIMIT)];
    match head.iter().position(|&byte| byte == b'\n') {
        Some(end) if end + 1 >= mark.len() => Line::Whole(text(&head[..end]), end + 1),
        Some(_) => Line::Other,
        None if head.len() < LINE_LIMIT => Line::Partial,
        None => Line::Other,
    }
}

/// The part of a line that is text.
fn text(line: &[u8]) -> &str {
    let text = match std::str::from_utf8(line) {
        Ok(text) => text,
        Err(fault) => std::str::from_utf8(&line[..fault.valid_up_to()]).unwrap_or(""),
    };
    text.trim_end()
}

/// Reads a little-endian word of four bytes at `at`; `bytes` must hold it.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|k| bytes[at + k]))
}
