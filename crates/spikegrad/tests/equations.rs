//! docs/equations.md maps equations to functions; each function it names must exist where it says.

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
