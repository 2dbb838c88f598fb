//! The neurons of one plane, all steps: tiles of pixels that stay in the first-level cache.
//!
//! ```text
//! for each tile of pixels
//!   for t = 0 … T−1:  x ← Σ sources;  (u, o, states) ← the law's step    forward: o[t] is written
//!   for t = T−1 … 0:  (d, ∂states) ← the law's step back;  add d and d·(y − mean)       backward: u[t] derived again
//! ```
//! To go faster: (1) each line is a loop over a tile without a branch on the data or the configuration; (2) every
//! tensor is read or written once; (3) tiles to come are prefetched.

use super::laws::{BackTile, ChargeTile, Law, MOST_PARAMETERS, MOST_STATES, Parameters, TILE, Tile, Wanted};
use super::record::{Charged, Listener, Place, hand_over};
use super::{LifLayer, MAX_SOURCES, ParameterSums, PlaneSums, Source};
use spikegrad_tensor::parallel::Timeline;
use spikegrad_tensor::{Block, Kernel, LANES, Lanes, Scratch, Tensor, with_registers};
use std::array::from_fn;
use std::ops::{Deref, Range};

/// All steps of one channel block of one image.
pub(super) struct Plane<'a, L> {
    pub layer: &'a LifLayer<'a>,
    pub law: L,
    pub sources: &'a [Source<'a>],
    /// Image of the batch × channel blocks + channel block.
    pub index: usize,
}

/// The buffer that receives a plane's outputs.
pub(super) enum Out<'a> {
    Words(Timeline<'a, u16>),
    Blocks(Timeline<'a, Block>),
}

/// The tiles of a plane while it is unrolled.
struct Tiles<'a> {
    /// The states, later their gradients.
    states: &'a mut [Tile; MOST_STATES],
    over_time: &'a mut Tile,
    /// A row for each step: u, later ∂L/∂x; y − mean of the affine sources; x and the states before the step, where the
    /// law keeps them.
    ///
    /// Planes of different steps lie a power of two apart and would evict one another if they were read again.
    steps: &'a mut [Tile],
}

/// Tiles that a step keeps.
const fn row<L: Law>() -> usize {
    1 + MAX_SOURCES + if L::KEEPS { 1 + L::STATES } else { 0 }
}

impl<'a> Tiles<'a> {
    /// Splits a worker's scratch into the tiles of `steps` steps.
    fn of<L: Law>(scratch: &'a mut Scratch, steps: usize) -> Self {
        let (tiles, _) = scratch.blocks((MOST_STATES + 1 + steps * row::<L>()) * TILE).as_chunks_mut();
        let (states, tiles) = tiles.split_at_mut(MOST_STATES);
        let (over_time, steps) = tiles.split_at_mut(1);
        Self { states: &mut states.as_chunks_mut().0[0], over_time: &mut over_time[0], steps }
    }
}

/// Prefetches the tile after the next: the steps' planes are far apart, and the processor does not foresee the jumps.
#[inline(always)]
fn prefetch<V: Lanes>(rest: &[Block]) {
    rest.iter().skip(TILE).take(TILE).for_each(|block| V::prefetch(&block.0));
}

/// Loads one block of per-channel constants into registers.
#[inline(always)]
fn load<V: Lanes, const H: usize>(constants: &[f32], first: usize) -> [V; H] {
    from_fn(|h| V::load(&constants[first + h * V::WIDTH..]))
}

