//! dW from spikes: for each weight, the sum of the gradients at the pixels where its input fires.
//!
//! ```text
//! for each chunk of bands (a band: some rows of an image, or some small images)
//!   list for each input channel the positions where it fires           parallel over bands
//!   for each group of output channels, each band                       parallel over groups
//!     copy the band's gradients with a zero border
//!     for each input channel: for each position: dW[all taps] += gradients round the position
//! ```
//! To go faster: a position is read once for all taps of its class (nine registers for 3×3), and a band's
//! gradients of one register of output channels stay in the first-level cache. Tasks own their outputs, so
//! the bits do not depend on the thread count.

use crate::conv::{Conv, ConvConfig, Residue};
use crate::parallel::resized;
use crate::tensor::{Block, Dims, LANES};
use crate::{Kernel, Lanes, Scratch, Workers};

/// Positions in a band: its gradients of eight channels take at most a third of the first-level cache.
const BAND_POSITIONS: usize = 256;
/// Entries of all lists alive together.
const CHUNK_ENTRIES: usize = 1 << 21;
/// Tasks a pass is cut into at least, where channels allow.
const MIN_TASKS: usize = 16;

/// Position lists of a chunk of bands: [band][channel][class][capacity].
#[derive(Clone, Copy, Debug)]
struct Lists<'a> {
    entries: &'a [u16],
    lengths: &'a [u16],
}

/// Whole images, or rows of one image, whose positions are numbered together.
#[derive(Clone, Copy, Debug)]
struct Band {
    images: usize,
    rows: usize,
    per_image: usize,
}

impl Band {
    fn new(input: Dims, kernel: usize) -> Self {
        let pixels = input.pixels();
        if pixels <= BAND_POSITIONS {
            let bordered = (input.h + kernel) * (input.w + kernel);
            let images = (BAND_POSITIONS / pixels).min(usize::from(u16::MAX) / bordered);
            return Self { images: images.clamp(1, input.n), rows: input.h, per_image: 1 };
        }
        let rows = (BAND_POSITIONS / input.w).max(1);
        Self { images: 1, rows, per_image: input.h.div_ceil(rows) }
    }

    fn count(&self, input: Dims) -> usize {
        if self.images > 1 { input.n.div_ceil(self.images) } else { input.n * self.per_image }
    }

    /// The images and rows of band `index`.
    fn span(&self, index: usize, input: Dims) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        let first = index / self.per_image * self.images;
        let top = index % self.per_image * self.rows;
        (first..(first + self.images).min(input.n), top..(top + self.rows).min(input.h))
    }
}

/// Gradient rows and columns that a band's positions reach, border included.
#[derive(Clone, Copy, Debug)]
struct Reach {
    top: isize,
    left: isize,
    rows: usize,
    cols: usize,
}

impl Reach {
    fn new(config: &ConvConfig, rows: &std::ops::Range<usize>, w: usize) -> Self {
        let back = config.reach() as isize - 1;
        let top = config.base(rows.start) as isize - back;
        let left = config.base(0) as isize - back;
        let bottom = config.base(rows.end - 1) as isize;
        let right = config.base(w - 1) as isize;
        Self { top, left, rows: (bottom - top + 1) as usize, cols: (right - left + 1) as usize }
    }
}

/// Whether a pass adds its products to the weight gradient or subtracts them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::conv) enum Sign {
    Add,
    Subtract,
}

