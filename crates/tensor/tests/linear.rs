//! Linear layers and matrix products against the f64 reference.

use spikegrad_tensor::linear::{Matrix, gemm, linear, linear_backward_input, linear_backward_weight};
use spikegrad_tensor::{Dims, Tensor};
use spikegrad_testkit::check::{Tolerance, assert_close, cases, magnitudes, narrow, widen};
use spikegrad_testkit::linear::{
    Linear, linear_bias_grad, linear_forward, linear_input_grad, linear_weight_grad,
};
use spikegrad_testkit::rng::Rng;

/// (rows, inputs, outputs)
const SHAPES: &[(usize, usize, usize)] = cases(
    &[(1, 1, 1), (2, 15, 16), (3, 16, 15), (5, 17, 1), (7, 1, 17), (4, 37, 10), (13, 131, 67), (100, 33, 29)],
    6,
);

struct Case {
    sizes: Linear,
    x: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    g: Vec<f32>,
}

fn case((n, inputs, outputs): (usize, usize, usize), seed: u64) -> Case {
    let mut rng = Rng::new(seed);
    let mut draw = |len| narrow(&rng.normals(len));
    let (x, weight, bias, g) = (draw(n * inputs), draw(outputs * inputs), draw(outputs), draw(n * outputs));
    Case { sizes: Linear { n, inputs, outputs }, x, weight, bias, g }
}

impl Case {
    fn x(&self) -> Tensor {
        Tensor::from_nchw(Dims::new(self.sizes.n, self.sizes.inputs, 1, 1), &self.x).unwrap()
    }

    fn g(&self) -> Tensor {
        Tensor::from_nchw(Dims::new(self.sizes.n, self.sizes.outputs, 1, 1), &self.g).unwrap()
    }

    fn nan(&self, features: usize) -> Tensor {
        let mut tensor = Tensor::zeros(Dims::new(self.sizes.n, features, 1, 1));
        tensor.floats_mut().fill(f32::NAN);
        tensor
    }
}

#[track_caller]
fn assert_padding(what: &str, tensor: &Tensor) {
    let back = Tensor::from_nchw(tensor.dims(), &tensor.to_nchw()).unwrap();
    assert_eq!(tensor.blocks(), back.blocks(), "{what}: padding lanes are zero");
}

#[test]
fn forward_and_input_gradient_overwrite_what_was_there() {
    for (seed, &shape) in SHAPES.iter().enumerate() {
        let c = case(shape, seed as u64);
        let (mut y, mut dx) = (c.nan(c.sizes.outputs), c.nan(c.sizes.inputs));
        linear(&c.x(), &c.weight, &c.bias, &mut y);
        linear_backward_input(&c.g(), &c.weight, &mut dx);
        let (x, w, b, g) = (widen(&c.x), widen(&c.weight), widen(&c.bias), widen(&c.g));
        let (ax, aw, ab, ag) = (magnitudes(&x), magnitudes(&w), magnitudes(&b), magnitudes(&g));
        let size = linear_forward(&c.sizes, &ax, &aw, &ab);
        let tolerance = Tolerance::Dot { k: c.sizes.inputs + 2, magnitude: &size };
        let want = linear_forward(&c.sizes, &x, &w, &b);
        assert_close(&format!("y {shape:?}"), &y.to_nchw(), &want, tolerance);
        let size = linear_input_grad(&c.sizes, &ag, &aw);
        let tolerance = Tolerance::Dot { k: c.sizes.outputs + 1, magnitude: &size };
        let want = linear_input_grad(&c.sizes, &g, &w);
        assert_close(&format!("dx {shape:?}"), &dx.to_nchw(), &want, tolerance);
        assert_padding(&format!("y {shape:?}"), &y);
        assert_padding(&format!("dx {shape:?}"), &dx);
    }
}

#[test]
fn weight_gradients_are_added() {
    for (seed, &shape) in SHAPES.iter().enumerate() {
        let c = case(shape, 100 + seed as u64);
        for start in [0.0f32, 1.5] {
            let (mut dw, mut db) = (vec![start; c.weight.len()], vec![start; c.bias.len()]);
            linear_backward_weight(&c.x(), &c.g(), &mut dw, &mut db);
            let (x, g) = (widen(&c.x), widen(&c.g));
            let plus = |v: Vec<f64>| v.iter().map(|v| v + f64::from(start)).collect::<Vec<_>>();
            let (ax, ag) = (magnitudes(&x), magnitudes(&g));
            let size = plus(linear_weight_grad(&c.sizes, &ax, &ag));
            let want = plus(linear_weight_grad(&c.sizes, &x, &g));
            let k = c.sizes.n + 2;
            assert_close(&format!("dw {shape:?}"), &dw, &want, Tolerance::Dot { k, magnitude: &size });
            let size = plus(linear_bias_grad(&c.sizes, &ag));
            let want = plus(linear_bias_grad(&c.sizes, &g));
            assert_close(&format!("db {shape:?}"), &db, &want, Tolerance::Dot { k, magnitude: &size });
        }
    }
}

#[test]
fn gemm_takes_transposes_strides_and_factors() {
    let (m, k, n, stride) = (5, 17, 3, 20);
    let mut rng = Rng::new(8);
    let (a, bt) = (narrow(&rng.normals(m * stride)), narrow(&rng.normals(n * k)));
    let start = narrow(&rng.normals(m * 7));
    for (alpha, beta) in [(1.0f32, 0.0f32), (1.0, 1.0), (-0.5, 2.0)] {
        let mut c = if beta == 0.0 { vec![f32::NAN; m * 7] } else { start.clone() };
        let before = c.clone();
        gemm(alpha, Matrix::new(&a, (m, k), stride), Matrix::new(&bt, (n, k), k).t(), beta, &mut c, 7);
        for i in 0..m {
            let (mut want, mut size) = (vec![0.0; n], vec![0.0; n]);
            for j in 0..n {
                for q in 0..k {
                    let product = f64::from(a[i * stride + q]) * f64::from(bt[j * k + q]) * f64::from(alpha);
                    (want[j], size[j]) = (want[j] + product, size[j] + product.abs());
                }
                let old = if beta == 0.0 { 0.0 } else { f64::from(beta) * f64::from(start[i * 7 + j]) };
                (want[j], size[j]) = (want[j] + old, size[j] + old.abs());
            }
            let tolerance = Tolerance::Dot { k: k + 3, magnitude: &size };
            assert_close(&format!("row {i}, α {alpha}, β {beta}"), &c[i * 7..][..n], &want, tolerance);
            let untouched =
                |x: &[f32]| x[i * 7 + n..(i + 1) * 7].iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(untouched(&c), untouched(&before), "row {i}: what lies between rows is left alone");
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    for &shape in SHAPES {
        let c = case(shape, 3);
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let (mut y, mut dx) = (c.nan(c.sizes.outputs), c.nan(c.sizes.inputs));
                let (mut dw, mut db) = (vec![0.0; c.weight.len()], vec![0.0; c.bias.len()]);
                linear(&c.x(), &c.weight, &c.bias, &mut y);
                linear_backward_input(&c.g(), &c.weight, &mut dx);
                linear_backward_weight(&c.x(), &c.g(), &mut dw, &mut db);
                [y.to_nchw(), dx.to_nchw(), dw, db]
            })
        };
        let one = run(1);
        assert!(one == run(2) && one == run(3), "{shape:?}: thread counts differ");
    }
}
