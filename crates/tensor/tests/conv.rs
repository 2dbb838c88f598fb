//! Every pass of the convolution, at every level, against the f64 reference; `winograd.rs` has the input gradient's
//! other forms.

use spikegrad_tensor::conv::{Conv, ConvConfig, DeltaKernels, InputGradient, SpikeKernel};
use spikegrad_tensor::norm::Statistics;
use spikegrad_tensor::rng::Rng;
use spikegrad_tensor::{Dims, Level, Spikes, Tensor, Workers};
use spikegrad_testkit::check::cases;
use spikegrad_testkit::conv as reference;

/// (images, input channels, rows, columns, output channels, kernel, stride, padding)
type Shape = [usize; 8];

const SHAPES: &[Shape] = cases(
    &[
        [1, 1, 1, 1, 1, 3, 1, 1],
        [2, 17, 3, 3, 18, 3, 1, 1],
        [2, 3, 5, 5, 4, 2, 1, 0],
        [1, 2, 4, 4, 2, 3, 4, 0],
        [1, 5, 6, 6, 7, 1, 1, 0],
        [2, 16, 8, 8, 16, 3, 1, 1],
        [3, 33, 8, 8, 64, 3, 1, 1],
        [1, 3, 17, 13, 37, 3, 1, 1],
        [2, 16, 32, 32, 32, 3, 1, 1],
        [2, 20, 9, 7, 18, 3, 2, 1],
        [2, 16, 16, 16, 32, 1, 2, 0],
        [1, 17, 11, 11, 130, 5, 1, 2],
        [2, 4, 12, 9, 6, 5, 3, 2],
        [1, 2, 7, 7, 3, 4, 2, 3],
        [5, 64, 4, 4, 48, 3, 1, 1],
    ],
    2,
);

struct Case {
    conv: Conv,
    shape: reference::Conv,
    x: Vec<f32>,
    weight: Vec<f32>,
    g: Vec<f32>,
}

/// What a convolution reads.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Input {
    Dense,
    Spikes(SpikeKernel),
    /// Spikes of as many steps as there are images, from their changes.
    Delta,
}

const INPUTS: &[Input] =
    &[Input::Dense, Input::Spikes(SpikeKernel::Lookup), Input::Spikes(SpikeKernel::Sparse), Input::Delta];

