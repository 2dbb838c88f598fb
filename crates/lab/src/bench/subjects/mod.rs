//! What `bench layers` times: a kernel with its buffers, its passes, and the f64 reference of each pass.
//!
//! | file | passes |
//! |---|---|
//! | [`conv`] | forward, input gradient, weight gradient of a convolution |
//! | [`linear`] | the same of a fully connected layer |
//! | [`norm`] | batch norm's statistics, and the affine map of its backward |
//! | [`neurons`] | LIF neurons forward and backward |

pub mod conv;
pub mod linear;
pub mod neurons;
pub mod norm;

use spikegrad::bptt::{Activation, LifConfig};
use spikegrad::data::rng::Rng;
use spikegrad::models::{KernelKind, KernelShape};
use spikegrad::tensor::conv::SpikeKernel;
use spikegrad::tensor::{Dims, Level, ShapeError, Tensor, Workers};
use spikegrad_testkit::lif::Lif;

/// A pass over a layer: its name, and what it costs at least.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pass {
    /// As in the contract: forward, input gradient, weight gradient, …
    pub name: &'static str,
    /// Floating-point operations of the dense form, whatever the kernel skips.
    pub flops: u64,
    /// Bytes of inputs and outputs, each moved once.
    pub bytes: u64,
    /// Whether bytes rather than operations bound it.
    pub memory_bound: bool,
}

/// A kernel that can be timed and checked.
pub trait Subject {
    /// Its passes, in the order that [`Subject::run`] knows them by.
    fn passes(&self) -> Vec<Pass>;
    /// Restores what a pass overwrites of its inputs; not timed.
    fn prepare(&mut self, _pass: usize) {}
    /// Runs a pass once.
    fn run(&mut self, pass: usize, workers: &mut Workers);
    /// Runs a pass once more and returns how far it is from the reference: the largest error of a sample, as a
    /// share of the largest number in the sample. None where there is no reference.
    fn error(&mut self, pass: usize, workers: &mut Workers) -> Option<f64>;
    /// Share of input (or, for neurons, output) elements that are spikes; 1 where the input is dense.
    fn density(&self) -> f64;
}

/// How subjects are made.
pub struct Maker<'a> {
    /// SIMD level.
    pub level: Level,
    /// Share of neurons that fire.
    pub density: f64,
    /// Kernel of convolutions over spikes.
    pub spike_kernel: SpikeKernel,
    /// The neuron, and how it fires.
    pub neuron: (&'a LifConfig, Activation),
    /// The same neuron in the reference's words.
    pub reference: Lif,
    /// Seed of the numbers.
    pub seed: u64,
}

impl Maker<'_> {
    /// Makes the subject of a shape.
    ///
    /// # Errors
    /// A shape that cannot be, which a planned net has none of.
    pub fn make(&self, shape: &KernelShape) -> Result<Box<dyn Subject>, ShapeError> {
        let mut rng = Rng::keyed(&[self.seed]);
        Ok(match &shape.kind {
            KernelKind::Conv { input, config, spikes, input_gradient } => {
                let conv = conv::ConvSubject::new(self, *input, *config, *spikes, *input_gradient, &mut rng)?;
                Box::new(conv)
            }
            KernelKind::Linear { input, outputs, input_gradient } => Box::new(linear::LinearSubject::new(
                *input,
                *outputs,
                *input_gradient,
                self.density,
                &mut rng,
            )),
            KernelKind::Norm(dims) => Box::new(norm::NormSubject::new(*dims, self.level, &mut rng)),
            KernelKind::Neurons { dims, steps, sources } => {
                Box::new(neurons::NeuronSubject::new(self, *dims, *steps, sources, &mut rng))
            }
        })
    }
}

/// Planes (image and channel, or two channels) that an error is sampled from.
const SAMPLES: usize = 3;

/// A tensor of normal numbers.
fn normal(dims: Dims, rng: &mut Rng) -> Tensor {
    fill(dims, || rng.normal())
}

/// A tensor of ones, as many as `density` says, and zeros.
fn sparse(dims: Dims, density: f64, rng: &mut Rng) -> Tensor {
    fill(dims, || f32::from(rng.f64() < density))
}

/// A tensor of numbers made one by one, image by image, so that no second copy of all is held.
fn fill(dims: Dims, mut number: impl FnMut() -> f32) -> Tensor {
    let mut tensor = Tensor::zeros(dims);
    let (blocks, pixels) = (dims.blocks(), dims.pixels());
    for (at, block) in tensor.blocks_mut().iter_mut().enumerate() {
        let first = at / pixels % blocks * spikegrad::tensor::LANES;
        let channels = (dims.c - first).min(spikegrad::tensor::LANES);
        block.0[..channels].iter_mut().for_each(|x| *x = number());
    }
    tensor
}

