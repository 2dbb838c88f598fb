//! Grades a reader's gradients: names the wrong element, its time step, and the wrong term.
//!
//! A check runs the reader's function on random inputs beside the reference. Where they differ, it also tries the
//! mistakes that people make: if one of them gives the reader's numbers, all of them, the answer names it.

use crate::conv::{Conv, conv_input_grad};
use crate::lif::{Activation, Lif, Reset, sgs as reference_sgs, sign};
use crate::lipschitz::{gram_minus_identity, lipschitz_grad};
use crate::norm::{Norm, norm_backward, norm_forward};
use crate::rng::Rng;
use crate::surrogate::Surrogate;
use std::fmt;
use std::process::ExitCode;

/// Names of the exercises, as files and as commands.
pub const NAMES: [&str; 6] = [
    "lif_forward",
    "sgs",
    "lif_backward",
    "batch_norm_backward",
    "conv_input_gradient",
    "lipschitz_gradient",
];

/// The relative difference that two computations of the same number in another order may have.
const NEAR: f64 = 1e-9;

/// The first wrong element of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Mistake {
    /// The element, in the words of the exercise.
    pub place: String,
    /// The reader's number.
    pub got: f64,
    /// The reference's number.
    pub want: f64,
    /// The wrong term, where a known mistake gives the reader's numbers.
    pub term: Option<&'static str>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mistake { place, got, want, term } = self;
        if got.is_nan() {
            return write!(f, "{place} is not a number, should be {want:.6}: fill the blanks in");
        }
        write!(f, "{place} is {got:.6}, should be {want:.6}")?;
        match term {
            Some(term) => write!(f, ": {term}"),
            None => Ok(()),
        }
    }
}

/// Prints the result of an exercise: `right` on stdout, or the mistake on stderr.
pub fn grade(name: &str, result: Result<(), Mistake>) -> ExitCode {
    match result {
        Ok(()) => {
            println!("{name}: right");
            ExitCode::SUCCESS
        }
        Err(mistake) => {
            eprintln!("{name}: {mistake}");
            ExitCode::FAILURE
        }
    }
}

