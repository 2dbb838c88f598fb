//! Optimisers over one flat vector of parameters, as PyTorch defines them; gradient clipping.

use crate::{ConfigError, Largest};
use spikegrad_tensor::magnitude::magnitude_bits;
use spikegrad_tensor::{Kernel, Lanes, Level, Workers};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A task updates so many parameters.
const CHUNK: usize = 1 << 14;

/// A user's own optimiser over flat vectors.
///
/// ```
/// # use spikegrad_bptt::Optimizer;
/// // The sign of the gradient, without a moment.
/// let sign = Optimizer::custom(0, |lr, _step, parameters| {
///     parameters.weights.iter_mut().zip(parameters.grads).for_each(|(w, g)| *w -= lr * g.signum());
/// });
/// assert_eq!(sign.moments(), 0);
/// ```
pub trait UserOptimizer: Send + Sync {
    /// How many moments of the parameters' size it keeps: 0, 1 or 2.
    fn moments(&self) -> usize;
    /// Takes one step; `step` counts from 1. Moments begin at 0; those it does not keep are empty.
    ///
    /// A step that depends on where a parameter lies in the vectors is another one where parameters form groups: each
    /// group is handed over by itself.
    fn step(&self, lr: f32, step: u64, parameters: Parameters<'_>);
}

impl fmt::Debug for dyn UserOptimizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a user's own optimiser")
    }
}

/// A function that is an optimiser, and the moments that it keeps.
struct OptimizerFn<F>(usize, F);

impl<F: Fn(f32, u64, Parameters<'_>) + Send + Sync> UserOptimizer for OptimizerFn<F> {
    fn moments(&self) -> usize {
        self.0
    }

    fn step(&self, lr: f32, step: u64, parameters: Parameters<'_>) {
        self.1(lr, step, parameters);
    }
}

/// An optimiser and its constants.
#[derive(Clone, Debug)]
pub enum Optimizer {
    /// Stochastic gradient descent: v ← μ·v + g, w ← w − lr·v (Nesterov: lr·(g + μ·v)).
    Sgd {
        /// μ, the momentum.
        momentum: f32,
        /// Whether the step uses Nesterov's form.
        nesterov: bool,
        /// λ, the weight decay: λ·w is added to the gradient.
        weight_decay: f32,
    },
    /// Adam, weight decay added to the gradient.
    Adam {
        /// β₁, the decay of the mean gradient.
        beta1: f32,
        /// β₂, the decay of the mean square.
        beta2: f32,
        /// ε, added to the root of the mean square.
        eps: f32,
        /// λ, the weight decay.
        weight_decay: f32,
    },
    /// Adam with decoupled weight decay: w ← w·(1 − lr·λ) first.
    AdamW {
        /// β₁, the decay of the mean gradient.
        beta1: f32,
        /// β₂, the decay of the mean square.
        beta2: f32,
        /// ε, added to the root of the mean square.
        eps: f32,
        /// λ, the weight decay.
        weight_decay: f32,
    },
    /// A user's own.
    Custom(Arc<dyn UserOptimizer>),
}

/// Optimisers of one's own are equal if they are the same object.
impl PartialEq for Optimizer {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Custom(own), Self::Custom(other)) => Arc::ptr_eq(own, other),
            _ => self.kind() == other.kind() && self.constants() == other.constants(),
        }
    }
}

impl Optimizer {
    /// An optimiser of one's own: how many moments it keeps, and a function as [`UserOptimizer::step`].
    pub fn custom(moments: usize, step: impl Fn(f32, u64, Parameters<'_>) + Send + Sync + 'static) -> Self {
        Self::Custom(Arc::new(OptimizerFn(moments, step)))
    }

    /// The kind, as files spell it.
    fn kind(&self) -> &'static str {
        match self {
            Self::Sgd { .. } => "sgd",
            Self::Adam { .. } => "adam",
            Self::AdamW { .. } => "adamw",
            Self::Custom(_) => "custom",
        }
    }

    fn constants(&self) -> [f32; 4] {
        match *self {
            Self::Sgd { momentum, nesterov, weight_decay } => {
                [momentum, f32::from(u8::from(nesterov)), 0.0, weight_decay]
            }
            Self::Adam { beta1, beta2, eps, weight_decay }
            | Self::AdamW { beta1, beta2, eps, weight_decay } => [beta1, beta2, eps, weight_decay],
            Self::Custom(_) => [0.0; 4],
        }
    }

