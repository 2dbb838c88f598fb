//! y from spikes: for each output pixel, the sum of the weight rows that its active inputs select.
//!
//! ```text
//! for each image
//!   list the active channels of each pixel
//!   for each band of output rows
//!     for each output pixel: merge its taps' lists into row numbers (tap · ci + channel)
//!     for each group of output channels, each output pixel: y = Σ rows
//! ```
//! To go faster: rows are as wide as the registers hold (G channel blocks), so an index is read once for many
//! additions; narrow groups sum several rows at a time (U) to hide the latency of the adder.

use super::Conv;
use crate::tensor::{Block, Dims, LANES, Tensor};
use crate::{Kernel, Lanes, Level, Scratch, Spikes, Workers};

/// Output pixels whose lists are merged before weights are read: bounds the lists to the second-level cache.
const BAND_PIXELS: usize = 128;

pub(super) fn forward(
    conv: &mut Conv,
    spikes: &Spikes,
    weight: &[f32],
    y: &mut Tensor,
    workers: &mut Workers,
) {
    let mut packed = std::mem::take(&mut conv.spike_weights);
    let group = group_blocks(conv);
    pack(conv, weight, group, &mut packed, workers);
    let (input, image_out) = (conv.input, conv.output.image_blocks());
    let images = spikes.words().chunks(input.image_blocks()).zip(y.blocks_mut().chunks_mut(image_out));
    workers.run(images, |(words, y), scratch| {
        conv.level.run(Image { conv, words, weights: &packed, y, group, scratch });
    });
    conv.spike_weights = packed;
}

/// Channel blocks summed together: as many as the registers hold and the output divides into.
fn group_blocks(conv: &Conv) -> usize {
    match conv.output.blocks() {
        blocks if blocks.is_multiple_of(4) && conv.level != Level::BASELINE => 4,
        blocks if blocks.is_multiple_of(2) => 2,
        _ => 1,
    }
}

