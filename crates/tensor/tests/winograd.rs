//! The input gradient by Winograd's forms, at every level.
//!
//! Three proofs: (1) on small integers the form of powers of two is exact, so every index, tail and border is
//! right to the bit; (2) the matrices that the kernels multiply with, written out here, correlate; (3) on normal
//! numbers no element is farther from the f64 reference than the bound on the rounding of these matrices allows:
//!
//! ```text
//! |dx − reference| ≤ γ_k·Σ_o |Aᵀ|·[(|G|·|w|·|Gᵀ|) ⊙ (|Bᵀ|·|g|·|B|)]·|A|        k = r + O + 1
//! ```
//! O channels are O additions of products rounded once; r counts the roundings of the transforms on the longest
//! way from an operand to dx, coefficients included, for two dimensions.

use spikegrad_tensor::conv::{Conv, ConvConfig, InputGradient};
use spikegrad_tensor::rng::Rng;
use spikegrad_tensor::{Dims, Level, Tensor, Workers};
use spikegrad_testkit::check::{Tolerance, assert_agree, assert_close, cases, dot, magnitudes, widen};
use spikegrad_testkit::conv as reference;
use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

const FORMS: [InputGradient; 2] = [InputGradient::Winograd2, InputGradient::Winograd4];

/// (images, input channels, rows, columns, output channels, padding)
type Shape = [usize; 6];

const SHAPES: &[Shape] = cases(
    &[
        [1, 1, 1, 1, 1, 1],
        [2, 3, 1, 3, 2, 2],
        [3, 2, 2, 2, 5, 1],
        [2, 5, 3, 3, 3, 0],
        [2, 16, 4, 4, 16, 1],
        [1, 15, 5, 9, 17, 1],
        [2, 17, 6, 5, 15, 2],
        [1, 4, 7, 8, 33, 0],
        [13, 16, 8, 8, 16, 1],
        [5, 20, 9, 7, 18, 1],
        [1, 130, 11, 13, 3, 1],
        [2, 3, 17, 19, 48, 2],
        [1, 33, 32, 32, 32, 1],
        [51, 2, 2, 3, 4, 1],
        [2, 2, 5, 4, 3, 4],
        // Weights in several groups of input channels, the last of an odd number of blocks.
        [2, 520, 3, 5, 300, 1],
    ],
    3,
);

struct Case {
    conv: Conv,
    shape: reference::Conv,
    weight: Vec<f32>,
    g: Vec<f32>,
}

/// A case of numbers drawn by `value`.
fn case(shape: Shape, form: InputGradient, level: Level, value: impl Fn(&mut Rng) -> f32) -> Case {
    let [n, ci, h, w, co, pad] = shape;
    let config = ConvConfig { out_channels: co, kernel: 3, stride: 1, padding: pad, ..ConvConfig::default() };
    let mut conv = Conv::plan(Dims::new(n, ci, h, w), config, level).expect("a valid shape");
    conv.set_input_gradient(form);
    let mut rng = Rng::new(11);
    let weight = (0..conv.weight_len()).map(|_| value(&mut rng)).collect();
    let g = (0..conv.output().len()).map(|_| value(&mut rng)).collect();
    Case { conv, shape: reference::Conv { n, ci, h, w, co, k: 3, stride: 1, pad }, weight, g }
}

fn integer(rng: &mut Rng) -> f32 {
    rng.below(9) as f32 - 4.0
}

/// dx, added to `seed` unless that is NaN.
fn input_gradient(c: &mut Case, seed: f32, workers: &mut Workers) -> Vec<f32> {
    let g = Tensor::from_nchw(c.conv.output(), &c.g).unwrap();
    let mut dx = Tensor::zeros(c.conv.input());
    dx.copy_from_nchw(&vec![seed; c.conv.input().len()]);
    c.conv.backward_input(&g, &c.weight, &mut dx, !seed.is_nan(), workers);
    let back = Tensor::from_nchw(dx.dims(), &dx.to_nchw()).unwrap();
    let bits = |tensor: &Tensor| tensor.floats().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert!(bits(&dx) == bits(&back), "padding lanes are zero");
    dx.to_nchw()
}

