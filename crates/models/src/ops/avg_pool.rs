//! Average pooling over squares, over the whole image, or to an image of a size: y = Σ x / (numbers of the window).

use super::window::Window;
use crate::config::{MOST_SIDE, check_most};
use crate::graph::{
    Builder, Execution, Node, Op, OpBytes, OpSpec, Output, Read, Setting, Settings, Value, ValueId,
};
use spikegrad_bptt::ConfigError;
use spikegrad_tensor::Tensor;
use spikegrad_tensor::memory::NoMemory;
use spikegrad_tensor::pool;

/// Means over windows that do not overlap, rows and columns left over being dropped; or over as many as make an image of
/// a size, as PyTorch's `AdaptiveAvgPool2d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvgPool {
    /// The window, where the size of the output is not given.
    pub window: Window,
    /// Rows and columns of the output, where these are given instead of a window.
    output: Option<(usize, usize)>,
}

impl AvgPool {
    /// The kind, as files spell it.
    pub const KIND: &'static str = "avg-pool";

    /// Means over squares.
    pub fn square(side: usize) -> Self {
        Self { window: Window::Square(side), output: None }
    }

    /// Means over the whole image.
    pub fn global() -> Self {
        Self { window: Window::Global, output: None }
    }

    /// Means over windows that make an image of `rows`×`columns`: window i of o along a side of s pixels reaches from
    /// ⌊i·s/o⌋ to ⌈(i + 1)·s/o⌉.
    pub fn adaptive(rows: usize, columns: usize) -> Self {
        Self { window: Window::Global, output: Some((rows, columns)) }
    }

    pub(super) fn read(settings: &mut Settings) -> Result<Self, ConfigError> {
        if let Some(rows) = settings.take_as("rows")? {
            return Ok(Self::adaptive(rows, settings.need("columns")?));
        }
        Ok(Self { window: Window::read(settings)?, output: None })
    }
}

impl OpSpec for AvgPool {
    fn kind(&self) -> &str {
        Self::KIND
    }

    fn settings(&self) -> Settings {
        match self.output {
            Some((rows, columns)) => {
                Settings::from([("rows", Setting::number(rows)), ("columns", Setting::number(columns))])
            }
            None => self.window.settings(),
        }
    }

    fn plan(&self, node: Node<'_>, builder: &mut Builder<'_>) -> Result<Output, ConfigError> {
        let from = builder.value(node.only_input()?)?;
        let input = builder.dims(from);
        let pool = match self.output {
            Some((rows, columns)) => {
                for (what, side) in [("rows", rows), ("columns", columns)] {
                    if side == 0 {
                        return Err(node.error(format!("{what} is 0, must be at least 1")));
                    }
                    check_most(&format!("layer {:?}: {what}", node.name), side, MOST_SIDE)?;
                }
                pool::AvgPool::adaptive(input, (rows, columns))
            }
            None => pool::AvgPool::plan(input, self.window.sides(input)),
        };
        let pool = pool.map_err(|error| node.error(error))?;
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
