//! Gates of two spike trains: what both fire, or what the second fires while the first is silent.
//!
//! | op | forward | ∂L/∂a | ∂L/∂b |
//! |---|---|---|---|
//! | [`And`] | y = a·b | b·∂L/∂y | a·∂L/∂y |
//! | [`Iand`] | y = (1 − a)·b | −b·∂L/∂y | (1 − a)·∂L/∂y |
//!
//! Two spike trains give one, by a bit operation on sixteen channels at once. Where either is dense, as in the smooth
//! twin and in the ReLU twin, so is the product.

use crate::graph::{Builder, Execution, Node, Op, OpSpec, Output, Read, Settings, Value, ValueId};
use spikegrad_bptt::ConfigError;
use spikegrad_tensor::Dims;

/// a·b: spikes where both inputs fire (SEW's AND).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct And;

/// (1 − a)·b: spikes of the second input where the first is silent (SEW's IAND, whose first input is the residual branch
/// and whose second is the shortcut).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Iand;

impl And {
    /// The kind, as files spell it.
    pub const KIND: &'static str = "and";

    pub(super) fn read(_: &mut Settings) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

impl Iand {
    /// The kind, as files spell it.
    pub const KIND: &'static str = "iand";

    pub(super) fn read(_: &mut Settings) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

impl OpSpec for And {
    fn kind(&self) -> &str {
        Self::KIND
    }

    fn plan(&self, node: Node<'_>, builder: &mut Builder<'_>) -> Result<Output, ConfigError> {
        plan(node, Gate { inverts_first: false }, builder)
    }
}

impl OpSpec for Iand {
    fn kind(&self) -> &str {
        Self::KIND
    }

    fn plan(&self, node: Node<'_>, builder: &mut Builder<'_>) -> Result<Output, ConfigError> {
        plan(node, Gate { inverts_first: true }, builder)
    }
}

fn plan(node: Node<'_>, gate: Gate, builder: &mut Builder<'_>) -> Result<Output, ConfigError> {
    let &[a, b] = node.inputs else {
        return Err(node.error(format!("reads {} inputs, must read 2", node.inputs.len())));
    };
    if a == b {
        return Err(node.error("reads the same input twice"));
    }
    let from = [builder.value(a)?, builder.value(b)?];
    let [x, y] = from.map(|from| builder.dims(from));
    if x != y {
        let steps = |d: Dims| d.n / builder.batch();
        return Err(node.error(format!(
            "gates {} steps of {} channels and {}×{} pixels by {} of {} and {}×{}",
            steps(x),
            x.c,
            x.h,
            x.w,
            steps(y),
            y.c,
            y.h,
            y.w
        )));
    }
    let to = match from.iter().all(|&from| builder.is_spikes(from)) {
        true => builder.spikes(x)?,
        false => builder.dense(x)?,
    };
    builder.push(GateOp { name: node.name.to_string(), gate, from, to })
}

/// Which product is formed.
#[derive(Clone, Copy, Debug)]
struct Gate {
    inverts_first: bool,
}

impl Gate {
    /// The product of sixteen spikes and sixteen. Lanes past the last channel are silent in b, so they stay silent.
    fn word(self, a: u16, b: u16) -> u16 {
        if self.inverts_first { !a & b } else { a & b }
    }

    /// The product of two numbers.
    fn number(self, a: f32, b: f32) -> f32 {
        if self.inverts_first { (1.0 - a) * b } else { a * b }
    }

    /// ∂y/∂a and ∂y/∂b.
    fn slopes(self, a: f32, b: f32) -> [f32; 2] {
        if self.inverts_first { [-b, 1.0 - a] } else { [b, a] }
    }
}

#[derive(Debug)]
struct GateOp {
    name: String,
    gate: Gate,
    from: [ValueId; 2],
    to: ValueId,
}

impl Op for GateOp {
    fn name(&self) -> &str {
        &self.name
    }

    fn reads(&self) -> Vec<Read> {
        self.from.map(Read::new).to_vec()
    }

    fn writes(&self) -> ValueId {
        self.to
    }

    fn forward(&mut self, run: &mut Execution) {
        let mut out = run.values.take(self.to);
        let [a, b] = self.from.map(|from| run.values.get(from));
        match (a, b, &mut out) {
            (Value::Spikes(a), Value::Spikes(b), Value::Spikes(y)) => {
                let pairs = a.words().iter().zip(b.words());
                y.words_mut().iter_mut().zip(pairs).for_each(|(y, (&a, &b))| *y = self.gate.word(a, b));
            }
            (a, b, Value::Dense(y)) => {
                for (at, y) in y.blocks_mut().iter_mut().enumerate() {
                    let (a, b) = (a.lanes(at), b.lanes(at));
                    y.0 = std::array::from_fn(|l| self.gate.number(a[l], b[l]));
                }
            }
            _ => unreachable!("a product of spikes is planned as spikes, any other as floats"),
        }
        run.values.put(self.to, out);
    }

    fn backward(&mut self, run: &mut Execution) {
        let dy = run.gradients.take(self.to);
        for k in 0..2 {
            let Some(mut dx) = run.gradients.take_to_overwrite(self.from[k]) else { continue };
            let [a, b] = self.from.map(|from| run.values.get(from));
            let pixels = dy.dims().pixels();
            let planes = dx.blocks_mut().chunks_mut(pixels).zip(dy.blocks().chunks(pixels));
            run.workers.run(planes.enumerate(), |(plane, (dx, dy)), _| {
                for (p, (dx, dy)) in dx.iter_mut().zip(dy).enumerate() {
                    let (a, b) = (a.lanes(plane * pixels + p), b.lanes(plane * pixels + p));
                    dx.0 = std::array::from_fn(|l| self.gate.slopes(a[l], b[l])[k] * dy.0[l]);
                }
            });
            run.gradients.put_overwritten(self.from[k], dx);
        }
        run.gradients.put(self.to, dy);
    }
}
