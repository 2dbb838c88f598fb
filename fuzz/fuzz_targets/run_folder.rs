//! A run folder with any of its files changed: told in one line that names a file, or the run that is taken up is the
//! same to the last bit.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// A change to a file; places count modulo its length.
#[derive(Arbitrary, Debug)]
enum Change {
    Flip { file: u8, bit: u32 },
    Cut { file: u8, at: u32 },
    Double { file: u8, from: u32, length: u16 },
    Replace { file: u8, from: u32, with: Vec<u8> },
    Remove { file: u8 },
}

/// A run that was stopped, as its folder holds it, and the state that it is taken up with.
struct Run {
    folder: PathBuf,
    files: BTreeMap<String, Vec<u8>>,
    state: Vec<u8>,
}

static RUN: LazyLock<Run> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let home = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    let folder = home.join(format!("spikegrad-fuzz-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    let command = "spikegrad train --net mlp --width 0.02 --limit 40 --batch 20 --epochs 3 --stop-after 2.5 --threads 1 --out";
    let mut words: Vec<String> = command.split(' ').map(String::from).collect();
    words.push(folder.display().to_string());
    spikegrad_cli::run(words);
    let (state, told) = spikegrad_lab::run::taken_up(&folder).expect("the run is whole");
    assert!(told.is_empty(), "{told:?}");
    let files = fs::read_dir(&folder).expect("the folder is there").map(|entry| {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("a name of ours");
        (name, fs::read(entry.path()).expect("a file"))
    });
    Run { files: files.collect(), folder, state }
});

impl Change {
    fn apply(&self, files: &mut BTreeMap<String, Vec<u8>>) {
        let (Self::Flip { file, .. }
        | Self::Cut { file, .. }
        | Self::Double { file, .. }
        | Self::Replace { file, .. }
        | Self::Remove { file }) = self;
        let names: Vec<String> = files.keys().cloned().collect();
        let Some(name) = names.get(*file as usize % names.len().max(1)) else { return };
        let Some(bytes) = files.get_mut(name) else { return };
        let place = |at: u32| at as usize % (bytes.len() + 1);
        match self {
            Self::Flip { bit, .. } if !bytes.is_empty() => {
                let bit = *bit as usize % (8 * bytes.len());
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            Self::Flip { .. } => {}
            Self::Cut { at, .. } => bytes.truncate(place(*at)),
            Self::Double { from, length, .. } => {
                let from = place(*from);
                let copy = bytes[from..(from + *length as usize).min(bytes.len())].to_vec();
                bytes.splice(from..from, copy);
            }
            Self::Replace { from, with, .. } => {
                let from = place(*from);
                let end = (from + with.len()).min(bytes.len());
                bytes.splice(from..end, with.iter().copied());
            }
            Self::Remove { .. } => drop(files.remove(name)),
        }
    }
}

fuzz_target!(|changes: Vec<Change>| {
    let run = &*RUN;
    let mut files = run.files.clone();
    changes.iter().for_each(|change| change.apply(&mut files));
    fs::remove_dir_all(&run.folder).expect("the folder is ours");
    fs::create_dir_all(&run.folder).expect("the folder is ours");
    for (name, bytes) in &files {
        fs::write(run.folder.join(name), bytes).expect("the file is ours");
    }
    match spikegrad_lab::run::taken_up(&run.folder) {
        Err(why) => {
            let why = why.to_string();
            assert!(!why.is_empty() && why.lines().count() == 1, "{why}");
        }
        Ok((state, told)) => assert!(!told.is_empty() || state == run.state, "another run goes on"),
    }
});
