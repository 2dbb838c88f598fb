//! Finding and reading the files of a data set.

use crate::error::DataError;
use std::fs;
use std::path::{Path, PathBuf};

/// Reads a whole regular file that must not be empty.
///
/// Errors: [`DataError::Io`], and [`DataError::Empty`] saying that `expected` should be there.
pub(crate) fn read(path: &Path, expected: &'static str) -> Result<Vec<u8>, DataError> {
    let io = |source| DataError::Io { path: path.to_path_buf(), source };
    let kind = fs::metadata(path).map_err(io)?;
    if !kind.is_file() {
        let what = std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a regular file");
        return Err(io(what));
    }
    let bytes = fs::read(path).map_err(io)?;
    if bytes.is_empty() {
        return Err(DataError::Empty { path: path.to_path_buf(), expected });
    }
    Ok(bytes)
}

/// Finds the first of `names` in `directory`.
///
/// Errors: [`DataError::Io`] when there is no such directory, [`DataError::Missing`] when it has no such file.
pub(crate) fn find(directory: &Path, names: &[String]) -> Result<PathBuf, DataError> {
    let io = |source| DataError::Io { path: directory.to_path_buf(), source };
    let entries = fs::read_dir(directory).map_err(io)?.count();
    names.iter().map(|name| directory.join(name)).find(|path| path.exists()).ok_or_else(|| {
        DataError::Missing { directory: directory.to_path_buf(), expected: names.to_vec(), entries }
    })
}

/// Steps into `name` below `directory` when it is there: the archive's own folder, unpacked in place.
pub(crate) fn enter(directory: &Path, name: &str) -> PathBuf {
    let inner = directory.join(name);
    if inner.is_dir() { inner } else { directory.to_path_buf() }
}
