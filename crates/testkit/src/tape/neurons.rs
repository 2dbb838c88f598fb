//! Layers of neurons from elementary operations: no gradient of a neuron is written down here.
//!
//! Membranes are measured from 0, not from the reset value r, and the equations stand in the form of the papers:
//!
//! | neuron | |
//! |---|---|
//! | leaky | V = r + τ·(M − r) + s·x |
//! | adaptive | the same before the threshold V_th + β·b, b' = ρ·b + o |
//! | synaptic | i' = α·i + s·x, V = r + τ·(M − r) + i' |
//! | gated | V = [D·M − ℓ + c·x] − [D·M·γ·p + q·p] |
//! | integrator | V = r + τ·(M − r) + s·x, put out as V − r |
//! | all but the last two | M' = (1 − o)·V + r·o, or V − R·o |

use super::{Tape, Var};
use crate::lif::{Activation, InputScale, Learn, Lif, NeuronKind};
use std::collections::BTreeMap;

/// A layer's spikes and membranes over time, as [`Tape::neurons`] leaves them.
pub struct LifVars {
    /// Outputs of all steps, time outermost.
    pub spikes: Var,
    /// Membrane before the reset, one per step.
    pub u: Vec<Var>,
    /// Threshold, one per step; none for units that do not fire.
    pub threshold: Vec<Var>,
    /// Outputs, one per step.
    pub o: Vec<Var>,
    /// Membrane after the reset, one per step.
    pub m: Vec<Var>,
}

/// The numbers of a neuron by name, each one for the layer or one a channel.
type Numbers = BTreeMap<&'static str, Var>;

/// What a layer carries from one step to the next: the membrane, and the adaptation, the current or the last spike.
struct Carried {
    m: Var,
    other: Var,
}

impl Tape {
    /// The logistic function.
    pub fn sigmoid(&mut self, a: Var) -> Var {
        let value: Vec<f64> = self.value(a).iter().map(|a| 1.0 / (1.0 + (-a).exp())).collect();
        let y = value.clone();
        self.push(self.shape(a).to_vec(), value, move |g| {
            vec![(a, g.iter().zip(&y).map(|(g, y)| g * y * (1.0 - y)).collect())]
        })
    }

    /// The exponential function.
    pub fn exp(&mut self, a: Var) -> Var {
        let value: Vec<f64> = self.value(a).iter().map(|a| a.exp()).collect();
        let y = value.clone();
        self.push(self.shape(a).to_vec(), value, move |g| {
            vec![(a, g.iter().zip(&y).map(|(g, y)| g * y).collect())]
        })
    }

    /// Repeats one number, or one number a channel, to `shape` (n × channels × …).
    ///
    /// # Panics
    /// There is neither one number nor one a channel.
    pub fn spread(&mut self, a: Var, shape: &[usize]) -> Var {
        let (count, pixels) = (self.value(a).len(), shape[2.min(shape.len())..].iter().product::<usize>());
        assert!(count == 1 || Some(&count) == shape.get(1), "one number, or one for each channel");
        let va = self.rc(a);
        let value = (0..shape.iter().product()).map(|i| va[i / pixels % count]).collect();
        let spread = self.push(shape.to_vec(), value, move |g| {
            let mut sums = vec![0.0; count];
            g.iter().enumerate().for_each(|(i, g)| sums[i / pixels % count] += g);
            vec![(a, sums)]
        });
        self.nodes[spread.0].is_spread = true;
        spread
    }

    /// Number `t` of each row of `a` (rows × columns, or one row).
    fn column(&mut self, a: Var, t: usize) -> Var {
        let columns = *self.shape(a).last().expect("a row");
        let value: Vec<f64> = self.value(a).iter().skip(t).step_by(columns).copied().collect();
        let total = self.value(a).len();
        self.push(vec![value.len()], value, move |g| {
            let mut grad = vec![0.0; total];
            grad.iter_mut().skip(t).step_by(columns).zip(g).for_each(|(grad, g)| *grad = *g);
            vec![(a, grad)]
        })
    }

