//! Measured Lipschitz constants against the singular values of operators written out as matrices.

mod common;

use common::{Case, Setup};
use spikegrad::models::params::Entry;
use spikegrad::models::{Lanczos, LayerSpec, Net, NetConfig, NetKind, Norm};
use spikegrad::tensor::Level;
use spikegrad_testkit::check::widen;
use spikegrad_testkit::conv::{Conv, conv_forward};

/// A hundred times the rounding of the convolutions (1e-7). Operators of some hundred inputs have no more singular
/// values, so that as many rounds find them all, far closer than the method promises.
const BOUND: f64 = 1e-5;
const EXACT: Lanczos = Lanczos { rounds: 5000, tolerance: 2e-4, seed: 1 };

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
    let net = case.net(Level::BASELINE);
    let of = |name: &str| net.params().entries.iter().find(|e| e.name == format!("{name}.weight")).unwrap();
    // Stem, a kernel of stride 2, a 1×1 kernel of stride 2.
    let convolutions = [
        ("conv1", "bn1", 8, 1),
        ("layer2.0.conv1", "layer2.0.bn1", 8, 2),
        ("layer2.0.downsample.0", "layer2.0.downsample.1", 8, 2),
    ];
    let mut wants: Vec<_> = convolutions
        .into_iter()
        .map(|(name, norm, side, stride)| {
            let shape = &of(name).shape;
            let (co, ci, k) = (shape[0], shape[1], shape[2]);
            let conv = Conv { n: 1, ci, h: side, w: side, co, k, stride, pad: k / 2 };
            (name, reference(&net, name, norm, conv))
        })
        .collect();
    let (shape, weight) = (&of("fc1").shape, net.params().get("fc1.weight").unwrap());
    let column = |i: usize| weight.iter().skip(i).step_by(shape[1]).map(|w| f64::from(*w)).collect();
    wants.push(("fc1", largest_singular_value((0..shape[1]).map(column).collect())));
    for level in Level::available() {
        let constants = case.net(level).lipschitz_constants(&EXACT);
        for (name, want) in &wants {
            let found =
                constants.iter().find(|c| c.layer == *name).unwrap_or_else(|| panic!("{name} is there"));
            assert!(found.settled, "{found:?}");
            let got = found.sigma;
            assert!((got - want).abs() <= BOUND * want, "{name} at {level}: got {got}, want {want}");
        }
    }
}

#[test]
fn every_layer_with_weights_is_measured() {
    let net = Case::find(&Setup::new(NetKind::LeNet, 8, 8, 0.1), 1).net(Level::BASELINE);
    let names: Vec<String> =
        net.lipschitz_constants(&Lanczos::default()).into_iter().map(|c| c.layer).collect();
    assert_eq!(names, ["conv1", "conv2", "fc1", "fc2", "fc3"]);
}

/// Plans a net of one layer of one's own, its first weight as given.
fn one_layer(layer: LayerSpec, (channels, side): (usize, usize), weight: impl Fn(usize) -> f32) -> Net {
    let config = NetConfig::custom(&[layer], channels, side, side, 2);
    let mut net = Net::plan(&config, 1, Level::detect().unwrap(), false).unwrap();
    let range = net.params().entries[0].range.clone();
    net.params_mut().weights[range].iter_mut().enumerate().for_each(|(i, w)| *w = weight(i));
    net
}

/// σ of the first layer by the default settings, which must be within its tolerance below `want`, for many first vectors.
fn check_default(net: &Net, want: f64, what: &str) {
    for seed in 0..8 {
        let method = Lanczos { seed, ..Lanczos::default() };
        let got = net.lipschitz_constants(&method).remove(0);
        assert!(got.settled, "{what}: {got:?}");
        let off = (got.sigma - want) / want;
        assert!(
            (-method.tolerance..1e-6).contains(&off),
            "{what}, seed {seed}: got {}, want {want}",
            got.sigma
        );
    }
}

/// The singular values of a diagonal matrix are its entries. They crowd below the largest: the growth of a power
/// iteration falls below any tolerance long before it has told the largest from the others.
#[test]
fn crowded_singular_values_are_told_apart() {
    const SIZE: usize = 400;
    let diagonal = |value: fn(usize) -> f64| {
        let layer = LayerSpec::Linear { outputs: SIZE };
        let weight = move |i: usize| if i % SIZE == i / SIZE { value(i / SIZE) as f32 } else { 0.0 };
        one_layer(layer, (SIZE, 1), weight)
    };
    check_default(&diagonal(|k| 3.0 - 0.003 * k as f64), 3.0, "evenly");
    check_default(
        &diagonal(|k| if k == 17 { 1.002 } else { 1.0 - 1e-5 * k as f64 }),
        f64::from(1.002f32),
        "one above many",
    );
    check_default(&diagonal(|k| 1.0 - (k as f64 / SIZE as f64).powi(4)), 1.0, "a flat top");
    check_default(&diagonal(|_| 0.25), 0.25, "all equal");
    check_default(&diagonal(|k| if k == 3 { 7.0 } else { 0.0 }), 7.0, "rank one");
    let nothing = diagonal(|_| 0.0).lipschitz_constants(&Lanczos::default()).remove(0);
    assert_eq!((nothing.sigma, nothing.settled), (0.0, true));
}

