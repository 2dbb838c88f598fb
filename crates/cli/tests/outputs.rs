//! What goes out: new files claimed before the work, standard output on a full disk, names that are no text.

mod common;

use common::{Folder, SMALL};
use std::fs;
use std::process::{Command, Stdio};

/// Commands with their work done in a moment, each with an output of its own.
fn commands() -> Vec<String> {
    let run = "run --data synthetic:shapes";
    [
        format!("train {SMALL} --epochs 1 --out new"),
        format!("eval {run}"),
        format!("ablate {SMALL} --epochs 1 --grid delta=0,0.1 --seeds 1 --out grid"),
        format!("robustness {run} --noise-levels 0.1 --noise-seeds 1"),
        format!("energy {run} --images 5"),
        "gradcheck --net mlp".to_string(),
        "doctor run --batches 1".to_string(),
        "plan --net mlp".to_string(),
        "bench peak --repeat 1 --mib 1".to_string(),
        "bench step --net mlp --width 0.1 --batch 2 --steps 1".to_string(),
        "bench layers --net mlp --width 0.1 --batch 2 --repeat 1".to_string(),
    ]
    .into()
}

#[test]
fn outputs_that_cannot_be_written_are_refused_before_the_work() {
    let folder = Folder::new();
    folder.succeed(&format!("train {SMALL} --epochs 1 --out run"));
    folder.write("taken.json", b"mine");
    std::os::unix::fs::symlink("nowhere", folder.path("dangling.json")).unwrap();
    for command in commands() {
        folder.fail(1, &format!("{command} --json taken.json"), &["taken.json", "exists already"]);
        folder.fail(1, &format!("{command} --json dangling.json"), &["dangling.json", "exists already"]);
        folder.fail(1, &format!("{command} --json no/such/folder.json"), &["no/such", "--json"]);
        folder.fail(1, &format!("{command} --json taken.json/x.json"), &["taken.json"]);
        for made in ["new", "grid"] {
            assert!(folder.list(made).is_empty(), "{command}: {made} was begun");
        }
    }
    assert_eq!(folder.read("taken.json"), b"mine");
    folder.fail(1, "doctor run --html taken.json", &["taken.json", "exists already"]);
    folder.fail(1, "bench layers --net mlp --roofline taken.json", &["taken.json", "exists already"]);
    folder.write("out/noise.md", b"mine");
    folder.fail(1, "robustness run --out out", &["noise.md", "exists already"]);
    folder.write("out/energy.svg", b"mine");
    folder.fail(1, "energy run --out out", &["energy.svg", "exists already"]);
    folder.fail(1, "energy run --out taken.json/deeper", &["taken.json", "no folder"]);
    assert_eq!(folder.list("out"), ["energy.svg", "noise.md"]);
    // What finds out whether a folder takes files leaves none.
    folder.succeed("plan --net mlp --json plan.json");
    assert_eq!(folder.list(""), ["dangling.json", "out", "plan.json", "run", "taken.json"]);
    // A folder where nobody can make a file, not even the administrator.
    if cfg!(target_os = "linux") {
        folder.fail(1, "eval nowhere --json /proc/figures.json", &["/proc: takes no file"]);
        folder.fail(1, "energy nowhere --out /proc/new/deeper", &["/proc: takes no file"]);
    }
}

#[test]
fn figures_that_cannot_be_written_in_the_end_are_printed() {
    let folder = Folder::new();
    let mut child = Command::new(env!("CARGO_BIN_EXE_spikegrad"))
        .current_dir(folder.path(""))
        .args(format!("train {SMALL} --epochs 3 --out run --json figures.json").split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    use std::io::{BufRead, BufReader, Read};
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("epoch 1/") {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0, "the run ended early");
    }
    folder.write("figures.json", b"somebody else's");
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{errors}");
    assert!(errors.contains("figures.json") && errors.contains("printed instead"), "{errors}");
    let json: serde_json::Value = serde_json::from_str(&rest[rest.find("\n{").unwrap()..]).unwrap();
    assert_eq!(json["last"]["epoch"], 3);
    assert_eq!(folder.read("figures.json"), b"somebody else's");
}

