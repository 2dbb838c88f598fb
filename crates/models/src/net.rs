//! A planned net: every buffer it needs, forward, and the backward that reads the forward's list upward.

use crate::layers::{Current, Layer, LinearCurrent, Value};
use crate::plan::{Plan, lipschitz_needs};
use crate::{NetConfig, Params, available};
use spikegrad_bptt::lif::record::Recorder;
use spikegrad_bptt::lipschitz::lipschitz;
use spikegrad_bptt::loss::Logits;
use spikegrad_bptt::{ConfigError, Fire, LifConfig, LossConfig};
use spikegrad_tensor::memory::{NoMemory, try_vec};
use spikegrad_tensor::norm::Statistics;
use spikegrad_tensor::{Dims, LANES, Level, Needs, Scratch, Tensor, Workers};
use std::sync::Arc;

/// What layers share while a step runs.
#[derive(Debug)]
pub(crate) struct Flow {
    pub params: Params,
    pub values: Vec<Value>,
    /// Gradient buffers, shared by values whose lives do not overlap.
    pub gradients: Vec<Tensor>,
    /// The buffer of each value's gradient, if it needs one, and its size.
    pub gradient_of: Vec<Option<usize>>,
    pub value_dims: Vec<Dims>,
    /// Buffers for convolutions' outputs that more than one of them uses.
    pub lent: Vec<Tensor>,
    /// Whether a value's gradient holds something yet.
    pub written: Vec<bool>,
    /// Membranes of a stream, each at the number of its unit's output; none outside a stream.
    pub membranes: Vec<Tensor>,
    /// Who looks on in the backward.
    pub recorder: Option<Arc<dyn Recorder>>,
    pub workers: Workers,
    /// What the layers take of the workers' buffers.
    pub needs: Needs,
    /// Ones, then as many zeros: the identity as an affine map.
    pub ones: Vec<f32>,
    pub lif: LifConfig,
    pub fire: Fire,
    pub level: Level,
    pub steps: usize,
    pub batch: usize,
    pub training: bool,
}

impl Flow {
    /// Takes the gradient buffer of a value, with whether to add to it; none if it needs no gradient.
    pub(crate) fn take_gradient(&mut self, value: usize) -> Option<(Tensor, bool)> {
        let slot = self.gradient_of[value]?;
        let mut gradient = std::mem::take(&mut self.gradients[slot]);
        gradient.resize(self.value_dims[value]);
        Some((gradient, self.written[value]))
    }

    /// Gives a gradient back, written.
    pub(crate) fn put_gradient(&mut self, value: usize, gradient: Tensor) {
        if let Some(slot) = self.gradient_of[value] {
            self.gradients[slot] = gradient;
            self.written[value] = true;
        }
    }

    /// Makes the gradient of `value` that of `from` too, which shares its buffer.
    pub(crate) fn hand_on(&mut self, value: usize, from: usize) {
        assert!(!self.written[from] && self.gradient_of[from] == self.gradient_of[value]);
        self.written[from] = true;
    }
}

/// What the loss of a batch is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Loss {
    /// The data term.
    pub cross_entropy: f64,
    /// The Lipschitz term.
    pub lipschitz: f64,
}

/// A net planned for a batch size: from the second step on, nothing is allocated but the packing buffers that a
/// matrix product takes and gives back.
#[derive(Debug)]
pub struct Net {
    config: NetConfig,
    pub(crate) layers: Vec<Layer>,
    pub(crate) flow: Flow,
    logits_gradient: Tensor,
    mean_logits: Vec<f32>,
    /// The Lipschitz term of each weight.
    lipschitz_terms: Vec<f64>,
}

impl Net {
    /// Plans the net for `batch` images and gets its memory. With `input_gradient`, the backward also fills
    /// [`Net::input_gradient`].
    ///
    /// # Errors
    /// A hyper-parameter or a size makes no sense, or the net needs more memory than there is.
    pub fn plan(
        config: &NetConfig,
        batch: usize,
        level: Level,
        input_gradient: bool,
    ) -> Result<Self, ConfigError> {
        let plan = Plan::new(config, batch, level, input_gradient)?;
        available::check_net(plan.report(0, false)?.bytes.total)?;
        Self::allocate(plan, level).map_err(|error| ConfigError(error.to_string()))
    }

