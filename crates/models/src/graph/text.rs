//! The text form of settings: the part of TOML that nets need.
//!
//! Read are comments, bare and quoted keys, basic and literal strings on one line, numbers, booleans, arrays, inline
//! tables, `[table]` and `[[array of tables]]` with a bare name. What is written, any reader of TOML reads. The core has
//! its own reader because a TOML crate would bring seven more crates to every embedder.

use super::{Setting, Settings};
use spikegrad_bptt::ConfigError;
use std::fmt;

/// The deepest nesting of values: far more than nets need, far less than the stack holds.
const DEEPEST: usize = 16;

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Number(text) => f.write_str(text),
            Self::Text(text) => write_quoted(f, text),
            Self::List(list) => {
                f.write_str("[")?;
                for (k, item) in list.iter().enumerate() {
                    write!(f, "{}{item}", if k == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Self::Table(Settings(pairs)) => {
                f.write_str("{ ")?;
                for (k, (name, value)) in pairs.iter().enumerate() {
                    write!(f, "{}{name} = {value}", if k == 0 { "" } else { ", " })?;
                }
                f.write_str(" }")
            }
        }
    }
}

fn write_quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            '\n' => f.write_str("\\n")?,
            c if c.is_control() => write!(f, "\\u{:04X}", u32::from(c))?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

/// Writes a document: lists of tables stand at its end, each table under its heading.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_tables = |value: &Setting| matches!(value, Setting::List(list) if matches!(list.first(), Some(Setting::Table(_))));
        for (name, value) in self.0.iter().filter(|(_, value)| !is_tables(value)) {
            writeln!(f, "{name} = {value}")?;
        }
        for (name, value) in self.0.iter().filter(|(_, value)| is_tables(value)) {
            let Setting::List(tables) = value else { continue };
            for table in tables {
                writeln!(f, "\n[[{name}]]")?;
                let Setting::Table(table) = table else { continue };
                for (name, value) in &table.0 {
                    writeln!(f, "{name} = {value}")?;
                }
            }
        }
        Ok(())
    }
}

/// Reads a document.
///
/// # Errors
/// Names the line, what stands there and what was expected.
pub(crate) fn parse(text: &str) -> Result<Settings, ConfigError> {
    let mut reader = Reader { rest: text, text };
    let mut document = Settings::default();
    // The table that keys belong to: its name, and whether it is one of a list.
    let mut heading: Option<(String, bool)> = None;
    loop {
        reader.skip_lines();
        if reader.rest.is_empty() {
            return Ok(document);
        }
        if reader.eat("[") {
            let is_list = reader.eat("[");
            let name = reader.key()?;
            reader.expect(if is_list { "]]" } else { "]" })?;
            reader.end_of_line()?;
            open_table(&mut document, &name, is_list).map_err(|what| reader.error(&what))?;
            heading = Some((name, is_list));
            continue;
        }
        let name = reader.key()?;
        reader.expect("=")?;
        let value = reader.value(0)?;
        reader.end_of_line()?;
        let table = table(&mut document, &heading);
        if table.0.iter().any(|(own, _)| *own == name) {
            return Err(reader.error(&format!("{name:?} is set twice")));
        }
        table.push(&name, value);
    }
}

/// Adds an empty table to a document.
fn open_table(document: &mut Settings, name: &str, is_list: bool) -> Result<(), String> {
    let known = document.0.iter_mut().find(|(own, _)| own == name).map(|(_, value)| value);
    let empty = Setting::Table(Settings::default());
    match (known, is_list) {
        (None, true) => document.push(name, Setting::List(vec![empty])),
        (None, false) => document.push(name, empty),
        (Some(Setting::List(list)), true) => list.push(empty),
        _ => return Err(format!("{name:?} is set twice")),
    }
    Ok(())
}

