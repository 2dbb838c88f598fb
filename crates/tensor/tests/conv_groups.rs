//! Depthwise, grouped and one-dimensional convolutions: every pass, at every level, against loops in f64, and against the
//! full convolution whose other weights are 0; adjoint identities; threads.

use spikegrad_tensor::conv::{Conv, ConvConfig};
use spikegrad_tensor::norm::Statistics;
use spikegrad_tensor::rng::Rng;
use spikegrad_tensor::{Dims, Level, Spikes, Tensor, Workers};
use spikegrad_testkit::check::{Tolerance, assert_close, cases, widen};

/// (images, input channels, rows, columns, output channels, kernel, stride, padding, groups)
type Shape = [usize; 9];

const SQUARE: &[Shape] = cases(
    &[
        // Depthwise.
        [2, 17, 5, 6, 17, 3, 1, 1, 17],
        [1, 1, 1, 1, 1, 3, 1, 1, 1],
        [3, 32, 8, 7, 32, 3, 1, 1, 32],
        [2, 20, 9, 7, 20, 3, 2, 1, 20],
        [1, 40, 6, 11, 40, 5, 1, 2, 40],
        [2, 6, 7, 7, 6, 4, 3, 2, 6],
        [2, 16, 5, 5, 16, 1, 1, 0, 16],
        // Rows of eight pixels and more, and padding beyond the kernel.
        [2, 18, 5, 21, 18, 3, 1, 1, 18],
        [1, 33, 4, 39, 33, 3, 2, 1, 33],
        [1, 16, 3, 24, 16, 5, 1, 4, 16],
        [1, 8, 4, 11, 8, 2, 1, 2, 8],
        // Groups of several channels, whole blocks and parts of them, more outputs and fewer.
        [2, 12, 5, 6, 18, 3, 1, 1, 3],
        [2, 64, 4, 5, 32, 3, 1, 1, 2],
        [1, 34, 6, 5, 51, 3, 2, 1, 17],
        [2, 40, 5, 5, 80, 1, 1, 0, 4],
        [3, 10, 6, 6, 40, 3, 1, 2, 10],
        [1, 48, 7, 7, 6, 5, 2, 0, 2],
    ],
    2,
);

const ROWS: &[Shape] = cases(
    &[
        [2, 3, 1, 20, 18, 5, 1, 2, 1],
        [1, 17, 1, 13, 33, 4, 3, 2, 1],
        [2, 20, 1, 11, 20, 3, 1, 1, 20],
        [2, 12, 1, 9, 8, 3, 2, 0, 4],
        [2, 5, 3, 10, 7, 3, 1, 1, 1],
    ],
    1,
);

fn shapes() -> impl Iterator<Item = (Shape, bool)> {
    let square = SQUARE.iter().map(|&shape| (shape, false));
    square.chain(ROWS.iter().map(|&shape| (shape, true)))
}

struct Case {
    conv: Conv,
    x: Vec<f32>,
    weight: Vec<f32>,
    g: Vec<f32>,
    is_spiking: bool,
}

fn case(
    [n, ci, h, w, co, kernel, stride, padding, groups]: Shape,
    is_1d: bool,
    level: Level,
    is_spiking: bool,
) -> Case {
    let config = ConvConfig { out_channels: co, kernel, stride, padding, groups, is_1d };
    let conv = Conv::plan(Dims::new(n, ci, h, w), config, level).expect("a valid shape");
    let mut rng = Rng::new(7);
    let value = |rng: &mut Rng| if is_spiking { f32::from(rng.uniform() < 0.3) } else { rng.normal() };
    let x = (0..conv.input().len()).map(|_| value(&mut rng)).collect();
    let weight = (0..conv.weight_len()).map(|_| rng.normal()).collect();
    let g = (0..conv.output().len()).map(|_| rng.normal()).collect();
    Case { conv, x, weight, g, is_spiking }
}

/// Runs all passes: (y, dx, dW), dx and dW starting from `seed`.
fn passes(c: &Case, seed: f32, workers: &mut Workers) -> [Vec<f32>; 3] {
    let x = Tensor::from_nchw(c.conv.input(), &c.x).unwrap();
    let g = Tensor::from_nchw(c.conv.output(), &c.g).unwrap();
    let mut y = Tensor::zeros(c.conv.output());
    y.blocks_mut().iter_mut().for_each(|b| b.0 = [f32::NAN; 16]);
    let mut dx = Tensor::from_nchw(c.conv.input(), &vec![seed; c.x.len()]).unwrap();
    let mut dw = vec![seed; c.weight.len()];
    if c.is_spiking {
        let spikes = Spikes::from_tensor(&x);
        c.conv.forward_spikes(&spikes, &c.weight, &mut y, workers);
        c.conv.backward_weight_spikes(&spikes, &mut g.clone(), &mut dw, workers);
    } else {
        c.conv.forward_dense(&x, &c.weight, &mut y, workers);
        c.conv.backward_weight_dense(&x, &g, &mut dw, workers);
    }
    c.conv.backward_input(&g, &c.weight, &mut dx, seed != 0.0, workers);
    for tensor in [&y, &dx] {
        let back = Tensor::from_nchw(tensor.dims(), &tensor.to_nchw()).unwrap();
        assert_eq!(tensor.blocks(), back.blocks(), "padding lanes are zero");
    }
    [y.to_nchw(), dx.to_nchw(), dw]
}

