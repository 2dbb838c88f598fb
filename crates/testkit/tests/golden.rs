//! The tape's ResNet-19 against training steps that PyTorch computed in float64.
//!
//! Two sources: the files beside the repository (skipped with a line when absent) and the small files in
//! `crates/models/tests/golden`, written by `cargo xtask golden`.

use spikegrad_testkit::check::{Tolerance, assert_close, narrow};
use spikegrad_testkit::lif::{Lif, Reset};
use spikegrad_testkit::net::{LossKind, NetConfig, NetKind, Norm, step};
use spikegrad_testkit::surrogate::Surrogate;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A file of the safetensors format: 8 bytes length, a JSON header, the data.
struct File {
    metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f64>)>,
}

/// Just enough JSON for a safetensors header: objects, arrays, strings without escapes, whole numbers.
#[derive(Debug)]
enum Json {
    Object(BTreeMap<String, Json>),
    Array(Vec<Json>),
    Text(String),
    Number(usize),
}

impl Json {
    /// Reads one value, leaving `text` behind it.
    fn read(text: &mut &str) -> Json {
        *text = text.trim_start_matches([' ', ',', ':', '\n']);
        let first = text.chars().next().expect("a JSON value");
        match first {
            '{' => {
                *text = &text[1..];
                let mut map = BTreeMap::new();
                while let Some(Json::Text(key)) = Json::next(text, '}') {
                    map.insert(key, Json::read(text));
                }
                Json::Object(map)
            }
            '[' => {
                *text = &text[1..];
                Json::Array(std::iter::from_fn(|| Json::next(text, ']')).collect())
            }
            '"' => {
                let end = text[1..].find('"').expect("a closing quote");
                let value = text[1..=end].to_string();
                *text = &text[end + 2..];
                Json::Text(value)
            }
            _ => {
                let end = text.find(|c: char| !c.is_ascii_digit()).expect("something after a number");
                let value = text[..end].parse().expect("a whole number");
                *text = &text[end..];
                Json::Number(value)
            }
        }
    }

    /// Reads one value, or the closing bracket and then `None`.
    fn next(text: &mut &str, close: char) -> Option<Json> {
        *text = text.trim_start_matches([' ', ',', '\n']);
        if let Some(rest) = text.strip_prefix(close) {
            *text = rest;
            return None;
        }
        Some(Json::read(text))
    }

    fn object(&self) -> &BTreeMap<String, Json> {
        let Json::Object(map) = self else { panic!("wanted an object, found {self:?}") };
        map
    }

    fn text(&self) -> String {
        let Json::Text(text) = self else { panic!("wanted a string, found {self:?}") };
        text.clone()
    }

    fn numbers(&self) -> Vec<usize> {
        let Json::Array(items) = self else { panic!("wanted an array, found {self:?}") };
        let number = |item: &Json| match item {
            Json::Number(n) => *n,
            other => panic!("wanted a number, found {other:?}"),
        };
        items.iter().map(number).collect()
    }
}

