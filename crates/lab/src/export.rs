//! A run's weights in a file of their own, under PyTorch's names.

use crate::{Error, Result};
use spikegrad::models::safetensors::{File, View, write};
use std::path::Path;

/// How the file of a checkpoint names its format.
const FORMAT: &str = "spikegrad-";
/// What a state holds beside weights: the optimiser's moments, and the number of steps.
const STATE: (&str, &str) = ("moment.", "step");

/// Writes the weights and running estimates of the checkpoint or state `from` to `to`, which `torch.load_state_dict`
/// takes after `safetensors.torch.load_file`, and which every command here can open. Gives the number of tensors.
///
/// | kept | left out |
/// |---|---|
/// | weights, running means and variances | the optimiser's moments |
/// | what the weights were trained for, and the run's settings | the number of steps |
///
/// # Errors
/// A missing or damaged file, one that this library did not write, or a file system that refuses.
pub fn safetensors(from: &Path, to: &Path) -> Result<usize> {
    let file = File::read(from).map_err(spikegrad::Error::from)?;
    let is_ours = file.metadata.get("format").is_some_and(|format| format.starts_with(FORMAT));
    if !is_ours || !file.is_verified {
        return Err(Error::at(from, "is no checkpoint of a run: it lacks its format or its checksum"));
    }
    let mut metadata = file.metadata.clone();
    metadata.remove(STATE.1);
    // The writer makes a checksum of its own.
    metadata.remove("crc32");
    let kept: Vec<_> = file.tensors.iter().filter(|tensor| !tensor.name.starts_with(STATE.0)).collect();
    let numbers: Vec<Vec<f32>> = kept
        .iter()
        .map(|tensor| file.f32(&tensor.name))
        .collect::<Result<_, _>>()
        .map_err(spikegrad::Error::from)?;
    let views: Vec<View<'_>> = kept
        .iter()
        .zip(&numbers)
        .map(|(tensor, data)| View { name: &tensor.name, shape: &tensor.shape, data })
        .collect();
    write(to, &metadata, &views).map_err(spikegrad::Error::from)?;
    Ok(views.len())
}
