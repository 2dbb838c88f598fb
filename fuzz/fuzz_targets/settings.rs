//! Settings in TOML: checked, or refused in one line.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(why) = spikegrad_cli::check_settings(text) {
        assert!(!why.is_empty() && why.lines().count() == 1, "{why}");
    }
});