    /// The same optimiser with another weight decay; a user's own stays as it is.
    pub fn with_weight_decay(&self, decay: f32) -> Self {
        let mut own = self.clone();
        match &mut own {
            Self::Sgd { weight_decay, .. }
            | Self::Adam { weight_decay, .. }
            | Self::AdamW { weight_decay, .. } => {
                *weight_decay = decay;
            }
            Self::Custom(_) => {}
        }
        own
    }

    /// Makes Adam with PyTorch's constants.
    pub fn adam(weight_decay: f32) -> Self {
        Self::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay }
    }

    /// Makes AdamW with PyTorch's constants.
    pub fn adamw(weight_decay: f32) -> Self {
        Self::AdamW { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay }
    }

    /// Makes SGD.
    pub fn sgd(momentum: f32, nesterov: bool, weight_decay: f32) -> Self {
        Self::Sgd { momentum, nesterov, weight_decay }
    }

    /// How many moments of the parameters' size it keeps.
    pub fn moments(&self) -> usize {
        match self {
            Self::Sgd { .. } => 1,
            Self::Adam { .. } | Self::AdamW { .. } => 2,
            Self::Custom(own) => own.moments(),
        }
    }

    /// Checks the constants.
    ///
    /// # Errors
    /// A decay outside [0, 1), a weight decay that is negative or not finite, ε that is not positive and finite, or
    /// Nesterov's form without momentum.
    pub fn check(&self) -> Result<(), ConfigError> {
        let bad = |what: &str, value: f32, want: &str| {
            Err(ConfigError::out_of_range(format_args!("optimiser's {what}"), value, want))
        };
        let decays = match *self {
            Self::Sgd { momentum, .. } => [("momentum", momentum), ("momentum", momentum)],
            Self::Adam { beta1, beta2, .. } | Self::AdamW { beta1, beta2, .. } => {
                [("beta1", beta1), ("beta2", beta2)]
            }
            Self::Custom(ref own) if own.moments() > 2 => {
                let moments = own.moments();
                return Err(ConfigError::new(format!(
                    "optimiser keeps {moments} moments, at most 2 are kept"
                )));
            }
            Self::Custom(_) => return Ok(()),
        };
        if let Some((what, value)) = decays.into_iter().find(|(_, x)| !(0.0..1.0).contains(x)) {
            return bad(what, value, "from 0 to below 1");
        }
        match *self {
            Self::Sgd { weight_decay: w, .. }
            | Self::Adam { weight_decay: w, .. }
            | Self::AdamW { weight_decay: w, .. }
                if !(w >= 0.0 && w.is_finite()) =>
            {
                bad("weight decay", w, "a finite number, 0 or more")
            }
            Self::Adam { eps, .. } | Self::AdamW { eps, .. } if !(eps > 0.0 && eps.is_finite()) => {
                bad("eps", eps, "positive and finite")
            }
            Self::Sgd { nesterov: true, momentum: 0.0, .. } => {
                Err(ConfigError::new("Nesterov's form needs a momentum above 0, momentum is 0"))
            }
            _ => Ok(()),
        }
    }

    /// Takes one step; `step` counts from 1. Returns the largest magnitudes afterwards, by-products of the pass: not
    /// finite where a weight or a moment is not.
    ///
    /// | argument | shape | access |
    /// |---|---|---|
    /// | `weights` | any | updated |
    /// | `grads` | as `weights` | read |
    /// | `first`, `second` | as `weights`; `second` may be empty for SGD | updated |
    ///
    /// Numerics: the same bits at every level and for any number of threads.
    #[doc(alias = "eq-optimizer")]
    pub fn step(
        &self,
        lr: f32,
        step: u64,
        parameters: Parameters<'_>,
        level: Level,
        workers: &mut Workers,
    ) -> Largest {
        if let Self::Custom(own) = self {
            return step_of_users(&**own, (lr, step), parameters, level);
        }
        let Parameters { weights, grads, first, second } = parameters;
        let mut seconds = second.chunks_mut(CHUNK);
        let chunks = weights.chunks_mut(CHUNK).zip(grads.chunks(CHUNK)).zip(first.chunks_mut(CHUNK));
        let chunks = chunks.map(move |((weights, grads), first)| {
            let second = seconds.next().unwrap_or_default();
            Parameters { weights, grads, first, second }
        });
        let largest: [AtomicU32; 3] = Default::default();
        workers.run(chunks, |parameters, _| {
            let of_chunk = level.run(Step { optimizer: self, lr, step, parameters });
            largest.iter().zip(of_chunk).for_each(|(all, of_chunk)| {
                all.fetch_max(of_chunk, Relaxed);
            });
        });
        let [weight, first, second] = largest.map(|bits| f32::from_bits(bits.into_inner()));
        Largest { weight, first, second }
    }
}

