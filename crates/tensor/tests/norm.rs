//! Batch norm's statistics, running estimates and backward map, at every level, against the f64 reference.

use spikegrad_tensor::norm::{Affine, Statistics, backward_affine};
use spikegrad_tensor::{Block, Dims, LANES, Level, Tensor, Workers};
use spikegrad_testkit::check::{Tolerance, assert_close, cases, narrow, widen};
use spikegrad_testkit::norm::{EPS, Norm, norm_backward, norm_forward, norm_running};
use spikegrad_testkit::rng::Rng;

/// (images, channels, rows, columns)
const SHAPES: &[(usize, usize, usize, usize)] = cases(
    &[
        (2, 1, 1, 1),
        (1, 15, 3, 5),
        (3, 16, 1, 1),
        (5, 17, 7, 11),
        (2, 37, 13, 1),
        (17, 3, 8, 8),
        (33, 16, 2, 2),
        (1, 2, 31, 31),
    ],
    5,
);

/// Numbers of `f32` that are added up before a sum moves to `f64`.
const RUN: usize = 64;

struct Case {
    dims: Dims,
    norm: Norm,
    y: Vec<f32>,
    dz: Vec<f32>,
    gamma: Vec<f32>,
}

fn case((n, c, h, w): (usize, usize, usize, usize), offset: f64, seed: u64) -> Case {
    let (dims, mut rng) = (Dims::new(n, c, h, w), Rng::new(seed));
    let y = (0..dims.len()).map(|_| (offset + rng.normal()) as f32).collect();
    let dz = narrow(&rng.normals(dims.len()));
    Case { dims, norm: Norm { n, c, hw: h * w, eps: EPS }, y, dz, gamma: narrow(&rng.uniforms(c, 0.5, 1.5)) }
}

fn on_threads<T: Send>(threads: usize, f: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(f)
}

fn measure(case: &Case, level: Level) -> Statistics {
    let mut statistics = Statistics::new(case.dims.blocks());
    let y = Tensor::from_nchw(case.dims, &case.y).unwrap();
    // Twice, the first time of other numbers: nothing may stay.
    let other = Tensor::from_nchw(case.dims, &case.dz).unwrap();
    statistics.measure(&other, level, &mut Workers::new());
    statistics.measure(&y, level, &mut Workers::new());
    statistics
}

/// How far values lie from k, the first value of their plane: means of |y − k| and (y − k)² over each channel, and of
/// |mean_p − mean|·(mean of |y − k| in the plane p) over planes.
struct Spread {
    reach: Vec<f64>,
    square: Vec<f64>,
    between: Vec<f64>,
}

fn spread(case: &Case, mean: &[f64]) -> Spread {
    let (c, hw) = (case.dims.c, case.dims.pixels());
    let [mut reach, mut square, mut between] = [0, 1, 2].map(|_| vec![0.0; c]);
    for (p, plane) in case.y.chunks(hw).enumerate() {
        let k = f64::from(plane[0]);
        let average =
            |f: &dyn Fn(f64) -> f64| plane.iter().map(|&y| f(f64::from(y))).sum::<f64>() / hw as f64;
        let of_plane = average(&|y| (y - k).abs());
        let planes = case.dims.n as f64;
        reach[p % c] += of_plane / planes;
        square[p % c] += average(&|y| (y - k).powi(2)) / planes;
        between[p % c] += (average(&|y| y) - mean[p % c]).abs() * of_plane / planes;
    }
    Spread { reach, square, between }
}

fn check_statistics(what: &str, case: &Case, statistics: &Statistics) {
    let c = case.dims.c;
    let (zeros, ones) = (vec![0.0; c], vec![1.0; c]);
    let want = norm_forward(&case.norm, &widen(&case.y), &ones, &zeros);
    let Spread { reach, square, between } = spread(case, &want.mean);
    let magnitude: Vec<f64> = (0..c).map(|c| reach[c] + want.mean[c].abs()).collect();
    let sum = |magnitude| Tolerance::Dot { k: RUN + 4, magnitude };
    assert_close(&format!("mean {what}"), &statistics.mean[..c], &want.mean, sum(&magnitude));
    // A plane's E(y − k)² − (E(y − k))²: the second term is at most the first, and its error twice as large. Between
    // planes, (mean_p − mean)² is off by twice its root times the error of mean_p.
    // The variance itself is rounded once.
    let square: Vec<f64> = (0..c).map(|c| square[c] + between[c] + want.var[c]).collect();
    let magnitude: Vec<f64> = square.iter().map(|s| 3.0 * s).collect();
    assert_close(&format!("var {what}"), &statistics.var[..c], &want.var, sum(&magnitude));
    // ∂(v + ε)^(−1/2) = −½·(v + ε)^(−3/2)·∂v.
    let inv_std: Vec<f64> = want.var.iter().map(|v| 1.0 / (v + EPS).sqrt()).collect();
    let magnitude: Vec<f64> = (0..c).map(|c| inv_std[c] + 1.5 * inv_std[c].powi(3) * square[c]).collect();
    assert_close(&format!("inv_std {what}"), &statistics.inv_std[..c], &inv_std, sum(&magnitude));
}

