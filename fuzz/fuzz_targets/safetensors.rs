//! The safetensors reader: any bytes are refused in words, or are a file whose every tensor can be read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spikegrad_models::safetensors::File;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    match File::parse(Path::new("x.safetensors"), bytes.to_vec()) {
        Ok(file) => {
            for tensor in &file.tensors {
                let numbers = tensor.shape.iter().product::<usize>();
                match tensor.dtype.as_str() {
                    "F32" => assert_eq!(file.f32(&tensor.name).expect("checked").len(), numbers),
                    "I64" => assert_eq!(file.i64(&tensor.name).expect("checked").len(), numbers),
                    _ => assert!(file.f32(&tensor.name).is_err()),
                }
            }
        }
        Err(error) => assert!(error.to_string().starts_with("x.safetensors: ")),
    }
});