    /// `factor · a`, with a variable of one number or one a channel.
    pub fn scale_by(&mut self, a: Var, factor: Var) -> Var {
        let shape = self.shape(a).to_vec();
        let factor = self.spread(factor, &shape);
        self.mul(a, factor)
    }

    /// The spikes of the membranes `u` before `threshold`; the backward maps the total gradient at o to `S(g, u, o)`
    /// at u and to its negative at the threshold.
    pub fn spike(&mut self, u: Var, threshold: Var, lif: Lif, activation: Activation) -> Var {
        let (vu, vt) = (self.rc(u), self.rc(threshold));
        let spikes: Vec<f64> = vu.iter().zip(vt.iter()).map(|(&u, &t)| lif.fire(u, t, activation)).collect();
        let o = spikes.clone();
        self.push(self.shape(u).to_vec(), spikes, move |g| {
            let s = |i: usize| lif.fire_backward(g[i], (vu[i], vu[i] - vt[i]), o[i], activation);
            let s: Vec<f64> = (0..g.len()).map(s).collect();
            let negative = s.iter().map(|s| -s).collect();
            vec![(u, s), (threshold, negative)]
        })
    }

    /// A layer over `steps` steps of the current `x` with the numbers of the configuration.
    pub fn lif(&mut self, x: Var, steps: usize, lif: Lif, activation: Activation) -> LifVars {
        let decay = self.leaf(&[1], vec![lif.decay]);
        self.lif_with_decay(x, steps, lif, decay, activation)
    }

    /// Adds a layer as [`Tape::lif`] does, with τ as a variable.
    pub fn lif_with_decay(
        &mut self,
        x: Var,
        steps: usize,
        lif: Lif,
        decay: Var,
        activation: Activation,
    ) -> LifVars {
        let fixed = Lif { learn_decay: Learn::No, learn_threshold: Learn::No, learn_kind: Learn::No, ..lif };
        let mut numbers = self.numbers(&fixed, steps, &BTreeMap::new());
        numbers.insert("w", decay);
        self.unrolled(x, steps, &fixed, &numbers, None, activation)
    }

    /// A layer over `steps` steps of the current `x`, with the learned parameters as [`Lif::parts`] names them, and
    /// with recurrent weights (channels × channels, or a kernel × kernel convolution), if there are any:
    /// `x[t] += R·o[t−1]`.
    pub fn neurons(
        &mut self,
        x: Var,
        steps: usize,
        lif: &Lif,
        learned: &BTreeMap<String, Var>,
        recurrent: Option<Var>,
        activation: Activation,
    ) -> LifVars {
        let numbers = self.numbers(lif, steps, learned);
        self.unrolled(x, steps, lif, &numbers, recurrent, activation)
    }

    /// The neuron's numbers: functions of its learned parameters, and constants.
    fn numbers(&mut self, lif: &Lif, steps: usize, learned: &BTreeMap<String, Var>) -> Numbers {
        let mut constants = vec![("w", lif.decay), ("threshold", lif.threshold)];
        match lif.kind {
            NeuronKind::Lif | NeuronKind::Integrator => {}
            NeuronKind::Adaptive { decay, strength } => {
                constants.extend([("adaptation_decay", decay), ("adaptation", strength)]);
            }
            NeuronKind::Synaptic { decay } => constants.push(("synapse", decay)),
            NeuronKind::Gated(g) => {
                constants.extend([("alpha", g.alpha), ("beta", g.beta), ("gamma", g.gamma)]);
                constants.extend([("leak", g.leak), ("reset", g.reset)]);
            }
        }
        if let InputScale::Constant(scale) = lif.input_scale {
            constants.push(("scale", scale));
        }
        let mut numbers = Numbers::new();
        for (name, constant) in constants {
            numbers.insert(name, self.leaf(&[1], vec![constant]));
        }
        if let NeuronKind::Gated(gates) = lif.kind {
            numbers.insert("conduct", self.leaf(&[steps], vec![gates.conduct; steps]));
        }
        for part in lif.parts() {
            let raw = learned[part.name];
            let number = match part.name {
                "threshold" | "adaptation" => self.exp(raw),
                _ => self.sigmoid(raw),
            };
            numbers.insert(part.name, number);
        }
        numbers
    }

