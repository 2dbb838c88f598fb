//! Each operation against finite differences of its forward, and its adjoint identities.

use spikegrad_testkit::check::{F64_AGREEMENT, assert_agree, assert_gradient, dot, magnitudes};
use spikegrad_testkit::conv::*;
use spikegrad_testkit::linear::*;
use spikegrad_testkit::lipschitz::*;
use spikegrad_testkit::loss::*;
use spikegrad_testkit::norm::*;
use spikegrad_testkit::optim::*;
use spikegrad_testkit::pool::*;
use spikegrad_testkit::rng::Rng;

/// Shapes with every kind of border: none, both sides, one side only, rows that no window reaches.
fn convs() -> Vec<Conv> {
    let base = Conv { n: 2, ci: 3, h: 5, w: 7, co: 4, k: 3, stride: 1, pad: 1 };
    vec![
        base,
        Conv { stride: 2, ..base },
        Conv { stride: 2, h: 6, w: 6, ..base },
        Conv { k: 1, pad: 0, stride: 2, ..base },
        Conv { k: 5, pad: 2, ..base },
        Conv { k: 1, pad: 0, h: 1, w: 1, n: 1, ..base },
        Conv { k: 3, pad: 0, stride: 3, ..base },
        Conv { k: 3, pad: 1, h: 1, w: 1, stride: 2, ..base },
    ]
}

#[test]
fn conv_by_hand() {
    // A 2×2 image, a 3×3 kernel 1…9, padding 1: the output's corner sees the kernel's lower right 2×2.
    let conv = Conv { n: 1, ci: 1, h: 2, w: 2, co: 1, k: 3, stride: 1, pad: 1 };
    let wt: Vec<f64> = (1..=9).map(f64::from).collect();
    let y = conv_forward(&conv, &[1.0, 10.0, 100.0, 1000.0], &wt);
    assert_eq!(y, [9865.0, 8754.0, 6532.0, 5421.0]);
}

#[test]
fn conv_gradients_are_adjoints() {
    let mut rng = Rng::new(1);
    for conv in convs() {
        let (x, wt) = (rng.normals(conv.x_len()), rng.normals(conv.w_len()));
        let g = rng.normals(conv.y_len());
        let want = dot(&conv_forward(&conv, &x, &wt), &g);
        let scale =
            dot(&magnitudes(&conv_forward(&conv, &magnitudes(&x), &magnitudes(&wt))), &magnitudes(&g));
        let by_input = dot(&conv_input_grad(&conv, &g, &wt), &x);
        let by_weight = dot(&conv_weight_grad(&conv, &x, &g), &wt);
        assert!((by_input - want).abs() <= F64_AGREEMENT * scale, "{conv:?}: {by_input} {want}");
        assert!((by_weight - want).abs() <= F64_AGREEMENT * scale, "{conv:?}: {by_weight} {want}");
        assert_gradient(
            "conv x",
            |x| dot(&conv_forward(&conv, x, &wt), &g),
            &x,
            &conv_input_grad(&conv, &g, &wt),
            2,
        );
        assert_gradient(
            "conv w",
            |w| dot(&conv_forward(&conv, &x, w), &g),
            &wt,
            &conv_weight_grad(&conv, &x, &g),
            3,
        );
    }
}

#[test]
fn channel_biases_match_differences() {
    let mut rng = Rng::new(16);
    let (x, b, g) = (rng.normals(24), rng.normals(3), rng.normals(24));
    // Two images of three channels of four pixels.
    let y = bias_forward(4, &x, &b);
    assert_agree("bias", &[y[3], y[4], y[23]], &[x[3] + b[0], x[4] + b[1], x[23] + b[2]], F64_AGREEMENT);
    let f = |x: &[f64], b: &[f64]| dot(&bias_forward(4, x, b), &g);
    assert_gradient("bias x", |x| f(x, &b), &x, &g, 17);
    assert_gradient("bias b", |b| f(&x, b), &b, &bias_grad(3, 4, &g), 18);
}

