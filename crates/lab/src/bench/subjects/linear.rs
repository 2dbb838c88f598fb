//! The three passes of a fully connected layer, which reads spikes written out as floats.

use super::{Pass, SAMPLES, Subject, Worst, image, normal, sparse};
use spikegrad::data::rng::Rng;
use spikegrad::tensor::linear::{linear, linear_backward_input, linear_backward_weight};
use spikegrad::tensor::{Dims, Tensor, Workers};
use spikegrad_testkit::linear as reference;

/// A fully connected layer with its buffers.
pub struct LinearSubject {
    x: Tensor,
    weight: Vec<f32>,
    bias: Vec<f32>,
    g: Tensor,
    y: Tensor,
    dx: Tensor,
    input_gradient: bool,
    dw: Vec<f32>,
    db: Vec<f32>,
    density: f64,
}

impl LinearSubject {
    /// Fills the inputs.
    pub fn new(input: Dims, outputs: usize, input_gradient: bool, density: f64, rng: &mut Rng) -> Self {
        let (x, output) = (sparse(input, density, rng), Dims { c: outputs, ..input });
        let weight: Vec<f32> = (0..outputs * input.c).map(|_| rng.normal()).collect();
        let bias: Vec<f32> = (0..outputs).map(|_| rng.normal()).collect();
        let (g, y, dx) = (normal(output, rng), Tensor::zeros(output), Tensor::zeros(input));
        let (dw, db) = (vec![0.0; weight.len()], vec![0.0; outputs]);
        let ones = x.floats().iter().filter(|x| **x != 0.0).count();
        let density = ones as f64 / input.len() as f64;
        Self { x, weight, bias, g, y, dx, input_gradient, dw, db, density }
    }

    /// Row `row` of the weight or its gradient.
    fn row(&self, weight: &[f32], row: usize) -> Vec<f64> {
        let inputs = self.x.dims().c;
        weight[row * inputs..][..inputs].iter().map(|w| f64::from(*w)).collect()
    }

    /// Column `column` of a tensor of feature vectors.
    fn column(tensor: &Tensor, column: usize) -> Vec<f64> {
        (0..tensor.dims().n).map(|n| super::plane(tensor, n, column)[0]).collect()
    }

    /// All feature vectors.
    fn all(tensor: &Tensor) -> Vec<f64> {
        (0..tensor.dims().n).flat_map(|n| image(tensor, n)).collect()
    }
}

impl Subject for LinearSubject {
    fn passes(&self) -> Vec<Pass> {
        let flops = 2 * (self.x.dims().n * self.weight.len()) as u64;
        let (x, y, w) = (self.x.bytes() as u64, self.y.bytes() as u64, 4 * self.weight.len() as u64);
        let pass = |name| Pass { name, flops, bytes: x + y + w, memory_bound: false };
        let mut passes = vec![pass("forward"), pass("weight gradient")];
        if self.input_gradient {
            passes.push(pass("input gradient"));
        }
        passes
    }

    fn run(&mut self, pass: usize, _: &mut Workers) {
        match pass {
            0 => linear(&self.x, &self.weight, &self.bias, &mut self.y),
            1 => linear_backward_weight(&self.x, &self.g, &mut self.dw, &mut self.db),
            _ => linear_backward_input(&self.g, &self.weight, &mut self.dx),
        }
    }

    fn error(&mut self, pass: usize, workers: &mut Workers) -> Option<f64> {
        self.dw.fill(0.0);
        self.run(pass, workers);
        let (mut rng, mut worst) = (Rng::keyed(&[pass as u64]), Worst::default());
        let (n, inputs, outputs) = (self.x.dims().n, self.x.dims().c, self.y.dims().c);
        for _ in 0..SAMPLES {
            let (i, o) = (rng.below(inputs), rng.below(outputs));
            // One output's (or input's) share of the layer is a layer of one output (or input).
            let one_output = reference::Linear { n, inputs, outputs: 1 };
            let one_input = reference::Linear { n, inputs: 1, outputs };
            let (weight, bias) = (self.row(&self.weight, o), [f64::from(self.bias[o])]);
            match pass {
                0 => {
                    let want = reference::linear_forward(&one_output, &Self::all(&self.x), &weight, &bias);
                    worst.take(Self::column(&self.y, o), want);
                }
                1 => {
                    let (x, g) = (Self::all(&self.x), Self::column(&self.g, o));
                    worst.take(self.row(&self.dw, o), reference::linear_weight_grad(&one_output, &x, &g));
                }
                _ => {
                    let weight: Vec<f64> = (0..outputs).map(|o| self.row(&self.weight, o)[i]).collect();
                    let want = reference::linear_input_grad(&one_input, &Self::all(&self.g), &weight);
                    worst.take(Self::column(&self.dx, i), want);
                }
            }
        }
        Some(worst.share())
    }

    fn density(&self) -> f64 {
        self.density
    }
}
