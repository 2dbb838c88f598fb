//! A complete trainer of spiking nets in one file: nothing but the standard library, plain loops, the formula beside
//! the code. A test checks its gradients against the fast crates.
//!
//! `cargo run --release --example bptt_from_scratch`
//!
//! The net: image → linear → neurons → linear → neurons → linear → logits, unrolled over T steps.
//!
//! ```text
//! x[t] = W·o_below[t] + b          input current              (below the first layer: the image, at every step)
//! u[t] = τ·m[t−1] + x[t]           charge                     m[−1] = 0
//! o[t] = 1 if u[t] > V_th else 0   fire
//! m[t] = (1 − o[t])·u[t]           hard reset
//! z    = 1/T · Σ_t (W·o[t] + b)    logits of the last layer, which has no neurons
//! L    = mean over images of −log softmax(z)_label  +  β/2 · Σ_layers ‖W·Wᵀ − I‖²
//! ```
#![allow(clippy::needless_range_loop, reason = "loops read like the sums they are")]

/// What all neurons share.
#[derive(Clone, Copy)]
pub struct Neuron {
    /// τ, the share of the membrane that is kept from step to step.
    pub decay: f64,
    /// V_th.
    pub threshold: f64,
    /// w, half the width of the rectangle that stands in for the derivative of the step.
    pub window: f64,
    /// δ of surrogate gradient scaling.
    pub delta: f64,
}

impl Neuron {
    /// h(u) = 1 if |u − V_th| < w else 0.
    fn surrogate(&self, u: f64) -> f64 {
        if (u - self.threshold).abs() < self.window { 1.0 } else { 0.0 }
    }

    /// S(G, u, o) = G·h(u)·max(0, 1 + δ·sign(G)·(u − o)), sign(0) = 0: the gradient that passes through the step.
    fn scaled(&self, total: f64, u: f64, o: f64) -> f64 {
        let sign = f64::from(u8::from(total > 0.0)) - f64::from(u8::from(total < 0.0));
        total * self.surrogate(u) * (1.0 + self.delta * sign * (u - o)).max(0.0)
    }

    /// Unrolls one neuron over its currents x[0], x[1], …: membranes u and spikes o are overwritten.
    fn forward(&self, x: &[f64], u: &mut [f64], o: &mut [f64]) {
        let mut m = 0.0;
        for t in 0..x.len() {
            u[t] = self.decay * m + x[t];
            o[t] = if u[t] > self.threshold { 1.0 } else { 0.0 };
            m = (1.0 - o[t]) * u[t];
        }
    }

    /// Runs back through the same steps: from e[t] = ∂L/∂o[t] of the layers above to d[t] = ∂L/∂u[t] = ∂L/∂x[t].
    fn backward(&self, u: &[f64], o: &[f64], e: &[f64], d: &mut [f64]) {
        // a = ∂L/∂m[t]: nothing reads the last membrane.
        let mut a = 0.0;
        for t in (0..u.len()).rev() {
            // m[t] = (1 − o[t])·u[t]   ⇒   ∂m/∂o = −u[t], so the spike's total gradient is
            let total = e[t] - a * u[t];
            // o[t] = step(u[t]), with S in place of its derivative; and ∂m/∂u = 1 − o[t]:
            d[t] = self.scaled(total, u[t], o[t]) + a * (1.0 - o[t]);
            // u[t] = τ·m[t−1] + x[t]   ⇒   ∂L/∂m[t−1] = τ·∂L/∂u[t]
            a = self.decay * d[t];
        }
    }
}

/// A linear layer: outputs × inputs weights, row by row.
#[derive(Clone)]
pub struct Linear {
    /// Numbers in.
    pub inputs: usize,
    /// Numbers out.
    pub outputs: usize,
    /// W.
    pub weight: Vec<f64>,
    /// b.
    pub bias: Vec<f64>,
    /// ∂L/∂W, added to by `backward`.
    pub weight_gradient: Vec<f64>,
    /// ∂L/∂b, added to by `backward`.
    pub bias_gradient: Vec<f64>,
}

impl Linear {
    /// Draws U(±1/√inputs).
    fn new(inputs: usize, outputs: usize, random: &mut Random) -> Self {
        let bound = 1.0 / (inputs as f64).sqrt();
        let mut draw = |len: usize| -> Vec<f64> { (0..len).map(|_| random.between(-bound, bound)).collect() };
        Self {
            inputs,
            outputs,
            weight: draw(outputs * inputs),
            bias: draw(outputs),
            weight_gradient: vec![0.0; outputs * inputs],
            bias_gradient: vec![0.0; outputs],
        }
    }

