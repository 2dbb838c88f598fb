//! Ctrl-C: the first asks to stop after the batch, the second stops at once.

use crate::failure::Failure;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set by the first Ctrl-C.
static ASKED: AtomicBool = AtomicBool::new(false);
/// The customary status of a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Starts to listen for Ctrl-C.
///
/// # Errors
/// The system refuses the handler.
pub fn listen() -> Result<(), Failure> {
    ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED);
        }
        eprintln!("stopping after this batch; Ctrl-C again to stop at once");
    })
    .map_err(|why| Failure::Input(format!("cannot listen for Ctrl-C: {why}")))
}

/// Tells whether Ctrl-C came.
pub fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
