//! Parameters in files under PyTorch's names and the authors', and a reader that trusts nothing.

use proptest::prelude::*;
use spikegrad_models::names::canonical;
use spikegrad_models::safetensors::{File, View, write};
use spikegrad_models::{Init, Net, NetConfig, NetKind, Params};
use spikegrad_tensor::Level;
use spikegrad_testkit::layout;
use spikegrad_testkit::temporary::Temporary;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

const KINDS: [NetKind; 6] = [
    NetKind::ResNet19,
    NetKind::LeNet,
    NetKind::Mlp,
    NetKind::VggSnn,
    NetKind::VggSnnStride,
    NetKind::EventNet,
];

fn params(kind: NetKind) -> Params {
    let config = NetConfig::new(kind, 3, 17, 19, 5).scale(0.07);
    let mut net = Net::plan(&config, 1, Level::BASELINE, false).unwrap();
    net.params_mut().initialise(Init::Uniform, 1);
    net.params().clone()
}

/// Name, shape and numbers of every weight and running estimate.
fn tensors(params: &Params) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let lists = [(&params.entries, &params.weights), (&params.buffer_entries, &params.buffers)];
    let all = lists.into_iter().flat_map(|(entries, data)| {
        entries.iter().map(|e| (e.name.clone(), e.shape.clone(), data[e.range.clone()].to_vec()))
    });
    all.collect()
}

#[test]
fn names_and_shapes_are_pytorchs() {
    for kind in KINDS {
        let (config, params) = (reference(kind), params(kind));
        for (got, want) in [
            (&params.entries, layout::parameters(&config)),
            (&params.buffer_entries, layout::buffers(&config)),
        ] {
            let mut got: Vec<_> = got.iter().map(|e| (e.name.clone(), e.shape.clone())).collect();
            let mut want: Vec<_> = want.into_iter().map(|e| (e.name, e.shape)).collect();
            got.sort();
            want.sort();
            assert_eq!(got, want, "{kind}");
        }
        let ranges = params.entries.iter().map(|e| e.range.clone());
        assert!(ranges.flatten().eq(0..params.weights.len()), "{kind}: ranges cover the weights once");
    }
}

fn reference(kind: NetKind) -> layout::NetConfig {
    let kind = kind.to_string().parse().expect("a net of the reference");
    layout::NetConfig { width: 19, classes: 5, ..layout::NetConfig::paper(kind, 17, 0.07, 2) }
}

#[test]
fn every_nets_parameters_round_trip() {
    for kind in KINDS {
        let tensors = tensors(&params(kind));
        let file = Temporary::new(&format!("round-trip-{kind}"));
        let view = |t| {
            let (name, shape, data): &(String, Vec<usize>, Vec<f32>) = t;
            View { name, shape, data }
        };
        write(&file.0, &BTreeMap::new(), &tensors.iter().map(view).collect::<Vec<_>>()).unwrap();
        let read = File::read(&file.0).unwrap();
        assert_eq!(read.tensors.len(), tensors.len());
        for (entry, (name, shape, data)) in read.tensors.iter().zip(&tensors) {
            assert_eq!((&entry.name, &entry.shape), (name, shape), "{kind}: tensors keep their order");
            assert_eq!(&read.f32(name).unwrap(), data, "{kind}: {name}");
            assert_eq!(&canonical(name), name, "{kind}: PyTorch's own names stay");
        }
    }
}

#[test]
fn every_alias_of_the_authors_leads_to_its_parameter() {
    let mut seen = BTreeMap::new();
    for (name, ..) in tensors(&params(NetKind::ResNet19)) {
        for alias in layout::aliases(&name) {
            assert_eq!(canonical(&alias), name, "{alias}");
            assert_eq!(seen.insert(alias.clone(), name.clone()), None, "{alias} stands for one tensor");
        }
    }
    // 20 convolutions and the weights and biases of 2 linear layers, under a name each; 17 batch norms of 4 tensors
    // under four names, and the 3 of shortcuts under two.
    assert_eq!(seen.len(), 20 + 4 + 17 * 4 * 4 + 3 * 4 * 2);
}

/// A small file: three tensors and metadata, and where its data begin.
fn small() -> (Vec<u8>, usize) {
    static SMALL: OnceLock<(Vec<u8>, usize)> = OnceLock::new();
    SMALL.get_or_init(write_small).clone()
}

fn write_small() -> (Vec<u8>, usize) {
    let file = Temporary::new("small");
    let metadata = BTreeMap::from([("config".to_string(), "net = \"mlp\"\n".to_string())]);
    let data: Vec<f32> = (0..13).map(|i| i as f32 - 6.5).collect();
    let views = [
        View { name: "fc1.weight", shape: &[2, 4], data: &data[..8] },
        View { name: "fc1.bias", shape: &[2], data: &data[8..10] },
        View { name: "μ", shape: &[1, 3, 1], data: &data[10..] },
    ];
    write(&file.0, &metadata, &views).unwrap();
    let bytes = std::fs::read(&file.0).unwrap();
    let start = bytes.len() - 4 * data.len();
    (bytes, start)
}