/// Runs `test` for every form, level and shape.
fn for_all(test: impl Fn(InputGradient, Level, Shape)) {
    for form in FORMS {
        for level in Level::available() {
            SHAPES.iter().for_each(|&shape| test(form, level, shape));
        }
    }
}

/// Rows of a matrix.
type Matrix = Vec<Vec<f64>>;

/// Aᵀ, G, Bᵀ of a form and the roundings r.
struct Matrices {
    output: Matrix,
    filter: Matrix,
    source: Matrix,
    roundings: usize,
}

fn matrices(form: InputGradient) -> Matrices {
    let rows = |rows: &[&[f64]]| -> Matrix { rows.iter().map(|row| row.to_vec()).collect() };
    let (a, b) = (FRAC_1_SQRT_2, SQRT_2);
    match form {
        InputGradient::Winograd2 => Matrices {
            output: rows(&[&[1.0, 1.0, 1.0, 0.0], &[0.0, 1.0, -1.0, -1.0]]),
            filter: rows(&[&[1.0, 0.0, 0.0], &[0.5, 0.5, 0.5], &[0.5, -0.5, 0.5], &[0.0, 0.0, 1.0]]),
            source: rows(&[
                &[1.0, 0.0, -1.0, 0.0],
                &[0.0, 1.0, 1.0, 0.0],
                &[0.0, -1.0, 1.0, 0.0],
                &[0.0, 1.0, 0.0, -1.0],
            ]),
            // Filter 2 (two sums), source 1, output 2, each twice.
            roundings: 10,
        },
        _ => Matrices {
            output: rows(&[
                &[1.0, 1.0, 1.0, 1.0, 1.0, 0.0],
                &[0.0, a, -a, b, -b, 0.0],
                &[0.0, 0.5, 0.5, 2.0, 2.0, 0.0],
                &[0.0, a / 2.0, -a / 2.0, 2.0 * b, -2.0 * b, 1.0],
            ]),
            filter: rows(&[
                &[1.0, 0.0, 0.0],
                &[-2.0 / 3.0, -b / 3.0, -1.0 / 3.0],
                &[-2.0 / 3.0, b / 3.0, -1.0 / 3.0],
                &[1.0 / 6.0, b / 6.0, 1.0 / 3.0],
                &[1.0 / 6.0, -b / 6.0, 1.0 / 3.0],
                &[0.0, 0.0, 1.0],
            ]),
            source: rows(&[
                &[1.0, 0.0, -2.5, 0.0, 1.0, 0.0],
                &[0.0, -b, -2.0, a, 1.0, 0.0],
                &[0.0, b, -2.0, -a, 1.0, 0.0],
                &[0.0, -a, -0.5, b, 1.0, 0.0],
                &[0.0, a, -0.5, -b, 1.0, 0.0],
                &[0.0, 1.0, 0.0, -2.5, 0.0, 1.0],
            ]),
            // Filter 4 (√2 and its third, product, sum), source 4 (sum, √½, product, sum), output 5 (difference,
            // √8, product, two sums), each twice.
            roundings: 26,
        },
    }
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    let columns = b[0].len();
    a.iter()
        .map(|row| (0..columns).map(|j| row.iter().zip(b).map(|(a, b)| a * b[j]).sum()).collect())
        .collect()
}

/// m·x·mᵀ.
fn both_ways(m: &Matrix, x: &Matrix) -> Matrix {
    let transposed = (0..m[0].len()).map(|j| m.iter().map(|row| row[j]).collect()).collect();
    product(&product(m, x), &transposed)
}

