//! Finding and reading the files of a data set.

use crate::error::DataError;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The largest file that is read whole; the largest of a known data set has 47 MB.
const SIZE_LIMIT: u64 = 1 << 31;

/// Reads a whole regular file that must not be empty.
///
/// Errors: [`DataError::Io`], also where it is no regular file or changes meanwhile; [`DataError::FileSize`]; and
/// [`DataError::Empty`] saying that `expected` should be there.
pub(crate) fn read(path: &Path, expected: &'static str) -> Result<Vec<u8>, DataError> {
    let fail = |source| DataError::Io { path: path.to_path_buf(), source };
    let kind = fs::metadata(path).map_err(fail)?;
    if !kind.is_file() {
        let what = io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
        return Err(fail(what));
    }
    if kind.len() > SIZE_LIMIT {
        let (path, found) = (path.to_path_buf(), kind.len());
        return Err(DataError::FileSize { path, found, limit: SIZE_LIMIT });
    }
    let mut bytes = Vec::new();
    // One byte more than was there, so that a file that grows is seen and one that never ends is left.
    fs::File::open(path).and_then(|file| file.take(kind.len() + 1).read_to_end(&mut bytes)).map_err(fail)?;
    if bytes.len() as u64 != kind.len() {
        let what = format!("{} bytes came, the file had {}: something writes to it", bytes.len(), kind.len());
        return Err(fail(io::Error::other(what)));
    }
    if bytes.is_empty() {
        return Err(DataError::Empty { path: path.to_path_buf(), expected });
    }
    Ok(bytes)
}

/// Finds the first of `names` that is a file in `directory`, or in a folder there that has one of the names itself, as some
/// archives unpack.
///
/// Errors: [`DataError::Io`] when there is no such directory, [`DataError::Missing`] when it has no such file.
pub(crate) fn find(directory: &Path, names: &[String]) -> Result<PathBuf, DataError> {
    let io = |source| DataError::Io { path: directory.to_path_buf(), source };
    let entries = fs::read_dir(directory).map_err(io)?.count();
    let folders = names.iter().map(|folder| directory.join(folder));
    let within = folders.flat_map(|folder| names.iter().map(move |name| folder.join(name)));
    let plain = || names.iter().map(|name| directory.join(name));
    // A folder or pipe of that name comes last: reading it says what it is.
    let found =
        plain().chain(within).find(|path| path.is_file()).or_else(|| plain().find(|path| path.exists()));
    found.ok_or_else(|| DataError::Missing {
        directory: directory.to_path_buf(),
        expected: names.to_vec(),
        entries,
    })
}

/// Steps into `name` below `directory` when it is there: the archive's own folder, unpacked in place.
pub(crate) fn enter(directory: &Path, name: &str) -> PathBuf {
    let inner = directory.join(name);
    if inner.is_dir() { inner } else { directory.to_path_buf() }
}
