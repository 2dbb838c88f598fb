//! The layers a net is a list of: forward and, beside it, backward.

use crate::memory::Keeping;
use crate::net::Flow;
use spikegrad_bptt::lif::{Output, PlaneSums, Source, Unit};
use spikegrad_tensor::conv::Conv;
use spikegrad_tensor::linear::{linear, linear_backward_input, linear_backward_weight};
use spikegrad_tensor::memory::{NoMemory, try_vec};
use spikegrad_tensor::norm::{Affine, MOMENTUM, Statistics, backward_affine};
use spikegrad_tensor::pool::{AvgPool, flatten, flatten_backward};
use spikegrad_tensor::{Dims, HalfTensor, LANES, Spikes, Tensor, Workers};
use std::ops::Range;

/// An activation that layers hand on.
#[derive(Debug, Default)]
pub(crate) enum Value {
    /// Taken out while a layer writes it.
    #[default]
    Taken,
    /// Bits.
    Spikes(Spikes),
    /// Floats.
    Dense(Tensor),
}

impl Value {
    /// Gets the memory of a planned value.
    pub(crate) fn allocate(&mut self) -> Result<(), NoMemory> {
        match self {
            Value::Taken => Ok(()),
            Value::Spikes(spikes) => spikes.allocate(),
            Value::Dense(dense) => dense.allocate(),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Value::Taken => 0,
            Value::Spikes(spikes) => spikes.bytes(),
            Value::Dense(dense) => dense.bytes(),
        }
    }
}

/// A convolution with batch norm: y is kept, z = (y − mean)·scale + β is formed where it is used.
#[derive(Debug)]
pub(crate) struct ConvNorm {
    pub from: usize,
    pub conv: Conv,
    pub weight: Range<usize>,
    /// The convolution's bias b. Batch norm takes it off again: b is in the running mean, and nowhere else, and
    /// its gradient is zero.
    pub bias: Option<Range<usize>>,
    pub gamma: Range<usize>,
    pub beta: Range<usize>,
    pub mean: Range<usize>,
    pub var: Range<usize>,
    /// α·V_th of tdBN, 1 for BN.
    pub gain: f32,
    /// The convolution's output, then its gradient; the layer's own, or lent while the layer runs.
    pub y: Tensor,
    pub keeping: Keeping,
    /// y rounded, where that is what is kept.
    pub half: HalfTensor,
    pub statistics: Statistics,
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
    pub coefficients: Vec<Affine>,
}

impl ConvNorm {
    /// Gets the memory of what is planned.
    fn allocate(&mut self) -> Result<(), NoMemory> {
        let blocks = self.conv.output().blocks();
        self.y.allocate()?;
        self.half.allocate()?;
        self.statistics = Statistics::try_new(blocks)?;
        self.scale = try_vec(blocks * LANES, 0.0)?;
        self.shift = try_vec(blocks * LANES, 0.0)?;
        self.coefficients = try_vec(blocks, Affine::default())?;
        Ok(())
    }

    /// Bytes kept between forward and backward, and bytes of workspace.
    fn bytes(&self) -> (usize, usize) {
        let lanes = self.conv.output().blocks() * LANES;
        let kept = self.y.bytes() + self.half.bytes() + Statistics::BYTES * lanes;
        (kept, 2 * lanes * size_of::<f32>() + lanes / LANES * size_of::<Affine>())
    }

    /// y = W ∗ x.
    pub(crate) fn convolve(&mut self, flow: &mut Flow) {
        let weight = &flow.params.weights[self.weight.clone()];
        match &flow.values[self.from] {
            Value::Spikes(x) => self.conv.forward_spikes(x, weight, &mut self.y, &mut flow.workers),
            Value::Dense(x) => self.conv.forward_dense(x, weight, &mut self.y, &mut flow.workers),
            Value::Taken => unreachable!("a layer does not read what it writes"),
        }
    }

