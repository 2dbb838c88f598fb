//! Files that are there whole or not at all, and say when a byte of theirs has changed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Replaces a file by `bytes` as a whole: they go to a temporary file beside it, are flushed to the disk, read back
/// and compared, and only then take the old file's name.
///
/// # Errors
/// Whatever the file system says, or that it gave other bytes back; an existing file of that name is then untouched.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_on(&System, path, bytes)
}

/// What replacing a file asks of a disk; tests put one in between that fails or keeps a list.
trait Disk {
    /// Makes a file of these bytes and flushes it to the disk.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Reads a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Gives a file the name of another, which is gone then.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Flushes the names in a folder. Systems that cannot open a folder keep their own promises about renaming.
    fn flush_folder(&self, folder: &Path);
}

/// The system's disk.
struct System;

impl Disk for System {
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        write_flushed(&mut File::create(path)?, bytes, File::sync_all)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn flush_folder(&self, folder: &Path) {
        if let Ok(folder) = File::open(folder) {
            let _ = folder.sync_all();
        }
    }
}

/// Writes all bytes, then flushes them.
fn write_flushed<W: Write>(
    file: &mut W,
    bytes: &[u8],
    flush: impl Fn(&W) -> io::Result<()>,
) -> io::Result<()> {
    file.write_all(bytes)?;
    flush(file)
}

fn replace_on(disk: &impl Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}{PART}", std::process::id()));
    let part = path.with_file_name(name);
    let written = write(disk, &part, bytes).and_then(|()| disk.rename(&part, path));
    if written.is_err() {
        let _ = fs::remove_file(&part);
        return written;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    disk.flush_folder(folder);
    Ok(())
}

/// The ending of temporary files' names.
const PART: &str = ".part";

