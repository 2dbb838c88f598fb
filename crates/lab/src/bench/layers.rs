//! Kernels: every distinct kernel of a net, timed by turns, against the measured peak and the
//! f64 reference.
//!
//! | figure | what it is |
//! |---|---|
//! | ms | median of the rounds; in a round every pass of every kernel runs once |
//! | effective GFLOP/s | operations of the dense form / time: a kernel that skips zeros can exceed the peak |
//! | % of peak | against the best peak of multiply-adds of the same rounds |
//! | GB/s | inputs and outputs, each counted once / time |
//! | largest error | of a sample, as a share of the largest number in it |

use super::peak::{Bench, Roofs};
use super::rows::{Distinct, Row, rounds, spike_kernel};
use super::subjects::Maker;
use super::timing::{check_rounds, threads};
use super::{Measured, roofline, sweep};
use crate::settings::Settings;
use crate::settings::names::SpikeKernelName;
use crate::{Error, Result, oracle};
use serde_json::{Value, json};
use spikegrad::TrainConfig;
use spikegrad::models::{KernelKind, Net, available};
use spikegrad::tensor::{Dims, LANES, Level, Workers};
use spikegrad_report::row;
use spikegrad_report::table::table;

/// What is to be measured of a net's kernels.
#[derive(Clone, Debug)]
pub struct LayersPlan {
    /// The net.
    pub settings: Settings,
    /// The share of neurons that fire, above 0 and at most 1.
    pub density: f64,
    /// Rounds; the median counts.
    pub repeat: usize,
    /// A word that the names of the kernels hold; none: all kernels.
    pub only: Option<String>,
    /// The kernel of convolutions over spikes.
    pub spike_kernel: SpikeKernelName,
    /// Instead of the table: both kernels over densities from 1 to 60 %.
    pub sweep: bool,
    /// Whether to measure the roofs of memory, too, and draw the roofline.
    pub roofline: bool,
    /// The instruction set.
    pub level: Level,
}

/// Measures; gives the chart beside the figures, of a sweep or a roofline.
///
/// # Errors
/// Settings that make no sense, or a net without the kernel that is asked for.
pub fn layers(plan: &LayersPlan) -> Result<(Measured, Option<String>)> {
    let LayersPlan { settings, density, repeat, level, .. } = plan;
    check_rounds("--repeat", *repeat, 1)?;
    if !(*density > 0.0 && *density <= 1.0) {
        return Err(Error::setting(format!("--density is {density}, must be above 0 and at most 1")));
    }
    let config = settings.train_config(settings.shape());
    // All sizes are multiplied with checks there, before anything here multiplies them.
    config.plan(*level)?;
    let shapes = distinct(&config, settings.batch(), *level, plan.only.as_deref())?;
    available::check(bytes(&shapes)).map_err(Error::setting)?;
    let maker = Maker {
        level: *level,
        density: *density,
        spike_kernel: spike_kernel(plan.spike_kernel),
        neuron: (&config.net.lif, config.net.activation()),
        reference: oracle::config(&config)?.lif,
        seed: settings.seed(),
    };
    if plan.sweep {
        let (measured, chart) = sweep::sweep(&maker, &shapes, *repeat)?;
        return Ok((measured, Some(chart)));
    }
    let (rows, roofs) = measure(&maker, &shapes, plan)?;
    let chart = plan.roofline.then(|| roofline::draw(&rows, &roofs));
    let figures = figures(&rows, &maker, roofs.peak, &plan.spike_kernel.to_string());
    Ok((Measured { figures, text: show(&rows, &maker, roofs.peak, *repeat) }, chart))
}

