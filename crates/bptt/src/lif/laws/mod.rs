//! The laws of the neurons: one file a neuron, each with a step forward and a step backward on vectors.
//!
//! | law | states | parameters of a channel |
//! |---|---|---|
//! | [`Plain`] | m | none: the configuration's numbers |
//! | [`Lif`] | m | τ, V_th, s |
//! | [`Adaptive`] | m, b | τ, V_th, s, ρ, β |
//! | [`Synaptic`] | m, i | τ, V_th, s, α |
//! | [`Gated`] | u, o | D, γ, ℓ, q, V_th, c\[t\] |
//! | [`Integrator`] | u | τ, s |
//!
//! Membranes and thresholds of all but the plain neuron are measured from the reset value.

mod adaptive;
mod gated;
mod integrator;
mod lif;
mod plain;
mod spike;
mod synaptic;

pub(super) use adaptive::Adaptive;
pub(super) use gated::{CONDUCT, Gated};
pub(super) use integrator::Integrator;
pub(super) use lif::Lif;
pub(super) use plain::Plain;
pub(super) use spike::{Spike, Terms};
pub(super) use synaptic::Synaptic;

use spikegrad_tensor::{Block, Lanes};

/// Pixels of a tile. Sums over a tile are `f32`, sums of tiles `f64`.
pub(super) const TILE: usize = 16;

/// One block a pixel.
pub(super) type Tile = [Block; TILE];

/// The most parameters of a channel that a law reads at one step.
pub(super) const MOST_PARAMETERS: usize = 6;

/// The most states of a neuron.
pub const MOST_STATES: usize = 2;

/// Puts up to [`MOST_STATES`] items into their places.
pub(super) fn in_order<T>(items: impl IntoIterator<Item = T>) -> [Option<T>; MOST_STATES] {
    let mut items = items.into_iter();
    std::array::from_fn(|_| items.next())
}

/// Parameters of a vector of neurons at one step.
pub(super) type Parameters<V> = [V; MOST_PARAMETERS];

/// A step forward.
pub(super) struct Charge<V> {
    /// u, the membrane before the reset.
    pub u: V,
    /// The output.
    pub o: V,
    /// The states after the step; the first is the membrane.
    pub after: [V; MOST_STATES],
}

/// The values of a step that its way back reads.
#[derive(Clone, Copy)]
pub(super) struct Passed<V> {
    /// x, the input current; 0 where the law does not keep it.
    pub x: V,
    /// u, the membrane before the reset.
    pub u: V,
    /// The states before the step; 0 where the law does not keep them.
    pub before: [V; MOST_STATES],
}

/// A step backward.
pub(super) struct Return<V> {
    /// The terms at the spike.
    pub terms: Terms<V>,
    /// ∂L/∂x.
    pub input: V,
    /// ∂L/∂(states before the step).
    pub before: [V; MOST_STATES],
    /// ∂L/∂(parameters).
    pub parameters: Parameters<V>,
}

/// The law of one step of one neuron, forward and backward, on a vector of neurons.
pub(super) trait Law: Copy + Send + Sync {
    /// The number of states; all are 0 before the first step.
    const STATES: usize = 1;
    /// Whether the way back reads the current and the states before the step.
    const KEEPS: bool = true;
    /// The number of parameters at a step.
    const PARAMETERS: usize;

    /// Gives the row of parameter k at step t among a layer's parameters.
    fn row(k: usize, t: usize) -> usize {
        let _ = t;
        k
    }

    /// Goes a step forward from the input current and the states before it.
    fn charge<V: Lanes>(self, p: &Parameters<V>, x: V, before: [V; MOST_STATES]) -> Charge<V>;

    /// Goes a step backward: `e` is ∂L/∂o, `after` is ∂L/∂(states after the step).
    fn back<V: Lanes>(self, p: &Parameters<V>, step: Passed<V>, e: V, after: [V; MOST_STATES]) -> Return<V>;

    /// Goes a step forward for a tile.
    #[inline(always)]
    fn charge_tile<V: Lanes, const H: usize>(self, p: &[Parameters<V>; H], tile: ChargeTile<'_>) {
        charge_tile(self, p, tile);
    }

