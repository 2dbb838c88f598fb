//! Bits of spikes, packed the two ways that the look-ups want.
//!
//! A *source* is an (input block, tap) pair; its word at an output pixel holds the sixteen spikes that the tap
//! reads there. Three sources' words at one pixel make a key of the forward; one channel's bits at 48 pixels
//! make a key of the weight gradient.
//!
//! Both read a [`Grid`]: the input with its zero border, where the words of a source at neighbouring outputs
//! are neighbours.

use super::{KEY_BITS, KEY_WORDS};
use crate::conv::Conv;
use crate::tensor::LANES;
use crate::{Kernel, Lanes};
use std::ops::Range;

/// One bit of each of sixteen channels a column: 64 neighbouring positions of a block.
pub(super) type Columns = [u64; LANES];

/// Positions in a [`Columns`].
const COLUMN_BITS: usize = u64::BITS as usize;

/// The zero-bordered input of a convolution, split into planes: one for each block and each residue of rows and
/// columns modulo the stride. Tap (ky, kx) of output (y, x) reads row y + ⌊ky/s⌋, column x + ⌊kx/s⌋ of the plane
/// (ky mod s, kx mod s).
#[derive(Clone, Copy)]
pub(super) struct Grid<'a> {
    conv: &'a Conv,
    rows: usize,
    pitch: usize,
}

impl<'a> Grid<'a> {
    pub fn new(conv: &'a Conv) -> Self {
        let furthest = (conv.config.kernel - 1) / conv.config.stride;
        Self { conv, rows: conv.output.h + furthest, pitch: conv.output.w + furthest }
    }

    /// Words of a plane: whole columns, one more than needed, so that two neighbours can always be read.
    fn plane(&self) -> usize {
        (self.rows * self.pitch).next_multiple_of(COLUMN_BITS) + COLUMN_BITS
    }

    /// Words of an image.
    fn image(&self) -> usize {
        self.conv.input.blocks() * self.conv.config.stride.pow(2) * self.plane()
    }

    /// Words that an image's keys are made of: its own and a silent plane.
    pub fn words(&self) -> usize {
        self.image() + self.rows * self.pitch
    }

    /// Columns of an image.
    pub fn image_columns(&self) -> usize {
        self.image() / COLUMN_BITS
    }

    /// Where in an image's words a source's word of output (0, 0) lies.
    fn start(&self, source: usize) -> usize {
        let (kernel, stride) = (self.conv.config.kernel, self.conv.config.stride);
        let (block, tap) = (source / self.conv.taps(), source % self.conv.taps());
        let (ky, kx) = (tap / kernel, tap % kernel);
        let plane = (block * stride + ky % stride) * stride + kx % stride;
        plane * self.plane() + ky / stride * self.pitch + kx / stride
    }

    /// Copies an image's spikes to its planes.
    #[inline(always)]
    fn fill(&self, spikes: &[u16], words: &mut [u16]) {
        let (config, input) = (self.conv.config, self.conv.input);
        let stride = config.stride;
        words.fill(0);
        for (index, plane) in words.chunks_exact_mut(self.plane()).enumerate() {
            let (block, dy, dx) = (index / stride / stride, index / stride % stride, index % stride);
            let (rows, cols) =
                (config.inside(dy, input.h, self.rows), config.inside(dx, input.w, self.pitch));
            for r in rows {
                let line = (block * input.h + r * stride + dy - config.padding) * input.w;
                let line = &spikes[line..][..input.w];
                let to = &mut plane[r * self.pitch..][cols.clone()];
                let from = line.iter().skip(cols.start * stride + dx - config.padding).step_by(stride);
                to.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
            }
        }
    }
}

/// The forward's keys of one image: [three sources][pixel], sources past the last being silent.
pub(super) struct PixelKeys<'a> {
    pub grid: Grid<'a>,
    pub spikes: &'a [u16],
    pub keys: &'a mut [u64],
    pub words: &'a mut Vec<u16>,
}

impl Kernel for PixelKeys<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let Self { grid, spikes, keys, words } = self;
        let (output, sources) = (grid.conv.output, grid.conv.sources());
        words.resize(grid.words(), 0);
        let silent = grid.image();
        words[silent..].fill(0);
        grid.fill(spikes, &mut words[..silent]);
        for (triple, keys) in keys.chunks_exact_mut(output.pixels()).enumerate() {
            let start: [usize; KEY_WORDS] = std::array::from_fn(|k| match triple * KEY_WORDS + k {
                source if source < sources => grid.start(source),
                _ => silent,
            });
            for (y, keys) in keys.chunks_exact_mut(output.w).enumerate() {
                let at = y * grid.pitch;
                join(&words[start[0] + at..], &words[start[1] + at..], &words[start[2] + at..], keys);
            }
        }
    }
}

