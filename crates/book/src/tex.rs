//! A small part of TeX as MathML.
//!
//! ```text
//! formula  = { scripted }
//! scripted = atom [ "_" atom ] [ "^" atom ]
//! atom     = letter | digits | operator | "{" formula "}" | command { "{" formula "}" } | environment
//! ```

/// Where a formula stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Display {
    /// In a sentence.
    Inline,
    /// On a line of its own.
    Block,
}

/// Letters and other identifiers.
const LETTERS: [(&str, &str); 18] = [
    ("alpha", "α"),
    ("beta", "β"),
    ("gamma", "γ"),
    ("delta", "δ"),
    ("epsilon", "ε"),
    ("mu", "μ"),
    ("pi", "π"),
    ("rho", "ρ"),
    ("sigma", "σ"),
    ("tau", "τ"),
    ("varphi", "φ"),
    ("lambda", "λ"),
    ("partial", "∂"),
    ("infty", "∞"),
    ("top", "⊤"),
    ("ell", "ℓ"),
    ("eta", "η"),
    ("dots", "…"),
];

/// Functions that TeX has a command for; others are `\operatorname{…}`.
const FUNCTIONS: [&str; 7] = ["max", "min", "log", "exp", "tanh", "arctan", "cosh"];

/// Operators and delimiters.
const OPERATORS: [(&str, &str); 18] = [
    ("cdot", "·"),
    ("times", "×"),
    ("mid", "&#124;"),
    ("le", "≤"),
    ("ge", "≥"),
    ("ne", "≠"),
    ("in", "∈"),
    ("to", "→"),
    ("pm", "±"),
    ("approx", "≈"),
    ("odot", "⊙"),
    ("star", "⋆"),
    ("ast", "∗"),
    ("lVert", "‖"),
    ("rVert", "‖"),
    ("langle", "⟨"),
    ("rangle", "⟩"),
    ("Rightarrow", "⇒"),
];

