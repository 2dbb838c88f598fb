//! The kernels of a planned net, for benchmarks, which time each alone.

use crate::graph::{Component, ProductPart};
use crate::net::Net;
use spikegrad_tensor::Dims;
use spikegrad_tensor::conv::ConvConfig;

/// One kernel's task in a net, sizes for the planned batch with time folded in.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelShape {
    /// Name of the weight or, for neurons, of their unit.
    pub name: String,
    /// The kernel's task.
    pub kind: KernelKind,
}

/// The task of a kernel.
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
        let steps = self.run.context.steps;
        let shape = |component: Component<'_>| {
            let (name, kind) = match component {
                Component::Product(part) => (self.weight_name(part.weight.start), self.product_kind(&part)),
                Component::Norm(part) => (self.weight_name(part.gamma.start), KernelKind::Norm(part.dims)),
                Component::Neurons(part) => {
                    let (dims, sources) = (part.dims, part.sources);
                    (part.name.to_string(), KernelKind::Neurons { dims, steps, sources })
                }
            };
            KernelShape { name, kind }
        };
        self.components().map(shape).collect()
    }

    fn product_kind(&self, part: &ProductPart<'_>) -> KernelKind {
        let (input, config) = (part.dims, part.config);
        let input_gradient = self.run.gradients.wants(part.input);
        match part.is_linear {
            true => KernelKind::Linear { input, outputs: config.out_channels, input_gradient },
            false => {
                let spikes = self.run.values.is_spikes(part.input);
                KernelKind::Conv { input, config, spikes, input_gradient }
            }
        }
    }

    /// The name of the weight that begins at `start`, without its ending.
    pub(crate) fn weight_name(&self, start: usize) -> String {
        let entry = self.run.params.entries.iter().find(|entry| entry.range.start == start);
        entry.map_or("", |entry| entry.name.strip_suffix(".weight").unwrap_or(&entry.name)).to_string()
    }
}
