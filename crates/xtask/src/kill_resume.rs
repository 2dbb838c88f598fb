//! `cargo xtask kill-resume`: the long form of the test that kills training runs.

use crate::repository::{Result, cargo, succeed};

/// Runs the test with this number of runs, each killed twice.
pub fn run(kills: u32) -> Result {
    let mut command = cargo();
    command.env("SPIKEGRAD_KILLS", kills.to_string());
    command.args(["test", "--release", "-p", "spikegrad-cli", "--test", "reliability"]);
    succeed(command.args(["runs_killed_at_any_moment_end_with_the_same_bytes", "--", "--nocapture"]))
}