/// Visits every product: the places in y, x and W.
fn for_each_product(conv: &Conv, mut visit: impl FnMut(usize, usize, usize)) {
    let (config, input, output) = (conv.config(), conv.input(), conv.output());
    let (inputs, outputs) = (input.c / config.groups, output.c / config.groups);
    let (rows, stride, padding) = match config.is_1d {
        true => (1, 1, 0),
        false => (config.kernel, config.stride, config.padding),
    };
    for (n, o) in (0..input.n).flat_map(|n| (0..output.c).map(move |o| (n, o))) {
        for (qy, qx) in (0..output.h).flat_map(|qy| (0..output.w).map(move |qx| (qy, qx))) {
            for (k, ky) in (0..inputs).flat_map(|k| (0..rows).map(move |ky| (k, ky))) {
                for kx in 0..config.kernel {
                    let (py, px) = (qy * stride + ky, qx * config.stride + kx);
                    if py < padding
                        || px < config.padding
                        || py - padding >= input.h
                        || px - config.padding >= input.w
                    {
                        continue;
                    }
                    let i = o / outputs * inputs + k;
                    visit(
                        ((n * output.c + o) * output.h + qy) * output.w + qx,
                        ((n * input.c + i) * input.h + py - padding) * input.w + px - config.padding,
                        ((o * inputs + k) * rows + ky) * config.kernel + kx,
                    );
                }
            }
        }
    }
}

/// The passes in f64, of the numbers or of their magnitudes.
fn reference(c: &Case, of: fn(f64) -> f64) -> [Vec<f64>; 3] {
    let wide = |x: &[f32]| widen(x).into_iter().map(of).collect::<Vec<_>>();
    let (x, w, g) = (wide(&c.x), wide(&c.weight), wide(&c.g));
    let [mut y, mut dx, mut dw] = [g.len(), x.len(), w.len()].map(|len| vec![0.0; len]);
    for_each_product(&c.conv, |to, from, weight| {
        y[to] += x[from] * w[weight];
        dx[from] += g[to] * w[weight];
        dw[weight] += g[to] * x[from];
    });
    [y, dx, dw]
}

#[test]
fn every_pass_is_that_of_the_loops_at_every_level() {
    for level in Level::available() {
        for ((shape, is_1d), is_spiking) in shapes().flat_map(|s| [(s, false), (s, true)]) {
            let c = case(shape, is_1d, level, is_spiking);
            let got = passes(&c, 0.0, &mut Workers::new());
            let (want, size) = (reference(&c, |x| x), reference(&c, f64::abs));
            let (i, o) = (c.conv.input(), c.conv.output());
            let taps = shape[5] * shape[5];
            let terms = [i.c / shape[8] * taps, o.c / shape[8] * taps, o.n * o.pixels()];
            for (pass, name) in ["y", "dx", "dw"].into_iter().enumerate() {
                let tolerance = Tolerance::Dot { k: terms[pass] + 1, magnitude: &size[pass] };
                let what = format!("{name} {shape:?} 1d {is_1d} spikes {is_spiking} {level}");
                assert_close(&what, &got[pass], &want[pass], tolerance);
            }
            assert_eq!(c.conv.macs() as usize, c.weight.len() * o.pixels());
        }
    }
}

/// ⟨W ∗ x, g⟩ = ⟨x, dx⟩ = ⟨W, dW⟩.
#[test]
fn passes_are_adjoint() {
    for level in Level::available() {
        for ((shape, is_1d), is_spiking) in shapes().flat_map(|s| [(s, false), (s, true)]) {
            let c = case(shape, is_1d, level, is_spiking);
            let [y, dx, dw] = passes(&c, 0.0, &mut Workers::new());
            let dot = |a: &[f32], b: &[f32]| widen(a).iter().zip(widen(b)).map(|(a, b)| a * b).sum::<f64>();
            let size: f64 = y.iter().zip(&c.g).map(|(y, g)| f64::from(y * g).abs()).sum();
            for got in [dot(&c.x, &dx), dot(&c.weight, &dw)] {
                let want = dot(&y, &c.g);
                assert!((got - want).abs() <= 1e-6 * size, "{shape:?} {level}: {got} {want}");
            }
        }
    }
}

