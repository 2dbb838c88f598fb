//! Flattening: an image as one feature vector in the order channel, row, column.

use crate::graph::{Builder, Execution, Node, Op, OpBytes, OpSpec, Output, Read, Settings, Value, ValueId};
use spikegrad_bptt::ConfigError;
use spikegrad_tensor::memory::NoMemory;
use spikegrad_tensor::pool::{flatten, flatten_backward};
use spikegrad_tensor::{Dims, Tensor};

/// Reorders images to feature vectors, as PyTorch's `flatten`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flatten;

impl Flatten {
    /// The kind, as files spell it.
    pub const KIND: &'static str = "flatten";

    pub(super) fn read(_: &mut Settings) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

impl OpSpec for Flatten {
    fn kind(&self) -> &str {
        Self::KIND
    }

    fn plan(&self, node: Node<'_>, builder: &mut Builder<'_>) -> Result<Output, ConfigError> {
        let from = builder.value(node.only_input()?)?;
        Ok(Output::Value(flattened(node.name, from, builder)?))
    }
}

/// Plans the flattening of a value and returns the feature vectors.
pub(super) fn flattened(
    name: &str,
    from: ValueId,
    builder: &mut Builder<'_>,
) -> Result<ValueId, ConfigError> {
    let d = builder.dims(from);
    let to = builder.dense(Dims::new(d.n, d.c * d.pixels(), 1, 1))?;
    let unpacked = builder.unpacked(from)?;
    builder.push(FlattenOp { name: name.to_string(), from, to, unpacked })?;
    Ok(to)
}

#[derive(Debug)]
struct FlattenOp {
    name: String,
    from: ValueId,
    to: ValueId,
    unpacked: Tensor,
}

impl Op for FlattenOp {
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
        flatten(run.values.get(self.from).floats(&mut self.unpacked), &mut y);
        run.values.put(self.to, Value::Dense(y));
    }

    fn backward(&mut self, run: &mut Execution) {
        let Some(mut dx) = run.gradients.take_to_overwrite(self.from) else { return };
        let dy = run.gradients.take(self.to);
        flatten_backward(&dy, &mut dx);
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
        true
    }
}