    /// y = W ∗ x, and the statistics of y.
    fn convolve_and_measure(&mut self, flow: &mut Flow) {
        if let Value::Spikes(x) = &flow.values[self.from] {
            let weight = &flow.params.weights[self.weight.clone()];
            let (y, statistics) = (&mut self.y, &mut self.statistics);
            self.conv.forward_spikes_measured(x, weight, y, statistics, &mut flow.workers);
        } else {
            self.convolve(flow);
            self.statistics.measure(&self.y, flow.level, &mut flow.workers);
        }
    }

    fn forward(&mut self, flow: &mut Flow) {
        if flow.training {
            self.convolve_and_measure(flow);
        } else {
            self.convolve(flow);
        }
        self.save(flow);
        let d = self.y.dims();
        let buffers = &mut flow.params.buffers;
        if flow.training {
            let frames = if d.n == flow.batch { flow.steps } else { 1 };
            let (mean, var) = two(buffers, &self.mean, &self.var);
            self.statistics.update_running(frames * d.n * d.pixels(), mean, var);
            if let Some(bias) = &self.bias {
                let bias = &flow.params.weights[bias.clone()];
                mean.iter_mut().zip(bias).for_each(|(mean, bias)| *mean += MOMENTUM * bias);
            }
        } else {
            self.statistics.set(&buffers[self.mean.clone()], &buffers[self.var.clone()]);
            if let Some(bias) = &self.bias {
                let bias = &flow.params.weights[bias.clone()];
                self.statistics.mean.iter_mut().zip(bias).for_each(|(mean, bias)| *mean -= bias);
            }
        }
        let (gamma, beta) =
            (&flow.params.weights[self.gamma.clone()], &flow.params.weights[self.beta.clone()]);
        let scales = self.scale.iter_mut().zip(gamma).zip(&self.statistics.inv_std);
        scales.for_each(|((scale, gamma), inv_std)| *scale = gamma * self.gain * inv_std);
        self.shift[..d.c].copy_from_slice(beta);
    }

    /// From ∂L/∂z and its sums Σ∂z and Σ∂z·(y − mean) to ∂L/∂γ and ∂L/∂β; y becomes ∂L/∂y.
    fn backward_norm(&mut self, dz: &Tensor, sums: (&[f64], &[f64]), flow: &mut Flow) {
        let d = self.y.dims();
        let count = (d.n * d.pixels()) as f64;
        let (sum, sum_centred) = sums;
        for c in 0..d.c {
            let (a, inv_std) = (f64::from(self.scale[c]), f64::from(self.statistics.inv_std[c]));
            let sum_hat = inv_std * sum_centred[c];
            flow.params.grads[self.beta.start + c] += sum[c] as f32;
            flow.params.grads[self.gamma.start + c] += (f64::from(self.gain) * sum_hat) as f32;
            let affine = &mut self.coefficients[c / LANES];
            affine.a.0[c % LANES] = self.scale[c];
            affine.mean.0[c % LANES] = self.statistics.mean[c];
            affine.b.0[c % LANES] = (-a * inv_std * sum_hat / count) as f32;
            affine.c.0[c % LANES] = (-a * sum[c] / count) as f32;
        }
        backward_affine(&self.coefficients, dz, &mut self.y, flow.level, &mut flow.workers);
    }

    /// From ∂L/∂y, which stands in y, to ∂L/∂W and ∂L/∂(input).
    fn backward_conv(&mut self, flow: &mut Flow) {
        if let Some((mut dx, accumulate)) = flow.take_gradient(self.from) {
            let weight = &flow.params.weights[self.weight.clone()];
            self.conv.backward_input(&self.y, weight, &mut dx, accumulate, &mut flow.workers);
            flow.put_gradient(self.from, dx);
        }
        // Last, for it may use the gradient up.
        let (dy, dw) = (&mut self.y, &mut flow.params.grads[self.weight.clone()]);
        match &flow.values[self.from] {
            Value::Spikes(x) => self.conv.backward_weight_spikes(x, dy, dw, &mut flow.workers),
            Value::Dense(x) => self.conv.backward_weight_dense(x, dy, dw, &mut flow.workers),
            Value::Taken => unreachable!("a layer does not read what it writes"),
        }
    }
}

