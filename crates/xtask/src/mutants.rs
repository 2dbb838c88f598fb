//! `cargo xtask mutants`: breaks the program on purpose, one place at a time, and tells which breaks no test sees.
//!
//! A mutant replaces a text that stands once in a file; the tests named for it are run on a copy of the tree, under the
//! profile `mutants`, which builds fast. The mutant is killed where they fail and survives where they pass; one that
//! does not compile is a mistake in the list. The copy and its build stay in `target/mutants`.

use crate::repository::{Result, cargo, files, read, root, write};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// One change of a list.
#[derive(Debug, PartialEq)]
struct Mutant {
    name: String,
    file: String,
    tests: Vec<String>,
    text: String,
    replacement: String,
}

/// Runs all mutants, those of one list, or those whose names contain one of the words.
pub fn run(list: Option<&str>, words: &[String]) -> Result {
    let mutants = chosen(list, words)?;
    copy_tree()?;
    check_texts(&mutants, &tree())?;
    let mut survivors = Vec::new();
    for mutant in &mutants {
        if !is_killed(mutant)? {
            survivors.push(&mutant.name[..]);
        }
    }
    println!("{} of {} mutants killed", mutants.len() - survivors.len(), mutants.len());
    match survivors[..] {
        [] => Ok(()),
        _ => Err(format!("survived:\n{}", survivors.join("\n"))),
    }
}

fn tree() -> PathBuf {
    root().join("target/mutants/tree")
}

fn chosen(list: Option<&str>, words: &[String]) -> Result<Vec<Mutant>> {
    let folder = root().join("crates/xtask/mutants");
    let lists = match list {
        Some(name) => vec![folder.join(format!("{name}.txt"))],
        None => files(&folder, "txt")?,
    };
    let mut mutants = Vec::new();
    for path in lists {
        mutants.extend(parse(&read(&path)?).map_err(|why| format!("{}: {why}", path.display()))?);
    }
    mutants.retain(|mutant| words.is_empty() || words.iter().any(|word| mutant.name.contains(word)));
    Ok(mutants)
}

/// Reads a list: blocks of name, file, tests, text, `=>` and replacement, with `---` between them.
fn parse(list: &str) -> Result<Vec<Mutant>> {
    let block = |block: &str| {
        let block = format!("{}\n", block.trim_matches('\n'));
        let (head, replacement) = block.split_once("\n=>\n").ok_or(format!("no line => in {block:?}"))?;
        let mut lines = head.splitn(4, '\n');
        let mut line = || lines.next().ok_or(format!("fewer than four lines before => in {block:?}"));
        Ok(Mutant {
            name: line()?.trim_start_matches("# ").to_string(),
            file: line()?.to_string(),
            tests: line()?.split_whitespace().map(String::from).collect(),
            text: line()?.to_string(),
            replacement: replacement.trim_end_matches('\n').to_string(),
        })
    };
    list.split("\n---\n").map(block).collect()
}

/// Copies the files that git knows of, where they have changed: an unchanged file keeps its time and is not built again.
fn copy_tree() -> Result {
    let mut git = Command::new("git");
    git.current_dir(root()).args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let output = git.output().map_err(|why| format!("git: {why}"))?;
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    let wanted: BTreeSet<PathBuf> =
        names.lines().filter(|name| root().join(name).is_file()).map(PathBuf::from).collect();
    for name in &wanted {
        let source = root().join(name);
        let bytes = std::fs::read(&source).map_err(|why| format!("{}: {why}", source.display()))?;
        let copy = tree().join(name);
        if std::fs::read(&copy).ok() != Some(bytes.clone()) {
            write(&copy, bytes)?;
        }
    }
    remove_others(&tree(), &wanted)
}

