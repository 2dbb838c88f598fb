//! The fused neuron against the recurrences in f64 and against the tape, every reset and surrogate.

mod common;

use common::{DELTAS, KINDS, NeuronCase, STEPS, configs, nan, reference, tensor};
use spikegrad_bptt::lif::{BackwardPass, LifLayer, Output, PlaneSums, Source};
use spikegrad_bptt::{Activation, LifConfig, Reset, Surrogate, UserSurrogate};
use spikegrad_tensor::{Dims, LANES, Level, Spikes, Tensor, Workers};
use spikegrad_testkit::check::{Tolerance, assert_agree, assert_close, largest, narrow, widen};
use spikegrad_testkit::lif::{Activation as Mode, Lif, sgs, sign};
use spikegrad_testkit::rng::Rng;
use spikegrad_testkit::tape::Tape;
use std::sync::Arc;

/// What a unit computed.
struct Run {
    output: Vec<f32>,
    du: Vec<f32>,
    sums: Vec<PlaneSums>,
}

/// Runs a unit on the sources of a case, forward and backward.
fn run(
    case: &NeuronCase,
    lif: &LifConfig,
    activation: Activation,
    level: Level,
    workers: &mut Workers,
) -> Run {
    let layer = LifLayer::plain(lif, activation, case.dims, case.steps, level);
    let spikes = case.spikes.as_ref().map(|s| Spikes::from_tensor(&tensor(case.dims, s)));
    let ys: Vec<Tensor> = case.affine.iter().map(|a| tensor(a.dims, &a.y)).collect();
    let affine = |(a, y)| {
        let a: &common::AffineCase = a;
        Source::Affine { y, mean: &a.mean, scale: &a.scale, shift: &a.shift }
    };
    let mut sources: Vec<Source> = case.affine.iter().zip(&ys).map(affine).collect();
    sources.extend(spikes.as_ref().map(Source::Spikes));
    let mut output = nan(case.dims);
    if activation == Activation::Spike {
        // Every neuron has fired on entry: all bits must be overwritten.
        let mut out = Spikes::from_tensor(&output);
        layer.forward(&sources, Output::Spikes(&mut out), workers);
        out.unpack(&mut output);
    } else {
        layer.forward(&sources, Output::Dense(&mut output), workers);
        let clean = tensor(case.dims, &output.to_nchw());
        assert_eq!(
            output.blocks(),
            clean.blocks(),
            "{activation:?} {lif:?}: padding lanes of the output are zero"
        );
    }
    let du_dims = ys[0].dims();
    let mut du = tensor(case.dims, &case.e);
    let frames = case.dims.n / case.steps;
    let mut sums = vec![[[f64::NAN; LANES]; 3]; frames * case.dims.blocks()];
    layer.backward(&sources, BackwardPass::new(&mut du, &mut sums), workers);
    du.resize(du_dims);
    assert_eq!(du.blocks(), tensor(du_dims, &du.to_nchw()).blocks(), "padding lanes of du are zero");
    Run { output: output.to_nchw(), du: du.to_nchw(), sums }
}

/// Compares a run with the reference's outputs, ∂L/∂u and the sums for batch norm.
fn check(what: &str, case: &NeuronCase, got: &Run, output: &[f64], dx: &[f64], activation: Activation) {
    let tolerance = if activation == Activation::Spike { Tolerance::Bits } else { Tolerance::Forward };
    assert_close(&format!("output {what}"), &got.output, output, tolerance);
    // A static frame gets the sum over time.
    let len = got.du.len();
    let want: Vec<f64> = (0..len).map(|i| dx.iter().skip(i).step_by(len).sum()).collect();
    assert_close(&format!("du {what}"), &got.du, &want, Tolerance::Forward);
    let d = case.dims;
    for k in 0..=case.affine.len() {
        let (mut want, mut bound, mut sum) = (vec![0.0; d.c], vec![0.0; d.c], vec![0.0f64; d.c]);
        let slack = Tolerance::Forward.bound(0, 0.0, largest(dx));
        for (i, dx) in dx.iter().enumerate() {
            let c = i / d.pixels() % d.c;
            let centred = if k == 0 { 1.0 } else { case.affine[k - 1].centred(i) };
            want[c] += dx * centred;
            bound[c] += (slack + 1e-5 * dx.abs()) * centred.abs().max(1.0);
        }
        for (plane, planes) in got.sums.iter().enumerate() {
            for (lane, value) in planes[k].iter().enumerate() {
                let c = plane % d.blocks() * LANES + lane;
                match sum.get_mut(c) {
                    Some(sum) => *sum += value,
                    None => assert_eq!(*value, 0.0, "{what}: sum {k} of a padding lane"),
                }
            }
        }
        for c in 0..d.c {
            let (got, want, bound) = (sum[c], want[c], bound[c]);
            let near = (got - want).abs() <= bound;
            assert!(near, "sum {k} {what}: index {c}: got {got:e}, want {want:e}, bound {bound:e}");
        }
    }
}

