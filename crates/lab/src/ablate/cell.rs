//! One cell: trained to its end, scored, its result kept.

use super::census::Census;
use super::grid::{Cell, Plan};
use crate::files;
use crate::monitor::Monitor;
use crate::robustness::CurveScores;
use crate::run::{Finished, RunFolder, train_in};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use spikegrad::models::durable::crc32;
use spikegrad::tensor::Level;
use std::path::Path;

/// What a cell ends with. No times: they would differ from run to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellResult {
    /// Test accuracy after the last epoch.
    pub accuracy: f64,
    /// Best test accuracy after any epoch: chosen on the test images.
    pub best_accuracy: f64,
    /// Test cross-entropy after the last epoch.
    pub test_loss: f64,
    /// Training loss of the last epoch.
    pub train_loss: f64,
    /// Training accuracy of the last epoch.
    pub train_accuracy: f64,
    /// Mean firing rate in the last training batch.
    pub mean_rate: f64,
    /// What SGS had to do.
    pub census: Census,
    /// Accuracy under noise.
    pub noise: Vec<CurveScores>,
}

/// What the file of a cell's result holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// CRC-32 of the two others.
    crc32: String,
    /// The cell's name.
    cell: String,
    /// What it ended with.
    result: CellResult,
}

/// The CRC-32 of a cell's name and its result, numbers to the last bit.
fn checksum(cell: &str, result: &CellResult) -> Result<String> {
    let text = serde_json::to_string(result).map_err(Error::input)?;
    Ok(format!("{:08x}", crc32(&[cell.as_bytes(), b"\n", text.as_bytes()])))
}

/// The file of a cell's result.
const RESULT: &str = "result.json";

/// The result of a cell: read where there is one, else trained for; none where the monitor asks to stop.
///
/// # Errors
/// The folder holds other settings or a damaged result; all that training can end with.
pub fn result(
    home: &Path,
    cell: &Cell,
    plan: &Plan,
    level: Level,
    (number, count): (usize, usize),
    monitor: &dyn Monitor,
) -> Result<Option<CellResult>> {
    let folder = RunFolder::claim(home, &cell.settings.config)?;
    if let Some(result) = read(&folder.file(RESULT), &cell.name())?
        && result.noise.iter().map(|scores| &scores.curve).eq(&plan.noise)
    {
        return Ok(Some(result));
    }
    monitor.say(&format!("cell {number} of {count}: {} seed {}\n", cell.label(), cell.seed));
    let Some(finished) = train_in(folder, cell.settings.clone(), level, monitor)? else { return Ok(None) };
    let Some(result) = measure(finished, plan, monitor)? else { return Ok(None) };
    let kept = Kept { crc32: checksum(&cell.name(), &result)?, cell: cell.name(), result };
    let text = serde_json::to_string_pretty(&kept).map_err(Error::input)?;
    files::write(&home.join(RESULT), &(text + "\n"))?;
    Ok(Some(kept.result))
}

/// Reads the result of a cell, if there is one.
fn read(path: &Path, cell: &str) -> Result<Option<CellResult>> {
    if !path.is_file() {
        return Ok(None);
    }
    let help = "delete the file, and it is made anew from the cell's run";
    let damaged = |why: String| Error::at(path, format!("{why}; {help}"));
    let text = files::read_text(path).map_err(|why| Error::at(path, why))?;
    let kept: Kept = serde_json::from_str(&text).map_err(|why| damaged(why.to_string()))?;
    let (told, is) = (&kept.crc32, checksum(&kept.cell, &kept.result)?);
    match kept.cell == cell {
        _ if *told != is => Err(damaged(format!("has CRC-32 {is}, tells {told}"))),
        true => Ok(Some(kept.result)),
        false => Err(damaged(format!("is the result of cell {}, not of {cell}", kept.cell))),
    }
}

/// Takes the figures of a finished run, and scores it under noise.
fn measure(finished: Finished, plan: &Plan, monitor: &dyn Monitor) -> Result<Option<CellResult>> {
    let Finished { mut trainer, train, test, metrics } = finished;
    let Some(last) = metrics.last() else {
        return Err(Error::input("a run without epochs has no result"));
    };
    let Some(batch) = train.epoch(0).next() else {
        return Err(Error::input("there is no training image"));
    };
    let census = Census::take(&mut trainer, &batch)?;
    let mut noise = Vec::new();
    for curve in &plan.noise {
        let Some(scores) = CurveScores::measure(&mut trainer, &test, curve, monitor)? else {
            return Ok(None);
        };
        noise.push(scores);
    }
    Ok(Some(CellResult {
        accuracy: last.test_accuracy,
        best_accuracy: metrics.iter().map(|epoch| epoch.test_accuracy).fold(0.0, f64::max),
        test_loss: last.test_loss,
        train_loss: last.train_loss,
        train_accuracy: last.train_accuracy,
        mean_rate: last.mean_rate,
        census,
        noise,
    }))
}