pub(in crate::conv) fn backward(
    conv: &Conv,
    words: &[u16],
    g: &[Block],
    sign: Sign,
    dw: &mut [f32],
    workers: &mut Workers,
) {
    let mut borrowed = workers.shared();
    let (shared, workers) = borrowed.split();
    let (input, taps) = (conv.input, conv.taps());
    let sum_floats = conv.output.blocks() * LANES * input.c * taps;
    let sums: &mut [f32] = bytemuck::cast_slice_mut(resized(&mut shared.weights, sum_floats / LANES));
    sums.fill(0.0);
    let band = Band::new(input, conv.config.kernel);
    let shape = ListShape::new(conv, &band);
    let bands = band.count(input);
    let per_chunk = (CHUNK_ENTRIES / shape.band_entries()).clamp(1, bands);
    let entries = resized(&mut shared.entries, per_chunk * shape.band_entries());
    let lengths = resized(&mut shared.lengths, per_chunk * shape.band_lengths());
    for first in (0..bands).step_by(per_chunk) {
        let chunk = first..(first + per_chunk).min(bands);
        let bands = entries.chunks_mut(shape.band_entries()).zip(lengths.chunks_mut(shape.band_lengths()));
        let tasks = chunk.clone().zip(bands);
        workers.run(tasks, |(index, (entries, lengths)), _| {
            list_band(conv, words, &band, index, &shape, entries, lengths);
        });
        let lists = Lists { entries, lengths };
        Accumulate { conv, g, band, shape, chunk, lists, sums, workers }.run();
    }
    unpack(conv, sums, sign, dw);
}

/// Adds the sums, [register of outputs][input][tap][lane], to dW in O×I×k×k, or subtracts them.
fn unpack(conv: &Conv, sums: &[f32], sign: Sign, dw: &mut [f32]) {
    let (ci, taps) = (conv.input.c, conv.taps());
    let width = register_width(conv);
    for (o, dw) in dw.chunks_mut(ci * taps).enumerate() {
        let group = &sums[o / width * ci * taps * width..];
        for (x, lanes) in dw.iter_mut().zip(group.chunks(width)) {
            *x += if sign == Sign::Add { lanes[o % width] } else { -lanes[o % width] };
        }
    }
}

/// Output channels a task sums together.
fn register_width(conv: &Conv) -> usize {
    conv.level.width()
}

/// Sizes of the lists of a band.
#[derive(Clone, Copy, Debug)]
struct ListShape {
    channels: usize,
    classes: usize,
    capacity: usize,
}

impl ListShape {
    fn new(conv: &Conv, band: &Band) -> Self {
        let stride = conv.config.stride;
        let capacity = band.images * band.rows.div_ceil(stride) * conv.input.w.div_ceil(stride);
        Self { channels: conv.input.c, classes: stride * stride, capacity }
    }

    fn band_lengths(&self) -> usize {
        self.channels * self.classes
    }

    fn band_entries(&self) -> usize {
        self.band_lengths() * self.capacity
    }
}

/// Lists where each channel fires in a band, as offsets into the band's bordered gradients.
fn list_band(
    conv: &Conv,
    words: &[u16],
    band: &Band,
    index: usize,
    shape: &ListShape,
    entries: &mut [u16],
    lengths: &mut [u16],
) {
    let (input, config) = (conv.input, conv.config);
    let (images, rows) = band.span(index, input);
    let reach = Reach::new(&config, &rows, input.w);
    let stride = config.stride;
    lengths.fill(0);
    for (slot, image) in images.enumerate() {
        for b in 0..input.blocks() {
            let plane = &words[(image * input.blocks() + b) * input.pixels()..][..input.pixels()];
            for py in rows.clone() {
                let row = slot * reach.rows + (config.base(py) as isize - reach.top) as usize;
                for (px, &word) in plane[py * input.w..][..input.w].iter().enumerate() {
                    let class =
                        if stride == 1 { 0 } else { (py - rows.start) % stride * stride + px % stride };
                    let position = row * reach.cols + (config.base(px) as isize - reach.left) as usize;
                    let mut word = word;
                    while word != 0 {
                        let channel = b * LANES + word.trailing_zeros() as usize;
                        let list = channel * shape.classes + class;
                        entries[list * shape.capacity + usize::from(lengths[list])] = position as u16;
                        lengths[list] += 1;
                        word &= word - 1;
                    }
                }
            }
        }
    }
}

