//! The exercises: blank they fail and say so, filled in they pass, and a known mistake is named.

use spikegrad_testkit::conv::Conv;
use spikegrad_testkit::exercise::{self, Mistake};

#[allow(dead_code, reason = "their mains are programs of their own")]
#[path = "../../exercises/src/bin"]
mod blank {
    pub mod batch_norm_backward;
    pub mod conv_input_gradient;
    pub mod lif_backward;
    pub mod lif_forward;
    pub mod lipschitz_gradient;
    pub mod sgs;
}

#[allow(dead_code, reason = "their mains are programs of their own")]
mod solutions {
    pub mod batch_norm_backward;
    pub mod conv_input_gradient;
    pub mod lif_backward;
    pub mod lif_forward;
    pub mod lipschitz_gradient;
    pub mod sgs;
}

/// The grades of one set of files, in the order of `exercise::NAMES`.
macro_rules! grades {
    ($set:ident) => {
        [
            exercise::lif_forward($set::lif_forward::lif_forward),
            exercise::sgs($set::sgs::factor, $set::sgs::sgs),
            exercise::lif_backward($set::lif_backward::lif_backward),
            exercise::batch_norm_backward($set::batch_norm_backward::batch_norm_backward),
            exercise::conv_input_gradient($set::conv_input_gradient::conv_input_gradient),
            exercise::lipschitz_gradient($set::lipschitz_gradient::lipschitz_gradient),
        ]
    };
}

#[test]
fn filled_in_they_pass() {
    for (name, grade) in exercise::NAMES.iter().zip(grades!(solutions)) {
        assert_eq!(grade, Ok(()), "{name}");
    }
}

#[test]
fn blank_they_fail_and_say_what_to_do() {
    let places = [
        "u[t = 0]",
        "the factor at g = ",
        "∂L/∂u[t = 5]",
        "∂L/∂β",
        "∂L/∂x[channel 0, row 0, column 0]",
        "∂L/∂W[0, 0]",
    ];
    for ((name, grade), place) in exercise::NAMES.iter().zip(grades!(blank)).zip(places) {
        let text = grade.unwrap_err().to_string();
        assert!(text.contains(place) && text.contains("fill the blanks in"), "{name}: {text}");
    }
}

#[track_caller]
fn blames(grade: Result<(), Mistake>, place: &str, words: &str) {
    let mistake = grade.unwrap_err();
    let term = mistake.term.unwrap_or("no term");
    assert!(term.contains(words) && mistake.place.contains(place), "{words:?} at {place:?} in {mistake}");
}

#[test]
fn known_mistakes_in_a_neuron_are_named_with_their_step() {
    type Spike<'a> = &'a dyn Fn(f64, f64, f64) -> f64;
    type Step = fn(f64, f64, f64, f64, Spike) -> f64;
    let with = |step: Step, keep: f64| {
        exercise::lif_backward(|u, o, e, decay, spike| {
            let (mut du, mut a) = (vec![0.0; u.len()], 0.0);
            for t in (0..u.len()).rev() {
                du[t] = step(a, e[t], u[t], o[t], spike);
                a = if keep == 0.0 { decay } else { keep } * du[t];
            }
            du
        })
    };
    let right: Step = |a, e, u, o, spike| spike(e - a * u, u, o) + a * (1.0 - o);
    assert_eq!(with(right, 0.0), Ok(()));
    // The last step has no a: the first wrong one on the way back is earlier.
    let cases: [(Step, &str); 5] = [
        (|a, e, u, o, spike| spike(e, u, o) + a * (1.0 - o), "through the reset is missing"),
        (|a, e, u, o, spike| spike(e + a * u, u, o) + a * (1.0 - o), "the reset has the wrong sign"),
        (|a, e, u, o, spike| spike(e, u, o) - a * u * spike(1.0, u, o) + a * (1.0 - o), "only e is scaled"),
        (|a, e, u, o, spike| spike(e - a * u, u, o), "the path through the membrane is missing"),
        (|a, e, u, o, spike| spike(e - a * u, u, o) + a, "for a spike sets it to 0"),
    ];
    for (step, words) in cases {
        blames(with(step, 0.0), "∂L/∂u[t = ", words);
        assert!(!with(step, 0.0).unwrap_err().place.contains("[t = 5]"), "{words}");
    }
    blames(with(right, 1.0), "∂L/∂u[t = 4]", "τ is missing");
    blames(with(right, f64::MIN_POSITIVE), "∂L/∂u[t = 4]", "not handed on");
}

