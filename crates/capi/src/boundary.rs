//! What crosses the boundary: pointers become slices and strings, errors and panics become codes and a line of text.

use crate::SpikegradStatus;
use spikegrad::Error;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a call failed.
#[derive(Debug)]
pub struct Fault {
    status: SpikegradStatus,
    why: String,
}

impl Fault {
    /// A hyper-parameter that makes no sense.
    pub fn config(why: String) -> Self {
        Self { status: SpikegradStatus::BadConfig, why }
    }

    /// Numbers of the wrong count or value.
    pub fn batch(why: String) -> Self {
        Self { status: SpikegradStatus::BadBatch, why }
    }

    fn argument(why: String) -> Self {
        Self { status: SpikegradStatus::BadArgument, why }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let status = match error {
            Error::Config(_) => SpikegradStatus::BadConfig,
            Error::File(_) => SpikegradStatus::BadFile,
            Error::NotFinite { .. } | Error::LogitsNotFinite { .. } => SpikegradStatus::NotFinite,
            _ => SpikegradStatus::BadBatch,
        };
        Self { status, why: error.to_string() }
    }
}

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

/// The last failure of this thread, in one line.
pub fn last_error() -> *const c_char {
    LAST.with_borrow(|last| last.as_ptr())
}

/// Runs a call; an error or a panic becomes a status and is kept in words.
pub fn guard(call: impl FnOnce() -> Result<(), Fault>) -> SpikegradStatus {
    let result = catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_string());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(Fault { status: SpikegradStatus::Panic, why: format!("panic: {text}") })
    });
    match result {
        Ok(()) => SpikegradStatus::Ok,
        Err(Fault { status, why }) => {
            let line: String = why.chars().map(|c| if c == '\n' || c == '\0' { ' ' } else { c }).collect();
            LAST.set(CString::new(line).unwrap_or_default());
            status
        }
    }
}

/// Frees what `Box::into_raw` gave away.
///
/// # Safety
/// `pointer` is null or came from `Box::into_raw` and is not used again.
pub unsafe fn guard_free<T>(pointer: *mut T) {
    if !pointer.is_null() {
        // SAFETY: not null, so from `Box::into_raw`, by this function's contract.
        let owned = unsafe { Box::from_raw(pointer) };
        guard(|| {
            drop(owned);
            Ok(())
        });
    }
}

/// Checks a pointer before anything is made for it, so that nothing is lost where it cannot be given away.
pub fn not_null<T>(pointer: *const T, name: &str) -> Result<(), Fault> {
    match (pointer.is_null(), pointer.is_aligned()) {
        (true, _) => Err(Fault::argument(format!("{name} is null"))),
        (_, false) => Err(Fault::argument(format!("{name} is not aligned"))),
        _ => Ok(()),
    }
}

/// Checks that an array lies in memory that can be addressed.
fn not_endless<T>(len: usize, name: &str) -> Result<(), Fault> {
    match len.checked_mul(size_of::<T>()) {
        Some(bytes) if isize::try_from(bytes).is_ok() => Ok(()),
        _ => Err(Fault::argument(format!("{name} has {len} values, more than memory can hold"))),
    }
}

/// A struct that begins with its own size, as the caller's header has it: a larger one of a later version is taken if
/// all that this version does not know is zero.
///
/// # Safety
/// `pointer` is null or points to a `usize`, and to as many bytes, this number included, as that says.
pub unsafe fn sized<T: Copy>(pointer: *const T, name: &str) -> Result<T, Fault> {
    not_null(pointer, name)?;
    // SAFETY: not null and aligned, so a size can be read by this function's contract.
    let (size, own) = (unsafe { pointer.cast::<usize>().read() }, size_of::<T>());
    if size < own || size > own + MOST_SURPLUS {
        return Err(Fault::argument(format!(
            "{name} has struct_size {size}, expected {own}; spikegrad_config_default sets it"
        )));
    }
    // SAFETY: the caller promises `size` bytes, of which these are the last.
    let surplus = unsafe { std::slice::from_raw_parts(pointer.cast::<u8>().add(own), size - own) };
    match surplus.iter().all(|byte| *byte == 0) {
        // SAFETY: at least `own` bytes are there; T is plain data.
        true => Ok(unsafe { pointer.read() }),
        false => Err(Fault::argument(format!("{name} sets what this version of the library does not know"))),
    }
}

/// Bytes that a later version's struct may be larger.
const MOST_SURPLUS: usize = 4096;

/// What a pointer shows, to read.
///
/// # Safety
/// `pointer` is null or points to a T that nobody writes meanwhile.
pub unsafe fn reference<'a, T>(pointer: *const T, name: &str) -> Result<&'a T, Fault> {
    not_null(pointer, name)?;
    // SAFETY: not null, so valid by this function's contract.
    Ok(unsafe { &*pointer })
}

/// What a handle shows, to change.
///
/// # Safety
/// `pointer` is null or points to a T that nobody else uses meanwhile.
pub unsafe fn handle<'a, T>(pointer: *mut T, name: &str) -> Result<&'a mut T, Fault> {
    not_null(pointer, name)?;
    // SAFETY: not null, so valid and exclusive by this function's contract.
    Ok(unsafe { &mut *pointer })
}

/// Writes a result to where the caller wants it.
///
/// # Safety
/// `pointer` is null or points to room for a T.
pub unsafe fn output<T>(pointer: *mut T, name: &str, value: T) -> Result<(), Fault> {
    not_null(pointer, name)?;
    // SAFETY: not null, so valid for a write by this function's contract; what was there is not dropped.
    unsafe { pointer.write(value) };
    Ok(())
}

/// An array, to read; null with a length of 0 is empty.
///
/// # Safety
/// `pointer` is null or points to `len` values that nobody writes meanwhile.
pub unsafe fn slice<'a, T>(pointer: *const T, len: usize, name: &str) -> Result<&'a [T], Fault> {
    if len == 0 {
        return Ok(&[]);
    }
    not_null(pointer, name)?;
    not_endless::<T>(len, name)?;
    // SAFETY: not null, so valid for `len` by this function's contract.
    Ok(unsafe { std::slice::from_raw_parts(pointer, len) })
}

/// An array, to write; null with a length of 0 is empty.
///
/// # Safety
/// `pointer` is null or points to `len` values that nobody else uses meanwhile.
pub unsafe fn slice_mut<'a, T>(pointer: *mut T, len: usize, name: &str) -> Result<&'a mut [T], Fault> {
    if len == 0 {
        return Ok(&mut []);
    }
    not_null(pointer, name)?;
    not_endless::<T>(len, name)?;
    // SAFETY: not null, so valid and exclusive for `len` by this function's contract.
    Ok(unsafe { std::slice::from_raw_parts_mut(pointer, len) })
}

/// A text of C's.
///
/// # Safety
/// `pointer` is null or points to bytes that end with a zero.
pub unsafe fn string<'a>(pointer: *const c_char, name: &str) -> Result<&'a str, Fault> {
    not_null(pointer, name)?;
    // SAFETY: not null, so ended by a zero byte by this function's contract.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|_| Fault::argument(format!("{name} is not UTF-8")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_become_a_status_and_a_line() {
        assert_eq!(guard(|| panic!("on\npurpose")), SpikegradStatus::Panic);
        // SAFETY: a C string of this thread, not overwritten meanwhile.
        let text = unsafe { CStr::from_ptr(last_error()) };
        assert_eq!(text.to_str(), Ok("panic: on purpose"));
    }
}
