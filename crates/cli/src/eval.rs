//! `spikegrad eval`: accuracy, loss and confusion matrix of a run.

use crate::opening::OpeningArgs;
use crate::outputs::JsonTarget;
use clap::Args;
use serde_json::json;
use spikegrad::data::SampleSet;
use spikegrad_lab::score::{Score, score};
use spikegrad_lab::{Checkpoint, Result, Silent};
use spikegrad_report::row;
use spikegrad_report::table::table;
use std::path::{Path, PathBuf};

/// Classes up to which the confusion matrix is printed.
const PRINTABLE: usize = 20;

/// What `eval` takes.
#[derive(Args, Clone, Debug)]
pub struct EvalArgs {
    /// Run folder, or a checkpoint
    run: PathBuf,
    #[command(flatten)]
    opening: OpeningArgs,
    /// Write the figures as JSON to a new file, or to stdout for -
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// Scores a run.
///
/// # Errors
/// A missing or damaged file, weights that do not fit the settings, bad data.
pub fn run(args: EvalArgs) -> Result<()> {
    let json = JsonTarget::claim(args.json.as_deref())?;
    let Checkpoint { weights, settings, data, mut trainer } = args.opening.open(&args.run)?;
    let test = data.test_loader(&settings)?;
    let Some(score) = score(&mut trainer, &test, None, &Silent)? else { return Ok(()) };
    let figures = json!({
        "checkpoint": weights.display().to_string(),
        "images": data.test.len(),
        "accuracy": score.accuracy,
        "loss": score.loss,
        "confusion": score.confusion,
    });
    json.report(&figures, &(data.note.clone() + &show(&weights, &score, &data.test)))
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
