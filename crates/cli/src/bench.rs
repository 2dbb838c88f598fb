//! `spikegrad bench step`: whole training steps on random images.

use crate::failure::Failure;
use crate::files::{print, write_json};
use crate::flags::Flags;
use crate::settings::{Settings, Shape, level};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use spikegrad::data::rng::Rng;
use spikegrad::{StepReport, Trainer};
use std::path::PathBuf;
use std::time::Instant;

/// What `bench` takes.
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

/// What to measure.
#[derive(Subcommand, Clone, Debug)]
enum What {
    /// Time whole training steps on random images; the first is not counted
    #[command(after_help = "Example: spikegrad bench step --net resnet19 --width 0.25 --batch 100 --json -")]
    Step(Box<StepArgs>),
}

/// What `bench step` takes.
#[derive(Args, Clone, Debug)]
struct StepArgs {
    #[command(flatten)]
    flags: Flags,
    /// Settings from a TOML file, under the flags' names; flags win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Steps to count
    #[arg(long, value_name = "N", default_value_t = 5)]
    steps: usize,
    /// SIMD level: baseline, avx2 or avx512; default: the best
    #[arg(long, value_name = "NAME")]
    level: Option<String>,
    /// Write the figures as JSON to a new file, or to stdout for -
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// Measures.
///
/// # Errors
/// Settings that make no sense, or a step that fails.
pub fn run(args: BenchArgs) -> Result<(), Failure> {
    let What::Step(args) = args.what;
    if args.steps == 0 {
        return Err(Failure::Usage("--steps is 0, must be at least 1".into()));
    }
    let given = Flags { net: Some("resnet19".into()), ..Flags::default() };
    let data = args.flags.data.clone().or_else(|| Some("cifar10:random".into()));
    let flags = Flags { data, ..args.flags.clone() };
    let flags = if args.config.is_some() { flags } else { flags.over(given) };
    let settings = Settings::resolve(flags, args.config.as_deref())?;
    let figures = measure(&settings, &args)?;
    if let Some(target) = &args.json {
        write_json(target, &figures)?;
    }
    if args.json.as_deref() != Some("-") {
        print(&show(&figures));
    }
    Ok(())
}

/// Times the steps.
fn measure(settings: &Settings, args: &StepArgs) -> Result<Value, Failure> {
    let level = level(args.level.as_deref())?;
    let shape = Shape::of(&settings.source);
    let (batch, config) = (settings.batch(), settings.train_config(shape));
    let mut rng = Rng::keyed(&[settings.seed()]);
    let count = batch * shape.channels * shape.height * shape.width;
    let images: Vec<f32> = (0..count).map(|_| 4.0 * rng.uniform() - 2.0).collect();
    let labels: Vec<u32> = (0..batch).map(|i| (i % shape.classes) as u32).collect();
    let timesteps = config.net.steps();
    let (net, width) = (config.net.kind.to_string(), config.net.scale);
    let mut trainer = Trainer::new(config, level)?;
    let (mut seconds, mut reports) = (Vec::new(), Vec::<StepReport>::new());
    for step in 0..=args.steps {
        let start = Instant::now();
        let report = trainer.train_batch(&images, &labels, 0.0)?;
        if step > 0 {
            seconds.push(start.elapsed().as_secs_f64());
            reports.push(report);
        }
    }
    let median_of = |part: fn(&StepReport) -> f64| median(reports.iter().map(part).collect());
    let median_s = median(seconds.clone());
    // Forward, input gradient and weight gradient: three passes of 2 FLOPs a MAC.
    let flops = 6.0 * trainer.plan().macs_per_step as f64 * (batch * timesteps) as f64;
    let rates = trainer.rates();
    let mean_rate = rates.iter().map(|(_, rate)| rate).sum::<f64>() / rates.len().max(1) as f64;
    Ok(json!({
        "net": net,
        "width": width,
        "batch": batch,
        "timesteps": timesteps,
        "threads": threads(),
        "level": level.name(),
        "steps": seconds,
        "median_s": median_s,
        "forward_s": median_of(|r| r.forward_s),
        "backward_s": median_of(|r| r.backward_s),
        "optimizer_s": median_of(|r| r.optimizer_s),
        "images_per_s": batch as f64 / median_s,
        "effective_gflops": flops / median_s / 1e9,
        "peak_rss_bytes": peak_rss(),
        "mean_rate": mean_rate,
    }))
}

/// The figures in words.
fn show(figures: &Value) -> String {
    let number = |key: &str| figures[key].as_f64().unwrap_or(0.0);
    format!(
        "{} width {} batch {} T {} on {} threads ({}): {:.3} s a step (forward {:.3}, backward {:.3}, optimiser {:.3}), \
         {:.1} images/s, {:.1} effective GFLOP/s, mean rate {:.1} %, peak memory {:.0} MiB\n",
        figures["net"].as_str().unwrap_or(""),
        figures["width"],
        figures["batch"],
        figures["timesteps"],
        figures["threads"],
        figures["level"].as_str().unwrap_or(""),
        number("median_s"),
        number("forward_s"),
        number("backward_s"),
        number("optimizer_s"),
        number("images_per_s"),
        number("effective_gflops"),
        100.0 * number("mean_rate"),
        number("peak_rss_bytes") / 1_048_576.0
    )
}

/// The middle value, or the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[half],
        _ => (values[half - 1] + values[half]) / 2.0,
    }
}

/// Threads of the pool this runs in.
fn threads() -> usize {
    #[cfg(feature = "parallel")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "parallel"))]
    1
}

/// The most memory this process has held, where the system says (Linux), else 0.
fn peak_rss() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0]), 2.5);
        assert_eq!(median(vec![]), 0.0);
    }
}
