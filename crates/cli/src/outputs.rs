//! The new files that a command is asked to write: checked before its work begins, written at its end.
//!
//! A long run must not end in "exists already". So a command claims each output first, which finds out that the name
//! is free and that the folder takes files; and where writing fails after all, the figures are printed instead of lost.

use crate::terminal::{self, print};
use serde_json::Value;
use spikegrad_lab::files::write;
use spikegrad_lab::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Where figures go as JSON: nowhere, standard output, or a new file.
#[derive(Debug)]
pub enum JsonTarget {
    /// Nobody asked for figures.
    Nowhere,
    /// `--json -`.
    Stdout,
    /// `--json FILE`.
    File(NewFile),
}

impl JsonTarget {
    /// Reads the value of `--json` and checks that it can be written. Standard output is kept for the figures from now
    /// on where they go there.
    ///
    /// # Errors
    /// A file that exists, or a folder that does not exist or takes no files.
    pub fn claim(argument: Option<&str>) -> Result<Self> {
        match argument {
            None => Ok(Self::Nowhere),
            Some("-") => {
                terminal::keep_stdout_for_json();
                Ok(Self::Stdout)
            }
            Some(path) => NewFile::claim("--json", Path::new(path)).map(Self::File),
        }
    }

    /// Checks that the file is none of a command's other outputs; none of them exists yet.
    ///
    /// # Errors
    /// Names the path that would be written twice.
    pub fn is_apart_from(&self, others: &[&Path]) -> Result<()> {
        let Self::File(NewFile { path, .. }) = self else { return Ok(()) };
        match others.iter().any(|other| place(other) == place(path)) {
            true => Err(Error::setting(format!("--json {} names another output, too", path.display()))),
            false => Ok(()),
        }
    }

    /// Tells whether the figures go to standard output, where no table should stand beside them.
    pub fn is_stdout(&self) -> bool {
        matches!(self, Self::Stdout)
    }

    /// Writes the figures, and prints `text` unless they go to standard output.
    ///
    /// # Errors
    /// As [`JsonTarget::write`].
    pub fn report(&self, figures: &Value, text: &str) -> Result<()> {
        if !self.is_stdout() {
            print(text);
        }
        self.write(figures)
    }

    /// Writes the figures.
    ///
    /// # Errors
    /// Whatever the file system says; the figures then go to standard output.
    pub fn write(&self, figures: &Value) -> Result<()> {
        let text = format!("{figures:#}\n");
        match self {
            Self::Nowhere => Ok(()),
            Self::Stdout => {
                terminal::to_stdout(&text);
                Ok(())
            }
            Self::File(file) => file.write(&text).map_err(|why| {
                terminal::to_stdout(&text);
                Error::input(format!("{why}; the figures were printed instead"))
            }),
        }
    }
}

/// The name of a file that does not exist yet, in a folder that takes files.
#[derive(Debug)]
pub struct NewFile {
    flag: &'static str,
    path: PathBuf,
}

impl NewFile {
    /// Checks that `path`, which the user gave with `flag`, can become a new file.
    ///
    /// # Errors
    /// Something of that name exists, or its folder does not exist or takes no files.
    pub fn claim(flag: &'static str, path: &Path) -> Result<Self> {
        let file = Self { flag, path: path.to_path_buf() };
        file.check_name()?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return Err(Error::at(
                folder,
                format!("is no folder that {flag} {} could go to", path.display()),
            ));
        }
        probe(folder)?;
        Ok(file)
    }

    /// As [`NewFile::claim`], where the user gave a path at all.
    ///
    /// # Errors
    /// As [`NewFile::claim`].
    pub fn wanted(flag: &'static str, path: Option<&PathBuf>) -> Result<Option<Self>> {
        path.map(|path| Self::claim(flag, path)).transpose()
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the file whole or not at all.
    ///
    /// # Errors
    /// Something took the name since it was claimed; whatever the file system says.
    pub fn write(&self, text: impl AsRef<[u8]>) -> Result<()> {
        self.check_name()?;
        write(&self.path, text)
    }

    fn check_name(&self) -> Result<()> {
        if self.path.file_name().is_none() {
            return Err(Error::at(&self.path, format!("is no name of a file; {} writes one", self.flag)));
        }
        // A dangling link is something, too.
        match fs::symlink_metadata(&self.path) {
            Ok(_) => Err(Error::at(&self.path, format!("exists already; {} writes a new file", self.flag))),
            Err(_) => Ok(()),
        }
    }
}

/// The names of several files that do not exist yet, in one folder that may not exist yet.
#[derive(Debug)]
pub struct NewFiles {
    folder: PathBuf,
}

impl NewFiles {
    /// Checks that `names` can become new files in `folder`.
    ///
    /// # Errors
    /// A file of these that exists; a folder that takes no files; a place where no folder can be made.
    pub fn claim(folder: &Path, names: &[&str]) -> Result<Self> {
        if let Some(taken) =
            names.iter().map(|name| folder.join(name)).find(|path| path.symlink_metadata().is_ok())
        {
            return Err(Error::at(&taken, "exists already; choose another folder"));
        }
        let there = folder.ancestors().find(|folder| folder.symlink_metadata().is_ok());
        let there = there.unwrap_or(Path::new("."));
        if !there.is_dir() {
            return Err(Error::at(there, "is no folder"));
        }
        probe(there)?;
        Ok(Self { folder: folder.to_path_buf() })
    }

    /// Writes one of the files, in a folder that is made where it is missing.
    ///
    /// # Errors
    /// Something took the name since it was claimed; whatever the file system says.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        fs::create_dir_all(&self.folder).map_err(|why| Error::at(&self.folder, why))?;
        NewFile::claim("--out", &self.folder.join(name))?.write(text)
    }
}

/// Claims the files of `--out FOLDER`, none of which the JSON may be.
///
/// # Errors
/// As [`NewFiles::claim`] and [`JsonTarget::is_apart_from`].
pub fn claim_folder(folder: Option<&Path>, names: &[&str], json: &JsonTarget) -> Result<Option<NewFiles>> {
    let Some(folder) = folder else { return Ok(None) };
    let files = NewFiles::claim(folder, names)?;
    json.is_apart_from(&[folder])?;
    names.iter().try_for_each(|name| json.is_apart_from(&[&folder.join(name)]))?;
    Ok(Some(files))
}

/// The folder of a path without links and detours, and the name in it; the path itself where there is no such folder.
fn place(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_path_buf(),
    }
}

/// Finds out whether a folder takes files, by making one and removing it.
fn probe(folder: &Path) -> Result<()> {
    let path = folder.join(format!(".spikegrad-probe.{}.part", std::process::id()));
    let made = fs::File::create(&path).map_err(|why| Error::at(folder, format!("takes no file: {why}")));
    if made.is_ok() {
        let _ = fs::remove_file(&path);
    }
    made.map(drop)
}
