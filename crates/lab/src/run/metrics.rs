//! The metrics of a run: one line of `metrics.jsonl` for each epoch.

use crate::files;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use spikegrad_report::run_page::Epoch;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Epochs finished, from 1.
    pub epoch: usize,
    /// Mean training loss.
    pub train_loss: f64,
    /// Share of training images answered right while training.
    pub train_accuracy: f64,
    /// Share of test images answered right after the epoch.
    pub test_accuracy: f64,
    /// Cross-entropy on the test images.
    pub test_loss: f64,
    /// Learning rate of the last batch.
    pub lr: f32,
    /// Training images a second.
    pub images_per_second: f64,
    /// Seconds spent training.
    pub seconds: f64,
    /// Mean of `rates`.
    pub mean_rate: f64,
    /// Firing rate of each spiking layer, in the last batch.
    pub rates: BTreeMap<String, f64>,
}

impl Metrics {
    /// Names the first figure that is not finite: JSON could not hold it.
    pub fn not_finite(&self) -> Option<&'static str> {
        let figures = [
            ("train_loss", self.train_loss),
            ("train_accuracy", self.train_accuracy),
            ("test_accuracy", self.test_accuracy),
            ("test_loss", self.test_loss),
            ("lr", self.lr.into()),
            ("images_per_second", self.images_per_second),
            ("seconds", self.seconds),
            ("mean_rate", self.mean_rate),
        ];
        figures.into_iter().find(|(_, figure)| !figure.is_finite()).map(|(name, _)| name)
    }
}

impl<'a> From<&'a Metrics> for Epoch<'a> {
    fn from(metrics: &'a Metrics) -> Self {
        let Metrics { epoch, train_loss, train_accuracy, test_accuracy, test_loss, lr, .. } = *metrics;
        let Metrics { images_per_second, seconds, mean_rate, .. } = *metrics;
        Self {
            epoch,
            train_loss,
            train_accuracy,
            test_accuracy,
            test_loss,
            lr,
            images_per_second,
            seconds,
            mean_rate,
            rates: &metrics.rates,
        }
    }
}

/// Writes metrics as text, one object a line.
///
/// # Errors
/// None in practice; the serialiser's words if ever.
pub fn to_text(metrics: &[Metrics]) -> Result<String> {
    let mut text = String::new();
    for line in metrics {
        text += &serde_json::to_string(line).map_err(Error::input)?;
        text.push('\n');
    }
    Ok(text)
}

/// Reads metrics from the text of the file at `path`: epochs 1, 2, 3, …, each on one line.
///
/// # Errors
/// A line that is not an epoch's object, or not the next epoch's, with its number.
pub fn parse(text: &str, path: &Path) -> Result<Vec<Metrics>> {
    let mut metrics = Vec::new();
    for (n, line) in (1..).zip(text.lines()) {
        let line: Metrics =
            serde_json::from_str(line).map_err(|why| Error::at(path, format!("line {n}: {why}")))?;
        if line.epoch != n {
            return Err(Error::at(path, format!("line {n} is of epoch {}, expected epoch {n}", line.epoch)));
        }
        metrics.push(line);
    }
    Ok(metrics)
}

/// Reads the text of a metrics file; a missing file holds none.
///
/// # Errors
/// The file system refuses, or the bytes are no text.
pub fn read_text(path: &Path) -> Result<String> {
    match files::read_text(path) {
        Ok(text) => Ok(text),
        Err(why) if why.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(why) => Err(Error::at(path, why)),
    }
}

/// Compares the text of a metrics file with the metrics that the run's state knows; says what is wrong with the file.
///
/// Epochs behind the state's are none of the state's business: they were written by a process that was killed before
/// its next state, and are trained again.
pub fn damage(text: &str, known: &[Metrics], path: &Path) -> Option<String> {
    let there = match parse(text, path) {
        Ok(there) => there,
        Err(why) => return Some(why.to_string()),
    };
    let differs = known.iter().zip(&there).position(|(known, there)| known != there);
    let name = path.display();
    match differs {
        Some(k) => Some(format!("{name}: line {} is not what the run wrote", k + 1)),
        None if there.len() < known.len() => {
            Some(format!("{name}: holds {} of the run's {} epochs", there.len(), known.len()))
        }
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spikegrad::data::rng::Rng;

    fn random(rng: &mut Rng, epoch: usize) -> Metrics {
        Metrics {
            epoch,
            train_loss: 3.0 * rng.f64(),
            train_accuracy: rng.f64(),
            test_accuracy: rng.f64(),
            test_loss: 1e-3 * rng.f64(),
            lr: rng.uniform(),
            images_per_second: 1e4 * rng.f64(),
            seconds: rng.f64(),
            mean_rate: rng.f64(),
            rates: BTreeMap::from([("spike".to_string(), rng.f64())]),
        }
    }

    #[test]
    fn metrics_come_back_to_the_last_bit() {
        let mut rng = Rng::new(1);
        for _ in 0..20_000 {
            let metrics = vec![random(&mut rng, 1)];
            let text = to_text(&metrics).unwrap();
            assert_eq!(parse(&text, Path::new("m")).unwrap(), metrics, "{text}");
        }
    }

    #[test]
    fn every_damage_to_the_file_is_seen() {
        let mut rng = Rng::new(2);
        let path = Path::new("metrics.jsonl");
        let known: Vec<Metrics> = (1..=3).map(|epoch| random(&mut rng, epoch)).collect();
        let text = to_text(&known).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(damage(&text, &known, path), None);
        assert_eq!(damage(&text, &known[..2], path), None, "an epoch behind the state's");
        let with = |lines: &[&str]| damage(&(lines.join("\n") + "\n"), &known, path).unwrap_or_default();
        assert!(damage("", &known, path).unwrap().contains("0 of the run's 3"));
        assert!(with(&lines[..2]).contains("2 of the run's 3"));
        assert!(
            with(&[lines[0], lines[1], lines[1], lines[2]])
                .contains("line 3 is of epoch 2, expected epoch 3")
        );
        assert!(with(&[&lines[..], &lines[..]].concat()).contains("line 4 is of epoch 1"));
        assert!(with(&lines[1..]).contains("line 1 is of epoch 2"));
        let other = lines[1].replacen(char::is_numeric, "2", 1).replace("\"seconds\":0.", "\"seconds\":1.");
        assert!(with(&[lines[0], &other, lines[2]]).contains("line 2 is not what the run wrote"));
        assert!(with(&[lines[0], &lines[1][..40], lines[2]]).contains("line 2: "));
        assert!(with(&[lines[0], &lines[1].replace("lr", "ls"), lines[2]]).contains("line 2: "));
    }

    #[test]
    fn figures_that_json_cannot_hold_are_named() {
        let good = Metrics { epoch: 1, ..Metrics::default() };
        assert_eq!(good.not_finite(), None);
        assert_eq!(Metrics { test_loss: f64::NAN, ..good.clone() }.not_finite(), Some("test_loss"));
        assert_eq!(Metrics { lr: f32::INFINITY, ..good }.not_finite(), Some("lr"));
    }
}
