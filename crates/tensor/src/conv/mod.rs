//! Convolution: over spikes, as sums of selected rows; over dense values, as register tiles.
//!
//! With image x (n, ci, h, w), weight W (co, ci, k, k), stride s, padding p:
//!
//! ```text
//! y[n,o,qy,qx]   = Σ_{i,ky,kx} W[o,i,ky,kx] · x[n,i,qy·s+ky−p,qx·s+kx−p]          forward
//! dx[n,i,py,px]  = Σ_{o,ky,kx} W[o,i,ky,kx] · g[n,o,(py+p−ky)/s,(px+p−kx)/s]      where s divides
//! dW[o,i,ky,kx] += Σ_{n,qy,qx} g[n,o,qy,qx] · x[n,i,qy·s+ky−p,qx·s+kx−p]
//! ```
//! With groups, an output channel reads the input channels of its group alone; a one-dimensional convolution has kernels of
//! one row, and s and p along columns alone.
//!
//! | file | passes |
//! |---|---|
//! | `lookup` | y and dW from spikes, six multiply-adds in one addition |
//! | `sparse` | y and dW from few spikes, by lists of the active ones |
//! | `delta` | y and dW of spikes that repeat themselves in time |
//! | `dense` | y from dense values, and dx, as register tiles |
//! | `winograd` | dx of 3×3 kernels with stride 1 |
//! | `dense_weight` | dW from dense values |
//! | `depthwise` | all passes where each channel is a group |
//! | `grouped` | all passes of other groups, and of one-dimensional convolutions |
//! | `runs` | the loop over pixels and taps that these two share |

mod config;
mod delta;
mod dense;
mod dense_weight;
mod depthwise;
mod grouped;
mod lookup;
mod runs;
mod sparse;
mod winograd;
mod winograd_form;

pub use config::ConvConfig;
pub use winograd::InputGradient;

use self::config::Residue;
use self::runs::Source;
use self::sparse::Sign;
use self::winograd_form::{F2, F4};
use crate::norm::{PlaneMoments, Statistics, measure_planes};
use crate::parallel::resized;
use crate::tensor::{Block, Dims, LANES, Tensor};
use crate::{Level, ShapeError, Spikes, Workers, Workspace};

/// How a convolution of spikes is computed. The results differ by rounding only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpikeKernel {
    /// Each pass counts the spikes and takes the faster kernel for their share.
    #[default]
    Auto,
    /// Table look-ups: one addition replaces six multiply-adds, however many neurons fire.
    Lookup,
    /// Lists of the active neurons: the kernel adds the weights of these alone. An image row with more inputs than sixteen
    /// bits can number uses [`Self::Lookup`].
    Sparse,
}

/// Whether delta kernels compute the time steps after the first, from the spikes that appeared and vanished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeltaKernels {
    /// Each pass counts the neurons that change, and takes the delta kernel where these are so few that it is faster.
    #[default]
    Auto,
    /// No pass takes the delta kernel.
    Off,
    /// Every pass with more than one time step takes the delta kernel, unless it takes the sparse one.
    On,
}

/// A convolution planned for one input size: its sizes are checked and its kernels are chosen.
///
/// A convolution owns no buffers. The [`Workers`] hold packed weights and sums of gradients, once for all convolutions.
#[doc(alias = "eq-conv")]
#[derive(Clone, Debug)]
pub struct Conv {
    config: ConvConfig,
    input: Dims,
    output: Dims,
    level: Level,
    spike_kernel: SpikeKernel,
    delta: DeltaKernels,
    /// Time steps folded into the images.
    steps: usize,
    input_gradient: InputGradient,
}

