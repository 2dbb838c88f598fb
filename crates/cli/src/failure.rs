//! What a command can end with, besides success.

use std::fmt;
use std::path::Path;

/// Why a command stopped: one line for the user, and the exit status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A bad input or a failed check: status 1.
    Input(String),
    /// A flag or a setting that makes no sense: status 2.
    Usage(String),
    /// A signal stopped the work, which was left in order; the customary status of that signal.
    Stopped(u8),
}

impl Failure {
    /// Reports a bad input from anything that explains itself.
    pub fn input(why: impl fmt::Display) -> Self {
        Self::Input(why.to_string())
    }

    /// Reports wrong usage from anything that explains itself.
    pub fn usage(why: impl fmt::Display) -> Self {
        Self::Usage(why.to_string())
    }

    /// Reports what went wrong with the file or folder at `path`.
    pub fn at(path: &Path, why: impl fmt::Display) -> Self {
        Self::Input(format!("{}: {why}", path.display()))
    }

    /// Says which file the reason is in.
    pub fn of_file(self, path: &Path) -> Self {
        match self {
            Self::Input(why) => Self::at(path, why),
            Self::Usage(why) => Self::Usage(format!("{}: {why}", path.display())),
            stopped => stopped,
        }
    }

    /// The exit status.
    pub fn status(&self) -> u8 {
        match self {
            Self::Input(_) => 1,
            Self::Usage(_) => 2,
            Self::Stopped(status) => *status,
        }
    }
}

impl fmt::Display for Failure {
    /// Prints the reason on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self {
            Self::Input(why) | Self::Usage(why) => why,
            Self::Stopped(_) => "stopped by a signal",
        };
        let line: Vec<&str> = why.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        f.write_str(&line.join(" "))
    }
}

impl std::error::Error for Failure {}

impl From<spikegrad::Error> for Failure {
    /// A configuration that makes no sense is wrong usage, all else a bad input.
    fn from(error: spikegrad::Error) -> Self {
        match error {
            spikegrad::Error::Config(why) => Self::usage(why),
            other => Self::input(other),
        }
    }
}