impl File {
    fn read(path: &Path) -> File {
        let bytes = std::fs::read(path).expect("a readable file");
        let length = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
        let header = Json::read(&mut std::str::from_utf8(&bytes[8..8 + length]).expect("a text header"));
        let data = &bytes[8 + length..];
        let mut file = File { metadata: BTreeMap::new(), tensors: BTreeMap::new() };
        for (name, entry) in header.object() {
            if name == "__metadata__" {
                file.metadata = entry.object().iter().map(|(k, v)| (k.clone(), v.text())).collect();
                continue;
            }
            let entry = entry.object();
            let range = entry["data_offsets"].numbers();
            let raw = &data[range[0]..range[1]];
            let f32s = |raw: &[u8]| -> Vec<f64> {
                raw.chunks(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().expect("4 bytes")))).collect()
            };
            let i64s = |raw: &[u8]| -> Vec<f64> {
                raw.chunks(8).map(|b| i64::from_le_bytes(b.try_into().expect("8 bytes")) as f64).collect()
            };
            let values = if entry["dtype"].text() == "I64" { i64s(raw) } else { f32s(raw) };
            file.tensors.insert(name.clone(), (entry["shape"].numbers(), values));
        }
        file
    }

    fn values(&self, name: &str) -> Vec<f64> {
        self.tensors.get(name).unwrap_or_else(|| panic!("{name} is not in the file")).1.clone()
    }

    fn number(&self, name: &str) -> f64 {
        self.metadata[name].parse().expect("a number")
    }

    fn surrogate(&self) -> Surrogate {
        let parameter = |name: &str, default: f64| -> f64 {
            self.metadata.get(name).map_or(default, |text| text.parse().expect("a number"))
        };
        match self.metadata["surrogate"].as_str() {
            "rectangle" => Surrogate::Rectangle { window: parameter("window", 0.5) },
            "triangle" => Surrogate::Triangle { window: parameter("window", 1.0) },
            "arctan" => Surrogate::Arctan { alpha: parameter("alpha", 2.0) },
            "sigmoid" => Surrogate::Sigmoid { alpha: parameter("alpha", 4.0) },
            "gaussian" => Surrogate::Gaussian { alpha: parameter("alpha", 2.0) },
            "fast-sigmoid" => Surrogate::FastSigmoid { alpha: parameter("alpha", 10.0) },
            "dspike" => Surrogate::Dspike { alpha: parameter("alpha", 3.0) },
            other => panic!("unknown surrogate {other}"),
        }
    }

    fn config(&self) -> NetConfig {
        let images = &self.tensors["input.images"].0;
        let reset = match self.metadata["reset"].as_str() {
            "hard" => Reset::Hard,
            "hard-detached" => Reset::HardDetached,
            "soft" => Reset::Soft,
            "soft-detached" => Reset::SoftDetached,
            other => panic!("unknown reset {other}"),
        };
        NetConfig {
            kind: NetKind::ResNet19,
            channels: images[1],
            height: images[2],
            width: images[3],
            classes: self.tensors["out.logits"].0[1],
            scale: self.number("width"),
            timesteps: self.number("timesteps") as usize,
            lif: Lif {
                decay: self.number("decay"),
                threshold: self.number("threshold"),
                reset,
                surrogate: self.surrogate(),
                delta: self.number("delta"),
                ..Lif::paper()
            },
            smooth: false,
            norm: Norm::Bn,
            twin: false,
            label_smoothing: 0.0,
            beta: self.number("beta"),
            loss: LossKind::CrossEntropy,
        }
    }
}

/// Runs the step of one file and compares everything that the file holds.
fn check(path: &Path) {
    let file = File::read(path);
    let lookup = |name: &str| {
        let buffer = format!("buffer.{name}");
        if file.tensors.contains_key(&buffer) {
            file.values(&buffer)
        } else {
            file.values(&format!("weight.{name}"))
        }
    };
    let labels: Vec<usize> = file.values("input.labels").iter().map(|&l| l as usize).collect();
    let result = step(&file.config(), &lookup, &file.values("input.images"), &labels);
    let mut compared = 0;
    for name in file.tensors.keys() {
        let (kind, rest) = name.split_once('.').expect("a dotted name");
        let got = match (kind, rest) {
            ("grad", "input") => result.grad_input.clone(),
            ("grad", rest) => result.grads[rest].clone(),
            ("buffer_after", rest) => result.buffers[rest].clone(),
            ("out", "logits") => result.logits.clone(),
            ("out", "loss") => vec![result.loss],
            ("out", "cross_entropy") => vec![result.data_term],
            ("out", "lipschitz") => vec![result.lipschitz],
            ("out", rest) => vec![result.rates[rest.strip_prefix("rate.").expect("a rate")]],
            _ => continue,
        };
        let tolerance = if kind == "grad" { Tolerance::Grad } else { Tolerance::Forward };
        assert_close(&format!("{}: {name}", path.display()), &narrow(&got), &file.values(name), tolerance);
        compared += 1;
    }
    assert_eq!(result.grads.len() + 1, file.tensors.keys().filter(|n| n.starts_with("grad.")).count());
    println!("{}: {compared} tensors agree", path.display());
}

/// Checks every golden file in a folder; returns how many there were.
fn check_folder(folder: PathBuf) -> usize {
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: {} is absent", folder.display());
        return 0;
    };
    let paths = entries.map(|e| e.expect("a folder entry").path());
    let paths = paths.filter(|p| p.extension().is_some_and(|e| e == "safetensors"));
    paths.map(|p| check(&p)).count()
}

#[test]
fn shared_files_agree() {
    check_folder(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden"));
}

#[test]
fn committed_files_agree() {
    let count = check_folder(Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden"));
    assert!(count > 0, "the repository holds golden files");
}