fn case(shape: Shape, kind: Input, level: Level) -> Case {
    let [n, ci, h, w, co, k, stride, pad] = shape;
    let input = Dims::new(n, ci, h, w);
    let config = ConvConfig { out_channels: co, kernel: k, stride, padding: pad, ..ConvConfig::default() };
    let mut conv = Conv::plan(input, config, level).expect("a valid shape");
    match kind {
        Input::Dense => {}
        Input::Spikes(kernel) => conv = conv.with_spike_kernel(kernel),
        Input::Delta => conv = conv.with_steps(n, DeltaKernels::On),
    }
    conv.set_input_gradient(InputGradient::Direct);
    let mut rng = Rng::new(7);
    let value =
        |rng: &mut Rng| if kind == Input::Dense { rng.normal() } else { f32::from(rng.uniform() < 0.3) };
    let x = (0..input.len()).map(|_| value(&mut rng)).collect();
    let weight = (0..conv.weight_len()).map(|_| rng.normal()).collect();
    let g = (0..conv.output().len()).map(|_| rng.normal()).collect();
    Case { conv, shape: reference::Conv { n, ci, h, w, co, k, stride, pad }, x, weight, g }
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

/// γ_k·Σ|aᵢbᵢ| with the sum bounded by the reference of absolute values.
fn assert_sums(what: &str, got: &[f32], want: &[f64], magnitude: &[f64], terms: usize) {
    let gamma = terms as f64 * f64::from(f32::EPSILON) / 2.0;
    assert_eq!(got.len(), want.len());
    for (i, ((&got, &want), &magnitude)) in got.iter().zip(want).zip(magnitude).enumerate() {
        let bound = gamma / (1.0 - gamma) * magnitude + f64::MIN_POSITIVE;
        assert!(
            (f64::from(got) - want).abs() <= bound,
            "{what}[{i}]: got {got}, want {want}, bound {bound:e}"
        );
    }
}

fn abs(x: &[f64]) -> Vec<f64> {
    x.iter().map(|x| x.abs()).collect()
}

/// Runs all passes of a case: (y, dx, dW), dx and dW starting from `seed`.
fn passes(c: &mut Case, kind: Input, seed: f32, workers: &mut Workers) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let x = Tensor::from_nchw(c.conv.input(), &c.x).unwrap();
    let g = Tensor::from_nchw(c.conv.output(), &c.g).unwrap();
    let mut y = Tensor::zeros(c.conv.output());
    y.blocks_mut().iter_mut().for_each(|b| b.0 = [f32::NAN; 16]);
    let mut dx = Tensor::from_nchw(c.conv.input(), &vec![seed; c.x.len()]).unwrap();
    let mut dw = vec![seed; c.weight.len()];
    if kind != Input::Dense {
        let spikes = Spikes::from_tensor(&x);
        c.conv.forward_spikes(&spikes, &c.weight, &mut y, workers);
        c.conv.backward_weight_spikes(&spikes, &mut g.clone(), &mut dw, workers);
    } else {
        c.conv.forward_dense(&x, &c.weight, &mut y, workers);
        c.conv.backward_weight_dense(&x, &g, &mut dw, workers);
    }
    c.conv.backward_input(&g, &c.weight, &mut dx, seed != 0.0, workers);
    for (tensor, name) in [(&y, "y"), (&dx, "dx")] {
        let back = Tensor::from_nchw(tensor.dims(), &tensor.to_nchw()).unwrap();
        assert_eq!(tensor.blocks(), back.blocks(), "{name}: padding lanes are zero");
    }
    (y.to_nchw(), dx.to_nchw(), dw)
}

#[test]
fn every_pass_matches_the_reference_at_every_level() {
    for level in Level::available() {
        for &shape in SHAPES {
            for &kind in INPUTS {
                let mut c = case(shape, kind, level);
                let (y, dx, dw) = passes(&mut c, kind, 0.0, &mut Workers::new());
                let (x, w, g, s) = (wide(&c.x), wide(&c.weight), wide(&c.g), &c.shape);
                let name = |pass: &str| format!("{pass} {shape:?} {level} {kind:?}");
                let (aw, ag, taps) = (abs(&w), abs(&g), s.k * s.k);
                let Terms { times, x: ax, y_x, dw_g } = terms(&c, kind);
                let size = reference::conv_forward(s, &y_x, &aw);
                assert_sums(&name("y"), &y, &reference::conv_forward(s, &x, &w), &size, times * s.ci * taps);
                let want = reference::conv_input_grad(s, &g, &w);
                let size = reference::conv_input_grad(s, &ag, &aw);
                assert_sums(&name("dx"), &dx, &want, &size, s.co * taps);
                let want = reference::conv_weight_grad(s, &x, &g);
                let size = reference::conv_weight_grad(s, &ax, &dw_g);
                assert_sums(&name("dw"), &dw, &want, &size, s.n * s.out_h() * s.out_w() + times);
            }
        }
    }
}

/// Magnitudes of what is added up: `x` and `dw_g` to dW, `y_x` times the weight to y, in `times` rounds.
struct Terms {
    times: usize,
    x: Vec<f64>,
    y_x: Vec<f64>,
    dw_g: Vec<f64>,
}

