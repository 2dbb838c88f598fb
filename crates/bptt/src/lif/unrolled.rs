//! The neurons of one plane, all steps: tiles of pixels that stay in the first-level cache.
//!
//! ```text
//! for each tile of pixels
//!   for t = 0 … T−1:  x ← Σ sources;  u ← τ·m + x;  m ← reset(u)         forward: o[t] ← u > V_th
//!   for t = T−1 … 0:  d ← ∂L/∂u;  a ← τ·d;  add d and d·(y − mean)       backward: u[t] derived again
//! ```
//! To go faster: (1) each line is a loop over a tile without a branch on the data or the configuration; (2) every
//! tensor is read or written once; (3) tiles to come are prefetched.

use super::law::{TILE, after_reset, membrane_gradient, output};
use super::record::{Charged, Listener, Place, hand_over};
use super::{Activation, DecaySums, LifConfig, LifLayer, MAX_SOURCES, PlaneSums, Reset, Source};
use spikegrad_tensor::parallel::Timeline;
use spikegrad_tensor::{Block, Kernel, LANES, Lanes, Scratch, Tensor, with_registers};
use std::array::from_fn;
use std::ops::Range;

/// The values of one step that a tile keeps: u, later ∂L/∂u, and y − mean of the affine sources.
///
/// Planes of different steps lie a power of two apart and would evict one another if they were read again.
type Step = [[Block; TILE]; 1 + MAX_SOURCES];

/// All steps of one channel block of one image.
pub(super) struct Plane<'a> {
    pub layer: &'a LifLayer<'a>,
    pub sources: &'a [Source<'a>],
    /// Image of the batch × channel blocks + channel block.
    pub index: usize,
}

/// The buffer that receives a plane's outputs.
pub(super) enum Out<'a> {
    Words(Timeline<'a, u16>),
    Blocks(Timeline<'a, Block>),
}

/// Splits a worker's scratch into two tiles and the tiles of `steps` steps.
fn tiles(scratch: &mut Scratch, steps: usize) -> (&mut [[Block; TILE]; 2], &mut [Step]) {
    let (tiles, _) = scratch.blocks((2 + steps * (1 + MAX_SOURCES)) * TILE).as_chunks_mut::<TILE>();
    let (two, trace) = tiles.split_at_mut(2);
    (&mut two.as_chunks_mut().0[0], trace.as_chunks_mut().0)
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

impl Plane<'_> {
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
                    let [mean, scale, shift]: [[V; H]; 3] = from_fn(|k| load(constants[k], self.channel()));
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

    /// Turns the current of a tile into u[t], and m[t−1] into m[t].
    #[inline(always)]
    fn charge<V: Lanes, const H: usize>(&self, x: &mut [Block], m: &mut [Block]) {
        let (lif, activation) = (self.layer.lif, self.layer.activation);
        if matches!(activation, Activation::Relu | Activation::Identity) {
            return;
        }
        match (activation, lif.reset.is_hard()) {
            (Activation::Spike, true) => charge_tile::<V, H>(lif, Activation::Spike, true, x, m),
            (Activation::Spike, false) => charge_tile::<V, H>(lif, Activation::Spike, false, x, m),
            (activation, hard) => charge_tile::<V, H>(lif, activation, hard, x, m),
        }
    }
}

#[inline(always)]
fn charge_tile<V: Lanes, const H: usize>(
    lif: &LifConfig,
    activation: Activation,
    hard: bool,
    x: &mut [Block],
    m: &mut [Block],
) {
    let (decay, one, amount) = (V::splat(lif.decay), V::splat(1.0), V::splat(lif.amount()));
    for (x, m) in x.iter_mut().zip(m) {
        for from in (0..H).map(|h| h * V::WIDTH) {
            let u = decay * V::load(&m.0[from..]) + V::load(&x.0[from..]);
            let o = output(lif, activation, u);
            u.store(&mut x.0[from..]);
            after_reset(hard, u, o, (one, amount)).store(&mut m.0[from..]);
        }
    }
}

/// Unrolls a plane and writes its outputs.
pub(super) struct Forward<'a> {
    pub plane: Plane<'a>,
    pub out: Out<'a>,
    /// The membranes m before the first step, overwritten with those after the last; without a buffer they begin at 0.
    pub membranes: Option<&'a mut [Block]>,
    pub scratch: &'a mut Scratch,
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        with_registers!(V, H => self.tiles::<V, H>())
    }
}

