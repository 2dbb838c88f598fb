//! dW from dense values: outer products of image and gradient pixels in register tiles.
//!
//! ```text
//! for each (output block, input block, tap), each tile of R input channels:      parallel over the triples
//!   tile = Σ over images and pixels inside the image of x value · g row           (registers)
//! ```

use super::Conv;
use crate::parallel::resized;
use crate::tensor::{Block, LANES, Tensor};
use crate::{Kernel, Lanes, Workers, Workspace, with_registers};

/// Returns the workspace of the pass.
pub(super) fn workspace(conv: &Conv) -> Workspace {
    Workspace { weights: conv.output.blocks() * conv.sources() * LANES, ..Workspace::default() }
}

pub(super) fn backward(conv: &Conv, x: &Tensor, g: &Tensor, dw: &mut [f32], workers: &mut Workers) {
    let mut borrowed = workers.shared();
    let (shared, workers) = borrowed.split();
    let sums = resized(&mut shared.weights, workspace(conv).weights);
    let (ci, taps) = (conv.input.c, conv.taps());
    let input_blocks = conv.input.blocks();
    let tasks = sums.chunks_mut(LANES).enumerate();
    workers.run(tasks, |(task, sums), _| {
        conv.level.run(Task { conv, x, g, task, sums });
    });
    for (o, dw) in dw.chunks_mut(ci * taps).enumerate() {
        for (k, dw) in dw.iter_mut().enumerate() {
            let (i, tap) = (k / taps, k % taps);
            let task = (o / LANES * input_blocks + i / LANES) * taps + tap;
            *dw += sums[task * LANES + i % LANES].0[o % LANES];
        }
    }
}

/// Sixteen inputs × sixteen outputs of one tap.
struct Task<'a> {
    conv: &'a Conv,
    x: &'a Tensor,
    g: &'a Tensor,
    task: usize,
    sums: &'a mut [Block],
}

impl Kernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let (taps, blocks) = (self.conv.taps(), self.conv.input.blocks());
        let (tap, pair) = (self.task % taps, self.task / taps);
        let (out_block, in_block) = (pair / blocks, pair % blocks);
        let channels = (self.conv.input.c - in_block * LANES).min(LANES);
        let Task { conv, x, g, sums, .. } = self;
        for (tile, sums) in sums.chunks_mut(4).enumerate() {
            sums.fill(Block::default());
            if tile * 4 < channels {
                let place = Place { conv, tap, in_block, out_block, first: tile * 4 };
                with_registers!(V, H => place.sum::<V, H>(x, g, sums))
            }
        }
    }
}

/// A register tile: four input channels, a block of output channels and a tap.
struct Place<'a> {
    conv: &'a Conv,
    tap: usize,
    in_block: usize,
    out_block: usize,
    first: usize,
}

impl Place<'_> {
    #[inline(always)]
    fn sum<V: Lanes, const H: usize>(&self, x: &Tensor, g: &Tensor, sums: &mut [Block]) {
        let (config, input, output) = (self.conv.config, self.conv.input, self.conv.output);
        let (ky, kx) = (self.tap / config.kernel, self.tap % config.kernel);
        let (rows, cols) = (config.inside(ky, input.h, output.h), config.inside(kx, input.w, output.w));
        let mut acc = [[V::splat(0.0); H]; 4];
        if cols.is_empty() {
            return;
        }
        for n in 0..input.n {
            let x = &x.blocks()[(n * input.blocks() + self.in_block) * input.pixels()..][..input.pixels()];
            let g =
                &g.blocks()[(n * output.blocks() + self.out_block) * output.pixels()..][..output.pixels()];
            for qy in rows.clone() {
                let py = qy * config.stride + ky - config.padding;
                let px = cols.start * config.stride + kx - config.padding;
                let xs = x[py * input.w + px..(py + 1) * input.w].iter().step_by(config.stride);
                let gs = &g[qy * output.w..][cols.clone()];
                for (g, x) in gs.iter().zip(xs) {
                    let g: [V; H] = std::array::from_fn(|h| V::load(&g.0[h * V::WIDTH..]));
                    for (r, acc) in acc.iter_mut().enumerate() {
                        let x = V::splat(x.0[self.first + r]);
                        (0..H).for_each(|h| acc[h] = x.fma(g[h], acc[h]));
                    }
                }
            }
        }
        for (acc, block) in acc.into_iter().zip(sums) {
            for (h, part) in block.0.chunks_exact_mut(V::WIDTH).enumerate() {
                acc[h].store(part);
            }
        }
    }
}
