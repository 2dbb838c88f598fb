//! `cargo xtask soak`: a long training of a tiny net, whose process is watched for growth. Linux only.

use crate::repository::{Result, cargo, read, root, succeed};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

/// What a look at the process found.
struct Look {
    epoch: u32,
    peak_kib: f64,
    threads: u32,
}

/// Trains for this number of epochs; fails where memory has grown by more than 2 % or a thread is left over.
pub fn run(epochs: u32) -> Result {
    succeed(cargo().args(["build", "--release", "--quiet"]))?;
    let folder = std::env::temp_dir().join(format!("spikegrad-soak-{}", std::process::id()));
    std::fs::create_dir(&folder).map_err(|why| format!("{}: {why}", folder.display()))?;
    let result = watch(epochs, &folder);
    std::fs::remove_dir_all(&folder).map_err(|why| format!("{}: {why}", folder.display()))?;
    let (early, late) = result?;
    let growth = late.peak_kib / early.peak_kib - 1.0;
    println!("memory grew by {:.2} %", 100.0 * growth);
    if growth > 0.02 {
        return Err("memory grew by more than 2 %".into());
    }
    if late.threads > early.threads {
        return Err(format!("{} threads at the end, {} at the beginning", late.threads, early.threads));
    }
    Ok(())
}

fn watch(epochs: u32, folder: &Path) -> Result<(Look, Look)> {
    let log = folder.join("log");
    let stdout = File::create(&log).map_err(|why| format!("{}: {why}", log.display()))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into);
    let mut command = Command::new(target.join("release/spikegrad"));
    command.args("train --net lenet --width 0.75 --batch 100 --limit 500 --epochs".split(' '));
    command.arg(epochs.to_string()).arg("--out").arg(folder.join("run")).stdout(stdout);
    let mut child = command.spawn().map_err(|why| format!("{command:?}: {why}"))?;
    // The last look comes early enough for the run to be there still.
    let looks = look_after(&mut child, &log, 5).and_then(|early| {
        let late = look_after(&mut child, &log, epochs - 20)?;
        Ok((early, late))
    });
    if looks.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|why| format!("spikegrad: {why}"))?;
    let (early, late) = looks?;
    if !status.success() {
        return Err(format!("spikegrad train: {status}"));
    }
    let metrics = read(&folder.join("run/metrics.jsonl"))?;
    for Look { epoch, peak_kib, threads } in [&early, &late] {
        let speed = images_per_second(&metrics, *epoch)?;
        println!("after epoch {epoch}: peak {peak_kib} kB, {threads} threads, {speed:.0} images/s");
    }
    Ok((early, late))
}

/// Waits for the end of an epoch; returns the peak so far, and the smallest of many counts of threads: those between batches.
fn look_after(child: &mut Child, log: &Path, epoch: u32) -> Result<Look> {
    while read(log)?.lines().filter(|line| line.starts_with("epoch ")).count() < epoch as usize {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("the run ended before epoch {epoch}: {status}"));
        }
        sleep(Duration::from_millis(50));
    }
    let peak_kib = figure(child, "VmHWM:")?;
    let mut threads = figure(child, "Threads:")?;
    for _ in 0..40 {
        sleep(Duration::from_millis(3));
        threads = threads.min(figure(child, "Threads:")?);
    }
    Ok(Look { epoch, peak_kib, threads: threads as u32 })
}

/// Reads a number of `/proc/PID/status`.
fn figure(child: &Child, key: &str) -> Result<f64> {
    let status = read(Path::new(&format!("/proc/{}/status", child.id())))?;
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.ok_or(format!("the process has no {key}"))
}

fn images_per_second(metrics: &str, epoch: u32) -> Result<f64> {
    let line = metrics.lines().nth(epoch as usize - 1).ok_or(format!("no metrics of epoch {epoch}"))?;
    let value: serde_json::Value = serde_json::from_str(line).map_err(|why| format!("metrics: {why}"))?;
    value["images_per_second"].as_f64().ok_or(format!("epoch {epoch} has no images_per_second"))
}
