//! Max pooling: the largest of each window; of spikes an OR, so that they stay spikes.

use super::window::Window;
use crate::graph::{Builder, Execution, Node, Op, OpSpec, Output, Read, Setting, Settings, Value, ValueId};
use spikegrad_bptt::ConfigError;
use spikegrad_tensor::max_pool;

/// The largest number of each window, or the OR of its spikes. The gradient goes to the first largest one in row order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool {
    window: Window,
    stride: Option<usize>,
    padding: usize,
}

impl MaxPool {
    /// The kind, as files spell it.
    pub const KIND: &'static str = "max-pool";

    /// Squares of a side, as far apart as they are wide.
    pub fn square(side: usize) -> Self {
        Self { window: Window::Square(side), stride: None, padding: 0 }
    }

    /// Sets the distance of neighbouring windows.
    pub fn stride(mut self, stride: usize) -> Self {
        self.stride = Some(stride);
        self
    }

    /// Sets the border around the image, whose pixels are never the largest; at most half of the window.
    pub fn padding(mut self, padding: usize) -> Self {
        self.padding = padding;
        self
    }

    pub(super) fn read(settings: &mut Settings) -> Result<Self, ConfigError> {
        Ok(Self {
            window: Window::read(settings)?,
            stride: settings.take_as("stride")?,
            padding: settings.take_as("padding")?.unwrap_or(0),
        })
    }
}

impl OpSpec for MaxPool {
    fn kind(&self) -> &str {
        Self::KIND
    }

    fn settings(&self) -> Settings {
        let mut settings = self.window.settings();
        if let Some(stride) = self.stride {
            settings.push("stride", Setting::number(stride));
        }
        if self.padding > 0 {
            settings.push("padding", Setting::number(self.padding));
        }
        settings
    }

    fn plan(&self, node: Node<'_>, builder: &mut Builder<'_>) -> Result<Output, ConfigError> {
        let from = builder.value(node.only_input()?)?;
        let input = builder.dims(from);
        let (side, columns) = self.window.sides(input);
        if side != columns {
            return Err(
                node.error(format!("pools an image of {side}×{columns} as a whole, it must be square"))
            );
        }
        let stride = self.stride.unwrap_or(side);
        let pool =
            max_pool::MaxPool::plan(input, side, stride, self.padding).map_err(|error| node.error(error))?;
        let to = match builder.is_spikes(from) {
            true => builder.spikes(pool.output())?,
            false => builder.dense(pool.output())?,
        };
        builder.push(MaxPoolOp { name: node.name.to_string(), pool, from, to })
    }
}

#[derive(Debug)]
struct MaxPoolOp {
    name: String,
    pool: max_pool::MaxPool,
    from: ValueId,
    to: ValueId,
}

impl Op for MaxPoolOp {
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
        let mut y = run.values.take(self.to);
        match (run.values.get(self.from), &mut y) {
            (Value::Spikes(x), Value::Spikes(y)) => self.pool.forward_spikes(x, y, &mut run.workers),
            (Value::Dense(x), Value::Dense(y)) => self.pool.forward(x, y, &mut run.workers),
            _ => unreachable!("input and output are of one kind, as planned"),
        }
        run.values.put(self.to, y);
    }

    fn backward(&mut self, run: &mut Execution) {
        let Some(mut dx) = run.gradients.take_to_overwrite(self.from) else { return };
        let dy = run.gradients.take(self.to);
        match run.values.get(self.from) {
            Value::Spikes(x) => self.pool.backward_spikes(x, &dy, &mut dx, &mut run.workers),
            Value::Dense(x) => self.pool.backward(x, &dy, &mut dx, &mut run.workers),
            Value::Taken => unreachable!("an op does not read what it writes"),
        }
        run.gradients.put(self.to, dy);
        run.gradients.put_overwritten(self.from, dx);
    }
}