/// What a layer derives from the statistics and the two sums of each channel, with magnitudes for bounds.
struct Sums {
    affine: Vec<Affine>,
    sum: Vec<f64>,
    sum_hat: Vec<f64>,
    /// Σ|dz·x̂|, and what the mean's error, in the unit of a sum's bound, moves Σ dz·x̂ by.
    hats: Vec<f64>,
    /// Error of the mean in that unit: its own sum's, and one rounding.
    mean: Vec<f64>,
}

fn sums(case: &Case, statistics: &Statistics) -> Sums {
    let (c, hw, count) = (case.dims.c, case.dims.pixels(), case.norm.count());
    let mut affine = vec![Affine::default(); case.dims.blocks()];
    let (mut sum, mut sum_hat, mut hats) = (vec![0.0; c], vec![0.0; c], vec![0.0; c]);
    for (i, &dz) in case.dz.iter().enumerate() {
        let k = i / hw % c;
        let hat = (f64::from(case.y[i]) - f64::from(statistics.mean[k])) * f64::from(statistics.inv_std[k]);
        sum[k] += f64::from(dz);
        sum_hat[k] += f64::from(dz) * hat;
        hats[k] += (f64::from(dz) * hat).abs();
    }
    let mut mean = spread(case, &widen(&statistics.mean)).reach;
    for k in 0..c {
        let inv_std = f64::from(statistics.inv_std[k]);
        let a = f64::from(case.gamma[k]) * inv_std;
        let to = &mut affine[k / LANES];
        to.a.0[k % LANES] = a as f32;
        to.mean.0[k % LANES] = statistics.mean[k];
        to.b.0[k % LANES] = (-a * inv_std * sum_hat[k] / count) as f32;
        to.c.0[k % LANES] = (-a * sum[k] / count) as f32;
        mean[k] += f64::from(statistics.mean[k]).abs() / (RUN + 4) as f64;
        hats[k] += (mean[k] * inv_std * sum[k]).abs();
    }
    Sums { affine, sum, sum_hat, hats, mean }
}

fn backward(case: &Case, affine: &[Affine], level: Level) -> Tensor {
    let tensor = |data: &[f32]| Tensor::from_nchw(case.dims, data).unwrap();
    let mut dy = tensor(&case.y);
    backward_affine(affine, &tensor(&case.dz), &mut dy, level, &mut Workers::new());
    dy
}

fn check_backward(what: &str, case: &Case, level: Level) {
    let statistics = measure(case, level);
    let Sums { affine, sum, sum_hat, hats, mean } = sums(case, &statistics);
    let dy = backward(case, &affine, level);
    let (c, hw) = (case.dims.c, case.dims.pixels());
    let (zeros, y) = (vec![0.0; c], widen(&case.y));
    let forward = norm_forward(&case.norm, &y, &widen(&case.gamma), &zeros);
    let gamma = widen(&case.gamma);
    let want = norm_backward(&case.norm, &y, &gamma, (&forward.mean, &forward.var), &widen(&case.dz));
    let size = |i: usize| {
        let (k, lane, y) = (i / hw % c, i / hw % c % LANES, f64::from(case.y[i]));
        let wide = |block: &Block| f64::from(block.0[lane]);
        let Affine { a, b, c, mean: centre } = &affine[k / LANES];
        let (a, b, c, centred) = (wide(a), wide(b), wide(c), y - wide(centre));
        let hat = centred * f64::from(statistics.inv_std[k]);
        let moved = (a * hat * hats[k]).abs() / case.norm.count();
        (a * f64::from(case.dz[i])).abs() + b.abs() * (centred.abs() + mean[k]) + c.abs() + moved
    };
    let magnitude: Vec<f64> = (0..case.y.len()).map(size).collect();
    let tolerance = Tolerance::Dot { k: RUN + 8, magnitude: &magnitude };
    assert_close(&format!("dy {what}"), &dy.to_nchw(), &want.x, tolerance);
    let back = Tensor::from_nchw(case.dims, &dy.to_nchw()).unwrap();
    assert_eq!(dy.blocks(), back.blocks(), "{what}: padding lanes are zero");
    for k in 0..c {
        let near = (sum[k] - want.beta[k]).abs() <= 1e-9;
        assert!(near, "sum {what}: index {k}: got {}, want {}, bound 1e-9", sum[k], want.beta[k]);
        let bound = Tolerance::Dot { k: RUN + 4, magnitude: &hats }.bound(k, want.gamma[k], 0.0);
        let near = (sum_hat[k] - want.gamma[k]).abs() <= bound;
        assert!(near, "sum_hat {what}: index {k}: got {}, want {}, bound {bound}", sum_hat[k], want.gamma[k]);
    }
}

