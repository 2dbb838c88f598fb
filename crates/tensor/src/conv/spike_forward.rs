//! y from spikes: for each output pixel, the sum of the weight rows that its active inputs select.
//!
//! ```text
//! for each image, each chunk of input channels
//!   list the active (column, channel) pairs of each pixel as column · channels + channel
//!   for each group of output channels, each pass over some kernel taps, each output pixel, each kernel row:
//!     the pixels under the kernel row are neighbours, so their lists are one run of entries;
//!     entry + offset is a row of the weight, laid out [ky][kx][channel]: y += Σ rows
//! ```
//! To go faster: a pass takes as many taps as the first-level cache holds rows of, so that rows are read from
//! there; several rows are summed at a time (U) to hide the latency of the adder.

use super::Conv;
use crate::tensor::{Block, Dims, LANES, Tensor};
use crate::{Kernel, Lanes, Scratch, Spikes, Workers};
use std::ops::Range;

/// Input channels whose lists and rows are used together.
const CHUNK: usize = 128;
/// Bytes of weight rows that stay in the first-level cache beside lists and outputs.
const CACHED_ROWS: usize = 20 << 10;

pub(super) fn forward(
    conv: &mut Conv,
    spikes: &Spikes,
    weight: &[f32],
    y: &mut Tensor,
    workers: &mut Workers,
) {
    let mut packed = std::mem::take(&mut conv.spike_weights);
    let group = if conv.output.blocks().is_multiple_of(2) { 2 } else { 1 };
    pack(conv, weight, group, &mut packed, workers);
    let (input, image_out) = (conv.input, conv.output.image_blocks());
    let images = spikes.words().chunks(input.image_blocks()).zip(y.blocks_mut().chunks_mut(image_out));
    workers.run(images, |(words, y), scratch| {
        conv.level.run(Image { conv, words, weights: &packed, y, group, scratch });
    });
    conv.spike_weights = packed;
}

/// Packs O×I×k×k as [group][chunk][tap][channel of the chunk][group's blocks].
fn pack(conv: &Conv, weight: &[f32], group: usize, packed: &mut Vec<Block>, workers: &mut Workers) {
    let (ci, co, taps) = (conv.input.c, conv.config.out_channels, conv.taps());
    packed.resize(conv.output.blocks() * taps * ci, Block::default());
    workers.run(packed.chunks_mut(ci * taps * group).enumerate(), |(g, packed), _| {
        for (chunk, packed) in packed.chunks_mut(CHUNK * taps * group).enumerate() {
            let channels = packed.len() / (taps * group);
            for (row, blocks) in packed.chunks_mut(group).enumerate() {
                let (tap, i) = (row / channels, chunk * CHUNK + row % channels);
                for (k, x) in blocks.iter_mut().flat_map(|block| &mut block.0).enumerate() {
                    let o = g * group * LANES + k;
                    *x = if o < co { weight[(o * ci + i) * taps + tap] } else { 0.0 };
                }
            }
        }
    });
}

/// One image's convolution.
struct Image<'a> {
    conv: &'a Conv,
    words: &'a [u16],
    weights: &'a [Block],
    y: &'a mut [Block],
    group: usize,
    scratch: &'a mut Scratch,
}

impl Kernel for Image<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let Image { conv, words, weights, y, group, scratch } = self;
        let Scratch { lists: [entries, _], starts: [starts, _], .. } = scratch;
        let (pixels, taps, ci) = (conv.input.pixels(), conv.taps(), conv.input.c);
        let group_out = group * conv.output.pixels();
        for (chunk, words) in words.chunks(CHUNK / LANES * pixels).enumerate() {
            let channels = (ci - chunk * CHUNK).min(CHUNK);
            list_active(conv.input, channels, words, entries, starts);
            for (weights, y) in weights.chunks(group * taps * ci).zip(y.chunks_mut(group_out)) {
                let weights = &weights[chunk * CHUNK * taps * group..][..channels * taps * group];
                let sums = Sums { conv, channels, weights, entries, starts };
                match (V::WIDTH, group) {
                    (16, 2) => sums.run::<V, 1, 2, 4>(chunk == 0, y),
                    (16, _) => sums.run::<V, 1, 1, 4>(chunk == 0, y),
                    (8, 2) => sums.run::<V, 2, 2, 2>(chunk == 0, y),
                    (8, _) => sums.run::<V, 2, 1, 4>(chunk == 0, y),
                    (_, 2) => sums.run::<V, 4, 2, 1>(chunk == 0, y),
                    _ => sums.run::<V, 4, 1, 2>(chunk == 0, y),
                }
            }
        }
    }
}

