//! Input currents of neurons: a convolution with its norm, a linear layer, or a value as it stands.

use super::conv_norm::ConvNorm;
use super::linear::Matrix;
use crate::graph::{Component, Execution, GradientUse, OpBytes, Read, Saved, Value, ValueId, Values};
use spikegrad_bptt::lif::Source;
use spikegrad_tensor::memory::NoMemory;
use spikegrad_tensor::{Dims, LANES, Tensor, Workspace};

/// A summand of the input current, computed by the op that reads it, so that it is never written out as it is summed.
#[derive(Debug)]
pub(crate) enum Current {
    Conv(Box<ConvNorm>),
    Linear { linear: Matrix, y: Tensor },
    Value(ValueId),
}

impl Current {
    /// The size of the current.
    pub(crate) fn dims(&self, values: &Values) -> Dims {
        match self {
            Current::Conv(conv) => conv.conv().output(),
            Current::Linear { linear, .. } => linear.output(),
            Current::Value(from) => values.dims(*from),
        }
    }

    /// The size of a dense source; none where spikes are added as they stand.
    pub(crate) fn source_dims(&self, values: &Values) -> Option<Dims> {
        match self {
            Current::Value(from) if values.is_spikes(*from) => None,
            _ => Some(self.dims(values)),
        }
    }

    pub(crate) fn read(&self) -> Read {
        match self {
            Current::Conv(conv) => conv.read(),
            Current::Linear { linear, .. } => linear.read(),
            Current::Value(from) => Read { value: *from, gradient: GradientUse::Alias },
        }
    }

    /// Whether its norm tells the time steps apart.
    pub(crate) fn is_stepwise(&self) -> bool {
        matches!(self, Current::Conv(conv) if conv.is_stepwise())
    }

    pub(crate) fn has_weights(&self) -> bool {
        !matches!(self, Current::Value(_))
    }

    pub(crate) fn saved(&mut self) -> Option<&mut Saved> {
        match self {
            Current::Conv(conv) => Some(conv.saved()),
            _ => None,
        }
    }

    pub(crate) fn allocate(&mut self) -> Result<(), NoMemory> {
        match self {
            Current::Conv(conv) => conv.allocate(),
            Current::Linear { linear, y } => {
                y.allocate()?;
                linear.unpacked.allocate()
            }
            Current::Value(_) => Ok(()),
        }
    }

    pub(crate) fn bytes(&self) -> OpBytes {
        match self {
            Current::Conv(conv) => conv.bytes(),
            Current::Linear { linear, y } => OpBytes { saved: y.bytes(), workspace: linear.unpacked.bytes() },
            Current::Value(_) => OpBytes::default(),
        }
    }

    pub(crate) fn workspace(&self, values: &Values, wants: &[bool]) -> Workspace {
        match self {
            Current::Conv(conv) => conv.workspace(values, wants),
            _ => Workspace::default(),
        }
    }

    /// Computes what [`Current::source`] shows.
    pub(crate) fn forward(&mut self, run: &mut Execution) {
        match self {
            Current::Conv(conv) => conv.forward(run),
            Current::Linear { linear, y } => linear.forward(y, run),
            Current::Value(_) => {}
        }
    }

    /// The summand as the neurons' kernel reads it.
    pub(crate) fn source<'a>(&'a self, values: &'a Values, ones: &'a [f32]) -> Source<'a> {
        match self {
            Current::Conv(conv) => conv.source(),
            Current::Linear { y, .. } => plain(y, ones),
            Current::Value(from) => match values.get(*from) {
                Value::Spikes(spikes) => Source::Spikes(spikes),
                Value::Dense(dense) => plain(dense, ones),
                Value::Taken => unreachable!("an op does not read what it writes"),
            },
        }
    }

    /// Before the neurons run backward: what [`Current::source`] shows, again.
    pub(crate) fn restore(&mut self, run: &mut Execution) {
        if let Current::Conv(conv) = self {
            conv.restore(run);
        }
    }

    /// While ∂L/∂u is there: the gradients that need it, which `sums` helps with.
    pub(crate) fn backward_beside(&mut self, du: &Tensor, sums: (&[f64], &[f64]), run: &mut Execution) {
        match self {
            Current::Conv(conv) => conv.backward_norm(du, sums, run),
            Current::Linear { linear, .. } => linear.backward(du, run),
            Current::Value(_) => {}
        }
    }

    /// When ∂L/∂u, the gradient of `output`, is of no other use: passes it to a value that was added as it stands.
    pub(crate) fn pass_gradient(&self, output: ValueId, run: &mut Execution) {
        if let Current::Value(from) = self {
            run.gradients.pass(output, *from);
        }
    }

    /// When ∂L/∂u is used up: the other gradients.
    pub(crate) fn backward_after(&mut self, run: &mut Execution) {
        if let Current::Conv(conv) = self {
            conv.backward_conv(run);
        }
    }

    /// After a pass: gives shared buffers back.
    pub(crate) fn give_back(&mut self, run: &mut Execution) {
        if let Some(saved) = self.saved() {
            saved.give_back(run);
        }
    }

    /// Describes the current; `feeds` are the neurons whose first source it is.
    pub(crate) fn components<'a>(&'a self, feeds: Option<&'a str>) -> Vec<Component<'a>> {
        let mut components = match self {
            Current::Conv(conv) => conv.components().collect(),
            Current::Linear { linear, .. } => vec![Component::Product(linear.product())],
            Current::Value(_) => Vec::new(),
        };
        if let Some(Component::Product(product)) = components.first_mut() {
            product.feeds = feeds;
        }
        components
    }

    pub(crate) fn is_finite(&self) -> bool {
        match self {
            Current::Conv(conv) => conv.is_finite(),
            Current::Linear { y, .. } => y.floats().iter().all(|x| x.is_finite()),
            Current::Value(_) => true,
        }
    }
}

/// A current that is a tensor as it stands: the affine map (y − 0)·1 + 0.
pub(super) fn plain<'a>(y: &'a Tensor, ones: &'a [f32]) -> Source<'a> {
    let (scale, zeros) = ones.split_at(ones.len() / 2);
    let lanes = y.dims().blocks() * LANES;
    let (scale, zeros) = (&scale[..lanes], &zeros[..lanes]);
    Source::Affine { y, mean: zeros, scale, shift: zeros }
}
