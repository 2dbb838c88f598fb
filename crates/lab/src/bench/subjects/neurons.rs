//! LIF neurons forward and backward, fused with the affine map of what feeds them.

use super::{Maker, Pass, SAMPLES, Subject, Worst, fill, normal, plane, sparse};
use spikegrad::bptt::lif::{BackwardPass, LifLayer, Output, PlaneSums, Source};
use spikegrad::bptt::{Activation, LifConfig};
use spikegrad::data::rng::Rng;
use spikegrad::tensor::{Dims, LANES, Level, Spikes, Tensor, Workers};
use spikegrad_testkit::lif::{Activation as Mode, Lif};

/// Operations of an element and step: charge, fire, reset.
const FORWARD: u64 = 5;
/// Operations of an element, step and dense source: (y − mean)·scale + shift, added up.
const SOURCE: u64 = 4;
/// Operations of an element and step of the recurrence: reset's gradient, surrogate, scaling, a, two sums.
const BACKWARD: u64 = 15;

/// What feeds the neurons.
enum Current {
    Dense(Tensor),
    Spikes(Spikes, Tensor),
}

/// The neurons and what they read.
struct Inputs {
    lif: LifConfig,
    activation: Activation,
    level: Level,
    dims: Dims,
    steps: usize,
    currents: Vec<Current>,
    /// Mean, scale and shift of each channel: dyadic numbers, so that the currents are exact.
    constants: [Vec<f32>; 3],
}

impl Inputs {
    /// Calls `work` with the unit and its sources.
    fn with<T>(&self, work: impl FnOnce(&LifLayer<'_>, &[Source<'_>]) -> T) -> T {
        let [mean, scale, shift] = &self.constants;
        let sources = self.currents.iter().map(|current| match current {
            Current::Dense(y) => Source::Affine { y, mean, scale, shift },
            Current::Spikes(spikes, _) => Source::Spikes(spikes),
        });
        let sources: Vec<Source<'_>> = sources.collect();
        let Self { lif, activation, level, dims, steps, .. } = self;
        work(&LifLayer::plain(lif, *activation, *dims, *steps, *level), &sources)
    }
}

/// A layer of neurons with its buffers.
pub struct NeuronSubject {
    inputs: Inputs,
    reference: Lif,
    spikes: Spikes,
    /// Output of the twins, in place of spikes.
    dense: Tensor,
    e: Tensor,
    du: Tensor,
    sums: Vec<PlaneSums>,
}

impl NeuronSubject {
    /// Fills the inputs with multiples of 1/64: with a decay of a power of two, no membrane is rounded, so that
    /// the reference's neurons fire exactly where these do.
    pub fn new(maker: &Maker<'_>, dims: Dims, steps: usize, sources: &[Option<Dims>], rng: &mut Rng) -> Self {
        let currents = sources.iter().map(|source| match source {
            Some(d) => Current::Dense(fill(*d, || (64.0 * rng.normal()).round() / 64.0)),
            None => {
                let x = sparse(dims, maker.density, rng);
                Current::Spikes(Spikes::from_tensor(&x), x)
            }
        });
        let currents = currents.collect();
        let lanes = dims.blocks() * LANES;
        let constants = [0.25, 0.5, 0.125].map(|x| vec![x; lanes]);
        let (lif, activation) = maker.neuron;
        let (e, du) = (normal(dims, rng), Tensor::zeros(dims));
        let dense = if activation == Activation::Spike { Tensor::default() } else { Tensor::zeros(dims) };
        let sums = vec![[[0.0; LANES]; 3]; dims.n / steps * dims.blocks()];
        let (level, lif) = (maker.level, lif.clone());
        let inputs = Inputs { lif, activation, level, dims, steps, currents, constants };
        Self { inputs, reference: maker.reference, spikes: Spikes::zeros(dims), dense, e, du, sums }
    }

