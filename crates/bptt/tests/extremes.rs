//! Numbers at the ends of an `f32`: losses as `f64` has them, surrogates finite for every parameter that is allowed.

use spikegrad_bptt::loss::Logits;
use spikegrad_bptt::{LifConfig, LossConfig, LossKind, Optimizer, Surrogate};
use spikegrad_tensor::{Kernel, Lanes, Level};

/// Loss and gradient of one image of two classes and one step.
fn loss(config: LossConfig, logits: [f32; 2], label: u32) -> (f64, [f32; 2]) {
    let (mut grad, mut mean) = ([f32::NAN; 2], [f32::NAN; 2]);
    let size = Logits { steps: 1, classes: 2, stride: 2 };
    let loss = config.evaluate(size, &logits, &[label], &mut grad, &mut mean);
    assert_eq!(mean, logits);
    (loss, grad)
}

#[test]
fn losses_of_the_largest_logits_are_those_of_f64() {
    const Z: f32 = 3e38;
    let gap = 2.0 * f64::from(Z);
    let close = |got: f64, want: f64| assert!((got - want).abs() <= 1e-12 * want, "got {got}, want {want}");
    let plain = |kind| LossConfig::new(kind);
    // The softmax is (1, 0): a right answer costs 0, a wrong one the logits' distance.
    assert_eq!(loss(plain(LossKind::CrossEntropy), [Z, -Z], 0), (0.0, [0.0, 0.0]));
    let (got, grad) = loss(plain(LossKind::CrossEntropy), [Z, -Z], 1);
    close(got, gap);
    assert_eq!(grad, [1.0, -1.0]);
    // ε = 1/2 puts a quarter of the label on the other class.
    let smooth = LossConfig::default().label_smoothing(0.5);
    let (got, grad) = loss(smooth, [Z, -Z], 0);
    close(got, 0.25 * gap);
    assert_eq!(grad, [0.25, -0.25]);
    // TET: (1 − λ)·CE + λ·mean (z − φ)²; φ is lost beside z.
    let (got, grad) = loss(plain(LossKind::Tet { lambda: 0.5, phi: 1.0 }), [Z, -Z], 1);
    close(got, 0.5 * gap + 0.5 * f64::from(Z).powi(2));
    assert!(grad[0] > 1e38 && grad[1] < -1e38 && grad.iter().all(|g| g.is_finite()), "{grad:?}");
}

struct Derivative<'a>(&'a Surrogate, f32);

impl Kernel for Derivative<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<V: Lanes>(self) -> f32 {
        let mut out = [0.0; 16];
        self.0.derivative(V::splat(self.1)).store(&mut out);
        out[0]
    }
}

fn all(parameter: f32) -> [Surrogate; 7] {
    spikegrad_bptt::surrogate::NAMES.map(|name| Surrogate::named(name, Some(parameter)).unwrap())
}

#[test]
fn surrogates_are_finite_for_every_parameter_that_is_allowed() {
    let parameters = [f32::MIN_POSITIVE, 1e-30, 1e-20, 1e-10, 0.5, 1.0, 1e10, 1e20, 1e30, f32::MAX];
    let distances = [0.0, 1e-45, 1e-38, 1e-20, 1e-5, 0.3, 0.5, 1.0, 20.0, 1e10, 1e20, 1e38];
    for parameter in parameters {
        for surrogate in all(parameter) {
            for d in distances.into_iter().flat_map(|d| [d, -d]) {
                let what = || format!("{surrogate:?} at {d}");
                let slow = surrogate.derivative_at(d);
                assert!(slow.is_finite() && slow >= 0.0, "{}: {slow}", what());
                assert!(surrogate.primitive_at(d).is_finite(), "{}", what());
                for level in Level::available() {
                    let fast = level.run(Derivative(&surrogate, d));
                    let near = (fast - slow).abs() <= 1e-5 * slow.abs() + 1e-37;
                    assert!(fast.is_finite() && near, "{} at {level}: {fast}, {slow}", what());
                }
            }
        }
    }
    // A tent of area 1 is 1/w high, however narrow.
    let narrow = Surrogate::Triangle { window: 1e-20 };
    assert!((narrow.derivative_at(0.0) - 1e20).abs() < 1e14 && narrow.derivative_at(1e-19) == 0.0);
}

