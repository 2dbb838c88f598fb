//! Whole training steps, on random images or, of a net that was trained first, on real ones.

use super::Measured;
use super::timing::{check_rounds, threads};
use crate::Result;
use crate::dataset::Dataset;
use crate::settings::Settings;
use crate::statistics::median;
use serde_json::{Value, json};
use spikegrad::data::Batch;
use spikegrad::data::rng::Rng;
use spikegrad::models::{Input, NetConfig};
use spikegrad::tensor::Level;
use spikegrad::{StepReport, Trainer};
use std::time::Instant;

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct StepPlan {
    /// The net.
    pub settings: Settings,
    /// Steps to count.
    pub steps: usize,
    /// Training steps on the data set's images before; 0: steps on random images are timed.
    pub trained: usize,
    /// The instruction set.
    pub level: Level,
}

/// Times whole training steps.
///
/// # Errors
/// Counts out of range, data that cannot be read, or a step that fails.
pub fn step(plan: &StepPlan) -> Result<Measured> {
    check_rounds("--steps", plan.steps, 1)?;
    check_rounds("--trained", plan.trained, 0)?;
    let figures = measure(plan)?;
    Ok(Measured { text: show(&figures), figures })
}

/// Share of ones in random spikes.
const DENSITY: f32 = 0.1;

/// Uniform random images, or frames, or spikes, of any label: one batch, for every step.
fn random(settings: &Settings, net: &NetConfig) -> Batch {
    let mut rng = Rng::keyed(&[settings.seed()]);
    let batch = settings.batch();
    let NetConfig { channels, height, width, classes, .. } = *net;
    let steps = net.frames();
    let number = |x: f32| if net.input == Input::Spikes { f32::from(x < DENSITY) } else { 4.0 * x - 2.0 };
    let images = (0..steps * batch * channels * height * width).map(|_| number(rng.uniform())).collect();
    let labels = (0..batch).map(|i| (i % classes) as u32).collect();
    Batch { images, labels, len: batch, steps, channels, height, width }
}

/// What is timed.
struct Subject {
    trainer: Trainer,
    /// One for each step, or one for all.
    batches: Vec<Batch>,
    /// Epochs trained so far, which set the learning rate.
    progress: f64,
}

/// Makes the net, and trains it where that is wanted.
fn prepare(plan: &StepPlan) -> Result<Subject> {
    let StepPlan { settings, steps, trained, level } = plan;
    if *trained == 0 {
        let config = settings.train_config(settings.shape());
        // The trainer first: it tells sizes for which there is no memory.
        let trainer = Trainer::new(config, *level)?;
        let batches = vec![random(settings, trainer.net().config())];
        return Ok(Subject { trainer, batches, progress: 0.0 });
    }
    let data = Dataset::load(settings)?;
    let mut trainer = Trainer::new(settings.train_config(data.shape()), *level)?;
    let loader = data.train_loader(settings)?;
    let epoch_of = |step: usize| step as f64 / loader.batches() as f64;
    let mut batches = Vec::new();
    let all = (0u64..).flat_map(|epoch| loader.epoch(epoch)).take(trained + steps + 1);
    // The batches to time are made beforehand, so that no loader works beside the clock.
    for (step, batch) in all.enumerate() {
        if step < *trained {
            trainer.train_batch(&batch.images, &batch.labels, epoch_of(step))?;
        } else {
            batches.push(batch);
        }
    }
    Ok(Subject { trainer, batches, progress: epoch_of(*trained) })
}

/// Times the steps.
fn measure(plan: &StepPlan) -> Result<Value> {
    let Subject { mut trainer, batches, progress } = prepare(plan)?;
    let (config, batch) = (trainer.config().clone(), plan.settings.batch());
    let (mut seconds, mut reports) = (Vec::new(), Vec::<StepReport>::new());
    let mut rates = Vec::new();
    for (step, data) in batches.iter().cycle().take(plan.steps + 1).enumerate() {
        let start = Instant::now();
        let report = trainer.train_batch(&data.images, &data.labels, progress)?;
        if step > 0 {
            seconds.push(start.elapsed().as_secs_f64());
            reports.push(report);
            let layers = trainer.rates();
            rates.push(layers.iter().map(|(_, rate)| rate).sum::<f64>() / layers.len().max(1) as f64);
        }
    }
    let median_of = |part: fn(&StepReport) -> f64| median(&reports.iter().map(part).collect::<Vec<_>>());
    let median_s = median(&seconds);
    let net = &config.net;
    // Forward, input gradient and weight gradient: three passes of 2 FLOPs a MAC.
    let flops = 6.0 * trainer.plan().macs_per_step as f64 * (batch * net.steps()) as f64;
    Ok(json!({
        "net": net.name(),
        "width": net.scale,
        "batch": batch,
        "timesteps": net.steps(),
        "memory": net.memory.to_string(),
        "trained": plan.trained,
        "threads": threads(),
        "level": plan.level.name(),
        "steps": seconds,
        "median_s": median_s,
        "forward_s": median_of(|r| r.forward_s),
        "backward_s": median_of(|r| r.backward_s),
        "optimizer_s": median_of(|r| r.optimizer_s),
        "images_per_s": batch as f64 / median_s,
        "effective_gflops": flops / median_s / 1e9,
        "peak_rss_bytes": peak_rss(),
        "mean_rate": median(&rates),
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

/// The most memory this process has held, where the system says (Linux), else 0.
fn peak_rss() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