impl<L: Law> Plane<'_, L> {
    /// Returns the index of pixel 0 at step t in a tensor of `n` images.
    #[inline(always)]
    fn at(&self, n: usize, t: usize) -> usize {
        let d = self.layer.dims;
        let frames = d.n / self.layer.steps;
        let t = if n == frames { 0 } else { t };
        (t * frames * d.blocks() + self.index) * d.pixels()
    }

    /// Returns a tile of a tensor at step t, and prefetches a later one.
    #[inline(always)]
    fn tile<'b, V: Lanes>(&self, tensor: &'b Tensor, t: usize, tile: &Range<usize>) -> &'b [Block] {
        let (tile, rest) = tensor.blocks()[self.at(tensor.dims().n, t) + tile.start..].split_at(tile.len());
        prefetch::<V>(rest);
        tile
    }

    /// Returns the first channel of this block.
    fn channel(&self) -> usize {
        self.index % self.layer.dims.blocks() * LANES
    }

    /// Returns the place of this block's constants at step t: one row serves every step, or each has its own.
    #[inline(always)]
    fn row_of(&self, constants: &[f32], t: usize) -> usize {
        let lanes = self.layer.dims.blocks() * LANES;
        let t = if constants.len() == self.layer.steps * lanes { t } else { 0 };
        t * lanes + self.channel()
    }

    /// Returns the number of channels of this block; the lanes past them are padding.
    fn channels(&self) -> usize {
        (self.layer.dims.c - self.channel()).min(LANES)
    }

    /// Returns the place of a tile, for a recorder.
    fn place(&self, layer: usize, step: usize, pixels: &Range<usize>) -> Place {
        let channels = self.channel()..self.channel() + self.channels();
        let image = self.index / self.layer.dims.blocks();
        Place { layer, step, image, channels, pixels: pixels.clone() }
    }

    /// Computes x[t] of a tile, the sum of the sources; `centred` receives y − mean of each affine source.
    #[inline(always)]
    fn current<V: Lanes, const H: usize>(
        &self,
        t: usize,
        tile: &Range<usize>,
        x: &mut [Block],
        centred: &mut [[Block; TILE]; MAX_SOURCES],
    ) {
        x.fill(Block::default());
        for (i, source) in self.sources.iter().enumerate() {
            match *source {
                Source::Affine { y, mean, scale, shift } => {
                    let constants = [mean, scale, shift];
                    let [mean, scale, shift]: [[V; H]; 3] =
                        from_fn(|k| load(constants[k], self.row_of(constants[k], t)));
                    let tiles = x.iter_mut().zip(&mut centred[i]);
                    for ((x, centred), y) in tiles.zip(self.tile::<V>(y, t, tile)) {
                        for (h, from) in (0..H).map(|h| (h, h * V::WIDTH)) {
                            let y = V::load(&y.0[from..]) - mean[h];
                            y.store(&mut centred.0[from..]);
                            (V::load(&x.0[from..]) + (y * scale[h] + shift[h])).store(&mut x.0[from..]);
                        }
                    }
                }
                Source::Spikes(spikes) => {
                    let words = &spikes.words()[self.at(spikes.dims().n, t)..][tile.clone()];
                    for (x, &word) in x.iter_mut().zip(words) {
                        for from in (0..H).map(|h| h * V::WIDTH) {
                            let fired = V::from_bits(u32::from(word) >> from);
                            let o = V::select(fired, V::splat(1.0), V::splat(0.0));
                            (V::load(&x.0[from..]) + o).store(&mut x.0[from..]);
                        }
                    }
                }
            }
        }
    }

    /// Loads the parameters of step t.
    #[inline(always)]
    fn parameters<V: Lanes, const H: usize>(&self, t: usize) -> [Parameters<V>; H] {
        let lanes = self.layer.dims.blocks() * LANES;
        let mut parameters = [[V::splat(0.0); MOST_PARAMETERS]; H];
        for k in 0..L::PARAMETERS {
            let row: [V; H] = load(self.layer.parameters, L::row(k, t) * lanes + self.channel());
            parameters.iter_mut().zip(row).for_each(|(p, value)| p[k] = value);
        }
        parameters
    }

    /// Sets the states of a tile to those of the buffers, or to 0.
    #[inline(always)]
    fn begin<B: Deref<Target = [Block]>>(
        states: &mut [Tile; MOST_STATES],
        from: &[Option<B>; MOST_STATES],
        tile: &Range<usize>,
    ) {
        for (state, from) in states.iter_mut().zip(from).take(L::STATES) {
            match from {
                Some(from) => state[..tile.len()].copy_from_slice(&from[tile.clone()]),
                None => state[..tile.len()].fill(Block::default()),
            }
        }
    }

    /// Writes the states of a tile to the buffers, if there are any.
    #[inline(always)]
    fn end(states: &[Tile; MOST_STATES], to: &mut [Option<&mut [Block]>; MOST_STATES], tile: &Range<usize>) {
        for (state, to) in states.iter().zip(to).take(L::STATES) {
            if let Some(to) = to {
                to[tile.clone()].copy_from_slice(&state[..tile.len()]);
            }
        }
    }
}

