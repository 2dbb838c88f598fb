//! CIFAR-10 and CIFAR-100 (Krizhevsky 2009) in their binary version.
//!
//! | set | files | record |
//! |---|---|---|
//! | CIFAR-10 | `data_batch_1.bin` … `data_batch_5.bin`, `test_batch.bin` | label, 3×32×32 pixels: 3,073 bytes |
//! | CIFAR-100 | `train.bin`, `test.bin` | coarse label, fine label, 3×32×32 pixels: 3,074 bytes |
//!
//! Pixels are planar (red, green, blue), row by row. CIFAR-100's label here is the fine one.

use crate::error::DataError;
use crate::files;
use crate::image_set::{ImageSet, Split};
use std::path::Path;

/// Bytes of an image's pixels, 3·32·32.
const PIXELS: usize = 3 * 32 * 32;

/// Says which of the two layouts a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One label byte below 10.
    Cifar10,
    /// A coarse label byte below 20, then a fine one below 100.
    Cifar100,
}

impl Layout {
    /// Lists the label bytes' class counts, in file order; the last is the label that counts.
    fn labels(self) -> &'static [usize] {
        match self {
            Self::Cifar10 => &[10],
            Self::Cifar100 => &[20, 100],
        }
    }

    /// Lists the classes' names, in label order.
    fn names(self) -> &'static str {
        match self {
            Self::Cifar10 => CIFAR10_NAMES,
            Self::Cifar100 => CIFAR100_NAMES,
        }
    }

    /// Makes a set without images.
    fn empty(self) -> ImageSet {
        ImageSet {
            channels: 3,
            height: 32,
            width: 32,
            classes: self.labels()[self.labels().len() - 1],
            pixels: Vec::new(),
            labels: Vec::new(),
            class_names: self.names().split_whitespace().map(str::to_owned).collect(),
        }
    }
}

/// Reads the six files of CIFAR-10 from `directory` (or from `cifar-10-batches-bin` in it).
///
/// Errors: a missing or empty file, a size that is not a whole number of records, a label above 9.
pub fn load_cifar10(directory: &Path) -> Result<Split, DataError> {
    let directory = files::enter(directory, "cifar-10-batches-bin");
    let train: Vec<String> = (1..=5).map(|k| format!("data_batch_{k}.bin")).collect();
    let train = read_files(&directory, &train, Layout::Cifar10)?;
    Ok(Split { train, test: read_files(&directory, &["test_batch.bin".into()], Layout::Cifar10)? })
}

/// Reads the two files of CIFAR-100 from `directory` (or from `cifar-100-binary` in it).
///
/// Errors: a missing or empty file, a size that is not a whole number of records, a label out of range.
pub fn load_cifar100(directory: &Path) -> Result<Split, DataError> {
    let directory = files::enter(directory, "cifar-100-binary");
    let train = read_files(&directory, &["train.bin".into()], Layout::Cifar100)?;
    Ok(Split { train, test: read_files(&directory, &["test.bin".into()], Layout::Cifar100)? })
}

/// Reads some files, one after the other, into one set.
fn read_files(directory: &Path, names: &[String], layout: Layout) -> Result<ImageSet, DataError> {
    let mut set = layout.empty();
    for name in names {
        let path = files::find(directory, std::slice::from_ref(name))?;
        decode(&path, &files::read(&path, "records of a label and an image")?, layout, &mut set)?;
    }
    Ok(set)
}

/// Decodes the bytes of one file and appends its images to `set`; `path` is for messages alone.
///
/// Errors: [`DataError::RecordSize`], or [`DataError::Label`] with the byte offset; `set` may then hold the
/// images before the fault.
pub fn decode(path: &Path, bytes: &[u8], layout: Layout, set: &mut ImageSet) -> Result<(), DataError> {
    let labels = layout.labels();
    let record = labels.len() + PIXELS;
    if !bytes.len().is_multiple_of(record) {
        return Err(DataError::RecordSize { path: path.to_path_buf(), size: bytes.len(), record });
    }
    let count = bytes.len() / record;
    set.labels.reserve(count);
    set.pixels.reserve(count * PIXELS);
    for (i, one) in bytes.chunks_exact(record).enumerate() {
        let (found, pixels) = one.split_at(labels.len());
        for (k, (&label, &classes)) in found.iter().zip(labels).enumerate() {
            let found = usize::from(label);
            if found >= classes {
                let (path, offset) = (path.to_path_buf(), i * record + k);
                return Err(DataError::Label { path, offset, found, classes });
            }
        }
        set.labels.push(u16::from(found[found.len() - 1]));
        set.pixels.extend_from_slice(pixels);
    }
    Ok(())
}

/// CIFAR-10's classes.
const CIFAR10_NAMES: &str = "airplane automobile bird cat deer dog frog horse ship truck";

/// CIFAR-100's fine classes.
const CIFAR100_NAMES: &str = "
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard
lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear
pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark
shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone
television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
";
