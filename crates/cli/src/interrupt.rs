//! Signals that ask a run to stop: the first ends it after the batch with its state written, the second at once.
//!
//! | signal | who sends it | status of a run that it stopped |
//! |---|---|---|
//! | SIGINT | Ctrl-C | 130 |
//! | SIGTERM | `kill`, `docker stop`, a scheduler at its time limit | 143 |
//! | SIGHUP | a terminal that closes | 129 |
//!
//! A signal that is ignored when the program starts stays ignored: that is how `nohup` and shells that start jobs in
//! the background want it.

use crate::terminal::warn;
use spikegrad_lab::{Error, Result};
use std::sync::atomic::{AtomicI32, Ordering};

/// Number of the first signal; 0 before it.
static ASKED: AtomicI32 = AtomicI32::new(0);
/// By customs of the shell, 128 plus the signal's number is the status of a program that a signal ended.
const STATUS_BASE: i32 = 128;

/// Notes a signal, and ends the process at the second.
fn note(signal: i32) {
    if ASKED.swap(signal, Ordering::Relaxed) != 0 {
        std::process::exit(STATUS_BASE + signal);
    }
    warn("stopping after this batch; once more to stop at once\n");
}

/// Starts to listen.
///
/// # Errors
/// The system refuses the handler.
#[cfg(unix)]
pub fn listen() -> Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let refused = |why: std::io::Error| Error::input(format!("cannot listen for signals: {why}"));
    let ignored = ignored_signals();
    let signals = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0);
    let mut signals = signal_hook::iterator::Signals::new(signals).map_err(refused)?;
    let wait = move || signals.forever().for_each(note);
    std::thread::Builder::new().name("signals".into()).spawn(wait).map(drop).map_err(refused)
}

/// The signals that are ignored, bit n − 1 for signal n, where the system tells (Linux); none elsewhere.
#[cfg(unix)]
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Starts to listen.
///
/// # Errors
/// The system refuses the handler.
#[cfg(not(unix))]
pub fn listen() -> Result<()> {
    const SIGINT: i32 = 2;
    ctrlc::set_handler(|| note(SIGINT))
        .map_err(|why| Error::input(format!("cannot listen for Ctrl-C: {why}")))
}

/// Tells whether a signal came.
pub fn asked() -> bool {
    ASKED.load(Ordering::Relaxed) != 0
}

/// The status of a command that has put its work in order after a signal: the one that the signal asks for.
pub fn status() -> u8 {
    (STATUS_BASE + ASKED.load(Ordering::Relaxed)) as u8
}
