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

/// The pages beside the book: those of the repository's root, of its forge, and each crate's.
fn pages_beside() -> Vec<(PathBuf, String)> {
    let crates = std::fs::read_dir(root().join("crates")).unwrap();
    let mut paths: Vec<PathBuf> = crates.map(|entry| entry.unwrap().path().join("README.md")).collect();
    paths.retain(|path| path.is_file());
    assert!(paths.len() >= 10, "{paths:?}");
    let others = ["README.md", "CHANGELOG.md", ".github/CONTRIBUTING.md", ".github/SECURITY.md"];
    paths.extend(others.iter().map(|name| root().join(name)));
    paths.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

#[test]
fn links_lead_somewhere() {
    for (path, text) in pages().into_iter().chain(pages_beside()) {
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
            let of_ours = ["crates/", "docs/", "benches/"].iter().any(|top| word.starts_with(top));
            if !of_ours || word.contains(char::is_whitespace) {
                continue;
            }
            named += 1;
            assert!(root().join(word).exists(), "{}: `{word}` does not exist", path.display());
        }
    }
    assert!(named > 30, "the book says where things are: {named} times");
}

/// The table of what an addition touches: its files exist, or, where NAME stands for a new one, their folder does.
#[test]
fn contributing_names_places_that_exist() {
    let text = read(&root().join(".github/CONTRIBUTING.md"));
    let table =
        text.split("<!-- layout: begin -->").nth(1).unwrap().split("<!-- layout: end -->").next().unwrap();
    let mut named = 0;
    for path in table.split('`').skip(1).step_by(2).filter(|word| word.starts_with("crates/")) {
        named += 1;
        let place = Path::new(path);
        let must_be = if path.contains("NAME") { place.parent().unwrap() } else { place };
        assert!(root().join(must_be).exists(), "{path}");
    }
    assert!(named > 20, "{named} places");
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
fn formulas_become_what_they_mean() {
    let cases = [
        (r"a_i^2", "<msubsup><mi>a</mi><mi>i</mi><mn>2</mn></msubsup>"),
        (r"W^\top", "<msup><mi>W</mi><mi>⊤</mi></msup>"),
        (r"\sum_t^T x", "<munderover><mo>∑</mo><mi>t</mi><mi>T</mi></munderover><mi>x</mi>"),
        (r"\max_i x", "<munder><mi>max</mi><mi>i</mi></munder><mi>x</mi>"),
        (r"\frac{1}{2}", "<mfrac><mrow><mn>1</mn></mrow><mrow><mn>2</mn></mrow></mfrac>"),
        (r"\sqrt{x}", "<msqrt><mrow><mi>x</mi></mrow></msqrt>"),
        (r"\hat{x}", "<mover accent=\"true\"><mrow><mi>x</mi></mrow><mo>^</mo></mover>"),
        (r"a \le -1.5", "<mi>a</mi><mo>≤</mo><mo>−</mo><mn>1.5</mn>"),
        (r"a < b", "<mi>a</mi><mo>&lt;</mo><mi>b</mi>"),
        (r"\operatorname{sign}(\tau)", "<mi>sign</mi><mo>(</mo><mi>τ</mi><mo>)</mo>"),
        (r"\text{if a & b}", "<mtext>if\u{a0}a\u{a0}&amp;\u{a0}b</mtext>"),
        (r"\{x\}", "<mo>{</mo><mi>x</mi><mo>}</mo>"),
        (
            r"\begin{aligned} a & b \\ c & d \end{aligned}",
            "<mtable columnalign=\"right left\"><mtr><mtd style=\"text-align:right\"><mi>a</mi></mtd>\
             <mtd style=\"text-align:left\"><mi>b</mi></mtd></mtr><mtr><mtd style=\"text-align:right\"><mi>c</mi></mtd>\
             <mtd style=\"text-align:left\"><mi>d</mi></mtd></mtr></mtable>",
        ),
    ];
    for (tex, want) in cases {
        assert_eq!(mathml(tex, Display::Inline).as_deref(), Ok(&format!("<math>{want}</math>")[..]), "{tex}");
    }
    for wrong in [r"\unheard", "a & b", "a }", r"\begin{matrix} a \end{matrix}"] {
        assert!(mathml(wrong, Display::Inline).is_err(), "{wrong}");
    }
}

/// The program between mdBook and the pages: chapters within chapters, and what it says of a wrong formula.
#[test]
fn the_preprocessor_converts_every_chapter() {
    use std::io::Write;
    let program = env!("CARGO_BIN_EXE_spikegrad-book");
    let convert = |book: &str| {
        let mut command = Command::new(program);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(book.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let book = |formula: &str| {
        let inner = format!(
            "{{\"Chapter\": {{\"name\": \"Inner\", \"content\": \"{formula}\", \"sub_items\": []}}}}"
        );
        format!(
            "[{{\"renderer\": \"html\"}}, {{\"sections\": [{{\"Chapter\": {{\"name\": \"Outer\", \"content\": \"$u$\", \
             \"sub_items\": [{inner}]}}}}]}}]"
        )
    };
    let (good, out, _) = convert(&book("so $v$"));
    assert!(good && out.starts_with("{\"sections\":"), "{out}");
    for want in ["<math><mi>u</mi></math>\\n", "so <math><mi>v</mi></math>\\n"] {
        assert!(out.contains(want), "{want}: {out}");
    }
    let (good, out, errors) = convert(&book("$v"));
    assert!(!good && out.is_empty() && errors.starts_with("error: Inner: a formula without"), "{errors}");
    let (good, _, errors) = convert("[{}]");
    assert!(!good && errors == "error: no book beside the context\n", "{errors}");
    for (renderer, supported) in [("html", true), ("epub", false)] {
        let status = Command::new(program).args(["supports", renderer]).status().unwrap();
        assert_eq!(status.success(), supported, "{renderer}");
    }
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