/// An interpreter (Miri) runs one case in so many.
const EVERY: usize = if cfg!(miri) { 41 } else { 1 };

/// Every reset, surrogate, T and δ, with a case for each.
fn cases(first: u64) -> impl Iterator<Item = (LifConfig, Lif, NeuronCase, String)> {
    let steps = |lif: LifConfig| STEPS.map(|steps| (lif.clone(), steps));
    let deltas = |(lif, steps): (LifConfig, usize)| DELTAS.map(|delta| (lif.clone().delta(delta), steps));
    let all = configs().into_iter().flat_map(steps).flat_map(deltas);
    all.zip(first..).step_by(EVERY).map(|((lif, steps), seed)| {
        let reference = reference(&lif);
        // Kinds take turns, out of step with T and δ.
        let case = NeuronCase::new(seed, steps, &reference, seed as usize % KINDS);
        let what = format!("{lif:?} T {steps} case {seed}");
        (lif, reference, case, what)
    })
}

#[test]
fn recurrences_match_at_every_level() {
    for (lif, reference, case, what) in cases(1) {
        let trace = reference.forward(&case.current(), case.steps, Mode::Spike);
        let grads = reference.backward(&trace, &widen(&case.e), case.steps, Mode::Spike);
        for level in Level::available() {
            let got = run(&case, &lif, Activation::Spike, level, &mut Workers::new());
            check(&format!("{what} {level}"), &case, &got, &trace.o, &grads.x, Activation::Spike);
        }
    }
}

/// The tape's outputs and its gradient at the currents.
fn on_tape(case: &NeuronCase, reference: Lif, mode: Mode) -> (Vec<f64>, Vec<f64>) {
    let mut tape = Tape::new();
    let x = tape.leaf(&[case.dims.n, case.dims.len() / case.dims.n], case.current());
    let vars = tape.lif(x, case.steps, reference, mode);
    let grads = tape.backward_from(vars.spikes, widen(&case.e));
    (tape.value(vars.spikes).to_vec(), grads.of(x))
}

#[test]
fn spikes_and_smooth_twins_match_the_tape() {
    for (lif, reference, case, what) in cases(5001) {
        for (activation, mode) in [(Activation::Spike, Mode::Spike), (Activation::Smooth, Mode::Smooth)] {
            let (output, dx) = on_tape(&case, reference, mode);
            for level in Level::available() {
                let got = run(&case, &lif, activation, level, &mut Workers::new());
                check(&format!("{activation:?} {what} {level}"), &case, &got, &output, &dx, activation);
            }
        }
    }
}

#[test]
fn relu_is_the_identity_above_zero() {
    for level in Level::available() {
        for kind in 0..KINDS {
            let lif = LifConfig::default();
            let case = NeuronCase::new(31 + kind as u64, 1, &reference(&lif), kind);
            let x = case.current();
            let want: Vec<f64> = x.iter().map(|x| x.max(0.0)).collect();
            let pass = |(x, &e): (&f64, &f32)| if *x > 0.0 { f64::from(e) } else { 0.0 };
            let dx: Vec<f64> = x.iter().zip(&case.e).map(pass).collect();
            let got = run(&case, &lif, Activation::Relu, level, &mut Workers::new());
            check(&format!("relu {kind} {level}"), &case, &got, &want, &dx, Activation::Relu);
        }
    }
}