/// dx by the matrices, in f64.
fn by_matrices(m: &Matrices, s: &reference::Conv, g: &[f64], weight: &[f64]) -> Vec<f64> {
    let (tile, size) = (m.output.len(), m.source.len());
    let (oh, ow) = (s.out_h(), s.out_w());
    let filters: Vec<Matrix> = weight
        .chunks(9)
        .map(|w| {
            let turned = (0..3).map(|y| (0..3).map(|x| w[8 - 3 * y - x]).collect()).collect();
            both_ways(&m.filter, &turned)
        })
        .collect();
    let mut dx = vec![0.0; s.x_len()];
    let grid = (s.h.div_ceil(tile), s.w.div_ceil(tile));
    for t in 0..s.n * grid.0 * grid.1 {
        let (n, y, x) = (t / (grid.0 * grid.1), t / grid.1 % grid.0 * tile, t % grid.1 * tile);
        let at = |o: usize, y: usize, x: usize| match ((y + s.pad).checked_sub(2), (x + s.pad).checked_sub(2))
        {
            (Some(y), Some(x)) if y < oh && x < ow => g[((n * s.co + o) * oh + y) * ow + x],
            _ => 0.0,
        };
        let square = |o| (0..size).map(|j| (0..size).map(|i| at(o, y + j, x + i)).collect()).collect();
        let sources: Vec<Matrix> = (0..s.co).map(|o| both_ways(&m.source, &square(o))).collect();
        for i in 0..s.ci {
            let mut sum = vec![vec![0.0; size]; size];
            for (o, source) in sources.iter().enumerate() {
                let filter = &filters[o * s.ci + i];
                let terms = source.iter().flatten().zip(filter.iter().flatten());
                sum.iter_mut().flatten().zip(terms).for_each(|(sum, (v, u))| *sum += v * u);
            }
            for (y, row) in (y..s.h).zip(both_ways(&m.output, &sum)) {
                for (x, value) in (x..s.w).zip(row) {
                    dx[((n * s.ci + i) * s.h + y) * s.w + x] = value;
                }
            }
        }
    }
    dx
}

fn absolute(m: &Matrices) -> Matrices {
    let abs = |m: &Matrix| m.iter().map(|row| magnitudes(row)).collect();
    Matrices {
        output: abs(&m.output),
        filter: abs(&m.filter),
        source: abs(&m.source),
        roundings: m.roundings,
    }
}

/// α: what a form's rounding grows by in one dimension.
fn growth(m: &Matrices) -> f64 {
    let m = absolute(m);
    let norms: Vec<f64> = m.source.iter().map(|row| row.iter().sum()).collect();
    let grown = |output: &[f64], t: usize| -> f64 {
        output.iter().zip(&m.filter).zip(&norms).map(|((a, g), b)| a * g[t] * b).sum()
    };
    m.output.iter().flat_map(|output| [0, 1, 2].map(|t| grown(output, t))).fold(0.0, f64::max)
}

#[test]
fn growth_is_as_documented() {
    assert_eq!(growth(&matrices(InputGradient::Winograd2)).powi(2), 16.0);
    assert_eq!(growth(&matrices(InputGradient::Winograd4)).powi(2).round(), 157.0);
}

#[test]
fn powers_of_two_are_exact_on_integers() {
    for level in Level::available() {
        for &shape in SHAPES {
            let mut c = case(shape, InputGradient::Winograd2, level, integer);
            let want = reference::conv_input_grad(&c.shape, &widen(&c.g), &widen(&c.weight));
            let got = input_gradient(&mut c, f32::NAN, &mut Workers::new());
            assert_eq!(widen(&got), want, "{shape:?} {level}");
            let got = input_gradient(&mut c, 3.0, &mut Workers::new());
            assert!(got.iter().zip(&want).all(|(&x, &want)| f64::from(x) == want + 3.0), "{shape:?} {level}");
        }
    }
}

#[test]
fn every_form_is_within_the_bound_of_its_matrices() {
    for form in FORMS {
        let m = matrices(form);
        for &shape in SHAPES {
            let c = case(shape, form, Level::BASELINE, Rng::normal);
            let (g, weight) = (widen(&c.g), widen(&c.weight));
            let want = reference::conv_input_grad(&c.shape, &g, &weight);
            assert_agree(
                &format!("{form:?} {shape:?}"),
                &by_matrices(&m, &c.shape, &g, &weight),
                &want,
                1e-12,
            );
            let magnitude = by_matrices(&absolute(&m), &c.shape, &magnitudes(&g), &magnitudes(&weight));
            for level in Level::available() {
                let got =
                    input_gradient(&mut case(shape, form, level, Rng::normal), f32::NAN, &mut Workers::new());
                let tolerance = Tolerance::Dot { k: m.roundings + c.shape.co + 1, magnitude: &magnitude };
                assert_close(&format!("{form:?} {shape:?} {level}"), &got, &want, tolerance);
            }
        }
    }
}