impl Forward<'_> {
    #[inline(always)]
    fn tiles<V: Lanes, const H: usize>(mut self) {
        let layer = self.plane.layer;
        let ([m, _], steps) = tiles(self.scratch, 1);
        let [x, centred @ ..] = &mut steps[0];
        for first in (0..layer.dims.pixels()).step_by(TILE) {
            let tile = first..(first + TILE).min(layer.dims.pixels());
            let (x, m) = (&mut x[..tile.len()], &mut m[..tile.len()]);
            match &self.membranes {
                Some(before) => m.copy_from_slice(&before[tile.clone()]),
                None => m.fill(Block::default()),
            }
            for t in 0..layer.steps {
                self.plane.current::<V, H>(t, &tile, x, centred);
                self.plane.charge::<V, H>(x, m);
                match &mut self.out {
                    Out::Words(words) => fire_words::<V, H>(layer.lif, x, &mut words.at(t)[tile.clone()]),
                    Out::Blocks(blocks) => {
                        let channels = self.plane.channels();
                        fire_blocks::<V, H>(layer, channels, x, &mut blocks.at(t)[tile.clone()]);
                    }
                }
            }
            if let Some(after) = &mut self.membranes {
                after[tile].copy_from_slice(m);
            }
        }
    }
}

#[inline(always)]
fn fire_words<V: Lanes, const H: usize>(lif: &LifConfig, u: &[Block], words: &mut [u16]) {
    let threshold = V::splat(lif.threshold);
    for (word, u) in words.iter_mut().zip(u) {
        let mut bits = 0;
        for from in (0..H).map(|h| h * V::WIDTH) {
            bits |= V::bits(V::load(&u.0[from..]).gt(threshold)) << from;
        }
        *word = bits as u16;
    }
}

/// Writes the outputs of a tile as floats. A smooth primitive need not be 0 at rest, so padding is set to 0.
#[inline(always)]
fn fire_blocks<V: Lanes, const H: usize>(
    layer: &LifLayer<'_>,
    channels: usize,
    u: &[Block],
    out: &mut [Block],
) {
    for (out, u) in out.iter_mut().zip(u) {
        for from in (0..H).map(|h| h * V::WIDTH) {
            output(layer.lif, layer.activation, V::load(&u.0[from..])).store(&mut out.0[from..]);
        }
        out.0[channels..].fill(0.0);
    }
}

/// Derives the membranes of a plane again and runs the recurrences backward.
pub(super) struct Backward<'a> {
    pub plane: Plane<'a>,
    /// The gradient ∂L/∂o, overwritten with ∂L/∂u.
    pub gradient: Timeline<'a, Block>,
    /// Whether step 0 receives the sum over time.
    pub sum_time: bool,
    pub sums: &'a mut PlaneSums,
    /// The sums Σ ∂u[t]·m[t−1], where the decay is learned.
    pub decay: Option<&'a mut DecaySums>,
    /// The recorder that receives every tile, if there is one.
    pub listener: Option<Listener<'a>>,
    pub scratch: &'a mut Scratch,
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        with_registers!(V, H => self.tiles::<V, H>())
    }
}

