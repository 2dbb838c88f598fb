//! The energy that an inference would cost, by the models of the literature, from counted operations.
//!
//! ```text
//! E_ANN = Σ_l macs_l · E_MAC
//! E_SNN = Σ_l macs_l · S_l · T · E_AC          S_l: share of the layer's inputs that are not zero, per step
//! ```
//! | model | ANN | layers on spikes | first layer, on pixels | a later layer on real numbers |
//! |---|---|---|---|---|
//! | [`Model::PaperAc`] | formula, integer MAC | formula, integer AC | AC at every step | MAC |
//! | [`Model::PaperMac`] | as above | as above | MAC at every step | MAC |
//! | [`Model::Counted`] | dense products met, float MAC | operations counted, float AC | MAC at every step | MAC |
//! | [`Model::Memory`] | as counted, and memory | as counted, and memory | MAC, and memory | MAC, and memory |
//!
//! The paper (appendix) has the first two: it does not say which of them it used. A layer on real numbers that are
//! averages of spikes (pooled) is charged with MAC in all. *Memory* follows Lemaire et al. (arXiv 2210.13107) in
//! charging every access to inputs, weights, potentials and outputs by the size of the memory it goes to, and an
//! addition for each address; in detail it is our own:
//!
//! | access | ANN, a layer | SNN, a layer and step |
//! |---|---|---|
//! | read inputs | one a product | one an input that is not zero |
//! | read weights | one a product | one an operation |
//! | read and write potentials | – | both for each operation; both for each neuron (the leak, one MAC) |
//! | write outputs | one an output | one a spike of the output |
//!
//! Everything is counted in words of 32 bits. Neither model charges batch norm, which folds into the weights, nor idle
//! circuits, clocks and interconnect: read the figures as what the models say, not as a measurement.

use crate::{InputKind, LayerOperations, UnitSpikes};

/// Energies of operations and memory accesses.
#[derive(Clone, Debug, PartialEq)]
pub struct Constants {
    /// Integer multiply-accumulate and accumulate, pJ.
    pub integer: Operations,
    /// Float multiply-accumulate and accumulate, pJ.
    pub float: Operations,
    /// Energy of an access by the size of the memory: (bytes, pJ) in ascending order.
    pub access: Vec<(f64, f64)>,
}

/// Energies of the two operations, pJ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Operations {
    /// Multiply-accumulate.
    pub mac: f64,
    /// Accumulate.
    pub ac: f64,
}

impl Constants {
    /// The energy of an access to a memory of so many bytes, pJ: a straight line between neighbouring sizes, the
    /// ends' values beyond them.
    pub fn access(&self, bytes: f64) -> f64 {
        let after = self.access.iter().position(|(size, _)| *size >= bytes);
        match after {
            Some(0) => self.access[0].1,
            Some(i) => {
                let ((a, low), (b, high)) = (self.access[i - 1], self.access[i]);
                low + (high - low) * (bytes - a) / (b - a)
            }
            None => self.access.last().map_or(0.0, |(_, energy)| *energy),
        }
    }
}

/// A model of energy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// The paper's formula, every layer on pixels or spikes with accumulates.
    PaperAc,
    /// The paper's formula, the first layer with multiply-accumulates.
    PaperMac,
    /// Counted operations with float constants.
    Counted,
    /// Counted operations and memory traffic.
    Memory,
}

impl Model {
    /// All four.
    pub const ALL: [Self; 4] = [Self::PaperAc, Self::PaperMac, Self::Counted, Self::Memory];

    /// The name, as tables and files spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::PaperAc => "paper, first layer AC",
            Self::PaperMac => "paper, first layer MAC",
            Self::Counted => "counted, FP32",
            Self::Memory => "counted, with memory",
        }
    }
}

/// One layer's work for one image, averaged over a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerWork {
    /// The layer.
    pub layer: String,
    /// The kind of its input.
    pub input: InputKind,
    /// Whether it is the first, which reads the image itself.
    pub first: bool,
    /// T.
    pub steps: f64,
    /// Inputs that are not zero, over all steps.
    pub active: f64,
    /// Operations, over all steps.
    pub effective: f64,
    /// Neurons whose first source it is.
    pub neurons: f64,
    /// Their spikes, over all steps.
    pub fired: f64,
    /// Products met of one step.
    pub dense: f64,
    /// Multiply-adds of one step by the formula.
    pub macs: f64,
    /// Inputs of one step.
    pub inputs: f64,
    /// Outputs of one step.
    pub outputs: f64,
    /// Weights.
    pub weights: f64,
}