    /// y = W·x + b.
    fn forward(&self, x: &[f64]) -> Vec<f64> {
        let mut y = self.bias.clone();
        for o in 0..self.outputs {
            for i in 0..self.inputs {
                y[o] += self.weight[o * self.inputs + i] * x[i];
            }
        }
        y
    }

    /// ∂L/∂W += d·xᵀ, ∂L/∂b += d; returns ∂L/∂x = Wᵀ·d.
    fn backward(&mut self, x: &[f64], d: &[f64]) -> Vec<f64> {
        let mut dx = vec![0.0; self.inputs];
        for o in 0..self.outputs {
            self.bias_gradient[o] += d[o];
            for i in 0..self.inputs {
                self.weight_gradient[o * self.inputs + i] += d[o] * x[i];
                dx[i] += self.weight[o * self.inputs + i] * d[o];
            }
        }
        dx
    }

    /// β/2·‖W·Wᵀ − I‖²; its gradient 2β·(W·Wᵀ − I)·W is added.
    fn lipschitz(&mut self, beta: f64) -> f64 {
        let (n, k) = (self.outputs, self.inputs);
        let row = |r: usize| r * k..(r + 1) * k;
        let mut value = 0.0;
        for a in 0..n {
            for b in 0..n {
                let dot: f64 = self.weight[row(a)].iter().zip(&self.weight[row(b)]).map(|(x, y)| x * y).sum();
                let gram = dot - if a == b { 1.0 } else { 0.0 };
                value += 0.5 * beta * gram * gram;
                for i in 0..k {
                    self.weight_gradient[a * k + i] += 2.0 * beta * gram * self.weight[b * k + i];
                }
            }
        }
        value
    }
}

/// Steps × numbers.
type Series = Vec<Vec<f64>>;

/// Row i of the transpose: one neuron over time.
fn over_time(series: &Series, i: usize) -> Vec<f64> {
    series.iter().map(|step| step[i]).collect()
}

/// Two layers of neurons and a read-out.
#[derive(Clone)]
pub struct Net {
    /// The neurons.
    pub neuron: Neuron,
    /// T.
    pub steps: usize,
    /// β of the Lipschitz term.
    pub beta: f64,
    /// Two below neurons, and the read-out.
    pub layers: [Linear; 3],
}

impl Net {
    /// A net of these widths: image, hidden, hidden, classes.
    pub fn new(neuron: Neuron, steps: usize, beta: f64, widths: [usize; 4], seed: u64) -> Self {
        let mut random = Random(seed);
        let layers = [0, 1, 2].map(|k| Linear::new(widths[k], widths[k + 1], &mut random));
        Self { neuron, steps, beta, layers }
    }

    /// The logits of an image, and what the backward needs of each hidden layer: membranes and spikes over time.
    pub fn forward(&self, image: &[f64]) -> (Vec<f64>, Vec<(Series, Series)>) {
        let mut input: Series = vec![image.to_vec(); self.steps];
        let mut hidden = Vec::new();
        for layer in &self.layers[..2] {
            let x: Series = input.iter().map(|input| layer.forward(input)).collect();
            let (mut u, mut o) = (x.clone(), x.clone());
            for i in 0..layer.outputs {
                let (mut ui, mut oi) = (vec![0.0; self.steps], vec![0.0; self.steps]);
                self.neuron.forward(&over_time(&x, i), &mut ui, &mut oi);
                for t in 0..self.steps {
                    (u[t][i], o[t][i]) = (ui[t], oi[t]);
                }
            }
            input = o.clone();
            hidden.push((u, o));
        }
        let outputs: Series = input.iter().map(|o| self.layers[2].forward(o)).collect();
        let mean = |k: usize| over_time(&outputs, k).iter().sum::<f64>() / self.steps as f64;
        ((0..self.layers[2].outputs).map(mean).collect(), hidden)
    }

    /// The loss of a batch; gradients of all weights are overwritten.
    pub fn gradients(&mut self, images: &[Vec<f64>], labels: &[usize]) -> f64 {
        for layer in &mut self.layers {
            layer.weight_gradient.fill(0.0);
            layer.bias_gradient.fill(0.0);
        }
        let mut loss = 0.0;
        for (image, &label) in images.iter().zip(labels) {
            let (logits, hidden) = self.forward(image);
            let softmax = softmax(&logits);
            loss -= softmax[label].ln() / images.len() as f64;
            // ∂L/∂z = (softmax(z) − onehot(label))/N, and z is a mean over T steps.
            let share = 1.0 / (images.len() * self.steps) as f64;
            let hit = |k: usize| if k == label { 1.0 } else { 0.0 };
            let d: Vec<f64> = (0..logits.len()).map(|k| (softmax[k] - hit(k)) * share).collect();
            self.backward(image, &hidden, d);
        }
        let beta = self.beta;
        loss + self.layers.iter_mut().map(|layer| layer.lipschitz(beta)).sum::<f64>()
    }

