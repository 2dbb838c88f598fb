//! The three passes of a convolution.

use super::{Maker, Pass, SAMPLES, Subject, Worst, image, normal, plane, sparse};
use spikegrad::data::rng::Rng;
use spikegrad::tensor::conv::{Conv, ConvConfig};
use spikegrad::tensor::{Dims, ShapeError, Spikes, Tensor, Workers};
use spikegrad_testkit::conv as reference;

/// A convolution over spikes or dense values with its buffers.
pub struct ConvSubject {
    conv: Conv,
    x: Tensor,
    /// x as bits, where it is spikes.
    spikes: Option<Spikes>,
    input_gradient: bool,
    weight: Vec<f32>,
    g: Tensor,
    y: Tensor,
    dx: Tensor,
    dw: Vec<f32>,
}

impl ConvSubject {
    /// Plans the convolution and fills its inputs.
    ///
    /// # Errors
    /// A shape that cannot be.
    pub fn new(
        maker: &Maker<'_>,
        input: Dims,
        config: ConvConfig,
        spikes: bool,
        input_gradient: bool,
        rng: &mut Rng,
    ) -> Result<Self, ShapeError> {
        let conv = Conv::plan(input, config, maker.level)?.with_spike_kernel(maker.spike_kernel);
        let x = if spikes { sparse(input, maker.density, rng) } else { normal(input, rng) };
        let weight: Vec<f32> = (0..conv.weight_len()).map(|_| rng.normal()).collect();
        let (g, y) = (normal(conv.output(), rng), Tensor::zeros(conv.output()));
        let dx = if input_gradient { Tensor::zeros(input) } else { Tensor::default() };
        let (dw, spikes) = (vec![0.0; weight.len()], spikes.then(|| Spikes::from_tensor(&x)));
        Ok(Self { conv, x, spikes, input_gradient, weight, g, y, dx, dw })
    }

    /// Sizes for the reference, of some images and channels of this convolution.
    fn sizes(&self, n: usize, ci: usize, co: usize) -> reference::Conv {
        let (d, c) = (self.conv.input(), self.conv.config());
        reference::Conv { n, ci, h: d.h, w: d.w, co, k: c.kernel, stride: c.stride, pad: c.padding }
    }

    /// Channels of a group: inputs and outputs.
    fn group(conv: &Conv) -> (usize, usize) {
        (conv.input().c / conv.config().groups, conv.output().c / conv.config().groups)
    }

    /// The kernel of output channel `o` and input channel `i`, in f64: zeros where they are of different groups.
    fn taps(weight: &[f32], conv: &Conv, o: usize, i: usize) -> Vec<f64> {
        let (taps, (inputs, outputs)) = (conv.config().taps(), Self::group(conv));
        if o / outputs != i / inputs {
            return vec![0.0; taps];
        }
        weight[(o * inputs + i % inputs) * taps..][..taps].iter().map(|w| f64::from(*w)).collect()
    }

    /// Errors of whole output planes.
    fn forward_error(&self, rng: &mut Rng) -> f64 {
        let (input, output) = (self.conv.input(), self.conv.output());
        let mut worst = Worst::default();
        for _ in 0..SAMPLES {
            let (n, o) = (rng.below(output.n), rng.below(output.c));
            let weight: Vec<f64> =
                (0..input.c).flat_map(|i| Self::taps(&self.weight, &self.conv, o, i)).collect();
            let want = reference::conv_forward(&self.sizes(1, input.c, 1), &image(&self.x, n), &weight);
            worst.take(plane(&self.y, n, o), want);
        }
        worst.share()
    }

    /// Errors of whole planes of the input's gradient.
    fn input_gradient_error(&self, rng: &mut Rng) -> f64 {
        let (input, output) = (self.conv.input(), self.conv.output());
        let mut worst = Worst::default();
        for _ in 0..SAMPLES {
            let (n, i) = (rng.below(input.n), rng.below(input.c));
            let weight: Vec<f64> =
                (0..output.c).flat_map(|o| Self::taps(&self.weight, &self.conv, o, i)).collect();
            let want = reference::conv_input_grad(&self.sizes(1, 1, output.c), &image(&self.g, n), &weight);
            worst.take(plane(&self.dx, n, i), want);
        }
        worst.share()
    }

    /// Errors of the kernels of some pairs of channels, over all images.
    fn weight_gradient_error(&self, rng: &mut Rng) -> f64 {
        let (input, output) = (self.conv.input(), self.conv.output());
        let mut worst = Worst::default();
        for _ in 0..SAMPLES {
            let (o, (inputs, outputs)) = (rng.below(output.c), Self::group(&self.conv));
            let i = o / outputs * inputs + rng.below(inputs);
            let x: Vec<f64> = (0..input.n).flat_map(|n| plane(&self.x, n, i)).collect();
            let g: Vec<f64> = (0..input.n).flat_map(|n| plane(&self.g, n, o)).collect();
            let want = reference::conv_weight_grad(&self.sizes(input.n, 1, 1), &x, &g);
            worst.take(Self::taps(&self.dw, &self.conv, o, i), want);
        }
        worst.share()
    }
}

impl Subject for ConvSubject {
    fn passes(&self) -> Vec<Pass> {
        let flops = 2 * self.conv.macs() * self.conv.input().n as u64;
        let x = self.spikes.as_ref().map_or(self.x.bytes(), Spikes::bytes) as u64;
        let (y, w) = (self.y.bytes() as u64, 4 * self.weight.len() as u64);
        let pass = |name, bytes| Pass { name, flops, bytes, memory_bound: false };
        let mut passes = vec![pass("forward", x + w + y), pass("weight gradient", x + y + w)];
        if self.input_gradient {
            passes.push(pass("input gradient", y + w + self.x.bytes() as u64));
        }
        passes
    }

    fn run(&mut self, pass: usize, workers: &mut Workers) {
        let Self { conv, x, spikes, weight, g, y, dx, dw, .. } = self;
        match (pass, spikes) {
            (0, Some(spikes)) => conv.forward_spikes(spikes, weight, y, workers),
            (0, None) => conv.forward_dense(x, weight, y, workers),
            (1, Some(spikes)) => conv.backward_weight_spikes(spikes, g, dw, workers),
            (1, None) => conv.backward_weight_dense(x, g, dw, workers),
            _ => conv.backward_input(g, weight, dx, false, workers),
        }
    }

    fn error(&mut self, pass: usize, workers: &mut Workers) -> Option<f64> {
        // The reference has square kernels alone.
        if self.conv.config().is_1d {
            return None;
        }
        self.dw.fill(0.0);
        self.run(pass, workers);
        let mut rng = Rng::keyed(&[pass as u64]);
        Some(match pass {
            0 => self.forward_error(&mut rng),
            1 => self.weight_gradient_error(&mut rng),
            _ => self.input_gradient_error(&mut rng),
        })
    }

    fn density(&self) -> f64 {
        self.spikes.as_ref().map_or(1.0, Spikes::rate)
    }
}
