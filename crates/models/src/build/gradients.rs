//! Which values have gradients, and which buffers these share.

use crate::layers::{Current, Layer};
use spikegrad_tensor::{Dims, Tensor};

/// Gives every gradient a buffer; buffers are used again as soon as a layer that runs backward needs them no more.
///
/// A unit whose currents are convolutions needs ∂L/∂u until batch norm has turned each y into ∂L/∂y: then the
/// buffer passes to the spikes that were added as they are, or is free for the inputs' gradients.
pub(super) fn share_gradients(
    layers: &[Layer],
    dims: &[Dims],
    input_gradient: bool,
) -> (Vec<Tensor>, Vec<Option<usize>>) {
    let mut pool = Pool::default();
    let mut of: Vec<Option<usize>> = vec![None; dims.len()];
    let wants = needs_gradient(layers, dims.len(), input_gradient);
    for layer in layers.iter().rev() {
        let mut done = writes(layer).and_then(|to| of[to]);
        if let Some(from) = added_unchanged(layer) {
            assert!(of[from].is_none(), "nothing after the sum reads what was added");
            of[from] = done.take();
        }
        let early = if is_done_early(layer) { done.take() } else { None };
        pool.free.extend(early);
        for from in reads(layer) {
            if wants[from] && of[from].is_none() {
                of[from] = Some(pool.take(dims[from]));
            }
        }
        pool.free.extend(done);
    }
    (pool.sizes.into_iter().map(Tensor::planned).collect(), of)
}

/// Which values have a weight, or the wanted input gradient, before them.
pub(super) fn needs_gradient(layers: &[Layer], values: usize, input_gradient: bool) -> Vec<bool> {
    let mut wants = vec![false; values];
    wants[0] = input_gradient;
    for layer in layers {
        if let Some(to) = writes(layer) {
            wants[to] = matches!(layer, Layer::Unit(_)) || reads(layer).iter().any(|&from| wants[from]);
        }
    }
    wants
}

/// Buffers by the largest tensor each must hold.
#[derive(Default)]
struct Pool {
    sizes: Vec<Dims>,
    free: Vec<usize>,
}

impl Pool {
    /// Takes the smallest free buffer that is large enough, else enlarges the largest, else makes one.
    fn take(&mut self, dims: Dims) -> usize {
        let blocks = |d: Dims| d.n * d.image_blocks();
        let fits = |slot: usize| blocks(self.sizes[slot]) >= blocks(dims);
        self.free.sort_by_key(|&slot| blocks(self.sizes[slot]));
        let at = self.free.iter().position(|&slot| fits(slot)).or(self.free.len().checked_sub(1));
        let Some(slot) = at.map(|at| self.free.remove(at)) else {
            self.sizes.push(dims);
            return self.sizes.len() - 1;
        };
        if !fits(slot) {
            self.sizes[slot] = dims;
        }
        slot
    }
}

/// The spikes that a unit adds as they are.
fn added_unchanged(layer: &Layer) -> Option<usize> {
    let Layer::Unit(unit) = layer else { return None };
    unit.currents.iter().find_map(|current| match current {
        Current::Identity(from) => Some(*from),
        _ => None,
    })
}

/// Whether a layer has used its output's gradient up before it writes its inputs'.
fn is_done_early(layer: &Layer) -> bool {
    let Layer::Unit(unit) = layer else { return false };
    unit.currents.iter().all(|current| matches!(current, Current::Conv(_)))
}

fn reads(layer: &Layer) -> Vec<usize> {
    match layer {
        Layer::Unit(unit) => unit.currents.iter().map(current_reads).collect(),
        Layer::Pool { from, .. } | Layer::Flatten { from, .. } => vec![*from],
        Layer::Output(linear) => vec![linear.from],
    }
}

fn current_reads(current: &Current) -> usize {
    match current {
        Current::Conv(conv) => conv.from,
        Current::Linear(linear) => linear.from,
        Current::Identity(from) => *from,
    }
}

fn writes(layer: &Layer) -> Option<usize> {
    match layer {
        Layer::Unit(unit) => Some(unit.out),
        Layer::Pool { to, .. } | Layer::Flatten { to, .. } => Some(*to),
        Layer::Output(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::build;
    use crate::{LayerSpec, NetConfig, NetKind};
    use spikegrad_tensor::Level;

    fn buffers(config: &NetConfig) -> usize {
        build(config, 1, Level::BASELINE, false).unwrap().gradients.len()
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
