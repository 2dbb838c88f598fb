//! Voting: each class has several neurons, and its number is their mean.
//!
//! ```text
//! y[k] = Σ_j x[k·size + j] / size        ∂L/∂x[k·size + j] = ∂L/∂y[k] / size        j = 0 … size − 1
//! ```

use crate::graph::{Builder, Execution, Node, Op, OpSpec, Output, Read, Setting, Settings, Value, ValueId};
use spikegrad_bptt::ConfigError;
use spikegrad_tensor::{Dims, LANES};

/// Means over groups of neighbouring channels, which do not overlap: PyTorch's `AvgPool1d` over features, the voting layer
/// of Fang et al. 2021.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    size: usize,
}

impl Vote {
    /// The kind, as files spell it.
    pub const KIND: &'static str = "vote";

    /// Means over groups of `size` channels.
    pub fn new(size: usize) -> Self {
        Self { size }
    }

    pub(super) fn read(settings: &mut Settings) -> Result<Self, ConfigError> {
        Ok(Self { size: settings.need("size")? })
    }
}

impl OpSpec for Vote {
    fn kind(&self) -> &str {
        Self::KIND
    }

    fn settings(&self) -> Settings {
        Settings::from([("size", Setting::number(self.size))])
    }

    fn plan(&self, node: Node<'_>, builder: &mut Builder<'_>) -> Result<Output, ConfigError> {
        let from = builder.value(node.only_input()?)?;
        let input = builder.dims(from);
        let size = self.size;
        if size == 0 || !input.c.is_multiple_of(size) {
            return Err(node.error(format!("size is {size}, must divide the {} channels", input.c)));
        }
        let to = builder.dense(Dims { c: input.c / size, ..input })?;
        builder.push(VoteOp { name: node.name.to_string(), size, from, to })
    }
}

#[derive(Debug)]
struct VoteOp {
    name: String,
    size: usize,
    from: ValueId,
    to: ValueId,
}

/// The block and the lane of a channel at a pixel of an image.
fn place(d: Dims, image: usize, channel: usize, pixel: usize) -> (usize, usize) {
    (image * d.image_blocks() + channel / LANES * d.pixels() + pixel, channel % LANES)
}

impl VoteOp {
    /// Visits every input: its block and lane, and those of the output that it votes for.
    fn for_each(&self, input: Dims, mut visit: impl FnMut((usize, usize), (usize, usize))) {
        let output = Dims { c: input.c / self.size, ..input };
        for image in 0..input.n {
            for channel in 0..input.c {
                for pixel in 0..input.pixels() {
                    let voter = place(input, image, channel, pixel);
                    visit(voter, place(output, image, channel / self.size, pixel));
                }
            }
        }
    }
}

impl Op for VoteOp {
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
        let (x, input) = (run.values.get(self.from), run.values.dims(self.from));
        let blocks = y.blocks_mut();
        blocks.fill(Default::default());
        self.for_each(input, |(at, lane), (to, class)| blocks[to].0[class] += x.lanes(at)[lane]);
        blocks.iter_mut().flat_map(|block| &mut block.0).for_each(|y| *y /= self.size as f32);
        run.values.put(self.to, Value::Dense(y));
    }

    fn backward(&mut self, run: &mut Execution) {
        let Some(mut dx) = run.gradients.take_to_overwrite(self.from) else { return };
        let dy = run.gradients.take(self.to);
        let (input, from, to) = (dx.dims(), dy.blocks(), dx.blocks_mut());
        to.fill(Default::default());
        self.for_each(input, |(at, lane), (vote, class)| {
            to[at].0[lane] = from[vote].0[class] / self.size as f32
        });
        run.gradients.put(self.to, dy);
        run.gradients.put_overwritten(self.from, dx);
    }
}
