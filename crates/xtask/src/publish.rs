//! `cargo xtask publish-check`: packs every crate that can be published and compiles each package alone.

use crate::repository::{Result, cargo, files, nightly_cargo, root, stem, succeed, write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Packs and verifies as `cargo publish` would, without uploading, then checks all targets of each package on its own.
pub fn run() -> Result {
    let target = root().join("target/publish");
    // Packages of an earlier version would be checked with today's.
    let packed = target.join("package");
    if packed.is_dir() {
        std::fs::remove_dir_all(&packed).map_err(|why| format!("{}: {why}", packed.display()))?;
    }
    let mut publish = cargo();
    publish.args(["publish", "--workspace", "--dry-run", "--allow-dirty", "--target-dir"]).arg(&target);
    succeed(&mut publish)?;
    // What a dry run leaves is packed once more where it keeps no archives.
    let mut package = cargo();
    package.args(["package", "--workspace", "--no-verify", "--allow-dirty", "--target-dir"]).arg(&target);
    for name in private_packages()? {
        package.args(["--exclude", &name]);
    }
    succeed(&mut package)?;
    // Within the repository a package would count as a member of its workspace.
    let outside = std::env::temp_dir().join(format!("spikegrad-packages-{}", std::process::id()));
    let checked = check_all(&packed, &outside, &target);
    std::fs::remove_dir_all(&outside).map_err(|why| format!("{}: {why}", outside.display()))?;
    println!("{} packages compile alone", checked?);
    Ok(())
}

fn check_all(packed: &Path, outside: &Path, target: &Path) -> Result<usize> {
    let folders = unpack(packed, outside)?;
    for folder in &folders {
        println!("== {} alone", folder.file_name().unwrap_or_default().display());
        check_alone(folder, &folders, target)?;
    }
    Ok(folders.len())
}

/// Builds the documentation of the published crates as docs.rs does; a warning is an error.
pub fn docs_rs() -> Result {
    let mut doc = nightly_cargo();
    doc.args(["doc", "--workspace", "--no-deps", "--all-features", "--target-dir"])
        .arg(root().join("target/docs-rs"));
    for name in private_packages()? {
        doc.args(["--exclude", &name]);
    }
    succeed(doc.env("RUSTDOCFLAGS", "--cfg docsrs -D warnings"))
}

/// Returns what cargo knows of the workspace's packages.
fn packages() -> Result<Vec<serde_json::Value>> {
    let output = cargo().args(["metadata", "--no-deps", "--format-version", "1"]).output();
    let output = output.map_err(|why| format!("cargo metadata: {why}"))?;
    let mut metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|why| format!("cargo metadata: {why}"))?;
    match metadata["packages"].take() {
        serde_json::Value::Array(packages) => Ok(packages),
        _ => Err("cargo metadata names no packages".into()),
    }
}

/// Returns the names of the packages that are not published.
fn private_packages() -> Result<Vec<String>> {
    let packages = packages()?;
    let private = packages.iter().filter(|package| package["publish"].is_array());
    Ok(private.filter_map(|package| package["name"].as_str().map(String::from)).collect())
}

fn unpack(packed: &Path, outside: &Path) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(outside).map_err(|why| format!("{}: {why}", outside.display()))?;
    let mut folders = Vec::new();
    for archive in files(packed, "crate")? {
        succeed(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(outside))?;
        folders.push(outside.join(stem(&archive)));
    }
    Ok(folders)
}

/// Checks library, programs, examples and unit tests of a package outside the workspace; its siblings are the unpacked ones.
fn check_alone(folder: &Path, siblings: &[PathBuf], target: &Path) -> Result {
    let mut patches = String::from("[patch.crates-io]\n");
    for sibling in siblings.iter().filter(|sibling| *sibling != folder) {
        let name = sibling.file_name().unwrap_or_default().to_string_lossy();
        let name = name.rsplit_once('-').map_or(&name[..], |(name, _)| name);
        patches += &format!("{name} = {{ path = {:?} }}\n", sibling.display().to_string());
    }
    let config = target.join("patches.toml");
    write(&config, patches)?;
    let mut check = cargo();
    check.current_dir(folder).args(["check", "--quiet", "--all-targets", "--all-features", "--config"]);
    succeed(check.arg(&config).arg("--target-dir").arg(target.join("alone")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::read;
    use std::collections::BTreeSet;

    /// What crates.io and docs.rs show of a crate is there, and the licences are those of the repository.
    #[test]
    fn every_published_crate_is_described() {
        let mut descriptions = BTreeSet::new();
        let packages = packages().unwrap();
        let published: Vec<_> = packages.iter().filter(|package| package["publish"].is_null()).collect();
        assert!(published.len() >= 10, "{} crates", published.len());
        for package in published {
            let name = &package["name"];
            for (list, most) in [("keywords", 5), ("categories", 5), ("authors", 9)] {
                let count = package[list].as_array().map_or(0, Vec::len);
                assert!((1..=most).contains(&count), "{name}: {count} {list}");
            }
            for text in ["license", "readme", "rust_version"] {
                assert!(package[text].is_string(), "{name}: no {text}");
            }
            assert!(
                descriptions.insert(package["description"].to_string()),
                "{name}: another crate's description"
            );
            assert!(package["metadata"]["docs"]["rs"].is_object(), "{name}: no metadata for docs.rs");
            let manifest = PathBuf::from(package["manifest_path"].as_str().unwrap());
            assert!(read(&manifest).unwrap().contains("\ninclude = ["), "{name}: packs its tests");
            for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
                let own = read(&manifest.with_file_name(licence)).unwrap();
                assert_eq!(own, read(&root().join(licence)).unwrap(), "{name}: {licence}");
            }
        }
    }

    /// The repository's top level has these entries and no others.
    #[test]
    fn the_top_level_is_short() {
        let known = ".cargo .ci .github .gitignore CHANGELOG.md CITATION.cff Cargo.lock Cargo.toml LICENSE-APACHE \
                     LICENSE-MIT README.md benches crates deny.toml docs fuzz rustfmt.toml";
        let Ok(git) = Command::new("git").current_dir(root()).arg("ls-files").output() else {
            println!("skipped: no git");
            return;
        };
        let files = String::from_utf8(git.stdout).unwrap();
        let entries: BTreeSet<&str> = files.lines().filter_map(|path| path.split('/').next()).collect();
        let others: Vec<_> = entries.difference(&known.split_whitespace().collect()).copied().collect();
        assert!(others.is_empty(), "{others:?}");
    }
}
