//! A bound that tells before an optimiser's step whether a number can leave the range of an `f32`.
//!
//! A step changes weights and moments in place; a step that makes an infinity cannot be undone. So the results of a step
//! are bounded first, from the largest gradient, weight and moments, in `f64`:
//!
//! | optimiser | gradient g' | moments | update |
//! |---|---|---|---|
//! | SGD | g + λ·w | v' ≤ μ·v + g' | lr·(g' + μ·v') |
//! | Adam | g + λ·w | m' ≤ 2m + g', v' ≤ v + g'² | lr/(1 − β₁ⁿ)·m'/ε |
//! | AdamW | g | as Adam's | as Adam's, on w·(1 + lr·λ) |
//!
//! The largest weight and moments are by-products of the step before ([`Optimizer::step`] returns them), so that the
//! bound costs nothing. It is coarse (√v is left out of Adam's denominator), and that is enough: numbers of real
//! trainings lie tens of orders of magnitude below it.

use crate::Optimizer;
use spikegrad_tensor::{Level, largest_magnitude};

/// The largest magnitudes of weights and moments; NaN where a number is NaN.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Largest {
    /// The largest magnitude of the weights.
    pub weight: f32,
    /// The largest magnitude of the first moments.
    pub first: f32,
    /// The largest magnitude of the second moments.
    pub second: f32,
}

impl Largest {
    /// Measures the largest magnitudes.
    pub fn of(level: Level, weights: &[f32], first: &[f32], second: &[f32]) -> Self {
        let [weight, first, second] = [weights, first, second].map(|all| largest_magnitude(level, all));
        Self { weight, first, second }
    }

    /// Returns the larger magnitudes of both, number by number; NaN where one is NaN.
    pub fn or(self, other: Self) -> Self {
        let larger = |a: f32, b: f32| if a > b || a.is_nan() { a } else { b };
        Self {
            weight: larger(self.weight, other.weight),
            first: larger(self.first, other.first),
            second: larger(self.second, other.second),
        }
    }

    /// Whether all numbers are finite.
    pub fn is_finite(&self) -> bool {
        self.weight.is_finite() && self.first.is_finite() && self.second.is_finite()
    }
}

impl Optimizer {
    /// Whether a step surely keeps every weight and moment finite, for gradients of at most `gradient`. Where the answer is
    /// no, the step may still keep them finite.
    pub fn surely_stays_finite(&self, lr: f32, step: u64, gradient: f32, largest: Largest) -> bool {
        let wide = f64::from;
        let Largest { weight, first, second } = largest;
        let (lr, w, v) = (wide(lr), wide(weight), wide(first));
        let reached = match *self {
            Self::Sgd { momentum, weight_decay, .. } => {
                let g = wide(gradient) + wide(weight_decay) * w;
                let v = wide(momentum) * v + g;
                let direction = g + wide(momentum) * v;
                [g, v, direction, lr * direction, w + lr * direction]
            }
            Self::Adam { beta1, eps, weight_decay, .. } => {
                let g = wide(gradient) + wide(weight_decay) * w;
                adam(w, g, (v, wide(second)), (lr, wide(beta1), wide(eps)), step)
            }
            Self::AdamW { beta1, eps, weight_decay, .. } => {
                let decay = lr * wide(weight_decay);
                let w = w * (1.0 + decay) + decay;
                adam(w, wide(gradient), (v, wide(second)), (lr, wide(beta1), wide(eps)), step)
            }
            Self::Custom(_) => return false,
        };
        // Half of the range is room for the rounding of a dozen operations.
        reached.iter().all(|&x| x < wide(f32::MAX) / 2.0)
    }
}

/// Computes the largest numbers that Adam can reach from a weight, a gradient and moments.
fn adam(w: f64, g: f64, moments: (f64, f64), (lr, beta1, eps): (f64, f64, f64), step: u64) -> [f64; 5] {
    let bias = 1.0 - beta1.powi(step.min(i32::MAX as u64) as i32);
    let (m, v) = (2.0 * moments.0 + g, moments.1 + g * g);
    let update = lr / bias * m;
    [m, v, lr / bias, update, w + update / eps]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::Parameters;
    use proptest::prelude::*;
    use spikegrad_tensor::Workers;

    /// Magnitudes over the whole range of an f32, zero included.
    fn number() -> impl Strategy<Value = f32> {
        let spread = (-45.0f32..38.5).prop_map(|exponent| 10f32.powf(exponent));
        prop_oneof![spread, Just(0.0), 0.0f32..2.0].prop_flat_map(|x| prop_oneof![Just(x), Just(-x)])
    }

    fn optimizers(decay: f32, eps: f32) -> [Optimizer; 5] {
        let (beta1, beta2, weight_decay) = (0.9, 0.999, decay);
        [
            Optimizer::sgd(0.9, true, decay),
            Optimizer::sgd(0.9, false, decay),
            Optimizer::sgd(0.0, false, decay),
            Optimizer::Adam { beta1, beta2, eps, weight_decay },
            Optimizer::AdamW { beta1, beta2, eps, weight_decay },
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        /// Where the bound says yes, the step itself yields finite numbers; and it returns the largest of them.
        #[test]
        fn a_step_that_is_called_safe_stays_finite(
            w in number(), g in number(), m in number(), v in number(), lr in number(), decay in number(),
            eps in number(), step in 1u64..5,
        ) {
            let (lr, decay, eps) = (lr.abs(), decay.abs(), eps.abs().max(f32::MIN_POSITIVE));
            for optimizer in optimizers(decay, eps) {
                let mut first = [m, 0.0];
                let mut second = [v.abs(), 0.0];
                let mut weights = [w, 0.5];
                let largest = Largest::of(Level::BASELINE, &weights, &first, &second);
                let safe = optimizer.surely_stays_finite(lr, step, g.abs(), largest);
                let parameters = Parameters {
                    weights: &mut weights, grads: &[g, 0.0], first: &mut first, second: &mut second,
                };
                let told = optimizer.step(lr, step, parameters, Level::BASELINE, &mut Workers::new());
                let is = Largest::of(Level::BASELINE, &weights, &first, &second);
                prop_assert_eq!(told.is_finite(), is.is_finite());
                if is.is_finite() {
                    let want = if optimizer.moments() > 1 { is } else { Largest { second: 0.0, ..is } };
                    prop_assert_eq!(told, want);
                }
                prop_assert!(!safe || is.is_finite(), "{:?}: {:?}", optimizer, is);
            }
        }
    }

    #[test]
    fn numbers_of_real_trainings_are_called_safe() {
        let largest = Largest { weight: 1e3, first: 1e6, second: 1e12 };
        for optimizer in optimizers(0.1, 1e-8) {
            assert!(optimizer.surely_stays_finite(10.0, 1, 1e6, largest), "{optimizer:?}");
        }
        // The square of 1e21 is beyond an f32.
        assert!(!Optimizer::adam(0.0).surely_stays_finite(1e-3, 9, 1e21, largest));
        assert!(Optimizer::sgd(0.9, false, 0.0).surely_stays_finite(1e-3, 9, 1e21, largest));
    }
}