/// Plans the net and lists its kernels, those of the same shape once.
fn distinct(config: &TrainConfig, batch: usize, level: Level, only: Option<&str>) -> Result<Vec<Distinct>> {
    // Planned for one image, so that no buffers of a whole net are held; sizes grow with the batch.
    let net = Net::plan(&config.net, 1, level, false).map_err(Error::setting)?;
    let mut found: Vec<Distinct> = Vec::new();
    for mut shape in net.kernel_shapes() {
        scale(&mut shape.kind, batch);
        match found.iter_mut().find(|known| known.shape.kind == shape.kind) {
            Some(known) => known.count += 1,
            None => found.push(Distinct { words: words(&shape.kind), shape, count: 1 }),
        }
    }
    let all: Vec<String> = found.iter().map(|one| one.shape.name.clone()).collect();
    found.retain(|one| only.is_none_or(|word| one.shape.name.contains(word)));
    if found.is_empty() {
        let word = only.unwrap_or("");
        return Err(Error::setting(format!("--only {word}: the net has {}", all.join(", "))));
    }
    Ok(found)
}

/// From sizes of one image to those of a batch.
fn scale(kind: &mut KernelKind, batch: usize) {
    match kind {
        KernelKind::Conv { input, .. } | KernelKind::Linear { input, .. } => input.n *= batch,
        KernelKind::Norm(dims) => dims.n *= batch,
        KernelKind::Neurons { dims, sources, .. } => {
            dims.n *= batch;
            sources.iter_mut().flatten().for_each(|d| d.n *= batch);
        }
    }
}

/// The bytes that the kernels' tensors take while they are timed, all at once: inputs and outputs, the gradients of both,
/// and what a kernel and its reference keep beside them.
fn bytes(shapes: &[Distinct]) -> usize {
    const TENSORS: u128 = 6;
    let numbers = |d: &Dims| d.n as u128 * d.c.next_multiple_of(LANES) as u128 * d.pixels() as u128;
    let of = |one: &Distinct| match &one.shape.kind {
        KernelKind::Conv { input, config, .. } => {
            let channels = config.out_channels.next_multiple_of(LANES) as u128;
            let pixels = input.pixels().div_ceil(config.stride * config.stride) as u128;
            numbers(input) + input.n as u128 * channels * pixels
        }
        KernelKind::Linear { input, outputs, .. } => {
            numbers(input) + input.n as u128 * outputs.next_multiple_of(LANES) as u128
        }
        KernelKind::Norm(dims) | KernelKind::Neurons { dims, .. } => numbers(dims),
    };
    let total = 4 * TENSORS * shapes.iter().map(of).sum::<u128>();
    usize::try_from(total).unwrap_or(usize::MAX)
}

/// Sizes in words: images × channels in → out, kernel, stride, side.
fn words(kind: &KernelKind) -> String {
    let side = |d: &Dims| if d.pixels() == 1 { String::new() } else { format!(" @{}×{}", d.h, d.w) };
    match kind {
        KernelKind::Conv { input, config, spikes, .. } => {
            let (n, c, o, k) = (input.n, input.c, config.out_channels, config.kernel);
            let stride = if config.stride == 1 { String::new() } else { format!("/{}", config.stride) };
            format!("{n}·{c}→{o} {k}×{k}{stride}{}{}", side(input), if *spikes { "" } else { " dense" })
        }
        KernelKind::Linear { input, outputs, .. } => format!("{}·{}→{outputs}", input.n, input.c),
        KernelKind::Norm(d) => format!("{}·{}{}", d.n, d.c, side(d)),
        KernelKind::Neurons { dims: d, steps, sources } => {
            let frame = d.n / steps;
            let source = |source: &Option<Dims>| match source {
                Some(s) if s.n == frame && *steps > 1 => "frame",
                Some(_) => "dense",
                None => "spikes",
            };
            let sources: Vec<&str> = sources.iter().map(source).collect();
            format!("T{steps} {frame}·{}{} {}", d.c, side(d), sources.join("+"))
        }
    }
}

/// MiB of the buffers that memory's roofs are measured with.
const ROOF_MIB: usize = 128;