/// Unrolls a plane and writes its outputs.
pub(super) struct Forward<'a, L> {
    pub plane: Plane<'a, L>,
    pub out: Out<'a>,
    /// The states before the first step, overwritten with those after the last; without buffers they begin at 0.
    pub states: [Option<&'a mut [Block]>; MOST_STATES],
    pub scratch: &'a mut Scratch,
}

impl<L: Law> Kernel for Forward<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        with_registers!(V, H => self.tiles::<V, H>())
    }
}

impl<L: Law> Forward<'_, L> {
    #[inline(always)]
    fn tiles<V: Lanes, const H: usize>(mut self) {
        let layer = self.plane.layer;
        let Tiles { states, steps, .. } = Tiles::of::<L>(self.scratch, 1);
        let [x, centred @ ..] = &mut steps.as_chunks_mut::<{ 1 + MAX_SOURCES }>().0[0];
        for first in (0..layer.dims.pixels()).step_by(TILE) {
            let tile = first..(first + TILE).min(layer.dims.pixels());
            let x = &mut x[..tile.len()];
            Plane::<L>::begin(states, &self.states, &tile);
            for t in 0..layer.steps {
                self.plane.current::<V, H>(t, &tile, x, centred);
                let p = self.plane.parameters::<V, H>(t);
                self.plane.law.charge_tile(&p, ChargeTile { x, states, wanted: Wanted::Output });
                match &mut self.out {
                    Out::Words(words) => write_words::<V, H>(x, &mut words.at(t)[tile.clone()]),
                    Out::Blocks(blocks) => {
                        write_blocks(self.plane.channels(), x, &mut blocks.at(t)[tile.clone()]);
                    }
                }
            }
            Plane::<L>::end(states, &mut self.states, &tile);
        }
    }
}

/// Writes the spikes of a tile as bits.
#[inline(always)]
fn write_words<V: Lanes, const H: usize>(o: &[Block], words: &mut [u16]) {
    let half = V::splat(0.5);
    for (word, o) in words.iter_mut().zip(o) {
        let mut bits = 0;
        for from in (0..H).map(|h| h * V::WIDTH) {
            bits |= V::bits(V::load(&o.0[from..]).gt(half)) << from;
        }
        *word = bits as u16;
    }
}

/// Writes the outputs of a tile as floats. A smooth primitive need not be 0 at rest, so padding is set to 0.
#[inline(always)]
fn write_blocks(channels: usize, o: &[Block], out: &mut [Block]) {
    for (out, o) in out.iter_mut().zip(o) {
        *out = *o;
        out.0[channels..].fill(0.0);
    }
}

