//! Planning: from a graph to ops with sizes and buffers, none of them allocated.

use super::buffers::{needs_gradient, share_gradients};
use super::execution::Gradients;
use super::saving::plan_saved;
use super::size::{check_work, sized};
use super::spec::{Graph, NodeId, Output};
use super::{Op, Value, ValueId, Values};
use crate::ops::{Current, Fused};
use crate::params::Role;
use crate::{Input, Memory, NetConfig, Params};
use spikegrad_bptt::ConfigError;
use spikegrad_tensor::conv::{Conv, ConvConfig};
use spikegrad_tensor::{Dims, Level, Spikes, Tensor, Workspace};
use std::ops::Range;

/// A net's ops with their buffers, all of them planned and none allocated.
pub(crate) struct Planned {
    pub ops: Vec<Box<dyn Op>>,
    pub params: Params,
    pub values: Values,
    /// The value whose mean over time is the logits.
    pub output: ValueId,
    pub gradients: Gradients,
    pub shared: Vec<Tensor>,
    pub workspace: Workspace,
}

/// The purpose that a net is planned for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Forward and backward; whether the images' gradient is wanted too.
    Training { input_gradient: bool },
    /// Forward alone: no gradients, and nothing is kept.
    Prediction,
}

/// Plans the net of a configuration.
pub(crate) fn build(
    config: &NetConfig,
    batch: usize,
    level: Level,
    purpose: Purpose,
) -> Result<Planned, ConfigError> {
    let graph = config.graph()?;
    graph.check()?;
    let mut builder = Builder::new(config, batch, level, &graph)?;
    for (node, op) in graph.nodes() {
        let output = op.plan(node, &mut builder)?;
        builder.outputs.push(Some(output));
        builder.names.push(node.name.to_string());
    }
    let output = builder.finish(&graph)?;
    let Builder { mut ops, mut params, values, .. } = builder;
    let (shared, wants) = match purpose {
        Purpose::Training { input_gradient } => {
            (plan_saved(&mut ops, config.memory), needs_gradient(&ops, values.len(), input_gradient))
        }
        Purpose::Prediction => {
            params.fix();
            (plan_saved(&mut ops, Memory::Recompute), vec![false; values.len()])
        }
    };
    let workspace =
        ops.iter().map(|op| op.workspace(&values, &wants)).fold(Workspace::default(), Workspace::max);
    let gradients = match purpose {
        Purpose::Training { .. } => share_gradients(&ops, values.all_dims(), output, &wants),
        Purpose::Prediction => Gradients::none(values.len()),
    };
    Ok(Planned { ops, params, values, output, gradients, shared, workspace })
}

/// The tools with which ops are planned: sizes, parameters, values.
#[derive(Debug)]
pub struct Builder<'a> {
    config: &'a NetConfig,
    batch: usize,
    level: Level,
    ops: Vec<Box<dyn Op>>,
    params: Params,
    values: Values,
    /// The output of each node; none where neurons have taken a current.
    outputs: Vec<Option<Output>>,
    names: Vec<String>,
    /// The number of nodes that read each node.
    readers: Vec<usize>,
}

impl<'a> Builder<'a> {
    fn new(config: &'a NetConfig, batch: usize, level: Level, graph: &Graph) -> Result<Self, ConfigError> {
        let mut readers = vec![0; graph.len() + 1];
        for (node, _) in graph.nodes() {
            node.inputs.iter().for_each(|input| readers[input.0] += 1);
        }
        let (ops, params, values) = (Vec::new(), Params::default(), Values::default());
        let names = vec!["input".to_string()];
        let mut builder =
            Self { config, batch, level, ops, params, values, outputs: Vec::new(), names, readers };
        let NetConfig { channels, height, width, .. } = *config;
        let dims = Dims::new(builder.images(config.frames())?, channels, height, width);
        let input = match config.input {
            Input::Still | Input::Frames => builder.dense(dims)?,
            Input::Spikes => builder.spikes(dims)?,
        };
        builder.outputs.push(Some(Output::Value(input)));
        Ok(builder)
    }

    /// Checks the graph's end and returns the value of its logits.
    fn finish(&mut self, graph: &Graph) -> Result<ValueId, ConfigError> {
        let last = NodeId(graph.len());
        if graph.is_empty() {
            return Err(ConfigError::new("the net has no layers"));
        }
        if let Some(unread) = (0..graph.len()).find(|&k| k > 0 && self.readers[k] == 0) {
            return Err(ConfigError::new(format!(
                "layer {:?} is read by no other layer",
                self.names[unread]
            )));
        }
        let output = self.value(last)?;
        let (got, classes) = (self.dims(output), self.config.classes);
        let want = Dims::new(self.images(self.config.steps())?, classes, 1, 1);
        if got != want {
            let Dims { n, c, h, w } = got;
            let steps = n / self.batch;
            return Err(ConfigError::new(format!(
                "layer {:?} is the last and yields {steps} steps of {c} channels and {h}×{w} pixels, must yield {} \
                 steps of {classes} channels (a class each) and 1×1 pixels",
                self.names[last.0],
                self.config.steps()
            )));
        }
        Ok(output)
    }

