//! Where figures come from: the program, the machine, the command.

use crate::bench::threads;
use spikegrad::tensor::Level;
use spikegrad_report::run_page::Provenance;

/// Describes this process, whose kernels run at `level`, and the command that it was given.
pub fn provenance(level: Level, command: String) -> Provenance {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (system, architecture) = (std::env::consts::OS, std::env::consts::ARCH);
    let processor = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| processor(&text));
    let processor = processor.unwrap_or_else(|| architecture.to_string());
    Provenance {
        version: env!("CARGO_PKG_VERSION"),
        level,
        threads: threads(),
        machine: format!("{processor}, {cores} logical cores, {system}"),
        command,
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
