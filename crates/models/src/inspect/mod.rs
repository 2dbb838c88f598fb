//! A planned net laid open: its neurons, who looks on while gradients run, its normalisation.

pub mod energy;
pub mod kernels;
pub mod operations;
pub mod spectral;

use crate::Net;
use crate::graph::{Component, NormPart};
use spikegrad_bptt::lif::record::Recorder;
use spikegrad_tensor::{Dims, LANES};
use std::sync::Arc;

/// A layer of neurons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitInfo {
    /// Its name.
    pub name: String,
    /// The number under which a [`Recorder`] hears of it.
    pub layer: usize,
    /// Its size, `n` being time steps × batch.
    pub dims: Dims,
}

/// The statistics of a batch norm in the last forward, beside its running estimates.
#[derive(Clone, Debug, PartialEq)]
pub struct NormInfo {
    /// Its name.
    pub name: String,
    /// Mean of each channel, last used.
    pub mean: Vec<f32>,
    /// Variance of each channel, last used, biased.
    pub var: Vec<f32>,
    /// Running mean of each channel.
    pub running_mean: Vec<f32>,
    /// Running variance of each channel, unbiased.
    pub running_var: Vec<f32>,
}

impl Net {
    /// Lets `recorder` look on in every backward from now on, or nobody.
    pub fn record(&mut self, recorder: Option<Arc<dyn Recorder>>) {
        self.run.recorder = recorder;
    }

    /// Lists the layers of neurons in the order of the forward.
    pub fn units(&self) -> Vec<UnitInfo> {
        let units = self.components().filter_map(|component| match component {
            Component::Neurons(part) => {
                let (name, layer) = (part.name.to_string(), part.output.index());
                Some(UnitInfo { name, layer, dims: part.dims })
            }
            _ => None,
        });
        units.collect()
    }

    /// Lists the batch norms in the order of the forward.
    pub fn norms(&self) -> Vec<NormInfo> {
        let params = self.params();
        let norms = self.components().filter_map(|component| match component {
            Component::Norm(part) => Some(part),
            _ => None,
        });
        let info = |part: NormPart<'_>| {
            let entry = params.buffer_entries.iter().find(|entry| entry.range == part.mean);
            let name = entry.and_then(|entry| entry.name.strip_suffix(".running_mean")).unwrap_or("");
            // A row of whole blocks for all steps, or for each.
            let rows = |padded: &[f32]| {
                let rows = padded.chunks(part.dims.blocks() * LANES);
                rows.flat_map(|row| &row[..part.dims.c]).copied().collect()
            };
            NormInfo {
                name: name.to_string(),
                mean: rows(&part.statistics.mean),
                var: rows(&part.statistics.var),
                running_mean: params.buffers[part.mean].to_vec(),
                running_var: params.buffers[part.var].to_vec(),
            }
        };
        norms.map(info).collect()
    }
}
