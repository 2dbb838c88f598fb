//! One training step compared with a reference file that PyTorch computed in float64.

use crate::{Error, TrainConfig, Trainer};
use spikegrad_bptt::{LifConfig, Surrogate};
use spikegrad_models::safetensors::File;
use spikegrad_models::{NetConfig, NetKind};
use spikegrad_tensor::Level;
use std::path::Path;

/// Largest error allowed, relative to the largest magnitude of a tensor.
pub const TOLERANCE: f64 = 1e-4;

/// One compared tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Name in the file.
    pub name: String,
    /// Largest difference ÷ largest magnitude of the reference (0 where both are all zero).
    pub error_relative: f64,
}

/// All compared tensors of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Parity {
    /// The rows, in the order of the net.
    pub rows: Vec<Row>,
}

impl Parity {
    /// The row with the largest error.
    pub fn worst(&self) -> Option<&Row> {
        self.rows.iter().max_by(|a, b| a.error_relative.total_cmp(&b.error_relative))
    }

    /// Whether every row is within [`TOLERANCE`].
    pub fn passed(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|row| row.error_relative <= TOLERANCE)
    }
}

/// Runs the step of a reference file at a level and compares logits, loss, gradients, buffers and rates.
///
/// # Errors
/// The file cannot be read or lacks something.
pub fn check_at(path: impl AsRef<Path>, level: Level) -> Result<Parity, Error> {
    let file = File::read(path)?;
    let images = file.f32("input.images")?;
    let labels = file.i64("input.labels")?;
    let shape = file.entry("input.images")?.shape.clone();
    let &[batch, channels, height, width] = shape.as_slice() else {
        return Err(file.error(format!("input.images has shape {shape:?}, expected four sides")).into());
    };
    let surrogate: String = file.meta("surrogate")?;
    let parameter = match surrogate.as_str() {
        "rectangle" | "triangle" => Some(file.meta("window")?),
        _ if file.metadata.contains_key("alpha") => Some(file.meta("alpha")?),
        _ => None,
    };
    let lif = LifConfig::default()
        .decay(file.meta("decay")?)
        .threshold(file.meta("threshold")?)
        .reset(file.meta("reset")?)
        .surrogate(Surrogate::named(&surrogate, parameter)?)
        .delta(file.meta("delta")?);
    let classes = file.entry("weight.fc2.bias")?.shape.iter().product();
    let net = NetConfig::new(NetKind::ResNet19, channels, height, width, classes)
        .scale(file.meta("width")?)
        .timesteps(file.meta("timesteps")?)
        .lif(lif);
    let config = TrainConfig { batch, beta: file.meta("beta")?, ..TrainConfig::new(net) };
    let mut trainer = Trainer::with_input_gradient(config, level, true)?;
    fill(&mut trainer, &file)?;
    let labels: Vec<u32> = labels.iter().map(|&label| u32::try_from(label).unwrap_or(u32::MAX)).collect();
    trainer.check_batch(&images, &labels)?;
    compare(&mut trainer, &file, &images, &labels)
}

/// As [`check_at`] the best level.
///
/// # Errors
/// As [`check_at`]; also a level in the environment that the processor lacks.
pub fn check(path: impl AsRef<Path>) -> Result<Parity, Error> {
    let level = Level::detect()?;
    check_at(path, level)
}

/// Takes the weights and running estimates before the step from the file.
fn fill(trainer: &mut Trainer, file: &File) -> Result<(), Error> {
    let params = trainer.net.params_mut();
    let lists = [
        ("weight", &params.entries, &mut params.weights),
        ("buffer", &params.buffer_entries, &mut params.buffers),
    ];
    for (prefix, entries, data) in lists {
        for entry in entries {
            let name = format!("{prefix}.{}", entry.name);
            let shape = &file.entry(&name)?.shape;
            if *shape != entry.shape {
                let want = &entry.shape;
                return Err(file.error(format!("{name:?} has shape {shape:?}, expected {want:?}")).into());
            }
            data[entry.range.clone()].copy_from_slice(&file.f32(&name)?);
        }
    }
    Ok(())
}

fn compare(trainer: &mut Trainer, file: &File, images: &[f32], labels: &[u32]) -> Result<Parity, Error> {
    let mut rows = Vec::new();
    let mut row = |name: &str, got: &[f32]| -> Result<(), Error> {
        let want = file.f32(name)?;
        if want.len() != got.len() {
            let (want, got) = (want.len(), got.len());
            return Err(file.error(format!("{name:?} has {want} numbers, the net {got}")).into());
        }
        rows.push(Row { name: name.into(), error_relative: error_relative(got, &want) });
        Ok(())
    };
    trainer.net.forward(images, true);
    row("out.logits", trainer.net.mean_logits())?;
    let loss = trainer.net.backward(labels, &trainer.config.loss, trainer.config.beta);
    row("out.cross_entropy", &[loss.data_term as f32])?;
    row("out.lipschitz", &[loss.lipschitz as f32])?;
    row("out.loss", &[(loss.data_term + loss.lipschitz) as f32])?;
    for (name, rate) in trainer.net.rates() {
        row(&format!("out.rate.{name}"), &[rate as f32])?;
    }
    let params = trainer.net.params();
    for entry in &params.entries {
        row(&format!("grad.{}", entry.name), &params.grads[entry.range.clone()])?;
    }
    row("grad.input", &trainer.net.input_gradient().unwrap_or_default())?;
    for entry in &params.buffer_entries {
        row(&format!("buffer_after.{}", entry.name), &params.buffers[entry.range.clone()])?;
    }
    Ok(Parity { rows })
}

/// The largest difference ÷ the largest magnitude of `want`; infinite where either holds NaN.
fn error_relative(got: &[f32], want: &[f32]) -> f64 {
    let difference = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).abs();
    let nan_first = |x: f64, y: f64| if x.is_nan() || y.is_nan() { f64::NAN } else { x.max(y) };
    let error = got.iter().zip(want).map(difference).fold(0.0, nan_first);
    let size = want.iter().fold(0.0, |size, x| nan_first(size, f64::from(x.abs())));
    let error_relative = if error == 0.0 { 0.0 } else { error / size };
    if error_relative.is_nan() { f64::INFINITY } else { error_relative }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_relative_to_the_largest_magnitude() {
        assert_eq!(error_relative(&[1.0, -3.0, 0.0], &[1.0, -4.0, 0.0]), 0.25);
        assert_eq!(error_relative(&[0.0, 0.0], &[0.0, 0.0]), 0.0);
        assert_eq!(error_relative(&[1.0], &[0.0]), f64::INFINITY);
        let nan = f32::NAN;
        for (got, want) in [([nan, 1.0], [1.0, 1.0]), ([1.0, 1.0], [1.0, nan]), ([nan, 0.0], [nan, 0.0])] {
            assert_eq!(error_relative(&got, &want), f64::INFINITY, "{got:?}, {want:?}");
        }
    }

    #[test]
    fn every_row_must_be_within_the_tolerance() {
        let parity = |errors: &[f64]| Parity {
            rows: errors
                .iter()
                .map(|&error_relative| Row { name: error_relative.to_string(), error_relative })
                .collect(),
        };
        assert!(parity(&[0.0, 1e-5, TOLERANCE]).passed());
        assert!(
            !parity(&[0.0, 2e-4]).passed()
                && !parity(&[f64::INFINITY]).passed()
                && !parity(&[f64::NAN]).passed()
        );
        assert!(!parity(&[]).passed() && parity(&[]).worst().is_none());
        assert_eq!(parity(&[0.25, 0.5, 0.125]).worst().unwrap().name, "0.5");
    }
}