#[test]
fn gradients_are_added_where_asked() {
    for_all(|form, level, shape| {
        let mut c = case(shape, form, level, Rng::normal);
        let dx = input_gradient(&mut c, f32::NAN, &mut Workers::new());
        let on_one = input_gradient(&mut c, 1.0, &mut Workers::new());
        assert!(dx.iter().zip(&on_one).all(|(x, on_one)| 1.0 + x == *on_one), "{form:?} {shape:?} {level}");
    });
}

#[test]
fn it_is_the_adjoint_of_the_forward() {
    for_all(|form, level, shape| {
        let mut c = case(shape, form, level, integer);
        let (input, workers) = (c.conv.input(), &mut Workers::new());
        let mut rng = Rng::new(5);
        let x: Vec<f32> = (0..input.len()).map(|_| integer(&mut rng)).collect();
        let mut y = Tensor::zeros(c.conv.output());
        c.conv.forward_dense(&Tensor::from_nchw(input, &x).unwrap(), &c.weight, &mut y, workers);
        let dx = input_gradient(&mut c, f32::NAN, workers);
        let (left, right) = (dot(&widen(&y.to_nchw()), &widen(&c.g)), dot(&widen(&x), &widen(&dx)));
        // y is exact on integers, so only dx rounds.
        let m = absolute(&matrices(form));
        let size = by_matrices(&m, &c.shape, &magnitudes(&widen(&c.g)), &magnitudes(&widen(&c.weight)));
        let tolerance = Tolerance::Dot { k: m.roundings + c.shape.co + 1, magnitude: &size };
        let bound = (0..dx.len()).map(|i| f64::from(x[i].abs()) * tolerance.bound(i, 0.0, 0.0)).sum::<f64>();
        assert!(
            (left - right).abs() <= bound,
            "{form:?} {shape:?} {level}: {left} against {right}, {bound:e}"
        );
    });
}

#[test]
fn what_workers_held_before_is_not_seen() {
    for_all(|form, level, shape| {
        let mut workers = Workers::new();
        let mut large = case([3, 48, 12, 12, 40, 1], form, level, |_| f32::NAN);
        input_gradient(&mut large, f32::NAN, &mut workers);
        let mut c = case(shape, form, level, Rng::normal);
        let dirty = input_gradient(&mut c, f32::NAN, &mut workers);
        assert!(dirty == input_gradient(&mut c, f32::NAN, &mut Workers::new()), "{form:?} {shape:?} {level}");
    });
}

#[cfg(feature = "parallel")]
#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let run = |threads: usize, form, level, shape| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            input_gradient(&mut case(shape, form, level, Rng::normal), f32::NAN, &mut Workers::new())
        })
    };
    for_all(|form, level, shape| {
        let one = run(1, form, level, shape);
        for &threads in cases(&[2, 3, 7], 1) {
            assert!(one == run(threads, form, level, shape), "{form:?} {shape:?} {level} {threads} threads");
        }
    });
}

#[test]
fn only_3x3_with_stride_1_has_forms() {
    let plan = |side, kernel, stride| {
        let config = ConvConfig { out_channels: 32, kernel, stride, padding: 1, ..ConvConfig::default() };
        Conv::plan(Dims::new(2, 32, side, side), config, Level::BASELINE).unwrap()
    };
    assert_eq!(plan(16, 3, 1).input_gradient(), InputGradient::Winograd4);
    assert_eq!(plan(1, 3, 1).input_gradient(), InputGradient::Direct);
    for (kernel, stride) in [(3, 2), (1, 1), (5, 1)] {
        let mut conv = plan(16, kernel, stride);
        assert_eq!(conv.input_gradient(), InputGradient::Direct);
        conv.set_input_gradient(InputGradient::Winograd4);
        assert_eq!(conv.input_gradient(), InputGradient::Direct);
    }
}