impl Conv {
    /// Plans a convolution of `input`.
    ///
    /// # Errors
    /// A size is zero, the padded image is smaller than the kernel, or the groups do not divide the channels.
    pub fn plan(input: Dims, config: ConvConfig, level: Level) -> Result<Self, ShapeError> {
        let ConvConfig { out_channels, kernel, stride, groups, .. } = config;
        if input.is_empty() || out_channels == 0 || kernel == 0 || stride == 0 {
            return Err(ShapeError::EmptyConv { config, input });
        }
        if groups == 0 || !input.c.is_multiple_of(groups) || !out_channels.is_multiple_of(groups) {
            return Err(ShapeError::Groups { groups, inputs: input.c, outputs: out_channels });
        }
        let size = |side: &'static str, length: usize, (kernel, stride, padding): (usize, usize, usize)| {
            let padded = length + 2 * padding;
            match padded.checked_sub(kernel) {
                Some(rest) => Ok(rest / stride + 1),
                None => Err(ShapeError::Kernel { side, kernel, padded }),
            }
        };
        let (sides, strides, paddings) = (config.sides(), config.strides(), config.paddings());
        let rows = size("rows", input.h, (sides.0, strides.0, paddings.0))?;
        let columns = size("columns", input.w, (sides.1, strides.1, paddings.1))?;
        let output = Dims::new(input.n, out_channels, rows, columns);
        Ok(Self {
            config,
            input,
            output,
            level,
            spike_kernel: SpikeKernel::default(),
            delta: DeltaKernels::default(),
            steps: 1,
            input_gradient: InputGradient::fastest(input, &config),
        })
    }

    /// Returns the same convolution with spikes computed by `kernel`.
    pub fn with_spike_kernel(self, kernel: SpikeKernel) -> Self {
        Self { spike_kernel: kernel, ..self }
    }

    /// Returns the same convolution for images of `steps` time steps, time outermost, so that it may use delta kernels.
    ///
    /// # Panics
    /// `steps` is 0, or the number of images is no multiple of it.
    pub fn with_steps(self, steps: usize, delta: DeltaKernels) -> Self {
        assert!(steps > 0 && self.input.n.is_multiple_of(steps));
        Self { steps, delta, ..self }
    }

    /// Returns the same convolution for `n` images of one time step.
    fn of_images(&self, n: usize) -> Self {
        let (input, output) = (Dims { n, ..self.input }, Dims { n, ..self.output });
        Self { input, output, steps: 1, ..self.clone() }
    }

    /// Size of the input.
    pub fn input(&self) -> Dims {
        self.input
    }

    /// Size of the output.
    pub fn output(&self) -> Dims {
        self.output
    }

    /// Hyper-parameters.
    pub fn config(&self) -> ConvConfig {
        self.config
    }

    /// Returns the algorithm that computes the input's gradient.
    pub fn input_gradient(&self) -> InputGradient {
        self.input_gradient
    }

    /// Chooses the algorithm that computes the input's gradient, instead of the fastest. A convolution other than
    /// 3×3 with stride 1 always uses the direct algorithm.
    pub fn set_input_gradient(&mut self, form: InputGradient) {
        let has_form = InputGradient::has_winograd(&self.config);
        self.input_gradient = if has_form { form } else { InputGradient::Direct };
    }

    /// Returns the number of weights, O·I/groups·k·k.
    pub fn weight_len(&self) -> usize {
        self.config.out_channels * (self.input.c / self.config.groups) * self.taps()
    }

    /// Returns the multiply-adds of one image; those with padding count.
    pub fn macs(&self) -> u64 {
        (self.weight_len() * self.output.pixels()) as u64
    }

    /// Returns the workspace of a training step. The lists of the sparse kernels are not counted: they grow with the spikes.
    pub fn workspace(&self, spikes: bool, input_gradient: bool) -> Workspace {
        match self.form() {
            Form::Depthwise => return depthwise::workspace(self),
            Form::Grouped => return grouped::workspace(self),
            Form::Full => {}
        }
        let workspace = match spikes {
            true => lookup::workspace(self),
            false => dense::workspace(self, true).max(dense_weight::workspace(self)),
        };
        match self.input_gradient {
            _ if !input_gradient => workspace,
            InputGradient::Direct => workspace.max(dense::workspace(self, false)),
            InputGradient::Winograd2 => workspace.max(winograd::workspace(F2, self)),
            InputGradient::Winograd4 => workspace.max(winograd::workspace(F4, self)),
        }
    }

    /// Convolves spikes: y = W ∗ o.
    ///
    /// | argument | shape | access |
    /// |---|---|---|
    /// | `spikes` | the planned input | read |
    /// | `weight` | O×I×k×k | read |
    /// | `y` | the planned output | overwritten |
    ///
    /// Numerics: only additions, in an order that the shape and the share of active neurons decide.
    ///
    /// # Panics
    /// A size differs from the planned one.
    pub fn forward_spikes(&self, spikes: &Spikes, weight: &[f32], y: &mut Tensor, workers: &mut Workers) {
        self.convolve_spikes(spikes, weight, y, None, workers);
    }

    /// Convolves spikes, y = W ∗ o, and measures mean and variance of y's channels for batch norm: in the same
    /// pass over memory where spikes are looked up. Arguments and numerics as [`Conv::forward_spikes`] and
    /// [`Statistics::measure`], to the bit.
    ///
    /// # Panics
    /// A size differs from the planned one.
    pub fn forward_spikes_measured(
        &self,
        spikes: &Spikes,
        weight: &[f32],
        y: &mut Tensor,
        statistics: &mut Statistics,
        workers: &mut Workers,
    ) {
        let mut borrowed = workers.moments();
        let (moments, workers) = borrowed.split();
        let planes = resized(moments, self.output.planes());
        self.convolve_spikes(spikes, weight, y, Some(planes), workers);
        statistics.gather(self.output, planes, workers);
    }

    fn convolve_spikes(
        &self,
        spikes: &Spikes,
        weight: &[f32],
        y: &mut Tensor,
        moments: Option<&mut [PlaneMoments]>,
        workers: &mut Workers,
    ) {
        assert_eq!((spikes.dims(), y.dims(), weight.len()), (self.input, self.output, self.weight_len()));
        let words = spikes.words();
        let source = Source::Spikes(spikes);
        match self.form() {
            Form::Depthwise => depthwise::forward(self, source, weight, y, workers),
            Form::Grouped => grouped::forward(self, source, weight, y, workers),
            Form::Full => match self.algorithm(words) {
                Algorithm::Lookup => {
                    return lookup::forward(self, words, weight, y.blocks_mut(), moments, workers);
                }
                Algorithm::Sparse => sparse::forward(self, words, weight, y.blocks_mut(), workers),
                Algorithm::Delta => delta::forward(self, words, weight, y.blocks_mut(), workers),
            },
        }
        if let Some(moments) = moments {
            measure_planes(y, moments, self.level, workers);
        }
    }

    /// Convolves dense values: y = W ∗ x. Arguments as [`Conv::forward_spikes`].
    ///
    /// Numerics: fused multiply-adds where the level has them, in the order (channel block, tap, channel).
    ///
    /// # Panics
    /// A size differs from the planned one.
    pub fn forward_dense(&self, x: &Tensor, weight: &[f32], y: &mut Tensor, workers: &mut Workers) {
        assert_eq!((x.dims(), y.dims(), weight.len()), (self.input, self.output, self.weight_len()));
        match self.form() {
            Form::Depthwise => depthwise::forward(self, Source::Dense(x), weight, y, workers),
            Form::Grouped => grouped::forward(self, Source::Dense(x), weight, y, workers),
            Form::Full => dense::forward(self, x, weight, y, workers),
        }
    }

    /// Propagates the gradient to the input: dx = Wᵀ ∗ g, or dx += … when `accumulate`.
    ///
    /// | argument | shape | access |
    /// |---|---|---|
    /// | `g` | the planned output | read |
    /// | `weight` | O×I×k×k | read |
    /// | `dx` | the planned input | overwritten, or added to |
    ///
    /// Numerics: as [`Conv::input_gradient`] says.
    ///
    /// # Panics
    /// A size differs from the planned one.
    pub fn backward_input(
        &self,
        g: &Tensor,
        weight: &[f32],
        dx: &mut Tensor,
        accumulate: bool,
        workers: &mut Workers,
    ) {
        assert_eq!((g.dims(), dx.dims(), weight.len()), (self.output, self.input, self.weight_len()));
        match self.form() {
            Form::Depthwise => return depthwise::backward_input(self, g, weight, dx, accumulate, workers),
            Form::Grouped => return grouped::backward_input(self, g, weight, dx, accumulate, workers),
            Form::Full => {}
        }
        match self.input_gradient {
            InputGradient::Direct => dense::backward_input(self, g, weight, dx, accumulate, workers),
            InputGradient::Winograd2 => {
                winograd::backward_input(F2, self, g, weight, dx, accumulate, workers)
            }
            InputGradient::Winograd4 => {
                winograd::backward_input(F4, self, g, weight, dx, accumulate, workers)
            }
        }
    }

    /// Adds the weight gradient of a convolution of spikes: dW += g ⋆ o.
    ///
    /// | argument | shape | access |
    /// |---|---|---|
    /// | `spikes` | the planned input | read |
    /// | `g` | the planned output | read; delta kernels overwrite it with sums over time |
    /// | `dw` | O×I×k×k | added to |
    ///
    /// Numerics: only additions, in an order that the shape and the share of active neurons decide.
    ///
    /// # Panics
    /// A size differs from the planned one.
    pub fn backward_weight_spikes(
        &self,
        spikes: &Spikes,
        g: &mut Tensor,
        dw: &mut [f32],
        workers: &mut Workers,
    ) {
        assert_eq!((spikes.dims(), g.dims(), dw.len()), (self.input, self.output, self.weight_len()));
        match self.form() {
            Form::Depthwise => {
                return depthwise::backward_weight(self, Source::Spikes(spikes), g, dw, workers);
            }
            Form::Grouped => return grouped::backward_weight(self, Source::Spikes(spikes), g, dw, workers),
            Form::Full => {}
        }
        let (words, g) = (spikes.words(), g.blocks_mut());
        match self.algorithm(words) {
            Algorithm::Delta => delta::backward_weight(self, words, g, dw, workers),
            Algorithm::Sparse => sparse::backward(self, words, g, Sign::Add, dw, workers),
            Algorithm::Lookup => lookup::backward(self, words, g, dw, workers),
        }
    }

    /// Adds the weight gradient of a convolution of dense values: dW += g ⋆ x. The arguments are those of
    /// [`Conv::backward_weight_spikes`], but `g` is only read.
    ///
    /// # Panics
    /// A size differs from the planned one.
    pub fn backward_weight_dense(&self, x: &Tensor, g: &Tensor, dw: &mut [f32], workers: &mut Workers) {
        assert_eq!((x.dims(), g.dims(), dw.len()), (self.input, self.output, self.weight_len()));
        match self.form() {
            Form::Depthwise => depthwise::backward_weight(self, Source::Dense(x), g, dw, workers),
            Form::Grouped => grouped::backward_weight(self, Source::Dense(x), g, dw, workers),
            Form::Full => dense_weight::backward(self, x, g, dw, workers),
        }
    }

    fn taps(&self) -> usize {
        self.config.taps()
    }

    /// Returns the family of kernels that computes it.
    fn form(&self) -> Form {
        let ConvConfig { out_channels, groups, is_1d, .. } = self.config;
        match (groups, is_1d) {
            (1, false) => Form::Full,
            _ if groups == self.input.c && groups == out_channels => Form::Depthwise,
            _ => Form::Grouped,
        }
    }

    /// Returns the number of sources, the pairs of input block and tap.
    fn sources(&self) -> usize {
        self.input.blocks() * self.taps()
    }

    /// Chooses the algorithm of a pass over these spikes.
    fn algorithm(&self, words: &[u16]) -> Algorithm {
        let fits = sparse::fits(self);
        let few = |count: u64, neurons: usize| (count as f64) < SPARSE_BELOW * neurons as f64;
        let neurons = self.input.len();
        let spikes = || words.iter().map(|word| u64::from(word.count_ones())).sum();
        match self.spike_kernel {
            SpikeKernel::Lookup => return Algorithm::Lookup,
            SpikeKernel::Sparse if fits => return Algorithm::Sparse,
            SpikeKernel::Auto if fits && few(spikes(), neurons) => return Algorithm::Sparse,
            SpikeKernel::Sparse | SpikeKernel::Auto => {}
        }
        let repeats = match self.delta {
            _ if self.steps == 1 || !fits => false,
            DeltaKernels::Off => false,
            DeltaKernels::On => true,
            DeltaKernels::Auto => few(delta::count(self, words), neurons - neurons / self.steps),
        };
        if repeats { Algorithm::Delta } else { Algorithm::Lookup }
    }
}