#[cfg(target_os = "linux")]
#[test]
fn standard_output_that_cannot_be_written_ends_with_status_1() {
    let folder = Folder::new();
    folder.succeed(&format!("train {SMALL} --epochs 1 --out run"));
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let others =
        ["--help", "--version", "info run", "energy --print-constants", "trace --train-steps 1 --out t"];
    for command in commands().into_iter().chain(others.map(String::from)) {
        for json in ["", " --json -"] {
            if !json.is_empty() && others.contains(&&command[..]) {
                continue;
            }
            let _ = fs::remove_dir_all(folder.path("new"));
            let _ = fs::remove_dir_all(folder.path("grid"));
            let arguments = command.clone() + json;
            let output = Command::new(env!("CARGO_BIN_EXE_spikegrad"))
                .current_dir(folder.path(""))
                .args(arguments.split_whitespace())
                .stdout(full())
                .output()
                .unwrap();
            let errors = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{arguments}: {errors}");
            let last = errors.lines().last().unwrap_or("");
            assert!(
                last.starts_with("error: standard output: ") && last.contains("space"),
                "{arguments}: {errors}"
            );
        }
    }
    // With standard error on a full disk as well there is nobody to tell, but nothing panics either.
    for arguments in ["eval run", "eval nowhere", "train --no-such-flag", "plan --threads 0"] {
        let status = Command::new(env!("CARGO_BIN_EXE_spikegrad"))
            .current_dir(folder.path(""))
            .args(arguments.split_whitespace())
            .stdout(full())
            .stderr(full())
            .status()
            .unwrap();
        assert!(matches!(status.code(), Some(1 | 2)), "{arguments}: {status}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_text_or_markup_do_no_harm() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = Folder::new();
    folder.succeed(&format!("train {SMALL} --epochs 1 --out run"));
    let names: [&[u8]; 4] = [b"R&D <img src=x>", b"caf\xe9", b"a\x1b[31mred|b`c", b"--json"];
    for name in names {
        let path = folder.path("").join(OsStr::from_bytes(name));
        let copy = |file: &str| fs::copy(folder.path(&format!("run/{file}")), path.join(file)).map(drop);
        fs::create_dir(&path).unwrap();
        copy("checkpoint.safetensors").unwrap();
        copy("config.toml").unwrap();
        let run = |words: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_spikegrad"));
            command.current_dir(folder.path("")).arg(words[0]).arg(&path).args(&words[1..]);
            let output = command.output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{words:?}: {errors}");
            assert!(
                !output.stdout.contains(&0x1b) && !errors.contains('\u{1b}'),
                "{words:?}: an escape code"
            );
            output.stdout
        };
        run(&["eval"]);
        // An error names the file, too.
        let mut command = Command::new(env!("CARGO_BIN_EXE_spikegrad"));
        let output =
            command.current_dir(folder.path("")).arg("eval").arg(path.join("none")).output().unwrap();
        assert!(output.status.code() == Some(1) && !output.stderr.contains(&0x1b), "{:?}", output.stderr);
        let figures: serde_json::Value = serde_json::from_slice(&run(&["eval", "--json", "-"])).unwrap();
        assert!(figures["checkpoint"].as_str().unwrap().ends_with("/checkpoint.safetensors"));
        let _ = fs::remove_dir_all(folder.path("out"));
        run(&["robustness", "--noise-levels", "0.1", "--noise-seeds", "1", "--out", "out"]);
        run(&["energy", "--images", "5", "--out", "out"]);
        run(&["doctor", "--batches", "1", "--html", "out/doctor.html"]);
        for file in ["noise.svg", "noise.md", "energy.md", "energy.svg", "doctor.html"] {
            let text = String::from_utf8(folder.read(&format!("out/{file}"))).unwrap();
            assert!(!text.contains("<img"), "{file} holds markup of a name");
            assert!(!text.contains("R&D") && !text.contains('\u{1b}'), "{file} holds a raw name");
        }
    }
}
