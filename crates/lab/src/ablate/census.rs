//! What surrogate gradient scaling had to do in a trained net: how many membranes its window saw, and how far its
//! factor was from 1.

use crate::Result;
use serde::{Deserialize, Serialize};
use spikegrad::Trainer;
use spikegrad::bptt::lif::record::{Charged, Place, Recorder, Returned};
use spikegrad::data::Batch;
use spikegrad::microscope::Microscope;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bins of the histogram.
const BINS: usize = 20;

/// What one training batch shows after the last epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Census {
    /// Share of membranes inside the surrogate's window (h at least a tenth of its peak), by layer.
    pub inside: BTreeMap<String, f64>,
    /// The mean over layers.
    pub mean_inside: f64,
    /// The factor of SGS where a gradient passes: h ≠ 0 and G ≠ 0.
    pub factor: Histogram,
}

/// A histogram of the SGS factor − 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// |δ|: bins of equal width cover −|δ| to |δ|.
    pub range: f32,
    /// Counts, ascending.
    pub bins: Vec<u64>,
    /// Counts beyond the range.
    pub outside: u64,
    /// Largest |factor − 1|.
    pub largest: f32,
}

impl Histogram {
    /// Mean |factor − 1|, each bin counted at its middle.
    pub fn mean_size(&self) -> f64 {
        let width = 2.0 / self.bins.len() as f64;
        let middle = |i: usize| (width * (i as f64 + 0.5) - 1.0).abs() * f64::from(self.range);
        let sum: f64 = self.bins.iter().enumerate().map(|(i, count)| *count as f64 * middle(i)).sum();
        let inside: u64 = self.bins.iter().sum();
        let sum = sum + self.outside as f64 * f64::from(self.range);
        if inside + self.outside == 0 { 0.0 } else { sum / (inside + self.outside) as f64 }
    }
}

/// Looks on in a backward. Counts do not depend on the order of the tiles.
#[derive(Debug)]
struct Counter {
    microscope: Microscope,
    range: f32,
    bins: [AtomicU64; BINS],
    outside: AtomicU64,
    /// Bits of the largest |factor − 1|: those of a positive float ascend with it.
    largest: AtomicU64,
}

impl Census {
    /// Takes a census of one batch.
    ///
    /// # Errors
    /// A batch that does not fit the net.
    pub fn take(trainer: &mut Trainer, batch: &Batch) -> Result<Self> {
        let counter = Arc::new(Counter {
            microscope: Microscope::new(trainer.net(), &[])?,
            range: trainer.config().net.lif.delta.abs(),
            bins: Default::default(),
            outside: AtomicU64::default(),
            largest: AtomicU64::default(),
        });
        trainer.observe(&batch.images, &batch.labels, counter.clone())?;
        let views = counter.microscope.layers();
        let inside = |view: &spikegrad::microscope::LayerView| {
            view.steps.iter().map(|step| step.inside).sum::<f64>() / view.steps.len() as f64
        };
        let inside: BTreeMap<String, f64> =
            views.iter().map(|view| (view.name.clone(), inside(view))).collect();
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Ok(Self {
            mean_inside: inside.values().sum::<f64>() / inside.len().max(1) as f64,
            inside,
            factor: Histogram {
                range: counter.range,
                bins: counter.bins.iter().map(read).collect(),
                outside: read(&counter.outside),
                largest: f32::from_bits(read(&counter.largest) as u32),
            },
        })
    }
}

impl Recorder for Counter {
    fn charged(&self, place: Place, values: Charged<'_>) {
        self.microscope.charged(place, values);
    }

    fn returned(&self, place: Place, values: Returned<'_>) {
        for (pixel, block) in values.factor.iter().enumerate() {
            for lane in 0..place.channels.len() {
                if values.h[pixel].0[lane] != 0.0 && values.total[pixel].0[lane] != 0.0 {
                    self.count(block.0[lane] - 1.0);
                }
            }
        }
        self.microscope.returned(place, values);
    }
}

impl Counter {
    fn count(&self, excess: f32) {
        let place = (excess / self.range + 1.0) / 2.0 * BINS as f32;
        let bin = match place {
            // The right edge belongs to the last bin; without δ the factor is 1, the middle.
            _ if self.range == 0.0 => Some(BINS / 2),
            _ if place == BINS as f32 => Some(BINS - 1),
            _ => (place >= 0.0 && place < BINS as f32).then_some(place as usize),
        };
        bin.map_or(&self.outside, |bin| &self.bins[bin]).fetch_add(1, Ordering::Relaxed);
        self.largest.fetch_max(u64::from(excess.abs().to_bits()), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spikegrad::models::{Net, NetConfig, NetKind};
    use spikegrad::tensor::Level;

    fn counted(range: f32, excesses: &[f32]) -> Histogram {
        let net = NetConfig::new(NetKind::Mlp, 1, 4, 4, 2).scale(0.1);
        let net = Net::plan(&net, 1, Level::detect().unwrap(), false).unwrap();
        let counter = Counter {
            microscope: Microscope::new(&net, &[]).unwrap(),
            range,
            bins: Default::default(),
            outside: AtomicU64::default(),
            largest: AtomicU64::default(),
        };
        excesses.iter().for_each(|excess| counter.count(*excess));
        let bins = counter.bins.iter().map(|bin| bin.load(Ordering::Relaxed)).collect();
        let largest = f32::from_bits(counter.largest.load(Ordering::Relaxed) as u32);
        Histogram { range, bins, outside: counter.outside.load(Ordering::Relaxed), largest }
    }

    #[test]
    fn factors_are_counted_by_their_distance_from_1() {
        // Bins of 0.05 from −0.5 to 0.5; the right edge belongs to the last.
        let of = counted(0.5, &[-0.5, -0.26, 0.01, 0.02, 0.5, 0.51, -0.75]);
        let mut bins = vec![0; 20];
        (bins[0], bins[4], bins[10], bins[19]) = (1, 1, 2, 1);
        assert_eq!((of.bins.clone(), of.outside, of.largest), (bins, 2, 0.75));
        // Middles at 0.475, 0.275, 0.025 twice, 0.475; those outside count as the edge.
        let mean = (0.475 + 0.275 + 2.0 * 0.025 + 0.475 + 2.0 * 0.5) / 7.0;
        assert!((of.mean_size() - mean).abs() < 1e-12, "{}", of.mean_size());
        let off = counted(0.0, &[0.0, 0.0]);
        assert_eq!((off.bins[10], off.outside, off.mean_size()), (2, 0, 0.0));
        assert_eq!(counted(0.5, &[]).mean_size(), 0.0);
    }
}