    /// Gets the memory of a plan.
    fn allocate(plan: Plan<'_>, level: Level) -> Result<Self, NoMemory> {
        let Plan { config, batch, mut built } = plan;
        built.params.allocate()?;
        built.layers.iter_mut().try_for_each(Layer::allocate)?;
        built.values.iter_mut().try_for_each(Value::allocate)?;
        built.gradients.iter_mut().chain(&mut built.lent).try_for_each(Tensor::allocate)?;
        let widest = built.widest();
        let mut ones = try_vec(2 * widest, 1.0)?;
        ones[widest..].fill(0.0);
        let mut logits_gradient = Tensor::planned(Dims::new(config.steps() * batch, config.classes, 1, 1));
        logits_gradient.allocate()?;
        let mut workers = Workers::new();
        workers.reserve(&built.needs)?;
        let lipschitz_terms = vec![0.0; built.params.entries.len()];
        let flow = Flow {
            params: built.params,
            written: vec![false; built.values.len()],
            values: built.values,
            gradients: built.gradients,
            gradient_of: built.gradient_of,
            value_dims: built.value_dims,
            lent: built.lent,
            membranes: Vec::new(),
            recorder: None,
            workers,
            needs: built.needs,
            ones,
            lif: config.lif.clone(),
            fire: config.fire(),
            level,
            steps: config.steps(),
            batch,
            training: true,
        };
        Ok(Self {
            config: config.clone(),
            layers: built.layers,
            flow,
            logits_gradient,
            mean_logits: try_vec(batch * config.classes, 0.0)?,
            lipschitz_terms,
        })
    }

