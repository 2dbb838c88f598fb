//! Serialises settings that have a type here and a name in files.

use serde::{Deserialize, Deserializer, Serializer, de};
use std::fmt::Display;
use std::str::FromStr;

/// Writes the name.
pub fn serialize<T: Display, S: Serializer>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => to.collect_str(value),
        None => to.serialize_none(),
    }
}

/// Settings that were switches before they had names.
pub mod switch {
    pub use super::serialize;
    use serde::{Deserialize, Deserializer, de};
    use std::fmt::Display;
    use std::str::FromStr;

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Switch(bool),
        Name(String),
    }

    /// Reads a name, or a switch.
    pub fn deserialize<'de, T: FromStr<Err: Display> + From<bool>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        match Form::deserialize(from)? {
            Form::Switch(on) => Ok(Some(on.into())),
            Form::Name(name) => name.parse().map(Some).map_err(de::Error::custom),
        }
    }
}

/// Settings that are a name or a number.
pub mod or_number {
    pub use super::serialize;
    use serde::{Deserialize, Deserializer, de};
    use std::fmt::Display;
    use std::str::FromStr;

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Number(f64),
        Name(String),
    }

    /// Reads a name, or a number.
    pub fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        let text = match Form::deserialize(from)? {
            Form::Number(number) => number.to_string(),
            Form::Name(name) => name,
        };
        text.parse().map(Some).map_err(de::Error::custom)
    }
}

/// Reads a name.
pub fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    let name = String::deserialize(from)?;
    name.parse().map(Some).map_err(de::Error::custom)
}