/// The rule with e alone scaled, the reset's gradient passing unscaled: what must *not* be computed.
fn backward_of_e_alone(lif: &Lif, case: &NeuronCase) -> Vec<f64> {
    let trace = lif.forward(&case.current(), case.steps, Mode::Spike);
    let (e, len) = (widen(&case.e), case.dims.len() / case.steps);
    let mut dx = vec![0.0; e.len()];
    for i in 0..len {
        let mut a = 0.0;
        for t in (0..case.steps).rev() {
            let at = t * len + i;
            let (u, o) = (trace.u[at], trace.o[at]);
            let h = lif.surrogate.derivative(u - lif.threshold);
            let factor = (1.0 + lif.delta * sign(e[at]) * (u - o)).max(0.0);
            let reset = if lif.reset.is_hard() { -a * u } else { -lif.threshold * a };
            let kept = if lif.reset.is_hard() { a * (1.0 - o) } else { a };
            dx[at] = h * e[at] * factor + h * reset + kept;
            a = lif.decay * dx[at];
        }
    }
    dx
}

#[test]
fn the_total_gradient_is_scaled_not_e_alone() {
    for reset in [Reset::Hard, Reset::Soft] {
        let surrogate = Surrogate::named("arctan", None).unwrap();
        let lif = LifConfig::default().reset(reset).surrogate(surrogate).delta(0.3);
        let reference = reference(&lif);
        let case = NeuronCase::new(78, 4, &reference, 3);
        let (_, right) = on_tape(&case, reference, Mode::Spike);
        let wrong = backward_of_e_alone(&reference, &case);
        let bound = Tolerance::Forward.bound(0, 0.0, largest(&right));
        let apart = |i: &usize| (right[*i] - wrong[*i]).abs() > 100.0 * bound;
        let differ: Vec<usize> = (0..right.len()).filter(apart).collect();
        let (found, all) = (differ.len(), right.len());
        assert!(found > all / 20, "{reset}: only {found} of {all} elements tell the rules apart");
        for level in Level::available() {
            let got = run(&case, &lif, Activation::Spike, level, &mut Workers::new());
            for &i in &differ {
                let (du, want, wrong) = (f64::from(got.du[i]), right[i], wrong[i]);
                let near = (du - want).abs() <= bound;
                assert!(
                    near,
                    "{reset} {level}: index {i}: got {du}, want {want}, bound {bound:e}, not {wrong}"
                );
            }
        }
    }
}

/// Spike and ∂L/∂u of neurons that run one step, the current being `x` itself.
fn one_step(lif: &LifConfig, level: Level, x: &[f32], e: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let dims = Dims::new(1, x.len(), 1, 1);
    let (y, mut gradient) = (tensor(dims, x), tensor(dims, e));
    let lanes = dims.blocks() * LANES;
    let (ones, zeros) = (vec![1.0; lanes], vec![0.0; lanes]);
    let sources = [Source::Affine { y: &y, mean: &zeros, scale: &ones, shift: &zeros }];
    let layer = LifLayer::plain(lif, Activation::Spike, dims, 1, level);
    let (mut out, mut dense) = (Spikes::zeros(dims), nan(dims));
    layer.forward(&sources, Output::Spikes(&mut out), &mut Workers::new());
    out.unpack(&mut dense);
    let mut sums = vec![[[0.0; LANES]; 3]; dims.blocks()];
    layer.backward(&sources, BackwardPass::new(&mut gradient, &mut sums), &mut Workers::new());
    (dense.to_nchw(), gradient.to_nchw())
}

#[test]
fn a_membrane_at_the_threshold_does_not_fire() {
    for level in Level::available() {
        for threshold in [0.5f32, 0.3, 1.0] {
            let lif = LifConfig::default().threshold(threshold).delta(0.5);
            let x = [threshold, threshold.next_up(), threshold.next_down(), -threshold, 0.0, -0.0];
            let (o, du) = one_step(&lif, level, &x, &[1.0; 6]);
            assert_eq!(o, [0.0, 1.0, 0.0, 0.0, 0.0, 0.0], "{level}: spikes of {x:?}");
            // Nor has it for the backward: there h = 1, and what is left is the factor 1 + δ·(u − o).
            assert_eq!(du[0], 1.0 + 0.5 * threshold, "{level}: ∂L/∂u at the threshold");
        }
    }
}