/// Removes temporary files of `names` that a process which was killed left in a folder; files of other names are
/// somebody else's. Only for who has the folder alone.
///
/// # Errors
/// Whatever the file system says.
pub fn sweep(folder: &Path, names: &[&str]) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| is_part_of(name, names)) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Tells whether `part` is what [`replace`] calls a temporary file of one of `names`: `NAME.PROCESS.part`.
pub fn is_part_of(part: &str, names: &[&str]) -> bool {
    let stem = part.strip_suffix(PART).and_then(|stem| stem.rsplit_once('.'));
    stem.is_some_and(|(name, process)| {
        names.contains(&name) && !process.is_empty() && process.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Writes a file and reads it back.
fn write(disk: &impl Disk, part: &Path, bytes: &[u8]) -> io::Result<()> {
    disk.write(part, bytes)?;
    match disk.read(part)? == bytes {
        true => Ok(()),
        false => Err(io::Error::other("the disk gave back other bytes than were written")),
    }
}

/// Eight tables of CRC-32 (IEEE 802.3, as gzip and zlib have it): table k tells what a byte does k bytes later.
const TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0u32; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let (mut crc, mut bit) = (byte as u32, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut k = 1;
    while k < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[k - 1][byte];
            tables[k][byte] = tables[0][(before & 0xff) as usize] ^ (before >> 8);
            byte += 1;
        }
        k += 1;
    }
    tables
}

/// CRC-32 of several runs of bytes, one after the other.
///
/// ```
/// use spikegrad_models::durable::crc32;
/// assert_eq!(crc32(&[b"1234", b"56789"]), 0xcbf4_3926);
/// ```
pub fn crc32(runs: &[&[u8]]) -> u32 {
    let mut crc = !0u32;
    for run in runs {
        let (words, rest) = run.as_chunks::<8>();
        for word in words {
            let [a, b, c, d] = crc.to_le_bytes();
            let folded =
                [word[0] ^ a, word[1] ^ b, word[2] ^ c, word[3] ^ d, word[4], word[5], word[6], word[7]];
            crc = (0..8).fold(0, |crc, k| crc ^ TABLES[7 - k][folded[k] as usize]);
        }
        for &byte in rest {
            crc = TABLES[0][(crc as u8 ^ byte) as usize] ^ (crc >> 8);
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// One bit at a time, as the polynomial is defined.
    fn slow(bytes: &[u8]) -> u32 {
        let step = |crc: u32| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
        !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
    }

    #[test]
    fn words_and_bits_agree() {
        let bytes: Vec<u8> = (0..1000u32).map(|i| (i * i % 251) as u8).collect();
        for length in [0, 1, 7, 8, 9, 63, 64, 1000] {
            assert_eq!(crc32(&[&bytes[..length]]), slow(&bytes[..length]), "{length} bytes");
        }
        assert_eq!(crc32(&[&bytes[..13], &[], &bytes[13..]]), slow(&bytes));
    }

    /// A disk that keeps a list of what it is asked for, and fails or lies at one of these things.
    struct Faulty {
        asked: RefCell<Vec<String>>,
        fails: &'static str,
    }

    impl Faulty {
        fn ask(&self, what: &str, path: &Path) -> io::Result<()> {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            self.asked.borrow_mut().push(format!("{what} {name}"));
            if what == self.fails { Err(io::Error::other(format!("no {what}"))) } else { Ok(()) }
        }
    }

    impl Disk for Faulty {
        fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
            fs::write(path, &bytes[..bytes.len() / 2])?;
            self.ask("write", path)?;
            System.write(path, bytes)
        }

        fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
            self.ask("read", path)?;
            let mut bytes = System.read(path)?;
            if self.fails == "truth" {
                bytes[1] ^= 4;
            }
            Ok(bytes)
        }

        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            self.ask("rename", to)?;
            System.rename(from, to)
        }

        fn flush_folder(&self, folder: &Path) {
            let _ = self.ask("flush", folder);
        }
    }

    #[test]
    fn the_old_file_stays_until_the_new_one_has_proved_itself() {
        let folder = std::env::temp_dir().join(format!("spikegrad-faulty-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (path, part) = (folder.join("a"), format!("a.{}.part", std::process::id()));
        for fails in ["write", "read", "truth", "rename"] {
            fs::write(&path, b"old").unwrap();
            let disk = Faulty { asked: RefCell::default(), fails };
            replace_on(&disk, &path, b"newer").unwrap_err();
            assert_eq!(fs::read(&path).unwrap(), b"old", "{fails}");
            assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "{fails}: something is left");
        }
        let disk = Faulty { asked: RefCell::default(), fails: "nothing" };
        replace_on(&disk, &path, b"newer").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"newer");
        let folders = folder.file_name().unwrap().to_string_lossy();
        let want =
            [format!("write {part}"), format!("read {part}"), "rename a".into(), format!("flush {folders}")];
        assert_eq!(*disk.asked.borrow(), want);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn bytes_are_flushed_after_all_of_them_are_written() {
        let flushed = RefCell::new(0);
        let flush = |file: &Vec<u8>| {
            *flushed.borrow_mut() = file.len();
            Ok(())
        };
        write_flushed(&mut Vec::new(), b"12345", flush).unwrap();
        assert_eq!(*flushed.borrow(), 5);
        let fails = |_: &Vec<u8>| Err(io::Error::other("full"));
        assert!(write_flushed(&mut Vec::new(), b"1", fails).is_err());
    }

    #[test]
    fn a_file_is_replaced_or_untouched() {
        let folder = std::env::temp_dir().join(format!("spikegrad-durable-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a");
        replace(&path, b"old").unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        // A folder of that name cannot be replaced by a file; what is in it stays, and nothing else is left.
        fs::create_dir_all(folder.join("b/c")).unwrap();
        assert!(replace(&folder.join("b"), b"x").is_err());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn only_temporary_files_of_the_given_names_are_swept() {
        let folder = std::env::temp_dir().join(format!("spikegrad-sweep-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let kept = [
            "d.part",
            "d.7.partial",
            "d.x7.part",
            "mine.7.part",
            "download.part",
            "d..part",
            "d.7",
            "7.part",
        ];
        for name in kept.into_iter().chain(["d.7.part", "e.f.123.part"]) {
            fs::write(folder.join(name), b"half").unwrap();
        }
        sweep(&folder, &["d", "e.f"]).unwrap();
        let mut left: Vec<String> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut kept = kept.map(String::from);
        left.sort();
        kept.sort();
        assert_eq!(left, kept);
        fs::remove_dir_all(&folder).unwrap();
    }
}
