//! Tables as CSV (RFC 4180): fields are quoted where they have to be, and names cannot command a terminal.

use crate::escape::visible;
use csv::{Writer, WriterBuilder};

/// A table in the making.
///
/// ```
/// let mut csv = spikegrad_report::csv::Csv::with_head(&["run", "accuracy"]);
/// csv.row(["a,b", "0.5"]);
/// assert_eq!(csv.finish(), "run,accuracy\n\"a,b\",0.5\n");
/// ```
pub struct Csv(Writer<Vec<u8>>);

impl Csv {
    /// Begins with the names of the columns.
    pub fn with_head(names: &[&str]) -> Self {
        let mut csv = Self(WriterBuilder::new().flexible(true).from_writer(Vec::new()));
        csv.row(names);
        csv
    }

    /// Adds a row.
    pub fn row(&mut self, fields: impl IntoIterator<Item = impl AsRef<str>>) {
        let fields: Vec<String> = fields.into_iter().map(|field| visible(field.as_ref())).collect();
        // A vector takes every row.
        let _ = self.0.write_record(&fields);
    }

    /// The text.
    pub fn finish(self) -> String {
        let bytes = self.0.into_inner().unwrap_or_default();
        String::from_utf8(bytes).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_have_to_be() {
        let of = |field: &str| {
            let mut csv = Csv::with_head(&["a", "b"]);
            csv.row([field, "1"]);
            csv.finish().strip_prefix("a,b\n").unwrap().strip_suffix(",1\n").unwrap().to_string()
        };
        assert_eq!(of("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(of("plain"), "plain");
        assert_eq!(of("two\nlines"), "\"two\nlines\"");
        assert_eq!(of("\u{1b}[31m\u{202e}"), "\\u{1b}[31m\\u{202e}");
        assert_eq!(of(""), "");
    }
}
