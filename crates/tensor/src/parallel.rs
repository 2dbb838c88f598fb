//! Work spread over cores.
//!
//! A pass over a layer is a list of tasks with disjoint outputs, and a task's result does not depend on the worker that
//! runs it. Results therefore have the same bits for any number of threads, and without rayon.
#![allow(unsafe_code)]

use crate::memory::{NoMemory, try_reserve};
use crate::norm::plane::PlaneMoments;
use crate::tensor::Block;
use std::marker::PhantomData;
use std::sync::Mutex;

/// Buffers a worker keeps between tasks, so that a step allocates nothing. Contents are undefined on entry.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Blocks of floats.
    pub blocks: Vec<Block>,
    /// Active inputs of an image.
    pub entries: Vec<u16>,
    /// The index of each pixel's first entry.
    pub starts: Vec<u32>,
    /// Kernel taps, and the distances of the pixels that they read.
    pub taps: Vec<(u32, u32)>,
}

impl Scratch {
    /// Returns the first `len` blocks, growing the buffer the first time.
    pub fn blocks(&mut self, len: usize) -> &mut [Block] {
        resized(&mut self.blocks, len)
    }

    /// Returns `len` floats of the same buffer.
    pub fn floats(&mut self, len: usize) -> &mut [f32] {
        let blocks = self.blocks(len.div_ceil(crate::LANES));
        &mut bytemuck::cast_slice_mut(blocks)[..len]
    }

    /// The capacity of each buffer, in elements.
    fn capacities(&self) -> [usize; 4] {
        [self.blocks.capacity(), self.entries.capacity(), self.starts.capacity(), self.taps.capacity()]
    }

    /// Grows each buffer to at least this capacity.
    fn reserve(&mut self, capacities: [usize; 4]) {
        fn grow<T>(buffer: &mut Vec<T>, capacity: usize) {
            buffer.reserve_exact(capacity.saturating_sub(buffer.len()));
        }
        grow(&mut self.blocks, capacities[0]);
        grow(&mut self.entries, capacities[1]);
        grow(&mut self.starts, capacities[2]);
        grow(&mut self.taps, capacities[3]);
    }
}

/// Buffers of a pass that all workers share, kept from pass to pass. Contents are undefined on entry.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Packed weights, or sums of their gradient: no pass uses both.
    pub weights: Vec<Block>,
    /// Spikes packed for look-ups.
    pub keys: Vec<u64>,
    /// Spikes by channel, 64 positions in a number.
    pub columns: Vec<[u64; crate::LANES]>,
    /// Lists of active neurons.
    pub entries: Vec<u16>,
    /// Lengths of the lists.
    pub lengths: Vec<u16>,
}

/// The elements that passes use of each buffer of the [`Workers`], known before a pass runs.
///
/// A pass's workspace follows from shapes alone, so a net's memory can be planned, checked and reserved at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Workspace {
    /// Blocks of packed weights, or of sums of their gradient.
    pub weights: usize,
    /// Look-up keys.
    pub keys: usize,
    /// Columns of spikes by channel.
    pub columns: usize,
    /// Planes whose moments are measured.
    pub planes: usize,
    /// Blocks of each worker.
    pub blocks: usize,
    /// Words of each worker.
    pub words: usize,
}

impl Workspace {
    /// Returns the least workspace that is large enough for both passes.
    pub fn max(self, other: Self) -> Self {
        Self {
            weights: self.weights.max(other.weights),
            keys: self.keys.max(other.keys),
            columns: self.columns.max(other.columns),
            planes: self.planes.max(other.planes),
            blocks: self.blocks.max(other.blocks),
            words: self.words.max(other.words),
        }
    }

    /// Returns the bytes of the buffers, those of each of `workers` workers included.
    pub fn bytes(&self, workers: usize) -> u128 {
        let of = |count: usize, size: usize| count as u128 * size as u128;
        let worker = of(self.blocks, size_of::<Block>()) + of(self.words, size_of::<u16>());
        of(self.weights, size_of::<Block>())
            + of(self.keys, size_of::<u64>())
            + of(self.columns, size_of::<[u64; crate::LANES]>())
            + of(self.planes, size_of::<PlaneMoments>())
            + workers as u128 * worker
    }
}

/// Returns the first `len` elements, growing the buffer the first time.
pub(crate) fn resized<T: Copy + Default>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
    &mut buffer[..len]
}

