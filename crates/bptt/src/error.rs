//! The error of a configuration.

use spikegrad_tensor::{LevelError, NoMemory, ShapeError};
use std::error::Error;
use std::fmt::{self, Display};
use std::sync::Arc;

/// A hyper-parameter makes no sense, or a configuration cannot be carried out.
///
/// The text is one line that names the setting, its value and what was expected. Where the three are known apart, the
/// error holds them as well.
///
/// ```
/// use spikegrad_bptt::LifConfig;
///
/// let error = LifConfig::default().decay(1.5).check().unwrap_err();
/// assert_eq!(error.to_string(), "decay is 1.5, must be between 0 and 1");
/// assert_eq!(error.setting(), Some("decay"));
/// assert_eq!((error.value(), error.expected()), (Some("1.5"), Some("between 0 and 1")));
/// ```
#[derive(Clone, Debug)]
pub struct ConfigError {
    text: String,
    setting: Option<Setting>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// The parts of a text about one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Setting {
    name: String,
    value: String,
    expected: String,
}

impl ConfigError {
    /// Makes an error of a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), setting: None, source: None }
    }

    /// Makes the error "`setting` is `value`, must be `expected`".
    pub fn out_of_range(setting: impl Display, value: impl Display, expected: impl Display) -> Self {
        let text = format!("{setting} is {value}, must be {expected}");
        let setting =
            Setting { name: setting.to_string(), value: value.to_string(), expected: expected.to_string() };
        Self { text, setting: Some(setting), source: None }
    }

    /// Makes the error "no `kind` is called `name`; known: `known`".
    pub fn unknown(kind: &str, name: &str, known: impl Display) -> Self {
        let text = format!("no {kind} is called {name:?}; known: {known}");
        let setting = Setting { name: kind.into(), value: name.into(), expected: known.to_string() };
        Self { text, setting: Some(setting), source: None }
    }

    /// Puts a place, such as a layer, and a colon before the text.
    #[must_use]
    pub fn within(self, place: impl Display) -> Self {
        Self { text: format!("{place}: {}", self.text), ..self }
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn because(self, cause: impl Error + Send + Sync + 'static) -> Self {
        Self { source: Some(Arc::new(cause)), ..self }
    }

    /// Returns the setting's name, where it is known.
    pub fn setting(&self) -> Option<&str> {
        self.setting.as_ref().map(|setting| &setting.name[..])
    }

    /// Returns the value that the setting has, where it is known.
    pub fn value(&self) -> Option<&str> {
        self.setting.as_ref().map(|setting| &setting.value[..])
    }

    /// Returns what the setting must be, where it is known.
    pub fn expected(&self) -> Option<&str> {
        self.setting.as_ref().map(|setting| &setting.expected[..])
    }
}

/// Two errors are equal if their texts and settings are.
impl PartialEq for ConfigError {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, &self.setting) == (&other.text, &other.setting)
    }
}

impl Eq for ConfigError {}

impl Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.source.as_ref()?;
        Some(&**source)
    }
}

impl From<ShapeError> for ConfigError {
    fn from(error: ShapeError) -> Self {
        Self::new(error.to_string()).because(error)
    }
}

impl From<NoMemory> for ConfigError {
    fn from(error: NoMemory) -> Self {
        Self::new(error.to_string()).because(error)
    }
}

impl From<LevelError> for ConfigError {
    fn from(error: LevelError) -> Self {
        Self::new(error.to_string()).because(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_causes_can_be_asked_for() {
        let error = ConfigError::out_of_range("batch", 0, "at least 1").within("layer 3");
        assert_eq!(error.to_string(), "layer 3: batch is 0, must be at least 1");
        assert_eq!(
            (error.setting(), error.value(), error.expected()),
            (Some("batch"), Some("0"), Some("at least 1"))
        );
        let error = ConfigError::unknown("reset", "round", "hard, soft");
        assert_eq!(error.to_string(), "no reset is called \"round\"; known: hard, soft");
        assert!(error.source().is_none() && error != ConfigError::new(error.to_string()));
        let why = spikegrad_tensor::memory::try_vec(usize::MAX, 0u8).unwrap_err();
        let error = ConfigError::from(why);
        assert_eq!(error.to_string(), "18446744073709551615 bytes of memory cannot be had");
        assert_eq!(error.source().unwrap().downcast_ref(), Some(&why));
    }
}
