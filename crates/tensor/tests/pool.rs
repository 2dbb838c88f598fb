//! Pooling and flattening against the f64 reference.

use spikegrad_tensor::pool::{AvgPool, flatten, flatten_backward};
use spikegrad_tensor::{Block, Dims, LANES, Tensor, Workers};
use spikegrad_testkit::check::{Tolerance, assert_close, cases, magnitudes, narrow, widen};
use spikegrad_testkit::pool::{
    Pool, avg_pool_backward, avg_pool_forward, global_avg_backward, global_avg_forward,
};
use spikegrad_testkit::rng::Rng;

/// (images, channels, rows, columns, window)
const SHAPES: &[(usize, usize, usize, usize, usize)] = cases(
    &[
        (1, 1, 2, 2, 2),
        (2, 15, 5, 7, 2),
        (3, 16, 8, 8, 2),
        (2, 17, 9, 11, 3),
        (1, 37, 4, 4, 4),
        (2, 3, 5, 5, 1),
        (1, 16, 7, 13, 5),
    ],
    4,
);

fn nan(dims: Dims) -> Tensor {
    let mut tensor = Tensor::zeros(dims);
    tensor.blocks_mut().fill(Block([f32::NAN; LANES]));
    tensor
}

fn random(dims: Dims, seed: u64) -> (Tensor, Vec<f64>) {
    let data = narrow(&Rng::new(seed).normals(dims.len()));
    (Tensor::from_nchw(dims, &data).unwrap(), widen(&data))
}

#[track_caller]
fn assert_padding(what: &str, tensor: &Tensor) {
    let back = Tensor::from_nchw(tensor.dims(), &tensor.to_nchw()).unwrap();
    assert_eq!(tensor.blocks(), back.blocks(), "{what}: padding lanes are zero");
}

#[test]
fn averages_match_the_reference() {
    for (seed, &(n, c, h, w, k)) in SHAPES.iter().enumerate() {
        let input = Dims::new(n, c, h, w);
        let pool = AvgPool::plan(input, (k, k)).unwrap();
        let reference = Pool { planes: n * c, h, w, k, stride: k };
        assert_eq!((pool.output().h, pool.output().w), (reference.out_h(), reference.out_w()));
        let what = format!("{:?}", SHAPES[seed]);
        let ((x, x64), (g, g64)) = (random(input, seed as u64), random(pool.output(), 77));
        let (mut y, mut dx) = (nan(pool.output()), nan(input));
        pool.forward(&x, &mut y, &mut Workers::new());
        pool.backward(&g, &mut dx, &mut Workers::new());
        let magnitude = avg_pool_forward(&reference, &magnitudes(&x64));
        let tolerance = Tolerance::Dot { k: k * k + 2, magnitude: &magnitude };
        assert_close(&format!("y {what}"), &y.to_nchw(), &avg_pool_forward(&reference, &x64), tolerance);
        let want = avg_pool_backward(&reference, &g64);
        assert_close(&format!("dx {what}"), &dx.to_nchw(), &want, Tolerance::Ulp(2));
        assert_padding(&what, &y);
        assert_padding(&what, &dx);
    }
}

#[test]
fn a_window_of_the_whole_image_is_the_global_average() {
    for (n, c, h, w) in [(2, 17, 3, 5), (1, 16, 1, 1), (3, 5, 7, 2)] {
        let input = Dims::new(n, c, h, w);
        let pool = AvgPool::plan(input, (h, w)).unwrap();
        let ((x, x64), (g, g64)) = (random(input, 1), random(pool.output(), 2));
        let (mut y, mut dx) = (nan(pool.output()), nan(input));
        pool.forward(&x, &mut y, &mut Workers::new());
        pool.backward(&g, &mut dx, &mut Workers::new());
        let magnitude = global_avg_forward(&magnitudes(&x64), h * w);
        let tolerance = Tolerance::Dot { k: h * w + 2, magnitude: &magnitude };
        assert_close("global y", &y.to_nchw(), &global_avg_forward(&x64, h * w), tolerance);
        assert_close("global dx", &dx.to_nchw(), &global_avg_backward(&g64, h * w), Tolerance::Ulp(2));
    }
}

#[test]
fn windows_may_be_oblong() {
    let input = Dims::new(1, 1, 2, 4);
    let pool = AvgPool::plan(input, (1, 3)).unwrap();
    let x = Tensor::from_nchw(input, &[1.0, 2.0, 6.0, 9.0, -3.0, 0.0, 0.0, 9.0]).unwrap();
    let (mut y, mut dx) = (nan(pool.output()), nan(input));
    pool.forward(&x, &mut y, &mut Workers::new());
    assert_close("y", &y.to_nchw(), &[3.0, -1.0], Tolerance::Ulp(2));
    let g = Tensor::from_nchw(pool.output(), &[3.0, 6.0]).unwrap();
    pool.backward(&g, &mut dx, &mut Workers::new());
    assert_close("dx", &dx.to_nchw(), &[1.0, 1.0, 1.0, 0.0, 2.0, 2.0, 2.0, 0.0], Tolerance::Ulp(2));
}

#[test]
fn flatten_keeps_the_order_channel_row_column() {
    for (n, c, h, w) in [(1, 1, 1, 1), (2, 15, 2, 2), (3, 16, 1, 5), (2, 17, 3, 3), (1, 5, 11, 7)] {
        let (image, row) = (Dims::new(n, c, h, w), Dims::new(n, c * h * w, 1, 1));
        let (x, x64) = random(image, 4);
        // Every number is overwritten, padding lanes with zero.
        let mut features = nan(row);
        flatten(&x, &mut features);
        assert_close("features", &features.to_nchw(), &x64, Tolerance::Bits);
        let mut back = nan(image);
        flatten_backward(&features, &mut back);
        assert_close("image", &back.to_nchw(), &x64, Tolerance::Bits);
        assert_eq!(back.blocks(), x.blocks(), "padding lanes are zero");
        assert_padding("features", &features);
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    for &(n, c, h, w, k) in SHAPES {
        let input = Dims::new(n, c, h, w);
        let pool = AvgPool::plan(input, (k, k)).unwrap();
        let ((x, _), (g, _)) = (random(input, 5), random(pool.output(), 6));
        let run = |threads| {
            let pool_of = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool_of.install(|| {
                let (mut y, mut dx) = (nan(pool.output()), nan(input));
                pool.forward(&x, &mut y, &mut Workers::new());
                pool.backward(&g, &mut dx, &mut Workers::new());
                [y, dx].map(|t| t.floats().iter().map(|x| x.to_bits()).collect::<Vec<_>>())
            })
        };
        let one = run(1);
        for threads in [2, 3] {
            assert!(one == run(threads), "{input:?} window {k}: 1 and {threads} threads differ");
        }
    }
}

#[test]
fn impossible_windows_are_refused() {
    let input = Dims::new(1, 3, 4, 5);
    for window in [(0, 1), (1, 0), (5, 1), (1, 6)] {
        let error = AvgPool::plan(input, window).unwrap_err().to_string();
        assert!(error.contains("4×5"), "{error} names the image");
    }
}
