//! `spikegrad eval`: accuracy, loss and confusion matrix of a run.

use crate::dataset::Dataset;
use crate::failure::Failure;
use crate::files::{print, table, write_json};
use crate::flags::Flags;
use crate::row;
use crate::score::{Score, score};
use crate::settings::{Settings, level};
use clap::Args;
use serde_json::json;
use spikegrad::Trainer;
use spikegrad::data::ImageSet;
use std::path::{Path, PathBuf};

/// Classes up to which the confusion matrix is printed.
const PRINTABLE: usize = 20;

/// What `eval` takes.
#[derive(Args, Clone, Debug)]
pub struct EvalArgs {
    /// Run folder, or a checkpoint in one
    run: PathBuf,
    /// Score the best epoch's weights rather than the last's
    #[arg(long)]
    best: bool,
    /// Another place or data set to take the test images from
    #[arg(long, value_name = "NAME[:DIR]")]
    data: Option<String>,
    /// Settings, where the checkpoint has no config.toml beside it
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
    let (checkpoint, config) = locate(&args)?;
    let flags = Flags { data: args.data.clone(), ..Flags::default() };
    let settings = Settings::resolve(flags, Some(&config))?;
    let level = level(args.level.as_deref())?;
    let data = Dataset::load(&settings)?;
    let mut trainer = Trainer::new(settings.train_config(data.shape()), level)?;
    trainer.load_weights(&checkpoint)?;
    let test = data.test_loader(&settings)?;
    let Some(score) = score(&mut trainer, &test, false)? else { return Ok(()) };
    if args.json.as_deref() != Some("-") {
        print(&show(&checkpoint, &score, &data.test));
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

/// Finds the weights and the settings.
fn locate(args: &EvalArgs) -> Result<(PathBuf, PathBuf), Failure> {
    let run = &args.run;
    if !run.exists() {
        return Err(Failure::at(run, "no such run folder or checkpoint"));
    }
    let (checkpoint, folder) = match run.is_dir() {
        true => {
            let name = if args.best { "best.safetensors" } else { "checkpoint.safetensors" };
            (run.join(name), run.clone())
        }
        false => (run.clone(), run.parent().unwrap_or(Path::new("")).to_path_buf()),
    };
    let config = args.config.clone().unwrap_or_else(|| folder.join("config.toml"));
    if !config.is_file() {
        return Err(Failure::at(&config, "no such file; --config says where the run's settings are"));
    }
    Ok((checkpoint, config))
}

/// Puts the score in words.
fn show(checkpoint: &Path, score: &Score, test: &ImageSet) -> String {
    let mut text = format!(
        "{}: accuracy {:.2} %, loss {:.4} on {} images\n",
        checkpoint.display(),
        100.0 * score.accuracy,
        score.loss,
        test.len()
    );
    if test.classes > PRINTABLE {
        return text;
    }
    let name = |k: usize| test.class_names.get(k).cloned().unwrap_or_else(|| k.to_string());
    let mut head = row!["true \\ answer"];
    head.extend((0..test.classes).map(|k| k.to_string()));
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