impl LayerWork {
    /// Averages what a layer and the neurons behind it, to be found in `units`, did over so many images.
    pub fn mean(counted: &LayerOperations, first: bool, units: &[UnitSpikes], images: usize) -> Self {
        let mean = |steps: &[u64]| steps.iter().sum::<u64>() as f64 / images as f64;
        let unit = units.iter().find(|unit| counted.unit.as_ref() == Some(&unit.unit));
        Self {
            layer: counted.layer.clone(),
            input: counted.input,
            first,
            steps: counted.effective.len() as f64,
            active: mean(&counted.active),
            effective: mean(&counted.effective),
            neurons: unit.map_or(0.0, |unit| unit.neurons as f64),
            fired: unit.map_or(0.0, |unit| mean(&unit.spikes)),
            dense: counted.dense as f64,
            macs: counted.macs as f64,
            inputs: counted.inputs as f64,
            outputs: counted.outputs as f64,
            weights: counted.weights as f64,
        }
    }

    /// S: the share of inputs that are not zero, per step.
    pub fn rate(&self) -> f64 {
        self.active / (self.inputs * self.steps)
    }

    /// Energy of the layer in the ANN of the same shape, pJ.
    pub fn ann(&self, model: Model, c: &Constants) -> f64 {
        match model {
            Model::PaperAc | Model::PaperMac => self.macs * c.integer.mac,
            Model::Counted => self.dense * c.float.mac,
            Model::Memory => {
                let reads = self.dense * (c.access(4.0 * self.inputs) + c.access(4.0 * self.weights));
                let writes = self.outputs * c.access(4.0 * self.outputs);
                let addresses = (2.0 * self.dense + self.outputs) * c.float.ac;
                self.dense * c.float.mac + reads + writes + addresses
            }
        }
    }

    /// Energy of the layer in the spiking net, pJ.
    pub fn snn(&self, model: Model, c: &Constants) -> f64 {
        let on_spikes = self.input == InputKind::Spikes;
        match model {
            Model::PaperAc | Model::PaperMac => {
                let accumulates = on_spikes || self.first && model == Model::PaperAc;
                let energy = if accumulates { c.integer.ac } else { c.integer.mac };
                self.macs * self.rate() * self.steps * energy
            }
            Model::Counted => self.effective * if on_spikes { c.float.ac } else { c.float.mac },
            Model::Memory => {
                let potentials = c.access(4.0 * self.outputs);
                // A spike is a bit; thirty-two share a word.
                let input = c.access(if on_spikes { self.inputs / 8.0 } else { 4.0 * self.inputs });
                let updates = self.effective * (c.access(4.0 * self.weights) + 2.0 * potentials);
                let leaks = self.steps * self.neurons * (2.0 * potentials + c.float.mac);
                let spikes = self.active * input + self.fired * c.access(self.outputs / 8.0);
                let accesses =
                    3.0 * self.effective + 2.0 * self.steps * self.neurons + self.active + self.fired;
                self.snn(Model::Counted, c) + updates + leaks + spikes + accesses * c.float.ac
            }
        }
    }
}

/// Energies of a whole net.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Total {
    /// Of the ANN of the same shape, pJ an image.
    pub ann: f64,
    /// Of the spiking net, pJ an image.
    pub snn: f64,
    /// The rate at which both cost the same.
    pub break_even: BreakEven,
}

/// The rate of spikes, the same in every layer, at which a spiking net costs what its ANN costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BreakEven {
    /// Below this rate the spiking net is the cheaper one.
    At(f64),
    /// It is cheaper even if every neuron fires at every step.
    Always,
    /// It is dearer even if none fires.
    Never,
}

impl Total {
    /// Adds the layers up by a model.
    pub fn of(layers: &[LayerWork], model: Model, c: &Constants) -> Self {
        let ann = layers.iter().map(|layer| layer.ann(model, c)).sum();
        let snn = layers.iter().map(|layer| layer.snn(model, c)).sum();
        let at = |rate: f64| layers.iter().map(|layer| layer.at_rate(rate).snn(model, c)).sum::<f64>();
        // Energy is a straight line in the rate.
        let (fixed, slope) = (at(0.0), at(1.0) - at(0.0));
        let break_even = match (ann - fixed) / slope {
            _ if fixed + slope < ann || slope == 0.0 && fixed <= ann => BreakEven::Always,
            _ if fixed > ann => BreakEven::Never,
            rate => BreakEven::At(rate),
        };
        Self { ann, snn, break_even }
    }

    /// E_ANN / E_SNN.
    pub fn ratio(&self) -> f64 {
        self.ann / self.snn
    }
}

impl LayerWork {
    /// The same layer if the neurons before and behind it fired at `rate`; real inputs stay as they are.
    fn at_rate(&self, rate: f64) -> Self {
        let mut layer = self.clone();
        layer.fired = rate * self.neurons * self.steps;
        if self.input == InputKind::Spikes {
            layer.active = rate * self.inputs * self.steps;
            layer.effective = rate * self.dense * self.steps;
        }
        layer
    }
}
