//! The cost of a net, known before it runs: arithmetic on its sizes, in which nothing is allocated.
//!
//! The bytes are those of every buffer that planning gets from the system, and of the workers' buffers as the kernels
//! ask for them; not counted are lists of few spikes, which grow with what fires, and the packing buffers that a matrix
//! product takes and gives back.

use crate::config::check_most;
use crate::graph::{Component, NormPart, Op, Planned, ProductPart, Purpose, Values, build};
use crate::params::Entry;
use crate::{Memory, NetConfig, Params};
use spikegrad_bptt::ConfigError;
use spikegrad_tensor::parallel::{start_threads, threads};
use spikegrad_tensor::{Dims, LANES, Level, Tensor, Workspace, gram};

/// The most images of a batch.
const MOST_IMAGES: usize = 1_000_000_000;

/// Bytes a training step holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    /// Weights and running estimates.
    pub weights: usize,
    /// Weight gradients.
    pub gradients: usize,
    /// Optimiser moments.
    pub optimizer: usize,
    /// Kept between forward and backward.
    pub saved: usize,
    /// Activation gradients, packed weights, sums, the workers' buffers.
    pub workspace: usize,
    /// All of it.
    pub total: usize,
}

/// One row of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerReport {
    /// Name of the weight.
    pub name: String,
    /// Shape of the weight.
    pub shape: String,
    /// Numbers in it, biases and batch norm included.
    pub parameters: usize,
    /// Multiply-adds of one image and time step.
    pub macs: u64,
}

/// The cost of a net, known before it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanReport {
    /// Learned numbers.
    pub parameters: usize,
    /// Multiply-adds of one image and time step.
    pub macs_per_step: u64,
    /// Neurons.
    pub neurons: usize,
    /// The layers that have weights.
    pub layers: Vec<LayerReport>,
    /// Bytes of training.
    pub bytes: Bytes,
    /// Batch norms that have one value a channel to average over in training: they put out β, whatever comes in.
    pub norms_of_one_value: Vec<String>,
}

impl PlanReport {
    /// Plans a net for `batch` images without allocating any of it; `moments` is how many the optimiser keeps,
    /// `lipschitz` whether the loss has the Lipschitz term.
    ///
    /// # Errors
    /// A hyper-parameter or a size makes no sense, or is beyond what can be computed with.
    ///
    /// ```
    /// # use spikegrad_models::{NetConfig, NetKind, PlanReport};
    /// # use spikegrad_tensor::Level;
    /// let net = NetConfig::new(NetKind::ResNet19, 3, 32, 32, 10);
    /// let plan = PlanReport::of(&net, 1_000_000, Level::BASELINE, 2, true)?;
    /// assert!(plan.parameters == 12_630_858 && plan.bytes.total > 1 << 40);
    /// # Ok::<(), spikegrad_bptt::ConfigError>(())
    /// ```
    pub fn of(
        net: &NetConfig,
        batch: usize,
        level: Level,
        moments: usize,
        lipschitz: bool,
    ) -> Result<Self, ConfigError> {
        Plan::new(net, batch, level, Purpose::Training { input_gradient: false })?.report(moments, lipschitz)
    }
}

/// Multiply-adds of a forward below which a net runs on one thread: it takes less time than threads take to agree on
/// who does what, on a machine that is busy.
const FEW_PRODUCTS: u128 = 1 << 25;

/// A net's ops and buffers, all planned, none allocated.
pub(crate) struct Plan<'a> {
    pub config: &'a NetConfig,
    pub batch: usize,
    pub planned: Planned,
    /// Room for logits that are spikes.
    pub unpacked: Tensor,
}

impl<'a> Plan<'a> {
    /// Plans.
    pub(crate) fn new(
        config: &'a NetConfig,
        batch: usize,
        level: Level,
        purpose: Purpose,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        if batch == 0 {
            return Err(ConfigError::out_of_range("batch", 0, "at least 1"));
        }
        check_most("batch", batch, MOST_IMAGES)?;
        start_threads().map_err(ConfigError::new)?;
        let planned = build(config, batch, level, purpose)?;
        let unpacked = match planned.values.is_spikes(planned.output) {
            true => Tensor::planned(planned.values.dims(planned.output)),
            false => Tensor::default(),
        };
        Ok(Self { config, batch, planned, unpacked })
    }

    /// Reports the cost of the net.
    pub(crate) fn report(&self, moments: usize, lipschitz: bool) -> Result<PlanReport, ConfigError> {
        let Planned { ops, params, values, gradients, shared, workspace, .. } = &self.planned;
        let held = Held { config: self.config, batch: self.batch, ops, params, values };
        let fixed = gradients.bytes() + self.unpacked.bytes() as u128;
        held.report(fixed, shared, *workspace, (moments, lipschitz, self.workers()))
    }

    /// Counts the workers that run the net: one for each thread, or a single one for little work.
    pub(crate) fn workers(&self) -> usize {
        let products = self.planned.ops.iter().flat_map(|op| op.components(&self.planned.values));
        let macs: u128 = products
            .map(|component| match component {
                Component::Product(part) => u128::from(part.macs),
                _ => 0,
            })
            .sum();
        let all = macs.saturating_mul(self.config.steps() as u128).saturating_mul(self.batch as u128);
        if all < FEW_PRODUCTS { 1 } else { threads() }
    }
}