/// Removes the files below `folder` that are not wanted in the copy.
fn remove_others(folder: &Path, wanted: &BTreeSet<PathBuf>) -> Result {
    let entries = std::fs::read_dir(folder).map_err(|why| format!("{}: {why}", folder.display()))?;
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() {
            remove_others(&path, wanted)?;
        } else if path.strip_prefix(tree()).is_ok_and(|name| !wanted.contains(name)) {
            std::fs::remove_file(&path).map_err(|why| format!("{}: {why}", path.display()))?;
        }
    }
    Ok(())
}

/// Checks that every text stands once in its file below `tree`, before anything is built.
fn check_texts(mutants: &[Mutant], tree: &Path) -> Result {
    let wrong = mutants.iter().filter_map(|Mutant { name, file, text, .. }| {
        let count = read(&tree.join(file)).map_or(0, |source| source.matches(text).count());
        (count != 1).then(|| format!("{name}: the text stands {count} times in {file}, must stand once"))
    });
    let wrong: Vec<String> = wrong.collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn is_killed(mutant: &Mutant) -> Result<bool> {
    let path = tree().join(&mutant.file);
    let good = read(&path)?;
    write(&path, good.replace(&mutant.text, &mutant.replacement))?;
    let start = Instant::now();
    let killed = tests_fail(mutant);
    write(&path, good)?;
    let killed = killed?;
    let verdict = if killed { "killed  " } else { "SURVIVED" };
    println!("{verdict}  {:5.0} s  {}", start.elapsed().as_secs_f64(), mutant.name);
    Ok(killed)
}

fn tests_fail(mutant: &Mutant) -> Result<bool> {
    let test = |last: &[&str]| {
        let mut command = cargo();
        command.current_dir(tree()).env("CARGO_TARGET_DIR", root().join("target/mutants/target"));
        command.args(["test", "--profile", "mutants", "--quiet"]).args(&mutant.tests).args(last);
        let output = command.stdout(Stdio::null()).output();
        output.map_err(|why| format!("cargo: {why}"))
    };
    let build = test(&["--no-run"])?;
    if !build.status.success() {
        let errors = String::from_utf8_lossy(&build.stderr);
        return Err(format!("{}: does not compile\n{errors}", mutant.name));
    }
    Ok(!test(&[])?.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list that has fallen behind the sources breaks nothing.
    #[test]
    fn every_text_of_the_lists_stands_in_the_sources() {
        let mutants = chosen(None, &[]).unwrap();
        assert!(mutants.len() > 600, "{} mutants", mutants.len());
        assert_eq!(check_texts(&mutants, &root()), Ok(()));
    }

    #[test]
    fn lists_are_read_block_by_block() {
        let list = "# one\na.rs\n-p a --test b\nx\ny\n=>\nz\n---\n# two\nb.rs\n-p b\nq\n=>\n";
        let mutant = |name: &str, file: &str, tests: &[&str], text: &str, replacement: &str| Mutant {
            name: name.into(),
            file: file.into(),
            tests: tests.iter().map(|&word| word.into()).collect(),
            text: text.into(),
            replacement: replacement.into(),
        };
        let want = vec![
            mutant("one", "a.rs", &["-p", "a", "--test", "b"], "x\ny", "z"),
            mutant("two", "b.rs", &["-p", "b"], "q", ""),
        ];
        assert_eq!(parse(list), Ok(want));
        assert!(parse("# one\na.rs").unwrap_err().starts_with("no line =>"));
        assert!(parse("# one\na.rs\n=>\n").unwrap_err().starts_with("fewer than four lines"));
    }

    #[test]
    fn every_list_can_be_read() {
        let mutants = chosen(None, &[]).unwrap();
        assert!(mutants.len() > 600, "{} mutants", mutants.len());
        for mutant in mutants {
            assert!(!mutant.text.is_empty() && mutant.text != mutant.replacement, "{}", mutant.name);
            assert_eq!(mutant.tests.first().map(String::as_str), Some("-p"), "{}", mutant.name);
        }
    }
}