/// Converts a formula.
///
/// # Errors
/// An unknown command, or braces that do not match.
///
/// ```
/// use spikegrad_book::{Display, mathml};
///
/// let made = mathml(r"\frac{\partial L}{\partial u}", Display::Inline)?;
/// assert_eq!(made, "<math><mfrac><mrow><mi>∂</mi><mi>L</mi></mrow><mrow><mi>∂</mi><mi>u</mi></mrow></mfrac></math>");
/// assert!(mathml(r"\unheard", Display::Inline).is_err());
/// # Ok::<(), String>(())
/// ```
pub fn mathml(tex: &str, display: Display) -> Result<String, String> {
    let mut reader = Reader { rest: tex };
    let body = reader.formula(&[])?;
    if !reader.rest.is_empty() {
        return Err(format!("{:?} is left over", reader.rest));
    }
    let kind = if display == Display::Block { " display=\"block\"" } else { "" };
    Ok(format!("<math{kind}>{body}</math>"))
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// Reads until the end, a closing brace, or one of `stops`, which is left.
    fn formula(&mut self, stops: &[&str]) -> Result<String, String> {
        let mut out = String::new();
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.is_empty()
                || self.rest.starts_with('}')
                || stops.iter().any(|stop| self.rest.starts_with(stop))
            {
                return Ok(out);
            }
            out += &self.scripted()?;
        }
    }

    fn scripted(&mut self) -> Result<String, String> {
        let sums = ["\\sum", "\\max_", "\\min_"];
        let limits = sums.iter().any(|sum| self.rest.starts_with(sum));
        let base = self.atom()?;
        let mut script = |mark: char| -> Result<Option<String>, String> {
            match self.rest.strip_prefix(mark) {
                None => Ok(None),
                Some(rest) => {
                    self.rest = rest;
                    self.atom().map(Some)
                }
            }
        };
        let (low, high) = (script('_')?, script('^')?);
        Ok(match (low, high, limits) {
            (None, None, _) => base,
            (Some(low), None, false) => format!("<msub>{base}{low}</msub>"),
            (None, Some(high), _) => format!("<msup>{base}{high}</msup>"),
            (Some(low), Some(high), false) => format!("<msubsup>{base}{low}{high}</msubsup>"),
            (Some(low), None, true) => format!("<munder>{base}{low}</munder>"),
            (Some(low), Some(high), true) => format!("<munderover>{base}{low}{high}</munderover>"),
        })
    }

    fn atom(&mut self) -> Result<String, String> {
        self.rest = self.rest.trim_start();
        let first = self.rest.chars().next().ok_or("the formula ends too early")?;
        if first == '\\' {
            return self.command();
        }
        if first == '{' {
            return self.group();
        }
        let digits = self.rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(self.rest.len());
        if first.is_ascii_digit() {
            return Ok(format!("<mn>{}</mn>", self.take(digits)));
        }
        self.take(first.len_utf8());
        Ok(match first {
            '-' => "<mo>−</mo>".into(),
            '<' => "<mo>&lt;</mo>".into(),
            '>' => "<mo>&gt;</mo>".into(),
            '&' => return Err("& outside an environment".into()),
            c if c.is_alphabetic() => format!("<mi>{c}</mi>"),
            c => format!("<mo>{c}</mo>"),
        })
    }

    /// `{formula}` as one row.
    fn group(&mut self) -> Result<String, String> {
        self.rest = self.rest.trim_start().strip_prefix('{').ok_or("a { is missing")?;
        let body = self.formula(&[])?;
        self.rest = self.rest.strip_prefix('}').ok_or("a } is missing")?;
        Ok(format!("<mrow>{body}</mrow>"))
    }

    fn take(&mut self, len: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        taken
    }

    fn command(&mut self) -> Result<String, String> {
        self.take(1);
        let len = self.rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(self.rest.len());
        let name = self.take(len.max(1));
        let find = |table: &[(&str, &'static str)]| table.iter().find(|(n, _)| *n == name).map(|(_, s)| *s);
        if let Some(letter) = find(&LETTERS) {
            return Ok(format!("<mi>{letter}</mi>"));
        }
        if let Some(operator) = find(&OPERATORS) {
            return Ok(format!("<mo>{operator}</mo>"));
        }
        if FUNCTIONS.contains(&name) {
            return Ok(format!("<mi>{name}</mi>"));
        }
        match name {
            "sum" => Ok("<mo>∑</mo>".into()),
            "frac" => Ok(format!("<mfrac>{}{}</mfrac>", self.group()?, self.group()?)),
            "sqrt" => Ok(format!("<msqrt>{}</msqrt>", self.group()?)),
            "hat" => Ok(format!("<mover accent=\"true\">{}<mo>^</mo></mover>", self.group()?)),
            "text" => Ok(format!("<mtext>{}</mtext>", self.words()?)),
            "operatorname" => Ok(format!("<mi>{}</mi>", self.words()?)),
            "begin" => self.environment(),
            "quad" => Ok("<mspace width=\"1.5em\"></mspace>".into()),
            "," => Ok("<mspace width=\"0.2em\"></mspace>".into()),
            "{" | "}" => Ok(format!("<mo>{name}</mo>")),
            _ => Err(format!("\\{name} is not known")),
        }
    }

    /// The braces' content as it stands.
    fn words(&mut self) -> Result<String, String> {
        let rest = self.rest.strip_prefix('{').ok_or("a { is missing")?;
        let (words, rest) = rest.split_once('}').ok_or("a } is missing")?;
        self.rest = rest;
        Ok(words.replace('&', "&amp;").replace('<', "&lt;").replace(' ', "\u{a0}"))
    }

    /// `aligned` and `cases`: rows ended by `\\`, cells by `&`.
    fn environment(&mut self) -> Result<String, String> {
        let rest = self.rest.strip_prefix('{').ok_or("a { is missing")?;
        let (name, rest) = rest.split_once('}').ok_or("a } is missing")?;
        self.rest = rest;
        let align = match name {
            "aligned" => "right left",
            "cases" => "left left",
            _ => return Err(format!("environment {name} is not known")),
        };
        let mut rows = String::from("<mtr>");
        loop {
            let cell = self.formula(&["&", "\\\\", "\\end"])?;
            let side = if rows.ends_with("<mtr>") { align.split(' ').next() } else { Some("left") };
            rows += &format!("<mtd style=\"text-align:{}\">{cell}</mtd>", side.unwrap_or("left"));
            if let Some(rest) = self.rest.strip_prefix('&') {
                self.rest = rest;
            } else if let Some(rest) = self.rest.strip_prefix("\\\\") {
                self.rest = rest;
                rows += "</mtr><mtr>";
            } else {
                let end = format!("\\end{{{name}}}");
                self.rest = self.rest.strip_prefix(&end[..]).ok_or_else(|| format!("{end} is missing"))?;
                break;
            }
        }
        let table = format!("<mtable columnalign=\"{align}\">{rows}</mtr></mtable>");
        Ok(if name == "cases" { format!("<mrow><mo>{{</mo>{table}</mrow>") } else { table })
    }
}