#[test]
fn linear_gradients_match_differences() {
    let linear = Linear { n: 3, inputs: 5, outputs: 4 };
    let mut rng = Rng::new(4);
    let (x, wt, b, g) = (rng.normals(15), rng.normals(20), rng.normals(4), rng.normals(12));
    let f = |x: &[f64], wt: &[f64], b: &[f64]| dot(&linear_forward(&linear, x, wt, b), &g);
    assert_gradient("linear x", |x| f(x, &wt, &b), &x, &linear_input_grad(&linear, &g, &wt), 5);
    assert_gradient("linear w", |wt| f(&x, wt, &b), &wt, &linear_weight_grad(&linear, &x, &g), 6);
    assert_gradient("linear b", |b| f(&x, &wt, b), &b, &linear_bias_grad(&linear, &g), 7);
    // A 1×1 convolution on a single pixel is a linear layer without bias.
    let conv = Conv { n: 3, ci: 5, h: 1, w: 1, co: 4, k: 1, stride: 1, pad: 0 };
    let without = linear_forward(&linear, &x, &wt, &[]);
    assert_agree("linear as conv", &conv_forward(&conv, &x, &wt), &without, F64_AGREEMENT);
}

#[test]
fn pools_average_and_their_gradients_are_adjoints() {
    let mut rng = Rng::new(8);
    for (h, w, k, stride) in [(4, 6, 2, 2), (5, 7, 2, 2), (5, 5, 3, 1), (6, 6, 3, 2)] {
        let pool = Pool { planes: 3, h, w, k, stride };
        let (x, g) = (rng.normals(pool.x_len()), rng.normals(pool.y_len()));
        let ones = avg_pool_forward(&pool, &vec![1.0; pool.x_len()]);
        assert_agree("average of ones", &ones, &vec![1.0; pool.y_len()], F64_AGREEMENT);
        assert_gradient(
            "pool",
            |x| dot(&avg_pool_forward(&pool, x), &g),
            &x,
            &avg_pool_backward(&pool, &g),
            9,
        );
    }
    let (x, g) = (rng.normals(24), rng.normals(6));
    assert_gradient("global", |x| dot(&global_avg_forward(x, 4), &g), &x, &global_avg_backward(&g, 4), 10);
    let whole = Pool { planes: 6, h: 2, w: 2, k: 2, stride: 2 };
    assert_agree("whole window", &global_avg_forward(&x, 4), &avg_pool_forward(&whole, &x), F64_AGREEMENT);
}

#[test]
fn norm_gradients_match_differences() {
    let norm = Norm { n: 3, c: 2, hw: 4, eps: EPS };
    let mut rng = Rng::new(11);
    let (x, gamma, beta, g) = (rng.normals(24), rng.normals(2), rng.normals(2), rng.normals(24));
    let out = norm_forward(&norm, &x, &gamma, &beta);
    let d = norm_backward(&norm, &x, &gamma, (&out.mean, &out.var), &g);
    let f = |x: &[f64], gamma: &[f64], beta: &[f64]| dot(&norm_forward(&norm, x, gamma, beta).y, &g);
    assert_gradient("norm x", |x| f(x, &gamma, &beta), &x, &d.x, 12);
    assert_gradient("norm γ", |gamma| f(&x, gamma, &beta), &gamma, &d.gamma, 13);
    assert_gradient("norm β", |beta| f(&x, &gamma, beta), &beta, &d.beta, 14);
    // Inference: the statistics are constants.
    let apply = |x: &[f64], gamma: &[f64], beta: &[f64]| {
        dot(&norm_apply(&norm, x, gamma, beta, &out.mean, &out.var), &g)
    };
    let d = norm_apply_backward(&norm, &x, &gamma, (&out.mean, &out.var), &g);
    assert_gradient("apply x", |x| apply(x, &gamma, &beta), &x, &d.x, 15);
    assert_gradient("apply γ", |gamma| apply(&x, gamma, &beta), &gamma, &d.gamma, 16);
    assert_gradient("apply β", |beta| apply(&x, &gamma, beta), &beta, &d.beta, 17);
}

#[test]
fn norm_normalises_and_keeps_the_unbiased_variance() {
    let norm = Norm { n: 2, c: 1, hw: 2, eps: EPS };
    let x = [1.0, 2.0, 3.0, 6.0];
    let out = norm_forward(&norm, &x, &[1.0], &[0.0]);
    assert_eq!((out.mean[0], out.var[0]), (3.0, 3.5));
    assert!(out.y.iter().sum::<f64>().abs() < F64_AGREEMENT);
    let (mean, var) = norm_running(&norm, (&[1.0], &[2.0]), (&out.mean, &out.var));
    assert_agree("running mean", &mean, &[0.9 + 0.3], F64_AGREEMENT);
    assert_agree("running variance", &var, &[1.8 + 0.1 * 3.5 * 4.0 / 3.0], F64_AGREEMENT);
}