/// Starts rayon's global pool, so that [`threads`] and [`Workers::new`] cannot fail.
///
/// # Errors
/// The system gives no threads.
pub fn start_threads() -> Result<(), String> {
    #[cfg(feature = "parallel")]
    {
        use std::error::Error;
        // Rayon would panic where it cannot start its global pool, and starts it once only.
        static STARTED: std::sync::OnceLock<Result<(), String>> = std::sync::OnceLock::new();
        if rayon::current_thread_index().is_some() {
            return Ok(());
        }
        let start = || match rayon::ThreadPoolBuilder::new().build_global() {
            // Without a cause, the pool has been started by somebody else.
            Err(why) if why.source().is_some() => Err(format!("no threads can be started: {why}")),
            _ => Ok(()),
        };
        STARTED.get_or_init(start).clone()
    }
    #[cfg(not(feature = "parallel"))]
    Ok(())
}

/// Returns the number of threads of the current rayon pool (one without the feature `parallel`).
pub fn threads() -> usize {
    #[cfg(feature = "parallel")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "parallel"))]
    1
}

/// The workers that share a pass: a scratch for each, and buffers that all of them read.
#[derive(Debug)]
pub struct Workers {
    scratch: Vec<Scratch>,
    shared: Shared,
    delta: Vec<u16>,
    moments: Vec<PlaneMoments>,
}

impl Default for Workers {
    fn default() -> Self {
        Self::new()
    }
}

impl Workers {
    /// Makes a worker for each thread of the current rayon pool (one without the feature `parallel`).
    pub fn new() -> Self {
        Self::of(threads())
    }

    /// Makes so many workers; a single one runs on the caller's thread, without a word to any pool.
    pub fn of(count: usize) -> Self {
        let scratch = (0..count.max(1)).map(|_| Scratch::default()).collect();
        Self { scratch, shared: Shared::default(), delta: Vec::new(), moments: Vec::new() }
    }

    /// Allocates the buffers that passes of this workspace use, so that no pass allocates.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn reserve(&mut self, workspace: &Workspace) -> Result<(), NoMemory> {
        try_reserve(&mut self.shared.weights, workspace.weights)?;
        try_reserve(&mut self.shared.keys, workspace.keys)?;
        try_reserve(&mut self.shared.columns, workspace.columns)?;
        try_reserve(&mut self.moments, workspace.planes)?;
        self.scratch.iter_mut().try_for_each(|scratch| {
            try_reserve(&mut scratch.blocks, workspace.blocks)?;
            try_reserve(&mut scratch.entries, workspace.words)
        })
    }

    /// Returns the number of workers.
    pub fn count(&self) -> usize {
        self.scratch.len()
    }

    /// Borrows the shared buffers for a pass.
    pub(crate) fn shared(&mut self) -> Borrowed<'_, Shared> {
        self.borrow(|workers| &mut workers.shared)
    }

    /// Borrows the buffer for the difference of spikes, which passes read while they use the shared buffers.
    pub(crate) fn delta(&mut self) -> Borrowed<'_, Vec<u16>> {
        self.borrow(|workers| &mut workers.delta)
    }

    /// Borrows the buffer for planes' moments, which a convolution fills while it uses the shared buffers.
    pub(crate) fn moments(&mut self) -> Borrowed<'_, Vec<PlaneMoments>> {
        self.borrow(|workers| &mut workers.moments)
    }

    fn borrow<T: Default>(&mut self, slot: fn(&mut Self) -> &mut T) -> Borrowed<'_, T> {
        Borrowed { buffer: std::mem::take(slot(self)), slot, workers: self }
    }

    /// Runs `work` on every item. Items are handed out in order, each to the next free worker.
    pub fn run<I>(&mut self, items: I, work: impl Fn(I::Item, &mut Scratch) + Sync)
    where
        I: Iterator + Send,
        I::Item: Send,
    {
        if self.scratch.len() == 1 {
            let scratch = &mut self.scratch[0];
            items.for_each(|item| work(item, scratch));
            return;
        }
        let items = Mutex::new(items);
        let serve = |scratch: &mut Scratch| {
            loop {
                let item = items.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).next();
                let Some(item) = item else { break };
                work(item, scratch);
            }
        };
        serve_all(&mut self.scratch, &serve);
        // Chance decides which worker runs which task: a buffer that one worker has grown now, another worker may need
        // in the next step.
        let larger = |a: [usize; 4], b: [usize; 4]| std::array::from_fn(|k| a[k].max(b[k]));
        let largest = self.scratch.iter().map(Scratch::capacities).reduce(larger).unwrap_or_default();
        self.scratch.iter_mut().for_each(|scratch| scratch.reserve(largest));
    }
}

