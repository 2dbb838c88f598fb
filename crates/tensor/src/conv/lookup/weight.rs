//! dW from spikes by look-up.
//!
//! ```text
//! for each chunk of images                                    (their keys fit the last-level cache)
//!   pack the keys of each 48 pixels                           parallel over pixels
//!   for each output block, each part of the pixels:           parallel over the pairs
//!     for each 48 pixels: build the tables of their 48 gradient rows
//!       for each (source, channel): dW += the rows that its key selects
//! add the parts, in order
//! ```
//! The parts depend on the shape alone, so the bits do not depend on the number of threads.

use super::keys::{ChannelKeys, Columns, Grid, ImageColumns};
use super::{KEY_BITS, SCRATCH_BLOCKS, Start, add_selected, build, split_scratch};
use crate::conv::Conv;
use crate::parallel::resized;
use crate::tensor::{Block, Dims, LANES};
use crate::{Kernel, Lanes, Scratch, Workers, Workspace};
use std::ops::Range;

/// Tasks a pass is cut into at least.
const MIN_TASKS: usize = 16;
/// Groups whose keys a task packs.
const PACKED_GROUPS: usize = 16;
/// Keys alive together: 8 MiB.
const CHUNK_KEYS: usize = 1 << 20;

/// Partial sums of each output block, and images whose keys are alive together.
fn cut(conv: &Conv) -> (usize, usize) {
    let rows = conv.sources() * LANES;
    let chunk = CHUNK_KEYS * KEY_BITS / rows / conv.output.pixels();
    (MIN_TASKS.div_ceil(conv.output.blocks()), chunk.clamp(1, conv.output.n))
}

/// Returns the workspace of the weight gradient.
pub(in crate::conv) fn workspace(conv: &Conv) -> Workspace {
    let (parts, chunk) = cut(conv);
    let (grid, rows) = (Grid::new(conv), conv.sources() * LANES);
    Workspace {
        weights: parts * conv.output.blocks() * rows,
        keys: (chunk * conv.output.pixels()).div_ceil(KEY_BITS) * rows,
        columns: chunk * grid.image_columns(),
        blocks: SCRATCH_BLOCKS,
        words: grid.words(),
        ..Workspace::default()
    }
}

pub(in crate::conv) fn backward(
    conv: &Conv,
    words: &[u16],
    g: &[Block],
    dw: &mut [f32],
    workers: &mut Workers,
) {
    let rows = conv.sources() * LANES;
    let (parts, chunk) = cut(conv);
    let mut borrowed = workers.shared();
    let (shared, workers) = borrowed.split();
    let sums = resized(&mut shared.weights, parts * conv.output.blocks() * rows);
    sums.fill(Block::default());
    for start in (0..conv.output.n).step_by(chunk) {
        let images = start..(start + chunk).min(conv.output.n);
        let keys = pack(conv, words, images.clone(), &mut shared.columns, &mut shared.keys, workers);
        add_chunk(conv, g, images, keys, parts, sums, workers);
    }
    unpack(conv, sums, dw, workers);
}

/// Packs the keys of some images.
fn pack<'a>(
    conv: &Conv,
    words: &[u16],
    images: Range<usize>,
    columns: &mut Vec<Columns>,
    keys: &'a mut Vec<u64>,
    workers: &mut Workers,
) -> &'a [u64] {
    let (grid, level, image_words) = (Grid::new(conv), conv.level, conv.input.image_blocks());
    let columns = resized(columns, images.len() * grid.image_columns());
    let inputs = words[images.start * image_words..].chunks(image_words);
    workers.run(columns.chunks_mut(grid.image_columns()).zip(inputs), |(columns, spikes), scratch| {
        level.run(ImageColumns { grid, spikes, columns, words: &mut scratch.entries });
    });
    let (columns, rows) = (&*columns, conv.sources() * LANES);
    let end = images.len() * conv.output.pixels();
    let keys = resized(keys, end.div_ceil(KEY_BITS) * rows);
    workers.run(keys.chunks_mut(PACKED_GROUPS * rows).enumerate(), |(task, keys), _| {
        let pixels = task * PACKED_GROUPS * KEY_BITS..end;
        level.run(ChannelKeys { grid, columns, pixels, keys });
    });
    keys
}