#[test]
fn numbers_that_make_no_sense_are_refused_by_name() {
    let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0, 0.0, -0.0, 1e-40];
    for p in bad {
        let surrogates = [
            Surrogate::Rectangle { window: p },
            Surrogate::Triangle { window: p },
            Surrogate::Arctan { alpha: p },
            Surrogate::Sigmoid { alpha: p },
            Surrogate::Gaussian { alpha: p },
            Surrogate::FastSigmoid { alpha: p },
            Surrogate::Dspike { alpha: p },
        ];
        for surrogate in surrogates {
            let error = LifConfig::default().surrogate(surrogate.clone()).check().unwrap_err();
            assert!(error.to_string().contains(&format!("is {p}")), "{surrogate:?}: {error}");
            assert!(Surrogate::named(surrogate.name(), Some(p)).is_err());
        }
    }
}

#[test]
fn constants_that_make_no_sense_are_refused_by_name() {
    let lif = LifConfig::default;
    for p in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for (name, config) in
            [("threshold", lif().threshold(p)), ("decay", lif().decay(p)), ("delta", lif().delta(p))]
        {
            let error = config.check().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name} is {p}")), "{error}");
        }
        let tet = |lambda, phi| LossConfig::new(LossKind::Tet { lambda, phi });
        let smooth = LossConfig::default().label_smoothing(p);
        for config in [tet(p, 0.0), tet(0.0, p), smooth] {
            assert!(config.check().unwrap_err().to_string().contains(&p.to_string()), "{config:?}");
        }
        let (beta1, beta2, eps, weight_decay) = (0.9, 0.999, 1e-8, 0.0);
        for (name, optimizer) in [
            ("momentum", Optimizer::sgd(p, false, 0.0)),
            ("weight decay", Optimizer::sgd(0.9, false, p)),
            ("weight decay", Optimizer::adam(p)),
            ("weight decay", Optimizer::adamw(p)),
            ("beta1", Optimizer::Adam { beta1: p, beta2, eps, weight_decay }),
            ("beta2", Optimizer::Adam { beta1, beta2: p, eps, weight_decay }),
            ("eps", Optimizer::Adam { beta1, beta2, eps: p, weight_decay }),
            ("beta1", Optimizer::AdamW { beta1: p, beta2, eps, weight_decay }),
            ("beta2", Optimizer::AdamW { beta1, beta2: p, eps, weight_decay }),
            ("eps", Optimizer::AdamW { beta1, beta2, eps: p, weight_decay }),
        ] {
            let error = optimizer.check().unwrap_err().to_string();
            assert!(error.starts_with(&format!("optimiser's {name} is {p}")), "{error}");
        }
    }
    for (name, optimizer) in [
        ("momentum is 1", Optimizer::sgd(1.0, false, 0.0)),
        ("momentum is -0.1", Optimizer::sgd(-0.1, false, 0.0)),
        ("weight decay is -1", Optimizer::adam(-1.0)),
        ("momentum above 0", Optimizer::sgd(0.0, true, 0.0)),
        ("beta2 is 1", Optimizer::Adam { beta1: 0.9, beta2: 1.0, eps: 1e-8, weight_decay: 0.0 }),
        ("eps is 0", Optimizer::AdamW { beta1: 0.9, beta2: 0.9, eps: 0.0, weight_decay: 0.0 }),
    ] {
        let error = optimizer.check().unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
    assert_eq!(Optimizer::sgd(0.0, false, 0.0).check(), Ok(()));
}
