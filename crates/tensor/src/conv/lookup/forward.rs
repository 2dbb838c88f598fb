//! y from spikes by look-up.
//!
//! ```text
//! for each chunk of images                                    (their keys fit the last-level cache)
//!   pack the keys of each image                               parallel over images
//!   for each output block, each run of images:                parallel over the pairs
//!     for each three sources: build the tables of their 48 weight rows
//!       for each pixel: y += the rows that its key selects
//!     measure the planes of y while they are in the cache     where batch norm asks for it
//! ```

use super::keys::{Grid, PixelKeys};
use super::{KEY_BITS, KEY_WORDS, SCRATCH_BLOCKS, Start, Tables, add_selected, build, split_scratch};
use crate::conv::Conv;
use crate::norm::PlaneMoments;
use crate::parallel::{Timeline, resized, timelines};
use crate::tensor::{Block, LANES};
use crate::{Kernel, Lanes, Scratch, Workers, Workspace};

/// Pixels of a task: enough that building a table (about 64 additions) costs a few percent of using it.
const TASK_PIXELS: usize = 4096;
/// Keys alive together: 8 MiB.
const CHUNK_KEYS: usize = 1 << 20;

/// The tasks that a convolution's forward is cut into.
struct Cut {
    /// Groups of sources that share keys.
    triples: usize,
    /// Images of a task.
    run: usize,
    /// Images whose keys are alive together.
    chunk: usize,
}

impl Cut {
    fn new(conv: &Conv) -> Self {
        let (n, pixels) = (conv.output.n, conv.output.pixels());
        let triples = conv.sources().div_ceil(KEY_WORDS);
        let run = TASK_PIXELS.div_ceil(pixels).min(n);
        let chunk = (CHUNK_KEYS / (triples * pixels)).max(1).next_multiple_of(run).min(n);
        Self { triples, run, chunk }
    }
}

/// Returns the workspace of the forward.
pub(in crate::conv) fn workspace(conv: &Conv) -> Workspace {
    let Cut { triples, chunk, .. } = Cut::new(conv);
    Workspace {
        weights: conv.output.blocks() * triples * KEY_BITS,
        keys: chunk * triples * conv.output.pixels(),
        blocks: SCRATCH_BLOCKS,
        words: Grid::new(conv).words(),
        ..Workspace::default()
    }
}

/// Computes y, and the moments of its planes where `moments` is given.
pub(in crate::conv) fn forward(
    conv: &Conv,
    words: &[u16],
    weight: &[f32],
    y: &mut [Block],
    moments: Option<&mut [PlaneMoments]>,
    workers: &mut Workers,
) {
    let (output, pixels) = (conv.output, conv.output.pixels());
    let Cut { triples, run, chunk } = Cut::new(conv);
    let image_keys = triples * pixels;
    let mut borrowed = workers.shared();
    let (shared, workers) = borrowed.split();
    let packed = pack(conv, weight, &mut shared.weights, workers);
    let keys = resized(&mut shared.keys, chunk * image_keys);
    let grid = Grid::new(conv);
    let (input_image, blocks) = (conv.input.image_blocks(), output.blocks());
    let mut moments = moments.map(|moments| moments.chunks_mut(chunk * blocks));
    for (index, y) in y.chunks_mut(chunk * output.image_blocks()).enumerate() {
        let images = y.len() / output.image_blocks();
        let keys = &mut keys[..images * image_keys];
        let inputs = words[index * chunk * input_image..].chunks(input_image);
        workers.run(keys.chunks_mut(image_keys).zip(inputs), |(keys, spikes), scratch| {
            conv.level.run(PixelKeys { grid, spikes, keys, words: &mut scratch.entries });
        });
        let keys = &*keys;
        let runs = y.chunks_mut(run * output.image_blocks()).zip(keys.chunks(run * image_keys));
        let mut moments =
            moments.as_mut().and_then(Iterator::next).map(|moments| moments.chunks_mut(run * blocks));
        let tasks = runs.flat_map(|(y, keys)| {
            let images = y.len() / output.image_blocks();
            let moments = moments.as_mut().and_then(Iterator::next);
            let mut moments = moments.map(|moments| timelines(moments, images, 1));
            timelines(y, images, pixels).enumerate().map(move |(block, planes)| {
                let moments = moments.as_mut().and_then(Iterator::next);
                (block, Run { keys, pixels, images, planes, moments })
            })
        });
        workers.run(tasks, |(block, run), scratch| {
            let rows = &packed[block * triples * KEY_BITS..][..triples * KEY_BITS];
            conv.level.run(BlockSums { rows, run, scratch });
        });
    }
}

/// Packs O×I×k×k as [output block][source][channel][sixteen outputs], the sources filled up to whole keys.
fn pack<'a>(conv: &Conv, weight: &[f32], packed: &'a mut Vec<Block>, workers: &mut Workers) -> &'a [Block] {
    let (ci, co, taps) = (conv.input.c, conv.config.out_channels, conv.taps());
    let block_rows = conv.sources().next_multiple_of(KEY_WORDS) * LANES;
    let packed = resized(packed, conv.output.blocks() * block_rows);
    workers.run(packed.chunks_mut(LANES).enumerate(), |(task, rows), _| {
        let (block, source) = (task * LANES / block_rows, task % (block_rows / LANES));
        let (input_block, tap) = (source / taps, source % taps);
        for (k, row) in rows.iter_mut().enumerate() {
            let i = input_block * LANES + k;
            for (l, x) in row.0.iter_mut().enumerate() {
                let o = block * LANES + l;
                *x = if o < co && i < ci { weight[(o * ci + i) * taps + tap] } else { 0.0 };
            }
        }
    });
    packed
}

/// One block of output channels of a run of images: the keys it is computed from and the planes it is written to.
struct Run<'a> {
    keys: &'a [u64],
    pixels: usize,
    images: usize,
    planes: Timeline<'a, Block>,
    moments: Option<Timeline<'a, PlaneMoments>>,
}

struct BlockSums<'a> {
    rows: &'a [Block],
    run: Run<'a>,
    scratch: &'a mut Scratch,
}

impl Kernel for BlockSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let Self { rows, run: Run { keys, pixels, images, mut planes, moments }, scratch } = self;
        let tables: &mut Tables = split_scratch(scratch).1;
        let image_keys = keys.len() / images;
        for (triple, rows) in rows.as_chunks::<KEY_BITS>().0.iter().enumerate() {
            build::<V>(rows, tables);
            let start = if triple == 0 { Start::Zero } else { Start::Add };
            for (i, keys) in keys.chunks_exact(image_keys).enumerate() {
                add_selected::<V>(start, tables, &keys[triple * pixels..][..pixels], planes.at(i));
            }
        }
        if let Some(mut moments) = moments {
            (0..images).for_each(|i| moments.at(i)[0] = PlaneMoments::of::<V>(planes.at(i)));
        }
    }
}
