//! MNIST (LeCun et al. 1998) in its IDX files, gzip or plain.
//!
//! | file | bytes, big endian |
//! |---|---|
//! | images | `00000803`, count n, rows h, columns w (4 bytes each), then n·h·w pixels |
//! | labels | `00000801`, count n (4 bytes each), then n labels |
//!
//! A gzip file is told by its first two bytes, 1f 8b, whatever its name; it may have several members, one after the other. Unpacking stops one byte after what
//! the header promises, and a header that promises more than the file could unpack to is refused before that.

use crate::error::DataError;
use crate::files;
use crate::image_set::{ImageSet, Split};
use flate2::read::MultiGzDecoder;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The magic number of an image file: unsigned bytes, three dimensions.
pub const IMAGES_MAGIC: u32 = 0x0000_0803;
/// The magic number of a label file: unsigned bytes, one dimension.
pub const LABELS_MAGIC: u32 = 0x0000_0801;
/// The largest body accepted; MNIST's is 47 MB.
const BODY_LIMIT: u64 = 1 << 31;
/// The most bytes that one byte of a deflate stream can unpack to.
const DEFLATE_RATIO: u64 = 1032;
/// MNIST's classes.
const CLASSES: usize = 10;

/// Holds a decoded IDX file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx {
    /// The sizes that the header gives, outermost first; their product is the number of bytes.
    pub shape: Vec<usize>,
    /// The body.
    pub bytes: Vec<u8>,
}

/// Reads the four files of MNIST from `directory`.
///
/// The names are the original ones, with `-` or `.` before `idx`, with or without `.gz`; a file may also lie in a folder of its
/// own name.
/// Errors: a missing, empty or damaged file; a magic number or a count that does not match; a label above 9.
pub fn load_mnist(directory: &Path) -> Result<Split, DataError> {
    let (train, train_path) = load_part(directory, "train")?;
    let (test, test_path) = load_part(directory, "t10k")?;
    for (what, first_found, second_found) in
        [("rows an image", train.height, test.height), ("columns an image", train.width, test.width)]
    {
        if first_found != second_found {
            let (first, second) = (train_path, test_path);
            return Err(DataError::Disagree { first, second, what, first_found, second_found });
        }
    }
    Ok(Split { train, test })
}

/// Reads the images and labels whose names start with `part`, and says which file the images came from.
fn load_part(directory: &Path, part: &str) -> Result<(ImageSet, PathBuf), DataError> {
    let images_path = files::find(directory, &names(part, "images", 3))?;
    let labels_path = files::find(directory, &names(part, "labels", 1))?;
    let images = decode(&images_path, &files::read(&images_path, "an IDX header")?, IMAGES_MAGIC)?;
    let labels = decode(&labels_path, &files::read(&labels_path, "an IDX header")?, LABELS_MAGIC)?;
    let set = pair(&images_path, images, &labels_path, labels)?;
    Ok((set, images_path))
}

/// Lists the names under which a file is looked for.
fn names(part: &str, what: &str, dimensions: usize) -> Vec<String> {
    let of = |dot: &str, gz: &str| format!("{part}-{what}{dot}idx{dimensions}-ubyte{gz}");
    vec![of("-", ".gz"), of("-", ""), of(".", ".gz"), of(".", "")]
}

/// Puts images and labels together; the paths are for messages alone.
///
/// Errors: [`DataError::Empty`] without images, [`DataError::Disagree`] when the counts do,
/// [`DataError::Label`] for a label above 9.
pub fn pair(images_path: &Path, images: Idx, labels_path: &Path, labels: Idx) -> Result<ImageSet, DataError> {
    let &[count, height, width] = images.shape.as_slice() else {
        return Err(DataError::argument("the number of dimensions of images", 3, images.shape.len()));
    };
    if images.bytes.is_empty() {
        return Err(DataError::Empty { path: images_path.to_path_buf(), expected: "one image or more" });
    }
    if count != labels.bytes.len() {
        return Err(DataError::Disagree {
            first: images_path.to_path_buf(),
            second: labels_path.to_path_buf(),
            what: "entries (images and labels must pair)",
            first_found: count,
            second_found: labels.bytes.len(),
        });
    }
    if let Some((i, &label)) = labels.bytes.iter().enumerate().find(|&(_, &l)| usize::from(l) >= CLASSES) {
        let path = labels_path.to_path_buf();
        return Err(DataError::Label { path, offset: 8 + i, found: usize::from(label), classes: CLASSES });
    }
    Ok(ImageSet {
        channels: 1,
        height,
        width,
        classes: CLASSES,
        pixels: images.bytes,
        labels: labels.bytes.into_iter().map(u16::from).collect(),
        class_names: (0..CLASSES).map(|digit| digit.to_string()).collect(),
    })
}