/// A linear layer whose output is an input current.
#[derive(Debug)]
pub(crate) struct LinearCurrent {
    pub from: usize,
    pub weight: Range<usize>,
    pub bias: Range<usize>,
    pub y: Tensor,
    /// Holds spikes as floats for the matrix product.
    pub unpacked: Tensor,
}

impl LinearCurrent {
    /// Gets the memory of what is planned.
    fn allocate(&mut self) -> Result<(), NoMemory> {
        self.y.allocate()?;
        self.unpacked.allocate()
    }

    pub(crate) fn forward(&mut self, flow: &mut Flow) {
        let weights = &flow.params.weights;
        let x = dense(&flow.values[self.from], &mut self.unpacked);
        linear(x, &weights[self.weight.clone()], &weights[self.bias.clone()], &mut self.y);
    }

    pub(crate) fn backward(&mut self, dy: &Tensor, flow: &mut Flow) {
        let x = dense(&flow.values[self.from], &mut self.unpacked);
        let (dw, db) = two(&mut flow.params.grads, &self.weight, &self.bias);
        linear_backward_weight(x, dy, dw, db);
        if let Some((mut dx, accumulate)) = flow.take_gradient(self.from) {
            assert!(!accumulate, "a linear layer is its input's only reader");
            linear_backward_input(dy, &flow.params.weights[self.weight.clone()], &mut dx);
            flow.put_gradient(self.from, dx);
        }
    }
}

/// A summand of a unit's current.
#[derive(Debug)]
pub(crate) enum Current {
    Conv(Box<ConvNorm>),
    Linear(LinearCurrent),
    Identity(usize),
}

/// Sources, a neuron for each element of their sum, its outputs.
#[derive(Debug)]
pub(crate) struct UnitLayer {
    pub name: String,
    pub currents: Vec<Current>,
    pub out: usize,
    pub dims: Dims,
    /// Images of a batch.
    pub batch: usize,
    pub sums: Vec<PlaneSums>,
    /// Sums over the batch, for each channel: Σ∂u, Σ∂u·(y − mean) of each source.
    pub totals: [Vec<f64>; 3],
}

impl UnitLayer {
    /// Gets the memory of what is planned.
    fn allocate(&mut self) -> Result<(), NoMemory> {
        let blocks = self.dims.blocks();
        self.sums = try_vec(self.batch * blocks, PlaneSums::default())?;
        for total in &mut self.totals {
            *total = try_vec(blocks * LANES, 0.0)?;
        }
        self.currents.iter_mut().try_for_each(|current| match current {
            Current::Conv(conv) => conv.allocate(),
            Current::Linear(linear) => linear.allocate(),
            Current::Identity(_) => Ok(()),
        })
    }

    /// Bytes of the sums.
    fn sums_bytes(&self) -> usize {
        let blocks = self.dims.blocks();
        self.batch * blocks * size_of::<PlaneSums>() + 3 * blocks * LANES * size_of::<f64>()
    }

    fn forward(&mut self, flow: &mut Flow) {
        for current in &mut self.currents {
            match current {
                Current::Conv(conv) => {
                    conv.borrow_y(flow);
                    conv.forward(flow);
                }
                Current::Linear(linear) => linear.forward(flow),
                Current::Identity(_) => {}
            }
        }
        let mut out = std::mem::take(&mut flow.values[self.out]);
        let mut membranes = flow.membranes.get_mut(self.out).map(std::mem::take);
        let (unit, sources, workers) = unit(&self.currents, self.dims, flow);
        let output = match &mut out {
            Value::Spikes(spikes) => Output::Spikes(spikes),
            Value::Dense(dense) => Output::Dense(dense),
            Value::Taken => unreachable!("one layer writes a value"),
        };
        unit.forward_from(membranes.as_mut(), &sources[..self.currents.len()], output, workers);
        flow.values[self.out] = out;
        if let Some(membranes) = membranes {
            flow.membranes[self.out] = membranes;
        }
        self.return_buffers(flow);
    }

