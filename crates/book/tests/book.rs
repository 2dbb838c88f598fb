//! The book holds together: every link leads somewhere, every path and item it names exists, every formula converts.

use spikegrad_book::{Display, chapter, mathml};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// Every page of the book, with its path.
fn pages() -> Vec<(PathBuf, String)> {
    let docs = root().join("docs");
    let summary = read(&docs.join("SUMMARY.md"));
    let mut pages: Vec<_> = links(&summary).into_iter().map(|link| docs.join(link)).collect();
    assert!(pages.len() >= 12, "twelve chapters and more");
    pages.push(docs.join("SUMMARY.md"));
    pages.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

/// Targets of `](…)` that are no addresses.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let local = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    local.map(|target| target.split('#').next().unwrap_or("").to_string()).collect()
}

#[test]
fn links_lead_somewhere() {
    for (path, text) in pages() {
        for link in links(&text) {
            let target = path.parent().unwrap().join(&link);
            assert!(target.exists(), "{}: {link} leads nowhere", path.display());
        }
    }
}

#[test]
fn paths_named_in_the_text_exist() {
    let mut named = 0;
    for (path, text) in pages() {
        for word in text.split('`').skip(1).step_by(2) {
            let of_ours =
                ["crates/", "exercises/", "docs/", "benches/"].iter().any(|top| word.starts_with(top));
            if !of_ours || word.contains(char::is_whitespace) {
                continue;
            }
            named += 1;
            assert!(root().join(word).exists(), "{}: `{word}` does not exist", path.display());
        }
    }
    assert!(named > 30, "the book says where things are: {named} times");
}

#[test]
fn formulas_convert() {
    let mut formulas = 0;
    for (path, text) in pages() {
        let made = chapter(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        assert!(!made.contains("```math"), "{}", path.display());
        formulas += made.matches("<math").count();
    }
    assert!(formulas > 60, "{formulas} formulas");
}

#[test]
fn code_keeps_its_dollars() {
    let text = "costs `$HOME` and $u_t$\n\n```sh\necho $PATH\n```\n";
    let made = chapter(text).unwrap();
    assert_eq!(
        made,
        "costs `$HOME` and <math><msub><mi>u</mi><mi>t</mi></msub></math>\n\n```sh\necho $PATH\n```\n"
    );
    assert!(chapter("one $ alone").is_err());
    assert!(chapter("```math\n\\nosuch\n```").unwrap_err().contains("\\nosuch"));
}

#[test]
fn environments_become_tables() {
    let made =
        mathml("o = \\begin{cases} 1 & u > V \\\\ 0 & \\text{else} \\end{cases}", Display::Block).unwrap();
    assert_eq!(made.matches("<mtr>").count(), 2);
    assert_eq!(made.matches("<mtd").count(), 4);
    assert!(made.contains("<mo>&gt;</mo>") && made.starts_with("<math display=\"block\">"));
    assert!(mathml("\\begin{cases} 1", Display::Block).is_err());
    assert!(mathml("\\frac{1", Display::Inline).is_err());
}

#[test]
fn the_book_builds_where_mdbook_is() {
    let mdbook = std::env::var("MDBOOK").unwrap_or_else(|_| "mdbook".into());
    if Command::new(&mdbook).arg("--version").output().is_err() {
        println!("skipped: no mdbook to build the book with");
        return;
    }
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("book");
    let mut command = Command::new(&mdbook);
    command.args(["build", "--dest-dir"]).arg(&out).arg(root().join("docs"));
    command.env("MDBOOK_preprocessor__math__command", env!("CARGO_BIN_EXE_spikegrad-book"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = read(&out.join("book/05-bptt.html"));
    assert!(page.contains("<mfrac>") && page.contains("<msub>"), "formulas are MathML");
    for tag in ["<script", "<link"] {
        let foreign =
            page.split(tag).skip(1).any(|rest| rest.split('>').next().unwrap_or("").contains("://"));
        assert!(!foreign, "{tag} that needs the network");
    }
}