    /// Goes a step backward for a tile.
    #[inline(always)]
    fn back_tile<V: Lanes, const H: usize>(
        self,
        p: &[Parameters<V>; H],
        tile: BackTile<'_>,
        sums: Option<&mut [[V; H]; MOST_PARAMETERS]>,
    ) {
        back_tile(self, p, tile, sums);
    }
}

/// The values that a tile's charge writes in place of the current.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// o, the forward's output.
    Output,
    /// u, for the way back.
    Membrane,
}

/// A tile on its way forward.
pub(super) struct ChargeTile<'a> {
    /// x, overwritten with what is wanted.
    pub x: &'a mut [Block],
    /// The states, before the step and then after it.
    pub states: &'a mut [Tile; MOST_STATES],
    pub wanted: Wanted,
}

/// A tile on its way back.
pub(super) struct BackTile<'a> {
    /// ∂L/∂o.
    pub e: &'a [Block],
    /// u, overwritten with ∂L/∂x.
    pub u: &'a mut [Block],
    /// x and the states before the step, where the law keeps them.
    pub kept: &'a [Tile],
    /// ∂L/∂(states), after the step and then before it.
    pub states: &'a mut [Tile; MOST_STATES],
}

#[inline(always)]
pub(super) fn charge_tile<L: Law, V: Lanes, const H: usize>(
    law: L,
    p: &[Parameters<V>; H],
    ChargeTile { x, states, wanted }: ChargeTile<'_>,
) {
    let [m, other] = states;
    for ((x, m), other) in x.iter_mut().zip(m).zip(other) {
        for (h, from) in (0..H).map(|h| (h, h * V::WIDTH)) {
            let mut before = [V::load(&m.0[from..]), V::splat(0.0)];
            if L::STATES > 1 {
                before[1] = V::load(&other.0[from..]);
            }
            let step = law.charge(&p[h], V::load(&x.0[from..]), before);
            match wanted {
                Wanted::Output => step.o.store(&mut x.0[from..]),
                Wanted::Membrane => step.u.store(&mut x.0[from..]),
            }
            step.after[0].store(&mut m.0[from..]);
            if L::STATES > 1 {
                step.after[1].store(&mut other.0[from..]);
            }
        }
    }
}

/// Loads what the law keeps of a step.
#[inline(always)]
pub(super) fn passed<L: Law, V: Lanes>(u: V, kept: &[Tile], pixel: usize, from: usize) -> Passed<V> {
    let zero = V::splat(0.0);
    let load = |k: usize| {
        if L::KEEPS && k <= L::STATES { V::load(&kept[k][pixel].0[from..]) } else { zero }
    };
    Passed { x: load(0), u, before: [load(1), load(2)] }
}

#[inline(always)]
pub(super) fn back_tile<L: Law, V: Lanes, const H: usize>(
    law: L,
    p: &[Parameters<V>; H],
    BackTile { e, u, kept, states }: BackTile<'_>,
    mut sums: Option<&mut [[V; H]; MOST_PARAMETERS]>,
) {
    let [a, other] = states;
    for (i, (((e, u), a), other)) in e.iter().zip(u).zip(a).zip(other).enumerate() {
        for (h, from) in (0..H).map(|h| (h, h * V::WIDTH)) {
            let step = passed::<L, V>(V::load(&u.0[from..]), kept, i, from);
            let mut after = [V::load(&a.0[from..]), V::splat(0.0)];
            if L::STATES > 1 {
                after[1] = V::load(&other.0[from..]);
            }
            let back = law.back(&p[h], step, V::load(&e.0[from..]), after);
            back.input.store(&mut u.0[from..]);
            back.before[0].store(&mut a.0[from..]);
            if L::STATES > 1 {
                back.before[1].store(&mut other.0[from..]);
            }
            if let Some(sums) = &mut sums {
                for (sum, product) in sums.iter_mut().zip(back.parameters).take(L::PARAMETERS) {
                    sum[h] = sum[h] + product;
                }
            }
        }
    }
}
