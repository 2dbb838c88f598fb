//! The safetensors format: eight bytes of header length, a JSON header, then the tensors without gaps.
//!
//! The reader trusts nothing: every length is checked against the bytes that are there before it is used. A file is
//! written whole or not at all ([`durable::replace`]), and its first metadata entry is the CRC-32 of all its bytes
//! (with zeros for the eight digits themselves): a file of ours that has changed is refused. Files of other programs
//! have no such entry, and are read without it.

use crate::available;
use crate::durable::{self, crc32};
use crate::foreign;
use crate::json::{Json, parse, quote};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

/// A fault of a file.
#[derive(Debug)]
pub struct FileError {
    path: PathBuf,
    fault: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl FileError {
    /// Makes an error that names the file and says what is wrong with it.
    pub fn new(path: &Path, fault: impl Into<String>) -> Self {
        Self { path: path.to_path_buf(), fault: fault.into(), source: None }
    }

    /// Makes an error that names the file and says what another error says.
    pub fn caused(path: &Path, cause: impl Error + Send + Sync + 'static) -> Self {
        let fault = cause.to_string();
        Self { source: Some(Box::new(cause)), ..Self::new(path, fault) }
    }

    /// Returns the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns what is wrong with the file, without its name.
    pub fn fault(&self) -> &str {
        &self.fault
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.fault)
    }
}

impl Error for FileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.source.as_ref()?;
        Some(&**source)
    }
}

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name.
    pub name: String,
    /// `F32`, `I64`, …
    pub dtype: String,
    /// Shape, outermost first.
    pub shape: Vec<usize>,
    begin: usize,
    end: usize,
}

/// A file read whole.
#[derive(Clone, Debug)]
pub struct File {
    path: PathBuf,
    /// The header's `__metadata__`.
    pub metadata: BTreeMap<String, String>,
    /// The tensors, in the order of their bytes.
    pub tensors: Vec<Entry>,
    /// Whether the file has a checksum; it is right then.
    pub is_verified: bool,
    /// The index in `tensors` of each name.
    index: BTreeMap<String, usize>,
    data: Vec<u8>,
}

/// The content of a header.
struct Header {
    metadata: BTreeMap<String, String>,
    tensors: Vec<Entry>,
    index: BTreeMap<String, usize>,
    is_verified: bool,
    /// The offset at which the numbers begin.
    data: usize,
}

/// The beginning of a header with a checksum; eight hexadecimal digits follow.
const CHECKSUM: &str = "{\"__metadata__\":{\"crc32\":\"";
/// The digits that the checksum itself counts as.
const DIGITS: &[u8; 8] = b"00000000";

/// The CRC-32 of a file, if its header begins with one, as it is told and as it is.
fn checksums(bytes: &[u8]) -> Option<(String, String)> {
    let (digits, after) = bytes.get(8..)?.strip_prefix(CHECKSUM.as_bytes())?.split_first_chunk::<8>()?;
    let told = String::from_utf8_lossy(digits).into_owned();
    let is = crc32(&[&bytes[..8 + CHECKSUM.len()], DIGITS, after]);
    Some((told, format!("{is:08x}")))
}

