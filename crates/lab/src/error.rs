//! What an experiment can end with, besides success.

use spikegrad::data::DataError;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// An error of another type, or a sentence.
pub type Cause = Box<dyn StdError + Send + Sync>;

/// Why an experiment stopped. Every message is one line.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder cannot be read, written or used.
    Path {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: Cause,
    },
    /// A setting makes no sense.
    Setting {
        /// The file that holds the setting, where one does.
        file: Option<PathBuf>,
        /// What is wrong with it.
        source: Cause,
    },
    /// An input is bad, or a check failed.
    Input(Cause),
    /// The trainer reports an error.
    Engine(spikegrad::Error),
    /// A data set cannot be read or used.
    Data(DataError),
    /// A page or a picture cannot be made.
    Report(spikegrad_report::Error),
    /// The system refuses.
    Io(io::Error),
    /// The caller asked to stop, and everything was left in order.
    Stopped,
}

/// What experiments give back.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Reports a bad input or a failed check.
    pub fn input(source: impl Into<Cause>) -> Self {
        Self::Input(source.into())
    }

    /// Reports a setting that makes no sense.
    pub fn setting(source: impl Into<Cause>) -> Self {
        Self::Setting { file: None, source: source.into() }
    }

    /// Reports what is wrong with the file or folder at `path`.
    pub fn at(path: &Path, source: impl Into<Cause>) -> Self {
        Self::Path { path: path.to_path_buf(), source: source.into() }
    }

    /// Says which file holds what is wrong.
    pub fn of_file(self, path: &Path) -> Self {
        let path = path.to_path_buf();
        match self {
            Self::Setting { file: None, source } => Self::Setting { file: Some(path), source },
            Self::Stopped => Self::Stopped,
            Self::Input(source) => Self::Path { path, source },
            other => Self::Path { path, source: other.into() },
        }
    }

    /// Tells whether a setting is to blame, rather than an input or the system.
    pub fn is_setting(&self) -> bool {
        matches!(self, Self::Setting { .. })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self {
            Self::Path { path, source } | Self::Setting { file: Some(path), source } => {
                format!("{}: {source}", path.display())
            }
            Self::Setting { file: None, source } | Self::Input(source) => source.to_string(),
            Self::Engine(why) => why.to_string(),
            Self::Data(why) => why.to_string(),
            Self::Report(why) => why.to_string(),
            Self::Io(why) => why.to_string(),
            Self::Stopped => "stopped by a signal".to_string(),
        };
        let line: Vec<&str> = why.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        f.write_str(&line.join(" "))
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Path { source, .. } | Self::Setting { source, .. } | Self::Input(source) => Some(&**source),
            Self::Engine(why) => Some(why),
            Self::Data(why) => Some(why),
            Self::Report(why) => Some(why),
            Self::Io(why) => Some(why),
            Self::Stopped => None,
        }
    }
}

impl From<spikegrad::Error> for Error {
    /// A configuration that makes no sense is a setting's fault.
    fn from(why: spikegrad::Error) -> Self {
        match why {
            spikegrad::Error::Config(why) => Self::setting(why),
            other => Self::Engine(other),
        }
    }
}

impl From<DataError> for Error {
    fn from(why: DataError) -> Self {
        Self::Data(why)
    }
}

impl From<spikegrad_report::Error> for Error {
    fn from(why: spikegrad_report::Error) -> Self {
        Self::Report(why)
    }
}

impl From<io::Error> for Error {
    fn from(why: io::Error) -> Self {
        Self::Io(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_line_and_keep_their_causes() {
        let refused = io::Error::new(io::ErrorKind::PermissionDenied, "first\n  second");
        let why = Error::at(Path::new("a/b"), refused);
        assert_eq!(why.to_string(), "a/b: first second");
        let source = why.source().and_then(|why| why.downcast_ref::<io::Error>());
        assert_eq!(source.map(io::Error::kind), Some(io::ErrorKind::PermissionDenied));
        assert!(!why.is_setting());
        let why = Error::setting("--lr is -1").of_file(Path::new("config.toml"));
        assert_eq!(why.to_string(), "config.toml: --lr is -1");
        assert!(why.is_setting());
        assert!(Error::Stopped.source().is_none());
    }
}
