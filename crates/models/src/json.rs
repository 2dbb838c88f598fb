//! The little JSON that a safetensors header is: objects, arrays, strings and whole numbers.

/// A parsed value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Object(Vec<(String, Json)>),
    Array(Vec<Json>),
    String(String),
    Number(u64),
}

/// Parses `text`; the error is the byte offset and what was expected there.
pub(crate) fn parse(text: &str) -> Result<Json, (usize, &'static str)> {
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
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn eat(&mut self, token: char) -> bool {
        self.blanks();
        let hit = self.rest().starts_with(token);
        self.at += usize::from(hit);
        hit
    }

    fn need(&mut self, token: char, name: &'static str) -> Result<(), (usize, &'static str)> {
        if self.eat(token) { Ok(()) } else { Err((self.at, name)) }
    }

    fn value(&mut self, depth: usize) -> Result<Json, (usize, &'static str)> {
        if depth > 4 {
            return Err((self.at, "at most four levels"));
        }
        if self.eat('{') {
            let mut members = Vec::new();
            while !self.eat('}') {
                if !members.is_empty() {
                    self.need(',', "a comma")?;
                }
                let name = self.string()?;
                self.need(':', "a colon")?;
                members.push((name, self.value(depth + 1)?));
            }
            return Ok(Json::Object(members));
        }
        if self.eat('[') {
            let mut items = Vec::new();
            while !self.eat(']') {
                if !items.is_empty() {
                    self.need(',', "a comma")?;
                }
                items.push(self.value(depth + 1)?);
            }
            return Ok(Json::Array(items));
        }
        self.blanks();
        if self.rest().starts_with('"') {
            return Ok(Json::String(self.string()?));
        }
        let digits = self.rest().len() - self.rest().trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number = self.rest()[..digits].parse().map_err(|_| (self.at, "a whole number"))?;
        self.at += digits;
        Ok(Json::Number(number))
    }

    fn string(&mut self) -> Result<String, (usize, &'static str)> {
        self.need('"', "a string")?;
        let mut out = String::new();
        loop {
            let c = self.rest().chars().next().ok_or((self.at, "a closing quote"))?;
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(out),
                '\\' => out.push(self.escape()?),
                c => out.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, (usize, &'static str)> {
        let c = self.rest().chars().next().ok_or((self.at, "an escape"))?;
        self.at += c.len_utf8();
        Ok(match c {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            '"' | '\\' | '/' => c,
            'u' => {
                let code = self.rest().get(..4).and_then(|hex| u32::from_str_radix(hex, 16).ok());
                let c = code.and_then(char::from_u32).ok_or((self.at, "four hexadecimal digits"))?;
                self.at += 4;
                c
            }
            _ => return Err((self.at, "a known escape")),
        })
    }
}