impl File {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// The file cannot be read, is no regular file, is truncated, its header is no valid JSON, a tensor's range does
    /// not fit its shape, overlaps another or leaves a gap, or a byte has changed since its checksum was made. A file
    /// of another format that is easily taken for this one (PyTorch's, pickle, HDF5, NumPy, ONNX …) is named.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let path = path.as_ref();
        let fail = |error: std::io::Error| FileError::caused(path, error);
        // A pipe or a device could give bytes without end.
        let about = std::fs::metadata(path).map_err(fail)?;
        if !about.is_file() {
            return Err(FileError::new(path, "is no regular file"));
        }
        // A sparse file may claim any length.
        let length = usize::try_from(about.len()).unwrap_or(usize::MAX);
        available::check(length).map_err(|why| FileError::caused(path, why))?;
        Self::parse(path, std::fs::read(path).map_err(fail)?)
    }

    /// Checks bytes that came from `path`.
    ///
    /// # Errors
    /// As [`File::read`].
    pub fn parse(path: &Path, mut bytes: Vec<u8>) -> Result<Self, FileError> {
        let Header { metadata, tensors, index, is_verified, data } =
            read_header(&bytes).map_err(|what| FileError::new(path, what))?;
        let data = bytes.split_off(data);
        Ok(Self { path: path.to_path_buf(), metadata, tensors, is_verified, index, data })
    }

    /// The path from which the file was read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// An error that names this file.
    pub fn error(&self, what: impl Into<String>) -> FileError {
        FileError::new(&self.path, what)
    }

    /// The entry of a tensor.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn entry(&self, name: &str) -> Result<&Entry, FileError> {
        let found = self.index.get(name).map(|&at| &self.tensors[at]);
        found.ok_or_else(|| self.error(format!("no tensor {name:?}")))
    }

    /// The numbers of an `F32` tensor.
    ///
    /// # Errors
    /// It is missing or of another type.
    pub fn f32(&self, name: &str) -> Result<Vec<f32>, FileError> {
        let (numbers, _) = self.typed(name, "F32")?.as_chunks::<4>();
        Ok(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    /// The numbers of an `I64` tensor.
    ///
    /// # Errors
    /// It is missing or of another type.
    pub fn i64(&self, name: &str) -> Result<Vec<i64>, FileError> {
        let (numbers, _) = self.typed(name, "I64")?.as_chunks::<8>();
        Ok(numbers.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect())
    }

    fn typed(&self, name: &str, dtype: &str) -> Result<&[u8], FileError> {
        let entry = self.entry(name)?;
        if entry.dtype != dtype {
            return Err(self.error(format!("tensor {name:?} is {}, expected {dtype}", entry.dtype)));
        }
        Ok(&self.data[entry.begin..entry.end])
    }

    /// A metadata string, parsed.
    ///
    /// # Errors
    /// It is missing or does not parse.
    pub fn meta<T: std::str::FromStr>(&self, key: &str) -> Result<T, FileError> {
        let text = self.metadata.get(key).ok_or_else(|| self.error(format!("metadata has no {key:?}")))?;
        text.parse().map_err(|_| self.error(format!("metadata {key:?} is {text:?}, which is not valid")))
    }
}

/// Checks a whole file and reads its header.
fn read_header(bytes: &[u8]) -> Result<Header, String> {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(format!("holds {} bytes, a safetensors file has at least 8", bytes.len()));
    };
    let (length, after) = (u64::from_le_bytes(*length), rest.len());
    if length > after as u64 {
        return Err(match foreign::format(bytes) {
            Some(format) => format!("is {format}, no safetensors file"),
            None => format!("byte 0: header says {length} bytes, {after} follow"),
        });
    }
    let text = std::str::from_utf8(&rest[..length as usize])
        .map_err(|error| format!("byte {}: header is not UTF-8", 8 + error.valid_up_to()))?;
    let value = parse(text)
        .map_err(|(at, want)| format!("byte {}: header is no valid JSON, expected {want}", 8 + at))?;
    let Json::Object(members) = value else { return Err("byte 8: header is no object".into()) };
    let mut metadata = None;
    let mut tensors = Vec::new();
    for (name, value) in members {
        if name != "__metadata__" {
            tensors.push(entry(name, value)?);
        } else if metadata.replace(strings(value)?).is_some() {
            return Err("__metadata__ stands twice".into());
        }
    }
    let mut metadata = metadata.unwrap_or_default();
    let data = 8 + length as usize;
    tensors.sort_by_key(|tensor| (tensor.begin, tensor.end));
    let index = check_layout(&tensors, bytes.len() - data)?;
    let checksums = checksums(bytes);
    if let Some((told, is)) = &checksums {
        if told != is {
            return Err(format!("damaged: its bytes have CRC-32 {is}, its header says {told}"));
        }
        metadata.remove("crc32");
    }
    Ok(Header { metadata, tensors, index, is_verified: checksums.is_some(), data })
}

/// The metadata's strings; `null`, which Python writes for none, has none.
fn strings(value: Json) -> Result<BTreeMap<String, String>, String> {
    if value == Json::Null {
        return Ok(BTreeMap::new());
    }
    let Json::Object(members) = value else { return Err("__metadata__ is no object".into()) };
    let mut strings = BTreeMap::new();
    for (key, value) in members {
        let Json::String(text) = value else {
            return Err(format!("__metadata__ {key:?} is no string"));
        };
        if strings.contains_key(&key) {
            return Err(format!("__metadata__ {key:?} stands twice"));
        }
        strings.insert(key, text);
    }
    Ok(strings)
}

fn entry(name: String, value: Json) -> Result<Entry, String> {
    let broken = || format!("tensor {name:?} has no dtype, shape and data_offsets");
    let Json::Object(members) = value else { return Err(broken()) };
    let (mut dtype, mut shape, mut offsets) = (None, None, None);
    for (key, value) in members {
        match (key.as_str(), value) {
            ("dtype", Json::String(text)) if dtype.is_none() => dtype = Some(text),
            ("shape", value) if shape.is_none() => shape = numbers(value),
            ("data_offsets", value) if offsets.is_none() => offsets = numbers(value),
            _ => return Err(broken()),
        }
    }
    match (dtype, shape, offsets.as_deref()) {
        (Some(dtype), Some(shape), Some(&[begin, end])) => Ok(Entry { name, dtype, shape, begin, end }),
        _ => Err(broken()),
    }
}