/// Each image is a step where changes are summed: y[t] from all changes until t, dW from |o[t] − o[t−1]| and
/// the gradients from t on.
fn terms(c: &Case, kind: Input) -> Terms {
    let (x, g, n) = (abs(&wide(&c.x)), abs(&wide(&c.g)), c.shape.n);
    if kind != Input::Delta {
        return Terms { times: 1, y_x: x.clone(), x, dw_g: g };
    }
    let (image, out) = (x.len() / n, g.len() / n);
    let before = |i: usize| if i < image { 0.0 } else { x[i - image] };
    let changes: Vec<f64> = (0..x.len()).map(|i| (x[i] - before(i)).abs()).collect();
    let y_x = (0..x.len()).map(|i| changes[i % image..=i].iter().step_by(image).sum()).collect();
    let dw_g = (0..g.len()).map(|i| g[i..].iter().step_by(out).sum()).collect();
    Terms { times: n, x: changes, y_x, dw_g }
}

#[test]
fn gradients_accumulate_where_promised() {
    for &shape in SHAPES {
        for &kind in INPUTS {
            let mut c = case(shape, kind, Level::BASELINE);
            let (_, dx, dw) = passes(&mut c, kind, 0.0, &mut Workers::new());
            let (_, dx_on_one, dw_on_one) = passes(&mut c, kind, 1.0, &mut Workers::new());
            assert!(dx.iter().zip(&dx_on_one).all(|(x, on_one)| x + 1.0 == *on_one));
            // Changes are added in three parts; all else at once.
            let Terms { x, dw_g, .. } = terms(&c, kind);
            let mut size = reference::conv_weight_grad(&c.shape, &x, &dw_g);
            size.iter_mut().for_each(|size| *size = if kind == Input::Delta { *size + 1.0 } else { 0.0 });
            let want: Vec<f64> = dw.iter().map(|&dw| f64::from(dw + 1.0)).collect();
            assert_sums(&format!("dw on one {kind:?}"), &dw_on_one, &want, &size, 2 * 3 + 1);
        }
    }
}

#[test]
fn statistics_of_the_same_pass_have_the_bits_of_a_pass_of_their_own() {
    let bits = |statistics: &Statistics| {
        let Statistics { mean, inv_std, var } = statistics;
        [mean, inv_std, var].map(|x| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>())
    };
    for level in Level::available() {
        for &shape in SHAPES {
            for &kind in &INPUTS[1..] {
                let c = case(shape, kind, level);
                let spikes = Spikes::from_tensor(&Tensor::from_nchw(c.conv.input(), &c.x).unwrap());
                let d = c.conv.output();
                let (mut y, mut alone) = (Tensor::zeros(d), Tensor::zeros(d));
                let [mut got, mut want] = [0, 1].map(|_| Statistics::new(d.blocks()));
                let workers = &mut Workers::new();
                c.conv.forward_spikes_measured(&spikes, &c.weight, &mut y, &mut got, workers);
                c.conv.forward_spikes(&spikes, &c.weight, &mut alone, workers);
                want.measure(&alone, level, workers);
                assert!(y.blocks() == alone.blocks(), "{shape:?} {level} {kind:?}");
                assert_eq!(bits(&got), bits(&want), "{shape:?} {level} {kind:?}");
            }
        }
    }
}

#[cfg(feature = "parallel")]
#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let run = |threads: usize, shape, kind, level| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| passes(&mut case(shape, kind, level), kind, 0.0, &mut Workers::new()))
    };
    for level in Level::available() {
        for &shape in SHAPES {
            for &kind in INPUTS {
                let one = run(1, shape, kind, level);
                for &threads in cases(&[2, 3, 7], 1) {
                    assert!(one == run(threads, shape, kind, level), "{shape:?} {level} {threads} threads");
                }
            }
        }
    }
}

#[test]
fn impossible_shapes_are_refused_with_both_numbers() {
    let config = ConvConfig { out_channels: 4, kernel: 5, stride: 1, padding: 0, ..ConvConfig::default() };
    let error = Conv::plan(Dims::new(1, 3, 4, 9), config, Level::BASELINE).unwrap_err();
    assert_eq!(error.to_string(), "kernel has 5 rows, padded image has 4");
    for broken in [ConvConfig { stride: 0, ..config }, ConvConfig { out_channels: 0, ..config }] {
        assert!(Conv::plan(Dims::new(1, 3, 9, 9), broken, Level::BASELINE).is_err());
    }
}