/// Lists column · channels + channel of each active input, pixel by pixel; `starts[p]` is where pixel p's begin.
#[inline(always)]
fn list_active(input: Dims, channels: usize, words: &[u16], entries: &mut Vec<u16>, starts: &mut Vec<u32>) {
    let pixels = input.pixels();
    entries.resize(words.len() * LANES, 0);
    starts.clear();
    let mut end = 0;
    for p in 0..pixels {
        starts.push(end as u32);
        let column = p % input.w * channels;
        for (b, plane) in words.chunks_exact(pixels).enumerate() {
            let mut word = plane[p];
            while word != 0 {
                entries[end] = (column + b * LANES) as u16 + word.trailing_zeros() as u16;
                end += 1;
                word &= word - 1;
            }
        }
    }
    starts.push(end as u32);
}

/// One chunk of input channels into one group of output channels of one image.
struct Sums<'a> {
    conv: &'a Conv,
    channels: usize,
    weights: &'a [Block],
    entries: &'a [u16],
    starts: &'a [u32],
}

/// The kernel taps of a pass: rows and columns.
struct Taps {
    rows: Range<usize>,
    cols: Range<usize>,
}

impl Sums<'_> {
    /// Runs the passes: all taps at once, a kernel row at a time, or a tap at a time.
    #[inline(always)]
    fn run<V: Lanes, const H: usize, const G: usize, const U: usize>(
        &self,
        mut first: bool,
        y: &mut [Block],
    ) {
        let kernel = self.conv.config.kernel;
        let bytes = self.channels * G * size_of::<Block>();
        let rows = if bytes * kernel * kernel <= 2 * CACHED_ROWS { kernel } else { 1 };
        let cols = if bytes * kernel <= CACHED_ROWS || rows == kernel { kernel } else { 1 };
        for ky in (0..kernel).step_by(rows) {
            for kx in (0..kernel).step_by(cols) {
                let taps = Taps { rows: ky..ky + rows, cols: kx..kx + cols };
                self.pass::<V, H, G, U>(&taps, first, y);
                first = false;
            }
        }
    }

    /// Sums rows of G blocks of H registers, in U interleaved partial sums, for every output pixel.
    #[inline(always)]
    fn pass<V: Lanes, const H: usize, const G: usize, const U: usize>(
        &self,
        taps: &Taps,
        first: bool,
        y: &mut [Block],
    ) {
        let (weights, _) = self.weights.as_chunks::<G>();
        let (config, input, out) = (self.conv.config, self.conv.input, self.conv.output);
        let row_len = config.kernel * self.channels;
        for q in 0..out.pixels() {
            let (top, left) = (q / out.w * config.stride, q % out.w * config.stride);
            // Image columns under the taps; `left - padding` is kernel column 0.
            let from = (left + taps.cols.start).saturating_sub(config.padding).min(input.w);
            let to = (left + taps.cols.end).saturating_sub(config.padding).min(input.w).max(from);
            let mut sums = [[[V::splat(0.0); H]; G]; U];
            if !first {
                for (b, plane) in y.chunks_exact(out.pixels()).enumerate() {
                    sums[0][b] = std::array::from_fn(|h| V::load(&plane[q].0[h * V::WIDTH..]));
                }
            }
            for ky in taps.rows.clone() {
                let py = (top + ky).wrapping_sub(config.padding);
                if py < input.h {
                    let run = self.starts[py * input.w + from]..self.starts[py * input.w + to];
                    let run = &self.entries[run.start as usize..run.end as usize];
                    let column = config.padding.wrapping_sub(left).wrapping_mul(self.channels);
                    add_rows(weights, run, column.wrapping_add(ky * row_len), &mut sums);
                }
            }
            for (b, plane) in y.chunks_exact_mut(out.pixels()).enumerate() {
                for (h, part) in plane[q].0.chunks_exact_mut(V::WIDTH).enumerate() {
                    let total = sums[1..].iter().fold(sums[0][b][h], |total, sum| total + sum[b][h]);
                    total.store(part);
                }
            }
        }
    }
}

/// Adds the rows `entry + offset` of a run.
#[inline(always)]
fn add_rows<V: Lanes, const H: usize, const G: usize, const U: usize>(
    weights: &[[Block; G]],
    run: &[u16],
    offset: usize,
    sums: &mut [[[V; H]; G]; U],
) {
    let (full, rest) = run.as_chunks::<U>();
    for entries in full {
        for u in 0..U {
            add_row(&weights[offset.wrapping_add(usize::from(entries[u]))], &mut sums[u]);
        }
    }
    for &entry in rest {
        add_row(&weights[offset.wrapping_add(usize::from(entry))], &mut sums[0]);
    }
}

/// Adds one row of G blocks.
#[inline(always)]
fn add_row<V: Lanes, const H: usize, const G: usize>(row: &[Block; G], sum: &mut [[V; H]; G]) {
    for (block, sum) in row.iter().zip(sum) {
        for (part, sum) in block.0.chunks_exact(V::WIDTH).zip(sum) {
            *sum = *sum + V::load(part);
        }
    }
}
