//! A fully connected layer: y = x·Wᵀ + b, as an input current of neurons, or as an op of its own, such as the read-out.

use super::current::Current;
use super::flatten::flattened;
use super::params::two;
use crate::config::{MOST_SIDE, check_most};
use crate::graph::{
    Builder, Component, Execution, Node, Op, OpBytes, OpSpec, Output, ProductPart, Read, Setting, Settings,
    Value, ValueId, Values,
};
use crate::params::Role;
use spikegrad_bptt::ConfigError;
use spikegrad_tensor::conv::ConvConfig;
use spikegrad_tensor::linear::{linear, linear_backward_input, linear_backward_weight};
use spikegrad_tensor::memory::NoMemory;
use spikegrad_tensor::{Dims, Tensor};
use std::ops::Range;

/// A fully connected layer: an input current of neurons, or the read-out at the end of a net. An image is flattened
/// before it.
///
/// | parameter | shape |
/// |---|---|
/// | `NAME.weight` | outputs × inputs |
/// | `NAME.bias` | outputs, unless the bias is left out |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linear {
    outputs: usize,
    bias: bool,
}

impl Linear {
    /// The kind, as files spell it.
    pub const KIND: &'static str = "linear";

    /// A layer of so many outputs.
    pub fn new(outputs: usize) -> Self {
        Self { outputs, bias: true }
    }

    /// Leaves the bias out.
    pub fn without_bias(self) -> Self {
        Self { bias: false, ..self }
    }

    pub(super) fn read(settings: &mut Settings) -> Result<Self, ConfigError> {
        let (outputs, bias) = (settings.need("outputs")?, settings.take_as("bias")?.unwrap_or(true));
        Ok(Self { outputs, bias })
    }
}

impl OpSpec for Linear {
    fn kind(&self) -> &str {
        Self::KIND
    }

    fn settings(&self) -> Settings {
        let mut settings = Settings::from([("outputs", Setting::number(self.outputs))]);
        if !self.bias {
            settings.push("bias", Setting::Bool(false));
        }
        settings
    }

    fn plan(&self, node: Node<'_>, builder: &mut Builder<'_>) -> Result<Output, ConfigError> {
        let (name, outputs) = (node.name, self.outputs);
        if outputs == 0 {
            return Err(node.error("outputs is 0, must be at least 1"));
        }
        check_most(&format!("layer {name:?}: outputs"), outputs, MOST_SIDE)?;
        let mut from = builder.value(node.only_input()?)?;
        if builder.dims(from).pixels() > 1 || from == ValueId::INPUT {
            from = flattened(&format!("{name}.flatten"), from, builder)?;
        }
        let input = builder.dims(from);
        builder.check_work(name, input.c, Dims { c: outputs, ..input }, 1)?;
        let weight = builder.parameter(format!("{name}.weight"), vec![outputs, input.c], Role::Weight)?;
        let bias = match self.bias {
            true => builder.parameter(format!("{name}.bias"), vec![outputs], Role::Bias)?,
            false => weight.end..weight.end,
        };
        let linear = Matrix { from, input, weight, bias, unpacked: builder.unpacked(from)? };
        let y = Tensor::planned(linear.output());
        Ok(Output::fused(Current::Linear { linear, y }))
    }
}

/// Plans the op that writes the layer's output as a value.
pub(super) fn write_out(
    name: &str,
    linear: Matrix,
    builder: &mut Builder<'_>,
) -> Result<ValueId, ConfigError> {
    let to = builder.dense(linear.output())?;
    builder.push(LinearOp { name: name.to_string(), linear, to })?;
    Ok(to)
}

/// The layer without its output.
#[derive(Debug)]
pub(crate) struct Matrix {
    pub from: ValueId,
    /// The size of what it reads.
    pub input: Dims,
    pub weight: Range<usize>,
    /// Empty where there is no bias.
    pub bias: Range<usize>,
    /// Spikes written out as floats for the matrix product.
    pub unpacked: Tensor,
}

impl Matrix {
    pub(crate) fn read(&self) -> Read {
        Read::new(self.from)
    }

    /// The size of the output.
    pub(crate) fn output(&self) -> Dims {
        Dims { c: self.weight.len() / self.input.c, ..self.input }
    }

    /// y = x·Wᵀ + b.
    pub(crate) fn forward(&mut self, y: &mut Tensor, run: &mut Execution) {
        let weights = &run.params.weights;
        let x = run.values.get(self.from).floats(&mut self.unpacked);
        linear(x, &weights[self.weight.clone()], &weights[self.bias.clone()], y);
    }

    /// ∂W += ∂yᵀ·x, ∂b += Σ∂y, ∂x = ∂y·W.
    pub(crate) fn backward(&mut self, dy: &Tensor, run: &mut Execution) {
        let x = run.values.get(self.from).floats(&mut self.unpacked);
        let (dw, db) = two(&mut run.params.grads, &self.weight, &self.bias);
        linear_backward_weight(x, dy, dw, db);
        if let Some(mut dx) = run.gradients.take_to_overwrite(self.from) {
            linear_backward_input(dy, &run.params.weights[self.weight.clone()], &mut dx);
            run.gradients.put_overwritten(self.from, dx);
        }
    }

    pub(crate) fn product(&self) -> ProductPart<'_> {
        ProductPart {
            input: self.from,
            dims: self.input,
            config: ConvConfig { out_channels: self.output().c, ..ConvConfig::default() },
            is_linear: true,
            is_delayed: false,
            weight: self.weight.clone(),
            parameters: self.weight.len() + self.bias.len(),
            macs: self.weight.len() as u64,
            norm: None,
            feeds: None,
        }
    }
}

/// A linear layer as an op: its output is a value.
#[derive(Debug)]
pub(crate) struct LinearOp {
    pub name: String,
    pub linear: Matrix,
    pub to: ValueId,
}

impl Op for LinearOp {
    fn name(&self) -> &str {
        &self.name
    }

    fn reads(&self) -> Vec<Read> {
        vec![self.linear.read()]
    }

    fn writes(&self) -> ValueId {
        self.to
    }

    fn has_weights(&self) -> bool {
        true
    }

    fn forward(&mut self, run: &mut Execution) {
        let mut value = run.values.take(self.to);
        if let Value::Dense(y) = &mut value {
            self.linear.forward(y, run);
        }
        run.values.put(self.to, value);
    }

    fn backward(&mut self, run: &mut Execution) {
        let dy = run.gradients.take(self.to);
        self.linear.backward(&dy, run);
        run.gradients.put(self.to, dy);
    }

    fn allocate(&mut self) -> Result<(), NoMemory> {
        self.linear.unpacked.allocate()
    }

    fn bytes(&self) -> OpBytes {
        OpBytes { saved: 0, workspace: self.linear.unpacked.bytes() }
    }

    fn components<'a>(&'a self, _: &'a Values) -> Vec<Component<'a>> {
        vec![Component::Product(self.linear.product())]
    }
}
