//! `cargo xtask fuzz`: every fuzz target for some seconds each, from seeds made anew.

use crate::repository::{Result, files, nightly_cargo, root, stem};
use crate::seeds;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// What libFuzzer prints that a reader wants to see.
const TOLD: [&str; 7] = ["stat::", "Done", "panicked", "SUMMARY", "ERROR", "artifact", "error"];

/// Fuzzes the targets, or all of them where none is named, and stops at the first finding.
pub fn run(seconds: u32, mut targets: Vec<String>) -> Result {
    let version = nightly_cargo().args(["fuzz", "--version"]).output();
    if !version.is_ok_and(|output| output.status.success()) {
        println!("skipped: fuzzing wants a nightly toolchain and cargo-fuzz");
        return Ok(());
    }
    if targets.is_empty() {
        targets = files(&root().join("fuzz/fuzz_targets"), "rs")?.iter().map(|path| stem(path)).collect();
    }
    seeds::write(&root().join("fuzz/corpus"))?;
    for target in &targets {
        println!("== {target}, {seconds} s");
        let status = fuzz(target, seconds)?;
        let artifacts = root().join("fuzz/artifacts").join(target);
        if let Some(finding) = std::fs::read_dir(&artifacts).ok().and_then(|mut entries| entries.next()) {
            let path = finding.map_err(|why| why.to_string())?.path();
            return Err(format!("a finding: {}", path.display()));
        }
        if !status.success() {
            return Err(format!("{target}: {status}"));
        }
    }
    println!("no finding");
    Ok(())
}

fn fuzz(target: &str, seconds: u32) -> Result<std::process::ExitStatus> {
    let mut command = nightly_cargo();
    command.args(["fuzz", "run", target, "--"]).arg(format!("-max_total_time={seconds}"));
    command.args(["-rss_limit_mb=2048", "-timeout=60", "-print_final_stats=1"]);
    let mut child = command.stderr(Stdio::piped()).spawn().map_err(|why| format!("cargo fuzz: {why}"))?;
    if let Some(errors) = child.stderr.take() {
        for line in BufReader::new(errors).split(b'\n').map_while(std::result::Result::ok) {
            let line = String::from_utf8_lossy(&line);
            if TOLD.iter().any(|word| line.contains(word)) {
                println!("{line}");
            }
        }
    }
    child.wait().map_err(|why| format!("cargo fuzz: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::read;

    /// Every target has a job of the nightly workflow, a line in the table of docs/testing.md, and seeds.
    #[test]
    fn every_target_is_fuzzed_by_night() {
        let targets = files(&root().join("fuzz/fuzz_targets"), "rs").unwrap();
        let workflow = read(&root().join(".github/workflows/nightly.yml")).unwrap();
        let table = read(&root().join("docs/testing.md")).unwrap();
        assert!(targets.len() >= 9, "{} targets", targets.len());
        for target in targets.iter().map(|path| stem(path)) {
            assert!(workflow.contains(&format!("\n          - {target}\n")), "no job for {target}");
            assert!(table.contains(&format!("| `{target}` |")), "no row for {target}");
            assert!(seeds::targets().contains(&&target[..]), "no seeds for {target}");
        }
    }
}
