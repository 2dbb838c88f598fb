//! Settings of ops as names and values, which have a text form.

use spikegrad_bptt::ConfigError;
use std::fmt;
use std::str::FromStr;

/// A value of a setting. Numbers are kept as they are written, so that each type reads its own bits.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(String),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Setting>),
    /// Settings under names.
    Table(Settings),
}

impl Setting {
    /// Writes a number so that it reads back to the same bits.
    pub fn number(value: impl fmt::Display) -> Self {
        Self::Number(value.to_string())
    }

    /// Writes a text.
    pub fn text(value: impl fmt::Display) -> Self {
        Self::Text(value.to_string())
    }

    /// Writes a list of texts.
    pub fn texts(values: impl IntoIterator<Item = impl fmt::Display>) -> Self {
        Self::List(values.into_iter().map(Self::text).collect())
    }

    /// Reads the value, a number or a text, as a type that has a text form; `name` is that of the setting.
    ///
    /// # Errors
    /// The value is of another form.
    pub fn parse<T: FromStr<Err: fmt::Display>>(&self, name: &str) -> Result<T, ConfigError> {
        let text = match self {
            Self::Number(text) | Self::Text(text) => text.clone(),
            Self::Bool(value) => value.to_string(),
            Self::List(_) | Self::Table(_) => return Err(self.wrong(name, "a number or a text")),
        };
        text.parse().map_err(|error| ConfigError::new(format!("{name} is {self}: {error}")))
    }

    /// Reads a list of texts; a single text is a list of one.
    ///
    /// # Errors
    /// The value is of another form.
    pub fn parse_texts(&self, name: &str) -> Result<Vec<String>, ConfigError> {
        match self {
            Self::Text(text) => Ok(vec![text.clone()]),
            Self::List(list) => list.iter().map(|item| item.parse(name)).collect(),
            _ => Err(self.wrong(name, "a text or a list of texts")),
        }
    }

    /// Reads settings under names.
    ///
    /// # Errors
    /// The value is of another form.
    pub fn parse_table(self, name: &str) -> Result<Settings, ConfigError> {
        match self {
            Self::Table(table) => Ok(table),
            _ => Err(self.wrong(name, "a table")),
        }
    }

    fn wrong(&self, name: &str, want: &str) -> ConfigError {
        ConfigError::out_of_range(name, self, want)
    }
}

/// Names and values, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings(pub(super) Vec<(String, Setting)>);

impl<const N: usize> From<[(&str, Setting); N]> for Settings {
    fn from(pairs: [(&str, Setting); N]) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_string(), value)).collect())
    }
}

impl Settings {
    /// The names and values.
    pub fn pairs(&self) -> &[(String, Setting)] {
        &self.0
    }

    /// Adds a setting at the end.
    pub fn push(&mut self, name: &str, value: Setting) {
        self.0.push((name.to_string(), value));
    }

    /// Takes a setting out, if it is there.
    pub fn take(&mut self, name: &str) -> Option<Setting> {
        let at = self.0.iter().position(|(own, _)| own == name)?;
        Some(self.0.remove(at).1)
    }

    /// Takes a setting out and reads it, if it is there.
    ///
    /// # Errors
    /// The value is of another form.
    pub fn take_as<T: FromStr<Err: fmt::Display>>(&mut self, name: &str) -> Result<Option<T>, ConfigError> {
        self.take(name).map(|value| value.parse(name)).transpose()
    }

    /// Takes a setting out and reads it.
    ///
    /// # Errors
    /// The setting is missing, or of another form.
    pub fn need<T: FromStr<Err: fmt::Display>>(&mut self, name: &str) -> Result<T, ConfigError> {
        self.take_as(name)?.ok_or_else(|| ConfigError::new(format!("{name} is missing")))
    }

    /// Checks that every setting has been taken.
    ///
    /// # Errors
    /// Names the first that is left.
    pub fn finish(&self) -> Result<(), ConfigError> {
        match self.0.first() {
            None => Ok(()),
            Some((name, value)) => {
                Err(ConfigError::new(format!("setting {name:?} ({value}) is not known here")))
            }
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
