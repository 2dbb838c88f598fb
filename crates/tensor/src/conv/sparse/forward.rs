//! y from spikes: for each output pixel, the sum of the weight rows that its active inputs select.
//!
//! ```text
//! for each image
//!   list the active (column, channel) pairs of each pixel as column · ci + channel
//!   for each group of output channels, each output pixel, each kernel row:
//!     the pixels under the kernel row are neighbours, so their lists are one run of entries;
//!     entry + offset is a row of the weight, laid out [ky][kx][channel]: y += Σ rows
//! ```
//! To go faster: rows are as wide as the registers hold (G channel blocks), so an entry is read once for many
//! additions; narrow groups sum several rows at a time (U) to hide the latency of the adder.

use crate::conv::Conv;
use crate::parallel::resized;
use crate::tensor::{Block, Dims, LANES};
use crate::{Kernel, Lanes, Level, Scratch, Workers};

pub(in crate::conv) fn forward(
    conv: &Conv,
    words: &[u16],
    weight: &[f32],
    y: &mut [Block],
    workers: &mut Workers,
) {
    let mut borrowed = workers.shared();
    let (shared, workers) = borrowed.split();
    let group = group_blocks(conv);
    let weights = pack(conv, weight, group, &mut shared.weights, workers);
    let (image, image_out) = (conv.input.image_blocks(), conv.output.image_blocks());
    workers.run(words.chunks(image).zip(y.chunks_mut(image_out)), |(on, y), scratch| {
        conv.level.run(Image { conv, on, change: None, weights, y, group, scratch });
    });
}

/// Convolves the steps after the first from the spikes that changed: y[t] = y[t−1] + W ∗ on[t] − W ∗ off[t].
///
/// `on` and `off` hold the spikes that appear and vanish at step 1, 2, …; `y` holds step 0 on entry. The
/// convolution is planned for one step.
pub(in crate::conv) fn forward_delta(
    conv: &Conv,
    [on, off]: [&[u16]; 2],
    weight: &[f32],
    y: &mut [Block],
    workers: &mut Workers,
) {
    let mut borrowed = workers.shared();
    let (shared, workers) = borrowed.split();
    let group = group_blocks(conv);
    let weights = pack(conv, weight, group, &mut shared.weights, workers);
    let (image, image_out) = (conv.input.image_blocks(), conv.output.image_blocks());
    let steps = on.chunks(conv.input.n * image).zip(off.chunks(conv.input.n * image));
    let mut rest = y;
    for (on, off) in steps {
        let (before, after) = rest.split_at_mut(conv.output.n * image_out);
        let words = on.chunks(image).zip(off.chunks(image));
        let blocks = before.chunks(image_out).zip(after.chunks_mut(image_out));
        workers.run(words.zip(blocks), |((on, off), (before, y)), scratch| {
            conv.level.run(Image { conv, on, change: Some((off, before)), weights, y, group, scratch });
        });
        rest = after;
    }
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
fn pack<'a>(
    conv: &Conv,
    weight: &[f32],
    group: usize,
    packed: &'a mut Vec<Block>,
    workers: &mut Workers,
) -> &'a [Block] {
    let (ci, co, taps) = (conv.input.c, conv.config.out_channels, conv.taps());
    let packed = resized(packed, conv.output.blocks() * taps * ci);
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
    packed
}

/// One image's convolution, from nothing or from the step before.
struct Image<'a> {
    conv: &'a Conv,
    /// Spikes to add.
    on: &'a [u16],
    /// The spikes to subtract, and the output of the step before, which the sums start from.
    change: Option<(&'a [u16], &'a [Block])>,
    weights: &'a [Block],
    y: &'a mut [Block],
    group: usize,
    scratch: &'a mut Scratch,
}

impl Kernel for Image<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let Image { conv, on, change, weights, y, group, scratch } = self;
        let Scratch { entries, starts, .. } = scratch;
        starts.clear();
        entries.resize(2 * conv.input.image_blocks() * LANES, 0);
        let end = list_active(conv.input, on, 0, entries, starts);
        if let Some((off, _)) = change {
            list_active(conv.input, off, end, entries, starts);
        }
        let (on, off) = starts.split_at(conv.input.pixels() + 1);
        let group_rows = conv.taps() * conv.input.c * group;
        let group_out = group * conv.output.pixels();
        for (g, (weights, y)) in weights.chunks(group_rows).zip(y.chunks_mut(group_out)).enumerate() {
            let before = change.map(|(_, before)| &before[g * group_out..][..y.len()]);
            let sums = Sums { conv, weights, entries, on, off, before };
            match (V::REGISTERS, group) {
                (1, 4) => sums.write::<V, 1, 4, 2>(y),
                (1, 2) => sums.write::<V, 1, 2, 4>(y),
                (1, _) => sums.write::<V, 1, 1, 4>(y),
                (2, 4) => sums.write::<V, 2, 4, 1>(y),
                (2, 2) => sums.write::<V, 2, 2, 2>(y),
                (2, _) => sums.write::<V, 2, 1, 4>(y),
                (4, 2) => sums.write::<V, 4, 2, 1>(y),
                (4, _) => sums.write::<V, 4, 1, 2>(y),
                _ => unreachable!("a block fills 1, 2 or 4 registers"),
            }
        }
    }
}

