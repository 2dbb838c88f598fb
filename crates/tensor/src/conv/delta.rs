//! Delta kernels: convolution of the time steps after the first, from the spikes that changed since the step before.
//!
//! A net that sees a still image repeats itself. Convolution is linear in the spikes o, so for t ≥ 1
//!
//! ```text
//! y[t] = y[t−1] + W ∗ (o[t] − o[t−1])
//! dW  += S[0] ⋆ o[0] + Σ_{t≥1} S[t] ⋆ (o[t] − o[t−1])        S[t] = Σ_{t'≥t} g[t']
//! ```
//! the second by summation by parts. Look-ups compute step 0; sparse kernels compute the differences o[t] − o[t−1].
//!
//! Numerics: y[t] carries the roundings of the steps before it: at most γ of (t + 1)·K additions, K the weights
//! that meet a pixel.

use super::sparse::Sign;
use super::{Conv, lookup, sparse};
use crate::Workers;
use crate::parallel::{resized, timelines};
use crate::tensor::Block;

/// A task sums a piece of so many blocks over time.
const CHUNK: usize = 1 << 8;

/// Counts the spikes that appear or vanish from one step to the next.
pub(super) fn count(conv: &Conv, words: &[u16]) -> u64 {
    let step = words.len() / conv.steps;
    words.iter().zip(&words[step..]).map(|(before, now)| u64::from((before ^ now).count_ones())).sum()
}

/// Writes the spikes that appear and those that vanish at steps 1, 2, ….
fn split<'a>(words: &[u16], step: usize, delta: &'a mut Vec<u16>) -> [&'a [u16]; 2] {
    let len = words.len() - step;
    let (on, off) = resized(delta, 2 * len).split_at_mut(len);
    let pairs = words.iter().zip(&words[step..]);
    for ((before, now), (on, off)) in pairs.zip(on.iter_mut().zip(off.iter_mut())) {
        (*on, *off) = (now & !before, before & !now);
    }
    [on, off]
}

pub(super) fn forward(conv: &Conv, words: &[u16], weight: &[f32], y: &mut [Block], workers: &mut Workers) {
    let one = conv.of_images(conv.input.n / conv.steps);
    let (step, step_out) = (words.len() / conv.steps, y.len() / conv.steps);
    lookup::forward(&one, &words[..step], weight, &mut y[..step_out], None, workers);
    let mut borrowed = workers.delta();
    let (delta, workers) = borrowed.split();
    sparse::forward_delta(&one, split(words, step, delta), weight, y, workers);
}

/// Adds the weight gradient; g is overwritten with S.
pub(super) fn backward_weight(
    conv: &Conv,
    words: &[u16],
    g: &mut [Block],
    dw: &mut [f32],
    workers: &mut Workers,
) {
    let (steps, n) = (conv.steps, conv.input.n / conv.steps);
    let (step, step_out) = (words.len() / steps, g.len() / steps);
    let piece = if step_out.is_multiple_of(CHUNK) { CHUNK } else { conv.output.pixels() };
    workers.run(timelines(g, steps, piece), |mut g, _| {
        for t in (1..steps).rev() {
            let (before, now) = g.pair(t);
            before.iter_mut().zip(now).for_each(|(before, now)| {
                before.0.iter_mut().zip(now.0).for_each(|(before, now)| *before += now);
            });
        }
    });
    lookup::backward(&conv.of_images(n), &words[..step], &g[..step_out], dw, workers);
    let mut borrowed = workers.delta();
    let (delta, workers) = borrowed.split();
    let [on, off] = split(words, step, delta);
    let rest = conv.of_images(n * (steps - 1));
    sparse::backward(&rest, on, &g[step_out..], Sign::Add, dw, workers);
    sparse::backward(&rest, off, &g[step_out..], Sign::Subtract, dw, workers);
}