/// Derives the membranes of a plane again and runs the recurrences backward.
pub(super) struct Backward<'a, L> {
    pub plane: Plane<'a, L>,
    /// The gradient ∂L/∂o, overwritten with ∂L/∂x.
    pub gradient: Timeline<'a, Block>,
    /// Whether step 0 receives the sum over time.
    pub sum_time: bool,
    /// The sums for batch norm: over all steps, or of each.
    pub sums: &'a mut [PlaneSums],
    /// The sums for the layer's parameters, where some are learned.
    pub parameters: Option<&'a mut [ParameterSums]>,
    /// The states before the first step; without buffers they are 0.
    pub before: [Option<&'a [Block]>; MOST_STATES],
    /// The gradients of the states after the last step, overwritten with those before the first.
    pub carried: [Option<&'a mut [Block]>; MOST_STATES],
    /// The recorder that receives every tile, if there is one.
    pub listener: Option<Listener<'a>>,
}

/// A backward, and the scratch that its tiles lie in.
pub(super) struct BackwardIn<'a, L> {
    pub backward: Backward<'a, L>,
    pub scratch: &'a mut Scratch,
}

impl<L: Law> Kernel for BackwardIn<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        with_registers!(V, H => self.backward.tiles::<V, H>(self.scratch))
    }
}

impl<L: Law> Backward<'_, L> {
    #[inline(always)]
    fn tiles<V: Lanes, const H: usize>(mut self, scratch: &mut Scratch) {
        let layer = self.plane.layer;
        let pixels = layer.dims.pixels();
        let Tiles { states, over_time, steps } = Tiles::of::<L>(scratch, layer.steps);
        self.sums.fill([[0.0; LANES]; 1 + MAX_SOURCES]);
        let rows = self.parameters.as_mut().filter(|rows| !rows.is_empty());
        rows.into_iter().flat_map(|rows| rows.iter_mut()).for_each(|row| row.fill(0.0));
        for first in (0..pixels).step_by(TILE) {
            let tile = first..(first + TILE).min(pixels);
            self.derive::<V, H>(&tile, states, steps);
            let over_time = &mut over_time[..tile.len()];
            over_time.fill(Block::default());
            self.go_back::<V, H>(&tile, states, over_time, steps);
        }
    }

    /// Derives u of every step again.
    #[inline(always)]
    fn derive<V: Lanes, const H: usize>(
        &self,
        tile: &Range<usize>,
        states: &mut [Tile; MOST_STATES],
        steps: &mut [Tile],
    ) {
        let plane = &self.plane;
        Plane::<L>::begin(states, &self.before, tile);
        for (t, step) in steps.chunks_exact_mut(row::<L>()).enumerate() {
            let (now, kept) = step.split_at_mut(1 + MAX_SOURCES);
            let [x, centred @ ..] = &mut now.as_chunks_mut::<{ 1 + MAX_SOURCES }>().0[0];
            let x = &mut x[..tile.len()];
            plane.current::<V, H>(t, tile, x, centred);
            if let [kept_x, kept_states @ ..] = kept {
                kept_x[..tile.len()].copy_from_slice(x);
                let states = states.iter().zip(kept_states);
                states.for_each(|(state, kept)| kept[..tile.len()].copy_from_slice(&state[..tile.len()]));
            }
            let current = self.listener.map(|_| {
                let mut current = [Block::default(); TILE];
                current[..tile.len()].copy_from_slice(x);
                current
            });
            let p = plane.parameters::<V, H>(t);
            plane.law.charge_tile(&p, ChargeTile { x, states, wanted: Wanted::Membrane });
            if let (Some((recorder, layer)), Some(current)) = (self.listener, &current) {
                let m = &states[0][..tile.len()];
                let values = Charged { x: &current[..tile.len()], u: x, m };
                recorder.charged(plane.place(layer, t, tile), values);
            }
        }
    }

    /// Runs the recurrences of a tile backward.
    #[inline(always)]
    fn go_back<V: Lanes, const H: usize>(
        &mut self,
        tile: &Range<usize>,
        states: &mut [Tile; MOST_STATES],
        over_time: &mut [Block],
        steps: &mut [Tile],
    ) {
        let plane = &self.plane;
        let mut totals = [[V::splat(0.0); H]; 1 + MAX_SOURCES];
        let each_step = self.sums.len() > 1;
        Plane::<L>::begin(states, &self.carried, tile);
        for (t, step) in steps.chunks_exact_mut(row::<L>()).enumerate().rev() {
            let (now, kept) = step.split_at_mut(1 + MAX_SOURCES);
            let [d, centred @ ..] = &mut now.as_chunks_mut::<{ 1 + MAX_SOURCES }>().0[0];
            let d = &mut d[..tile.len()];
            let (gradient, rest) = self.gradient.at(t)[tile.start..].split_at_mut(tile.len());
            prefetch::<V>(rest);
            let p = plane.parameters::<V, H>(t);
            let back = BackTile { e: gradient, u: d, kept, states };
            if let Some((recorder, layer)) = self.listener {
                hand_over::<L, V, H>(recorder, plane.place(layer, t, tile), plane.law, &p, &back);
            }
            match self.parameters.as_deref_mut() {
                Some(rows) if !rows.is_empty() => {
                    let mut products = [[V::splat(0.0); H]; MOST_PARAMETERS];
                    plane.law.back_tile(&p, back, Some(&mut products));
                    for (k, product) in products.iter().enumerate().take(L::PARAMETERS) {
                        add_lanes::<V, H>(product, &mut rows[L::row(k, t)]);
                    }
                }
                _ => plane.law.back_tile(&p, back, None),
            }
            add_sums::<V, H>(plane.sources, d, centred, &mut totals);
            if each_step {
                self.sums[t].iter_mut().zip(&totals).for_each(|(sum, total)| add_lanes::<V, H>(total, sum));
                totals = [[V::splat(0.0); H]; 1 + MAX_SOURCES];
            }
            if self.sum_time {
                add::<V, H>(d, over_time);
            } else {
                gradient.copy_from_slice(d);
            }
        }
        Plane::<L>::end(states, &mut self.carried, tile);
        if self.sum_time {
            self.gradient.at(0)[tile.clone()].copy_from_slice(over_time);
        }
        if !each_step {
            self.sums[0].iter_mut().zip(&totals).for_each(|(sum, total)| add_lanes::<V, H>(total, sum));
        }
    }
}

