//! Pages opened in headless Chromium, scripts run by node; where there is none, the caller skips.

use super::Folder;
use std::collections::HashSet;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// A page after its scripts ran.
pub struct Opened {
    /// The document as it is then.
    pub dom: String,
    /// What the console was told.
    pub errors: Vec<String>,
    /// Different 64-byte runs of the screenshot's bytes: a blank page compresses to a few.
    pub detail: usize,
}

/// The first of a few programs that answers.
fn program(names: &[&str]) -> Option<String> {
    let answers =
        |name: &&&str| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success());
    names.iter().find(answers).map(|name| (*name).to_string())
}

/// Opens a page of a folder, twice: for its document, and for a picture. Prints why it does not.
pub fn browse(folder: &Folder, page: &str) -> Option<Opened> {
    let Some(browser) = program(&["chromium", "chromium-browser", "google-chrome"]) else {
        println!("skipped: no Chromium to open {page}");
        return None;
    };
    let picture = folder.path("page.png");
    let open = |name: &str, what: &str| -> Output {
        let mut command = Command::new(&browser);
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]);
        command.args([
            "--disable-background-networking",
            "--enable-logging=stderr",
            "--window-size=1300,1500",
        ]);
        command.args(["--virtual-time-budget=3000", what]);
        command.arg(format!("--user-data-dir={}", folder.path(name).display()));
        command.arg(format!("file://{}", folder.path(page).display())).output().unwrap()
    };
    let first = open("profile-1", "--dump-dom");
    let dom = String::from_utf8(first.stdout).unwrap();
    let log = String::from_utf8_lossy(&first.stderr).into_owned();
    open("profile-2", &format!("--screenshot={}", picture.display()));
    let bytes = std::fs::read(&picture).unwrap_or_default();
    let detail = bytes.chunks(64).collect::<HashSet<_>>().len();
    let errors = log.lines().filter(|line| line.contains("CONSOLE")).map(str::to_string).collect();
    Some(Opened { dom, errors, detail })
}

/// Runs a script; none without node.
pub fn node(script: &str) -> Option<String> {
    let node = program(&["node", "nodejs"])?;
    let mut command = Command::new(node);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().ok()?;
    child.stdin.take()?.write_all(script.as_bytes()).ok()?;
    let output = child.wait_with_output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}