/// The inputs of the forward: the second membrane, ½·¼ + ⅜, stands at the threshold, the third, ½·½ + ½, is above it.
#[test]
fn right_membranes_with_wrong_spikes_are_no_answer() {
    let right = |x: &[f64]| {
        let (mut us, mut os, mut m) = (Vec::new(), Vec::new(), 0.0);
        for x in x {
            let u = 0.5 * m + x;
            let o = if u > 0.5 { 1.0 } else { 0.0 };
            m = (1.0 - o) * u;
            us.push(u);
            os.push(o);
        }
        (us, os)
    };
    assert_eq!(exercise::lif_forward(|x, _, _| right(x)), Ok(()));
    let silent = exercise::lif_forward(|x, _, _| (right(x).0, vec![0.0; x.len()])).unwrap_err();
    assert_eq!((&silent.place[..], silent.got, silent.want), ("o[t = 2]", 0.0, 1.0));
    let early = exercise::lif_forward(|x, _, _| {
        let (us, mut os) = right(x);
        os[1] = 1.0;
        (us, os)
    });
    assert_eq!(early.unwrap_err().place, "o[t = 1]", "at the threshold nothing fires");
}

#[test]
fn known_mistakes_in_a_forward_are_named_with_their_step() {
    let with = |fires: fn(f64) -> bool, after: fn(f64, f64) -> f64, keep: f64| {
        exercise::lif_forward(|x, _, _| {
            let (mut us, mut os, mut m) = (Vec::new(), Vec::new(), 0.0);
            for x in x {
                let u = keep * m + x;
                let o = if fires(u) { 1.0 } else { 0.0 };
                m = after(u, o);
                us.push(u);
                os.push(o);
            }
            (us, os)
        })
    };
    assert_eq!(with(|u| u > 0.5, |u, o| (1.0 - o) * u, 0.5), Ok(()));
    // 0.5·0.25 + 0.375 is the threshold itself: the step after shows whether it fired.
    blames(with(|u| u >= 0.5, |u, o| (1.0 - o) * u, 0.5), "u[t = 2]", "at the threshold does not fire");
    blames(with(|u| u > 0.5, |u, o| u - 0.5 * o, 0.5), "u[t = 3]", "the reset is soft");
    blames(with(|u| u > 0.5, |u, _| u, 0.5), "u[t = 3]", "the reset is missing");
    blames(with(|u| u > 0.5, |u, o| (1.0 - o) * u, 1.0), "u[t = 1]", "τ is missing");
    blames(with(|u| u > 0.5, |u, o| (1.0 - o) * u, 0.0), "u[t = 1]", "forgotten");
}

#[test]
fn known_mistakes_elsewhere_are_named() {
    let factor = solutions::sgs::factor;
    let factors = |f: fn(f64, f64, f64, f64) -> f64| exercise::sgs(f, solutions::sgs::sgs);
    blames(
        factors(|g, u, o, d| (1.0 + d * g.signum() * (u - o)).max(0.0)),
        "factor at g = 0",
        "sign(0) is 0",
    );
    blames(factors(|_, u, o, d| (1.0 + d * (u - o)).max(0.0)), "factor at g = 0", "sign(g) is missing");
    let sgs = |f: fn(f64, f64, f64, f64, f64) -> f64| exercise::sgs(factor, f);
    blames(sgs(|g, _, _, h, _| g * h), "δ = 0.3", "the factor is missing");
    blames(sgs(|g, u, o, h, d| g * h * (1.0 + d * g.signum() * (u - o))), "δ = 3", "max(0, ·) is missing");
    blames(sgs(|g, u, o, h, d| g * h * (1.0 + d * (u - o)).max(0.0)), "g = -1", "sign(g) is missing");
}