/// A buffer of the workers, beside the workers themselves: a pass uses both. Dropping the guard puts the buffer back.
pub(crate) struct Borrowed<'a, T: Default> {
    buffer: T,
    slot: fn(&mut Workers) -> &mut T,
    workers: &'a mut Workers,
}

impl<T: Default> Borrowed<'_, T> {
    /// Splits the guard into the buffer and the workers.
    pub fn split(&mut self) -> (&mut T, &mut Workers) {
        (&mut self.buffer, self.workers)
    }
}

impl<T: Default> Drop for Borrowed<'_, T> {
    fn drop(&mut self) {
        *(self.slot)(self.workers) = std::mem::take(&mut self.buffer);
    }
}

/// Lets every worker serve. The function is not generic, so that rayon's code is compiled once, not for each kind of task.
fn serve_all(scratch: &mut [Scratch], serve: &(dyn Fn(&mut Scratch) + Sync)) {
    #[cfg(feature = "parallel")]
    {
        use rayon::prelude::*;
        scratch.par_iter_mut().with_max_len(1).for_each(serve);
    }
    #[cfg(not(feature = "parallel"))]
    scratch.iter_mut().for_each(serve);
}

/// One neuron plane at every time step: plane `i` of each of `times` equal parts of a buffer.
#[derive(Debug)]
pub struct Timeline<'a, T> {
    first: *mut T,
    plane: usize,
    step: usize,
    times: usize,
    buffer: PhantomData<&'a mut [T]>,
}

// SAFETY: a timeline is an exclusive borrow of its own planes, like `&mut [T]`, and no two share one.
unsafe impl<T: Send> Send for Timeline<'_, T> {}

impl<T> Timeline<'_, T> {
    /// Returns the plane at time step `t`.
    ///
    /// # Panics
    /// There is no such step.
    #[inline]
    pub fn at(&mut self, t: usize) -> &mut [T] {
        assert!(t < self.times);
        // SAFETY: `timelines` checked that plane `t` lies in the buffer borrowed for `'a`; planes of different
        // timelines differ in their index within a step, and `&mut self` keeps the two of one apart.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(t * self.step), self.plane) }
    }
}

impl<T> Timeline<'_, T> {
    /// Returns the planes at time steps `t − 1` and `t`.
    ///
    /// # Panics
    /// One of the steps does not exist.
    #[inline]
    pub fn pair(&mut self, t: usize) -> (&mut [T], &mut [T]) {
        assert!((1..self.times).contains(&t));
        let plane = |t: usize| self.first.wrapping_add(t * self.step);
        // SAFETY: as in `at`; the two planes lie `step ≥ plane` elements apart.
        unsafe {
            let before = std::slice::from_raw_parts_mut(plane(t - 1), self.plane);
            (before, std::slice::from_raw_parts_mut(plane(t), self.plane))
        }
    }
}

/// Splits a buffer of `times` × many planes of `plane` elements into timelines, one for each plane of a step.
///
/// # Panics
/// The buffer is not made of `times` equal runs of whole planes.
pub fn timelines<T: Send>(
    buffer: &mut [T],
    times: usize,
    plane: usize,
) -> impl Iterator<Item = Timeline<'_, T>> + Send {
    assert!(times > 0 && plane > 0 && buffer.len().is_multiple_of(times * plane));
    let step = buffer.len() / times;
    let buffer = SendPtr(buffer.as_mut_ptr(), PhantomData);
    (0..step / plane).map(move |i| {
        let buffer: &SendPtr<'_, T> = &buffer;
        // SAFETY: `i · plane < step`, inside the buffer.
        let first = unsafe { buffer.0.add(i * plane) };
        Timeline { first, plane, step, times, buffer: PhantomData }
    })
}

struct SendPtr<'a, T>(*mut T, PhantomData<&'a mut [T]>);

// SAFETY: stands for the exclusive borrow it was made from.
unsafe impl<T: Send> Send for SendPtr<'_, T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timelines_cover_the_buffer_once() {
        let mut buffer = vec![0u32; 3 * 4 * 2];
        Workers::new().run(timelines(&mut buffer, 3, 2).enumerate(), |(i, mut line), _| {
            for t in 0..3 {
                line.at(t).iter_mut().for_each(|x| *x += 1 + (t * 10 + i * 100) as u32);
            }
        });
        for (k, x) in buffer.iter().enumerate() {
            assert_eq!(*x as usize, 1 + k / 8 * 10 + k % 8 / 2 * 100);
        }
    }
}
