//! CIFAR-10 and CIFAR-100: good files, and every bad one.

mod common;

use common::{TempDir, real, says};
use proptest::prelude::*;
use spikegrad_data::cifar::{Layout, decode};
use spikegrad_data::{ImageSet, Source};
use std::path::Path;

/// Records with the given label bytes each; pixel p of record i is i + p modulo 256.
fn records(labels: &[&[u8]]) -> Vec<u8> {
    let record = |(i, label): (usize, &&[u8])| {
        label.iter().copied().chain((0..3072).map(move |p| (i + p) as u8)).collect::<Vec<u8>>()
    };
    labels.iter().enumerate().flat_map(record).collect()
}

/// A small good CIFAR-10: two images in every file, labelled 0 and the file's number.
fn good10() -> TempDir {
    let dir = TempDir::new();
    for k in 1..=5 {
        dir.write(&format!("data_batch_{k}.bin"), &records(&[&[0], &[k]]));
    }
    dir.write("test_batch.bin", &records(&[&[9], &[8], &[7]]));
    dir
}

fn load10(dir: &Path) -> Result<spikegrad_data::Split, spikegrad_data::DataError> {
    Source::cifar10(dir.to_path_buf()).load(0)
}

fn load100(dir: &Path) -> Result<spikegrad_data::Split, spikegrad_data::DataError> {
    Source::cifar100(dir.to_path_buf()).load(0)
}

#[test]
fn reads_cifar10() {
    let dir = good10();
    let split = load10(dir.path()).unwrap();
    assert_eq!(split.train.labels, [0, 1, 0, 2, 0, 3, 0, 4, 0, 5]);
    assert_eq!(split.test.labels, [9, 8, 7]);
    assert_eq!(split.train.image(1)[..3], [1, 2, 3]);
    assert_eq!(split.test.image(2)[3071], (2 + 3071) as u8);
    assert_eq!((split.train.classes, split.train.class_names.len()), (10, 10));
    split.train.check().unwrap();
}

#[test]
fn reads_the_folder_that_the_archive_holds() {
    let (outer, good) = (TempDir::new(), good10());
    let inner = outer.path().join("cifar-10-batches-bin");
    std::fs::create_dir(&inner).unwrap();
    for entry in std::fs::read_dir(good.path()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, inner.join(path.file_name().unwrap())).unwrap();
    }
    assert_eq!(load10(outer.path()).unwrap().train.len(), 10);
}

#[test]
fn reads_cifar100_with_fine_labels() {
    let dir = TempDir::new();
    dir.write("train.bin", &records(&[&[19, 99], &[0, 3]]));
    dir.write("test.bin", &records(&[&[1, 42]]));
    let split = load100(dir.path()).unwrap();
    assert_eq!((split.train.labels, split.test.labels), (vec![99, 3], vec![42]));
    assert_eq!((split.train.classes, split.train.class_names.len()), (100, 100));
    assert_eq!(split.train.pixels[..3], [0, 1, 2]);
}

#[test]
fn refuses_a_cut_file() {
    let dir = good10();
    let mut bytes = records(&[&[0], &[1]]);
    bytes.pop();
    dir.write("data_batch_3.bin", &bytes);
    says(load10(dir.path()), &["data_batch_3.bin", "6145 bytes", "records of 3073 bytes", "record 1"]);
}

#[test]
fn refuses_the_records_of_the_other_set() {
    let dir = good10();
    dir.write("test_batch.bin", &records(&[&[1, 2]]));
    says(load10(dir.path()), &["test_batch.bin", "3074 bytes", "3073"]);
    dir.write("train.bin", &records(&[&[1]]));
    says(load100(dir.path()), &["train.bin", "3073 bytes", "3074"]);
}

#[test]
fn refuses_labels_out_of_range() {
    let dir = good10();
    dir.write("data_batch_2.bin", &records(&[&[0], &[10]]));
    says(load10(dir.path()), &["data_batch_2.bin", "label 10", "offset 3073", "below 10"]);
    let dir = TempDir::new();
    dir.write("train.bin", &records(&[&[0, 0], &[20, 0]]));
    says(load100(dir.path()), &["train.bin", "label 20", "offset 3074", "below 20"]);
    dir.write("train.bin", &records(&[&[0, 0], &[3, 100]]));
    says(load100(dir.path()), &["train.bin", "label 100", "offset 3075", "below 100"]);
}