    /// The current of one channel of one image of the batch at every step, in f64.
    fn current(&self, frame: usize, channel: usize) -> Vec<f64> {
        let frames = self.inputs.dims.n / self.inputs.steps;
        let [mean, scale, shift] = [0, 1, 2].map(|k| f64::from(self.inputs.constants[k][channel]));
        let mut sum = vec![0.0; self.inputs.steps * self.inputs.dims.pixels()];
        for (t, sum) in sum.chunks_mut(self.inputs.dims.pixels()).enumerate() {
            for current in &self.inputs.currents {
                let x = match current {
                    Current::Dense(y) => {
                        let t = if y.dims().n == frames { 0 } else { t };
                        let y = plane(y, t * frames + frame, channel);
                        y.iter().map(|y| (y - mean) * scale + shift).collect()
                    }
                    Current::Spikes(_, x) => plane(x, t * frames + frame, channel),
                };
                sum.iter_mut().zip(x).for_each(|(sum, x)| *sum += x);
            }
        }
        sum
    }

    /// Planes of all steps, one after the other.
    fn timeline(&self, tensor: &Tensor, frame: usize, channel: usize) -> Vec<f64> {
        let frames = self.inputs.dims.n / self.inputs.steps;
        (0..self.inputs.steps).flat_map(|t| plane(tensor, t * frames + frame, channel)).collect()
    }

    /// Errors of spikes and of ∂L/∂u of some planes; where one frame serves all steps, of the sum over time.
    fn sampled_error(&self, backward: bool) -> f64 {
        let is_static = self.inputs.with(|unit, sources| unit.is_static(sources));
        let (mut rng, mut worst) = (Rng::keyed(&[1]), Worst::default());
        let mut fired = Tensor::zeros(self.inputs.dims);
        self.spikes.unpack(&mut fired);
        let (frames, hw) = (self.inputs.dims.n / self.inputs.steps, self.inputs.dims.pixels());
        for _ in 0..SAMPLES {
            let (frame, channel) = (rng.below(frames), rng.below(self.inputs.dims.c));
            let x = self.current(frame, channel);
            let trace = self.reference.forward(&x, self.inputs.steps, Mode::Spike);
            if !backward {
                worst.take(self.timeline(&fired, frame, channel), trace.o);
                continue;
            }
            let e = self.timeline(&self.e, frame, channel);
            let want = self.reference.backward(&trace, &e, self.inputs.steps, Mode::Spike).x;
            if is_static {
                let total = (0..hw).map(|p| want.iter().skip(p).step_by(hw).sum::<f64>());
                worst.take(plane(&self.du, frame, channel), total);
            } else {
                worst.take(self.timeline(&self.du, frame, channel), want);
            }
        }
        worst.share()
    }
}

impl Subject for NeuronSubject {
    fn passes(&self) -> Vec<Pass> {
        let elements = self.inputs.dims.len() as u64;
        let (mut dense, mut bytes) = (0, 0);
        for current in &self.inputs.currents {
            match current {
                Current::Dense(y) => {
                    dense += 1;
                    bytes += y.bytes() as u64;
                }
                Current::Spikes(spikes, _) => bytes += spikes.bytes() as u64,
            }
        }
        let gradient = self.e.bytes() as u64;
        let pass = |name, flops, bytes| Pass { name, flops: flops * elements, bytes, memory_bound: true };
        vec![
            pass("neurons forward", FORWARD + SOURCE * dense, bytes + self.spikes.bytes() as u64),
            pass("neurons backward", FORWARD + BACKWARD + SOURCE * dense, bytes + 2 * gradient),
        ]
    }

    fn prepare(&mut self, pass: usize) {
        if pass == 1 {
            self.du.blocks_mut().copy_from_slice(self.e.blocks());
        }
    }

    fn run(&mut self, pass: usize, workers: &mut Workers) {
        let Self { inputs, spikes, dense, du, sums, .. } = self;
        inputs.with(|unit, sources| match (pass, unit.activation) {
            (0, Activation::Spike) => unit.forward(sources, Output::Spikes(spikes), workers),
            (0, _) => unit.forward(sources, Output::Dense(dense), workers),
            _ => unit.backward(sources, BackwardPass::new(du, sums), workers),
        });
    }

    fn error(&mut self, pass: usize, workers: &mut Workers) -> Option<f64> {
        self.prepare(pass);
        self.run(pass, workers);
        // The reference here is of spiking neurons; `gradcheck` compares the twins.
        (self.inputs.activation == Activation::Spike).then(|| self.sampled_error(pass == 1))
    }

    fn density(&self) -> f64 {
        if self.inputs.activation == Activation::Spike { self.spikes.rate() } else { 1.0 }
    }
}