/// Adds some images' products to the parts of the sums.
fn add_chunk(
    conv: &Conv,
    g: &[Block],
    images: Range<usize>,
    keys: &[u64],
    parts: usize,
    sums: &mut [Block],
    workers: &mut Workers,
) {
    let (blocks, rows, pixels) = (conv.output.blocks(), conv.sources() * LANES, conv.output.pixels());
    let part_groups = (keys.len() / rows).div_ceil(parts);
    workers.run(sums.chunks_mut(rows).enumerate(), |(task, sums), scratch| {
        let (part, block) = (task / blocks, task % blocks);
        if let Some(keys) = keys.chunks(part_groups * rows).nth(part) {
            let first = images.start * pixels + part * part_groups * KEY_BITS;
            let pixels = first..images.end * pixels;
            conv.level.run(PartSums { output: conv.output, g, block, pixels, keys, sums, scratch });
        }
    });
}

/// Adds the sums, [part][output block][source][channel][sixteen outputs], to dW in O×I×k×k.
fn unpack(conv: &Conv, sums: &mut [Block], dw: &mut [f32], workers: &mut Workers) {
    let (ci, taps, rows) = (conv.input.c, conv.taps(), conv.sources() * LANES);
    let (output_len, part_rows) = (ci * taps, conv.output.blocks() * rows);
    let (sums, others) = sums.split_at_mut(part_rows);
    for part in others.chunks(part_rows) {
        let sums: &mut [f32] = bytemuck::cast_slice_mut(sums);
        sums.iter_mut().zip(bytemuck::cast_slice(part)).for_each(|(sum, part): (_, &f32)| *sum += part);
    }
    workers.run(dw.chunks_mut(LANES * output_len).enumerate(), |(block, dw), _| {
        let sources = sums[block * rows..][..rows].chunks(LANES).enumerate();
        for (source, sums) in sources {
            let (first_input, tap) = (source / taps * LANES, source % taps);
            for (i, sum) in sums.iter().enumerate().take(ci - first_input) {
                let weights = dw[(first_input + i) * taps + tap..].iter_mut().step_by(output_len);
                weights.zip(&sum.0).for_each(|(dw, sum)| *dw += sum);
            }
        }
    });
}

/// One block of output channels over a part of the pixels.
struct PartSums<'a> {
    output: Dims,
    g: &'a [Block],
    block: usize,
    pixels: Range<usize>,
    keys: &'a [u64],
    sums: &'a mut [Block],
    scratch: &'a mut Scratch,
}

impl Kernel for PartSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let Self { output, g, block, pixels, keys, sums, scratch } = self;
        let (rows, tables) = split_scratch(scratch);
        for (group, keys) in keys.chunks_exact(sums.len()).enumerate() {
            let first = pixels.start + group * KEY_BITS;
            let count = (pixels.end - first).min(KEY_BITS);
            copy_gradients(output, g, block, first, &mut rows[..count]);
            rows[count..].fill(Block::default());
            build::<V>(rows, tables);
            add_selected::<V>(Start::Add, tables, keys, sums);
        }
    }
}

/// Copies one block of the gradient at pixels `first`…, numbered through the images.
#[inline(always)]
fn copy_gradients(d: Dims, g: &[Block], block: usize, first: usize, rows: &mut [Block]) {
    let plane = d.pixels();
    let mut done = 0;
    while done < rows.len() {
        let (image, pixel) = ((first + done) / plane, (first + done) % plane);
        let count = (plane - pixel).min(rows.len() - done);
        let from = (image * d.blocks() + block) * plane + pixel;
        rows[done..][..count].copy_from_slice(&g[from..][..count]);
        done += count;
    }
}
