//! Synaptic operations, counted from the activations of the forward that ran.
//!
//! An operation is a product of a number that is not zero with a weight that is not zero, at a place where the kernel
//! meets the image: a spike near a border or under a stride has fewer of them than one in the middle. Those on spikes
//! are accumulates (AC), those on real numbers multiply-accumulates (MAC). Spikes that are flattened, or pooled over
//! single pixels, are spikes still; averages of several are real numbers. This is NeuroBench's definition, which looks
//! whether a layer's inputs are all 0 or 1, and SpikingJelly's
//! (`Effective_ACs`, `Effective_MACs`; Yik et al., Nature Communications 16, 2025); `Dense` counts the same places
//! whatever is zero. Biases, batch norm (folded into the weights in inference) and the neurons themselves do not
//! count, nor do spikes that a shortcut adds as they are.
//!
//! ```text
//! effective = Σ_{i, ky, kx} (weights W[·, i, ky, kx] that are not 0) · (inputs of channel i under tap (ky, kx) that are not 0)
//! ```

use crate::graph::{Component, ProductPart, Value, ValueId};
use crate::net::Net;
use spikegrad_tensor::conv::ConvConfig;
use spikegrad_tensor::{Dims, LANES};

/// The kind of a layer's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// Bits: operations are accumulates.
    Spikes,
    /// Real numbers: operations are multiply-accumulates.
    Real,
}

/// The operations of one layer with weights in a forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerOperations {
    /// The layer, as its weight is called.
    pub layer: String,
    /// The kind of its input.
    pub input: InputKind,
    /// The neurons it feeds, where it is their first source; shortcuts and the output have none of their own.
    pub unit: Option<String>,
    /// Inputs that were not zero at each time step, over all images.
    pub active: Vec<u64>,
    /// Operations at each time step, over all images. A still image is the same at every step.
    pub effective: Vec<u64>,
    /// Operations of one image and step if nothing were zero.
    pub dense: u64,
    /// Multiply-adds of one image and step by the usual formula, O²·N·k²·M, which counts the padding too.
    pub macs: u64,
    /// Numbers that the layer reads of one image and step.
    pub inputs: u64,
    /// Numbers that it yields.
    pub outputs: u64,
    /// Weights.
    pub weights: u64,
    /// Weights that are zero.
    pub zero_weights: u64,
}

/// The spikes of one layer of neurons in a forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitSpikes {
    /// The layer of neurons.
    pub unit: String,
    /// Neurons of one image.
    pub neurons: u64,
    /// Spikes at each time step, over all images.
    pub spikes: Vec<u64>,
}

impl Net {
    /// Counts what each layer with weights did in the last forward, for the first `images` of the batch.
    ///
    /// # Panics
    /// The batch is smaller.
    pub fn operations(&self, images: usize) -> Vec<LayerOperations> {
        assert!(images <= self.batch(), "{images} images of a batch of {}", self.batch());
        let rows = self.components().filter_map(|component| match component {
            Component::Product(part) => Some(self.count(&part, images)),
            _ => None,
        });
        rows.collect()
    }

    /// Counts the spikes of each layer of neurons in the last forward, for the first `images` of the batch. For the
    /// twins: outputs that are not zero.
    ///
    /// # Panics
    /// The batch is smaller.
    pub fn spikes(&self, images: usize) -> Vec<UnitSpikes> {
        assert!(images <= self.batch(), "{images} images of a batch of {}", self.batch());
        let spikes = self.components().filter_map(|component| match component {
            Component::Neurons(part) => {
                let active = self.active(part.output, images);
                let spikes = active.iter().map(|step| step.iter().map(|&n| u64::from(n)).sum()).collect();
                let neurons = (part.dims.len() / part.dims.n) as u64;
                Some(UnitSpikes { unit: part.name.to_string(), neurons, spikes })
            }
            _ => None,
        });
        spikes.collect()
    }

    fn count(&self, part: &ProductPart<'_>, images: usize) -> LayerOperations {
        let (input, config) = (part.dims, part.config);
        let taps = Taps::new(input, config);
        let weights = &self.run.params.weights[part.weight.clone()];
        let connected = connected(weights, input.c, config);
        let mut active = self.active(part.input, images);
        if part.is_delayed {
            active.rotate_right(1);
            active[0].fill(0);
        }
        let everything = vec![1; input.c * input.pixels()];
        LayerOperations {
            layer: self.weight_name(part.weight.start),
            input: if self.is_spikes(part.input) { InputKind::Spikes } else { InputKind::Real },
            unit: part.feeds.map(str::to_string),
            active: active.iter().map(|step| step.iter().map(|&n| u64::from(n)).sum()).collect(),
            effective: active.iter().map(|step| taps.operations(step, &connected)).collect(),
            dense: taps.operations(
                &everything,
                &vec![(config.out_channels / config.groups) as u64; connected.len()],
            ),
            macs: (weights.len() * taps.outputs.0 * taps.outputs.1) as u64,
            inputs: (input.c * input.pixels()) as u64,
            outputs: (config.out_channels * taps.outputs.0 * taps.outputs.1) as u64,
            weights: weights.len() as u64,
            zero_weights: weights.iter().filter(|w| **w == 0.0).count() as u64,
        }
    }