#[test]
fn statistics_match_the_reference() {
    for level in Level::available() {
        for (seed, &shape) in SHAPES.iter().enumerate() {
            for offset in [0.0, -3.0] {
                let case = case(shape, offset, seed as u64);
                let what = format!("{shape:?} offset {offset} {level}");
                check_statistics(&what, &case, &measure(&case, level));
            }
        }
    }
}

#[test]
fn backward_matches_the_reference() {
    for level in Level::available() {
        for (seed, &shape) in SHAPES.iter().enumerate() {
            check_backward(&format!("{shape:?} {level}"), &case(shape, 0.5, seed as u64), level);
        }
    }
}

#[test]
fn a_large_mean_costs_no_accuracy() {
    for level in Level::available() {
        for &shape in &SHAPES[3..] {
            let case = case(shape, 1e4, 5);
            let what = format!("{shape:?} mean 1e4 {level}");
            let statistics = measure(&case, level);
            check_statistics(&what, &case, &statistics);
            let zeros = vec![0.0; case.dims.c];
            let want = norm_forward(&case.norm, &widen(&case.y), &zeros, &zeros);
            // Nothing of the size of the mean, whose square is 1e8 times the variance, enters.
            for (k, (&got, want)) in statistics.var.iter().zip(&want.var).enumerate() {
                let bound = 1e-4 * want;
                assert!(
                    (f64::from(got) - want).abs() <= bound,
                    "var {what}: index {k}: got {got}, want {want}, bound {bound}"
                );
            }
            check_backward(&what, &case, level);
        }
    }
}

#[test]
fn equal_numbers_have_no_variance() {
    for level in Level::available() {
        for value in [0.0, 0.1, -1e4] {
            let mut case = case((3, 17, 5, 7), 0.0, 1);
            case.y.fill(value);
            let statistics = measure(&case, level);
            for k in 0..17 {
                let got = (statistics.mean[k], statistics.var[k], statistics.inv_std[k]);
                let want = (value, 0.0, (1.0 / EPS.sqrt()) as f32);
                assert_eq!(got, want, "{level}: channel {k} of equal numbers {value}");
            }
        }
    }
}

#[test]
fn running_estimates_move_as_the_references_do() {
    for (seed, &shape) in SHAPES.iter().enumerate() {
        let case = case(shape, 2.0, seed as u64);
        let statistics = measure(&case, Level::BASELINE);
        let c = case.dims.c;
        let mut rng = Rng::new(9);
        let (mut mean, mut var) = (narrow(&rng.normals(c)), narrow(&rng.uniforms(c, 0.5, 2.0)));
        let before = (widen(&mean), widen(&var));
        let batch = (widen(&statistics.mean[..c]), widen(&statistics.var[..c]));
        let want = norm_running(&case.norm, (&before.0, &before.1), (&batch.0, &batch.1));
        statistics.update_running(case.dims.n * case.dims.pixels(), &mut mean, &mut var);
        let size = |old: &[f64], new: &[f64]| -> Vec<f64> {
            old.iter().zip(new).map(|(old, new)| old.abs() + 2.0 * new.abs()).collect()
        };
        let magnitude = size(&before.0, &batch.0);
        assert_close(
            &format!("running mean {shape:?}"),
            &mean,
            &want.0,
            Tolerance::Dot { k: 6, magnitude: &magnitude },
        );
        let magnitude = size(&before.1, &batch.1);
        assert_close(
            &format!("running var {shape:?}"),
            &var,
            &want.1,
            Tolerance::Dot { k: 6, magnitude: &magnitude },
        );
    }
}

#[test]
fn set_takes_the_running_estimates() {
    let mut statistics = Statistics::new(2);
    let mut rng = Rng::new(3);
    let (mean, var) = (narrow(&rng.normals(17)), narrow(&rng.uniforms(17, 0.0, 2.0)));
    statistics.set(&mean, &var);
    let want: Vec<f64> = var.iter().map(|&v| 1.0 / (f64::from(v) + EPS).sqrt()).collect();
    assert_close("mean", &statistics.mean[..17], &widen(&mean), Tolerance::Bits);
    assert_close("inv_std", &statistics.inv_std[..17], &want, Tolerance::Bits);
    assert!(statistics.inv_std[17..].iter().all(|&x| x == 0.0), "padding lanes stay zero");
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    for level in Level::available() {
        for (seed, &shape) in SHAPES.iter().enumerate() {
            let case = case(shape, 1.0, seed as u64);
            let run = |threads| {
                on_threads(threads, || {
                    let s = measure(&case, level);
                    let dy = backward(&case, &sums(&case, &s).affine, level);
                    [bits(&s.mean), bits(&s.var), bits(&s.inv_std), bits(dy.floats())]
                })
            };
            let one = run(1);
            for threads in [2, 3] {
                assert!(one == run(threads), "{shape:?} {level}: 1 and {threads} threads differ");
            }
        }
    }
}
