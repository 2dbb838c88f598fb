//! Which neurons are worth a look: those that the gradient moves most.

use spikegrad::bptt::lif::record::{Charged, Place, Recorder, Returned};
use spikegrad::microscope::Neuron;
use spikegrad::models::UnitInfo;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// What is known of a neuron after a pass.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    /// Σ over time of |∂L/∂u|.
    size: f32,
    spikes: usize,
}

/// Tallies every neuron of one image.
#[derive(Debug)]
pub struct Picker {
    image: usize,
    units: Vec<UnitInfo>,
    /// By layer; a neuron stands at channel · pixels + pixel.
    tallies: BTreeMap<usize, Mutex<Vec<Tally>>>,
}

impl Picker {
    /// Prepares to look at one image of the batch.
    pub fn new(units: Vec<UnitInfo>, image: usize) -> Self {
        let tally = |unit: &UnitInfo| {
            let neurons = unit.dims.len() / unit.dims.n;
            (unit.layer, Mutex::new(vec![Tally::default(); neurons]))
        };
        let tallies = units.iter().map(tally).collect();
        Self { image, units, tallies }
    }

    /// The `count` neurons of each layer with the largest gradient; those that fire at some steps, but not at all,
    /// before the others.
    pub fn largest(&self, layers: &[String], count: usize, steps: usize) -> Vec<Neuron> {
        let mut picked = Vec::new();
        let wanted = |unit: &&UnitInfo| layers.is_empty() || layers.contains(&unit.name);
        for unit in self.units.iter().filter(wanted) {
            let tallies = self.tallies[&unit.layer].lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let mut order: Vec<usize> = (0..tallies.len()).collect();
            let rank = |&k: &usize| {
                let Tally { size, spikes } = tallies[k];
                ((1..steps.max(2)).contains(&spikes), size)
            };
            order.sort_by(|a, b| {
                let (a, b) = (rank(a), rank(b));
                b.0.cmp(&a.0).then(b.1.total_cmp(&a.1))
            });
            let (pixels, width) = (unit.dims.pixels(), unit.dims.w);
            picked.extend(order.into_iter().take(count).map(|k| Neuron {
                layer: unit.name.clone(),
                image: self.image,
                channel: k / pixels,
                row: k % pixels / width,
                column: k % width,
            }));
        }
        picked
    }
}

impl Recorder for Picker {
    fn charged(&self, _: Place, _: Charged<'_>) {}

    fn returned(&self, place: Place, values: Returned<'_>) {
        if place.image != self.image {
            return;
        }
        let Some(unit) = self.units.iter().find(|unit| unit.layer == place.layer) else { return };
        let mut tallies = self.tallies[&place.layer].lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for (i, pixel) in place.pixels.enumerate() {
            for (lane, channel) in place.channels.clone().enumerate() {
                let tally = &mut tallies[channel * unit.dims.pixels() + pixel];
                tally.size += values.du[i].0[lane].abs();
                tally.spikes += usize::from(values.o[i].0[lane] > 0.0);
            }
        }
    }
}
