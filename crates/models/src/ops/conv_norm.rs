//! A convolution with batch norm, or without: y is kept, z = (y − mean)·scale + shift is formed where it is used.
//!
//! | norm | mean, scale, shift | ∂L/∂y |
//! |---|---|---|
//! | batch norm | batch's or running mean, γ·gain/√(var + ε), β | scale·(∂z − mean ∂z − x̂·mean(∂z·x̂)) |
//! | none | 0, 1, the convolution's bias or 0 | ∂z |

use super::params::two;
use super::step_norm::StepSums;
use crate::Params;
use crate::config::Norm;
use crate::graph::{
    Builder, Component, Execution, GradientUse, NormPart, OpBytes, ProductPart, Read, Saved, Value, ValueId,
    Values,
};
use crate::params::Role;
use spikegrad_bptt::ConfigError;
use spikegrad_bptt::lif::Source;
use spikegrad_tensor::conv::Conv;
use spikegrad_tensor::memory::{NoMemory, try_vec};
use spikegrad_tensor::norm::{Affine, MOMENTUM, Statistics, backward_affine};
use spikegrad_tensor::{LANES, Tensor, Workspace};
use std::ops::Range;

/// The places of a batch norm's numbers in the flat vectors.
#[derive(Clone, Debug)]
pub(crate) struct NormRanges {
    /// γ of each channel, or of each step and channel.
    pub gamma: Range<usize>,
    pub beta: Option<Range<usize>>,
    pub mean: Range<usize>,
    pub var: Range<usize>,
    /// α·V_th of tdBN, 1 for BN.
    pub gain: f32,
    pub scheme: Scheme,
}

/// The share of the time steps that a batch norm looks at together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// All of them.
    Whole,
    /// Each by itself.
    EachStep,
    /// All of them; then each is scaled by the number at its place here.
    Scaled(Range<usize>),
}

impl NormRanges {
    /// Plans the numbers of the net's kind of batch norm; `alpha` is tdBN's factor on a summand.
    pub(crate) fn planned(
        name: &str,
        channels: usize,
        alpha: f32,
        builder: &mut Builder<'_>,
    ) -> Result<Self, ConfigError> {
        let (kind, steps) = (builder.config().norm, builder.steps());
        let rows = if matches!(kind, Norm::Bntt | Norm::StepBn) { steps } else { 1 };
        let gammas = if kind == Norm::Bntt { vec![steps, channels] } else { vec![channels] };
        let gamma = builder.parameter(format!("{name}.weight"), gammas, Role::Scale)?;
        let beta = match kind {
            Norm::Bntt => None,
            _ => Some(builder.parameter(format!("{name}.bias"), vec![channels], Role::Shift)?),
        };
        let scheme = match kind {
            Norm::Bn | Norm::TdBn => Scheme::Whole,
            Norm::Bntt | Norm::StepBn => Scheme::EachStep,
            Norm::Tebn => Scheme::Scaled(builder.parameter(format!("{name}.p"), vec![steps], Role::Scale)?),
        };
        Ok(Self {
            gamma,
            beta,
            mean: builder.estimate(format!("{name}.running_mean"), rows * channels, false)?,
            var: builder.estimate(format!("{name}.running_var"), rows * channels, true)?,
            gain: if kind == Norm::TdBn { alpha * builder.config().lif.threshold } else { 1.0 },
            scheme,
        })
    }

    /// Counts the learned numbers.
    fn parameters(&self) -> usize {
        let len = |range: Option<&Range<usize>>| range.map_or(0, ExactSizeIterator::len);
        self.gamma.len() + len(self.beta.as_ref()) + len(self.factors())
    }

    /// The place of the factors of the steps, p\[t\].
    pub(super) fn factors(&self) -> Option<&Range<usize>> {
        match &self.scheme {
            Scheme::Scaled(p) => Some(p),
            Scheme::Whole | Scheme::EachStep => None,
        }
    }
}