/// The family of kernels of a convolution.
#[derive(Clone, Copy)]
enum Form {
    /// Square kernels over all channels.
    Full,
    /// A kernel for each channel.
    Depthwise,
    /// Groups of channels, or kernels of one row.
    Grouped,
}

/// The algorithm of a pass over spikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Lookup,
    Sparse,
    Delta,
}

/// Below this share of active neurons sparse kernels are faster than look-ups.
const SPARSE_BELOW: f64 = 0.06;

/// The channels that lie in the lanes of packed weights.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LanesOf {
    Outputs,
    Inputs,
}

/// Packs O×I×k×k weights as [block of lanes][block of the other channels][tap][sixteen other channels][sixteen lanes].
///
/// The lanes are output or input channels, as `lanes_of` says; the rest of a block is filled with zeros.
fn pack_dense<'a>(
    conv: &Conv,
    weight: &[f32],
    lanes_of: LanesOf,
    packed: &'a mut Vec<Block>,
    workers: &mut Workers,
) -> &'a [Block] {
    let (ci, co, taps) = (conv.input.c, conv.config.out_channels, conv.taps());
    let (lanes, others) = if lanes_of == LanesOf::Outputs { (co, ci) } else { (ci, co) };
    let other_blocks = others.div_ceil(LANES);
    let packed = resized(packed, lanes.div_ceil(LANES) * other_blocks * taps * LANES);
    let tasks = packed.chunks_mut(taps * LANES).enumerate();
    workers.run(tasks, |(task, chunk), _| {
        let (lane_block, other_block) = (task / other_blocks, task % other_blocks);
        for (tap, rows) in chunk.chunks_mut(LANES).enumerate() {
            for (k, row) in rows.iter_mut().enumerate() {
                let other = other_block * LANES + k;
                for (l, x) in row.0.iter_mut().enumerate() {
                    let lane = lane_block * LANES + l;
                    let (o, i) = if lanes_of == LanesOf::Outputs { (lane, other) } else { (other, lane) };
                    *x = if lane < lanes && other < others { weight[(o * ci + i) * taps + tap] } else { 0.0 };
                }
            }
        }
    });
    packed
}