/// Decodes an IDX file's bytes, gzip or plain; `path` is for messages alone.
///
/// The low byte of `magic` is the number of dimensions.
/// Errors: [`DataError::Magic`], [`DataError::Length`] (cut short, or bytes left over),
/// [`DataError::TooLarge`], [`DataError::Gzip`].
pub fn decode(path: &Path, file: &[u8], magic: u32) -> Result<Idx, DataError> {
    let zipped = file.starts_with(&[0x1f, 0x8b]);
    let mut reader: Box<dyn Read + '_> =
        if zipped { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let word = |bytes: &[u8]| bytes.iter().fold(0u32, |word, &byte| word << 8 | u32::from(byte));
    let found = word(&read_exactly(path, &mut reader, 0, "the magic number", 4)?);
    if found != magic {
        return Err(DataError::Magic { path: path.to_path_buf(), expected: magic, found });
    }
    let sizes = 4 * (magic & 0xff) as usize;
    let shape = read_exactly(path, &mut reader, 4, "the header's sizes", sizes as u64)?;
    let shape: Vec<usize> = shape.chunks_exact(4).map(|size| word(size) as usize).collect();
    let size = 4 + sizes;
    let promised = shape.iter().fold(1u64, |product, &n| product.saturating_mul(n as u64));
    let possible =
        if zipped { (file.len() as u64).saturating_mul(DEFLATE_RATIO).min(BODY_LIMIT) } else { BODY_LIMIT };
    if promised > possible {
        let (path, what) = (path.to_path_buf(), "bytes");
        return Err(DataError::TooLarge { path, what, found: promised, limit: possible });
    }
    let bytes = read_exactly(path, &mut reader, size, "the body", promised)?;
    end(path, &mut reader, size, promised)?;
    Ok(Idx { shape, bytes })
}

/// Reads `expected` bytes that start at `offset`, with memory growing as they come.
fn read_exactly(
    path: &Path,
    reader: &mut dyn Read,
    offset: usize,
    what: &'static str,
    expected: u64,
) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    let outcome = reader.take(expected).read_to_end(&mut bytes);
    if let Err(error) = outcome {
        let (path, message) = (path.to_path_buf(), error.to_string());
        return Err(DataError::Gzip {
            path,
            offset: offset + bytes.len(),
            expected: offset as u64 + expected,
            message,
        });
    }
    if (bytes.len() as u64) < expected {
        let (path, found) = (path.to_path_buf(), bytes.len() as u64);
        return Err(DataError::Length { path, offset, what, expected, found, or_more: false });
    }
    Ok(bytes)
}

/// Checks that nothing follows the body (and so that a gzip stream's checksum holds).
fn end(path: &Path, reader: &mut dyn Read, offset: usize, expected: u64) -> Result<(), DataError> {
    let mut one = Vec::new();
    match reader.take(1).read_to_end(&mut one) {
        Ok(0) => Ok(()),
        Ok(_) => {
            let (path, what, found) = (path.to_path_buf(), "the body", expected + 1);
            Err(DataError::Length { path, offset, what, expected, found, or_more: true })
        }
        Err(error) => {
            let total = offset as u64 + expected;
            let (path, message) = (path.to_path_buf(), error.to_string());
            Err(DataError::Gzip { path, offset: total as usize, expected: total, message })
        }
    }
}