fn numbers(value: Json) -> Option<Vec<usize>> {
    let Json::Array(items) = value else { return None };
    let number = |item| if let Json::Number(n) = item { usize::try_from(n).ok() } else { None };
    items.into_iter().map(number).collect()
}

/// Tensors must cover the data once, in order, each with as many bytes as its shape says, no name twice; returns where
/// each name stands.
fn check_layout(tensors: &[Entry], data: usize) -> Result<BTreeMap<String, usize>, String> {
    let mut at = 0;
    let mut index = BTreeMap::new();
    for (i, t) in tensors.iter().enumerate() {
        let name = &t.name;
        if index.insert(name.clone(), i).is_some() {
            return Err(format!("tensor {name:?} stands twice"));
        }
        let size = match t.dtype.as_str() {
            "F64" | "I64" | "U64" => 8,
            "F32" | "I32" | "U32" => 4,
            "F16" | "BF16" | "I16" | "U16" => 2,
            "I8" | "U8" | "BOOL" => 1,
            other => return Err(format!("tensor {name:?} has unknown type {other:?}")),
        };
        let bytes = t.shape.iter().try_fold(size, |bytes: usize, &side| bytes.checked_mul(side));
        if t.begin != at || t.end < t.begin || t.end > data {
            let (begin, end) = (t.begin, t.end);
            return Err(format!(
                "tensor {name:?} lies at {begin}..{end}, expected {at}.. within {data} bytes"
            ));
        }
        if bytes != Some(t.end - t.begin) {
            let (shape, got) = (&t.shape, t.end - t.begin);
            return Err(format!("tensor {name:?} of shape {shape:?} has {got} bytes, needs {bytes:?}"));
        }
        at = t.end;
    }
    if at == data { Ok(index) } else { Err(format!("tensors end at byte {at}, data has {data} bytes")) }
}

/// A tensor to write.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Name.
    pub name: &'a str,
    /// Shape, outermost first.
    pub shape: &'a [usize],
    /// Its numbers.
    pub data: &'a [f32],
}

