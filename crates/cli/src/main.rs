//! The `spikegrad` command.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    spikegrad_cli::main()
}
