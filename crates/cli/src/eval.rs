//! `spikegrad eval`: accuracy, loss and confusion matrix of a run.

use crate::dataset::Dataset;
use crate::failure::Failure;
use crate::files::{print, table, write_json};
use crate::flags::Flags;
use crate::row;
use crate::score::{Score, score};
use crate::settings::{CONFIG, Settings, level};
use clap::Args;
use serde_json::json;
use spikegrad::Trainer;
use spikegrad::data::SampleSet;
use spikegrad::files::extra;
use std::path::{Path, PathBuf};

/// Classes up to which the confusion matrix is printed.
const PRINTABLE: usize = 20;

/// What `eval` takes.
#[derive(Args, Clone, Debug)]
pub struct EvalArgs {
    /// Run folder, or a checkpoint
    run: PathBuf,
    /// Score the best epoch's weights rather than the last's
    #[arg(long)]
    best: bool,
    /// Another place or data set to take the test images from
    #[arg(long, value_name = "NAME[:DIR]")]
    data: Option<String>,
    /// Settings to take instead of those in the checkpoint
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// SIMD level: baseline, avx2 or avx512; default: the best
    #[arg(long, value_name = "NAME")]
    level: Option<String>,
    /// Write the figures as JSON to a new file, or to stdout for -
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// Scores a run.
///
/// # Errors
/// A missing or damaged file, weights that do not fit the settings, bad data.
pub fn run(args: EvalArgs) -> Result<(), Failure> {
    let checkpoint = locate(&args)?;
    let settings = settings(&args, &checkpoint)?;
    let level = level(args.level.as_deref())?;
    let data = Dataset::load(&settings)?;
    let mut trainer = Trainer::new(settings.train_config(data.shape()), level)?;
    trainer.load_weights(&checkpoint)?;
    let test = data.test_loader(&settings)?;
    let Some(score) = score(&mut trainer, &test, false)? else { return Ok(()) };
    if args.json.as_deref() != Some("-") {
        print(&(data.note.clone() + &show(&checkpoint, &score, &data.test)));
    }
    match &args.json {
        Some(target) => write_json(
            target,
            &json!({
                "checkpoint": checkpoint,
                "images": data.test.len(),
                "accuracy": score.accuracy,
                "loss": score.loss,
                "confusion": score.confusion,
            }),
        ),
        None => Ok(()),
    }
}

/// Finds the weights.
fn locate(args: &EvalArgs) -> Result<PathBuf, Failure> {
    let run = &args.run;
    if !run.exists() {
        return Err(Failure::at(run, "no such run folder or checkpoint"));
    }
    Ok(match run.is_dir() {
        true => run.join(if args.best { "best.safetensors" } else { "checkpoint.safetensors" }),
        false => run.clone(),
    })
}

/// Finds the settings: those of `--config`, else the checkpoint's own, else those of the run folder it lies in.
fn settings(args: &EvalArgs, checkpoint: &Path) -> Result<Settings, Failure> {
    let flags = Flags { data: args.data.clone(), ..Flags::default() };
    if args.config.is_some() {
        return Settings::resolve(flags, args.config.as_deref());
    }
    if let Some(text) = extra(checkpoint)?.get(CONFIG) {
        return Settings::check(flags.over_saved(Flags::parse(text, checkpoint)?));
    }
    let beside = checkpoint.with_file_name("config.toml");
    if !beside.is_file() {
        let why = "holds no settings, and no config.toml lies beside it; pass the run's settings with --config FILE";
        return Err(Failure::at(checkpoint, why));
    }
    Settings::resolve(flags, Some(&beside))
}

/// Puts the score in words.
fn show(checkpoint: &Path, score: &Score, test: &SampleSet) -> String {
    let mut text = format!(
        "{}: accuracy {:.2} %, loss {:.4} on {} images\n",
        checkpoint.display(),
        100.0 * score.accuracy,
        score.loss,
        test.len()
    );
    let classes = test.classes();
    if classes > PRINTABLE {
        return text;
    }
    let name = |k: usize| test.class_names().get(k).cloned().unwrap_or_else(|| k.to_string());
    let mut head = row!["true \\ answer"];
    head.extend((0..classes).map(|k| k.to_string()));
    head.push("right".into());
    let mut rows = vec![head];
    for (label, counts) in score.confusion.iter().enumerate() {
        let mut cells = row![format!("{label} {}", name(label))];
        cells.extend(counts.iter().map(u64::to_string));
        let right = score.class_accuracy(label);
        cells.push(right.map_or("-".into(), |share| format!("{:.1} %", 100.0 * share)));
        rows.push(cells);
    }
    text += &table(&rows);
    text
}
