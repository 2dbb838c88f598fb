//! Files of other formats that are easily taken for safetensors, by their first bytes.

/// Formats: the offset of the bytes that tell them, these bytes, and the format's name.
const MAGIC: [(usize, &[u8], &str); 11] = [
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"GGUF", "a GGUF file"),
    (4, b"TFL3", "a TensorFlow Lite model"),
    (0, b"\x1f\x8b", "a gzip archive: unpack it first"),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive: unpack it first"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: unpack it first"),
    (0, b"version https://git-lfs", "a Git LFS pointer: fetch the file itself"),
    (0, b"<!DOCTYPE", "a web page"),
    (0, b"<html", "a web page"),
    (0, b"{", "JSON text"),
];

/// The advice that turns PyTorch's files into safetensors.
const CONVERT: &str = "save it with safetensors.torch.save_file(model.state_dict(), FILE)";

/// Names the format of a file that is no safetensors file, where its first bytes tell.
pub(crate) fn format(bytes: &[u8]) -> Option<String> {
    if bytes.starts_with(b"PK\x03\x04") {
        // The first entries' names stand near the beginning of the archive.
        let head = &bytes[..bytes.len().min(4096)];
        let has = |name: &[u8]| head.windows(name.len()).any(|window| window == name);
        return Some(match (has(b"data.pkl"), has(b".npy")) {
            (true, _) => format!("a PyTorch archive: {CONVERT}"),
            (_, true) => "a NumPy archive (npz)".into(),
            _ => format!("a zip archive, such as PyTorch writes: {CONVERT}"),
        });
    }
    // Pickle's protocol 2 to 5, then a frame, a global, or the long number that PyTorch's old files begin with.
    if let [0x80, 2..=5, 0x95 | b'c' | b'}' | b'(' | b']' | 0x8a, ..] = bytes {
        return Some(format!("a pickle, such as old versions of PyTorch write: {CONVERT}"));
    }
    // A protocol buffer: field 1, the version, then field 2, the producer's name, or field 7, the graph.
    if let [0x08, 1..=0x20, 0x12 | 0x3a, ..] = bytes {
        return Some("an ONNX model".into());
    }
    let known =
        |(at, magic, _): &&(usize, &[u8], &str)| bytes.get(*at..).is_some_and(|b| b.starts_with(magic));
    MAGIC.iter().find(known).map(|(_, _, name)| (*name).to_string())
}

#[cfg(test)]
mod tests {
    use crate::safetensors::File;
    use std::path::Path;

    #[test]
    fn other_formats_are_named() {
        let zip =
            |name: &str| [&b"PK\x03\x04\x14\0\0\0\0\0"[..], &[0; 16], name.as_bytes(), &[0; 64]].concat();
        let files: [(Vec<u8>, &str); 12] = [
            (zip("archive/data.pkl"), "a PyTorch archive"),
            (zip("weight.npy"), "a NumPy archive"),
            (zip("a.txt"), "a zip archive"),
            (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.".to_vec(), "a pickle"),
            (b"\x80\x04\x95\x10\0\0\0\0\0\0\0}\x94.".to_vec(), "a pickle"),
            (b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08".to_vec(), "an HDF5 file"),
            (b"\x93NUMPY\x01\0v\0{'descr': '<f4'".to_vec(), "a NumPy array"),
            (b"\x08\x08\x12\x07pytorch\x1a\x052.0.0:".to_vec(), "an ONNX model"),
            (b"GGUF\x03\0\0\0\0\0\0\0".to_vec(), "a GGUF file"),
            (b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec(), "a gzip archive"),
            (b"version https://git-lfs.github.com/spec/v1".to_vec(), "a Git LFS pointer"),
            (b"<!DOCTYPE html><html>".to_vec(), "a web page"),
        ];
        for (bytes, name) in files {
            let error = File::parse(Path::new("x"), bytes).unwrap_err().to_string();
            assert!(error.starts_with(&format!("x: is {name}")), "{error}");
        }
        let error = File::parse(Path::new("x"), vec![0xff; 40]).unwrap_err().to_string();
        assert_eq!(error, format!("x: byte 0: header says {} bytes, 32 follow", u64::MAX));
    }
}