/// Times and checks all kernels.
fn measure(maker: &Maker<'_>, shapes: &[Distinct], plan: &LayersPlan) -> Result<(Vec<Row>, Roofs)> {
    let subjects: Result<Vec<_>, _> = shapes.iter().map(|one| maker.make(&one.shape)).collect();
    let mut subjects = subjects.map_err(Error::setting)?;
    let mut workers = Workers::new();
    let wants_memory = plan.roofline;
    let mut bench = Bench::new(maker.level, if wants_memory { ROOF_MIB } else { 0 });
    let mut roofs = Roofs::default();
    let times = rounds(&mut subjects, plan.repeat, &mut workers, || {
        let measured =
            if wants_memory { bench.measure() } else { Roofs { peak: bench.peak(), ..Roofs::default() } };
        roofs.keep_best(measured);
    });
    let mut rows = Vec::new();
    for ((kernel, subject), times) in shapes.iter().zip(&mut subjects).zip(times) {
        for ((index, pass), seconds) in subject.passes().into_iter().enumerate().zip(times) {
            let error = subject.error(index, &mut workers);
            rows.push(Row { kernel: kernel.clone(), pass, seconds, density: subject.density(), error });
        }
    }
    Ok((rows, roofs))
}

/// The sizes of a convolution or linear layer, for programs that measure the same with another library.
fn sizes(kind: &KernelKind) -> Value {
    match kind {
        KernelKind::Conv { input, config, .. } => json!({
            "n": input.n, "in": input.c, "h": input.h, "w": input.w, "out": config.out_channels,
            "kernel": config.kernel, "stride": config.stride, "padding": config.padding,
        }),
        KernelKind::Linear { input, outputs, .. } => json!({"n": input.n, "in": input.c, "out": outputs}),
        KernelKind::Norm(_) | KernelKind::Neurons { .. } => Value::Null,
    }
}

/// The rows as JSON.
fn figures(rows: &[Row], maker: &Maker<'_>, peak: f64, spike_kernel: &str) -> Value {
    let rows = rows.iter().map(|row| {
        json!({
            "layer": row.kernel.shape.name,
            "shape": row.kernel.words,
            "pass": row.pass.name,
            "ms": 1e3 * row.time(),
            "effective_gflops": row.gflops(),
            "percent_of_peak": 100.0 * row.gflops() / peak,
            "density": row.density,
            "max_rel_error": row.error,
            "samples_ms": row.seconds.iter().map(|time| 1e3 * time).collect::<Vec<_>>(),
            "count": row.kernel.count,
            "gb_s": row.gigabytes(),
            "flops": row.pass.flops,
            "bytes": row.pass.bytes,
            "memory_bound": row.pass.memory_bound,
            "sizes": sizes(&row.kernel.shape.kind),
            "spike_kernel": spike_kernel,
            "peak_gflops": peak,
            "threads": threads(),
            "level": maker.level.name(),
        })
    });
    Value::Array(rows.collect())
}

/// The rows as a table.
fn show(rows: &[Row], maker: &Maker<'_>, peak: f64, repeat: usize) -> String {
    let mut lines =
        vec![row!["layer", "shape", "pass", "×", "ms", "GFLOP/s", "% of peak", "GB/s", "largest error"]];
    for row in rows {
        let bound = row.pass.memory_bound;
        let unless = |hide: bool, text: String| if hide { "–".to_string() } else { text };
        lines.push(row![
            row.kernel.shape.name,
            row.kernel.words,
            row.pass.name,
            row.kernel.count,
            format!("{:.3}", 1e3 * row.time()),
            unless(bound, format!("{:.1}", row.gflops())),
            unless(bound, format!("{:.0}", 100.0 * row.gflops() / peak)),
            unless(!bound, format!("{:.1}", row.gigabytes())),
            row.error.map_or("–".into(), |error| format!("{error:.1e}")),
        ]);
    }
    table(&lines)
        + &format!(
            "{}, {} threads, density {}; medians of {repeat} rounds; peak {peak:.1} GFLOP/s in the same rounds.\n\
             ×: how often the net has the shape. GFLOP/s count the dense form: what is skipped counts too.\n",
            maker.level.name(),
            threads(),
            maker.density
        )
}
