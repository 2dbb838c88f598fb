//! Buffers of gradients: which values have one, and which of them share one.

use super::execution::Gradients;
use super::{GradientUse, Op, ValueId};
use spikegrad_tensor::{Dims, Tensor};

/// Gives every gradient a buffer; buffers are used again as soon as an op that runs backward needs them no more.
///
/// An op that makes an input's gradient [`GradientUse::After`] it has used up its output's needs no second buffer: a
/// layer of neurons needs ∂L/∂u until batch norm has turned each y into ∂L/∂y. Then the buffer passes to the spikes that
/// were added as they are ([`GradientUse::Alias`]), or is free for the inputs' gradients. The gradient of the net's
/// output has a buffer that nothing else uses: the loss writes it.
pub(super) fn share_gradients(
    ops: &[Box<dyn Op>],
    dims: &[Dims],
    output: ValueId,
    wants: &[bool],
) -> Gradients {
    let mut pool = Pool::default();
    let mut of: Vec<Option<usize>> = vec![None; dims.len()];
    let mut is_read = vec![false; dims.len()];
    let mut addend = Dims::default();
    of[output.0] = Some(pool.make(dims[output.0]));
    for op in ops.iter().rev() {
        let reads = op.reads();
        let mut done = of[op.writes().0].filter(|_| op.writes() != output);
        for from in reads.iter().filter(|read| read.gradient == GradientUse::Alias).map(|read| read.value.0) {
            if wants[from] && of[from].is_none() && dims[from] == dims[op.writes().0] {
                of[from] = done.take();
            }
        }
        let is_done_early = reads.iter().all(|read| read.gradient == GradientUse::After);
        pool.free.extend(if is_done_early { done.take() } else { None });
        for read in &reads {
            let from = read.value.0;
            if !wants[from] || read.gradient == GradientUse::Nothing {
                continue;
            }
            if of[from].is_none() {
                of[from] = Some(pool.take(dims[from]));
            }
            // A second reader that cannot add has its gradient beside, and then it is added.
            if is_read[from] && read.gradient == GradientUse::Beside && blocks(dims[from]) > blocks(addend) {
                addend = dims[from];
            }
            is_read[from] = true;
        }
        pool.free.extend(done);
    }
    Gradients {
        buffers: pool.sizes.into_iter().map(Tensor::planned).collect(),
        buffer_of: of,
        dims: dims.to_vec(),
        written: vec![false; dims.len()],
        addend: Tensor::planned(addend),
    }
}

/// Finds the values that have a weight, or the wanted input gradient, before them.
pub(super) fn needs_gradient(ops: &[Box<dyn Op>], values: usize, input_gradient: bool) -> Vec<bool> {
    let mut wants = vec![false; values];
    wants[0] = input_gradient;
    for op in ops {
        let is_wanted = |read: &super::Read| read.gradient != GradientUse::Nothing && wants[read.value.0];
        wants[op.writes().0] = op.has_weights() || op.reads().iter().any(is_wanted);
    }
    wants
}

/// Buffers by the largest tensor each must hold.
#[derive(Default)]
struct Pool {
    sizes: Vec<Dims>,
    free: Vec<usize>,
}

fn blocks(dims: Dims) -> usize {
    dims.n * dims.image_blocks()
}

impl Pool {
    /// Makes a buffer.
    fn make(&mut self, dims: Dims) -> usize {
        self.sizes.push(dims);
        self.sizes.len() - 1
    }

    /// Takes the smallest free buffer that is large enough, else enlarges the largest, else makes one.
    fn take(&mut self, dims: Dims) -> usize {
        let fits = |slot: usize| blocks(self.sizes[slot]) >= blocks(dims);
        self.free.sort_by_key(|&slot| blocks(self.sizes[slot]));
        let at = self.free.iter().position(|&slot| fits(slot)).or(self.free.len().checked_sub(1));
        let Some(slot) = at.map(|at| self.free.remove(at)) else { return self.make(dims) };
        if !fits(slot) {
            self.sizes[slot] = dims;
        }
        slot
    }
}

#[cfg(test)]
mod tests {
    use crate::graph::{Purpose, build};
    use crate::{LayerSpec, NetConfig, NetKind};
    use spikegrad_tensor::Level;

    /// Buffers beside that of the output's gradient.
    fn buffers(config: &NetConfig) -> usize {
        build(config, 1, Level::BASELINE, Purpose::Training { input_gradient: false })
            .unwrap()
            .gradients
            .buffers
            .len()
            - 1
    }

    #[test]
    fn residual_nets_go_backward_through_two_buffers() {
        let config = NetConfig { scale: 0.1, ..NetConfig::new(NetKind::ResNet19, 3, 16, 16, 10) };
        assert_eq!(buffers(&config), 2);
    }

    #[test]
    fn a_chain_of_convolutions_needs_no_more_buffers_than_one() {
        let conv = LayerSpec::Conv { channels: 16, kernel: 3, stride: 1 };
        let shrinking = LayerSpec::Conv { channels: 16, kernel: 3, stride: 2 };
        let config = |layers: &[LayerSpec]| NetConfig::custom(layers, 3, 12, 12, 10);
        assert_eq!(buffers(&config(&[conv, conv, shrinking, conv])), buffers(&config(&[conv])));
    }
}