#[test]
fn known_mistakes_in_a_layer_are_named() {
    let solved = solutions::batch_norm_backward::batch_norm_backward;
    let scaled = |x: &[f64], dy: &[f64], gamma: f64, epsilon: f64| {
        let (_, dgamma, dbeta) = solved(x, dy, gamma, epsilon);
        let count = x.len() as f64;
        let mean = x.iter().sum::<f64>() / count;
        let var = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        (dy.iter().map(|dy| gamma / (var + epsilon).sqrt() * dy).collect(), dgamma, dbeta)
    };
    blames(exercise::batch_norm_backward(scaled), "∂L/∂x[0]", "the terms of μ and σ² are missing");
    let mean = |x: &[f64], dy: &[f64], gamma: f64, epsilon: f64| {
        let (dx, dgamma, dbeta) = solved(x, dy, gamma, epsilon);
        (dx, dgamma / x.len() as f64, dbeta)
    };
    blames(exercise::batch_norm_backward(mean), "∂L/∂γ", "a mean stands where the sum should");
    let raw = |x: &[f64], dy: &[f64], gamma: f64, epsilon: f64| {
        let (dx, _, dbeta) = solved(x, dy, gamma, epsilon);
        (dx, x.iter().zip(dy).map(|(x, dy)| x * dy).sum(), dbeta)
    };
    blames(exercise::batch_norm_backward(raw), "∂L/∂γ", "x stands where x̂ should");

    let conv = solutions::conv_input_gradient::conv_input_gradient;
    let turned = |size: &Conv, g: &[f64], weight: &[f64]| {
        let mirror: Vec<f64> = weight.chunks(size.k * size.k).flat_map(|w| w.iter().rev().copied()).collect();
        conv(size, g, &mirror)
    };
    blames(exercise::conv_input_gradient(turned), "channel 0", "the kernel is turned");
    // Without the stride everything is right where the stride is 1; without the padding where there is none.
    let scattered = |stride: Option<usize>, pad: Option<usize>| {
        exercise::conv_input_gradient(move |size, g, weight| {
            let (rows, columns, k) = (size.out_h(), size.out_w(), size.k);
            let (stride, pad) = (stride.unwrap_or(size.stride), pad.unwrap_or(size.pad));
            let mut dx = vec![0.0; size.x_len()];
            for (place, g) in g.iter().enumerate() {
                let (o, y, x) = (place / columns / rows, place / columns % rows, place % columns);
                for tap in 0..size.ci * k * k {
                    let (i, a, b) = (tap / k / k, tap / k % k, tap % k);
                    let (row, column) = (y * stride + a, x * stride + b);
                    let inside = row >= pad && row - pad < size.h && column >= pad && column - pad < size.w;
                    if inside {
                        dx[(i * size.h + row - pad) * size.w + column - pad] +=
                            g * weight[o * size.ci * k * k + tap];
                    }
                }
            }
            dx
        })
    };
    assert_eq!(scattered(None, None), Ok(()));
    blames(scattered(Some(1), None), "stride 2", "the stride is missing");
    blames(scattered(None, Some(0)), "padding 1", "the padding is missing");

    let lipschitz = solutions::lipschitz_gradient::lipschitz_gradient;
    let half = |w: &[f64], rows: usize, beta: f64| lipschitz(w, rows, beta / 2.0);
    blames(exercise::lipschitz_gradient(half), "∂L/∂W[0, 0]", "the factor is 2β");
}
