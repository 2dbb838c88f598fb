//! `include/spikegrad.h` is made from `src/lib.rs`, here: where the two differ, the test says how to write it anew.

use std::fmt::Write;
use std::path::Path;

const SOURCE: &str = include_str!("../src/lib.rs");

/// A Rust type in C's words, before the name it declares.
fn c_type(rust: &str) -> String {
    let rust = rust.trim();
    if let Some(to) = rust.strip_prefix("*mut ") {
        let to = c_type(to);
        return format!("{to}{}*", if to.ends_with('*') { "" } else { " " });
    }
    if let Some(to) = rust.strip_prefix("*const ") {
        return format!("const {} *", c_type(to));
    }
    let known = [
        ("i32", "int32_t"),
        ("u32", "uint32_t"),
        ("u64", "uint64_t"),
        ("usize", "size_t"),
        ("f32", "float"),
        ("f64", "double"),
        ("c_char", "char"),
    ];
    known.iter().find(|(name, _)| *name == rust).map_or(rust, |(_, c)| c).to_string()
}

/// `name: type` as C declares it.
fn declare(field: &str) -> String {
    let (name, rust) = field.trim().trim_start_matches("pub ").split_once(": ").expect("a name and a type");
    let c = c_type(rust.trim_end_matches(','));
    let space = if c.ends_with('*') { "" } else { " " };
    format!("{c}{space}{name}")
}

/// `BadArgument` as `SPIKEGRAD_BAD_ARGUMENT`.
fn constant(variant: &str) -> String {
    let mut name = String::from("SPIKEGRAD");
    for c in variant.chars() {
        if c.is_uppercase() {
            name.push('_');
        }
        name.extend(c.to_uppercase());
    }
    name
}

/// Documentation as a C comment.
fn comment(doc: &[&str], indent: &str) -> String {
    let lines = doc.iter().map(|line| line.trim().trim_start_matches("///").trim());
    let lines: Vec<&str> = lines
        .map(|line| if line == "# Safety" { "Safety:" } else { line })
        .filter(|l| !l.is_empty())
        .collect();
    match &lines[..] {
        [] => String::new(),
        [only] => format!("{indent}/* {only} */\n"),
        [first, rest @ ..] => {
            let rest: String = rest.iter().map(|line| format!("\n{indent}   {line}")).collect();
            format!("{indent}/* {first}{rest} */\n")
        }
    }
}

/// The body of a braced item: its documented members.
fn members<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Vec<(Vec<&'a str>, &'a str)> {
    let (mut members, mut doc) = (Vec::new(), Vec::new());
    for line in lines.take_while(|line| *line != "}") {
        if line.trim().starts_with("///") {
            doc.push(line);
        } else {
            members.push((std::mem::take(&mut doc), line.trim()));
        }
    }
    members
}

fn header() -> String {
    let mut c = String::from(
        "/* The C interface of spikegrad. Made from crates/capi/src/lib.rs by crates/capi/tests/header.rs.\n\n   \
         Threads: a handle (trainer, predictor, stream) is used by one thread at a time, which need not be the one that\n   \
         made it. Calls on different handles may run at the same time; a step uses a predictor and a stream. The error\n   \
         text is each thread's own. All handles share one pool of threads for their work: RAYON_NUM_THREADS in the\n   \
         environment says how many at the first call that makes a handle, else there is one a core. Results do not depend\n   \
         on their number. After fork() without exec() the child has none of these threads: make no call in it. */\n\
         #ifndef SPIKEGRAD_H\n#define SPIKEGRAD_H\n\n#include <stddef.h>\n#include <stdint.h>\n\n\
         #ifdef __cplusplus\nextern \"C\" {\n#endif\n",
    );
    let (mut doc, mut lines) = (Vec::new(), SOURCE.lines());
    while let Some(line) = lines.next() {
        if line.starts_with("///") {
            doc.push(line);
            continue;
        }
        if line.starts_with("#[") {
            continue;
        }
        let about = comment(&std::mem::take(&mut doc), "");
        if let Some(name) = line.strip_prefix("pub enum ").and_then(|rest| rest.strip_suffix(" {")) {
            let _ = write!(c, "\n{about}typedef enum {name} {{\n");
            for (doc, variant) in members(&mut lines) {
                let (variant, value) = variant.split_once(" = ").expect("a numbered variant");
                let value = value.trim_end_matches(',');
                let _ = writeln!(c, "{}    {} = {value},", comment(&doc, "    "), constant(variant));
            }
            let _ = writeln!(c, "}} {name};");
        } else if let Some(name) = line.strip_prefix("pub struct ").and_then(|rest| rest.strip_suffix(" {")) {
            let _ = write!(c, "\n{about}typedef struct {name} {{\n");
            for (doc, field) in members(&mut lines) {
                let _ = writeln!(c, "{}    {};", comment(&doc, "    "), declare(field));
            }
            let _ = writeln!(c, "}} {name};");
        } else if let Some((name, _)) = line.strip_prefix("pub struct ").and_then(|rest| rest.split_once('('))
        {
            let _ = write!(c, "\n{about}typedef struct {name} {name};\n");
        } else if let Some(at) = line.find("extern \"C\" fn ").filter(|_| line.starts_with("pub ")) {
            let mut text = line[at..].trim_start_matches("extern \"C\" fn ").to_string();
            while !text.ends_with('{') {
                text += lines.next().expect("a function ends with its body").trim();
            }
            let (name, rest) = text.split_once('(').expect("arguments");
            let (arguments, result) = rest.rsplit_once(')').expect("arguments end");
            let arguments: Vec<String> =
                arguments.split(',').filter(|a| !a.trim().is_empty()).map(declare).collect();
            let arguments = if arguments.is_empty() { "void".into() } else { arguments.join(", ") };
            let result = result.trim().trim_start_matches("->").trim_end_matches('{').trim();
            let result = if result.is_empty() { "void".into() } else { c_type(result) };
            let space = if result.ends_with('*') { "" } else { " " };
            let _ = write!(c, "\n{about}{result}{space}{name}({arguments});\n");
        }
    }
    c + "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n"
}

#[test]
fn the_header_is_the_librarys() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/spikegrad.h");
    let want = header();
    if std::env::var_os("SPIKEGRAD_WRITE_HEADER").is_some() {
        std::fs::write(&path, &want).unwrap();
    }
    let have = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        have == want,
        "include/spikegrad.h is not what src/lib.rs says; write it anew with\n\
         SPIKEGRAD_WRITE_HEADER=1 cargo test --release -p spikegrad-capi --test header"
    );
    assert_eq!(have.matches("SpikegradStatus spikegrad_").count(), 11);
    assert_eq!(SOURCE.matches("#[unsafe(no_mangle)]").count(), 11 + 2 + 3);
}