/// A mistake that people make, and the answer it gives.
type Known = (&'static str, Vec<f64>);

fn near(got: f64, want: f64, peak: f64) -> bool {
    (got - want).abs() <= NEAR * peak
}

/// Compares in `order`; the first element out of place is named.
fn compare(
    got: &[f64],
    want: &[f64],
    order: impl Iterator<Item = usize>,
    place: impl Fn(usize) -> String,
    known: &[Known],
) -> Result<(), Mistake> {
    let peak = want.iter().fold(1.0f64, |peak, w| peak.max(w.abs()));
    if got.len() != want.len() {
        let place = "the number of elements".to_string();
        return Err(Mistake { place, got: got.len() as f64, want: want.len() as f64, term: None });
    }
    let same = |other: &[f64]| got.iter().zip(other).all(|(a, b)| near(*a, *b, peak));
    let mut order = order;
    match order.find(|&i| !near(got[i], want[i], peak)) {
        None => Ok(()),
        Some(i) => {
            let term = known.iter().find(|(_, answer)| same(answer)).map(|(term, _)| *term);
            Err(Mistake { place: place(i), got: got[i], want: want[i], term })
        }
    }
}

/// Grades the forward of a hard-reset neuron, `f(x, τ, V_th)` = (u, o) over time.
///
/// # Errors
/// The first wrong step: membranes first, then spikes.
pub fn lif_forward(f: impl Fn(&[f64], f64, f64) -> (Vec<f64>, Vec<f64>)) -> Result<(), Mistake> {
    // Numbers of few bits, so that sums are exact: the second membrane stands at the threshold and must not fire.
    const X: [f64; 8] = [0.25, 0.375, 0.5, 0.75, -0.5, 1.0, 0.25, 0.5];
    let lif = Lif {
        decay: 0.5,
        threshold: 0.5,
        reset: Reset::Hard,
        surrogate: Surrogate::Triangle { window: 1.0 },
        delta: 0.0,
        ..Lif::paper()
    };
    let want = lif.forward(&X, X.len(), Activation::Spike);
    let with = |fires: &dyn Fn(f64) -> bool, after: &dyn Fn(f64, f64) -> f64, decay: f64| {
        let (mut us, mut os, mut m) = (Vec::new(), Vec::new(), 0.0);
        for x in X {
            let u = decay * m + x;
            let o = f64::from(u8::from(fires(u)));
            m = after(u, o);
            us.push(u);
            os.push(o);
        }
        (us, os)
    };
    let above = |u: f64| u > lif.threshold;
    let hard = |u: f64, o: f64| (1.0 - o) * u;
    let at_or_above = with(&|u| u >= lif.threshold, &hard, lif.decay);
    let soft = with(&above, &|u, o| u - lif.threshold * o, lif.decay);
    let never = with(&above, &|u, _| u, lif.decay);
    let kept = with(&above, &hard, 1.0);
    let lost = with(&above, &hard, 0.0);
    let cases = [
        ("a neuron at the threshold does not fire: u > V_th", at_or_above),
        ("the reset is soft: a spike takes the membrane to 0, m = (1 − o)·u", soft),
        ("the reset is missing: m = (1 − o)·u", never),
        ("τ is missing: u = τ·m[t−1] + x", kept),
        ("the membrane is forgotten: u = τ·m[t−1] + x", lost),
    ];
    let known_u: Vec<Known> = cases.iter().map(|(term, (u, _))| (*term, u.clone())).collect();
    let known_o: Vec<Known> = cases.iter().map(|(term, (_, o))| (*term, o.clone())).collect();
    let (u, o) = f(&X, lif.decay, lif.threshold);
    let place = |name: &'static str| move |t: usize| format!("{name}[t = {t}]");
    compare(&u, &want.u, 0..X.len(), place("u"), &known_u)?;
    compare(&o, &want.o, 0..X.len(), place("o"), &known_o)
}

/// Grades `factor(g, u, o, δ)` = max(0, 1 + δ·sign(g)·(u − o)), where sign(0) = 0, and `f(g, u, o, h, δ)` = S(g, u, o).
///
/// # Errors
/// The first wrong value, of the factor first.
pub fn sgs(
    factor: impl Fn(f64, f64, f64, f64) -> f64,
    f: impl Fn(f64, f64, f64, f64, f64) -> f64,
) -> Result<(), Mistake> {
    let mut rng = Rng::new(1);
    let mut cases = Vec::new();
    for g in [0.0, 1.0, -1.0, 0.3, -0.7] {
        for delta in [0.0, 0.3, -0.4, 3.0] {
            for _ in 0..4 {
                let u = rng.uniform(-1.0, 2.0);
                cases.push((g, u, f64::from(u8::from(u > 0.5)), rng.uniform(0.1, 1.5), delta));
            }
        }
    }
    let answers = |f: &dyn Fn(f64, f64, f64, f64, f64) -> f64| -> Vec<f64> {
        cases.iter().map(|&(g, u, o, h, delta)| f(g, u, o, h, delta)).collect()
    };
    let raw = |g: f64, u: f64, o: f64, delta: f64| 1.0 + delta * sign(g) * (u - o);
    let known: [Known; 6] = [
        ("δ plays no part: the factor is missing", answers(&|g, _, _, h, _| g * h)),
        ("h is missing", answers(&|g, u, o, _, d| g * raw(g, u, o, d).max(0.0))),
        (
            "the factor may not fall below 0: max(0, ·) is missing",
            answers(&|g, u, o, h, d| g * h * raw(g, u, o, d)),
        ),
        ("sign(g) is missing", answers(&|g, u, o, h, d| g * h * (1.0 + d * (u - o)).max(0.0))),
        ("u − o has the wrong sign", answers(&|g, u, o, h, d| g * h * raw(g, o, u, d).max(0.0))),
        ("g stands where sign(g) should", answers(&|g, u, o, h, d| g * h * (1.0 + d * g * (u - o)).max(0.0))),
    ];
    let place = |name: &'static str| {
        let cases = &cases;
        move |i: usize| {
            let (g, u, o, h, delta) = cases[i];
            format!("{name} at g = {g}, u = {u:.3}, o = {o}, h = {h:.3}, δ = {delta}")
        }
    };
    // S does not show the sign of a gradient of 0, the factor does.
    let factors: [Known; 4] = [
        (
            "sign(0) is 0, but f64::signum(0.0) is 1",
            answers(&|g, u, o, _, d| raw(g.signum(), u, o, d).max(0.0)),
        ),
        ("max(0, ·) is missing", answers(&|g, u, o, _, d| raw(g, u, o, d))),
        ("sign(g) is missing", answers(&|_, u, o, _, d| (1.0 + d * (u - o)).max(0.0))),
        ("u − o has the wrong sign", answers(&|g, u, o, _, d| raw(g, o, u, d).max(0.0))),
    ];
    let want = answers(&|g, u, o, _, d| raw(g, u, o, d).max(0.0));
    let got = answers(&|g, u, o, _, d| factor(g, u, o, d));
    compare(&got, &want, 0..want.len(), place("the factor"), &factors)?;
    let want = answers(&|g, u, o, h, delta| reference_sgs(g, u, o, h, delta));
    compare(&answers(&f), &want, 0..want.len(), place("S"), &known)
}

