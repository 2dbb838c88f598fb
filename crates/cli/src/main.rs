//! The `spikegrad` command.

fn main() {}
