//! The measured roofs that everything else is a share of.

use super::Measured;
use super::timing::{check_rounds, seconds, threads};
use crate::{Error, Result};
use serde_json::{Value, json};
use spikegrad::tensor::{Block, Level, Workers, roof};
use spikegrad_report::row;
use spikegrad_report::table::table;
use std::hint::black_box;

/// Most MiB of a buffer: three of them are a lot of memory.
const MOST_MIB: usize = 1 << 14;

/// Measures the roofs `repeat` times with buffers of `mib` MiB; the best of each figure counts.
///
/// # Errors
/// A count or a size of 0 or out of bounds.
pub fn peak(repeat: usize, mib: usize, level: Level) -> Result<Measured> {
    check_rounds("--repeat", repeat, 1)?;
    check_rounds("--mib", mib, 1)?;
    if mib > MOST_MIB {
        return Err(Error::setting(format!("--mib is {mib}, must be at most {MOST_MIB}")));
    }
    let mut bench = Bench::new(level, mib);
    let mut roofs = Roofs::default();
    for _ in 0..repeat {
        roofs.keep_best(bench.measure());
    }
    let figures = json!({
        "level": level.name(),
        "threads": threads(),
        "peak_gflops": roofs.peak,
        "peak_gflops_one_thread": roofs.peak_one_thread,
        "read_gb_s": roofs.read,
        "copy_gb_s": roofs.copy,
        "write_gb_s": roofs.write,
        "triad_gb_s": roofs.triad,
        "mib": mib,
        "repeats": repeat,
    });
    Ok(Measured { text: show(&figures), figures })
}

/// The figures in words.
fn show(figures: &Value) -> String {
    let rows = [
        ("multiply-adds in registers, all threads", "peak_gflops", "GFLOP/s"),
        ("multiply-adds in registers, one thread", "peak_gflops_one_thread", "GFLOP/s"),
        ("memory, read", "read_gb_s", "GB/s"),
        ("memory, copy (read + written)", "copy_gb_s", "GB/s"),
        ("memory, write", "write_gb_s", "GB/s"),
        ("memory, z = x + c·y (read + written)", "triad_gb_s", "GB/s"),
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(|(what, key, unit)| row![what, format!("{:.1}", figures[key].as_f64().unwrap_or(0.0)), unit])
        .collect();
    let (level, threads) = (figures["level"].as_str().unwrap_or(""), &figures["threads"]);
    let (repeats, mib) = (&figures["repeats"], &figures["mib"]);
    table(&rows) + &format!("{level}, {threads} threads; best of {repeats}; buffers of {mib} MiB\n")
}

/// Measured roofs: GFLOP/s, and GB/s (10⁹ bytes).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Roofs {
    /// Multiply-adds, all threads.
    pub peak: f64,
    /// Multiply-adds, one thread.
    pub peak_one_thread: f64,
    /// Bytes read.
    pub read: f64,
    /// Bytes read and written by a copy.
    pub copy: f64,
    /// Bytes written.
    pub write: f64,
    /// Bytes read and written by the triad.
    pub triad: f64,
}

impl Roofs {
    /// Keeps the better of each figure: whatever disturbs a roof only lowers it.
    pub fn keep_best(&mut self, other: Roofs) {
        self.peak = self.peak.max(other.peak);
        self.peak_one_thread = self.peak_one_thread.max(other.peak_one_thread);
        self.read = self.read.max(other.read);
        self.copy = self.copy.max(other.copy);
        self.write = self.write.max(other.write);
        self.triad = self.triad.max(other.triad);
    }
}

/// Iterations of a task of multiply-adds: about two milliseconds.
const ITERATIONS: usize = 1_000_000;
/// Tasks a thread: many, so that one that starts late costs little.
const TASKS: usize = 8;
/// Blocks of a memory task: 1 MiB.
const CHUNK: usize = 1 << 14;

/// Buffers and workers of the measurements.
pub struct Bench {
    level: Level,
    workers: Workers,
    buffers: [Vec<Block>; 3],
}

impl Bench {
    /// Makes three buffers of `mib` MiB.
    pub fn new(level: Level, mib: usize) -> Self {
        let blocks = (mib << 20) / size_of::<Block>();
        let buffers = [1.0, 2.0, 3.0].map(|x| vec![Block([x; 16]); blocks]);
        Self { level, workers: Workers::new(), buffers }
    }

    /// Measures every roof once.
    pub fn measure(&mut self) -> Roofs {
        let (peak, peak_one_thread) = (self.peak(), self.peak_one_thread());
        let (level, workers) = (self.level, &mut self.workers);
        let [x, y, z] = &mut self.buffers;
        let gigabytes = size_of_val(&x[..]) as f64 / 1e9;
        let read = seconds(|| {
            workers.run(x.chunks(CHUNK), |x, _| {
                black_box(roof::read(level, x));
            });
        });
        let copy = seconds(|| {
            workers.run(x.chunks(CHUNK).zip(y.chunks_mut(CHUNK)), |(x, y), _| y.copy_from_slice(x));
        });
        let write = seconds(|| workers.run(z.chunks_mut(CHUNK), |z, _| roof::write(level, z, 1.0)));
        let triad = seconds(|| {
            let tasks = x.chunks(CHUNK).zip(y.chunks(CHUNK)).zip(z.chunks_mut(CHUNK));
            workers.run(tasks, |((x, y), z), _| roof::triad(level, x, 0.5, y, z));
        });
        black_box(&self.buffers);
        let (read, copy) = (gigabytes / read, 2.0 * gigabytes / copy);
        let (write, triad) = (gigabytes / write, 3.0 * gigabytes / triad);
        Roofs { peak, peak_one_thread, read, copy, write, triad }
    }

    /// Multiply-adds of all threads, GFLOP/s.
    pub fn peak(&mut self) -> f64 {
        let (level, tasks) = (self.level, TASKS * self.workers.count());
        let time = seconds(|| {
            self.workers.run(0..tasks, |_, _| {
                black_box(roof::multiply_add(level, ITERATIONS));
            });
        });
        tasks as f64 * roof::multiply_add_flops(level, ITERATIONS) as f64 / time / 1e9
    }

    /// Multiply-adds of this thread, GFLOP/s.
    fn peak_one_thread(&self) -> f64 {
        let time = seconds(|| {
            for _ in 0..TASKS {
                black_box(roof::multiply_add(self.level, ITERATIONS));
            }
        });
        TASKS as f64 * roof::multiply_add_flops(self.level, ITERATIONS) as f64 / time / 1e9
    }
}