/// Channels of the widest value, padded.
pub(crate) fn widest(dims: &[Dims]) -> usize {
    dims.iter().map(|d| d.blocks() * LANES).max().unwrap_or(LANES)
}

/// The Lipschitz term's share of the workers' buffers.
pub(crate) fn lipschitz_workspace(params: &Params) -> Workspace {
    let weights = params.entries.iter().filter(|entry| entry.shape.len() > 1);
    let terms = weights.map(|entry| gram::workspace(entry.shape[0], entry.range.len() / entry.shape[0]));
    terms.fold(Workspace::default(), Workspace::max)
}

/// The parts of a plan or of a net that are counted.
pub(crate) struct Held<'a> {
    pub config: &'a NetConfig,
    pub batch: usize,
    pub ops: &'a [Box<dyn Op>],
    pub params: &'a Params,
    pub values: &'a Values,
}

impl Held<'_> {
    /// Adds everything up, in numbers that no sum leaves.
    pub(crate) fn report(
        &self,
        fixed: u128,
        shared: &[Tensor],
        of_passes: Workspace,
        (moments, lipschitz, workers): (usize, bool, usize),
    ) -> Result<PlanReport, ConfigError> {
        let wide = |bytes: usize| bytes as u128;
        let held = |tensors: &[Tensor]| tensors.iter().map(|tensor| wide(tensor.bytes())).sum::<u128>();
        let (parameters, buffers) = self.params.planned();
        let of_term = if lipschitz { lipschitz_workspace(self.params) } else { Workspace::default() };
        let mut saved = self.values.bytes();
        let mut workspace = fixed + of_passes.max(of_term).bytes(workers) + self.constants();
        match self.config.memory {
            Memory::F32 => saved += held(shared),
            Memory::Bf16 | Memory::Recompute => workspace += held(shared),
        }
        for op in self.ops {
            let bytes = op.bytes();
            saved += wide(bytes.saved);
            workspace += wide(bytes.workspace);
        }
        let weights = 4 * wide(parameters);
        let gradients = 4 * wide(self.params.planned_gradients());
        let parts = [weights + 4 * wide(buffers), gradients, wide(moments) * weights, saved, workspace];
        let total: u128 = parts.iter().sum();
        let narrow = |bytes: u128| {
            usize::try_from(bytes).map_err(|_| {
                ConfigError::new(format!("the net needs {bytes} bytes, more than an address reaches"))
            })
        };
        let [weights, gradients, optimizer, saved, workspace] = parts;
        let bytes = Bytes {
            weights: narrow(weights)?,
            gradients: narrow(gradients)?,
            optimizer: narrow(optimizer)?,
            saved: narrow(saved)?,
            workspace: narrow(workspace)?,
            total: narrow(total)?,
        };
        let neurons = self.components().map(|component| match component {
            Component::Neurons(part) => wide(part.dims.len() / part.dims.n),
            _ => 0,
        });
        let layers = self.rows();
        let macs: u128 = layers.iter().map(|layer| u128::from(layer.macs)).sum();
        let macs = u64::try_from(macs)
            .map_err(|_| ConfigError::new(format!("the net takes {macs} multiply-adds, too many")))?;
        Ok(PlanReport {
            parameters,
            macs_per_step: macs,
            neurons: narrow(neurons.sum())?,
            layers,
            bytes,
            norms_of_one_value: self.norms_of_one_value(),
        })
    }

    fn components(&self) -> impl Iterator<Item = Component<'_>> {
        self.ops.iter().flat_map(|op| op.components(self.values))
    }

    /// The parameter that begins at `start`.
    fn entry(&self, start: usize) -> Option<&Entry> {
        self.params.entries.iter().find(|entry| entry.range.start == start)
    }

    /// The batch norms whose convolution yields a single pixel of a single image.
    fn norms_of_one_value(&self) -> Vec<String> {
        let names = self.components().filter_map(|component| match component {
            Component::Norm(NormPart { dims, gamma, .. }) if dims.n * dims.pixels() == 1 => {
                self.entry(gamma.start)?.name.strip_suffix(".weight").map(str::to_string)
            }
            _ => None,
        });
        names.collect()
    }

    /// A row for each convolution and linear layer.
    fn rows(&self) -> Vec<LayerReport> {
        let row = |part: ProductPart<'_>| {
            let entry = self.entry(part.weight.start);
            let name = entry.map_or(String::new(), |entry| entry.name.clone());
            let sides: Vec<_> = entry.iter().flat_map(|entry| &entry.shape).map(usize::to_string).collect();
            LayerReport { name, shape: sides.join("×"), parameters: part.parameters, macs: part.macs }
        };
        let rows = self.components().filter_map(|component| match component {
            Component::Product(part) => Some(row(part)),
            _ => None,
        });
        rows.collect()
    }

    /// Bytes of the logits' mean, and of the constants that every op reads.
    fn constants(&self) -> u128 {
        let (batch, classes) = (self.batch as u128, self.config.classes as u128);
        4 * (batch * classes + 2 * widest(self.values.all_dims()) as u128)
    }
}
