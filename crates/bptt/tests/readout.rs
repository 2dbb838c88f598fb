//! Read-outs, losses on them and weights of classes, against closed forms and finite differences.

use spikegrad_bptt::loss::Logits;
use spikegrad_bptt::{LossConfig, LossKind, Readout};
use spikegrad_testkit::check::finite_difference;
use spikegrad_testkit::rng::Rng;

const SIZE: Logits = Logits { steps: 4, classes: 3, stride: 5 };

/// Loss, gradient and read-out of outputs in the order step, sample, class.
fn evaluate(
    loss: &LossConfig,
    readout: Readout,
    z: &[f64],
    labels: &[u32],
    weights: Option<&[f32]>,
) -> (f64, Vec<f64>, Vec<f32>) {
    let rows = SIZE.steps * labels.len();
    let mut padded = vec![7.0; rows * SIZE.stride];
    for (to, from) in padded.chunks_mut(SIZE.stride).zip(z.chunks(SIZE.classes)) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from as f32);
    }
    let (mut grad, mut read) = (vec![0.0; padded.len()], vec![0.0; labels.len() * SIZE.classes]);
    let value = loss.evaluate_weighted((SIZE, readout), &padded, (labels, weights), &mut grad, &mut read);
    let grad = grad.chunks(SIZE.stride).flat_map(|row| row[..SIZE.classes].iter().map(|&g| f64::from(g)));
    (value, grad.collect(), read)
}

/// r of one class whose outputs are 0.25, 1, 0.5, 0.75: mean and sum 2.5; T − (0.75 + 0 + 0 + 0).
#[test]
fn read_outs_by_hand() {
    let z = [0.25, 1.0, 0.5, 0.75];
    for (readout, want) in [
        (Readout::Mean, 0.625),
        (Readout::Sum, 2.5),
        (Readout::Last, 0.75),
        (Readout::Max, 1.0),
        (Readout::Latency, 3.25),
    ] {
        assert_eq!(readout.read(z.into_iter()), want, "{readout}");
    }
    // Spikes: the first at step 1 of 4 leaves three steps, a silent class leaves none, one at once leaves all.
    for (spikes, want) in [([0.0, 1.0, 1.0, 0.0], 3.0), ([0.0; 4], 0.0), ([1.0, 0.0, 0.0, 0.0], 4.0)] {
        assert_eq!(Readout::Latency.read(spikes.into_iter()), want);
    }
}

#[test]
fn gradients_of_every_loss_on_every_read_out_are_differences() {
    let labels = [2, 0];
    let len = SIZE.steps * labels.len() * SIZE.classes;
    let kinds = [
        LossKind::CrossEntropy,
        LossKind::Mse { correct: 0.9, incorrect: -0.1 },
        LossKind::Tet { lambda: 0.3, phi: 0.7 },
    ];
    for kind in kinds {
        for readout in Readout::ALL {
            let loss = LossConfig::new(kind.clone()).class_weights([0.5, 1.0, 3.0]);
            // Between 0 and 1, as smooth spikes are; no two steps of a class are equal, where the maximum has a kink.
            let z: Vec<f64> = Rng::new(3).normals(len).iter().map(|x| 0.5 + 0.2 * x).collect();
            let direction = Rng::new(4).normals(len);
            let (_, grad, _) = evaluate(&loss, readout, &z, &labels, Some(&[1.0, 2.0]));
            let slope: f64 = grad.iter().zip(&direction).map(|(g, d)| g * d).sum();
            let value = |z: &[f64]| evaluate(&loss, readout, z, &labels, Some(&[1.0, 2.0])).0;
            // Outputs are f32: a step of 2⁻⁸ makes their rounding, 2⁻²⁵, and the third derivative small.
            let want = finite_difference(value, &z, &direction, 1.0 / 256.0);
            assert!(
                (slope - want).abs() < 2e-4 * (1.0 + want.abs()),
                "{} {readout}: {slope} {want}",
                kind.name()
            );
        }
    }
}

/// Two samples, T = 4 equal steps: CE(z, y) = ln Σ exp z − z_y, weighted Σ w·L / Σ w as PyTorch's `weight`.
#[test]
fn class_weights_are_those_of_a_weighted_mean() {
    let (first, second) = ([0.0f64, 1.0, 2.0], [3.0f64, 0.0, -1.0]);
    let z: Vec<f64> = (0..SIZE.steps).flat_map(|_| [first, second].concat()).collect();
    let ce = |z: [f64; 3], y: usize| z.iter().map(|z| z.exp()).sum::<f64>().ln() - z[y];
    let (a, b) = (ce(first, 0), ce(second, 1));
    let loss = LossConfig::default().class_weights([0.25, 2.0, 1.0]);
    let (value, grad, _) = evaluate(&loss, Readout::Mean, &z, &[0, 1], None);
    let want = (0.25 * a + 2.0 * b) / 2.25;
    assert!((value - want).abs() < 1e-6, "{value} {want}");
    // ∂L/∂z of the first sample's label, a quarter of it at each step: w/Σw·(softmax − 1)/T.
    let softmax = 1.0 / (1.0 + 1f64.exp() + 2f64.exp());
    let want = 0.25 / 2.25 * (softmax - 1.0) / 4.0;
    assert!((grad[0] - want).abs() < 1e-7, "{} {want}", grad[0]);
    // A sample that weighs nothing, as the padding of a part of a batch, is not counted: the other's weight is 2 of 2.
    let (value, grad, _) = evaluate(&loss, Readout::Mean, &z, &[0, 1], Some(&[2.0, 0.0]));
    assert!((value - a).abs() < 1e-6, "{value} {a}");
    assert!((grad[0] - (softmax - 1.0) / 4.0).abs() < 1e-7, "{}", grad[0]);
    assert!(loss.clone().class_weights([f32::NAN, 1.0]).check().is_err());
}

/// Mean squares on spike counts: counts 3, 1, 0 of 4 steps, targets 4 for the label and 1 for the others.
#[test]
fn squares_of_counts_by_hand() {
    let loss = LossConfig::new(LossKind::Mse { correct: 4.0, incorrect: 1.0 });
    let spikes = [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]].concat();
    let (value, grad, counts) = evaluate(&loss, Readout::Sum, &spikes, &[0], None);
    assert_eq!(counts, [3.0, 1.0, 0.0]);
    assert!((value - (1.0 + 0.0 + 1.0) / 3.0).abs() < 1e-7, "{value}");
    // 2·(count − target)/3 at every step.
    for step in grad.chunks(3) {
        step.iter().zip([-2.0 / 3.0, 0.0, -2.0 / 3.0]).for_each(|(g, want)| assert!((g - want).abs() < 1e-7));
    }
}
