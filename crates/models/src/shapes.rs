//! What a planned net computes, kernel by kernel: for benchmarks, which time each alone.

use crate::layers::{Current, Layer, LinearCurrent, Value};
use crate::net::Net;
use spikegrad_tensor::Dims;
use spikegrad_tensor::conv::ConvConfig;

/// One kernel's task in a net, sizes for the planned batch with time folded in.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelShape {
    /// Name of the weight or, for neurons, of their unit.
    pub name: String,
    /// What is computed.
    pub kind: KernelKind,
}

/// What a kernel computes.
#[derive(Clone, Debug, PartialEq)]
pub enum KernelKind {
    /// A convolution.
    Conv {
        /// Its input.
        input: Dims,
        /// Its hyper-parameters.
        config: ConvConfig,
        /// Whether the input is spikes.
        spikes: bool,
        /// Whether the backward wants the input's gradient.
        input_gradient: bool,
    },
    /// Batch norm's statistics and the affine map of its backward.
    Norm(Dims),
    /// A fully connected layer.
    Linear {
        /// Its input.
        input: Dims,
        /// Its outputs.
        outputs: usize,
        /// Whether the backward wants the input's gradient.
        input_gradient: bool,
    },
    /// Neurons, unrolled over `steps`.
    Neurons {
        /// Their output.
        dims: Dims,
        /// T.
        steps: usize,
        /// Their sources: the size of a dense one, with an affine map, or none where spikes are added as they are.
        sources: Vec<Option<Dims>>,
    },
}

impl Net {
    /// Lists the kernels in the order of the forward.
    pub fn kernel_shapes(&self) -> Vec<KernelShape> {
        let mut shapes = Vec::new();
        for layer in &self.layers {
            match layer {
                Layer::Unit(unit) => {
                    unit.currents.iter().for_each(|current| self.current_shapes(current, &mut shapes));
                    let sources = unit.currents.iter().map(|current| self.source(current)).collect();
                    let kind = KernelKind::Neurons { dims: unit.dims, steps: self.flow.steps, sources };
                    shapes.push(KernelShape { name: unit.name.clone(), kind });
                }
                Layer::Output(linear) => shapes.push(self.linear_shape(linear)),
                Layer::Pool { .. } | Layer::Flatten { .. } => {}
            }
        }
        shapes
    }

    fn current_shapes(&self, current: &Current, shapes: &mut Vec<KernelShape>) {
        match current {
            Current::Conv(conv) => {
                let (input, config) = (conv.conv.input(), conv.conv.config());
                let spikes = matches!(self.flow.values[conv.from], Value::Spikes(_));
                let input_gradient = self.flow.gradient_of[conv.from].is_some();
                let kind = KernelKind::Conv { input, config, spikes, input_gradient };
                shapes.push(KernelShape { name: self.weight_name(conv.weight.start), kind });
                let kind = KernelKind::Norm(conv.conv.output());
                shapes.push(KernelShape { name: self.weight_name(conv.gamma.start), kind });
            }
            Current::Linear(linear) => shapes.push(self.linear_shape(linear)),
            Current::Identity(_) => {}
        }
    }

    fn linear_shape(&self, linear: &LinearCurrent) -> KernelShape {
        let input = self.flow.value_dims[linear.from];
        let input_gradient = self.flow.gradient_of[linear.from].is_some();
        let kind = KernelKind::Linear { input, outputs: linear.bias.len(), input_gradient };
        KernelShape { name: self.weight_name(linear.weight.start), kind }
    }

    fn source(&self, current: &Current) -> Option<Dims> {
        match current {
            Current::Conv(conv) => Some(conv.conv.output()),
            Current::Linear(linear) => Some(linear.y.dims()),
            Current::Identity(from) => match self.flow.values[*from] {
                Value::Spikes(_) => None,
                _ => Some(self.flow.value_dims[*from]),
            },
        }
    }

    /// The name of the weight that begins at `start`, without its ending.
    pub(crate) fn weight_name(&self, start: usize) -> String {
        let entry = self.flow.params.entries.iter().find(|entry| entry.range.start == start);
        entry.map_or("", |entry| entry.name.strip_suffix(".weight").unwrap_or(&entry.name)).to_string()
    }
}
