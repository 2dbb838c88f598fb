//! Recognises files that are no recording which this crate reads, by their first bytes or the ending of their name.

use std::path::Path;

/// The first bytes of file formats, with their offset and the format's name.
///
/// Trap: a recording without a mark may begin with any two bytes, a pixel of its sensor. Each row has a third that says
/// half a second or more, and recordings begin sooner.
const BEGINNINGS: [(usize, &[u8], &str); 33] = [
    (0, b"\x89PNG", "a PNG image"),
    (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"GIF8", "a GIF image"),
    (0, b"II*\0", "a TIFF image"),
    (0, b"MM\0*", "a TIFF image"),
    (0, b"RIFF", "a RIFF file (AVI, WAV or WebP)"),
    (4, b"ftyp", "an MP4 film"),
    (0, b"\x1a\x45\xdf\xa3", "a Matroska film"),
    (0, b"OggS", "an Ogg file"),
    (0, b"fLaC", "a FLAC file"),
    (0, b"ID3", "an MP3 file"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\xd0\xcf\x11\xe0", "an OLE document (Thumbs.db)"),
    (0, b"PK\x03\x04", "a ZIP archive (.npz, PyTorch's .pt)"),
    (0, b"PK\x05\x06", "an empty ZIP archive"),
    (0, b"\x1f\x8b\x08", "gzip; unpack it, or pipe it: zcat FILE | spikegrad info -"),
    (0, b"\x28\xb5\x2f\xfd", "Zstandard; unpack it, or pipe it: zstdcat FILE | spikegrad info -"),
    (0, b"\xfd7zXZ", "xz; unpack it, or pipe it: xzcat FILE | spikegrad info -"),
    (0, b"BZh", "bzip2; unpack it, or pipe it: bzcat FILE | spikegrad info -"),
    (0, b"\x04\x22\x4d\x18", "LZ4; unpack it first"),
    (0, b"7z\xbc\xaf", "a 7z archive"),
    (0, b"Rar!", "a RAR archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"\x89HDF", "an HDF5 file, which is not read; write the events as EVT 2.0, DAT or AEDAT"),
    (0, b"\x93NUMPY", "a NumPy array, which is not read; write the events as EVT 2.0, DAT or AEDAT"),
    (0, b"#ROSBAG", "a ROS bag, which is not read"),
    (0, b"#!events.txt", "v2e's text of events, which is not read; let v2e write AEDAT 2.0"),
    (0, b"MATLAB 5.0", "a MATLAB file"),
    (0, b"SQLite format 3\0", "an SQLite database"),
    (0, b"\x7fELF", "a program"),
    (0, b"\0asm", "a WebAssembly program"),
    (0, b"Event Stream", "an Event Stream file (.es), which is not read"),
    (0, b"\x80\x04\x95", "a Python pickle"),
];

/// Endings of names that no recording without a mark of its own has.
const ENDINGS: &str = " txt md rst json jsonl toml yaml yml csv tsv xml html htm log py ipynb sh c h rs m cpp png jpg jpeg gif \
    bmp tif tiff webp svg pdf ps zip gz tgz bz2 xz zst lz4 tar 7z rar npy npz pt pth pkl pickle mat h5 hdf5 hdf \
    safetensors onnx pb ckpt mp4 avi mov mkv webm wav mp3 flac db sqlite ini cfg conf part tmp lock bak swp md5 sha1 \
    sha256 torrent exe dll so o a class ";

/// Names a file's format by its first bytes; `None` where they are unknown.
pub(super) fn known(head: &[u8]) -> Option<&'static str> {
    let begins =
        |(at, bytes, _): &&(usize, &[u8], &str)| head.get(*at..).is_some_and(|h| h.starts_with(bytes));
    // A length of eight bytes below 16 MiB, then an object of names.
    let is_safetensors = head.get(3..10) == Some(&[0, 0, 0, 0, 0, b'{', b'"']);
    let known = BEGINNINGS.iter().find(begins).map(|(_, _, name)| *name);
    known.or(is_safetensors.then_some("a safetensors file"))
}

/// Tells whether bytes are a text: UTF-8 without control characters but for those that set lines out.
pub(super) fn is_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // A letter that is cut by the end of the bytes read is no fault.
        Err(fault) if fault.error_len().is_none() => {
            std::str::from_utf8(&head[..fault.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty() && !text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\x0c'))
}

/// Gives the ending of a name where no recording without a mark of its own has it.
pub(super) fn foreign_ending(path: &Path) -> Option<String> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    (ENDINGS.contains(&format!(" {ending} "))).then_some(ending)
}