#[test]
fn refuses_missing_and_empty() {
    let dir = TempDir::new();
    let name = dir.path().file_name().unwrap().to_str().unwrap();
    says(load10(dir.path()), &[name, "empty", "data_batch_1.bin"]);
    says(load100(dir.path()), &[name, "empty", "train.bin"]);
    says(load10(&dir.path().join("nowhere")), &["nowhere"]);
    let dir = good10();
    std::fs::remove_file(dir.path().join("data_batch_4.bin")).unwrap();
    says(load10(dir.path()), &["data_batch_4.bin", "missing", "5 "]);
    dir.write("data_batch_4.bin", &[]);
    says(load10(dir.path()), &["data_batch_4.bin", "nothing"]);
    std::fs::remove_file(dir.path().join("data_batch_4.bin")).unwrap();
    std::fs::create_dir(dir.path().join("data_batch_4.bin")).unwrap();
    says(load10(dir.path()), &["data_batch_4.bin", "not a regular file"]);
    says(load10(&dir.path().join("data_batch_1.bin")), &["data_batch_1.bin"]);
}

/// A set to decode into.
fn empty(classes: usize) -> ImageSet {
    let (channels, height, width) = (3, 32, 32);
    ImageSet { channels, height, width, classes, pixels: vec![], labels: vec![], class_names: vec![] }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..20_000),
        labels in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        for (layout, classes) in [(Layout::Cifar10, 10), (Layout::Cifar100, 100)] {
            let _ = decode(Path::new("x"), &bytes, layout, &mut empty(classes));
        }
        let labels: Vec<[u8; 1]> = labels.into_iter().map(|l| [l]).collect();
        let bytes = records(&labels.iter().map(<[u8; 1]>::as_slice).collect::<Vec<_>>());
        let mut set = empty(10);
        let good = labels.iter().all(|l| l[0] < 10);
        prop_assert_eq!(decode(Path::new("x"), &bytes, Layout::Cifar10, &mut set).is_ok(), good);
        prop_assert!(set.check().is_ok());
    }
}

#[test]
fn real_cifar10_is_whole_and_balanced() {
    let Some(dir) = real("cifar-10-batches-bin") else { return };
    let split = load10(&dir).unwrap();
    assert_eq!(split.train.len(), 50_000);
    for class in 0..10 {
        assert_eq!(split.train.labels.iter().filter(|&&l| l == class).count(), 5000, "class {class}");
    }
    let names = std::fs::read_to_string(dir.join("batches.meta.txt")).unwrap();
    assert_eq!(split.train.class_names, names.split_whitespace().collect::<Vec<_>>());
    // The normalisation's mean is that of these pixels.
    let mean = Source::cifar10(dir).normalisation().mean;
    for (c, want) in mean.iter().enumerate() {
        let sum: u64 =
            (0..50_000).flat_map(|i| &split.train.image(i)[c * 1024..][..1024]).map(|&p| u64::from(p)).sum();
        let got = sum as f64 / (50_000.0 * 1024.0 * 255.0);
        assert!((got - f64::from(*want)).abs() < 1e-4, "channel {c}: mean {got}, table {want}");
    }
    assert!(!split.test.is_empty());
}

#[test]
fn real_cifar100_reads() {
    let Some(dir) = real("cifar-100-binary") else { return };
    let split = load100(&dir).unwrap();
    for (set, file) in [(&split.train, "train.bin"), (&split.test, "test.bin")] {
        assert_eq!(set.len() as u64, std::fs::metadata(dir.join(file)).unwrap().len() / 3074);
        set.check().unwrap();
    }
    let names = std::fs::read_to_string(dir.join("fine_label_names.txt")).unwrap();
    assert_eq!(split.train.class_names, names.split_whitespace().collect::<Vec<_>>());
}