/// A spike's backward: total gradient, membrane and spike to the gradient at the membrane.
type Spike<'a> = &'a dyn Fn(f64, f64, f64) -> f64;

/// One step of the recurrence: (a, e, u, o) to (∂L/∂u, ∂L/∂m of the step before).
type Step<'a> = &'a dyn Fn(f64, f64, f64, f64) -> (f64, f64);

/// Grades the backward of a hard-reset neuron, `f(u, o, e, τ, spike)` = ∂L/∂u over time.
///
/// # Errors
/// The first wrong step, on the way back from the last.
pub fn lif_backward(f: impl Fn(&[f64], &[f64], &[f64], f64, Spike) -> Vec<f64>) -> Result<(), Mistake> {
    const STEPS: usize = 6;
    let surrogate = Surrogate::Triangle { window: 1.0 };
    let lif = Lif { decay: 0.7, threshold: 0.5, reset: Reset::Hard, surrogate, delta: 0.3, ..Lif::paper() };
    for neuron in 0..20 {
        let mut rng = Rng::new(50 + neuron);
        let (x, e) = (rng.uniforms(STEPS, -0.3, 1.1), rng.normals(STEPS));
        let trace = lif.forward(&x, STEPS, Activation::Spike);
        let want = lif.backward(&trace, &e, STEPS, Activation::Spike).x;
        let spike =
            |g: f64, u: f64, o: f64| lif.fire_backward(g, (u, u - lif.threshold), o, Activation::Spike);
        let (u, o, decay) = (&trace.u, &trace.o, lif.decay);
        let with = |step: Step| {
            let (mut du, mut a) = (vec![0.0; STEPS], 0.0);
            for t in (0..STEPS).rev() {
                (du[t], a) = step(a, e[t], u[t], o[t]);
            }
            du
        };
        let through = |du: f64| (du, decay * du);
        let known: [Known; 7] = [
            (
                "the gradient through the reset is missing: G = e − a·u",
                with(&|a, e, u, o| through(spike(e, u, o) + a * (1.0 - o))),
            ),
            (
                "the reset has the wrong sign: ∂m/∂o = −u, so G = e − a·u",
                with(&|a, e, u, o| through(spike(e + a * u, u, o) + a * (1.0 - o))),
            ),
            (
                "only e is scaled: the surrogate acts on the total G = e − a·u, sign and all",
                with(&|a, e, u, o| through(spike(e, u, o) - a * u * spike(1.0, u, o) + a * (1.0 - o))),
            ),
            (
                "the path through the membrane is missing: a·(1 − o)",
                with(&|a, e, u, o| through(spike(e - a * u, u, o))),
            ),
            (
                "the path through the membrane is a·(1 − o), for a spike sets it to 0",
                with(&|a, e, u, o| through(spike(e - a * u, u, o) + a)),
            ),
            ("a is not handed on: ∂L/∂m[t−1] = τ·∂L/∂u[t]", with(&|_, e, u, o| through(spike(e, u, o)))),
            (
                "τ is missing: ∂L/∂m[t−1] = τ·∂L/∂u[t]",
                with(&|a, e, u, o| {
                    let du = spike(e - a * u, u, o) + a * (1.0 - o);
                    (du, du)
                }),
            ),
        ];
        let answers: Vec<&Vec<f64>> = known.iter().map(|(_, answer)| answer).chain([&want]).collect();
        if (1..answers.len()).any(|i| answers[..i].contains(&answers[i])) {
            // Inputs with too few or too many spikes tell no mistake from another.
            continue;
        }
        let got = f(u, o, &e, decay, &spike);
        let place = |t: usize| format!("neuron {neuron}, ∂L/∂u[t = {t}] (of T = {STEPS}, counted from 0)");
        compare(&got, &want, (0..STEPS).rev(), place, &known)?;
    }
    Ok(())
}

