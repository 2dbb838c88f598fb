//! docs/equations.md maps equations to functions; each function that it names must exist there, with the alias that it
//! gives.

use std::path::Path;

/// The source files of a module path such as `spikegrad_bptt::lif`.
fn sources(krate: &str, module: &str) -> Vec<String> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let src = crates.join(krate.trim_start_matches("spikegrad_")).join("src");
    let mut files = vec![src.join(format!("{module}.rs")), src.join("config.rs"), src.join("lib.rs")];
    let folder = std::fs::read_dir(src.join(module)).into_iter().flatten();
    files.extend(folder.filter_map(|entry| Some(entry.ok()?.path())));
    files.iter().filter_map(|file| std::fs::read_to_string(file).ok()).collect()
}

fn defined(path: &str) -> bool {
    let parts: Vec<&str> = path.split("::").collect();
    let (krate, item) = (parts[0], parts[parts.len() - 1]);
    let forms = ["fn", "struct", "enum", "trait"].map(|word| format!("pub {word} {item}"));
    let variant = format!("    {item},");
    let hit = |text: &String| {
        forms.iter().any(|form| {
            text.match_indices(form).any(|(at, _)| {
                text[at + form.len()..].starts_with(|c: char| !c.is_alphanumeric() && c != '_')
            })
        }) || text.lines().any(|line| line == variant)
    };
    sources(krate, parts[1]).iter().any(hit)
}

#[test]
fn every_function_named_beside_an_equation_exists() {
    let doc = include_str!("../../../docs/equations.md");
    let names: Vec<&str> = doc.split('`').filter(|word| word.starts_with("spikegrad_")).collect();
    assert!(names.len() >= 12, "the table names a function for each equation");
    let missing: Vec<_> = names.iter().filter(|name| !defined(name)).collect();
    assert!(missing.is_empty(), "docs/equations.md names what does not exist: {missing:?}");
    assert!(!defined("spikegrad_bptt::sgs::sg"), "a prefix of a name is no definition");
}

/// The aliases on the item that a line defines: the attributes above it.
fn aliases_of<'a>(lines: &[&'a str], at: usize) -> Vec<&'a str> {
    let attributes = lines[..at].iter().rev().take_while(|line| line.trim_start().starts_with("#["));
    let alias = |line: &&'a str| line.trim().strip_prefix("#[doc(alias = \"")?.strip_suffix("\")]");
    attributes.filter_map(alias).collect()
}

#[test]
fn every_equation_is_found_by_its_alias() {
    let doc = include_str!("../../../docs/equations.md");
    let rows = doc.lines().filter(|line| line.contains("`spikegrad_"));
    let mut seen = std::collections::BTreeSet::new();
    for row in rows {
        let words: Vec<&str> = row.split('`').collect();
        let [_, path, _, alias, _] = words[..] else { panic!("no function and alias in {row:?}") };
        assert!(alias.starts_with("eq") && seen.insert(alias), "{row:?}");
        let parts: Vec<&str> = path.split("::").collect();
        let item = parts[parts.len() - 1];
        let carries = |text: &String| {
            let lines: Vec<&str> = text.lines().collect();
            let defines = |line: &str| {
                let line = line.trim();
                let rest = ["pub fn ", "pub struct ", "pub enum ", "pub trait ", ""]
                    .iter()
                    .find_map(|word| line.strip_prefix(&format!("{word}{item}")));
                rest.is_some_and(|rest| rest.starts_with(['(', '<', ' ', ',', ':']))
            };
            (0..lines.len()).any(|at| defines(lines[at]) && aliases_of(&lines, at).contains(&alias))
        };
        assert!(sources(parts[0], parts[1]).iter().any(carries), "{path} does not carry {alias:?}");
    }
    assert_eq!(seen.len(), 15, "a row for each equation");
}
