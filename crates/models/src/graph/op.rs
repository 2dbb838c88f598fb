//! Ops: a net is a list of them, each with its forward and its backward.

use super::{Execution, Saved, ValueId, Values};
use spikegrad_tensor::conv::ConvConfig;
use spikegrad_tensor::memory::NoMemory;
use spikegrad_tensor::norm::Statistics;
use spikegrad_tensor::{Dims, Workspace};
use std::fmt;
use std::ops::Range;

/// A step of the forward, and the step of the backward that belongs to it.
///
/// | method | when it is called |
/// |---|---|
/// | [`Op::reads`], [`Op::writes`], [`Op::has_weights`], [`Op::bytes`], [`Op::workspace`] | while planning: nothing is allocated yet |
/// | [`Op::allocate`] | once, after planning |
/// | [`Op::forward`] | once a pass, in the order of the graph |
/// | [`Op::backward`] | once a training pass, in the opposite order |
/// | the others | when someone looks into the net |
///
/// Gradients of parameters are added to; gradients of inputs go through [`super::Gradients`], which knows whether
/// another reader of the same value has already written one. After planning neither pass may fail.
///
/// ```
/// use spikegrad_models::graph::{Builder, Execution, Graph, Node, Op, OpSpec, Output, Read, Value, ValueId};
/// use spikegrad_models::ops::{Linear, Neurons};
/// use spikegrad_models::{Net, NetConfig};
///
/// /// y = 2·x: the op before it is planned.
/// #[derive(Debug)]
/// struct Double;
///
/// impl OpSpec for Double {
///     fn kind(&self) -> &str { "double" }
///     fn plan(&self, node: Node<'_>, builder: &mut Builder<'_>) -> Result<Output, spikegrad_bptt::ConfigError> {
///         let from = builder.value(node.only_input()?)?;
///         let to = builder.dense(builder.dims(from))?;
///         builder.push(DoubleOp { name: node.name.to_string(), from, to })
///     }
/// }
///
/// #[derive(Debug)]
/// struct DoubleOp { name: String, from: ValueId, to: ValueId }
///
/// impl Op for DoubleOp {
///     fn name(&self) -> &str { &self.name }
///     fn reads(&self) -> Vec<Read> { vec![Read::new(self.from)] }
///     fn writes(&self) -> ValueId { self.to }
///     fn forward(&mut self, run: &mut Execution) {
///         let Value::Dense(mut y) = run.values.take(self.to) else { return };
///         if let Value::Dense(x) = run.values.get(self.from) {
///             y.floats_mut().iter_mut().zip(x.floats()).for_each(|(y, x)| *y = 2.0 * x);
///         }
///         run.values.put(self.to, Value::Dense(y));
///     }
///     fn backward(&mut self, run: &mut Execution) {
///         let Some(mut dx) = run.gradients.take_to_overwrite(self.from) else { return };
///         let dy = run.gradients.take(self.to);
///         dx.floats_mut().iter_mut().zip(dy.floats()).for_each(|(dx, dy)| *dx = 2.0 * dy);
///         run.gradients.put(self.to, dy);
///         run.gradients.put_overwritten(self.from, dx);
///     }
/// }
///
/// let mut graph = Graph::new();
/// let image = graph.input();
/// let doubled = graph.add("doubled", Double, [image]);
/// let current = graph.add("fc1", Linear::new(4), [doubled]);
/// let spikes = graph.add("spike1", Neurons::default(), [current]);
/// graph.add("fc2", Linear::new(2), [spikes]);
/// let config = NetConfig::of_graph(graph, 1, 1, 3, 2);
/// let mut net = Net::plan(&config, 1, spikegrad_tensor::Level::BASELINE, false)?;
/// net.forward(&[1.0, -2.0, 0.5], false);
/// assert_eq!(net.output_of("doubled").map(|(_, y)| y), Some(vec![2.0, -4.0, 1.0]));
/// # Ok::<(), spikegrad_bptt::ConfigError>(())
/// ```
pub trait Op: fmt::Debug + Send + Sync {
    /// The name, unique in the net.
    fn name(&self) -> &str;

    /// The values that the op reads, and how it makes their gradients.
    fn reads(&self) -> Vec<Read>;

    /// The value that the op writes.
    fn writes(&self) -> ValueId;

    /// Whether the op has parameters, so that its output needs a gradient although no input does.
    fn has_weights(&self) -> bool {
        false
    }

    /// Reads inputs, writes the output.
    fn forward(&mut self, run: &mut Execution);

    /// Reads the output's gradient, adds to the parameters' gradients, writes those of the inputs.
    fn backward(&mut self, run: &mut Execution);

