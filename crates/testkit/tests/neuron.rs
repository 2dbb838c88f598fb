//! The neuron: surrogates, SGS, and the hand recurrences against the tape and against finite differences.

use spikegrad_testkit::check::{
    F64_AGREEMENT, FINITE_DIFFERENCE, assert_agree, assert_gradient, dot, largest,
};
use spikegrad_testkit::lif::*;
use spikegrad_testkit::rng::Rng;
use spikegrad_testkit::surrogate::{Surrogate, erf};
use spikegrad_testkit::tape::Tape;

const DELTAS: [f64; 4] = [0.0, 1e-4, 0.3, -0.3];

#[test]
fn erf_is_accurate() {
    // torch.erf in float64.
    let known = [
        (0.1, 0.1124629160182849),
        (0.5, 0.5204998778130465),
        (1.0, 0.8427007929497149),
        (2.0, 0.9953222650189527),
        (3.5, 0.9999992569016276),
        (5.0, 0.9999999999984626),
        (7.0, 1.0),
    ];
    for (x, want) in known {
        assert!((erf(x) - want).abs() < 1e-14, "erf({x}) = {:e}", erf(x));
        assert_eq!(erf(-x), -erf(x));
    }
    assert_eq!(erf(0.0), 0.0);
}

#[test]
fn primitives_integrate_the_derivatives() {
    for surrogate in Surrogate::ALL {
        let h = 1e-5;
        for i in -400..=400 {
            let d = f64::from(i) / 200.0 + 1e-3;
            if surrogate.kinks().iter().any(|k| (k - d).abs() < 2.0 * h) {
                continue;
            }
            let slope = (surrogate.primitive(d + h) - surrogate.primitive(d - h)) / (2.0 * h);
            let want = surrogate.derivative(d);
            assert!((slope - want).abs() < 1e-6, "{surrogate:?} at {d}: {slope} {want}");
            assert!((want - surrogate.derivative(-d)).abs() < F64_AGREEMENT, "{surrogate:?} is even");
        }
        for kink in surrogate.kinks() {
            let jump = surrogate.primitive(kink + 1e-12) - surrogate.primitive(kink - 1e-12);
            assert!(jump.abs() < 1e-10, "{surrogate:?} is continuous at {kink}");
        }
        assert!((surrogate.primitive(0.0) - 0.5).abs() < F64_AGREEMENT, "{surrogate:?} at the threshold");
    }
}

#[test]
fn sgs_obeys_its_identities() {
    let mut rng = Rng::new(1);
    for _ in 0..1000 {
        let (g, u) = (rng.normal(), rng.normal());
        let o = f64::from(u8::from(u > 0.5));
        let (h, delta) = (rng.unit(), rng.uniform(-0.1, 0.1));
        let got = sgs(g, u, o, h, delta);
        // g·sign(g) = |g|: the plain surrogate plus a pull of u toward its own output.
        let want = h * (g + delta * g.abs() * (u - o));
        assert!((got - want).abs() < F64_AGREEMENT, "{got} {want}");
        assert!((got / (g * h) - 1.0).abs() <= delta.abs() * (u - o).abs() + F64_AGREEMENT);
        assert_eq!(sgs(g, u, o, h, 0.0), g * h);
    }
    assert_eq!(sgs(0.0, 0.3, 0.0, 1.0, 0.5), 0.0, "no gradient, none out");
    assert_eq!(sgs(2.0, 0.3, 0.0, 0.0, 0.5), 0.0, "outside the window");
    assert_eq!(sgs(1.0, -1.0, 0.0, 1.0, 2.0), 0.0, "the factor is never negative");
    assert_eq!((sign(0.0), sign(-0.0), sign(3.0), sign(-1e-300)), (0.0, 0.0, 1.0, -1.0));
}

/// Runs one setting by hand and on the tape and compares everything.
fn compare(lif: Lif, steps: usize, mode: Activation, seed: u64) {
    let name = format!("{lif:?} {mode:?} steps {steps}");
    let n = 40;
    let mut rng = Rng::new(seed);
    let (x, e) = (rng.uniforms(steps * n, -0.6, 1.6), rng.normals(steps * n));
    let trace = lif.forward(&x, steps, mode);
    let grads = lif.backward(&trace, &e, steps, mode);

    let mut tape = Tape::new();
    let input = tape.leaf(&[steps * n], x);
    let decay = tape.leaf(&[1], vec![lif.decay]);
    let vars = tape.lif_with_decay(input, steps, lif, decay, mode);
    assert_eq!(tape.value(vars.spikes), trace.o, "{name}: spikes");
    let by_tape = tape.backward_from(vars.spikes, e);
    let join = |vars: &[_]| vars.iter().flat_map(|&v| by_tape.of(v)).collect::<Vec<f64>>();
    assert_agree(&format!("{name}: x"), &grads.x, &by_tape.of(input), F64_AGREEMENT);
    assert_agree(&format!("{name}: u"), &grads.x, &join(&vars.u), F64_AGREEMENT);
    assert_agree(&format!("{name}: G"), &grads.total, &join(&vars.o), F64_AGREEMENT);
    assert_agree(&format!("{name}: m"), &grads.m, &join(&vars.m), F64_AGREEMENT);
    let (got, want) = (grads.decay, by_tape.of(decay)[0]);
    assert!((got - want).abs() <= F64_AGREEMENT * want.abs().max(1.0), "{name}: τ: {got} {want}");
}

#[test]
fn hand_recurrences_match_the_tape() {
    for reset in Reset::ALL {
        for surrogate in Surrogate::ALL {
            for steps in [1, 2, 4] {
                for delta in DELTAS {
                    let lif = Lif { decay: 0.6, threshold: 0.45, reset, surrogate, delta, ..Lif::paper() };
                    compare(lif, steps, Activation::Spike, 7);
                    compare(lif, steps, Activation::Smooth, 8);
                }
            }
        }
    }
}