/// Lists column · ci + channel of each active input, pixel by pixel, from entry `end` on, and returns the new end;
/// one start a pixel, and the end, are appended to `starts`.
#[inline(always)]
fn list_active(
    input: Dims,
    words: &[u16],
    mut end: usize,
    entries: &mut [u16],
    starts: &mut Vec<u32>,
) -> usize {
    let pixels = input.pixels();
    for p in 0..pixels {
        starts.push(end as u32);
        let column = p % input.w * input.c;
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
    end
}

/// One group of output channels of one image.
struct Sums<'a> {
    conv: &'a Conv,
    weights: &'a [Block],
    entries: &'a [u16],
    /// The index of each pixel's first entry: of the entries to add, and of those to subtract, if there are any.
    on: &'a [u32],
    off: &'a [u32],
    before: Option<&'a [Block]>,
}

impl Sums<'_> {
    /// Sums rows of G blocks of H registers, in U interleaved partial sums, for every output pixel.
    #[inline(always)]
    fn write<V: Lanes, const H: usize, const G: usize, const U: usize>(&self, y: &mut [Block]) {
        let (weights, _) = self.weights.as_chunks::<G>();
        let (config, input, out) = (self.conv.config, self.conv.input, self.conv.output);
        let row_len = config.kernel * input.c;
        for q in 0..out.pixels() {
            let (top, left) = (q / out.w * config.stride, q % out.w * config.stride);
            // Columns under the kernel and inside the image; `left - padding` is kernel column 0.
            let from = left.saturating_sub(config.padding).min(input.w);
            let to = (left + config.kernel).saturating_sub(config.padding).min(input.w).max(from);
            let mut sums = [[[V::splat(0.0); H]; G]; U];
            if let Some(before) = self.before {
                for (sum, plane) in sums[0].iter_mut().zip(before.chunks_exact(out.pixels())) {
                    *sum = std::array::from_fn(|h| V::load(&plane[q].0[h * V::WIDTH..]));
                }
            }
            for ky in 0..config.kernel {
                let py = (top + ky).wrapping_sub(config.padding);
                if py < input.h {
                    let columns = py * input.w + from..py * input.w + to;
                    let offset = (ky * row_len + config.padding * input.c).wrapping_sub(left * input.c);
                    let run = |starts: &[u32]| starts[columns.start] as usize..starts[columns.end] as usize;
                    add_rows::<V, H, G, U, false>(weights, &self.entries[run(self.on)], offset, &mut sums);
                    if !self.off.is_empty() {
                        add_rows::<V, H, G, U, true>(
                            weights,
                            &self.entries[run(self.off)],
                            offset,
                            &mut sums,
                        );
                    }
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

/// Adds, or subtracts, the rows `entry + offset` of a run.
#[inline(always)]
fn add_rows<V: Lanes, const H: usize, const G: usize, const U: usize, const SUBTRACT: bool>(
    weights: &[[Block; G]],
    run: &[u16],
    offset: usize,
    sums: &mut [[[V; H]; G]; U],
) {
    let (full, rest) = run.as_chunks::<U>();
    for entries in full {
        for u in 0..U {
            let row = &weights[offset.wrapping_add(usize::from(entries[u]))];
            add_row::<V, H, G, SUBTRACT>(row, &mut sums[u]);
        }
    }
    for &entry in rest {
        let row = &weights[offset.wrapping_add(usize::from(entry))];
        add_row::<V, H, G, SUBTRACT>(row, &mut sums[0]);
    }
}

/// Adds, or subtracts, one row of G blocks.
#[inline(always)]
fn add_row<V: Lanes, const H: usize, const G: usize, const SUBTRACT: bool>(
    row: &[Block; G],
    sum: &mut [[V; H]; G],
) {
    for (block, sum) in row.iter().zip(sum) {
        for (part, sum) in block.0.chunks_exact(V::WIDTH).zip(sum) {
            let part = V::load(part);
            *sum = if SUBTRACT { *sum - part } else { *sum + part };
        }
    }
}