    fn backward(&mut self, flow: &mut Flow) {
        for current in &mut self.currents {
            if let Current::Conv(conv) = current {
                conv.borrow_y(flow);
                conv.restore(flow);
            }
        }
        let (mut du, written) = flow.take_gradient(self.out).expect("a unit's output has a gradient");
        assert!(written, "something reads {}", self.name);
        let recorder = flow.recorder.clone();
        let listener = recorder.as_deref().map(|recorder| (recorder, self.out));
        let (unit, sources, workers) = unit(&self.currents, self.dims, flow);
        let sources = &sources[..self.currents.len()];
        unit.backward_recorded(sources, &mut du, &mut self.sums, workers, listener);
        if unit.is_static(sources) {
            du.resize(Dims { n: self.dims.n / unit.steps, ..self.dims });
        }
        self.total();
        for (k, current) in self.currents.iter_mut().enumerate() {
            match current {
                Current::Conv(conv) => {
                    conv.backward_norm(&du, (&self.totals[0], &self.totals[1 + k]), flow);
                }
                Current::Linear(linear) => linear.backward(&du, flow),
                Current::Identity(_) => {}
            }
        }
        // From here on ∂L/∂u is of use to spikes added as they are alone: its buffer is theirs, or free.
        flow.put_gradient(self.out, du);
        for current in &mut self.currents {
            if let Current::Identity(from) = *current {
                flow.hand_on(self.out, from);
            }
        }
        for current in &mut self.currents {
            if let Current::Conv(conv) = current {
                conv.backward_conv(flow);
            }
        }
        self.return_buffers(flow);
    }

    fn return_buffers(&mut self, flow: &mut Flow) {
        for current in &mut self.currents {
            if let Current::Conv(conv) = current {
                conv.return_y(flow);
            }
        }
    }

    /// Adds the planes' sums up, image by image.
    fn total(&mut self) {
        let blocks = self.dims.blocks();
        for (k, total) in self.totals.iter_mut().enumerate() {
            total.fill(0.0);
            for (plane, sums) in self.sums.iter().enumerate() {
                let total = &mut total[plane % blocks * LANES..][..LANES];
                total.iter_mut().zip(&sums[k]).for_each(|(total, sum)| *total += sum);
            }
        }
    }
}

/// A unit ready to run, its sources and who runs it.
fn unit<'a>(
    currents: &'a [Current],
    dims: Dims,
    flow: &'a mut Flow,
) -> (Unit<'a>, [Source<'a>; 2], &'a mut Workers) {
    let Flow { values, ones, lif, fire, steps, level, workers, .. } = flow;
    let unit = Unit { lif, fire: *fire, dims, steps: *steps, level: *level };
    (unit, sources(currents, values, ones), workers)
}

/// The sources of a unit, which has one or two; a single one stands twice.
fn sources<'a>(currents: &'a [Current], values: &'a [Value], ones: &'a [f32]) -> [Source<'a>; 2] {
    [0, currents.len() - 1].map(|k| source(&currents[k], values, ones))
}

fn source<'a>(current: &'a Current, values: &'a [Value], ones: &'a [f32]) -> Source<'a> {
    match current {
        Current::Conv(conv) => {
            let (mean, scale, shift) = (&conv.statistics.mean, &conv.scale, &conv.shift);
            Source::Affine { y: &conv.y, mean, scale, shift }
        }
        Current::Linear(linear) => plain(&linear.y, ones),
        Current::Identity(from) => match &values[*from] {
            Value::Spikes(spikes) => Source::Spikes(spikes),
            Value::Dense(dense) => plain(dense, ones),
            Value::Taken => unreachable!("a layer does not read what it writes"),
        },
    }
}

/// A current that is a tensor as it stands: the affine map (y − 0)·1 + 0.
fn plain<'a>(y: &'a Tensor, ones: &'a [f32]) -> Source<'a> {
    let (scale, zeros) = ones.split_at(ones.len() / 2);
    Source::Affine { y, mean: zeros, scale, shift: zeros }
}

