//! The memory that can be had, as the system tells.
//!
//! On Linux it is the least of what the kernel calls available (`MemAvailable`: free, or taken by caches that it would
//! give back) and what the control groups of the process leave, version 2 or 1: their limit less what is used, caches
//! of files not counted. Elsewhere nothing is known, and only an allocation itself tells. Swap does not count: a
//! training that swaps does not end.

use spikegrad_bptt::ConfigError;
use std::fs::read_to_string;
use std::path::Path;

/// Bytes that can be had, where the system tells.
pub fn memory() -> Option<u64> {
    let system = read_to_string("/proc/meminfo").ok().and_then(|text| field(&text, "MemAvailable:"));
    let groups = read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = groups.lines().flat_map(|line| group(line, Path::new("/sys/fs/cgroup")));
    limits.chain(system.map(|kilobytes| kilobytes.saturating_mul(1024))).min()
}

/// Checks that so many bytes can be had.
///
/// # Errors
/// Names both numbers.
pub fn check(bytes: usize) -> Result<(), ConfigError> {
    match memory() {
        Some(available) if bytes as u64 > available => {
            let (needed, has) = (shown(bytes as u64), shown(available));
            Err(ConfigError::new(format!("needs {needed} of memory, {has} can be had")))
        }
        _ => Ok(()),
    }
}

/// As [`check`], of a net's bytes: says what would need less.
///
/// # Errors
/// As [`check`].
pub fn check_net(bytes: usize) -> Result<(), ConfigError> {
    check(bytes).map_err(|why| {
        ConfigError::new(format!("the net {why}; a smaller batch, width, image or T needs less"))
    })
}

/// Bytes in words.
fn shown(bytes: u64) -> String {
    match bytes as f64 / (1u64 << 30) as f64 {
        gibibytes if gibibytes >= 0.1 => format!("{gibibytes:.1} GiB"),
        gibibytes => format!("{:.1} MiB", 1024.0 * gibibytes),
    }
}

/// The number behind a name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The bytes that the control group of a line of /proc/self/cgroup and the groups above it leave.
fn group(line: &str, root: &Path) -> Vec<u64> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { return Vec::new() };
    let is_second = controllers.is_empty();
    if !is_second && !controllers.split(',').any(|controller| controller == "memory") {
        return Vec::new();
    }
    let root = if is_second { root.to_path_buf() } else { root.join("memory") };
    let names = match is_second {
        true => ["memory.max", "memory.current", "inactive_file"],
        false => ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"],
    };
    // In a container the path may lead outside of what is mounted: then the root itself is the group.
    let folder = root.join(path.trim_start_matches('/'));
    let inside = folder.ancestors().take_while(|folder| folder.starts_with(&root));
    inside.filter_map(|folder| left(folder, names)).collect()
}

/// The bytes that a group's limit leaves; none where there is no limit.
fn left(folder: &Path, [limit, used, cache]: [&str; 3]) -> Option<u64> {
    let number = |name: &str| read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
    let statistics = read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let cached = field(&statistics, &format!("{cache} ")).unwrap_or(0);
    Some(number(limit)?.saturating_sub(number(used)?.saturating_sub(cached)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir_all, write};

    #[test]
    fn groups_leave_their_limit_less_what_is_used() {
        let root = std::env::temp_dir().join(format!("spikegrad-cgroup-{}", std::process::id()));
        let inner = root.join("user/job");
        create_dir_all(&inner).unwrap();
        // The outer group has 1000 of which 700 are used, 200 of these for cached files; the inner one has no limit.
        write(root.join("user/memory.max"), "1000\n").unwrap();
        write(root.join("user/memory.current"), "700\n").unwrap();
        write(root.join("user/memory.stat"), "anon 500\ninactive_file 200\nactive_file 9\n").unwrap();
        write(inner.join("memory.max"), "max\n").unwrap();
        write(inner.join("memory.current"), "600\n").unwrap();
        assert_eq!(group("0::/user/job", &root), [500]);
        assert_eq!(group("0::/../../elsewhere", &root), [0u64; 0]);
        // Version 1 has a folder for each controller.
        create_dir_all(root.join("memory/job")).unwrap();
        write(root.join("memory/job/memory.limit_in_bytes"), "80").unwrap();
        write(root.join("memory/job/memory.usage_in_bytes"), "90").unwrap();
        assert_eq!(group("4:cpu,memory:/job", &root), [0]);
        assert_eq!(group("4:cpu:/job", &root), [0u64; 0]);
        assert_eq!(group("nonsense", &root), [0u64; 0]);
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn more_than_there_is_is_refused_with_both_numbers() {
        assert_eq!(field("MemTotal: 9 kB\nMemAvailable:   123 kB\n", "MemAvailable:"), Some(123));
        assert_eq!(shown(3 << 29), "1.5 GiB");
        assert_eq!(shown(1 << 20), "1.0 MiB");
        assert_eq!(check(1000), Ok(()));
        if memory().is_some() {
            let error = check(usize::MAX / 2).unwrap_err().to_string();
            assert!(
                error.starts_with("needs 8589934592.0 GiB of memory, ") && error.contains("can be had"),
                "{error}"
            );
        }
    }
}