/// A convolution and its norm.
#[derive(Debug)]
pub(crate) struct ConvNorm {
    from: ValueId,
    conv: Conv,
    weight: Range<usize>,
    /// The place of the convolution's bias b. Batch norm takes b off again: b is in the running mean, and nowhere else,
    /// and its gradient is zero.
    pub(super) bias: Option<Range<usize>>,
    norm: Option<NormRanges>,
    /// Rows of the affine map: one for all steps, or one for each.
    pub(super) rows: usize,
    /// The convolution's output, then its gradient.
    pub(super) y: Saved,
    pub(super) statistics: Statistics,
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
    pub(super) coefficients: Vec<Affine>,
    /// ∂L/∂z, scaled and summed over time, where one frame serves all steps and each has its own row.
    pub(super) folded: Tensor,
    /// The sums of one channel at every step.
    pub(super) step_sums: Vec<StepSums>,
}

impl ConvNorm {
    /// Plans the buffers of a planned convolution.
    pub(crate) fn planned(
        from: ValueId,
        conv: Conv,
        weight: Range<usize>,
        (bias, norm): (Option<Range<usize>>, Option<NormRanges>),
        (steps, batch): (usize, usize),
    ) -> Self {
        let is_stepwise = norm.as_ref().is_some_and(|norm| norm.scheme != Scheme::Whole);
        let rows = if is_stepwise { steps } else { 1 };
        let folds = rows > 1 && conv.output().n == batch;
        let folded = if folds { Tensor::planned(conv.output()) } else { Tensor::default() };
        let is_cheap = from == ValueId::INPUT || conv.config().kernel == 1;
        Self {
            y: Saved::planned(conv.output(), is_cheap),
            from,
            conv,
            weight,
            bias,
            norm,
            rows,
            folded,
            step_sums: Vec::new(),
            statistics: Statistics::default(),
            scale: Vec::new(),
            shift: Vec::new(),
            coefficients: Vec::new(),
        }
    }

    /// Channels, padded to whole blocks.
    pub(super) fn lanes(&self) -> usize {
        self.conv.output().blocks() * LANES
    }

    /// Rows of statistics: one for all steps, or one for each.
    pub(super) fn statistic_rows(&self) -> usize {
        let is_each = self.norm.as_ref().is_some_and(|norm| norm.scheme == Scheme::EachStep);
        if is_each { self.rows } else { 1 }
    }

    /// Whether the norm tells the time steps apart: then sums of gradients are wanted for each.
    pub(crate) fn is_stepwise(&self) -> bool {
        self.rows > 1
    }

    pub(crate) fn conv(&self) -> &Conv {
        &self.conv
    }

    pub(crate) fn saved(&mut self) -> &mut Saved {
        &mut self.y
    }

    pub(crate) fn read(&self) -> Read {
        Read { value: self.from, gradient: GradientUse::After }
    }

    pub(crate) fn allocate(&mut self) -> Result<(), NoMemory> {
        let blocks = self.conv.output().blocks() * self.rows;
        self.y.allocate()?;
        self.folded.allocate()?;
        self.step_sums = try_vec(if self.is_stepwise() { self.rows } else { 0 }, StepSums::default())?;
        self.statistics = Statistics::try_new(self.statistic_rows() * self.lanes() / LANES)?;
        self.scale = try_vec(blocks * LANES, if self.norm.is_some() { 0.0 } else { 1.0 })?;
        self.shift = try_vec(blocks * LANES, 0.0)?;
        self.coefficients = try_vec(blocks, Affine::default())?;
        Ok(())
    }

    pub(crate) fn bytes(&self) -> OpBytes {
        let lanes = self.lanes() * self.rows;
        OpBytes {
            saved: self.y.bytes().saved + Statistics::BYTES * self.statistic_rows() * self.lanes(),
            workspace: 2 * lanes * size_of::<f32>()
                + lanes / LANES * size_of::<Affine>()
                + self.folded.bytes(),
        }
    }

    pub(crate) fn workspace(&self, values: &Values, wants: &[bool]) -> Workspace {
        let planes = Workspace { planes: self.conv.output().planes(), ..Workspace::default() };
        self.conv.workspace(values.is_spikes(self.from), wants[self.from.index()]).max(planes)
    }