/// Makes keys of three words each.
#[inline(always)]
fn join(low: &[u16], middle: &[u16], high: &[u16], keys: &mut [u64]) {
    let n = keys.len();
    let words = low[..n].iter().zip(&middle[..n]).zip(&high[..n]);
    for (key, ((&low, &middle), &high)) in keys.iter_mut().zip(words) {
        *key = u64::from(low) | u64::from(middle) << LANES | u64::from(high) << (2 * LANES);
    }
}

/// Turns the grid of one image into columns.
pub(super) struct ImageColumns<'a> {
    pub grid: Grid<'a>,
    pub spikes: &'a [u16],
    pub columns: &'a mut [Columns],
    pub words: &'a mut Vec<u16>,
}

impl Kernel for ImageColumns<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let Self { grid, spikes, columns, words } = self;
        words.resize(grid.image(), 0);
        grid.fill(spikes, words);
        for (words, columns) in words.chunks_exact(COLUMN_BITS).zip(columns) {
            *columns = [0; LANES];
            for (part, words) in words.as_chunks::<LANES>().0.iter().enumerate() {
                let turned = V::transpose_bits(words);
                columns.iter_mut().zip(turned).for_each(|(c, word)| *c |= u64::from(word) << (part * LANES));
            }
        }
    }
}

/// The weight gradient's keys of a run of groups of 48 pixels: [group][source][channel of the block].
///
/// Pixels are numbered through all images of the columns; bits past the last pixel are zero.
pub(super) struct ChannelKeys<'a> {
    pub grid: Grid<'a>,
    pub columns: &'a [Columns],
    pub pixels: Range<usize>,
    pub keys: &'a mut [u64],
}

/// Neighbouring pixels of one output row: `len` of them from position `from` of the grid are bits `to`… of a key.
#[derive(Clone, Copy, Default)]
struct Piece {
    image: usize,
    from: usize,
    to: usize,
    len: usize,
}

impl Kernel for ChannelKeys<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let Self { grid, columns, pixels, keys } = self;
        let sources = grid.conv.sources();
        let mut pieces = [Piece::default(); KEY_BITS];
        for (first, keys) in pixels.clone().step_by(KEY_BITS).zip(keys.chunks_exact_mut(sources * LANES)) {
            let pieces = cut(&grid, first..pixels.end.min(first + KEY_BITS), &mut pieces);
            for (source, keys) in keys.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
                let start = grid.start(source);
                *keys = [0; LANES];
                for piece in pieces {
                    let position = start + piece.from;
                    let at = piece.image * grid.image_columns() + position / COLUMN_BITS;
                    add_piece(&columns[at], &columns[at + 1], position % COLUMN_BITS, piece, keys);
                }
            }
        }
    }
}

/// Cuts a run of pixels at the ends of rows.
#[inline(always)]
fn cut<'a>(grid: &Grid<'_>, pixels: Range<usize>, pieces: &'a mut [Piece; KEY_BITS]) -> &'a [Piece] {
    let output = grid.conv.output;
    let (mut pixel, mut count) = (pixels.start, 0);
    while pixel < pixels.end {
        let (image, y, x) = (pixel / output.pixels(), pixel % output.pixels() / output.w, pixel % output.w);
        let len = (output.w - x).min(pixels.end - pixel);
        pieces[count] = Piece { image, from: y * grid.pitch + x, to: pixel - pixels.start, len };
        pixel += len;
        count += 1;
    }
    &pieces[..count]
}

/// Adds the bits of a piece, which begins at bit `shift` of the first of two neighbouring columns.
#[inline(always)]
fn add_piece(here: &Columns, next: &Columns, shift: usize, piece: &Piece, keys: &mut Columns) {
    let mask = (1u64 << piece.len) - 1;
    for ((key, here), next) in keys.iter_mut().zip(here).zip(next) {
        let bits = here >> shift | next << 1 << (COLUMN_BITS - 1 - shift);
        *key |= (bits & mask) << piece.to;
    }
}
