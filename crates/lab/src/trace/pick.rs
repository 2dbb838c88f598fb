//! Which neurons are worth a look: those that the gradient moves most; and which image has the most of them.

use spikegrad::bptt::lif::record::{Charged, Place, Recorder, Returned};
use spikegrad::microscope::Neuron;
use spikegrad::models::UnitInfo;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// A neuron that was picked.
#[derive(Clone, Debug)]
pub struct Picked {
    /// Which it is.
    pub neuron: Neuron,
    /// Whether any gradient arrives at its membrane.
    pub is_live: bool,
}

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

    /// The `count` neurons of each layer with the largest gradient: those with none behind all others, those that fire
    /// at some steps, but not at all, first.
    pub fn largest(&self, layers: &[String], count: usize, steps: usize) -> Vec<Picked> {
        let mut picked = Vec::new();
        let wanted = |unit: &&UnitInfo| layers.is_empty() || layers.contains(&unit.name);
        for unit in self.units.iter().filter(wanted) {
            let tallies = self.tallies[&unit.layer].lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let mut order: Vec<usize> = (0..tallies.len()).collect();
            let rank = |&k: &usize| {
                let Tally { size, spikes } = tallies[k];
                ((size > 0.0, (1..steps.max(2)).contains(&spikes)), size)
            };
            order.sort_by(|a, b| {
                let (a, b) = (rank(a), rank(b));
                b.0.cmp(&a.0).then(b.1.total_cmp(&a.1))
            });
            let (pixels, width) = (unit.dims.pixels(), unit.dims.w);
            picked.extend(order.into_iter().take(count).map(|k| {
                let (layer, image) = (unit.name.clone(), self.image);
                let (channel, row, column) = (k / pixels, k % pixels / width, k % width);
                Picked {
                    neuron: Neuron { layer, image, channel, row, column },
                    is_live: tallies[k].size > 0.0,
                }
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

#[cfg(test)]
mod tests {
    use super::*;
    use spikegrad::tensor::Dims;

    #[test]
    fn live_neurons_come_first_then_those_that_fire_at_times() {
        let unit = UnitInfo { name: "spike1".into(), layer: 4, dims: Dims::new(1, 5, 1, 1) };
        let picker = Picker::new(vec![unit], 7);
        let tally = |size, spikes| Tally { size, spikes };
        // Of three steps: silent, at times without gradient, at times with little, always, at times with more.
        let tallies = vec![tally(0.0, 0), tally(0.0, 2), tally(0.1, 1), tally(9.0, 3), tally(0.2, 2)];
        *picker.tallies[&4].lock().unwrap() = tallies;
        let picked = picker.largest(&[], 4, 3);
        let order: Vec<(usize, bool)> = picked.iter().map(|p| (p.neuron.channel, p.is_live)).collect();
        assert_eq!(order, [(4, true), (2, true), (3, true), (1, false)]);
        assert!(picked.iter().all(|p| p.neuron.image == 7 && p.neuron.layer == "spike1"));
        assert!(picker.largest(&["other".into()], 4, 3).is_empty());
    }
}