/// Adds a chunk of bands to the sums, one task for each register of outputs and run of input channels.
struct Accumulate<'a> {
    conv: &'a Conv,
    g: &'a [Block],
    band: Band,
    shape: ListShape,
    chunk: std::ops::Range<usize>,
    lists: Lists<'a>,
    sums: &'a mut [f32],
    workers: &'a mut Workers,
}

impl Accumulate<'_> {
    fn run(self) {
        let conv = self.conv;
        let (width, ci, taps) = (register_width(conv), conv.input.c, conv.taps());
        let registers = conv.output.blocks() * LANES / width;
        let runs = MIN_TASKS.div_ceil(registers).min(ci.div_ceil(LANES));
        let run_channels = ci.div_ceil(runs);
        let level = conv.level;
        let tasks = self.sums.chunks_mut(ci * taps * width).enumerate().flat_map(|(register, sums)| {
            let parts = sums.chunks_mut(run_channels * taps * width).enumerate();
            parts.map(move |(run, sums)| (register, run * run_channels, sums))
        });
        let (g, band, shape, chunk, lists) = (self.g, self.band, self.shape, &self.chunk, self.lists);
        self.workers.run(tasks, |(register, first_channel, sums), scratch| {
            level.run(Task { conv, g, band, shape, chunk, lists, register, first_channel, sums, scratch });
        });
    }
}

/// One register of output channels against a run of input channels.
struct Task<'a> {
    conv: &'a Conv,
    g: &'a [Block],
    band: Band,
    shape: ListShape,
    chunk: &'a std::ops::Range<usize>,
    lists: Lists<'a>,
    register: usize,
    first_channel: usize,
    sums: &'a mut [f32],
    scratch: &'a mut Scratch,
}

impl Kernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let Task { conv, g, band, shape, chunk, lists, register, first_channel, sums, scratch } = self;
        let (input, config, taps) = (conv.input, conv.config, conv.taps());
        for (slot, index) in chunk.clone().enumerate() {
            let (images, rows) = band.span(index, input);
            let reach = Reach::new(&config, &rows, input.w);
            let window = copy_gradients::<V>(conv.output, g, register, images, &reach, scratch);
            let entries = &lists.entries[slot * shape.band_entries()..][..shape.band_entries()];
            let lengths = &lists.lengths[slot * shape.band_lengths()..][..shape.band_lengths()];
            for class in 0..shape.classes {
                let (dy, dx) = (class / config.stride, class % config.stride);
                let residue = config.residue(rows.start + dy, dx);
                for (i, sums) in sums.chunks_mut(taps * V::WIDTH).enumerate() {
                    let list = (first_channel + i) * shape.classes + class;
                    let fired = &entries[list * shape.capacity..][..usize::from(lengths[list])];
                    if !fired.is_empty() {
                        add_class::<V>(&config, &residue, window, reach.cols, fired, sums);
                    }
                }
            }
        }
    }
}

/// Copies the gradients of a band, one register of output channels, with a zero border.
#[inline(always)]
fn copy_gradients<'a, V: Lanes>(
    d: Dims,
    g: &[Block],
    register: usize,
    images: std::ops::Range<usize>,
    reach: &Reach,
    scratch: &'a mut Scratch,
) -> &'a [f32] {
    let plane = reach.rows * reach.cols * V::WIDTH;
    let (block, lane) = (register * V::WIDTH / LANES, register * V::WIDTH % LANES);
    let window = scratch.blocks((images.len() * plane).div_ceil(LANES));
    let window: &mut [f32] = bytemuck::cast_slice_mut(window);
    for (image, window) in images.zip(window.chunks_mut(plane)) {
        let blocks = &g[(image * d.blocks() + block) * d.pixels()..][..d.pixels()];
        for (r, row) in window.chunks_exact_mut(reach.cols * V::WIDTH).enumerate() {
            let y = reach.top + r as isize;
            if y < 0 || y >= d.h as isize {
                row.fill(0.0);
                continue;
            }
            let source = &blocks[y as usize * d.w..][..d.w];
            for (c, cell) in row.chunks_exact_mut(V::WIDTH).enumerate() {
                let x = reach.left + c as isize;
                match source.get(x as usize) {
                    Some(block) => V::load(&block.0[lane..]).store(cell),
                    None => cell.fill(0.0),
                }
            }
        }
    }
    window
}

