//! What a command says: figures on standard output, notes on standard error.
//!
//! Nothing here panics. A reader that went away (`| head`) is no error; any other failure of standard output is kept,
//! and ends the command with status 1 after its work is done. A failure of standard error has nowhere to be told.

use spikegrad_report::escape::visible;
use std::io::{self, ErrorKind, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether standard output is for JSON alone.
static JSON_ON_STDOUT: AtomicBool = AtomicBool::new(false);
/// The first failure of standard output.
static FAILURE: Mutex<Option<String>> = Mutex::new(None);

/// Keeps standard output for JSON: what [`print()`] is given goes to standard error from now on.
pub fn keep_stdout_for_json() {
    JSON_ON_STDOUT.store(true, Ordering::Relaxed);
}

/// Prints text to standard output, or to standard error where standard output is for JSON.
pub fn print(text: &str) {
    match JSON_ON_STDOUT.load(Ordering::Relaxed) {
        true => warn(text),
        false => to_stdout(&visible(text)),
    }
}

/// Prints text to standard error.
pub fn warn(text: &str) {
    let mut stream = io::stderr().lock();
    let _ = stream.write_all(visible(text).as_bytes()).and_then(|()| stream.flush());
}

/// Prints text to standard output as it is.
pub fn to_stdout(text: &str) {
    let mut stream = io::stdout().lock();
    keep(stream.write_all(text.as_bytes()).and_then(|()| stream.flush()));
}

/// Keeps the first failure of standard output; a closed pipe is none.
pub fn keep(outcome: io::Result<()>) {
    let Err(why) = outcome else { return };
    if why.kind() != ErrorKind::BrokenPipe {
        let mut failure = FAILURE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        failure.get_or_insert_with(|| why.to_string());
    }
}

/// The first failure of standard output, if there was one.
pub fn failure() -> Option<String> {
    FAILURE.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
}
