//! Sets of named switches, written `a,b` or `none`.

use crate::DataError;
use std::fmt;

/// Turns on the switches named in `text`; `what` and `known` say what was to be read.
///
/// # Errors
/// A name stands for no switch.
pub(crate) fn read(
    text: &str,
    switches: &mut [(&str, &mut bool)],
    what: &'static str,
    known: &'static str,
) -> Result<(), DataError> {
    if text.trim() == "none" {
        return Ok(());
    }
    for name in text.split(',').map(str::trim) {
        match switches.iter_mut().find(|(switch, _)| *switch == name) {
            Some((_, on)) => **on = true,
            None => return Err(DataError::Unknown { what, found: name.into(), known }),
        }
    }
    Ok(())
}

/// Writes the names of the switches that are on.
pub(crate) fn write(f: &mut fmt::Formatter<'_>, switches: &[(&str, bool)]) -> fmt::Result {
    let on: Vec<&str> = switches.iter().filter(|(_, on)| *on).map(|&(name, _)| name).collect();
    f.write_str(&if on.is_empty() { "none".into() } else { on.join(",") })
}