#[test]
fn the_rectangle_is_open_at_its_edges() {
    for level in Level::available() {
        let x = [0.0, 1.0, 0.0f32.next_up(), 1.0f32.next_down(), 0.5];
        let lif = LifConfig::default().delta(0.0);
        // 0 next_up − 0.5 rounds to −0.5 again: outside.
        assert_eq!(one_step(&lif, level, &x, &[1.0; 5]).1, [0.0, 0.0, 0.0, 1.0, 1.0], "{level}: h at {x:?}");
    }
}

#[test]
fn the_sign_of_zero_is_zero_and_the_factor_is_never_negative() {
    let surrogate = Surrogate::Rectangle { window: 8.0 };
    let lif = LifConfig::default().delta(0.5).threshold(2.0).surrogate(surrogate);
    for level in Level::available() {
        let x = [1.0, 1.0, 1.0, 1.0, -3.0, -3.0, 4.0, 4.0];
        let e = [0.0, -0.0, 2.0, -2.0, 1.0, -1.0, 1.0, -1.0];
        // h = 1; factor 1 + 0.5·sign(e)·(u − o), at least 0.
        let want = [0.0, 0.0, 3.0, -1.0, 0.0, -2.5, 2.5, 0.0];
        let (_, du) = one_step(&lif, level, &x, &e);
        assert_eq!(du, want, "{level}: ∂L/∂u of u {x:?}, e {e:?}");
    }
}

struct Hump;

impl UserSurrogate for Hump {
    fn derivative(&self, d: f32) -> f32 {
        if d.abs() < 1.0 { 0.75 * (1.0 - d * d) } else { 0.0 }
    }

    fn primitive(&self, d: f32) -> f32 {
        let d = d.clamp(-1.0, 1.0);
        0.5 + 0.75 * (d - d * d * d / 3.0)
    }
}

#[test]
fn a_users_surrogate_is_used() {
    let surrogate = Surrogate::Custom(Arc::new(Hump));
    let lif = LifConfig::default().surrogate(surrogate).delta(0.3);
    for level in Level::available() {
        let mut rng = Rng::new(6);
        let (x, e) = (narrow(&rng.uniforms(37, -2.0, 2.0)), narrow(&rng.normals(37)));
        let (o, du) = one_step(&lif, level, &x, &e);
        let want = |i: usize| {
            let (u, g, d) = (f64::from(x[i]), f64::from(e[i]), f64::from(x[i]) - 0.5);
            let h = if d.abs() < 1.0 { 0.75 * (1.0 - d * d) } else { 0.0 };
            sgs(g, u, f64::from(o[i]), h, f64::from(lif.delta))
        };
        let want: Vec<f64> = (0..37).map(want).collect();
        assert_close(&format!("custom {level}"), &du, &want, Tolerance::Forward);
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    for level in Level::available() {
        for (i, lif) in configs().into_iter().enumerate().step_by(EVERY.min(9)) {
            let case = NeuronCase::new(3000 + i as u64, 2, &reference(&lif), i % KINDS);
            let on = |threads: usize, activation| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let got = pool.install(|| run(&case, &lif, activation, level, &mut Workers::new()));
                let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                let sums: Vec<u64> = got.sums.iter().flatten().flatten().map(|x| x.to_bits()).collect();
                (bits(&got.output), bits(&got.du), sums)
            };
            for activation in [Activation::Spike, Activation::Smooth] {
                let one = on(1, activation);
                assert!(
                    one == on(2, activation) && one == on(3, activation),
                    "{lif:?} {level}: thread counts differ"
                );
            }
        }
    }
}

#[test]
fn surrogates_match_the_reference_one_by_one() {
    for lif in configs() {
        let surrogate = reference(&lif).surrogate;
        let mut ds = narrow(&Rng::new(12).uniforms(200, -2.0, 2.0));
        ds.retain(|&d| surrogate.kinks().iter().all(|k| (f64::from(d) - k).abs() > 1e-5));
        let of = |f: &dyn Fn(f64) -> f64| ds.iter().map(|&d| f(f64::from(d))).collect::<Vec<_>>();
        let h = of(&|d| f64::from(lif.surrogate.derivative_at(d as f32)));
        let p = of(&|d| f64::from(lif.surrogate.primitive_at(d as f32)));
        let name = lif.surrogate.name();
        assert_agree(&format!("{name} derivative"), &h, &of(&|d| surrogate.derivative(d)), 1e-5);
        assert_agree(&format!("{name} primitive"), &p, &of(&|d| surrogate.primitive(d)), 1e-5);
    }
}