/// Adds the gradients round each position to the taps of a class.
#[inline(always)]
fn add_class<V: Lanes>(
    config: &ConvConfig,
    residue: &Residue,
    window: &[f32],
    cols: usize,
    positions: &[u16],
    sums: &mut [f32],
) {
    if config.kernel == 3 && config.stride == 1 {
        return add_taps::<V, 3, 3>(window, cols, positions, 0, sums, |jy, jx| jy * 3 + jx);
    }
    // Taps of a class in pieces of one row and at most three columns.
    let (stride, reach) = (config.stride, config.reach());
    for jy in 0..residue.count.0 {
        let ky = residue.first.0 + jy * stride;
        for from in (0..residue.count.1).step_by(3) {
            let width = (residue.count.1 - from).min(3);
            // Column jx = from + width - 1 lies leftmost in the window.
            let offset = (reach - 1 - jy) * cols + (reach - from - width);
            let tap = |_: usize, jx: usize| ky * config.kernel + residue.first.1 + (from + jx) * stride;
            let back = (reach - 1) * (cols + 1);
            match width {
                3 => add_row::<V, 3>(window, positions, offset, back, sums, tap),
                2 => add_row::<V, 2>(window, positions, offset, back, sums, tap),
                _ => add_row::<V, 1>(window, positions, offset, back, sums, tap),
            }
        }
    }
}

/// One kernel row: the gradients `offset - back` cells from each position, KX of them.
#[inline(always)]
fn add_row<V: Lanes, const KX: usize>(
    window: &[f32],
    positions: &[u16],
    offset: usize,
    back: usize,
    sums: &mut [f32],
    tap: impl Fn(usize, usize) -> usize,
) {
    let mut acc: [V; KX] = std::array::from_fn(|jx| V::load(&sums[tap(0, jx) * V::WIDTH..]));
    for &position in positions {
        let at = (usize::from(position) + offset - back) * V::WIDTH;
        let cells = &window[at..at + KX * V::WIDTH];
        for (jx, cell) in cells.chunks_exact(V::WIDTH).rev().enumerate() {
            acc[jx] = acc[jx] + V::load(cell);
        }
    }
    for (jx, acc) in acc.into_iter().enumerate() {
        acc.store(&mut sums[tap(0, jx) * V::WIDTH..]);
    }
}

/// All taps of a KY×KX kernel at once: tap (jy, jx) reads the cell jy rows above and jx columns left.
#[inline(always)]
fn add_taps<V: Lanes, const KY: usize, const KX: usize>(
    window: &[f32],
    cols: usize,
    positions: &[u16],
    offset: usize,
    sums: &mut [f32],
    tap: impl Fn(usize, usize) -> usize,
) {
    let mut acc: [[V; KX]; KY] =
        std::array::from_fn(|jy| std::array::from_fn(|jx| V::load(&sums[tap(jy, jx) * V::WIDTH..])));
    for &position in positions {
        for (jy, acc) in acc.iter_mut().enumerate() {
            let at = (usize::from(position) + offset + 1 - KX - jy * cols) * V::WIDTH;
            let cells = &window[at..at + KX * V::WIDTH];
            for (jx, acc) in acc.iter_mut().enumerate() {
                *acc = *acc + V::load(&cells[(KX - 1 - jx) * V::WIDTH..]);
            }
        }
    }
    for (jy, acc) in acc.into_iter().enumerate() {
        for (jx, acc) in acc.into_iter().enumerate() {
            acc.store(&mut sums[tap(jy, jx) * V::WIDTH..]);
        }
    }
}