#[test]
fn smooth_neurons_match_differences() {
    // The detached resets are not the gradient of any function, so only the attached ones can be checked.
    for reset in [Reset::Hard, Reset::Soft] {
        for surrogate in Surrogate::ALL {
            let lif = Lif { decay: 0.6, threshold: 0.45, reset, surrogate, delta: 0.3, ..Lif::paper() };
            let (steps, mode) = (4, Activation::Smooth);
            let mut rng = Rng::new(9);
            let mut tried = 0;
            while tried < 8 {
                let (x, e) = (rng.uniforms(steps * 5, -0.6, 1.6), rng.normals(steps * 5));
                let trace = lif.forward(&x, steps, mode);
                let kinks = surrogate.kinks();
                let near = |u: &f64| kinks.iter().any(|k| (u - lif.threshold - k).abs() < 1e-3);
                if trace.u.iter().any(near) {
                    continue;
                }
                tried += 1;
                let grads = lif.backward(&trace, &e, steps, mode);
                let f = |x: &[f64]| dot(&lif.forward(x, steps, mode).o, &e);
                assert_gradient(&format!("{lif:?}"), f, &x, &grads.x, 10);
                let by_decay = |tau: f64| dot(&Lif { decay: tau, ..lif }.forward(&x, steps, mode).o, &e);
                let slope = (by_decay(0.6 + 1e-5) - by_decay(0.6 - 1e-5)) / 2e-5;
                let bound = FINITE_DIFFERENCE * slope.abs().max(1.0);
                assert!((grads.decay - slope).abs() <= bound, "{lif:?}: τ {} {slope}", grads.decay);
            }
        }
    }
}

#[test]
fn trap_scaling_only_the_upstream_gradient_is_another_result() {
    // S(e) + h·(G − e) instead of S(G): right at δ = 0, wrong on about a quarter of the elements otherwise.
    let lif = Lif { delta: 0.3, surrogate: Surrogate::Arctan { alpha: 2.0 }, ..Lif::paper() };
    let (steps, n, mode) = (4, 500, Activation::Spike);
    let mut rng = Rng::new(11);
    let (x, e) = (rng.uniforms(steps * n, -0.6, 1.6), rng.normals(steps * n));
    let wrong = |lif: Lif, trace: &LifTrace, right: &LifGrads| -> Vec<f64> {
        (0..e.len())
            .map(|i| {
                let (u, o, a) = (trace.u[i], trace.o[i], right.m[i]);
                let h = lif.surrogate.derivative(u - lif.threshold);
                sgs(e[i], u, o, h, lif.delta) + h * (right.total[i] - e[i]) + a * (1.0 - o)
            })
            .collect()
    };
    let trace = lif.forward(&x, steps, mode);
    let right = lif.backward(&trace, &e, steps, mode);
    let differing = |right: &[f64], wrong: &[f64]| {
        let bound = 1e-3 * largest(right);
        right.iter().zip(wrong).filter(|(a, b)| (*a - *b).abs() > bound).count()
    };
    let share = differing(&right.x, &wrong(lif, &trace, &right)) as f64 / e.len() as f64;
    assert!(share > 0.15, "only {share} of the elements tell total from upstream");
    let plain = Lif { delta: 0.0, ..lif };
    let right = plain.backward(&trace, &e, steps, mode);
    assert_eq!(differing(&right.x, &wrong(plain, &trace, &right)), 0, "at δ = 0 they are the same");
}

#[test]
fn trap_a_membrane_at_the_threshold_does_not_fire() {
    for reset in Reset::ALL {
        let lif = Lif { reset, ..Lif::paper() };
        // 0.5 stays silent; 0.25 more than half of it is the threshold again; then one bit above.
        let trace = lif.forward(&[0.5, 0.25, 0.25 + f64::EPSILON], 3, Activation::Spike);
        assert_eq!(trace.u[..2], [0.5, 0.5]);
        assert_eq!(trace.o, [0.0, 0.0, 1.0]);
        let mut tape = Tape::new();
        let x = tape.leaf(&[3], vec![0.5, 0.25, 0.25 + f64::EPSILON]);
        let vars = tape.lif(x, 3, lif, Activation::Spike);
        assert_eq!(tape.value(vars.spikes), [0.0, 0.0, 1.0]);
    }
    // The rectangle's window is open: nothing flows at its edges.
    let rectangle = Surrogate::Rectangle { window: 0.5 };
    assert_eq!(
        (rectangle.derivative(0.5), rectangle.derivative(-0.5), rectangle.derivative(0.0)),
        (0.0, 0.0, 1.0)
    );
}

#[test]
fn trap_a_zero_gradient_has_no_sign() {
    let lif = Lif { delta: 0.5, ..Lif::paper() };
    for e in [0.0, -0.0] {
        let trace = lif.forward(&[0.3, 0.7], 2, Activation::Spike);
        let grads = lif.backward(&trace, &[e, e], 2, Activation::Spike);
        assert!(grads.x.iter().all(|&g| g == 0.0));
    }
}

#[test]
fn resets_leave_the_membranes_they_should() {
    let hard = Lif::paper();
    let soft = Lif { reset: Reset::Soft, ..hard };
    assert_eq!(hard.forward(&[0.8, 0.2], 2, Activation::Spike).m, [0.0, 0.2]);
    let trace = soft.forward(&[0.75, 0.25], 2, Activation::Spike);
    assert_eq!((trace.m, trace.u), (vec![0.25, 0.375], vec![0.75, 0.375]));
}
