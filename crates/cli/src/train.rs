//! `spikegrad train`: a new run, or the rest of an old one.

use crate::flags::Flags;
use crate::host::Terminal;
use crate::interrupt;
use crate::outputs::JsonTarget;
use crate::terminal::print;
use clap::Args;
use serde_json::json;
use spikegrad::Trainer;
use spikegrad::models::Lanczos;
use spikegrad::tensor::Level;
use spikegrad_lab::run::{Position, Run, When};
use spikegrad_lab::settings::{Settings, level};
use spikegrad_lab::{Error, Result};
use spikegrad_report::escape::shell_path;
use std::path::PathBuf;

/// What `train` takes.
#[derive(Args, Clone, Debug)]
pub struct TrainArgs {
    #[command(flatten)]
    flags: Flags,
    /// Settings from a TOML file, under the flags' names; flags win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Run folder to write, new or empty; default: the next free runs/NET-DATA-N
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Continue the run in this folder where it stopped
    #[arg(long, value_name = "RUN", conflicts_with_all = ["out", "config"])]
    resume: Option<PathBuf>,
    /// Stop after so many epochs (1.5: in the middle of the second), to resume later
    #[arg(long, value_name = "EPOCHS")]
    stop_after: Option<f64>,
    /// Write a checkpoint every so many epochs (2, 0.5) or minutes (10m); default: every epoch
    #[arg(long, value_name = "EPOCHS|MINUTESm")]
    checkpoint_every: Option<String>,
    /// SIMD level: baseline, avx2 or avx512; default: the best
    #[arg(long, value_name = "NAME")]
    level: Option<Level>,
    /// Write the final figures as JSON to a new file, or to stdout for -
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// Trains.
///
/// # Errors
/// Wrong settings, bad data, a folder in use, numbers that are no longer finite; a signal, after the state was written.
pub fn run(args: TrainArgs) -> Result<()> {
    let when = When::of(args.stop_after, args.checkpoint_every.as_deref())?;
    let json = JsonTarget::claim(args.json.as_deref())?;
    json.is_apart_from(args.out.as_deref().as_slice())?;
    interrupt::listen()?;
    let (terminal, level) = (Terminal::new(), level(args.level)?);
    let mut run = match &args.resume {
        Some(folder) => Run::resume(folder, &args.flags.into(), level, when, &terminal)?,
        None => {
            let settings = Settings::resolve(args.flags.into(), args.config.as_deref())?;
            Run::start(settings, args.out.as_deref(), level, when, &terminal)?
        }
    };
    let ended = run.train()?;
    if ended {
        say_what_next(&run);
    }
    let figures = json!({
        "run": run.folder.path().display().to_string(),
        "best_accuracy": run.at.best_accuracy,
        "last": run.metrics.last(),
    });
    json.write(&figures)?;
    if !ended && interrupt::asked() { Err(Error::Stopped) } else { Ok(()) }
}

/// Tells what a finished run reached, what its layers are like, and what to do with it.
fn say_what_next(run: &Run<'_>) {
    let Position { best_accuracy, best_epoch, .. } = run.at;
    let (scored, best) = (run.settings.scored_on(), 100.0 * best_accuracy);
    print(&format!(
        "best accuracy {best:.2} % in epoch {best_epoch}, chosen on the same {scored} images that give the figure\n"
    ));
    if run.trainer.config().beta > 0.0 {
        print(&lipschitz_constants(&run.trainer));
    }
    let (page, folder) = (shell_path(&run.folder.file("report.html")), shell_path(run.folder.path()));
    print(&format!("next: open {page}; spikegrad eval {folder} --best; spikegrad doctor {folder}\n"));
}

/// Tells what the Lipschitz term is about: the largest singular value of each layer, batch norm included.
fn lipschitz_constants(trainer: &Trainer) -> String {
    let constants = trainer.net().lipschitz_constants(&Lanczos::default());
    let Some(largest) = constants.iter().max_by(|a, b| a.sigma.total_cmp(&b.sigma)) else {
        return String::new();
    };
    let values: Vec<String> = constants.iter().map(|c| format!("{} {}", c.layer, c.shown())).collect();
    format!(
        "Lipschitz constants, which --beta holds down: the most by which each layer, its batch norm included, lets a \
         change grow. Largest {} ({}); all: {}\n",
        largest.shown(),
        largest.layer,
        values.join(", ")
    )
}