/// Checks that bytes are refused with the file's name, or else cover all of the data, number for number.
fn refused_or_consistent(bytes: &[u8], start: usize) -> Result<(), TestCaseError> {
    let file = match File::parse(Path::new("x.safetensors"), bytes.to_vec()) {
        Ok(file) => file,
        Err(error) => {
            prop_assert!(error.to_string().starts_with("x.safetensors: "), "{}", error);
            return Ok(());
        }
    };
    let mut at = start;
    for entry in &file.tensors {
        // The types of four bytes that a flipped bit makes of F32 are refused when floats are asked for.
        let end = at + 4 * entry.shape.iter().product::<usize>();
        match file.f32(&entry.name) {
            Ok(numbers) => {
                let read: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
                prop_assert!(bytes.get(at..end) == Some(&read), "{:?} holds other bytes", entry);
            }
            Err(error) => {
                prop_assert!(entry.dtype != "F32" && error.to_string().contains(&entry.dtype), "{}", error);
            }
        }
        at = end;
    }
    prop_assert_eq!(at, bytes.len(), "tensors cover the data");
    Ok(())
}

proptest! {
    #[test]
    fn flipped_bytes_are_refused_or_change_no_other(flips in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4)) {
        let (mut bytes, start) = small();
        for (at, flip) in flips {
            let at = at.index(bytes.len());
            // Headers of other lengths have a test of their own.
            if at >= 8 {
                bytes[at] ^= flip;
            }
        }
        refused_or_consistent(&bytes, start)?;
    }

    #[test]
    fn headers_flip_one_bit_at_a_time(bit in 0u8..8, at in any::<prop::sample::Index>()) {
        let (mut bytes, start) = small();
        bytes[8 + at.index(start - 8)] ^= 1 << bit;
        refused_or_consistent(&bytes, start)?;
    }

    #[test]
    fn lengths_that_lie_are_refused(length in any::<u64>()) {
        let (mut bytes, start) = small();
        prop_assume!(length != (start - 8) as u64);
        for length in [length, length % bytes.len() as u64] {
            bytes[..8].copy_from_slice(&length.to_le_bytes());
            let result = File::parse(Path::new("x.safetensors"), bytes.clone());
            prop_assert!(result.is_err() || length == (start - 8) as u64, "length {}", length);
        }
    }

    #[test]
    fn noise_is_no_file(noise in prop::collection::vec(any::<u8>(), 0..64)) {
        let length = (noise.len() as u64).to_le_bytes();
        let framed = [&length[..], &noise].concat();
        for bytes in [noise, framed] {
            let error = File::parse(Path::new("x.safetensors"), bytes);
            prop_assert!(error.is_err());
        }
    }
}

#[test]
fn every_truncation_and_every_surplus_is_refused() {
    let (bytes, _) = small();
    assert!(File::parse(Path::new("x.safetensors"), bytes.clone()).is_ok());
    for length in 0..bytes.len() {
        let result = File::parse(Path::new("x.safetensors"), bytes[..length].to_vec());
        let error = result.expect_err("a truncated file").to_string();
        assert!(error.starts_with("x.safetensors: "), "{length} bytes: {error}");
    }
    let more = [&bytes[..], &[0]].concat();
    assert!(File::parse(Path::new("x.safetensors"), more).is_err(), "a byte too many");
}

#[test]
fn names_that_stand_twice_are_refused() {
    let bytes =
        |header: &str| [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 8]].concat();
    let tensor = "\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\"";
    let cases = [
        (format!("{{\"a\":{{{tensor}:[0,4]}},\"a\":{{{tensor}:[4,8]}}}}"), "\"a\" stands twice"),
        (format!("{{\"a\":{{{tensor}:[0,8],\"dtype\":\"F64\"}}}}"), "\"a\""),
        (format!("{{\"a\":{{\"shape\":[2],{tensor}:[0,8]}}}}"), "\"a\""),
        ("{\"__metadata__\":{},\"__metadata__\":{}}".into(), "__metadata__ stands twice"),
        ("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}".into(), "\"k\" stands twice"),
        ("{\"__metadata__\":{\"k\":1}}".into(), "\"k\" is no string"),
        ("{\"__metadata__\":[]}".into(), "__metadata__ is no object"),
    ];
    for (header, want) in cases {
        let error = File::parse(Path::new("x"), bytes(&header)).expect_err(&header).to_string();
        assert!(error.contains(want), "{header}: {error}");
    }
}