impl Backward<'_> {
    #[inline(always)]
    fn tiles<V: Lanes, const H: usize>(mut self) {
        let (plane, steps) = (&self.plane, self.plane.layer.steps);
        let pixels = plane.layer.dims.pixels();
        let ([m, over_time], trace) = tiles(self.scratch, steps);
        *self.sums = [[0.0; LANES]; 1 + MAX_SOURCES];
        if let Some(decay) = &mut self.decay {
            decay.fill(0.0);
        }
        for first in (0..pixels).step_by(TILE) {
            let tile = first..(first + TILE).min(pixels);
            let (m, over_time) = (&mut m[..tile.len()], &mut over_time[..tile.len()]);
            m.fill(Block::default());
            for (t, [u, centred @ ..]) in trace.iter_mut().enumerate() {
                plane.current::<V, H>(t, &tile, &mut u[..tile.len()], centred);
                let x = self.listener.map(|_| *u);
                let u = &mut u[..tile.len()];
                plane.charge::<V, H>(u, m);
                if let (Some((recorder, layer)), Some(x)) = (self.listener, &x) {
                    recorder.charged(plane.place(layer, t, &tile), Charged { x: &x[..u.len()], u, m });
                }
            }
            let (a, mut totals) = (m, [[V::splat(0.0); H]; 1 + MAX_SOURCES]);
            a.fill(Block::default());
            over_time.fill(Block::default());
            for t in (0..steps).rev() {
                let (before, now) = trace.split_at_mut(t);
                let [u, centred @ ..] = &mut now[0];
                let (gradient, rest) = self.gradient.at(t)[tile.start..].split_at_mut(tile.len());
                prefetch::<V>(rest);
                let d = &mut u[..tile.len()];
                if let Some((recorder, layer)) = self.listener {
                    let place = plane.place(layer, t, &tile);
                    hand_over::<V, H>(recorder, place, plane.layer, (gradient, d, a));
                }
                membrane_gradients::<V, H>(plane.layer, gradient, d, a);
                if let (Some(decay), Some([u, ..])) = (&mut self.decay, before.last()) {
                    add_decay::<V, H>(plane.layer, d, &u[..tile.len()], decay);
                }
                add_sums::<V, H>(plane.sources, d, centred, &mut totals);
                if self.sum_time {
                    add::<V, H>(d, over_time);
                } else {
                    gradient.copy_from_slice(d);
                }
            }
            if self.sum_time {
                self.gradient.at(0)[tile.clone()].copy_from_slice(over_time);
            }
            for (sum, total) in self.sums.iter_mut().zip(totals) {
                let mut lanes = [0.0; LANES];
                (0..H).for_each(|h| total[h].store(&mut lanes[h * V::WIDTH..]));
                sum.iter_mut().zip(lanes).for_each(|(sum, lane)| *sum += f64::from(lane));
            }
        }
    }
}

/// Adds Σ ∂u[t]·m[t−1] over a tile, from ∂u[t] and u[t−1].
#[inline(always)]
fn add_decay<V: Lanes, const H: usize>(layer: &LifLayer<'_>, d: &[Block], u: &[Block], sums: &mut DecaySums) {
    let (lif, hard) = (layer.lif, layer.lif.reset.is_hard());
    let constants = (V::splat(1.0), V::splat(lif.amount()));
    let mut total = [V::splat(0.0); H];
    for (d, u) in d.iter().zip(u) {
        for (h, from) in (0..H).map(|h| (h, h * V::WIDTH)) {
            let u = V::load(&u.0[from..]);
            let m = after_reset(hard, u, output(lif, layer.activation, u), constants);
            total[h] = total[h] + V::load(&d.0[from..]) * m;
        }
    }
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

/// Turns u of a tile into ∂L/∂u, and a = ∂L/∂m[t] into ∂L/∂m[t−1].
#[inline(always)]
fn membrane_gradients<V: Lanes, const H: usize>(
    layer: &LifLayer<'_>,
    e: &[Block],
    u: &mut [Block],
    a: &mut [Block],
) {
    let lif = layer.lif;
    // The common cases are passed as constants, so that each is compiled to a loop without branches.
    match (layer.activation, lif.reset) {
        (Activation::Spike, Reset::Hard) => {
            gradient_tile::<V, H>(lif, Activation::Spike, Reset::Hard, e, u, a)
        }
        (Activation::Spike, Reset::HardDetached) => {
            gradient_tile::<V, H>(lif, Activation::Spike, Reset::HardDetached, e, u, a)
        }
        (Activation::Spike, Reset::Soft) => {
            gradient_tile::<V, H>(lif, Activation::Spike, Reset::Soft, e, u, a)
        }
        (Activation::Spike, Reset::SoftDetached) => {
            gradient_tile::<V, H>(lif, Activation::Spike, Reset::SoftDetached, e, u, a)
        }
        (activation, reset) => gradient_tile::<V, H>(lif, activation, reset, e, u, a),
    }
}

#[inline(always)]
fn gradient_tile<V: Lanes, const H: usize>(
    lif: &LifConfig,
    activation: Activation,
    reset: Reset,
    e: &[Block],
    u: &mut [Block],
    a: &mut [Block],
) {
    for ((e, u), a) in e.iter().zip(u).zip(a) {
        for from in (0..H).map(|h| h * V::WIDTH) {
            let (e, u, a) = (&e.0[from..], &mut u.0[from..], &mut a.0[from..]);
            let d = membrane_gradient::<V>(lif, activation, reset, V::load(e), V::load(a), V::load(u));
            d.store(u);
            (V::splat(lif.decay) * d).store(a);
        }
    }
}
