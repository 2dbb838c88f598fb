//! Optimisers, exactly as PyTorch states them.

/// Stochastic gradient descent with momentum.
///
/// ```text
/// g ← g + weight_decay·p      b ← g at the first step, μ·b + g after
/// p ← p − lr·b                Nesterov: p ← p − lr·(g + μ·b)
/// ```
#[derive(Clone, Debug)]
pub struct Sgd {
    /// Learning rate.
    pub lr: f64,
    /// Momentum μ; 0 keeps no state.
    pub momentum: f64,
    /// Use the look-ahead form.
    pub nesterov: bool,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
    /// Momentum buffer; empty before the first step.
    pub buffer: Vec<f64>,
}

impl Sgd {
    /// A fresh optimiser.
    pub fn new(lr: f64, momentum: f64, nesterov: bool, weight_decay: f64) -> Sgd {
        Sgd { lr, momentum, nesterov, weight_decay, buffer: Vec::new() }
    }

    /// Updates `p` by one step along `grad`.
    pub fn step(&mut self, p: &mut [f64], grad: &[f64]) {
        let first = self.buffer.is_empty();
        self.buffer.resize(p.len(), 0.0);
        for ((p, g), b) in p.iter_mut().zip(grad).zip(&mut self.buffer) {
            let g = g + self.weight_decay * *p;
            *b = if first { g } else { self.momentum * *b + g };
            let direction = match (self.momentum == 0.0, self.nesterov) {
                (true, _) => g,
                (false, true) => g + self.momentum * *b,
                (false, false) => *b,
            };
            *p -= self.lr * direction;
        }
    }
}

/// Adam, and AdamW when `decoupled`.
///
/// ```text
/// Adam: g ← g + weight_decay·p         AdamW: p ← p·(1 − lr·weight_decay)
/// m ← β₁m + (1 − β₁)g                  v ← β₂v + (1 − β₂)g²
/// p ← p − lr/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε)
/// ```
#[derive(Clone, Debug)]
pub struct Adam {
    /// Learning rate.
    pub lr: f64,
    /// Decay β₁ of the first moment.
    pub beta1: f64,
    /// Decay β₂ of the second moment.
    pub beta2: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// AdamW: shrink the weights instead of adding to the gradient.
    pub decoupled: bool,
    /// First moment m; empty before the first step.
    pub first: Vec<f64>,
    /// Second moment v.
    pub second: Vec<f64>,
    /// Steps taken.
    pub steps: i32,
}

impl Adam {
    /// A fresh Adam with PyTorch's defaults (β = 0.9, 0.999; ε = 1e-8; no decay).
    pub fn new(lr: f64) -> Adam {
        Adam {
            lr,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.0,
            decoupled: false,
            first: Vec::new(),
            second: Vec::new(),
            steps: 0,
        }
    }

    /// A fresh AdamW.
    pub fn adamw(lr: f64, weight_decay: f64) -> Adam {
        Adam { weight_decay, decoupled: true, ..Adam::new(lr) }
    }

    /// Updates `p` by one step along `grad`.
    pub fn step(&mut self, p: &mut [f64], grad: &[f64]) {
        self.first.resize(p.len(), 0.0);
        self.second.resize(p.len(), 0.0);
        self.steps += 1;
        let correct1 = 1.0 - self.beta1.powi(self.steps);
        let correct2 = 1.0 - self.beta2.powi(self.steps);
        for (i, (p, &g)) in p.iter_mut().zip(grad).enumerate() {
            let (m, v) = (&mut self.first[i], &mut self.second[i]);
            let mut g = g;
            if self.decoupled {
                *p *= 1.0 - self.lr * self.weight_decay;
            } else {
                g += self.weight_decay * *p;
            }
            *m = self.beta1 * *m + (1.0 - self.beta1) * g;
            *v = self.beta2 * *v + (1.0 - self.beta2) * g * g;
            *p -= self.lr / correct1 * *m / (v.sqrt() / correct2.sqrt() + self.eps);
        }
    }
}
