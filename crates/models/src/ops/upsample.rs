//! Nearest upsampling: each pixel becomes a square; of spikes, spikes.
//!
//! ```text
//! y[r, c] = x[⌊r/factor⌋, ⌊c/factor⌋]        ∂L/∂x[r, c] = Σ ∂L/∂y over the square of (r, c)
//! ```

use crate::config::{MOST_SIDE, check_most};
use crate::graph::{Builder, Execution, Node, Op, OpSpec, Output, Read, Setting, Settings, Value, ValueId};
use spikegrad_bptt::ConfigError;
use spikegrad_tensor::{Block, Dims, Workers};

/// Repeats each pixel `factor` times along rows and columns, as PyTorch's `Upsample` with `mode='nearest'`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upsample {
    factor: usize,
}

impl Upsample {
    /// The kind, as files spell it.
    pub const KIND: &'static str = "upsample";

    /// Makes images `factor` times as high and as wide.
    pub fn nearest(factor: usize) -> Self {
        Self { factor }
    }

    pub(super) fn read(settings: &mut Settings) -> Result<Self, ConfigError> {
        Ok(Self { factor: settings.need("factor")? })
    }
}

impl OpSpec for Upsample {
    fn kind(&self) -> &str {
        Self::KIND
    }

    fn settings(&self) -> Settings {
        Settings::from([("factor", Setting::number(self.factor))])
    }

    fn plan(&self, node: Node<'_>, builder: &mut Builder<'_>) -> Result<Output, ConfigError> {
        let factor = self.factor;
        if factor == 0 {
            return Err(node.error("factor is 0, must be at least 1"));
        }
        check_most(&format!("layer {:?}: factor", node.name), factor, MOST_SIDE)?;
        let from = builder.value(node.only_input()?)?;
        let input = builder.dims(from);
        let side = |side: usize| {
            let upsampled = side.checked_mul(factor);
            upsampled.ok_or_else(|| node.error(format!("{factor} times {side} pixels are too many")))
        };
        let dims = Dims { h: side(input.h)?, w: side(input.w)?, ..input };
        let to = match builder.is_spikes(from) {
            true => builder.spikes(dims)?,
            false => builder.dense(dims)?,
        };
        builder.push(UpsampleOp { name: node.name.to_string(), factor, input, from, to })
    }
}

#[derive(Debug)]
struct UpsampleOp {
    name: String,
    factor: usize,
    /// The size of the input.
    input: Dims,
    from: ValueId,
    to: ValueId,
}

impl UpsampleOp {
    /// Pixels of the input and of the output.
    fn pixels(&self) -> (usize, usize) {
        (self.input.pixels(), self.input.pixels() * self.factor * self.factor)
    }

    /// The input's pixel under a pixel of the output.
    fn under(&self, pixel: usize) -> usize {
        let (w, factor) = (self.input.w, self.factor);
        pixel / (w * factor) / factor * w + pixel % (w * factor) / factor
    }

    /// Repeats the pixels of every plane.
    fn repeat<T: Copy + Send + Sync>(&self, x: &[T], y: &mut [T], workers: &mut Workers) {
        let (pixels, repeated) = self.pixels();
        workers.run(x.chunks(pixels).zip(y.chunks_mut(repeated)), |(x, y), _| {
            y.iter_mut().enumerate().for_each(|(pixel, y)| *y = x[self.under(pixel)]);
        });
    }
}

impl Op for UpsampleOp {
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
        let mut out = run.values.take(self.to);
        match (run.values.get(self.from), &mut out) {
            (Value::Spikes(x), Value::Spikes(y)) => self.repeat(x.words(), y.words_mut(), &mut run.workers),
            (Value::Dense(x), Value::Dense(y)) => self.repeat(x.blocks(), y.blocks_mut(), &mut run.workers),
            _ => unreachable!("input and output are of one kind, as planned"),
        }
        run.values.put(self.to, out);
    }

    fn backward(&mut self, run: &mut Execution) {
        let Some(mut dx) = run.gradients.take_to_overwrite(self.from) else { return };
        let dy = run.gradients.take(self.to);
        let (pixels, repeated) = self.pixels();
        let planes = dx.blocks_mut().chunks_mut(pixels).zip(dy.blocks().chunks(repeated));
        run.workers.run(planes, |(dx, dy), _| {
            dx.fill(Block::default());
            for (pixel, dy) in dy.iter().enumerate() {
                dx[self.under(pixel)].0.iter_mut().zip(dy.0).for_each(|(dx, dy)| *dx += dy);
            }
        });
        run.gradients.put(self.to, dy);
        run.gradients.put_overwritten(self.from, dx);
    }
}