    /// The steps, one after the other.
    fn unrolled(
        &mut self,
        x: Var,
        steps: usize,
        lif: &Lif,
        numbers: &Numbers,
        recurrent: Option<Var>,
        activation: Activation,
    ) -> LifVars {
        let (threshold, o) = (Vec::new(), Vec::new());
        let mut vars = LifVars { spikes: x, u: Vec::new(), threshold, o, m: Vec::new() };
        let mut shape = self.shape(x).to_vec();
        shape[0] /= steps;
        let len = shape.iter().product();
        let m = self.leaf(&shape, vec![lif.reset_value; len]);
        let mut carried = Carried { m, other: self.leaf(&shape, vec![0.0; len]) };
        for t in 0..steps {
            let mut current = self.step(x, t, steps);
            if let (Some(weight), Some(&o)) = (recurrent, vars.o.last()) {
                let fed_back = self.fed_back(o, weight);
                current = self.add(current, fed_back);
            }
            match (activation, lif.kind) {
                (Activation::Relu, _) => {
                    let o = self.relu(current);
                    carried.m = self.record(&mut vars, (current, None, o), current);
                }
                (Activation::Identity, _) => {
                    carried.m = self.record(&mut vars, (current, None, current), current);
                }
                (_, NeuronKind::Integrator) => {
                    let u = self.charge(lif, numbers, &carried, current);
                    let o = self.affine(u, 1.0, -lif.reset_value);
                    carried.m = self.record(&mut vars, (u, None, o), u);
                }
                _ => carried = self.spiking(&mut vars, t, lif, numbers, carried, current, activation),
            }
        }
        vars.spikes = self.stack(&vars.o.clone());
        vars
    }

    /// R·o.
    fn fed_back(&mut self, o: Var, weight: Var) -> Var {
        let shape = self.shape(weight).to_vec();
        if let [_, _, k, _] = shape[..] {
            return self.conv(o, weight, 1, k / 2);
        }
        let bias = self.leaf(&[shape[0]], vec![0.0; shape[0]]);
        self.linear(o, weight, bias)
    }

    /// Writes a step down, and gives its membrane after the reset.
    fn record(&mut self, vars: &mut LifVars, (u, threshold, o): (Var, Option<Var>, Var), m: Var) -> Var {
        vars.u.push(u);
        vars.threshold.extend(threshold);
        vars.o.push(o);
        vars.m.push(m);
        m
    }

    /// r + τ·(M − r) + s·x.
    fn charge(&mut self, lif: &Lif, numbers: &Numbers, carried: &Carried, x: Var) -> Var {
        let scaled = self.scaled(lif, numbers, x);
        self.charge_by(lif, numbers, carried, scaled)
    }

    /// s·x.
    fn scaled(&mut self, lif: &Lif, numbers: &Numbers, x: Var) -> Var {
        match lif.input_scale {
            InputScale::One => x,
            InputScale::Leak => {
                let leak = self.affine(numbers["w"], -1.0, 1.0);
                self.scale_by(x, leak)
            }
            InputScale::Constant(_) => self.scale_by(x, numbers["scale"]),
        }
    }

    /// r + τ·(M − r) + current.
    fn charge_by(&mut self, lif: &Lif, numbers: &Numbers, carried: &Carried, current: Var) -> Var {
        let above = self.affine(carried.m, 1.0, -lif.reset_value);
        let kept = self.scale_by(above, numbers["w"]);
        let sum = self.add(kept, current);
        self.affine(sum, 1.0, lif.reset_value)
    }