    /// Gets the memory of the op's own buffers.
    ///
    /// # Errors
    /// There is no memory for them.
    fn allocate(&mut self) -> Result<(), NoMemory> {
        Ok(())
    }

    /// Bytes of the op's own buffers, the same before and after they are allocated.
    fn bytes(&self) -> OpBytes {
        OpBytes::default()
    }

    /// Gives the op's share of the workers' buffers; `wants` tells which values need a gradient.
    fn workspace(&self, values: &Values, wants: &[bool]) -> Workspace {
        let _ = (values, wants);
        Workspace::default()
    }

    /// Sizes of what the op carries from one time step to the next, one step's images each: the state that a stream
    /// holds for it ([`Execution::carried`]).
    fn carries(&self) -> &[Dims] {
        &[]
    }

    /// Tensors that are kept between forward and backward as [`crate::Memory`] says.
    fn saved(&mut self) -> Vec<&mut Saved> {
        Vec::new()
    }

    /// Describes the parts of the op, for counts, timings and inspection.
    fn components<'a>(&'a self, values: &'a Values) -> Vec<Component<'a>> {
        let _ = values;
        Vec::new()
    }

    /// Whether the output holds the numbers of the input in another order, so that spikes stay spikes.
    fn only_reorders(&self) -> bool {
        false
    }

    /// Whether all that the last forward computed is finite.
    fn is_finite(&self, run: &Execution) -> bool {
        run.is_finite(self.writes())
    }
}

/// A value that an op reads, and the gradient that it makes for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// The value.
    pub value: ValueId,
    /// The way in which its gradient is made.
    pub gradient: GradientUse,
}

impl Read {
    /// Makes the usual read: its gradient is overwritten while the output's gradient is read.
    pub fn new(value: ValueId) -> Self {
        Self { value, gradient: GradientUse::Beside }
    }
}

/// The way in which an op makes the gradient of an input from that of its output; the planner of buffers reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GradientUse {
    /// Nothing flows back to this input.
    Nothing,
    /// It is the output's gradient as it stands: both may share a buffer ([`super::Gradients::pass`]).
    Alias,
    /// It is written or added to when the output's gradient is used up: it may lie in the same buffer.
    After,
    /// It is overwritten while the output's gradient is still read: it needs a buffer of its own.
    Beside,
}

/// Bytes of an op's own buffers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpBytes {
    /// Kept between forward and backward.
    pub saved: usize,
    /// Used while the op runs.
    pub workspace: usize,
}

/// A part of an op that others count, time or look into.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Component<'a> {
    /// Products of weights and inputs: a convolution or a linear layer.
    Product(ProductPart<'a>),
    /// A batch norm.
    Norm(NormPart<'a>),
    /// A layer of neurons.
    Neurons(NeuronsPart<'a>),
}

/// A convolution, or a linear layer, which is a 1×1 convolution of one pixel.
#[derive(Clone, Debug)]
pub struct ProductPart<'a> {
    /// The value that it reads.
    pub input: ValueId,
    /// The size that it reads it in.
    pub dims: Dims,
    /// Its hyper-parameters.
    pub config: ConvConfig,
    /// Whether it is a linear layer.
    pub is_linear: bool,
    /// Whether it reads the input of the step before: nothing at the first step.
    pub is_delayed: bool,
    /// The place of its weight.
    pub weight: Range<usize>,
    /// Learned numbers, with those of its bias and its norm.
    pub parameters: usize,
    /// Multiply-adds of one image and time step.
    pub macs: u64,
    /// The norm behind it.
    pub norm: Option<NormPart<'a>>,
    /// The neurons that it feeds, where it is their first source.
    pub feeds: Option<&'a str>,
}

/// A batch norm.
#[derive(Clone, Debug)]
pub struct NormPart<'a> {
    /// The size that it norms.
    pub dims: Dims,
    /// The place of γ: a number for each channel, or for each step and channel.
    pub gamma: Range<usize>,
    /// The place of the running mean: a number for each channel, or for each step and channel.
    pub mean: Range<usize>,
    /// The place of the running variance, as that of the mean.
    pub var: Range<usize>,
    /// The place of the factors of the steps, where the norm has some.
    pub factors: Option<Range<usize>>,
    /// A constant factor beside γ.
    pub gain: f32,
    /// The statistics that the last forward used.
    pub statistics: &'a Statistics,
}

/// A layer of neurons.
#[derive(Clone, Debug)]
pub struct NeuronsPart<'a> {
    /// Its name.
    pub name: &'a str,
    /// The value that it writes.
    pub output: ValueId,
    /// The size of its output.
    pub dims: Dims,
    /// Its sources: the size of a dense one, with an affine map, or none where spikes are added as they are.
    pub sources: Vec<Option<Dims>>,
}
