//! Settings of a neuron beyond the authors': a reset amount apart from the threshold, an amplitude of the surrogate, a
//! learned decay; against the recurrences written out in f64 and, where they are smooth, against finite differences.

use spikegrad_bptt::lif::{BackwardPass, LifLayer, Output, ParameterMap, Source};
use spikegrad_bptt::{Activation, LifConfig, Reset, Surrogate};
use spikegrad_tensor::{Dims, LANES, Level, Spikes, Tensor, Workers};
use spikegrad_testkit::check::{Tolerance, assert_close, finite_difference, narrow, widen};
use spikegrad_testkit::rng::Rng;

const STEPS: usize = 5;
const NEURONS: usize = 37;

/// One neuron unrolled in f64: outputs, ∂L/∂u of L = Σ e·o, and ∂L/∂τ.
fn law(
    lif: &LifConfig,
    activation: Activation,
    decay: f64,
    x: &[f64],
    e: &[f64],
) -> (Vec<f64>, Vec<f64>, f64) {
    let [v, amount, amplitude, delta] =
        [lif.threshold, lif.reset_amount.unwrap_or(lif.threshold), lif.amplitude, lif.delta].map(f64::from);
    let Surrogate::Arctan { alpha } = lif.surrogate else { panic!("the law is written out for arctan") };
    let slope = std::f64::consts::FRAC_PI_2 * f64::from(alpha);
    let h = |d: f64| amplitude * f64::from(alpha) / 2.0 / (1.0 + (slope * d).powi(2));
    let is_hard = matches!(lif.reset, Reset::Hard | Reset::HardDetached);
    let is_attached = matches!(lif.reset, Reset::Hard | Reset::Soft);
    let (mut m, mut u, mut o, mut before) = (0.0, Vec::new(), Vec::new(), Vec::new());
    for x in x {
        before.push(m);
        let now: f64 = decay * m + x;
        let out = match activation {
            Activation::Spike => f64::from(u8::from(now > v)),
            _ => amplitude * ((slope * (now - v)).atan() / std::f64::consts::PI + 0.5),
        };
        m = if is_hard { (1.0 - out) * now } else { now - amount * out };
        u.push(now);
        o.push(out);
    }
    let (mut a, mut du) = (0.0, vec![0.0; x.len()]);
    for t in (0..x.len()).rev() {
        let through = if is_hard { a * u[t] } else { amount * a };
        let g = if is_attached { e[t] - through } else { e[t] };
        let sign = if g == 0.0 { 0.0 } else { g.signum() };
        let factor =
            if activation == Activation::Spike { (1.0 + delta * sign * (u[t] - o[t])).max(0.0) } else { 1.0 };
        du[t] = g * h(u[t] - v) * factor + if is_hard { a * (1.0 - o[t]) } else { a };
        a = decay * du[t];
    }
    let dtau = du.iter().zip(&before).map(|(du, m)| du * m).sum();
    (o, du, dtau)
}

/// What the kernel makes of the same neurons.
fn kernel(
    lif: &LifConfig,
    activation: Activation,
    level: Level,
    x: &[f32],
    e: &[f32],
) -> (Vec<f32>, Vec<f32>, f64) {
    let dims = Dims::new(STEPS, NEURONS, 1, 1);
    let tensor = |data| Tensor::from_nchw(dims, data).unwrap();
    let (y, mut gradient) = (tensor(x), tensor(e));
    let lanes = dims.blocks() * LANES;
    let (ones, zeros) = (vec![1.0; lanes], vec![0.0; lanes]);
    let sources = [Source::Affine { y: &y, mean: &zeros, scale: &ones, shift: &zeros }];
    let mut map = ParameterMap::new(lif, STEPS);
    let mut row = vec![0.0; map.rows()];
    map.parameters(&[(f64::from(lif.decay) / f64::from(1.0 - lif.decay)).ln()], &mut row);
    let parameters: Vec<f32> = row.iter().flat_map(|&p| vec![p as f32; lanes]).collect();
    let layer = LifLayer { lif, activation, dims, steps: STEPS, level, parameters: &parameters };
    let (mut spikes, mut dense) = (Spikes::zeros(dims), Tensor::zeros(dims));
    let mut workers = Workers::new();
    if activation == Activation::Spike {
        layer.forward(&sources, Output::Spikes(&mut spikes), &mut workers);
        spikes.unpack(&mut dense);
    } else {
        layer.forward(&sources, Output::Dense(&mut dense), &mut workers);
    }
    let mut sums = vec![[[0.0; LANES]; 3]; dims.blocks()];
    let mut products = vec![[f64::NAN; LANES]; dims.blocks() * row.len()];
    let pass = BackwardPass { parameters: &mut products, ..BackwardPass::new(&mut gradient, &mut sums) };
    layer.backward(&sources, pass, &mut workers);
    (dense.to_nchw(), gradient.to_nchw(), products.iter().step_by(row.len()).flatten().sum())
}

