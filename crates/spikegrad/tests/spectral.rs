//! Measured Lipschitz constants against the singular values of operators written out as matrices.

mod common;

use common::{Case, Setup};
use spikegrad::models::{Net, NetKind, PowerIteration};
use spikegrad::tensor::Level;
use spikegrad_testkit::check::widen;
use spikegrad_testkit::conv::{Conv, conv_forward};

/// Settles where rounding hides any further growth.
const ITERATION: PowerIteration = PowerIteration { rounds: 5000, tolerance: 0.0, seed: 1 };
/// A growth that rounding (1e-7) hides, a hundred times over: singular values of convolutions lie close together.
const BOUND: f64 = 1e-5;

/// The largest singular value of a matrix of columns, by Jacobi rotations that make the columns orthogonal.
fn largest_singular_value(mut columns: Vec<Vec<f64>>) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for _ in 0..60 {
        let mut off = 0.0f64;
        for i in 0..columns.len() {
            for j in i + 1..columns.len() {
                let (a, b) = (dot(&columns[i], &columns[i]), dot(&columns[j], &columns[j]));
                let c = dot(&columns[i], &columns[j]);
                if c == 0.0 {
                    continue;
                }
                off = off.max(c.abs() / (a * b).sqrt());
                let zeta = (b - a) / (2.0 * c);
                let t = zeta.signum() / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
                let cos = 1.0 / (1.0 + t * t).sqrt();
                let (head, tail) = columns.split_at_mut(j);
                for (x, y) in head[i].iter_mut().zip(&mut tail[0]) {
                    (*x, *y) = (cos * (*x - t * *y), cos * (*y + t * *x));
                }
            }
        }
        if off < 1e-12 {
            break;
        }
    }
    columns.iter().map(|column| dot(column, column).sqrt()).fold(0.0, f64::max)
}

/// σ of the convolution `name` of `net` from its matrix, with the batch norm `norm` of the running estimates.
fn reference(net: &Net, name: &str, norm: &str, conv: Conv) -> f64 {
    let params = net.params();
    let weight = widen(params.get(&format!("{name}.weight")).unwrap());
    let gamma = params.get(&format!("{norm}.weight")).unwrap();
    let entry = params.buffer_entries.iter().find(|e| e.name == format!("{norm}.running_var")).unwrap();
    let var = &params.buffers[entry.range.clone()];
    let scale: Vec<f64> =
        gamma.iter().zip(var).map(|(g, v)| f64::from(*g) / (f64::from(*v) + 1e-5).sqrt()).collect();
    let columns = (0..conv.x_len()).map(|i| {
        let mut x = vec![0.0; conv.x_len()];
        x[i] = 1.0;
        let y = conv_forward(&conv, &x, &weight);
        y.iter().enumerate().map(|(at, y)| y * scale[at / (conv.out_h() * conv.out_w())]).collect()
    });
    largest_singular_value(columns.collect())
}

#[test]
fn constants_are_the_largest_singular_values() {
    let case = Case::find(&Setup::new(NetKind::ResNet19, 8, 8, 0.03), 1);
    for level in Level::available() {
        let net = case.net(level);
        let constants = net.lipschitz_constants(&ITERATION);
        let get = |name: &str| {
            let found =
                constants.iter().find(|c| c.layer == name).unwrap_or_else(|| panic!("{name} is there"));
            assert!(found.settled, "{found:?}");
            found.sigma
        };
        let of =
            |name: &str| net.params().entries.iter().find(|e| e.name == format!("{name}.weight")).unwrap();
        // Stem, a kernel of stride 2, a 1×1 kernel of stride 2.
        for (name, norm, side, stride) in [
            ("conv1", "bn1", 8, 1),
            ("layer2.0.conv1", "layer2.0.bn1", 8, 2),
            ("layer2.0.downsample.0", "layer2.0.downsample.1", 8, 2),
        ] {
            let shape = &of(name).shape;
            let (co, ci, k) = (shape[0], shape[1], shape[2]);
            let conv = Conv { n: 1, ci, h: side, w: side, co, k, stride, pad: k / 2 };
            let (got, want) = (get(name), reference(&net, name, norm, conv));
            assert!((got - want).abs() <= BOUND * want, "{name} at {level}: got {got}, want {want}");
        }
        let (shape, weight) = (&of("fc1").shape, net.params().get("fc1.weight").unwrap());
        let column = |i: usize| weight.iter().skip(i).step_by(shape[1]).map(|w| f64::from(*w)).collect();
        let want = largest_singular_value((0..shape[1]).map(column).collect());
        assert!((get("fc1") - want).abs() <= BOUND * want, "fc1: got {}, want {want}", get("fc1"));
    }
}

#[test]
fn every_layer_with_weights_is_measured() {
    let net = Case::find(&Setup::new(NetKind::LeNet, 8, 8, 0.1), 1).net(Level::BASELINE);
    let names: Vec<String> =
        net.lipschitz_constants(&PowerIteration::default()).into_iter().map(|c| c.layer).collect();
    assert_eq!(names, ["conv1", "conv2", "fc1", "fc2", "fc3"]);
}