    /// The forward's list, read upward.
    fn backward(&mut self, image: &[f64], hidden: &[(Series, Series)], d: Vec<f64>) {
        let (below, top) = (&hidden[0], &hidden[1]);
        let mut e: Series = top.1.iter().map(|o| self.layers[2].backward(o, &d)).collect();
        for (k, (u, o)) in [(1, top), (0, below)] {
            let mut d: Series = e.clone();
            for i in 0..self.layers[k].outputs {
                let mut di = vec![0.0; self.steps];
                self.neuron.backward(&over_time(u, i), &over_time(o, i), &over_time(&e, i), &mut di);
                for t in 0..self.steps {
                    d[t][i] = di[t];
                }
            }
            let input = |t: usize| if k == 1 { &below.1[t][..] } else { image };
            e = (0..self.steps).map(|t| self.layers[k].backward(input(t), &d[t])).collect();
        }
    }

    /// Every weight with its gradient, layer by layer: W, then b.
    fn weights(&mut self) -> impl Iterator<Item = (&mut f64, f64)> {
        self.layers.iter_mut().flat_map(|layer| {
            let weights = layer.weight.iter_mut().zip(layer.weight_gradient.iter().copied());
            weights.chain(layer.bias.iter_mut().zip(layer.bias_gradient.iter().copied()))
        })
    }
}

/// exp(z) / Σ exp(z), from which the largest is taken off first.
fn softmax(z: &[f64]) -> Vec<f64> {
    let top = z.iter().copied().fold(f64::MIN, f64::max);
    let sum: f64 = z.iter().map(|z| (z - top).exp()).sum();
    z.iter().map(|z| (z - top).exp() / sum).collect()
}

/// Adam: m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², w ← w − lr·m̂/(√v̂ + ε).
#[derive(Default)]
pub struct Adam {
    moments: Vec<[f64; 2]>,
    step: i32,
}

impl Adam {
    /// Takes one step with the gradients that the net holds.
    pub fn step(&mut self, net: &mut Net, lr: f64) {
        let (b1, b2, tiny) = (0.9, 0.999, 1e-8);
        let count = net.layers.iter().map(|layer| layer.weight.len() + layer.bias.len()).sum();
        self.moments.resize(count, [0.0; 2]);
        self.step += 1;
        let (unbias1, unbias2) = (1.0 - f64::powi(b1, self.step), 1.0 - f64::powi(b2, self.step));
        for ([m, v], (weight, g)) in self.moments.iter_mut().zip(net.weights()) {
            *m = b1 * *m + (1.0 - b1) * g;
            *v = b2 * *v + (1.0 - b2) * g * g;
            *weight -= lr * (*m / unbias1) / ((*v / unbias2).sqrt() + tiny);
        }
    }
}

/// Random numbers: Marsaglia's xorshift.
pub struct Random(pub u64);

impl Random {
    /// Uniform from `low` to `high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        low + (high - low) * (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Noisy 6×6 images of a bar that stands (0), lies (1), falls (2) or rises (3).
fn batch(count: usize, random: &mut Random) -> (Vec<Vec<f64>>, Vec<usize>) {
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for n in 0..count {
        let at = random.between(0.0, 6.0) as usize;
        let mut image = vec![0.0; 36];
        for (p, pixel) in image.iter_mut().enumerate() {
            let (row, column) = (p / 6, p % 6);
            let along = [column, row, (column + row) % 6, (column + 6 - row) % 6][n % 4];
            *pixel = if along == at { 1.0 } else { 0.0 } + random.between(-0.5, 0.5);
        }
        images.push(image);
        labels.push(n % 4);
    }
    (images, labels)
}

/// Trains, and returns the share of new images that the net gets right.
pub fn train() -> f64 {
    let neuron = Neuron { decay: 0.5, threshold: 0.5, window: 0.5, delta: 1e-4 };
    let mut net = Net::new(neuron, 4, 1e-4, [36, 64, 64, 4], 2022);
    let (mut adam, mut random) = (Adam::default(), Random(7));
    for step in 1..=300 {
        let (images, labels) = batch(32, &mut random);
        let loss = net.gradients(&images, &labels);
        adam.step(&mut net, 3e-3);
        if step % 50 == 0 {
            println!("step {step}: loss {loss:.4}");
        }
    }
    let (images, labels) = batch(400, &mut random);
    let right = images.iter().zip(&labels).filter(|(image, label)| {
        let (z, _) = net.forward(image);
        (0..z.len()).all(|k| z[k] <= z[**label])
    });
    right.count() as f64 / images.len() as f64
}

/// Trains and reports.
pub fn main() {
    println!("{:.1} % of 400 new images right", 100.0 * train());
}
