//! Making foreign text safe where it goes: names of files, folders and classes are whatever their owners chose.
//!
//! | function | for |
//! |---|---|
//! | [`html`] | HTML and SVG, text and attributes |
//! | [`markdown`] | a cell of a Markdown table |
//! | [`script`] | JSON in a script element of HTML |
//! | [`visible`] | a terminal |
//! | [`shell`], [`shell_path`] | a command that a person may copy into a POSIX shell |

use spikegrad::data::printable;
use std::path::Path;

/// Tells control characters and marks that turn the direction of writing.
fn commands(c: char) -> bool {
    !printable(c.encode_utf8(&mut [0; 4])).starts_with(c)
}

/// Writes a value as JSON inside a script element of HTML, which neither `</script>` nor `<!--` in a name may end.
pub fn script(value: &serde_json::Value) -> String {
    value.to_string().replace('<', "\\u003c")
}

/// Escapes text for HTML and SVG, inside elements and inside quoted attributes.
pub fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            '\t' | '\n' | '\r' => out.push(c),
            // XML 1.0 admits no other control characters, not even as references.
            c if commands(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Escapes text for a cell of a Markdown table: one line, no table bars, no markup, no HTML.
pub fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '~' => out.extend(['\\', c]),
            c if commands(c) => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Shows control characters, line ends and tabs excepted, and marks that turn the direction of writing as `\u{…}`: a
/// name cannot move the cursor, change colours or hide what stands beside it.
pub fn visible(text: &str) -> String {
    let line = |line: &str| line.split('\t').map(printable).collect::<Vec<_>>().join("\t");
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// Quotes a word for a POSIX shell where it has to be.
pub fn shell(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_string(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// Quotes a path for a POSIX shell, so that no program takes it for a flag.
pub fn shell_path(path: &Path) -> String {
    let path = path.to_string_lossy();
    if path.starts_with('-') { shell(&format!("./{path}")) } else { shell(&path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_names_wherever_they_go() {
        let name = "R&D <img src=x onerror='a(\"b\")'>|\u{1b}[31m";
        assert_eq!(html(name), "R&amp;D &lt;img src=x onerror=&#39;a(&quot;b&quot;)&#39;&gt;|\u{fffd}[31m");
        assert_eq!(markdown(name), "R&amp;D &lt;img src=x onerror='a(\"b\")'&gt;\\| \\[31m");
        assert_eq!(markdown("a|b`c`\nd_e"), "a\\|b\\`c\\` d\\_e");
        assert_eq!(html("a\u{202e}b\tü"), "a\u{fffd}b\tü");
        assert_eq!(markdown("a\u{2067}b ü"), "a b ü");
        let value = serde_json::json!("</script><!--<script>&");
        assert_eq!(script(&value), "\"\\u003c/script>\\u003c!--\\u003cscript>&\"");
        assert_eq!(visible(name), name.replace('\u{1b}', "\\u{1b}"));
        assert_eq!(visible("a\tb\n\u{202e}c\u{9b}"), "a\tb\n\\u{202e}c\\u{9b}");
        assert_eq!(visible("größer ≥ 1"), "größer ≥ 1");
    }

    #[test]
    fn a_shell_reads_the_word_back() {
        let words =
            ["plain/run-1", "a b", "it's", "$HOME;`ls`", "", "-n", "*", "a\nb", "größe", "$HOME", "~"];
        // Every character of ASCII, of which a shell takes many for something else.
        let all: Vec<String> = (b' '..=b'~').map(|byte| format!("{}x", char::from(byte))).collect();
        for word in words.into_iter().chain(all.iter().map(String::as_str)) {
            let script = format!("printf %s {}", shell(word));
            let Ok(output) = std::process::Command::new("sh").args(["-c", &script]).output() else {
                println!("skipped: there is no sh here");
                return;
            };
            let got = String::from_utf8(output.stdout).unwrap();
            assert_eq!(got, word, "{script}");
        }
        assert_eq!(shell("runs/lenet-shapes-1"), "runs/lenet-shapes-1");
        assert_eq!(shell("a b"), "'a b'");
        assert_eq!(shell_path(Path::new("--json")), "./--json");
        assert_eq!(shell_path(Path::new("a b")), "'a b'");
    }
}