/// Writes a file of `F32` tensors with a checksum, whole or not at all, after checking that [`File::read`] will read it.
///
/// # Errors
/// A name that stands twice or is the format's own, a shape that does not fit its numbers, or a folder that cannot be
/// written; an existing file of that name is then untouched.
pub fn write(
    path: &Path,
    metadata: &BTreeMap<String, String>,
    tensors: &[View<'_>],
) -> Result<(), FileError> {
    let mut header = format!("{CHECKSUM}{}\"", String::from_utf8_lossy(DIGITS));
    metadata.iter().for_each(|(k, v)| header.push_str(&format!(",{}:{}", quote(k), quote(v))));
    header.push('}');
    let mut at = 0;
    for t in tensors {
        let end = at + 4 * t.data.len();
        let (name, shape) = (quote(t.name), t.shape);
        let line = format!(",{name}:{{\"dtype\":\"F32\",\"shape\":{shape:?},\"data_offsets\":[{at},{end}]}}");
        header.push_str(&line);
        at = end;
    }
    header.push('}');
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut bytes = Vec::with_capacity(8 + header.len() + at);
    bytes.extend((header.len() as u64).to_le_bytes());
    bytes.extend(header.as_bytes());
    tensors.iter().for_each(|t| bytes.extend(t.data.iter().flat_map(|x| x.to_le_bytes())));
    let checksum = format!("{:08x}", crc32(&[&bytes]));
    bytes[8 + CHECKSUM.len()..][..checksum.len()].copy_from_slice(checksum.as_bytes());
    read_header(&bytes)
        .map_err(|what| FileError::new(path, format!("not written, for it could not be read: {what}")))?;
    durable::replace(path, &bytes).map_err(|error| FileError::caused(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(header: &str, data: usize) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; data][..]].concat()
    }

    #[test]
    fn lies_are_found() {
        let path = Path::new("x.safetensors");
        let tensor = |shape: &str, offsets: &str| {
            format!("{{\"a\":{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":{offsets}}}}}")
        };
        assert!(File::parse(path, bytes(&tensor("[2]", "[0,8]"), 8)).is_ok());
        let broken = [
            bytes(&tensor("[2]", "[0,8]"), 7),
            bytes(&tensor("[2]", "[0,8]"), 9),
            bytes(&tensor("[3]", "[0,8]"), 8),
            bytes(&tensor("[18446744073709551615,2]", "[0,8]"), 8),
            bytes(&tensor("[2]", "[4,12]"), 12),
            bytes(&tensor("[2]", "[8,0]"), 8),
            bytes("{\"a\":[[[[[[[[[[]]]]]]]]]]}", 0),
            bytes("{\"a\":null}", 0),
            bytes("{\"__metadata__\":[]}", 0),
            bytes(&tensor("[2.0]", "[0,8]"), 8),
            bytes(&tensor("[-2]", "[0,8]"), 8),
            bytes("{\"a\"", 0),
            u64::MAX.to_le_bytes().to_vec(),
            vec![1, 2, 3],
        ];
        for file in broken {
            let error = File::parse(path, file).unwrap_err().to_string();
            assert!(error.starts_with("x.safetensors: "), "{error}");
        }
    }

    #[test]
    fn what_python_writes_is_read() {
        let header = "  { \"__metadata__\" : null , \"a\\u0062\" : { \"dtype\" : \"F32\", \"shape\" : [ ] , \
                      \"data_offsets\" : [ 0 , 4 ] } }   ";
        let file = File::parse(Path::new("x"), bytes(header, 4)).unwrap();
        assert_eq!((file.f32("ab").unwrap(), file.metadata.len()), (vec![0.0], 0));
    }

    /// With a comparison of each name with each, a hundred thousand take five billion steps: minutes.
    #[test]
    fn many_empty_tensors_are_read_one_by_one() {
        let entry = |k: usize| format!("\"t{k}\":{{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}");
        let entries: Vec<String> = (0..100_000).map(entry).collect();
        let file = File::parse(Path::new("x"), bytes(&format!("{{{}}}", entries.join(",")), 0)).unwrap();
        assert!((0..100_000).all(|k| file.f32(&format!("t{k}")).unwrap().is_empty()));
    }

    #[test]
    fn what_could_not_be_read_is_not_written() {
        let path = std::env::temp_dir().join(format!("spikegrad-unread-{}.safetensors", std::process::id()));
        let view = |name, shape| View { name, shape, data: &[1.0, 2.0] };
        write(&path, &BTreeMap::new(), &[view("a", &[2])]).unwrap();
        let before = std::fs::read(&path).unwrap();
        let crc = BTreeMap::from([("crc32".to_string(), "x".to_string())]);
        for (metadata, views) in [
            (BTreeMap::new(), vec![view("a", &[2]), view("a", &[2])]),
            (BTreeMap::new(), vec![view("a", &[3])]),
            (BTreeMap::new(), vec![view("__metadata__", &[2])]),
            (crc, vec![view("a", &[2])]),
        ] {
            let error = write(&path, &metadata, &views).unwrap_err().to_string();
            assert!(error.contains("not written"), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), before);
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    #[cfg(unix)]
    fn what_is_no_regular_file_is_not_read() {
        for path in ["/dev/null", "/dev/zero", "/tmp"] {
            let error = File::read(path).unwrap_err().to_string();
            assert_eq!(error, format!("{path}: is no regular file"));
        }
    }

    /// A sparse file of eight terabytes takes no room on the disk, and is not read into memory.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_larger_than_memory_is_not_read() {
        let path = std::env::temp_dir().join(format!("spikegrad-sparse-{}.safetensors", std::process::id()));
        let file = std::fs::File::create(&path).unwrap();
        let is_sparse = file.set_len(1 << 43).is_ok();
        let read = File::read(&path).map(|_| ()).map_err(|why| why.to_string());
        std::fs::remove_file(&path).unwrap();
        if is_sparse {
            assert!(read.unwrap_err().contains("needs 8192.0 GiB of memory"));
        } else {
            println!("skipped: this file system has no sparse files of that size");
        }
    }

    #[test]
    fn a_changed_byte_is_told_by_its_checksum() {
        let path = std::env::temp_dir().join(format!("spikegrad-changed-{}.safetensors", std::process::id()));
        write(&path, &BTreeMap::new(), &[View { name: "w", shape: &[3], data: &[1.0, 2.0, 3.0] }]).unwrap();
        let good = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        for at in good.len() - 12..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            let error = File::parse(Path::new("x"), bytes).unwrap_err().to_string();
            assert!(error.starts_with("x: damaged: its bytes have CRC-32 "), "{error}");
        }
    }

    #[test]
    fn files_round_trip() {
        let path = std::env::temp_dir().join(format!("spikegrad-{}.safetensors", std::process::id()));
        let metadata = BTreeMap::from([("a \"b\"".to_string(), "c\\d\n".to_string())]);
        let data = [1.5, -2.0, f32::MIN_POSITIVE, 0.0, 3.0, 4.0];
        write(&path, &metadata, &[View { name: "w", shape: &[2, 3], data: &data }]).unwrap();
        let file = File::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!((file.metadata.clone(), file.f32("w").unwrap()), (metadata, data.to_vec()));
        assert_eq!(file.entry("w").unwrap().shape, [2, 3]);
    }
}