    /// One step of units that fire.
    #[expect(clippy::too_many_arguments, reason = "a step has this many parts")]
    fn spiking(
        &mut self,
        vars: &mut LifVars,
        t: usize,
        lif: &Lif,
        numbers: &Numbers,
        mut carried: Carried,
        x: Var,
        activation: Activation,
    ) -> Carried {
        let u = match lif.kind {
            NeuronKind::Synaptic { .. } => {
                let kept = self.scale_by(carried.other, numbers["synapse"]);
                let scaled = self.scaled(lif, numbers, x);
                carried.other = self.add(kept, scaled);
                self.charge_by(lif, numbers, &carried, carried.other)
            }
            NeuronKind::Gated(_) => self.gated(t, numbers, &carried, x),
            _ => self.charge(lif, numbers, &carried, x),
        };
        let shape = self.shape(u).to_vec();
        let mut threshold = self.spread(numbers["threshold"], &shape);
        if let NeuronKind::Adaptive { .. } = lif.kind {
            let raised = self.scale_by(carried.other, numbers["adaptation"]);
            threshold = self.add(threshold, raised);
        }
        let o = self.spike(u, threshold, *lif, activation);
        if let NeuronKind::Adaptive { .. } = lif.kind {
            let kept = self.scale_by(carried.other, numbers["adaptation_decay"]);
            carried.other = self.add(kept, o);
        }
        let spike = if lif.reset.is_detached() { self.detach(o) } else { o };
        let m = match lif.kind {
            NeuronKind::Gated(_) => {
                carried.other = spike;
                u
            }
            _ => self.after_reset(lif, u, spike, threshold),
        };
        carried.m = self.record(vars, (u, Some(threshold), o), m);
        carried
    }

    /// (1 − o)·V + r·o, or V − R·o.
    fn after_reset(&mut self, lif: &Lif, u: Var, spike: Var, threshold: Var) -> Var {
        if lif.reset.is_hard() {
            let silent = self.affine(spike, -1.0, 1.0);
            let kept = self.mul(silent, u);
            let rest = self.affine(spike, lif.reset_value, 0.0);
            return self.add(kept, rest);
        }
        let drop = match lif.reset_amount {
            Some(amount) => self.scale(spike, -amount),
            None => {
                let drop = self.mul(spike, threshold);
                self.scale(drop, -1.0)
            }
        };
        self.add(u, drop)
    }

    /// [D·M − ℓ + c·x] − [D·M·γ·p + q·p], where D·M is the decayed membrane.
    fn gated(&mut self, t: usize, numbers: &Numbers, carried: &Carried, x: Var) -> Var {
        let shape = self.shape(x).to_vec();
        let [alpha, beta, gamma, tau, leak, reset] =
            ["alpha", "beta", "gamma", "w", "leak", "reset"].map(|name| self.spread(numbers[name], &shape));
        let conduct = self.column(numbers["conduct"], t);
        let conduct = self.spread(conduct, &shape);
        // The complements 1 − τ, 1 − α, 1 − γ, 1 − g.
        let [no_tau, no_alpha, no_gamma, no_conduct] =
            [tau, alpha, gamma, conduct].map(|a| self.affine(a, -1.0, 1.0));
        let lost = self.mul(alpha, no_tau);
        let keep = self.affine(lost, -1.0, 1.0);
        let decayed = self.mul(keep, carried.m);
        let linear = self.mul(no_alpha, leak);
        let shut = self.mul(beta, no_conduct);
        let open = self.affine(shut, -1.0, 1.0);
        let input = self.mul(open, x);
        let hard = self.mul(decayed, gamma);
        let soft = self.mul(no_gamma, reset);
        let drop = self.add(hard, soft);
        let drop = self.mul(drop, carried.other);
        let charged = self.add(decayed, input);
        let taken = self.add(linear, drop);
        let taken = self.scale(taken, -1.0);
        self.add(charged, taken)
    }
}