/// Packs O×I×k×k as [group][tap][input channel][group's blocks].
fn pack(conv: &Conv, weight: &[f32], group: usize, packed: &mut Vec<Block>, workers: &mut Workers) {
    let (ci, co, taps) = (conv.input.c, conv.config.out_channels, conv.taps());
    packed.resize(conv.output.blocks() * taps * ci, Block::default());
    let tasks = packed.chunks_mut(ci * group).enumerate();
    workers.run(tasks, |(task, rows), _| {
        let (g, tap) = (task / taps, task % taps);
        for (i, row) in rows.chunks_mut(group).enumerate() {
            for (b, block) in row.iter_mut().enumerate() {
                for (l, x) in block.0.iter_mut().enumerate() {
                    let o = (g * group + b) * LANES + l;
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
        let Scratch { lists: [channels, rows], starts: [pixel_starts, row_starts], .. } = scratch;
        list_channels(conv.input, words, channels, pixel_starts);
        let out = conv.output;
        let group_weights = conv.taps() * conv.input.c * group;
        let band = (BAND_PIXELS / out.w).clamp(1, out.h);
        for top in (0..out.h).step_by(band) {
            let band = top..(top + band).min(out.h);
            merge_taps(conv, band.clone(), channels, pixel_starts, rows, row_starts);
            for (g, weights) in weights.chunks(group_weights).enumerate() {
                let y = &mut y[g * group * out.pixels()..];
                let first = band.start * out.w;
                match group {
                    4 => sum_band::<V, 4>(weights, rows, row_starts, y, first, out.pixels()),
                    2 => sum_band::<V, 2>(weights, rows, row_starts, y, first, out.pixels()),
                    _ => sum_band::<V, 1>(weights, rows, row_starts, y, first, out.pixels()),
                }
            }
        }
    }
}

/// Lists the active channels of each pixel, ascending; `starts[p]` is where pixel p's list begins.
#[inline(always)]
fn list_channels(input: Dims, words: &[u16], channels: &mut Vec<u16>, starts: &mut Vec<u32>) {
    let pixels = input.pixels();
    channels.resize(input.image_blocks() * LANES + LANES, 0);
    starts.clear();
    let mut end = 0;
    for p in 0..pixels {
        starts.push(end as u32);
        for (b, plane) in words.chunks_exact(pixels).enumerate() {
            let mut word = plane[p];
            while word != 0 {
                channels[end] = (b * LANES) as u16 + word.trailing_zeros() as u16;
                end += 1;
                word &= word - 1;
            }
        }
    }
    starts.push(end as u32);
}

/// Lists the weight rows of each output pixel of a band; row `tap · ci + channel`.
#[inline(always)]
fn merge_taps(
    conv: &Conv,
    band: std::ops::Range<usize>,
    channels: &[u16],
    starts: &[u32],
    rows: &mut Vec<u16>,
    row_starts: &mut Vec<u32>,
) {
    let (input, out, config) = (conv.input, conv.output, conv.config);
    let most = band.len() * out.w * conv.taps() * input.c;
    if rows.len() < most {
        rows.resize(most, 0);
    }
    row_starts.clear();
    let mut end = 0;
    for qy in band {
        for qx in 0..out.w {
            row_starts.push(end as u32);
            for tap in 0..conv.taps() {
                let py = (qy * config.stride + tap / config.kernel).wrapping_sub(config.padding);
                let px = (qx * config.stride + tap % config.kernel).wrapping_sub(config.padding);
                if py >= input.h || px >= input.w {
                    continue;
                }
                let p = py * input.w + px;
                let list = &channels[starts[p] as usize..starts[p + 1] as usize];
                let shift = (tap * input.c) as u16;
                let into = &mut rows[end..end + list.len()];
                into.iter_mut().zip(list).for_each(|(row, channel)| *row = shift + channel);
                end += list.len();
            }
        }
    }
    row_starts.push(end as u32);
}

/// Sums the listed rows of each pixel into `y`, whose planes are `plane` blocks apart.
#[inline(always)]
fn sum_band<V: Lanes, const G: usize>(
    weights: &[Block],
    rows: &[u16],
    starts: &[u32],
    y: &mut [Block],
    first: usize,
    plane: usize,
) {
    for (q, ends) in starts.windows(2).enumerate() {
        let list = &rows[ends[0] as usize..ends[1] as usize];
        let sum = match (V::WIDTH, G) {
            (16, 4) => sum_rows::<V, 1, G, 2>(weights, list),
            (16, _) => sum_rows::<V, 1, G, 4>(weights, list),
            (8, 4) => sum_rows::<V, 2, G, 1>(weights, list),
            (8, 2) => sum_rows::<V, 2, G, 2>(weights, list),
            (8, _) => sum_rows::<V, 2, G, 4>(weights, list),
            (_, 2) => sum_rows::<V, 4, G, 1>(weights, list),
            _ => sum_rows::<V, 4, G, 2>(weights, list),
        };
        for (b, block) in sum.into_iter().enumerate() {
            y[b * plane + first + q] = block;
        }
    }
}

/// Sums the rows of `list`, each of G blocks of H registers, in U interleaved partial sums.
#[inline(always)]
fn sum_rows<V: Lanes, const H: usize, const G: usize, const U: usize>(
    weights: &[Block],
    list: &[u16],
) -> [Block; G] {
    let (weights, _) = weights.as_chunks::<G>();
    let mut sums = [[[V::splat(0.0); H]; G]; U];
    let add = |sum: &mut [[V; H]; G], row: u16| {
        let row = &weights[usize::from(row)];
        for (b, block) in row.iter().enumerate() {
            for (h, part) in block.0.chunks_exact(V::WIDTH).enumerate() {
                sum[b][h] = sum[b][h] + V::load(part);
            }
        }
    };
    let (full, rest) = list.as_chunks::<U>();
    for rows in full {
        for u in 0..U {
            add(&mut sums[u], rows[u]);
        }
    }
    for &row in rest {
        add(&mut sums[0], row);
    }
    let mut out = [Block::default(); G];
    for (b, block) in out.iter_mut().enumerate() {
        for (h, part) in block.0.chunks_exact_mut(V::WIDTH).enumerate() {
            let total = sums[1..].iter().fold(sums[0][b][h], |total, sum| total + sum[b][h]);
            total.store(part);
        }
    }
    out
}