/// The table that a heading has opened, or the document itself.
fn table<'a>(document: &'a mut Settings, heading: &Option<(String, bool)>) -> &'a mut Settings {
    let Some((name, _)) = heading else { return document };
    let at = document.0.iter().position(|(own, _)| own == name).expect("the heading has opened it");
    match &mut document.0[at].1 {
        Setting::Table(table) => table,
        Setting::List(list) => match list.last_mut() {
            Some(Setting::Table(table)) => table,
            _ => unreachable!("a heading opens lists of tables"),
        },
        _ => unreachable!("a heading opens tables"),
    }
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl Reader<'_> {
    fn error(&self, what: &str) -> ConfigError {
        let line = self.text[..self.text.len() - self.rest.len()].lines().count().max(1);
        ConfigError::new(format!("line {line}: {what}"))
    }

    /// Says what was expected and what stands there.
    fn expected(&self, want: &str) -> ConfigError {
        let found: String = self.rest.chars().take(20).take_while(|c| *c != '\n').collect();
        let found = if found.is_empty() { "the end of the line".to_string() } else { format!("{found:?}") };
        self.error(&format!("expected {want}, found {found}"))
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    /// Skips spaces, comments and ends of lines.
    fn skip_lines(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
            if !self.rest.starts_with('#') {
                return;
            }
            self.rest = self.rest.find('\n').map_or("", |end| &self.rest[end..]);
        }
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip_spaces();
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, token: &str) -> Result<(), ConfigError> {
        if self.eat(token) { Ok(()) } else { Err(self.expected(&format!("{token:?}"))) }
    }

    fn end_of_line(&mut self) -> Result<(), ConfigError> {
        self.skip_spaces();
        match self.rest.chars().next() {
            None | Some('\n' | '\r' | '#') => Ok(()),
            Some(_) => Err(self.expected("the end of the line")),
        }
    }

    fn key(&mut self) -> Result<String, ConfigError> {
        self.skip_spaces();
        if self.rest.starts_with(['"', '\'']) {
            return self.string();
        }
        let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let end = self.rest.find(|c| !is_bare(c)).unwrap_or(self.rest.len());
        if end == 0 {
            return Err(self.expected("a name"));
        }
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(name.to_string())
    }

    fn value(&mut self, depth: usize) -> Result<Setting, ConfigError> {
        self.skip_spaces();
        if depth > DEEPEST {
            return Err(self.error(&format!("values are nested more than {DEEPEST} deep")));
        }
        match self.rest.chars().next() {
            Some('"' | '\'') => self.string().map(Setting::Text),
            Some('[') => self.list(depth),
            Some('{') => self.inline_table(depth),
            _ => self.word(),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Setting, ConfigError> {
        self.expect("[")?;
        let mut list = Vec::new();
        loop {
            self.skip_lines();
            if self.eat("]") {
                return Ok(Setting::List(list));
            }
            list.push(self.value(depth + 1)?);
            self.skip_lines();
            if !self.eat(",") && !self.rest.starts_with(']') {
                return Err(self.expected("\",\" or \"]\""));
            }
        }
    }

    fn inline_table(&mut self, depth: usize) -> Result<Setting, ConfigError> {
        self.expect("{")?;
        let mut table = Settings::default();
        if self.eat("}") {
            return Ok(Setting::Table(table));
        }
        loop {
            let name = self.key()?;
            self.expect("=")?;
            let value = self.value(depth + 1)?;
            if table.0.iter().any(|(own, _)| *own == name) {
                return Err(self.error(&format!("{name:?} is set twice")));
            }
            table.push(&name, value);
            if self.eat("}") {
                return Ok(Setting::Table(table));
            }
            self.expect(",")?;
        }
    }

    /// A boolean or a number.
    fn word(&mut self) -> Result<Setting, ConfigError> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
        let end = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
        let word = &self.rest[..end];
        let setting = match word {
            "true" => Setting::Bool(true),
            "false" => Setting::Bool(false),
            _ => {
                let number = word.replace('_', "");
                if number.parse::<f64>().is_err() {
                    return Err(self.expected("a value"));
                }
                Setting::Number(number)
            }
        };
        self.rest = &self.rest[end..];
        Ok(setting)
    }

    fn string(&mut self) -> Result<String, ConfigError> {
        let quote = self.rest.chars().next().expect("a string begins with its quote");
        let mut out = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(out);
                }
                '\n' => break,
                '\\' if quote == '"' => match chars.next() {
                    Some((_, 'n')) => out.push('\n'),
                    Some((_, 't')) => out.push('\t'),
                    Some((_, 'r')) => out.push('\r'),
                    Some((_, c @ ('"' | '\\'))) => out.push(c),
                    Some((_, size @ ('u' | 'U'))) => {
                        let digits = if size == 'u' { 4 } else { 8 };
                        let hex: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
                        let code = u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32);
                        out.push(code.ok_or_else(|| self.expected("a character after \\u"))?);
                    }
                    _ => return Err(self.expected("a known escape")),
                },
                c => out.push(c),
            }
        }
        Err(self.expected("a string that ends on its line"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn toml_is_read() {
        let text = "# a net\nname = \"a \\\"b\\\" \\u00e9\" # why\nsteps = 2\r\nhalf=0.5\nbig = 1_000\non = true\n\
                    list = [\n  'x', # first\n  \"y\",\n]\nlif = { decay = 0.5, reset = \"soft\" }\n\n[table]\nk = -1e-4\n\n\
                    [[layer]]\nop = \"conv\"\n[[layer]]\nop = \"flatten\"\n";
        let mut read = parse(text).unwrap();
        assert_eq!(read.need::<String>("name").unwrap(), "a \"b\" é");
        assert_eq!(
            (read.need("steps"), read.need("half"), read.need("big")),
            (Ok(2usize), Ok(0.5f32), Ok(1000u64))
        );
        assert_eq!(read.take("on"), Some(Setting::Bool(true)));
        assert_eq!(read.take("list").unwrap().parse_texts("list").unwrap(), ["x", "y"]);
        let mut lif = read.take("lif").unwrap().parse_table("lif").unwrap();
        assert_eq!((lif.need("decay"), lif.need("reset")), (Ok(0.5f64), Ok("soft".to_string())));
        let mut table = read.take("table").unwrap().parse_table("table").unwrap();
        assert_eq!(table.need("k"), Ok(-1e-4f32));
        let Some(Setting::List(layers)) = read.take("layer") else { panic!("two layers") };
        assert_eq!(layers.len(), 2);
        assert_eq!(read.finish(), Ok(()));
    }

    #[test]
    fn what_is_no_toml_is_named_with_its_line() {
        for (text, line, want) in [
            ("a = 1\nb 2", 2, "\"=\""),
            ("a = ", 1, "a value"),
            ("a = [1", 1, "\",\" or \"]\""),
            ("a = \"x\n\"", 1, "ends on its line"),
            ("a = 1\na = 2", 2, "set twice"),
            ("[a]\n[a]", 2, "set twice"),
            ("a = {x = 1, x = 2}", 1, "set twice"),
            ("a = 1 2", 1, "the end of the line"),
            ("= 1", 1, "a name"),
            ("a = \"\\q\"", 1, "escape"),
            ("a = 12x", 1, "a value"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("line {line}: ")) && error.contains(want),
                "{text:?}: {error}"
            );
        }
        let deep = format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(parse(&deep).unwrap_err().to_string().contains("nested"));
    }

    fn setting() -> impl Strategy<Value = Setting> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Setting::Bool),
            any::<f32>().prop_filter("a number", |x| x.is_finite()).prop_map(Setting::number),
            any::<u64>().prop_map(Setting::number),
            any::<String>().prop_map(Setting::Text),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4)
                    .prop_filter("lists of tables have headings", |list| {
                        !list.iter().any(|item| matches!(item, Setting::Table(_)))
                    })
                    .prop_map(Setting::List),
                prop::collection::btree_map("[a-z][a-z0-9_-]{0,8}", inner, 0..4)
                    .prop_map(|pairs| Setting::Table(Settings(pairs.into_iter().collect()))),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(pairs in prop::collection::btree_map("[a-z]{1,8}", setting(), 0..6)) {
            let settings = Settings(pairs.into_iter().collect());
            prop_assert_eq!(parse(&settings.to_string()).unwrap(), settings);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[\\[\\]{}=\"'a-c1.,#\\\\\n \u{e9}]{0,40}") {
            let _ = parse(&text);
        }
    }
}
