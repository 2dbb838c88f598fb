//! Average pooling over squares or the whole image: y = Σ x / (kh·kw).

use super::window::Window;
use crate::graph::{Builder, Execution, Node, Op, OpBytes, OpSpec, Output, Read, Settings, Value, ValueId};
use spikegrad_bptt::ConfigError;
use spikegrad_tensor::Tensor;
use spikegrad_tensor::memory::NoMemory;
use spikegrad_tensor::pool;

/// Means over windows that do not overlap; rows and columns left over are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvgPool {
    /// The window.
    pub window: Window,
}

impl AvgPool {
    /// The kind, as files spell it.
    pub const KIND: &'static str = "avg-pool";

    /// Means over squares.
    pub fn square(side: usize) -> Self {
        Self { window: Window::Square(side) }
    }

    /// Means over the whole image.
    pub fn global() -> Self {
        Self { window: Window::Global }
    }

    pub(super) fn read(settings: &mut Settings) -> Result<Self, ConfigError> {
        Ok(Self { window: Window::read(settings)? })
    }
}

impl OpSpec for AvgPool {
    fn kind(&self) -> &str {
        Self::KIND
    }

    fn settings(&self) -> Settings {
        self.window.settings()
    }

    fn plan(&self, node: Node<'_>, builder: &mut Builder<'_>) -> Result<Output, ConfigError> {
        let from = builder.value(node.only_input()?)?;
        let input = builder.dims(from);
        let pool = pool::AvgPool::plan(input, self.window.sides(input)).map_err(|error| node.error(error))?;
        let to = builder.dense(pool.output())?;
        let unpacked = builder.unpacked(from)?;
        let is_copy = pool.output() == input;
        builder.push(AvgPoolOp { name: node.name.to_string(), pool, from, to, unpacked, is_copy })
    }
}

#[derive(Debug)]
struct AvgPoolOp {
    name: String,
    pool: pool::AvgPool,
    from: ValueId,
    to: ValueId,
    unpacked: Tensor,
    /// Whether windows are single pixels.
    is_copy: bool,
}

impl Op for AvgPoolOp {
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
        let x = run.values.get(self.from).floats(&mut self.unpacked);
        self.pool.forward(x, &mut y, &mut run.workers);
        run.values.put(self.to, Value::Dense(y));
    }

    fn backward(&mut self, run: &mut Execution) {
        let Some(mut dx) = run.gradients.take_to_overwrite(self.from) else { return };
        let dy = run.gradients.take(self.to);
        self.pool.backward(&dy, &mut dx, &mut run.workers);
        run.gradients.put(self.to, dy);
        run.gradients.put_overwritten(self.from, dx);
    }

    fn allocate(&mut self) -> Result<(), NoMemory> {
        self.unpacked.allocate()
    }

    fn bytes(&self) -> OpBytes {
        OpBytes { saved: 0, workspace: self.unpacked.bytes() }
    }

    fn only_reorders(&self) -> bool {
        self.is_copy
    }
}
