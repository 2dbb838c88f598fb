//! MNIST's IDX files: good ones, plain and gzip, and every bad one.

mod common;

use common::{TempDir, real, says};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use spikegrad_data::idx::{IMAGES_MAGIC, LABELS_MAGIC, decode};
use spikegrad_data::{DataError, Source, Split};
use std::io::Write;
use std::path::Path;

/// An IDX file with this header and body.
fn idx(magic: u32, shape: &[u32], body: &[u8]) -> Vec<u8> {
    std::iter::once(&magic)
        .chain(shape)
        .flat_map(|word| word.to_be_bytes())
        .chain(body.iter().copied())
        .collect()
}

fn images(n: u32) -> Vec<u8> {
    idx(IMAGES_MAGIC, &[n, 2, 3], &(0..n * 6).map(|p| p as u8).collect::<Vec<_>>())
}

fn labels(labels: &[u8]) -> Vec<u8> {
    idx(LABELS_MAGIC, &[labels.len() as u32], labels)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const NAMES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// A small good MNIST, under names and in a packing of the caller's.
fn good(name: impl Fn(&str) -> String, pack: impl Fn(&[u8]) -> Vec<u8>) -> TempDir {
    let dir = TempDir::new();
    for (file, bytes) in NAMES.iter().zip([images(3), labels(&[7, 0, 9]), images(2), labels(&[1, 2])]) {
        dir.write(&name(file), &pack(&bytes));
    }
    dir
}

fn plain() -> TempDir {
    good(str::to_owned, <[u8]>::to_vec)
}

fn load(dir: &TempDir) -> Result<Split, DataError> {
    Source::mnist(dir.path().to_path_buf()).load(0)
}

#[test]
fn reads_plain_and_gzip_under_every_name() {
    let zipped = good(|name| format!("{name}.gz"), gzip);
    let dotted = good(|name| name.replace("-idx", ".idx"), <[u8]>::to_vec);
    let disguised = good(str::to_owned, gzip);
    for dir in [plain(), zipped, dotted, disguised] {
        let split = load(&dir).unwrap();
        assert_eq!((split.train.labels, split.test.labels), (vec![7, 0, 9], vec![1, 2]));
        assert_eq!((split.train.channels, split.train.height, split.train.width), (1, 2, 3));
        assert_eq!(split.train.pixels, (0..18).collect::<Vec<u8>>());
    }
}

#[test]
fn refuses_wrong_magic_numbers() {
    let dir = plain();
    dir.write(NAMES[0], &labels(&[1]));
    says(load(&dir), &[NAMES[0], "0x00000801", "offset 0", "0x00000803"]);
    let dir = plain();
    dir.write(NAMES[3], &images(2));
    says(load(&dir), &[NAMES[3], "0x00000803", "expected 0x00000801"]);
}

#[test]
fn refuses_cut_files() {
    let dir = plain();
    dir.write(NAMES[0], &images(3)[..10]);
    says(load(&dir), &[NAMES[0], "header", "offset 4: expected 12 bytes, found 6"]);
    dir.write(NAMES[0], &images(3)[..33]);
    says(load(&dir), &[NAMES[0], "offset 16", "expected 18 bytes, found 17"]);
    dir.write(NAMES[0], &gzip(&images(3)[..33]));
    says(load(&dir), &[NAMES[0], "offset 16", "expected 18 bytes, found 17"]);
    dir.write(NAMES[0], &[]);
    says(load(&dir), &[NAMES[0], "nothing"]);
}

#[test]
fn refuses_bytes_left_over() {
    for pack in [<[u8]>::to_vec, gzip] {
        let dir = plain();
        dir.write(NAMES[1], &pack(&idx(LABELS_MAGIC, &[3], &[1, 2, 3, 4, 5])));
        says(load(&dir), &[NAMES[1], "offset 8", "expected 3 bytes, found 4 or more"]);
    }
}

#[test]
fn refuses_lying_counts() {
    let dir = plain();
    dir.write(NAMES[0], &idx(IMAGES_MAGIC, &[u32::MAX; 3], &[0; 18]));
    says(load(&dir), &[NAMES[0], "promises 18446744073709551615", "at most 2147483648"]);
    dir.write(NAMES[0], &idx(IMAGES_MAGIC, &[1_000_000, 2, 3], &[0; 18]));
    says(load(&dir), &[NAMES[0], "expected 6000000 bytes, found 18"]);
    let bytes = gzip(&idx(IMAGES_MAGIC, &[1_000_000, 2, 3], &[0; 18]));
    dir.write(NAMES[0], &bytes);
    says(load(&dir), &[NAMES[0], "promises 6000000", &format!("at most {}", bytes.len() * 1032)]);
    dir.write(NAMES[0], &images(2));
    says(load(&dir), &[NAMES[0], "has 2", NAMES[1], "has 3"]);
    dir.write(NAMES[0], &idx(IMAGES_MAGIC, &[3, 0, 3], &[]));
    says(load(&dir), &[NAMES[0], "nothing", "one image or more"]);
    let dir = plain();
    dir.write(NAMES[2], &idx(IMAGES_MAGIC, &[2, 3, 2], &[0; 12]));
    says(load(&dir), &[NAMES[0], NAMES[2], "has 2 rows", "has 3"]);
}

#[test]
fn refuses_labels_out_of_range() {
    let dir = plain();
    dir.write(NAMES[1], &labels(&[0, 1, 10]));
    says(load(&dir), &[NAMES[1], "label 10", "offset 10", "below 10"]);
}

#[test]
fn refuses_damaged_gzip() {
    let dir = plain();
    let good = gzip(&images(3));
    dir.write(NAMES[0], &good[..good.len() - 12]);
    says(load(&dir), &[NAMES[0], "gzip", "34 expected"]);
    // the checksum: the first of the last eight bytes
    let mut wrong = good.clone();
    let at = wrong.len() - 8;
    wrong[at] ^= 1;
    dir.write(NAMES[0], &wrong);
    says(load(&dir), &[NAMES[0], "gzip", "34 unpacked bytes of 34"]);
    dir.write(NAMES[0], &[0x1f, 0x8b, 0, 0, 0]);
    says(load(&dir), &[NAMES[0], "gzip", "after 0 unpacked bytes of 4"]);
}

#[test]
fn a_bomb_unpacks_to_no_more_than_promised() {
    // 64 MB of zeros in 64 kB, after a header that promises 18 bytes.
    let bomb = gzip(&[idx(IMAGES_MAGIC, &[3, 2, 3], &[]), vec![0; 1 << 26]].concat());
    says(decode(Path::new("bomb"), &bomb, IMAGES_MAGIC), &["bomb", "expected 18 bytes, found 19 or more"]);
}

#[test]
fn refuses_missing_and_empty() {
    let dir = TempDir::new();
    says(load(&dir), &["empty", "train-images-idx3-ubyte.gz or train-images-idx3-ubyte or"]);
    says(Source::mnist(dir.path().join("nowhere")).load(0), &["nowhere"]);
    let dir = plain();
    std::fs::remove_file(dir.path().join(NAMES[3])).unwrap();
    says(load(&dir), &[NAMES[3], "missing", "3 "]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        shape in prop::array::uniform3(prop_oneof![0u32..8, any::<u32>()]),
        flip in any::<prop::sample::Index>(),
    ) {
        let path = Path::new("x");
        for magic in [IMAGES_MAGIC, LABELS_MAGIC] {
            let _ = decode(path, &bytes, magic);
            let _ = decode(path, &gzip(&bytes), magic);
            let _ = decode(path, &[&[0x1f, 0x8b], bytes.as_slice()].concat(), magic);
        }
        let file = idx(IMAGES_MAGIC, &shape, &bytes);
        let product = shape.iter().map(|&n| u128::from(n)).product::<u128>();
        prop_assert_eq!(decode(path, &file, IMAGES_MAGIC).is_ok(), product == bytes.len() as u128);
        let mut zipped = gzip(&file);
        let at = flip.index(zipped.len());
        zipped[at] ^= 0x10;
        let _ = decode(path, &zipped, IMAGES_MAGIC);
    }
}

#[test]
fn real_mnist_is_whole() {
    let Some(dir) = real("mnist") else { return };
    let split = Source::mnist(dir).load(0).unwrap();
    assert_eq!((split.train.len(), split.test.len()), (60_000, 10_000));
    assert_eq!((split.train.height, split.train.width), (28, 28));
    assert_eq!(split.train.labels[..8], [5, 0, 4, 1, 9, 2, 1, 3]);
    let ones = split.train.labels.iter().filter(|&&l| l == 1).count();
    assert_eq!(ones, 6742);
    let sum: u64 = split.train.pixels.iter().map(|&p| u64::from(p)).sum();
    let mean = sum as f64 / (split.train.pixels.len() as f64 * 255.0);
    assert!((mean - 0.1307).abs() < 1e-4, "mean {mean}");
}

/// Kaggle's archive: a folder of each file's name with the file in it; others: files beside folders of their names.
#[test]
fn files_are_found_beside_and_in_folders_of_their_names() {
    let images = |pixel: u8| idx(IMAGES_MAGIC, &[2, 1, 1], &[pixel, 2]);
    let labels = idx(LABELS_MAGIC, &[2], &[3, 9]);
    for (file, folder) in [("X-idxN-ubyte", None), ("X.idxN-ubyte", Some("X-idxN-ubyte"))] {
        for inside in [true, false] {
            let root = TempDir::new();
            for (part, pixel) in [("train", 7), ("t10k", 8)] {
                for (what, n) in [("images", "3"), ("labels", "1")] {
                    let name = |form: &str| form.replace('X', &format!("{part}-{what}")).replace('N', n);
                    let bytes = if what == "images" { images(pixel) } else { labels.clone() };
                    let own = name(folder.unwrap_or(file));
                    if inside || folder.is_some() {
                        std::fs::create_dir(root.path().join(&own)).unwrap();
                    }
                    let path = if inside { format!("{own}/{}", name(file)) } else { name(file) };
                    root.write(&path, &bytes);
                }
            }
            let split = load(&root).unwrap();
            assert_eq!((&split.train.pixels[..], &split.test.pixels[..]), (&[7, 2][..], &[8, 2][..]));
            assert_eq!(split.test.labels, [3, 9], "{file} {inside}");
        }
    }
}

/// `cat a.gz b.gz` is a gzip file as well.
#[test]
fn gzip_of_several_members_is_read_whole() {
    let bytes = idx(IMAGES_MAGIC, &[3, 2, 1], &[1, 2, 3, 4, 5, 6]);
    for cut in [1, 4, 15, 17, 21] {
        let mut file = gzip(&bytes[..cut]);
        file.extend(gzip(&bytes[cut..]));
        assert_eq!(
            decode(Path::new("a.gz"), &file, IMAGES_MAGIC).unwrap().bytes,
            [1, 2, 3, 4, 5, 6],
            "{cut}"
        );
        file.extend(gzip(&[9]));
        says(decode(Path::new("a.gz"), &file, IMAGES_MAGIC), &["expected 6 bytes", "7 or more"]);
    }
    let mut file = gzip(&bytes);
    file.extend([1, 2, 3]);
    says(decode(Path::new("a.gz"), &file, IMAGES_MAGIC), &["damaged gzip"]);
}
