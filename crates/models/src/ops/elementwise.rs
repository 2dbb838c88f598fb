//! A function of one's own on every number of a value.

use crate::graph::{Builder, Execution, Node, Op, OpBytes, OpSpec, Output, Read, Value, ValueId};
use spikegrad_bptt::ConfigError;
use spikegrad_tensor::Tensor;
use spikegrad_tensor::memory::NoMemory;
use std::fmt;
use std::sync::Arc;

type Function = Arc<dyn Fn(f32) -> f32 + Send + Sync>;
type Derivative = Arc<dyn Fn(f32, f32) -> f32 + Send + Sync>;

/// y = f(x) for every number, and ∂L/∂x = g(x, ∂L/∂y).
///
/// ```
/// use spikegrad_models::ops::Elementwise;
/// let sine = Elementwise::new("sine", f32::sin, |x, dy| dy * x.cos());
/// ```
#[derive(Clone)]
pub struct Elementwise {
    kind: String,
    function: Function,
    derivative: Derivative,
}

impl fmt::Debug for Elementwise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Elementwise").field(&self.kind).finish()
    }
}

impl Elementwise {
    /// Makes an op of the kind `kind` from f and from x, ∂L/∂y ↦ ∂L/∂x.
    pub fn new(
        kind: &str,
        function: impl Fn(f32) -> f32 + Send + Sync + 'static,
        derivative: impl Fn(f32, f32) -> f32 + Send + Sync + 'static,
    ) -> Self {
        Self { kind: kind.to_string(), function: Arc::new(function), derivative: Arc::new(derivative) }
    }
}

impl OpSpec for Elementwise {
    fn kind(&self) -> &str {
        &self.kind
    }

    fn plan(&self, node: Node<'_>, builder: &mut Builder<'_>) -> Result<Output, ConfigError> {
        let from = builder.value(node.only_input()?)?;
        let to = builder.dense(builder.dims(from))?;
        let (name, unpacked, op) = (node.name.to_string(), builder.unpacked(from)?, self.clone());
        builder.push(ElementwiseOp { name, op, from, to, unpacked })
    }
}

#[derive(Debug)]
struct ElementwiseOp {
    name: String,
    op: Elementwise,
    from: ValueId,
    to: ValueId,
    unpacked: Tensor,
}

impl Op for ElementwiseOp {
    fn name(&self) -> &str {
        &self.name
    }

    fn reads(&self) -> Vec<Read> {
        vec![Read::new(self.from)]
    }

    fn writes(&self) -> ValueId {
        self.to
    }

    fn forward(&mut self, run: &mut Execution) {
        let Value::Dense(mut y) = run.values.take(self.to) else { return };
        let channels = y.dims().c;
        let x = run.values.get(self.from).floats(&mut self.unpacked);
        y.floats_mut().iter_mut().zip(x.floats()).for_each(|(y, &x)| *y = (self.op.function)(x));
        clear_padding(&mut y, channels);
        run.values.put(self.to, Value::Dense(y));
    }

    fn backward(&mut self, run: &mut Execution) {
        let Some(mut dx) = run.gradients.take_to_overwrite(self.from) else { return };
        let dy = run.gradients.take(self.to);
        let channels = dy.dims().c;
        let x = run.values.get(self.from).floats(&mut self.unpacked);
        let places = dx.floats_mut().iter_mut().zip(x.floats()).zip(dy.floats());
        places.for_each(|((dx, &x), &dy)| *dx = (self.op.derivative)(x, dy));
        clear_padding(&mut dx, channels);
        run.gradients.put(self.to, dy);
        run.gradients.put_overwritten(self.from, dx);
    }

    fn allocate(&mut self) -> Result<(), NoMemory> {
        self.unpacked.allocate()
    }

    fn bytes(&self) -> OpBytes {
        OpBytes { saved: 0, workspace: self.unpacked.bytes() }
    }
}

/// Sets the lanes past the last channel to zero: f(0) need not be 0.
fn clear_padding(tensor: &mut Tensor, channels: usize) {
    let (blocks, pixels) = (tensor.dims().blocks(), tensor.dims().pixels());
    let last = channels - (blocks - 1) * spikegrad_tensor::LANES;
    let planes = tensor.blocks_mut().chunks_mut(pixels).skip(blocks - 1).step_by(blocks);
    planes.flatten().for_each(|block| block.0[last..].fill(0.0));
}