#[test]
fn gradients_accumulate_where_promised() {
    for ((shape, is_1d), is_spiking) in shapes().flat_map(|s| [(s, false), (s, true)]) {
        let c = case(shape, is_1d, Level::BASELINE, is_spiking);
        let [_, dx, dw] = passes(&c, 0.0, &mut Workers::new());
        let [_, dx_on_one, dw_on_one] = passes(&c, 1.0, &mut Workers::new());
        let size = reference(&c, f64::abs);
        for (got, alone, size) in [(dx_on_one, dx, &size[1]), (dw_on_one, dw, &size[2])] {
            let want: Vec<f64> = alone.iter().map(|&x| f64::from(x) + 1.0).collect();
            let magnitude: Vec<f64> = size.iter().map(|size| size + 1.0).collect();
            let tolerance = Tolerance::Dot { k: 2 * shape[0] * 200, magnitude: &magnitude };
            assert_close(&format!("on one {shape:?}"), &got, &want, tolerance);
        }
    }
}

/// A grouped convolution is a full one whose weights between groups are 0.
#[test]
fn groups_are_a_full_convolution_with_zeros() {
    for &shape in SQUARE {
        let grouped = case(shape, false, Level::BASELINE, false);
        let mut full = case(shape, false, Level::BASELINE, false);
        let [_, ci, .., groups] = shape;
        let (co, taps) = (shape[4], shape[5] * shape[5]);
        full.conv =
            Conv::plan(full.conv.input(), ConvConfig { groups: 1, ..full.conv.config() }, Level::BASELINE)
                .unwrap();
        full.weight = vec![0.0; co * ci * taps];
        let (inputs, outputs) = (ci / groups, co / groups);
        for (at, &w) in grouped.weight.iter().enumerate() {
            let (o, k, tap) = (at / (inputs * taps), at / taps % inputs, at % taps);
            full.weight[(o * ci + o / outputs * inputs + k) * taps + tap] = w;
        }
        let (got, want) =
            (passes(&grouped, 0.0, &mut Workers::new()), passes(&full, 0.0, &mut Workers::new()));
        assert_close(&format!("y {shape:?}"), &got[0], &widen(&want[0]), Tolerance::Forward);
        assert_close(&format!("dx {shape:?}"), &got[1], &widen(&want[1]), Tolerance::Grad);
    }
}

#[test]
fn statistics_beside_the_pass_are_those_behind_it() {
    for (shape, is_1d) in shapes() {
        let c = case(shape, is_1d, Level::BASELINE, true);
        let spikes = Spikes::from_tensor(&Tensor::from_nchw(c.conv.input(), &c.x).unwrap());
        let d = c.conv.output();
        let (mut y, mut alone, workers) = (Tensor::zeros(d), Tensor::zeros(d), &mut Workers::new());
        let [mut got, mut want] = [0, 1].map(|_| Statistics::new(d.blocks()));
        c.conv.forward_spikes_measured(&spikes, &c.weight, &mut y, &mut got, workers);
        c.conv.forward_spikes(&spikes, &c.weight, &mut alone, workers);
        want.measure(&alone, Level::BASELINE, workers);
        assert!(y.blocks() == alone.blocks() && got.mean == want.mean && got.var == want.var, "{shape:?}");
    }
}

#[cfg(feature = "parallel")]
#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let run = |threads: usize, c: &Case| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| passes(c, 0.0, &mut Workers::new()))
    };
    for level in Level::available() {
        for ((shape, is_1d), is_spiking) in shapes().flat_map(|s| [(s, false), (s, true)]) {
            let c = case(shape, is_1d, level, is_spiking);
            let one = run(1, &c);
            for &threads in cases(&[2, 3, 7], 1) {
                assert!(one == run(threads, &c), "{shape:?} {level} {threads} threads");
            }
        }
    }
}

#[test]
fn groups_that_divide_no_channels_are_refused_with_all_numbers() {
    let config = ConvConfig { out_channels: 8, kernel: 3, groups: 3, ..ConvConfig::default() };
    let error = Conv::plan(Dims::new(1, 6, 9, 9), config, Level::BASELINE).unwrap_err();
    assert_eq!(error.to_string(), "groups is 3, must divide the 6 channels read and the 8 written");
    let config = ConvConfig { groups: 0, ..config };
    assert!(Conv::plan(Dims::new(1, 6, 9, 9), config, Level::BASELINE).is_err());
}
