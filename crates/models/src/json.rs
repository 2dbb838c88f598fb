//! JSON (RFC 8259), as far as a safetensors header needs it: all of it is read, strings are written.
//!
//! What the grammar allows is accepted and nothing else: no `007`, no comma before a closing bracket, no raw control
//! character in a string. Two decisions are our own: a surrogate escape without its partner is refused, since no
//! UTF-8 text can hold it, and so is a number beyond an `f64`. Names that stand twice are the caller's to judge.

/// A parsed value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Object(Vec<(String, Json)>),
    Array(Vec<Json>),
    String(String),
    /// A whole number that is not negative.
    Number(u64),
    /// Any other number.
    Real(f64),
    Bool(bool),
    Null,
}

/// Most arrays and objects inside each other.
const DEPTH: usize = 127;

/// The byte offset of a fault, and what was expected there.
type Fault = (usize, &'static str);

/// Parses `text`.
///
/// # Errors
/// The byte offset of the first fault and what was expected there.
pub(crate) fn parse(text: &str) -> Result<Json, Fault> {
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(0)?;
    parser.blanks();
    if parser.at == text.len() { Ok(value) } else { Err((parser.at, "the end")) }
}

/// Writes a string with its quotes.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Steps over `token`, if it comes next behind blanks.
    fn eat(&mut self, token: u8) -> bool {
        self.blanks();
        let hit = self.peek() == Some(token);
        self.at += usize::from(hit);
        hit
    }

    fn need(&mut self, token: u8, name: &'static str) -> Result<(), Fault> {
        if self.eat(token) { Ok(()) } else { Err((self.at, name)) }
    }

    fn value(&mut self, depth: usize) -> Result<Json, Fault> {
        self.blanks();
        if depth > DEPTH {
            return Err((self.at, "at most 127 levels"));
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, Fault> {
        self.need(b'{', "an object")?;
        let mut members = Vec::new();
        if self.eat(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            let name = self.string()?;
            self.need(b':', "a colon")?;
            members.push((name, self.value(depth + 1)?));
            if self.eat(b'}') {
                return Ok(Json::Object(members));
            }
            self.need(b',', "a comma")?;
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, Fault> {
        self.need(b'[', "an array")?;
        let mut items = Vec::new();
        if self.eat(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.eat(b']') {
                return Ok(Json::Array(items));
            }
            self.need(b',', "a comma")?;
        }
    }

    fn word(&mut self) -> Result<Json, Fault> {
        let rest = &self.text[self.at..];
        let words = [("null", Json::Null), ("true", Json::Bool(true)), ("false", Json::Bool(false))];
        for (word, value) in words {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err((self.at, "a value"))
    }

    fn number(&mut self) -> Result<Json, Fault> {
        let begin = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        let text = &self.text[begin..self.at];
        match (text.parse(), text.parse::<f64>()) {
            (Ok(whole), _) => Ok(Json::Number(whole)),
            (_, Ok(real)) if real.is_finite() => Ok(Json::Real(real)),
            _ => Err((begin, "a number below 1.8e308")),
        }
    }

    /// Steps over one or more digits.
    fn digits(&mut self) -> Result<(), Fault> {
        let begin = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > begin { Ok(()) } else { Err((self.at, "a digit")) }
    }

    fn string(&mut self) -> Result<String, Fault> {
        self.need(b'"', "a string")?;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.find(|c: char| matches!(c, '"' | '\\') || c < ' ');
            let plain = plain.ok_or((self.text.len(), "a closing quote"))?;
            out.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                _ => return Err((self.at, "an escape for a control character")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let begin = self.at;
        let c = self.text.as_bytes().get(begin + 1).copied();
        self.at += 2;
        Ok(match c {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(begin),
            _ => return Err((begin, "a known escape")),
        })
    }

    /// Reads the character of an escape `\u` with four digits, or of two such escapes that are a surrogate pair.
    fn unicode(&mut self, begin: usize) -> Result<char, Fault> {
        let first = self.hex()?;
        let code = match first {
            0xd800..=0xdbff => {
                if !self.text[self.at..].starts_with("\\u") {
                    return Err((self.at, "the second half of a surrogate pair"));
                }
                self.at += 2;
                let second = self.hex()?;
                if !(0xdc00..=0xdfff).contains(&second) {
                    return Err((self.at - 4, "the second half of a surrogate pair"));
                }
                0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            code => code,
        };
        char::from_u32(code).ok_or((begin, "the first half of a surrogate pair"))
    }

    /// Four hexadecimal digits.
    fn hex(&mut self) -> Result<u32, Fault> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.ok_or((self.at, "four hexadecimal digits"))?;
        self.at += 4;
        let digit = |c: &u8| (*c as char).to_digit(16).unwrap_or(0);
        Ok(digits.iter().fold(0, |code, c| code << 4 | digit(c)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// The same value as another parser's.
    fn same(ours: &Json, theirs: &Value) -> bool {
        match (ours, theirs) {
            (Json::Null, Value::Null) => true,
            (Json::Bool(a), Value::Bool(b)) => a == b,
            (Json::Number(a), Value::Number(b)) => b.as_u64() == Some(*a),
            (Json::Real(a), Value::Number(b)) => b.as_f64() == Some(*a),
            (Json::String(a), Value::String(b)) => a == b,
            (Json::Array(a), Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
            }
            // Of names that stand twice the other parser keeps the last.
            (Json::Object(a), Value::Object(b)) => b.iter().all(|(name, value)| {
                let last = a.iter().rev().find(|(own, _)| own == name);
                last.is_some_and(|(_, own)| same(own, value))
            }),
            _ => false,
        }
    }

    fn agree(text: &str) {
        let (ours, theirs) = (parse(text), serde_json::from_str::<Value>(text));
        match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) => assert!(same(ours, theirs), "{text:?}: {ours:?}, {theirs:?}"),
            (Err((at, _)), Err(_)) => assert!(*at <= text.len(), "{text:?}: {at}"),
            _ => panic!("{text:?}: {ours:?}, {theirs:?}"),
        }
    }

    #[test]
    fn escapes_and_numbers_are_those_of_the_standard() {
        let string = |text: &str| parse(text);
        assert_eq!(string(r#""\b\f\/\n\r\t\"\\""#), Ok(Json::String("\u{8}\u{c}/\n\r\t\"\\".into())));
        assert_eq!(string(r#""\ud83d\ude00\u00e9""#), Ok(Json::String("😀é".into())));
        assert_eq!(
            parse(r#"{"__metadata__" : null}"#),
            Ok(Json::Object(vec![("__metadata__".into(), Json::Null)]))
        );
        let refused = [
            r#""\u+123""#,
            r#""\u12""#,
            r#""\ud83d""#,
            r#""\ud83d\u0041""#,
            r#""\ude00""#,
            r#""\x41""#,
            "007",
            "-",
            "1.",
            ".5",
            "1e",
            "+1",
            "[1,]",
            "{\"a\":1,}",
            "{,}",
            "\"a\nb\"",
            "\"a",
            "nul",
            "1e999",
            "",
            "[1 2]",
            "\u{feff}1",
            "NaN",
            "{\"a\"}",
            "{1:2}",
            "[",
            "1 1",
            "\"\\u00e\u{e9}\"",
        ];
        for text in refused {
            assert!(parse(text).is_err(), "{text:?}");
            agree(text);
        }
        agree(&("[".repeat(127) + &"]".repeat(127)));
        agree(&("[".repeat(200) + &"]".repeat(200)));
    }

    #[test]
    fn strings_are_read_as_they_were_written() {
        let all: String = (0..0x300u32).filter_map(char::from_u32).chain(['😀', '\u{2028}']).collect();
        assert_eq!(parse(&quote(&all)), Ok(Json::String(all.clone())));
        assert_eq!(serde_json::from_str::<String>(&quote(&all)).unwrap(), all);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        /// Pieces of JSON in any order: mostly broken, in ways that people break it.
        #[test]
        fn broken_text_is_judged_as_serde_json_judges(pieces in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"", "\"a\"", "\"\\u12", "\"\\ud800\"", "\\udc00", "\\", "0", "1", "-", "12",
            ".", "e", "E+", "null", "true", "false", " ", "\t", "\n", "é", "\"b\":", "1.5", "\u{1}",
        ]), 0..9)) {
            agree(&pieces.concat());
        }

        /// Whole values, as another writer writes them, and the same with a byte changed.
        #[test]
        fn whole_values_are_read_as_serde_json_reads_them(
            names in prop::collection::vec(any::<String>(), 0..4),
            number in any::<f64>(),
            whole in any::<i64>(),
            at in any::<prop::sample::Index>(),
            byte in 0u8..128,
        ) {
            let value = serde_json::json!({ "list": names, "real": number, "whole": whole, "none": null, "yes": true });
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                agree(&text);
                let mut bytes = text.into_bytes();
                let at = at.index(bytes.len());
                bytes[at] = byte;
                if let Ok(text) = String::from_utf8(bytes) {
                    agree(&text);
                }
            }
        }
    }
}