/// Grades `f(x, dy, γ, ε)` = (∂L/∂x, ∂L/∂γ, ∂L/∂β) of one channel.
///
/// # Errors
/// The first wrong gradient: β, γ, then x.
pub fn batch_norm_backward(
    f: impl Fn(&[f64], &[f64], f64, f64) -> (Vec<f64>, f64, f64),
) -> Result<(), Mistake> {
    const COUNT: usize = 12;
    let mut rng = Rng::new(3);
    let (x, dy, gamma) = (rng.normals(COUNT), rng.normals(COUNT), 1.3);
    let size = Norm { n: COUNT, c: 1, hw: 1, eps: 0.1 };
    let out = norm_forward(&size, &x, &[gamma], &[0.2]);
    let want = norm_backward(&size, &x, &[gamma], (&out.mean, &out.var), &dy);
    let inv_std = 1.0 / (out.var[0] + size.eps).sqrt();
    let hat: Vec<f64> = x.iter().map(|x| (x - out.mean[0]) * inv_std).collect();
    let (dx, dgamma, dbeta) = f(&x, &dy, gamma, size.eps);
    let one = |name: &'static str, got: f64, want: f64, known: &[Known]| {
        compare(&[got], &[want], 0..1, |_| name.to_string(), known)
    };
    let sum = |of: &dyn Fn(usize) -> f64| (0..COUNT).map(of).sum::<f64>();
    one(
        "∂L/∂β",
        dbeta,
        want.beta[0],
        &[("a mean stands where the sum should", vec![want.beta[0] / COUNT as f64])],
    )?;
    let known: [Known; 3] = [
        ("x stands where x̂ should", vec![sum(&|i| dy[i] * x[i])]),
        ("x − μ stands where x̂ should: divide by √(σ² + ε)", vec![sum(&|i| dy[i] * hat[i]) / inv_std]),
        ("a mean stands where the sum should", vec![want.gamma[0] / COUNT as f64]),
    ];
    one("∂L/∂γ", dgamma, want.gamma[0], &known)?;
    let count = COUNT as f64;
    let (db, dg) = (want.beta[0], want.gamma[0]);
    let with = |of: &dyn Fn(usize) -> f64| (0..COUNT).map(of).collect::<Vec<f64>>();
    let scale = gamma * inv_std;
    let known: [Known; 6] = [
        ("the terms of μ and σ² are missing: −∂β/M and −x̂·∂γ/M", with(&|i| scale * dy[i])),
        ("the term of σ² is missing: −x̂·∂γ/M", with(&|i| scale * (dy[i] - db / count))),
        ("the term of μ is missing: −∂β/M", with(&|i| scale * (dy[i] - hat[i] * dg / count))),
        ("the sums are not divided by M", with(&|i| scale * (dy[i] - db - hat[i] * dg))),
        ("γ is missing", with(&|i| inv_std * (dy[i] - (db + hat[i] * dg) / count))),
        ("1/√(σ² + ε) is missing", with(&|i| gamma * (dy[i] - (db + hat[i] * dg) / count))),
    ];
    compare(&dx, &want.x, 0..COUNT, |i| format!("∂L/∂x[{i}]"), &known)
}

