//! Where figures come from: the program, the machine, the command.

use crate::bench::threads;
use crate::escape::shell;
use spikegrad::tensor::Level;

/// What made a run's figures.
#[derive(Clone, Debug)]
pub struct Provenance {
    /// The program's version.
    pub version: &'static str,
    /// The instruction set that its kernels run on.
    pub level: Level,
    /// Threads at work.
    pub threads: usize,
    /// The processor and the system.
    pub machine: String,
    /// The command, as it can be typed again.
    pub command: String,
}

impl Provenance {
    /// Describes this process, whose kernels run at `level`.
    pub fn of_this_process(level: Level) -> Self {
        let words: Vec<String> =
            std::env::args_os().skip(1).map(|word| shell(&word.to_string_lossy())).collect();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (system, architecture) = (std::env::consts::OS, std::env::consts::ARCH);
        let processor = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| processor(&text));
        let processor = processor.unwrap_or_else(|| architecture.to_string());
        Self {
            version: env!("CARGO_PKG_VERSION"),
            level,
            threads: threads(),
            machine: format!("{processor}, {cores} logical cores, {system}"),
            command: format!("spikegrad {}", words.join(" ")),
        }
    }
}

/// The name of the first processor in Linux's list.
fn processor(cpuinfo: &str) -> Option<String> {
    let names = ["model name", "Model", "Hardware"];
    let fields = || cpuinfo.lines().filter_map(|line| line.split_once(':'));
    let name = names.iter().find_map(|name| fields().find(|(key, _)| key.trim() == *name));
    name.map(|(_, value)| value.trim().to_string()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_found_where_the_system_names_it() {
        let text = "processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC 7B13\nflags\t: avx2\n";
        assert_eq!(processor(text).as_deref(), Some("AMD EPYC 7B13"));
        assert_eq!(processor("processor : 0\nModel : Raspberry Pi 5\n").as_deref(), Some("Raspberry Pi 5"));
        assert_eq!(processor("processor : 0\n"), None);
    }
}