/// One channel of one image, in f64.
fn plane(tensor: &Tensor, image: usize, channel: usize) -> Vec<f64> {
    let d = tensor.dims();
    let (block, lane) = (channel / spikegrad::tensor::LANES, channel % spikegrad::tensor::LANES);
    let blocks = &tensor.blocks()[(image * d.blocks() + block) * d.pixels()..][..d.pixels()];
    blocks.iter().map(|block| f64::from(block.0[lane])).collect()
}

/// All channels of one image, in f64: c × h × w.
fn image(tensor: &Tensor, image: usize) -> Vec<f64> {
    (0..tensor.dims().c).flat_map(|channel| plane(tensor, image, channel)).collect()
}

/// The largest error of some samples against the largest number in them.
#[derive(Clone, Copy, Debug, Default)]
struct Worst {
    error: f64,
    size: f64,
}

impl Worst {
    /// Takes numbers and what they should be; NaN is an error without end.
    fn take(&mut self, got: impl IntoIterator<Item = f64>, want: impl IntoIterator<Item = f64>) {
        for (got, want) in got.into_iter().zip(want) {
            let error = (got - want).abs();
            self.error = if error.is_nan() { f64::INFINITY } else { self.error.max(error) };
            self.size = self.size.max(want.abs());
        }
    }

    /// The error as a share.
    fn share(self) -> f64 {
        if self.error == 0.0 { 0.0 } else { self.error / self.size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_shares_of_the_largest_number() {
        let mut worst = Worst::default();
        worst.take([1.0, 2.0], [1.0, 2.0]);
        assert_eq!(worst.share(), 0.0);
        worst.take([3.5, -8.0], [4.0, -8.0]);
        assert_eq!(worst.share(), 0.0625);
        worst.take([f64::NAN, 0.0], [1.0, 0.0]);
        assert_eq!(worst.share(), f64::INFINITY);
    }

    #[test]
    fn padding_lanes_stay_zero() {
        let dims = Dims::new(2, 20, 3, 3);
        let tensor = normal(dims, &mut Rng::new(1));
        assert!(tensor.blocks()[9..18].iter().all(|block| block.0[4..].iter().all(|x| *x == 0.0)));
        assert_eq!(
            image(&tensor, 1),
            tensor.to_nchw()[180..].iter().map(|x| f64::from(*x)).collect::<Vec<_>>()
        );
    }

    /// Small shapes of every kind.
    fn shapes() -> Vec<KernelShape> {
        use spikegrad::tensor::conv::ConvConfig;
        let (input, dims) = (Dims::new(4, 20, 8, 8), Dims::new(6, 20, 5, 5));
        let of = |out_channels, kernel, stride, groups| ConvConfig {
            out_channels,
            kernel,
            stride,
            padding: kernel / 2,
            groups,
            ..ConvConfig::default()
        };
        let grouped = |config, spikes| KernelKind::Conv { input, config, spikes, input_gradient: true };
        let conv = |kernel, stride, spikes| grouped(of(33, kernel, stride, 1), spikes);
        let frame = Dims { n: 2, ..dims };
        let neurons =
            |sources: &[Option<Dims>]| KernelKind::Neurons { dims, steps: 3, sources: sources.to_vec() };
        let linear = KernelKind::Linear { input: Dims::new(9, 40, 1, 1), outputs: 10, input_gradient: true };
        let kinds = vec![
            conv(3, 1, true),
            conv(3, 2, true),
            conv(1, 2, true),
            conv(3, 1, false),
            grouped(of(20, 3, 1, 20), true),
            grouped(of(30, 3, 2, 5), false),
            linear,
            KernelKind::Norm(dims),
            neurons(&[Some(dims)]),
            neurons(&[Some(frame)]),
            neurons(&[Some(dims), None]),
            neurons(&[Some(dims), Some(dims)]),
        ];
        kinds.into_iter().map(|kind| KernelShape { name: "k".into(), kind }).collect()
    }

    #[test]
    fn every_kernel_agrees_with_its_reference() {
        let lif = LifConfig::default();
        for spike_kernel in [SpikeKernel::Lookup, SpikeKernel::Sparse] {
            let (neuron, reference) = ((&lif, Activation::Spike), Lif::paper());
            let maker =
                Maker { level: Level::BASELINE, density: 0.3, spike_kernel, neuron, reference, seed: 5 };
            let mut workers = Workers::new();
            for shape in shapes() {
                let mut subject = maker.make(&shape).unwrap();
                for (index, pass) in subject.passes().iter().enumerate() {
                    subject.run(index, &mut workers);
                    subject.run(index, &mut workers);
                    let error = subject.error(index, &mut workers).unwrap();
                    assert!(error < 1e-5, "{:?} {}: {error}", shape.kind, pass.name);
                    assert!(pass.flops > 0 && pass.bytes > 0, "{pass:?}");
                }
            }
        }
    }
}