    /// Whether a value is spikes, or spikes in another order: a flattened image, or a pool over windows of one pixel.
    fn is_spikes(&self, value: ValueId) -> bool {
        if self.run.values.is_spikes(value) {
            return true;
        }
        let writer = self.ops.iter().find(|op| op.writes() == value && op.only_reorders());
        writer.is_some_and(|op| op.reads().iter().all(|read| self.is_spikes(read.value)))
    }

    /// Counts those of the first `images` that are not zero at (channel, pixel), for each time step; one that is the same at
    /// every step is counted once and repeated.
    fn active(&self, value: ValueId, images: usize) -> Vec<Vec<u32>> {
        let (d, batch) = (self.run.values.dims(value), self.batch());
        let frames: Vec<Vec<u32>> = (0..d.n / batch)
            .map(|t| {
                let mut counts = vec![0; d.blocks() * LANES * d.pixels()];
                for image in t * batch..t * batch + images {
                    self.add_active(value, image, &mut counts);
                }
                counts.truncate(d.c * d.pixels());
                counts
            })
            .collect();
        (0..self.run.context.steps).map(|t| frames[t % frames.len()].clone()).collect()
    }

    /// Adds 1 at each (channel, pixel) of one image that is not zero.
    fn add_active(&self, value: ValueId, image: usize, counts: &mut [u32]) {
        let d = self.run.values.dims(value);
        let (pixels, len) = (d.pixels(), d.image_blocks());
        let mut add = |at: usize, lane: usize, active: bool| {
            counts[(at / pixels * LANES + lane) * pixels + at % pixels] += u32::from(active);
        };
        match self.run.values.get(value) {
            Value::Spikes(spikes) => {
                for (at, word) in spikes.words()[image * len..][..len].iter().enumerate() {
                    (0..LANES).for_each(|lane| add(at, lane, word >> lane & 1 == 1));
                }
            }
            Value::Dense(dense) => {
                for (at, block) in dense.blocks()[image * len..][..len].iter().enumerate() {
                    (0..LANES).for_each(|lane| add(at, lane, block.0[lane] != 0.0));
                }
            }
            Value::Taken => unreachable!("no layer runs"),
        }
    }
}

/// Weights that are not zero, for each (input channel, tap); an output channel has weights for its group alone.
fn connected(weights: &[f32], channels: usize, config: ConvConfig) -> Vec<u64> {
    let (taps, group) = (config.taps(), channels / config.groups);
    let mut connected = vec![0; channels * taps];
    for (output, row) in weights.chunks(group * taps).enumerate() {
        let first = output / (config.out_channels / config.groups) * group * taps;
        let own = connected[first..].iter_mut().zip(row);
        own.for_each(|(count, w)| *count += u64::from(*w != 0.0));
    }
    connected
}

/// The inputs that meet each tap of a kernel.
struct Taps {
    axes: (Axis, Axis),
    outputs: (usize, usize),
    kernel: (usize, usize),
}

/// Rows or columns of an image.
struct Axis {
    length: usize,
    stride: usize,
    padding: usize,
}

impl Axis {
    /// Rows (or columns) of the output of a kernel.
    fn outputs(&self, kernel: usize) -> usize {
        (self.length + 2 * self.padding - kernel) / self.stride + 1
    }

    /// The input row (or column) under tap `k` at output `q`, if it is not padding.
    fn under(&self, q: usize, k: usize) -> Option<usize> {
        let at = (q * self.stride + k).checked_sub(self.padding)?;
        (at < self.length).then_some(at)
    }
}

impl Taps {
    fn new(input: Dims, config: ConvConfig) -> Self {
        let (kernel, stride, padding) = (config.sides(), config.strides(), config.paddings());
        let rows = Axis { length: input.h, stride: stride.0, padding: padding.0 };
        let columns = Axis { length: input.w, stride: stride.1, padding: padding.1 };
        let outputs = (rows.outputs(kernel.0), columns.outputs(kernel.1));
        Self { axes: (rows, columns), outputs, kernel }
    }

    /// Σ over (channel, tap) of its connected weights times the active inputs under it.
    fn operations(&self, active: &[u32], connected: &[u64]) -> u64 {
        let ((rows, columns), kernel, mut sum) = (&self.axes, self.kernel, 0);
        let (h, w) = (rows.length, columns.length);
        for (at, &weights) in connected.iter().enumerate() {
            let (channel, ky, kx) = (at / (kernel.0 * kernel.1), at / kernel.1 % kernel.0, at % kernel.1);
            let plane = &active[channel * h * w..][..h * w];
            let mut met = 0;
            for y in (0..self.outputs.0).filter_map(|q| rows.under(q, ky)) {
                let under = (0..self.outputs.1).filter_map(|q| columns.under(q, kx));
                met += under.map(|x| u64::from(plane[y * w + x])).sum::<u64>();
            }
            sum += weights * met;
        }
        sum
    }
}
