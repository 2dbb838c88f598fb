//! Max pooling against the definition, written out in f64, and against values by hand.

use spikegrad_tensor::max_pool::MaxPool;
use spikegrad_tensor::{Block, Dims, LANES, Spikes, Tensor, Workers};
use spikegrad_testkit::check::{Tolerance, assert_close, cases, narrow, widen};
use spikegrad_testkit::rng::Rng;

/// (images, channels, rows, columns, window, stride, padding)
const SHAPES: &[(usize, usize, usize, usize, usize, usize, usize)] = cases(
    &[
        (1, 1, 2, 2, 2, 2, 0),
        (2, 15, 5, 7, 2, 2, 0),
        (2, 17, 8, 9, 3, 2, 1),
        (1, 16, 7, 7, 3, 1, 1),
        (3, 33, 6, 5, 2, 3, 1),
        (1, 5, 4, 4, 4, 4, 0),
        (2, 3, 1, 1, 3, 2, 1),
    ],
    4,
);

/// Output and winners by the definition: −∞ around the image, the first of equals.
fn reference(x: &[f64], d: Dims, (k, s, p): (usize, usize, usize)) -> (Vec<f64>, Vec<usize>, Dims) {
    let sides = |side: usize| (side + 2 * p - k) / s + 1;
    let out = Dims { h: sides(d.h), w: sides(d.w), ..d };
    let (mut y, mut at) = (Vec::new(), Vec::new());
    for plane in 0..d.n * d.c {
        for q in 0..out.h * out.w {
            let (mut most, mut winner) = (f64::NEG_INFINITY, None);
            for tap in 0..k * k {
                let row = (q / out.w * s + tap / k) as isize - p as isize;
                let column = (q % out.w * s + tap % k) as isize - p as isize;
                if row < 0 || column < 0 || row >= d.h as isize || column >= d.w as isize {
                    continue;
                }
                let place = plane * d.h * d.w + row as usize * d.w + column as usize;
                if winner.is_none() || x[place] > most {
                    (most, winner) = (x[place], Some(place));
                }
            }
            y.push(most);
            at.push(winner.unwrap());
        }
    }
    (y, at, out)
}

fn nan(dims: Dims) -> Tensor {
    let mut tensor = Tensor::zeros(dims);
    tensor.blocks_mut().fill(Block([f32::NAN; LANES]));
    tensor
}

#[test]
fn values_and_spikes_match_the_definition() {
    for (seed, &(n, c, h, w, k, s, p)) in SHAPES.iter().enumerate() {
        let d = Dims::new(n, c, h, w);
        let pool = MaxPool::plan(d, k, s, p).unwrap();
        for share in [None, Some(0.0), Some(0.3), Some(1.0)] {
            let normals = narrow(&Rng::new(seed as u64).normals(d.len()));
            let data: Vec<f32> = match share {
                // Steps of a quarter make equals.
                None => normals.iter().map(|x| (x * 4.0).round() / 4.0).collect(),
                Some(share) => {
                    let fires = |(i, _): (usize, &f32)| f32::from((i as f64 * 0.618).fract() < share);
                    normals.iter().enumerate().map(fires).collect()
                }
            };
            let x = Tensor::from_nchw(d, &data).unwrap();
            let (want, at, out) = reference(&widen(&data), d, (k, s, p));
            assert_eq!(pool.output(), out);
            let g = narrow(&Rng::new(9).normals(out.len()));
            let mut want_dx = vec![0.0; d.len()];
            at.iter().zip(&g).for_each(|(&at, &g)| want_dx[at] += f64::from(g));
            let gradient = Tensor::from_nchw(out, &g).unwrap();
            let magnitude: Vec<f64> = vec![k.pow(2) as f64 * 5.0; d.len()];
            let tolerance = || Tolerance::Dot { k: k * k, magnitude: &magnitude };
            let mut workers = Workers::new();
            let (mut y, mut dx) = (nan(out), nan(d));
            pool.forward(&x, &mut y, &mut workers);
            pool.backward(&x, &gradient, &mut dx, &mut workers);
            assert_close("y", &y.to_nchw(), &want, Tolerance::Bits);
            assert_close("dx", &dx.to_nchw(), &want_dx, tolerance());
            if share.is_some() {
                let (x, mut bits, mut dx) = (Spikes::from_tensor(&x), Spikes::from_tensor(&nan(out)), nan(d));
                pool.forward_spikes(&x, &mut bits, &mut workers);
                pool.backward_spikes(&x, &gradient, &mut dx, &mut workers);
                bits.unpack(&mut y);
                assert_close("spikes", &y.to_nchw(), &want, Tolerance::Bits);
                assert_close("dx of spikes", &dx.to_nchw(), &want_dx, tolerance());
            }
        }
    }
}

/// What PyTorch 2.15's `max_pool2d` answers: the first pixel of equals; 1 of `[0 1; 1 1]`.
#[test]
fn the_first_of_equals_wins() {
    let d = Dims::new(1, 1, 2, 2);
    let pool = MaxPool::plan(d, 2, 2, 0).unwrap();
    for (x, want) in [([0.0; 4], 0), ([1.0; 4], 0), ([0.0, 1.0, 1.0, 1.0], 1), ([-3.0, -2.0, -1.0, -1.0], 2)]
    {
        let x = Tensor::from_nchw(d, &x).unwrap();
        let g = Tensor::from_nchw(pool.output(), &[7.0]).unwrap();
        let mut dx = nan(d);
        pool.backward(&x, &g, &mut dx, &mut Workers::new());
        let want: Vec<f32> = (0..4).map(|k| if k == want { 7.0 } else { 0.0 }).collect();
        assert_eq!(dx.to_nchw(), want);
    }
}

#[test]
fn not_a_number_wins() {
    let d = Dims::new(1, 1, 1, 3);
    let x = Tensor::from_nchw(d, &[1.0, f32::NAN, 2.0]).unwrap();
    let mut y = nan(Dims::new(1, 1, 1, 1));
    // Windows are square: one row of three is padded to three rows.
    MaxPool::plan(d, 3, 3, 1).unwrap().forward(&x, &mut y, &mut Workers::new());
    assert!(y.to_nchw()[0].is_nan());
}

#[test]
fn impossible_windows_are_refused() {
    let d = Dims::new(1, 1, 3, 4);
    for (k, s, p, want) in
        [(0, 1, 0, "at least 1"), (2, 0, 0, "at least 1"), (2, 1, 2, "half"), (4, 1, 0, "3×4")]
    {
        let error = MaxPool::plan(d, k, s, p).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    }
    assert!(MaxPool::plan(d, 4, 1, 1).is_ok());
}
