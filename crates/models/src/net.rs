//! A planned net: every buffer it needs, forward, and the backward that reads the forward's list upward.

use crate::graph::{Component, Context, Draw, Execution, Op, Planned, Purpose, Value, ValueId};
use crate::plan::{Held, Plan, PlanReport, lipschitz_workspace, widest};
use crate::{NetConfig, Params, available};
use spikegrad_bptt::lipschitz::lipschitz;
use spikegrad_bptt::loss::Logits;
use spikegrad_bptt::{ConfigError, LossConfig, Readout};
use spikegrad_tensor::memory::{NoMemory, try_vec};
use spikegrad_tensor::{Dims, LANES, Level, Scratch, Tensor, Workers, Workspace};

/// The terms of a batch's loss.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Loss {
    /// The data term.
    pub data_term: f64,
    /// The Lipschitz term.
    pub lipschitz: f64,
}

/// A net planned for a batch size: from the second step on, nothing is allocated but the packing buffers that a
/// matrix product takes and gives back.
#[derive(Debug)]
pub struct Net {
    config: NetConfig,
    pub(crate) ops: Vec<Box<dyn Op>>,
    pub(crate) run: Execution,
    /// The value of the logits.
    output: ValueId,
    /// The ops' share of the workers' buffers.
    pub(crate) workspace: Workspace,
    /// Logits that are spikes, as floats.
    pub(crate) unpacked: Tensor,
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
        Self::plan_for(config, batch, level, Purpose::Training { input_gradient })
    }

    /// Plans the net for predictions on `batch` images: without gradients, and with buffers that layers share. A backward
    /// panics.
    ///
    /// # Errors
    /// As [`Net::plan`].
    pub fn plan_prediction(config: &NetConfig, batch: usize, level: Level) -> Result<Self, ConfigError> {
        Self::plan_for(config, batch, level, Purpose::Prediction)
    }

    fn plan_for(
        config: &NetConfig,
        batch: usize,
        level: Level,
        purpose: Purpose,
    ) -> Result<Self, ConfigError> {
        let plan = Plan::new(config, batch, level, purpose)?;
        available::check_net(plan.report(0, false)?.bytes.total)?;
        Ok(Self::allocate(plan, level)?)
    }

    /// Holds the parameters of a net of the same layers together with it, until one of both changes them.
    ///
    /// # Panics
    /// The nets differ in their parameters.
    pub fn share_params(&mut self, other: &Net) {
        assert!(self.run.params.entries == other.run.params.entries, "the same parameters");
        self.run.params = other.run.params.clone();
    }

    /// Gets the memory of a plan.
    fn allocate(plan: Plan<'_>, level: Level) -> Result<Self, NoMemory> {
        let mut workers = Workers::of(plan.workers());
        let Plan { config, batch, planned, mut unpacked } = plan;
        let Planned { mut ops, mut params, mut values, output, mut gradients, mut shared, workspace } =
            planned;
        params.allocate()?;
        ops.iter_mut().try_for_each(|op| op.allocate())?;
        values.allocate()?;
        gradients.allocate()?;
        shared.iter_mut().try_for_each(Tensor::allocate)?;
        unpacked.allocate()?;
        let widest = widest(values.all_dims());
        let mut ones = try_vec(2 * widest, 1.0)?;
        ones[widest..].fill(0.0);
        workers.reserve(&workspace)?;
        let lipschitz_terms = vec![0.0; params.entries.len()];
        let steps = config.steps();
        let draw = Draw::default();
        let context = Context { steps, batch, training: true, smooth: config.smooth, level, draw };
        let carried = Vec::new();
        let run = Execution {
            params: params.into(),
            values,
            gradients,
            workers,
            context,
            carried,
            shared,
            ones,
            recorder: None,
        };
        let mean_logits = try_vec(batch * config.classes, 0.0)?;
        let config = config.clone();
        Ok(Self { config, ops, run, output, workspace, unpacked, mean_logits, lipschitz_terms })
    }

    /// Gets the memory that the Lipschitz term needs, so that the first step does not have to ask for it.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn reserve_lipschitz(&mut self) -> Result<(), ConfigError> {
        let workspace = lipschitz_workspace(&self.run.params);
        Ok(self.run.workers.reserve(&workspace)?)
    }

    /// The configuration.
    pub fn config(&self) -> &NetConfig {
        &self.config
    }

    /// Images of a batch.
    pub fn batch(&self) -> usize {
        self.run.context.batch
    }

    /// The instruction set that its kernels run on.
    pub fn level(&self) -> Level {
        self.run.context.level
    }

    /// Weights, gradients, running estimates.
    pub fn params(&self) -> &Params {
        &self.run.params
    }

    /// Weights, gradients, running estimates, to change.
    pub fn params_mut(&mut self) -> &mut Params {
        &mut self.run.params
    }

    /// Numbers in a batch of images.
    pub fn images_len(&self) -> usize {
        let c = &self.config;
        c.frames() * self.run.context.batch * c.channels * c.height * c.width
    }

    /// Sets the key that random ops, such as dropout, draw from in the training passes that follow.
    pub fn draw_from(&mut self, draw: Draw) {
        self.run.context.draw = draw;
    }

    /// Runs the net on a batch of images (N, C, H, W), or of frames (T, N, C, H, W) where [`NetConfig::input`] says so,
    /// with the batch's statistics when `training`.
    ///
    /// Where the net reads spikes, every number but 0 is a spike.
    ///
    /// # Panics
    /// `images` is not [`Net::images_len`] long.
    pub fn forward(&mut self, images: &[f32], training: bool) {
        self.run.context.training = training;
        match self.run.values.get_mut(ValueId::INPUT) {
            Value::Dense(input) => input.copy_from_nchw(images),
            Value::Spikes(input) => input.copy_from_nchw(images),
            Value::Taken => unreachable!("no op writes the input"),
        }
        for op in &mut self.ops {
            op.forward(&mut self.run);
        }
    }

    /// The logits of each step after a forward, and the distance between their rows.
    fn step_logits(&mut self) -> (&[f32], Logits) {
        let (steps, classes) = (self.run.context.steps, self.config.classes);
        let size = Logits { steps, classes, stride: classes.next_multiple_of(LANES) };
        (self.run.values.get(self.output).floats(&mut self.unpacked).floats(), size)
    }

    /// The logits (T, N, classes) of every step after a forward.
    pub fn logits(&mut self) -> Vec<f32> {
        let (logits, Logits { classes, stride, .. }) = self.step_logits();
        logits.chunks(stride).flat_map(|row| row[..classes].iter().copied()).collect()
    }

    /// The read-out of the logits, (batch, classes), after a forward: their mean over time unless
    /// [`NetConfig::readout`] says otherwise.
    pub fn mean_logits(&mut self) -> &[f32] {
        self.read_logits(self.config.readout)
    }

    /// The logits of a net of one step, (batch, classes), after a forward.
    pub(crate) fn first_logits(&mut self) -> &[f32] {
        self.read_logits(Readout::Last)
    }

    fn read_logits(&mut self, readout: Readout) -> &[f32] {
        let (batch, mut read) = (self.run.context.batch, std::mem::take(&mut self.mean_logits));
        let (y, Logits { steps, classes, stride }) = self.step_logits();
        for (i, read) in read.iter_mut().enumerate() {
            let (n, k) = (i / classes, i % classes);
            *read = readout.read((0..steps).map(|t| y[(t * batch + n) * stride + k])) as f32;
        }
        self.mean_logits = read;
        &self.mean_logits
    }

    /// Computes loss and all gradients after a training forward; weight gradients are overwritten.
    ///
    /// # Panics
    /// There is not one label a planned image, or one is no class.
    pub fn backward(&mut self, labels: &[u32], loss: &LossConfig, beta: f32) -> Loss {
        self.run.params.zero_grads();
        let data_term = self.backward_loss(labels, None, loss);
        Loss { data_term, lipschitz: self.backward_lipschitz(beta) }
    }

    /// Computes the data term of the loss after a training forward and adds its gradient to the weights'; each sample
    /// counts by its weight, if there are weights.
    ///
    /// # Panics
    /// There is not one label, or weight, a planned image, or a label is no class.
    pub fn backward_loss(&mut self, labels: &[u32], weights: Option<&[f32]>, loss: &LossConfig) -> f64 {
        assert_eq!(labels.len(), self.run.context.batch);
        assert!(labels.iter().all(|&label| (label as usize) < self.config.classes));
        let mut gradient = self.take_output_gradient();
        let readout = self.config.readout;
        let mut mean = std::mem::take(&mut self.mean_logits);
        let (logits, size) = self.step_logits();
        let samples = (labels, weights);
        let value =
            loss.evaluate_weighted((size, readout), logits, samples, gradient.floats_mut(), &mut mean);
        self.mean_logits = mean;
        self.run.gradients.put(self.output, gradient);
        self.backward_ops();
        value
    }

    /// Adds the weights' gradient that follows from `gradient`, ∂L/∂(logits of every step) in their order (T, N,
    /// classes), after a training forward.
    ///
    /// # Panics
    /// There is not one number a logit.
    pub fn backward_from(&mut self, gradient: &[f32]) {
        let mut to = self.take_output_gradient();
        to.copy_from_nchw(gradient);
        self.run.gradients.put(self.output, to);
        self.backward_ops();
    }

    fn take_output_gradient(&mut self) -> Tensor {
        self.run.gradients.clear();
        let (gradient, _) = self.run.gradients.take_to_add(self.output).expect("the logits have a gradient");
        gradient
    }

    /// Runs the list of the forward upward.
    fn backward_ops(&mut self) {
        for op in self.ops.iter_mut().rev() {
            if self.run.gradients.wants(op.writes()) {
                op.backward(&mut self.run);
            }
        }
    }

    /// Adds the Lipschitz term's gradient to every weight of two or more dimensions; returns its value, 0 where β is 0.
    pub fn backward_lipschitz(&mut self, beta: f32) -> f64 {
        if beta == 0.0 {
            return 0.0;
        }
        let level = self.run.context.level;
        let Params { entries, weights, grads, .. } = &mut *self.run.params;
        let mut rest = &mut grads[..];
        // Last layers first: they are the large ones, so that the last task to finish is a small one.
        let tasks = entries.iter().zip(&mut self.lipschitz_terms).rev().filter_map(move |(entry, term)| {
            let (before, grad) = std::mem::take(&mut rest).split_at_mut(entry.range.start);
            rest = before;
            (entry.shape.len() > 1).then_some((entry, grad, term))
        });
        self.run.workers.run(tasks, |(entry, grad, term), scratch: &mut Scratch| {
            *term = lipschitz(level, beta, entry.shape[0], &weights[entry.range.clone()], grad, scratch);
        });
        self.lipschitz_terms.iter().sum()
    }

    /// ∂L/∂images in the images' order after a backward, if the net was planned with it.
    pub fn input_gradient(&self) -> Option<Vec<f32>> {
        self.run.gradients.get(ValueId::INPUT).map(Tensor::to_nchw)
    }

    /// The output of a layer after a forward: its size and its numbers in the order (T, N, C, H, W), T being 1 where it
    /// is the same at every step; none where no layer of this name writes a value.
    pub fn output_of(&self, layer: &str) -> Option<(Dims, Vec<f32>)> {
        let op = self.ops.iter().find(|op| op.name() == layer)?;
        let dims = self.run.values.dims(op.writes());
        let mut unpacked = Tensor::zeros(dims);
        Some((dims, self.run.values.get(op.writes()).floats(&mut unpacked).to_nchw()))
    }

    /// The names of the layers whose output [`Net::output_of`] gives, in the order of the forward.
    pub fn layer_names(&self) -> impl Iterator<Item = &str> {
        self.ops.iter().map(|op| op.name())
    }

    /// Exchanges weights, gradients and running estimates with a net of the same layers for another batch.
    ///
    /// # Panics
    /// The nets differ in their parameters.
    pub fn swap_params(&mut self, other: &mut Net) {
        assert!(self.run.params.entries == other.run.params.entries, "the same parameters");
        std::mem::swap(&mut self.run.params, &mut other.run.params);
    }

    /// Describes the parts of every op, in the order of the forward.
    pub(crate) fn components(&self) -> impl Iterator<Item = Component<'_>> {
        self.ops.iter().flat_map(|op| op.components(&self.run.values))
    }

    /// Firing rate of each spiking layer, after a forward.
    pub fn rates(&self) -> Vec<(String, f64)> {
        let rate = |value: &Value| match value {
            Value::Spikes(spikes) => spikes.rate(),
            Value::Dense(dense) => {
                let values = dense.to_nchw();
                values.iter().filter(|x| **x > 0.0).count() as f64 / values.len() as f64
            }
            Value::Taken => 0.0,
        };
        let rates = self.components().filter_map(|component| match component {
            Component::Neurons(part) => Some((part.name.to_string(), rate(self.run.values.get(part.output)))),
            _ => None,
        });
        rates.collect()
    }

    /// The first op, in the order of the forward, whose output is not finite, or else the first parameter.
    pub fn first_not_finite(&self) -> Option<String> {
        match self.ops.iter().find(|op| !op.is_finite(&self.run)) {
            Some(op) if op.writes() == self.output => Some("output".into()),
            Some(op) => Some(op.name().to_string()),
            None => self.run.params.first_not_finite().map(str::to_string),
        }
    }
}

impl Net {
    /// Reports the cost of the net; `moments` is how many the optimiser keeps, `lipschitz` whether the loss has the Lipschitz
    /// term.
    pub fn report(&self, moments: usize, lipschitz: bool) -> PlanReport {
        let run = &self.run;
        let (params, values) = (&run.params, &run.values);
        let held = Held { config: self.config(), batch: self.batch(), ops: &self.ops, params, values };
        let costs = (moments, lipschitz, run.workers.count());
        let fixed = run.gradients.bytes() + self.unpacked.bytes() as u128;
        let report = held.report(fixed, &run.shared, self.workspace, costs);
        report.unwrap_or_else(|_| unreachable!("a net in memory has sizes that fit"))
    }
}
