//! Frames kept on disk from run to run.
//!
//! One file for each list of settings: `frames-HASH.bin`, the hash being of format, frames' settings and how recordings
//! are read. It
//! begins with a line that names the format. Then for each recording, little endian:
//!
//! | bytes | holds |
//! |---|---|
//! | 4, n | length of the path, the path |
//! | 8, 8 | the file's size, and when it was changed (ns since 1970) |
//! | 8, 8, 8 | the remarks on it: out of order, events outside, left out |
//! | 1 | 0: cells are bytes, 1: cells are f32 |
//! | 8 | hash of the cells |
//! | … | the cells, as many as the settings say |
//!
//! A recording of another size or time is read anew, as is one whose cells do not have their hash.

use super::cells::Cells;
use super::{Fit, FrameConfig, Origin, Sample, Tally};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The first bytes of a file.
const MAGIC: &[u8] = b"spikegrad frames, layout 2\n";
/// The longest path accepted.
const PATH_LIMIT: u32 = 1 << 16;

/// The properties of a recording that its frames depend on, besides the settings.
type Key = (String, u64, u64);

/// A recording's frames and the remarks on it.
type Kept = (Cells, Tally);

/// Frames by recording, and where they are to be kept.
pub(super) struct Cache {
    file: Option<PathBuf>,
    cells: HashMap<Key, Kept>,
    /// Whether a recording was asked for that is not there.
    missed: bool,
}

impl Cache {
    /// Reads what there is for these settings.
    pub fn open(folder: Option<&Path>, config: &FrameConfig, fit: &Fit) -> Self {
        let settings = format!("{config:?} {fit:?}");
        let file = folder.map(|folder| folder.join(format!("frames-{:016x}.bin", hash(settings.as_bytes()))));
        let mut cells = HashMap::new();
        let there = file.as_ref().filter(|file| file.is_file());
        if let Some(Ok(file)) = there.map(File::open) {
            // A damaged end is left out; the records before it are sound.
            let _ = read_all(&mut BufReader::new(file), config.len(), &mut cells);
        }
        Self { file, cells, missed: false }
    }

    /// Takes a recording's frames out.
    pub fn take(&mut self, origin: &Origin) -> Option<Kept> {
        self.file.as_ref()?;
        let cells = self.cells.remove(&key(origin)?);
        self.missed |= cells.is_none();
        cells
    }

    /// Writes the frames of all these recordings, and those that were there and not asked for, if one was missing.
    pub fn store(self, samples: &[Sample], cells: &[Cells], tallies: &[Tally]) {
        let Some(file) = self.file.filter(|_| self.missed) else { return };
        // Without a cache the frames are made again: no more is lost than time.
        let all = samples.iter().zip(cells.iter().zip(tallies));
        let own = all.filter_map(|(sample, (cells, tally))| Some((key(&sample.origin)?, cells, *tally)));
        let _ = write_all(&file, own, &self.cells);
    }
}

/// A recording's key; none where there is no file.
fn key(origin: &Origin) -> Option<Key> {
    let Origin::File(path) = origin else { return None };
    let data = fs::metadata(path).ok()?;
    let changed = data.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
    let path = fs::canonicalize(path).ok()?;
    Some((path.to_str()?.to_string(), data.len(), changed as u64))
}

fn read_all(source: &mut impl Read, len: usize, cells: &mut HashMap<Key, Kept>) -> io::Result<()> {
    let damaged = || io::Error::from(io::ErrorKind::InvalidData);
    let mut magic = [0; MAGIC.len()];
    source.read_exact(&mut magic)?;
    if magic != MAGIC {
        return Err(damaged());
    }
    loop {
        let path = number::<4>(source)? as u32;
        if path > PATH_LIMIT {
            return Err(damaged());
        }
        let mut text = vec![0; path as usize];
        source.read_exact(&mut text)?;
        let text = String::from_utf8(text).map_err(|_| damaged())?;
        let key = (text, number::<8>(source)?, number::<8>(source)?);
        let [disordered, outside, left_out] =
            [number::<8>(source)?, number::<8>(source)?, number::<8>(source)?];
        let tally = Tally { disordered, outside, left_out };
        let is_numbers = number::<1>(source)? == 1;
        let want = number::<8>(source)?;
        let size = if is_numbers { 4 * len } else { len };
        let mut bytes = Vec::new();
        source.by_ref().take(size as u64).read_to_end(&mut bytes)?;
        if bytes.len() < size || hash(&bytes) != want {
            return Err(damaged());
        }
        let float = |b: &[u8]| f32::from_le_bytes(std::array::from_fn(|k| b[k]));
        let one = if is_numbers {
            Cells::Numbers(bytes.chunks_exact(4).map(float).collect())
        } else {
            Cells::Bytes(bytes)
        };
        cells.insert(key, (one, tally));
    }
}

fn number<const N: usize>(source: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; N];
    source.read_exact(&mut bytes)?;
    Ok(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

fn write_all<'a>(
    file: &Path,
    own: impl Iterator<Item = (Key, &'a Cells, Tally)>,
    others: &'a HashMap<Key, Kept>,
) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    // The name belongs to this process alone, so that two runs do not write into each other's file.
    let temporary = file.with_extension(format!("tmp-{}", std::process::id()));
    let write = || -> io::Result<()> {
        let mut out = BufWriter::new(File::create(&temporary)?);
        out.write_all(MAGIC)?;
        let mut others: Vec<_> =
            others.iter().map(|(key, (cells, tally))| (key.clone(), cells, *tally)).collect();
        others.sort_by(|a, b| a.0.cmp(&b.0));
        for ((path, size, changed), cells, Tally { disordered, outside, left_out }) in own.chain(others) {
            let (kind, bytes) = match cells {
                Cells::Bytes(bytes) => (0, bytes.clone()),
                Cells::Numbers(numbers) => (1, numbers.iter().flat_map(|x| x.to_le_bytes()).collect()),
            };
            out.write_all(&(path.len() as u32).to_le_bytes())?;
            out.write_all(path.as_bytes())?;
            out.write_all(&size.to_le_bytes())?;
            out.write_all(&changed.to_le_bytes())?;
            for count in [disordered, outside, left_out] {
                out.write_all(&count.to_le_bytes())?;
            }
            out.write_all(&[kind])?;
            out.write_all(&hash(&bytes).to_le_bytes())?;
            out.write_all(&bytes)?;
        }
        out.flush()?;
        drop(out);
        fs::rename(&temporary, file)
    };
    let outcome = write();
    if outcome.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    outcome
}

/// A hash in the manner of FNV-1a, eight bytes at a time.
fn hash(bytes: &[u8]) -> u64 {
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29);
    let words = bytes.chunks_exact(8);
    let tail = words.remainder().iter().fold(bytes.len() as u64, |hash, &byte| mix(hash, byte.into()));
    words.fold(tail ^ 0xcbf2_9ce4_8422_2325, |hash, word| {
        mix(hash, u64::from_le_bytes(std::array::from_fn(|k| word[k])))
    })
}