/// A value as floats: itself, or spikes written out into `unpacked`.
fn dense<'a>(value: &'a Value, unpacked: &'a mut Tensor) -> &'a Tensor {
    match value {
        Value::Dense(dense) => dense,
        Value::Spikes(spikes) => {
            spikes.unpack(unpacked);
            unpacked
        }
        Value::Taken => unreachable!("a layer does not read what it writes"),
    }
}

/// Two ranges of a slice, the first before the second.
fn two<'a>(data: &'a mut [f32], a: &Range<usize>, b: &Range<usize>) -> (&'a mut [f32], &'a mut [f32]) {
    let (head, tail) = data.split_at_mut(b.start);
    (&mut head[a.clone()], &mut tail[..b.len()])
}

/// A step of the forward list.
#[derive(Debug)]
pub(crate) enum Layer {
    Unit(UnitLayer),
    Pool { pool: AvgPool, from: usize, to: usize, unpacked: Tensor },
    Flatten { from: usize, to: usize, unpacked: Tensor },
    Output(LinearCurrent),
}

impl Layer {
    pub(crate) fn forward(&mut self, flow: &mut Flow) {
        match self {
            Layer::Unit(unit) => unit.forward(flow),
            Layer::Pool { pool, from, to, unpacked } => {
                let Value::Dense(mut y) = std::mem::take(&mut flow.values[*to]) else { return };
                pool.forward(dense(&flow.values[*from], unpacked), &mut y, &mut flow.workers);
                flow.values[*to] = Value::Dense(y);
            }
            Layer::Flatten { from, to, unpacked } => {
                let Value::Dense(mut y) = std::mem::take(&mut flow.values[*to]) else { return };
                flatten(dense(&flow.values[*from], unpacked), &mut y);
                flow.values[*to] = Value::Dense(y);
            }
            Layer::Output(linear) => linear.forward(flow),
        }
    }

    /// Backward of all but the output, whose gradient the loss gives.
    pub(crate) fn backward(&mut self, flow: &mut Flow) {
        let (from, to) = match self {
            Layer::Unit(unit) => return unit.backward(flow),
            Layer::Output(_) => unreachable!("the loss starts the backward at the output"),
            Layer::Pool { from, to, .. } | Layer::Flatten { from, to, .. } => (*from, *to),
        };
        let Some((mut dx, accumulate)) = flow.take_gradient(from) else { return };
        assert!(!accumulate, "pooling is its input's only reader");
        let (g, _) = flow.take_gradient(to).expect("the output has a gradient where the input has one");
        match self {
            Layer::Pool { pool, .. } => pool.backward(&g, &mut dx, &mut flow.workers),
            _ => flatten_backward(&g, &mut dx),
        }
        flow.put_gradient(to, g);
        flow.put_gradient(from, dx);
    }

    /// Gets the memory of what is planned.
    pub(crate) fn allocate(&mut self) -> Result<(), NoMemory> {
        match self {
            Layer::Unit(unit) => unit.allocate(),
            Layer::Pool { unpacked, .. } | Layer::Flatten { unpacked, .. } => unpacked.allocate(),
            Layer::Output(linear) => linear.allocate(),
        }
    }

    /// Bytes kept for the backward, and bytes of workspace; the workers' apart. The same before and after they are
    /// allocated.
    pub(crate) fn bytes(&self) -> (usize, usize) {
        match self {
            Layer::Unit(unit) => {
                unit.currents.iter().fold((0, unit.sums_bytes()), |(saved, work), current| match current {
                    Current::Conv(conv) => (saved + conv.bytes().0, work + conv.bytes().1),
                    Current::Linear(linear) => (saved + linear.y.bytes(), work + linear.unpacked.bytes()),
                    Current::Identity(_) => (saved, work),
                })
            }
            Layer::Pool { unpacked, .. } | Layer::Flatten { unpacked, .. } => (0, unpacked.bytes()),
            Layer::Output(linear) => (linear.y.bytes(), linear.unpacked.bytes()),
        }
    }
}