/// The parameters that an optimiser moves, with their gradients and moments.
#[derive(Debug)]
pub struct Parameters<'a> {
    /// The weights w.
    pub weights: &'a mut [f32],
    /// The gradients ∂L/∂w.
    pub grads: &'a [f32],
    /// The first moments: the mean of the gradient, or momentum.
    pub first: &'a mut [f32],
    /// The second moments, the mean of the gradient's square; empty for SGD.
    pub second: &'a mut [f32],
}

/// Takes a step of a user's own optimiser, and measures the largest magnitudes afterwards.
fn step_of_users(
    own: &dyn UserOptimizer,
    (lr, step): (f32, u64),
    parameters: Parameters<'_>,
    level: Level,
) -> Largest {
    let Parameters { weights, grads, first, second } = parameters;
    own.step(lr, step, Parameters { weights, grads, first, second });
    Largest::of(level, weights, first, second)
}

/// One step of some of the parameters.
struct Step<'a> {
    optimizer: &'a Optimizer,
    lr: f32,
    step: u64,
    parameters: Parameters<'a>,
}

impl Kernel for Step<'_> {
    /// Magnitude bits of the largest weight, first and second moment.
    type Output = [u32; 3];

    #[inline(always)]
    fn run<V: Lanes>(self) -> [u32; 3] {
        let mut largest = [0; 3];
        let mut note = |k: usize, x: f32| largest[k] = magnitude_bits(x).max(largest[k]);
        let Self { lr, step, parameters: Parameters { weights, grads, first, second }, .. } = self;
        match *self.optimizer {
            Optimizer::Sgd { momentum, nesterov, weight_decay } => {
                for ((w, g), v) in weights.iter_mut().zip(grads).zip(first) {
                    let g = g + weight_decay * *w;
                    *v = if step == 1 { g } else { momentum * *v + g };
                    *w -= lr * if nesterov { g + momentum * *v } else { *v };
                    note(0, *w);
                    note(1, *v);
                }
            }
            Optimizer::Adam { beta1, beta2, eps, weight_decay } => {
                let rate = AdamRate::new(lr, step, beta1, beta2, eps);
                for (((w, g), m), v) in weights.iter_mut().zip(grads).zip(first).zip(second) {
                    let g = g + weight_decay * *w;
                    *w -= rate.update(g, m, v);
                    note(0, *w);
                    note(1, *m);
                    note(2, *v);
                }
            }
            Optimizer::AdamW { beta1, beta2, eps, weight_decay } => {
                let rate = AdamRate::new(lr, step, beta1, beta2, eps);
                for (((w, g), m), v) in weights.iter_mut().zip(grads).zip(first).zip(second) {
                    *w *= 1.0 - lr * weight_decay;
                    *w -= rate.update(*g, m, v);
                    note(0, *w);
                    note(1, *m);
                    note(2, *v);
                }
            }
            Optimizer::Custom(_) => unreachable!("a user's own optimiser takes its step itself"),
        }
        largest
    }
}

/// The constants of one step of Adam.
#[derive(Clone, Copy)]
struct AdamRate {
    beta1: f32,
    beta2: f32,
    eps: f32,
    step_size: f32,
    inv_sqrt_bias2: f32,
}

impl AdamRate {
    fn new(lr: f32, step: u64, beta1: f32, beta2: f32, eps: f32) -> Self {
        let bias = |beta: f32| 1.0 - f64::from(beta).powi(step.min(i32::MAX as u64) as i32);
        let step_size = (f64::from(lr) / bias(beta1)) as f32;
        Self { beta1, beta2, eps, step_size, inv_sqrt_bias2: (1.0 / bias(beta2).sqrt()) as f32 }
    }

    /// m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g²; returns lr/bias₁ · m / (√v/√bias₂ + ε).
    #[inline(always)]
    fn update(&self, g: f32, m: &mut f32, v: &mut f32) -> f32 {
        *m += (1.0 - self.beta1) * (g - *m);
        *v = self.beta2 * *v + (1.0 - self.beta2) * g * g;
        self.step_size * *m / (v.sqrt() * self.inv_sqrt_bias2 + self.eps)
    }
}

/// Scales the gradient so that its Euclidean norm is at most `limit`; returns the norm before.
pub fn clip(grads: &mut [f32], limit: f32) -> f64 {
    let norm = grads.iter().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>().sqrt();
    if norm > f64::from(limit) {
        let scale = (f64::from(limit) / (norm + 1e-6)) as f32;
        grads.iter_mut().for_each(|g| *g *= scale);
    }
    norm
}