#[test]
fn losses_match_pytorch_and_differences() {
    let (logits, labels) = ([0.1, -0.2, 0.3, 1.0, 2.0, -1.0], [2, 0]);
    // torch 2.5.1, float64.
    assert_agree("CE", &[cross_entropy(&logits, &labels, 3, 0.0).0], &[1.117475767218321], F64_AGREEMENT);
    assert_agree(
        "smoothed",
        &[cross_entropy(&logits, &labels, 3, 0.1).0],
        &[1.1458091005516544],
        F64_AGREEMENT,
    );
    let mut rng = Rng::new(18);
    let outputs = rng.normals(3 * 2 * 3);
    let settings = (0.3, 1.0);
    for smoothing in [0.0, 0.1] {
        let ce = |z: &[f64]| cross_entropy(z, &labels, 3, smoothing);
        assert_gradient("CE", |z| ce(z).0, &logits, &ce(&logits).1, 19);
        let mean = |z: &[f64]| mean_cross_entropy(z, 3, &labels, 3, smoothing);
        assert_gradient("mean CE", |z| mean(z).0, &outputs, &mean(&outputs).1, 20);
        let temporal = |z: &[f64]| tet(z, 3, &labels, 3, smoothing, settings);
        assert_gradient("TET", |z| temporal(z).0, &outputs, &temporal(&outputs).1, 21);
        // One step and no regulariser: TET is the plain cross-entropy.
        let plain = tet(&logits, 1, &labels, 3, smoothing, (0.0, 1.0));
        assert_eq!(plain, ce(&logits));
    }
    assert!(cross_entropy(&[1e3, -1e3], &[1], 2, 0.0).0.is_finite(), "no overflow");
}

#[test]
fn lipschitz_gradient_matches_differences_and_both_gram_matrices() {
    let mut rng = Rng::new(22);
    for (rows, cols) in [(3, 5), (5, 3), (4, 4), (1, 6)] {
        let wt = rng.normals(rows * cols);
        let grad = lipschitz_grad(&wt, rows, 0.2);
        assert_gradient("lipschitz", |w| lipschitz_value(w, rows, 0.2), &wt, &grad, 23);
        let big: f64 = gram_minus_identity(&wt, rows).iter().map(|a| a * a).sum::<f64>() * 0.1;
        let constant = 0.1 * rows.saturating_sub(cols) as f64;
        assert_agree("Gram matrices", &[lipschitz_value(&wt, rows, 0.2) + constant], &[big], F64_AGREEMENT);
    }
    let rotation = [0.6, 0.8, -0.8, 0.6];
    assert!(lipschitz_value(&rotation, 2, 1.0) < F64_AGREEMENT, "orthonormal rows cost nothing");
}

/// Four steps of an optimiser along a fixed list of gradients.
fn four_steps(mut step: impl FnMut(&mut [f64], &[f64])) -> [f64; 3] {
    let mut p = [0.5, -1.0, 2.0];
    for k in 0..4 {
        let k = f64::from(k);
        step(&mut p, &[0.1 * (k + 1.0), -0.3 + 0.2 * k, 1.5 - k]);
    }
    p
}

#[test]
fn optimisers_match_pytorch() {
    // Values from torch 2.5.1, float64.
    let mut sgd = Sgd::new(0.1, 0.9, false, 0.01);
    let want = [0.31008863466049996, -0.9099935423309999, 1.5770732417520001];
    assert_agree("sgd", &four_steps(|p, g| sgd.step(p, g)), &want, F64_AGREEMENT);
    let mut nesterov = Sgd::new(0.1, 0.9, true, 0.01);
    let want = [0.22743204450968696, -0.9154254844266951, 1.613456869819279];
    assert_agree("nesterov", &four_steps(|p, g| nesterov.step(p, g)), &want, F64_AGREEMENT);
    let mut plain = Sgd::new(0.1, 0.0, false, 0.0);
    assert_agree("plain", &four_steps(|p, g| plain.step(p, g)), &[0.4, -1.0, 2.0], F64_AGREEMENT);
    let mut adam = Adam { weight_decay: 0.1, ..Adam::new(0.01) };
    let want = [0.46061379599723457, -0.9705672328502922, 1.9745305770198955];
    assert_agree("adam", &four_steps(|p, g| adam.step(p, g)), &want, F64_AGREEMENT);
    let mut adamw = Adam::adamw(0.01, 0.1);
    let want = [0.45922590921941847, -0.9740298270006528, 1.9700358222791798];
    assert_agree("adamw", &four_steps(|p, g| adamw.step(p, g)), &want, F64_AGREEMENT);
}