/// Grades `f(size, g, weight)` = ∂L/∂x of a convolution of one image.
///
/// # Errors
/// The first wrong element.
pub fn conv_input_gradient(f: impl Fn(&Conv, &[f64], &[f64]) -> Vec<f64>) -> Result<(), Mistake> {
    for (stride, pad, k) in [(1, 0, 3), (1, 1, 3), (2, 1, 3), (2, 0, 2)] {
        let size = Conv { n: 1, ci: 2, h: 6, w: 5, co: 3, k, stride, pad };
        let mut rng = Rng::new(7);
        let (g, weight) = (rng.normals(size.y_len()), rng.normals(size.w_len()));
        let want = conv_input_grad(&size, &g, &weight);
        let scatter = |at: &dyn Fn(usize, usize) -> Option<usize>, turned: bool| {
            let mut dx = vec![0.0; size.x_len()];
            let (rows, columns) = (size.out_h(), size.out_w());
            for (o, i) in (0..3).flat_map(|o| (0..2).map(move |i| (o, i))) {
                for (y, x) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))) {
                    for (a, b) in (0..k).flat_map(|a| (0..k).map(move |b| (a, b))) {
                        let tap = if turned { (k - 1 - a) * k + k - 1 - b } else { a * k + b };
                        let product = g[(o * rows + y) * columns + x] * weight[(o * 2 + i) * k * k + tap];
                        let (row, column) = (at(y, a).filter(|&r| r < 6), at(x, b).filter(|&c| c < 5));
                        if let (Some(row), Some(column)) = (row, column) {
                            dx[(i * 6 + row) * 5 + column] += product;
                        }
                    }
                }
            }
            dx
        };
        let right = |y: usize, a: usize| (y * stride + a).checked_sub(pad);
        let known: [Known; 3] = [
            ("the padding is missing: row r·s + a − p", scatter(&|y, a| Some(y * stride + a), false)),
            ("the stride is missing: row r·s + a − p", scatter(&|y, a| (y + a).checked_sub(pad), false)),
            (
                "the kernel is turned: w[a, b] belongs to row r·s + a − p, not to its mirror",
                scatter(&right, true),
            ),
        ];
        let got = f(&size, &g, &weight);
        let place = |i: usize| {
            let (channel, row, column) = (i / 30, i % 30 / 5, i % 5);
            format!(
                "stride {stride}, padding {pad}, kernel {k}: ∂L/∂x[channel {channel}, row {row}, column {column}]"
            )
        };
        compare(&got, &want, 0..want.len(), place, &known)?;
    }
    Ok(())
}

/// Grades `f(weight, rows, β)` = ∂/∂W of β/2·‖W·Wᵀ − I‖².
///
/// # Errors
/// The first wrong element.
pub fn lipschitz_gradient(f: impl Fn(&[f64], usize, f64) -> Vec<f64>) -> Result<(), Mistake> {
    for (rows, columns) in [(3, 5), (4, 2)] {
        let mut rng = Rng::new(9);
        let (weight, beta) = (rng.normals(rows * columns), 0.3);
        let want = lipschitz_grad(&weight, rows, beta);
        let mut gram = gram_minus_identity(&weight, rows);
        let product = |a: &[f64]| -> Vec<f64> {
            let element = |r: usize, c: usize| {
                (0..rows).map(|s| a[r * rows + s] * weight[s * columns + c]).sum::<f64>()
            };
            (0..rows * columns).map(|i| 2.0 * beta * element(i / columns, i % columns)).collect()
        };
        let halved = want.iter().map(|g| g / 2.0).collect();
        (0..rows).for_each(|r| gram[r * rows + r] += 1.0);
        let known: [Known; 3] = [
            ("the factor is 2β: each w enters a row and a column of A", halved),
            ("I is not taken off: A = W·Wᵀ − I", product(&gram)),
            ("β is missing", want.iter().map(|g| g / beta).collect()),
        ];
        let got = f(&weight, rows, beta);
        let place = |i: usize| format!("W of {rows} × {columns}: ∂L/∂W[{}, {}]", i / columns, i % columns);
        compare(&got, &want, 0..want.len(), place, &known)?;
    }
    Ok(())
}