/// Neuron n of data in the order step, neuron.
fn one(data: &[f32], n: usize) -> Vec<f64> {
    widen(&data.iter().skip(n).step_by(NEURONS).copied().collect::<Vec<_>>())
}

fn settings() -> impl Iterator<Item = LifConfig> {
    let amounts = [(None, 1.0), (Some(0.8), 0.5), (Some(0.25), 3.0), (Some(0.0), 1.0), (Some(-0.5), 0.25)];
    amounts.into_iter().flat_map(|(reset_amount, amplitude)| {
        Reset::ALL.map(|reset| {
            LifConfig::default()
                .decay(0.75)
                .threshold(0.5)
                .reset(reset)
                .surrogate(Surrogate::Arctan { alpha: 2.0 })
                .delta(0.3)
                .reset_amount(reset_amount)
                .amplitude(amplitude)
                .learn_decay(true)
        })
    })
}

#[test]
fn amounts_and_amplitudes_follow_the_law() {
    // Eighths: no membrane lies so near the threshold that rounding decides.
    let x: Vec<f32> =
        Rng::new(1).normals(STEPS * NEURONS).iter().map(|x| (x * 8.0).round() as f32 / 8.0 + 0.3).collect();
    let e = narrow(&Rng::new(2).normals(STEPS * NEURONS));
    for lif in settings() {
        for level in Level::available() {
            for activation in [Activation::Spike, Activation::Smooth] {
                let (o, du, dtau) = kernel(&lif, activation, level, &x, &e);
                let mut want = (vec![0.0; o.len()], vec![0.0; o.len()]);
                let (mut want_dtau, mut magnitude) = (0.0, 0.0);
                for n in 0..NEURONS {
                    let (o, du, dtau) = law(&lif, activation, lif.decay.into(), &one(&x, n), &one(&e, n));
                    want_dtau += dtau;
                    magnitude += dtau.abs();
                    (0..STEPS)
                        .for_each(|t| (want.0[t * NEURONS + n], want.1[t * NEURONS + n]) = (o[t], du[t]));
                }
                let what = format!("{level} {activation:?} {lif:?}");
                let exact =
                    if activation == Activation::Spike { Tolerance::Bits } else { Tolerance::Forward };
                assert_close(&format!("o {what}"), &o, &want.0, exact);
                assert_close(&format!("du {what}"), &du, &want.1, Tolerance::Grad);
                assert!((dtau - want_dtau).abs() < 1e-4 * magnitude, "∂L/∂τ {dtau} {want_dtau} {what}");
            }
        }
    }
}

/// The law itself: attached resets of smooth spikes are differentiable.
#[test]
fn the_law_agrees_with_finite_differences() {
    for lif in settings().filter(|lif| matches!(lif.reset, Reset::Hard | Reset::Soft)) {
        let (x, e) = (Rng::new(3).normals(STEPS), Rng::new(4).normals(STEPS));
        let direction = Rng::new(5).normals(STEPS);
        let loss = |x: &[f64]| {
            law(&lif, Activation::Smooth, 0.75, x, &e).0.iter().zip(&e).map(|(o, e)| o * e).sum::<f64>()
        };
        let du = law(&lif, Activation::Smooth, 0.75, &x, &e).1;
        let slope: f64 = du.iter().zip(&direction).map(|(g, d)| g * d).sum();
        let want = finite_difference(loss, &x, &direction, 1e-5);
        assert!((slope - want).abs() < 1e-7 * (1.0 + want.abs()), "{lif:?}: {slope} {want}");
        let loss = |tau: &[f64]| {
            law(&lif, Activation::Smooth, tau[0], &x, &e).0.iter().zip(&e).map(|(o, e)| o * e).sum::<f64>()
        };
        let (dtau, want) =
            (law(&lif, Activation::Smooth, 0.75, &x, &e).2, finite_difference(loss, &[0.75], &[1.0], 1e-5));
        assert!((dtau - want).abs() < 1e-7 * (1.0 + want.abs()), "{lif:?}: ∂L/∂τ {dtau} {want}");
    }
}
