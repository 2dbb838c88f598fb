//! `include/spikegrad.h` is made from `src/lib.rs` by cbindgen, here: where the two differ, the test says how to write it anew.

use cbindgen::{Builder, Config, DocumentationStyle, Language, RenameRule, Style};
use std::path::Path;

/// The source of the interface.
const SOURCE: &str = include_str!("../src/lib.rs");

/// What stands above the header's guard.
const HEAD: &str = "/* The C interface of spikegrad. Made from crates/capi/src/lib.rs by crates/capi/tests/header.rs.\n\n   \
     Threads: a handle (trainer, predictor, stream) is used by one thread at a time, which need not be the one that\n   \
     made it. Calls on different handles may run at the same time; a step uses a predictor and a stream. The error\n   \
     text is each thread's own. All handles share one pool of threads for their work: RAYON_NUM_THREADS in the\n   \
     environment says how many at the first call that makes a handle, else there is one a core. Results do not depend\n   \
     on their number. After fork() without exec() the child has none of these threads: make no call in it. */";

/// Puts the library's name before the constants of enumerations, which share one name space in C.
fn with_prefix(line: &str) -> String {
    let name = line.trim_start().split(" = ").next().unwrap_or("");
    let is_constant = line.contains(" = ")
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    if is_constant { line.replacen(name, &format!("SPIKEGRAD_{name}"), 1) } else { line.to_string() }
}

fn header() -> String {
    let mut config = Config {
        language: Language::C,
        style: Style::Both,
        header: Some(HEAD.into()),
        include_guard: Some("SPIKEGRAD_H".into()),
        cpp_compat: true,
        usize_is_size_t: true,
        no_includes: true,
        sys_includes: vec!["stddef.h".into(), "stdint.h".into()],
        documentation_style: DocumentationStyle::C,
        line_length: 120,
        tab_width: 4,
        ..Config::default()
    };
    config.enumeration.rename_variants = RenameRule::ScreamingSnakeCase;
    // No function takes it by its type: a C caller passes its number.
    config.export.include = vec!["SpikegradNet".into()];
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let bindings =
        Builder::new().with_src(source).with_config(config).generate().expect("the interface is C's");
    let mut text = Vec::new();
    bindings.write(&mut text);
    let text = String::from_utf8(text).expect("cbindgen writes text");
    text.lines().map(|line| with_prefix(line) + "\n").collect()
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
    for constant in ["SPIKEGRAD_OK = 0,", "SPIKEGRAD_PANIC = 6,", "SPIKEGRAD_MLP = 2,"] {
        assert!(have.contains(constant), "{constant}");
    }
    assert_eq!(SOURCE.matches("#[unsafe(no_mangle)]").count(), 11 + 2 + 3);
}