/// Adds the lanes of a tile's totals to sums.
#[inline(always)]
fn add_lanes<V: Lanes, const H: usize>(total: &[V; H], sums: &mut [f64; LANES]) {
    let mut lanes = [0.0; LANES];
    (0..H).for_each(|h| total[h].store(&mut lanes[h * V::WIDTH..]));
    sums.iter_mut().zip(lanes).for_each(|(sum, lane)| *sum += f64::from(lane));
}

/// Adds d to the sum.
#[inline(always)]
fn add<V: Lanes, const H: usize>(d: &[Block], sum: &mut [Block]) {
    for (d, sum) in d.iter().zip(sum) {
        for from in (0..H).map(|h| h * V::WIDTH) {
            (V::load(&sum.0[from..]) + V::load(&d.0[from..])).store(&mut sum.0[from..]);
        }
    }
}

/// Adds Σd and Σd·(y − mean) of the affine sources over a tile.
#[inline(always)]
fn add_sums<V: Lanes, const H: usize>(
    sources: &[Source<'_>],
    d: &[Block],
    centred: &[[Block; TILE]; MAX_SOURCES],
    totals: &mut [[V; H]; 1 + MAX_SOURCES],
) {
    let [total, products @ ..] = totals;
    for d in d {
        (0..H).for_each(|h| total[h] = total[h] + V::load(&d.0[h * V::WIDTH..]));
    }
    for ((product, centred), source) in products.iter_mut().zip(centred).zip(sources) {
        if matches!(source, Source::Affine { .. }) {
            for (d, y) in d.iter().zip(centred) {
                for (h, from) in (0..H).map(|h| (h, h * V::WIDTH)) {
                    product[h] = product[h] + V::load(&d.0[from..]) * V::load(&y.0[from..]);
                }
            }
        }
    }
}