    /// Gets the memory that the Lipschitz term needs, so that the first step does not have to ask for it.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn reserve_lipschitz(&mut self) -> Result<(), ConfigError> {
        let needs = lipschitz_needs(&self.flow.params);
        self.flow.workers.reserve(&needs).map_err(|error| ConfigError(error.to_string()))
    }

    /// The configuration.
    pub fn config(&self) -> &NetConfig {
        &self.config
    }

    /// Images of a batch.
    pub fn batch(&self) -> usize {
        self.flow.batch
    }

    /// Weights, gradients, running estimates.
    pub fn params(&self) -> &Params {
        &self.flow.params
    }

    /// Weights, gradients, running estimates, to change.
    pub fn params_mut(&mut self) -> &mut Params {
        &mut self.flow.params
    }

    /// Numbers in a batch of images.
    pub fn images_len(&self) -> usize {
        let c = &self.config;
        c.frames() * self.flow.batch * c.channels * c.height * c.width
    }

    /// Runs the net on a batch of images (N, C, H, W), or of frames (T, N, C, H, W) where [`NetConfig::input`] says so,
    /// with the batch's statistics when `training`.
    ///
    /// Panics if `images` is not [`Net::images_len`] long. Where the input is spikes, all but 0 is one.
    pub fn forward(&mut self, images: &[f32], training: bool) {
        self.flow.training = training;
        match &mut self.flow.values[0] {
            Value::Dense(input) => input.copy_from_nchw(images),
            Value::Spikes(input) => input.copy_from_nchw(images),
            Value::Taken => unreachable!("no layer writes the input"),
        }
        for layer in &mut self.layers {
            layer.forward(&mut self.flow);
        }
    }

    /// The logits' mean over time, (batch, classes), after a forward.
    pub fn mean_logits(&mut self) -> &[f32] {
        let (steps, classes) = (self.flow.steps, self.config.classes);
        let y = output(&self.layers).y.floats();
        let stride = classes.next_multiple_of(LANES);
        for (i, mean) in self.mean_logits.iter_mut().enumerate() {
            let (n, k) = (i / classes, i % classes);
            let sum: f64 = (0..steps).map(|t| f64::from(y[(t * self.flow.batch + n) * stride + k])).sum();
            *mean = (sum / steps as f64) as f32;
        }
        &self.mean_logits
    }

    /// Computes loss and all gradients after a training forward; weight gradients are overwritten.
    ///
    /// Panics if there is not one label a planned image, or one is no class.
    pub fn backward(&mut self, labels: &[u32], loss: &LossConfig, beta: f32) -> Loss {
        assert_eq!(labels.len(), self.flow.batch);
        assert!(labels.iter().all(|&label| (label as usize) < self.config.classes));
        self.flow.params.zero_grads();
        self.flow.written.fill(false);
        let stride = self.config.classes.next_multiple_of(LANES);
        let size = Logits { steps: self.flow.steps, classes: self.config.classes, stride };
        let (last, rest) = self.layers.split_last_mut().expect("a net ends with its output");
        let Layer::Output(last) = last else { unreachable!("a net ends with its output") };
        let g = self.logits_gradient.floats_mut();
        let cross_entropy = loss.evaluate(size, last.y.floats(), labels, g, &mut self.mean_logits);
        last.backward(&self.logits_gradient, &mut self.flow);
        for layer in rest.iter_mut().rev() {
            layer.backward(&mut self.flow);
        }
        let lipschitz = if beta == 0.0 { 0.0 } else { self.lipschitz(beta) };
        Loss { cross_entropy, lipschitz }
    }

    /// Adds the Lipschitz term's gradient to every weight of two or more dimensions; returns its value.
    fn lipschitz(&mut self, beta: f32) -> f64 {
        let level = self.flow.level;
        let Params { entries, weights, grads, .. } = &mut self.flow.params;
        let mut rest = &mut grads[..];
        // Last layers first: they are the large ones, so that the last task to finish is a small one.
        let tasks = entries.iter().zip(&mut self.lipschitz_terms).rev().filter_map(move |(entry, term)| {
            let (before, grad) = std::mem::take(&mut rest).split_at_mut(entry.range.start);
            rest = before;
            (entry.shape.len() > 1).then_some((entry, grad, term))
        });
        self.flow.workers.run(tasks, |(entry, grad, term), scratch: &mut Scratch| {
            *term = lipschitz(level, beta, entry.shape[0], &weights[entry.range.clone()], grad, scratch);
        });
        self.lipschitz_terms.iter().sum()
    }

    /// ∂L/∂images in the images' order after a backward, if the net was planned with it.
    pub fn input_gradient(&self) -> Option<Vec<f32>> {
        let slot = self.flow.gradient_of[0]?;
        Some(self.flow.gradients[slot].to_nchw())
    }

    /// Firing rate of each spiking layer, after a forward.
    pub fn rates(&self) -> Vec<(String, f64)> {
        let units = self.layers.iter().filter_map(|layer| match layer {
            Layer::Unit(unit) => Some(unit),
            _ => None,
        });
        let rate = |value: &Value| match value {
            Value::Spikes(spikes) => spikes.rate(),
            Value::Dense(dense) => {
                let values = dense.to_nchw();
                values.iter().filter(|x| **x > 0.0).count() as f64 / values.len() as f64
            }
            Value::Taken => 0.0,
        };
        units.map(|unit| (unit.name.clone(), rate(&self.flow.values[unit.out]))).collect()
    }

    /// The first layer, in the order of the forward, whose output is not finite.
    pub fn first_not_finite(&self) -> Option<String> {
        let finite = |tensor: &Tensor| tensor.floats().iter().all(|x| x.is_finite());
        for layer in &self.layers {
            let broken = match layer {
                Layer::Unit(unit) => unit.currents.iter().any(|current| match current {
                    // y itself may be gone; what is not finite in it is not finite in its mean and variance.
                    Current::Conv(conv) => {
                        let Statistics { mean, var, .. } = &conv.statistics;
                        mean.iter().chain(var).any(|x| !x.is_finite())
                    }
                    Current::Linear(linear) => !finite(&linear.y),
                    Current::Identity(_) => false,
                }),
                Layer::Output(linear) => !finite(&linear.y),
                Layer::Pool { .. } | Layer::Flatten { .. } => false,
            };
            if broken {
                return Some(match layer {
                    Layer::Unit(unit) => unit.name.clone(),
                    _ => "output".into(),
                });
            }
        }
        self.flow.params.first_not_finite().map(str::to_string)
    }
}

fn output(layers: &[Layer]) -> &LinearCurrent {
    match layers.last() {
        Some(Layer::Output(linear)) => linear,
        _ => unreachable!("a net ends with its output"),
    }
}