/// The kernel (1 2 1)ᵀ(1 2 1) with a rim of zeros is a product of two tridiagonal Toeplitz matrices of n rows, whose
/// largest eigenvalue is 2 + 2·cos(π/(n + 1)); batch norm at rest divides by √(1 + 1e-5). Channels that differ by a
/// thousandth each crowd the spectrum sixteen times over.
#[test]
fn convolutions_have_the_singular_values_of_toeplitz_matrices() {
    for (side, channels) in [(8, 1), (33, 1), (20, 16)] {
        let layer = LayerSpec::Conv { channels, kernel: 3, stride: 1 };
        let weight = |i: usize| {
            let (o, c, tap) = (i / 9 / channels, i / 9 % channels, i % 9);
            let kernel = [1.0, 2.0, 1.0];
            let factor = 1.0 - 1e-3 * o as f32;
            if o == c { factor * kernel[tap / 3] * kernel[tap % 3] } else { 0.0 }
        };
        let net = one_layer(layer, (channels, side), weight);
        let along = 2.0 + 2.0 * (std::f64::consts::PI / (side as f64 + 1.0)).cos();
        check_default(
            &net,
            along * along / (1.0f64 + 1e-5).sqrt(),
            &format!("side {side}, {channels} channels"),
        );
    }
}

#[test]
fn a_method_cut_short_says_so() {
    let layer = LayerSpec::Linear { outputs: 50 };
    let net = one_layer(layer, (50, 1), |i| if i % 50 == i / 50 { 1.0 + i as f32 } else { 0.0 });
    for (rounds, tolerance) in [(3, 1e-3), (40, 1e-9), (40, f64::NAN), (40, 0.0)] {
        let cut = net.lipschitz_constants(&Lanczos { rounds, tolerance, seed: 0 }).remove(0);
        assert_eq!((cut.rounds, cut.settled), (rounds, false), "{tolerance}");
    }
}

/// A norm that tells the steps apart has a map for each: σ of the identity is the largest γ[t]·p[t]/√(var[t] + 1e-5).
#[test]
fn the_largest_step_counts() {
    for (norm, gammas, factors, vars) in [
        (Norm::StepBn, &[1.5][..], None, &[4.0, 0.25, 9.0][..]),
        (Norm::Bntt, &[1.0, 2.0, -6.0], None, &[4.0, 1.0, 4.0]),
        (Norm::Tebn, &[2.0], Some([0.5, -1.5, 1.0]), &[4.0]),
    ] {
        let layer = LayerSpec::Conv { channels: 1, kernel: 1, stride: 1 };
        let config = NetConfig::custom(&[layer], 1, 6, 6, 2).norm(norm).timesteps(3);
        let mut net = Net::plan(&config, 1, Level::BASELINE, false).unwrap();
        let params = net.params_mut();
        params.weights[0] = 1.0;
        let place = |entries: &[Entry], name: &str| {
            entries.iter().find(|entry| entry.name == name).unwrap_or_else(|| panic!("{name}")).range.clone()
        };
        let gamma = place(&params.entries, "bn1.weight");
        params.weights[gamma].copy_from_slice(gammas);
        if let Some(factors) = factors {
            let p = place(&params.entries, "bn1.p");
            params.weights[p].copy_from_slice(&factors);
        }
        let var = place(&params.buffer_entries, "bn1.running_var");
        params.buffers[var].copy_from_slice(vars);
        let of = |t: usize| {
            let p = factors.map_or(1.0, |factors| f64::from(factors[t]));
            let gamma = f64::from(gammas[t % gammas.len()]);
            (gamma * p).abs() / (f64::from(vars[t % vars.len()]) + 1e-5f64).sqrt()
        };
        check_default(&net, (0..3).map(of).fold(0.0, f64::max), &norm.to_string());
    }
}

/// Threshold-dependent batch norm multiplies by V_th: σ of the identity is then V_th/√(1 + 1e-5).
#[test]
fn the_thresholds_gain_counts() {
    let layer = LayerSpec::Conv { channels: 1, kernel: 1, stride: 1 };
    let mut config = NetConfig::custom(&[layer], 1, 6, 6, 2).norm(Norm::TdBn);
    config.lif.threshold = 0.75;
    let mut net = Net::plan(&config, 1, Level::BASELINE, false).unwrap();
    net.params_mut().weights[0] = 1.0;
    check_default(&net, 0.75 / (1.0f64 + 1e-5).sqrt(), "tdBN");
}
