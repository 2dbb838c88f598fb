//! Convolution of spikes by table look-up (the "method of four Russians").
//!
//! With im2col, a convolution of spikes is a product with a matrix of bits: row k = (input block, tap, channel)
//! of the weight is added to output pixel q where bit (q, k) is set. Six bits select one of the 64 sums of six
//! rows, so a table of these sums turns six multiply-adds into one addition:
//!
//! ```text
//! y[q]  = Σ_j table_j[six bits of pixel q, rows 6j…6j+5]     table_j: subset sums of six weight rows
//! dW[k] = Σ_j table_j[six bits of row k, pixels 6j…6j+5]     table_j: subset sums of six gradient rows
//! ```
//!
//! Both passes are [`add_selected`]; they differ in which way the bits are packed into keys ([`keys`]).
//!
//! To go faster: (1) a key holds 48 bits, three words of sixteen channels (or pixels), and selects from eight
//! tables that fill 32 KiB, a first-level cache; (2) a table row is a block, two AVX2 registers or one of
//! AVX-512, so an addition takes its operand from memory and needs no register; (3) the work does not depend on
//! the data: no branch is mispredicted; (4) tables are built once for thousands of keys.

mod forward;
mod keys;
mod weight;

pub(super) use forward::forward;
pub(super) use weight::backward;

use super::Conv;
use crate::tensor::{Block, LANES};
use crate::{Lanes, Workspace, with_registers};

/// Bits that select a table row.
const BITS: usize = 6;
/// Rows of a table: the subsets of [`BITS`] rows.
const SUBSETS: usize = 1 << BITS;
/// Bits of a key.
const KEY_BITS: usize = 48;
/// Words of a key.
const KEY_WORDS: usize = KEY_BITS / LANES;
/// Tables that a key selects from.
const TABLES: usize = KEY_BITS / BITS;

/// The subset sums of 48 rows, six at a time.
type Tables = [[Block; SUBSETS]; TABLES];

/// The rows that a key's bits stand for.
type Rows = [Block; KEY_BITS];

/// Fills the tables: `tables[j][bits]` = Σ rows[6j + i] over the set bits i, lowest first.
#[inline(always)]
fn build<V: Lanes>(rows: &Rows, tables: &mut Tables) {
    let (groups, _) = rows.as_chunks::<BITS>();
    for (rows, table) in groups.iter().zip(tables) {
        for part in (0..LANES).step_by(V::WIDTH) {
            V::splat(0.0).store(&mut table[0].0[part..]);
            for (i, row) in rows.iter().enumerate() {
                let row = V::load(&row.0[part..]);
                let (known, new) = table.split_at_mut(1 << i);
                for (known, new) in known.iter().zip(new) {
                    (V::load(&known.0[part..]) + row).store(&mut new.0[part..]);
                }
            }
        }
    }
}

/// The value that sums start from: zero, or the value that the sum has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    Zero,
    Add,
}

/// `sums[i]` += Σ_j tables[j][bits 6j… of keys[i]], j upward.
#[inline(always)]
fn add_selected<V: Lanes>(start: Start, tables: &Tables, keys: &[u64], sums: &mut [Block]) {
    with_registers!(V, H => add_registers::<V, H>(start, tables, keys, sums))
}

#[inline(always)]
fn add_registers<V: Lanes, const H: usize>(start: Start, tables: &Tables, keys: &[u64], sums: &mut [Block]) {
    for (&key, sum) in keys.iter().zip(sums) {
        let mut acc = [V::splat(0.0); H];
        if start == Start::Add {
            acc = std::array::from_fn(|h| V::load(&sum.0[h * V::WIDTH..]));
        }
        // Selects with the row's offset in floats: the address then needs no shift of its own.
        let offsets = key * LANES as u64;
        for (j, table) in tables.iter().enumerate() {
            let offset = (offsets >> (j * BITS)) as usize % (SUBSETS * LANES) / LANES * LANES;
            let row = &bytemuck::cast_slice::<Block, f32>(table)[offset..][..LANES];
            for (h, acc) in acc.iter_mut().enumerate() {
                *acc = *acc + V::load(&row[h * V::WIDTH..]);
            }
        }
        for (h, acc) in acc.into_iter().enumerate() {
            acc.store(&mut sum.0[h * V::WIDTH..]);
        }
    }
}

/// Blocks of scratch that [`split_scratch`] splits.
const SCRATCH_BLOCKS: usize = KEY_BITS + TABLES * SUBSETS;

/// Returns the workspace of both passes.
pub(super) fn workspace(conv: &Conv) -> Workspace {
    forward::workspace(conv).max(weight::workspace(conv))
}

/// Splits a worker's scratch into rows and tables.
fn split_scratch(scratch: &mut crate::Scratch) -> (&mut Rows, &mut Tables) {
    let (rows, tables) = scratch.blocks(SCRATCH_BLOCKS).split_at_mut(KEY_BITS);
    let rows = &mut rows.as_chunks_mut().0[0];
    let tables = &mut tables.as_chunks_mut().0.as_chunks_mut().0[0];
    (rows, tables)
}