    /// The net's configuration.
    pub fn config(&self) -> &'a NetConfig {
        self.config
    }

    /// SIMD level of the kernels.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Time steps that are computed.
    pub fn steps(&self) -> usize {
        self.config.steps()
    }

    /// Images of a batch.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Images of so many steps.
    ///
    /// # Errors
    /// Their number is beyond what can be computed with.
    pub fn images(&self, steps: usize) -> Result<usize, ConfigError> {
        let (batch, most) = (self.batch, usize::MAX);
        let images = steps.checked_mul(batch);
        images
            .ok_or_else(|| ConfigError::new(format!("{steps} steps of {batch} images are more than {most}")))
    }

    /// The output of a node as a value: a current is summed up and written out.
    ///
    /// # Errors
    /// It is too large.
    pub fn value(&mut self, node: NodeId) -> Result<ValueId, ConfigError> {
        let name = self.names[node.0].clone();
        let value = match self.outputs[node.0].take() {
            Some(Output::Value(value)) => value,
            Some(Output::Current(fused)) => fused.into_value(&name, self)?,
            None => unreachable!("a current with one reader is taken once"),
        };
        self.outputs[node.0] = Some(Output::Value(value));
        Ok(value)
    }

    /// The output of a node as a current, which its only reader computes itself.
    pub(crate) fn current(&mut self, node: NodeId) -> Result<Current, ConfigError> {
        match self.outputs[node.0].take() {
            Some(Output::Current(fused)) if self.readers[node.0] == 1 => Ok(fused.into_current()),
            output => {
                self.outputs[node.0] = output;
                self.value(node).map(Current::Value)
            }
        }
    }

    /// The size of a value; `n` is time steps × batch, or batch where the value is the same at every step.
    pub fn dims(&self, value: ValueId) -> Dims {
        self.values.dims(value)
    }

    /// Whether a value is kept as bits.
    pub fn is_spikes(&self, value: ValueId) -> bool {
        self.values.is_spikes(value)
    }

    /// All values planned so far.
    pub(crate) fn values(&self) -> &Values {
        &self.values
    }

    /// Plans a value of floats.
    ///
    /// # Errors
    /// It is too large.
    pub fn dense(&mut self, dims: Dims) -> Result<ValueId, ConfigError> {
        Ok(self.values.add(Value::Dense(Tensor::planned(sized(dims)?)), dims))
    }

    /// Plans a value of zeros and ones, kept as bits.
    ///
    /// # Errors
    /// It is too large.
    pub fn spikes(&mut self, dims: Dims) -> Result<ValueId, ConfigError> {
        Ok(self.values.add(Value::Spikes(Spikes::planned(sized(dims)?)), dims))
    }

    /// Plans room for a value written out as floats, if it is spikes ([`Value::floats`]).
    ///
    /// # Errors
    /// It is too large.
    pub fn unpacked(&self, value: ValueId) -> Result<Tensor, ConfigError> {
        match self.is_spikes(value) {
            true => Ok(Tensor::planned(sized(self.dims(value))?)),
            false => Ok(Tensor::default()),
        }
    }

    /// Plans a parameter and returns where it lies.
    ///
    /// # Errors
    /// There are more parameters than can be planned.
    pub fn parameter(
        &mut self,
        name: String,
        shape: Vec<usize>,
        role: Role,
    ) -> Result<Range<usize>, ConfigError> {
        self.params.add(name, shape, role)
    }

    /// Lets a planned parameter begin at a value, which initialisation leaves as it is for [`Role::Neuron`].
    pub fn begin_at(&mut self, parameter: &Range<usize>, value: f32) {
        self.params.begin_at(parameter, value);
    }

    /// Plans a running estimate that begins at 0, or at 1, and returns where it lies.
    ///
    /// # Errors
    /// There are more than can be planned.
    pub fn estimate(&mut self, name: String, len: usize, is_one: bool) -> Result<Range<usize>, ConfigError> {
        self.params.add_buffer(name, len, is_one)
    }

    /// Plans a convolution of a value.
    pub(crate) fn conv(&self, name: &str, from: ValueId, conv: ConvConfig) -> Result<Conv, ConfigError> {
        let mut conv = Conv::plan(self.dims(from), conv, self.level)?;
        if let Some(form) = self.config.kernels.input_gradient {
            conv.set_input_gradient(form);
        }
        // A still image is one step.
        if conv.input().n == self.steps() * self.batch {
            conv = conv.with_steps(self.steps(), self.config.kernels.delta);
        }
        let config = conv.config();
        self.check_work(name, conv.input().c / config.groups, conv.output(), config.taps())?;
        Ok(conv)
    }

    /// Checks that a layer's output and work can be computed with, for `taps` of a kernel.
    pub(crate) fn check_work(
        &self,
        name: &str,
        inputs: usize,
        out: Dims,
        taps: usize,
    ) -> Result<(), ConfigError> {
        check_work(name, inputs, sized(out)?, taps)
    }

    /// Adds an op to the net.
    ///
    /// # Errors
    /// None as yet; planning ends with this call.
    pub fn push(&mut self, op: impl Op + 'static) -> Result<Output, ConfigError> {
        let to = op.writes();
        self.ops.push(Box::new(op));
        Ok(Output::Value(to))
    }
}

impl Output {
    /// An output that neurons compute themselves.
    pub(crate) fn fused(current: Current) -> Self {
        Output::Current(Fused::new(current))
    }
}