    /// The affine map that the neurons read.
    pub(crate) fn source(&self) -> Source<'_> {
        let (mean, scale, shift) = (&self.statistics.mean, &self.scale, &self.shift);
        Source::Affine { y: &self.y.tensor, mean, scale, shift }
    }

    /// Describes the convolution; `parameters` counts the norm's too.
    pub(crate) fn product(&self) -> ProductPart<'_> {
        let norm = self.norm.as_ref().map(|norm| NormPart {
            dims: self.conv.output(),
            gamma: norm.gamma.clone(),
            mean: norm.mean.clone(),
            var: norm.var.clone(),
            factors: norm.factors().cloned(),
            gain: norm.gain,
            statistics: &self.statistics,
        });
        let bias = self.bias.as_ref().map_or(0, ExactSizeIterator::len);
        ProductPart {
            input: self.from,
            dims: self.conv.input(),
            config: self.conv.config(),
            is_linear: false,
            is_delayed: false,
            weight: self.weight.clone(),
            parameters: self.weight.len() + bias + self.norm.as_ref().map_or(0, NormRanges::parameters),
            macs: self.conv.macs(),
            norm,
            feeds: None,
        }
    }

    pub(crate) fn components(&self) -> impl Iterator<Item = Component<'_>> {
        let product = self.product();
        let norm = product.norm.clone().map(Component::Norm);
        [Some(Component::Product(product)), norm].into_iter().flatten()
    }

    /// Whether y was finite: y itself may be gone; what is not finite in it is not finite in its mean and variance.
    pub(crate) fn is_finite(&self) -> bool {
        let Statistics { mean, var, .. } = &self.statistics;
        mean.iter().chain(var).all(|x| x.is_finite())
    }

    /// y = W ∗ x.
    pub(crate) fn convolve(&mut self, run: &mut Execution) {
        let weight = &run.params.weights[self.weight.clone()];
        let y = &mut self.y.tensor;
        match run.values.get(self.from) {
            Value::Spikes(x) => self.conv.forward_spikes(x, weight, y, &mut run.workers),
            Value::Dense(x) => self.conv.forward_dense(x, weight, y, &mut run.workers),
            Value::Taken => unreachable!("an op does not read what it writes"),
        }
    }

    /// y = W ∗ x, and the statistics of y.
    fn convolve_and_measure(&mut self, run: &mut Execution) {
        if let Value::Spikes(x) = run.values.get(self.from) {
            let weight = &run.params.weights[self.weight.clone()];
            let (y, statistics) = (&mut self.y.tensor, &mut self.statistics);
            self.conv.forward_spikes_measured(x, weight, y, statistics, &mut run.workers);
        } else {
            self.convolve(run);
            self.statistics.measure(&self.y.tensor, run.context.level, &mut run.workers);
        }
    }

    /// Computes y and the affine map.
    pub(crate) fn forward(&mut self, run: &mut Execution) {
        self.y.borrow(run);
        match self.norm.clone() {
            Some(norm) if norm.scheme == Scheme::Whole => self.forward_norm(&norm, run),
            Some(norm) => self.forward_steps(&norm, run),
            None => {
                self.convolve(run);
                self.y.save(run);
                if let Some(bias) = &self.bias {
                    self.shift[..bias.len()].copy_from_slice(&run.params.weights[bias.clone()]);
                }
            }
        }
    }

    fn forward_norm(&mut self, norm: &NormRanges, run: &mut Execution) {
        if run.context.training {
            self.convolve_and_measure(run);
        } else {
            self.convolve(run);
        }
        self.y.save(run);
        let d = self.y.tensor.dims();
        if run.context.training {
            let Params { weights, buffers, .. } = &mut *run.params;
            let frames = if d.n == run.context.batch { run.context.steps } else { 1 };
            let (mean, var) = two(buffers, &norm.mean, &norm.var);
            self.statistics.update_running(frames * d.n * d.pixels(), mean, var);
            if let Some(bias) = &self.bias {
                let bias = &weights[bias.clone()];
                mean.iter_mut().zip(bias).for_each(|(mean, bias)| *mean += MOMENTUM * bias);
            }
        } else {
            let Params { weights, buffers, .. } = &*run.params;
            self.statistics.set(&buffers[norm.mean.clone()], &buffers[norm.var.clone()]);
            if let Some(bias) = &self.bias {
                let bias = &weights[bias.clone()];
                self.statistics.mean.iter_mut().zip(bias).for_each(|(mean, bias)| *mean -= bias);
            }
        }
        let weights = &run.params.weights;
        let scales = self.scale.iter_mut().zip(&weights[norm.gamma.clone()]).zip(&self.statistics.inv_std);
        scales.for_each(|((scale, gamma), inv_std)| *scale = gamma * norm.gain * inv_std);
        if let Some(beta) = &norm.beta {
            self.shift[..d.c].copy_from_slice(&weights[beta.clone()]);
        }
    }

    /// Before the neurons run backward: y again.
    pub(crate) fn restore(&mut self, run: &mut Execution) {
        self.y.borrow(run);
        if self.y.restore(run) {
            self.convolve(run);
        }
    }

    /// From ∂L/∂z and its sums Σ∂z and Σ∂z·(y − mean) to the gradients of γ, β and the bias; y becomes ∂L/∂y.
    ///
    /// The sums are a row for all steps; for norms that tell the steps apart, a row for each.
    pub(crate) fn backward_norm(&mut self, dz: &Tensor, sums: (&[f64], &[f64]), run: &mut Execution) {
        if let Some(norm) = self.norm.clone().filter(|norm| norm.scheme != Scheme::Whole) {
            return self.backward_steps(&norm, dz, sums, run);
        }
        let d = self.y.tensor.dims();
        let count = (d.n * d.pixels()) as f64;
        let (sum, sum_centred) = sums;
        let grads = &mut run.params.grads;
        for c in 0..d.c {
            let affine = &mut self.coefficients[c / LANES];
            affine.a.0[c % LANES] = self.scale[c];
            affine.mean.0[c % LANES] = self.statistics.mean[c];
            let Some(norm) = &self.norm else {
                if let Some(bias) = &self.bias {
                    grads[bias.start + c] += sum[c] as f32;
                }
                continue;
            };
            let (a, inv_std) = (f64::from(self.scale[c]), f64::from(self.statistics.inv_std[c]));
            let sum_hat = inv_std * sum_centred[c];
            if let Some(beta) = &norm.beta {
                grads[beta.start + c] += sum[c] as f32;
            }
            grads[norm.gamma.start + c] += (f64::from(norm.gain) * sum_hat) as f32;
            affine.b.0[c % LANES] = (-a * inv_std * sum_hat / count) as f32;
            affine.c.0[c % LANES] = (-a * sum[c] / count) as f32;
        }
        backward_affine(&self.coefficients, dz, &mut self.y.tensor, run.context.level, &mut run.workers);
    }

    /// From ∂L/∂y, which stands in y, to ∂L/∂W and ∂L/∂(input).
    pub(crate) fn backward_conv(&mut self, run: &mut Execution) {
        if let Some((mut dx, accumulate)) = run.gradients.take_to_add(self.from) {
            let weight = &run.params.weights[self.weight.clone()];
            self.conv.backward_input(&self.y.tensor, weight, &mut dx, accumulate, &mut run.workers);
            run.gradients.put(self.from, dx);
        }
        // Last, for it may use the gradient up.
        let (dy, dw) = (&mut self.y.tensor, &mut run.params.grads[self.weight.clone()]);
        match run.values.get(self.from) {
            Value::Spikes(x) => self.conv.backward_weight_spikes(x, dy, dw, &mut run.workers),
            Value::Dense(x) => self.conv.backward_weight_dense(x, dy, dw, &mut run.workers),
            Value::Taken => unreachable!("an op does not read what it writes"),
        }
    }
}
