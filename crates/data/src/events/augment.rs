//! Random variations of event data, after NDA (Li et al. 2022).
//!
//! | name | effect | on |
//! |---|---|---|
//! | `drop` | leaves out each event with a chance drawn from 0 to 0.3 | events |
//! | `jitter` | moves each event in time by a normal number of s.d. 1 % of the recording | events |
//! | `flip` | mirrors left and right, half of the time | frames |
//! | `roll` | moves by −5 to 5 columns and rows; pixels that leave on one side enter on the other | frames |
//!
//! They apply in this order; the draws depend on (seed, epoch, recording) alone, and not on the choice of augmentations.
//! `flip` and `roll` move all frames of a recording alike. A mirrored digit is another digit: `flip` is not for N-MNIST.

use super::Events;
use crate::error::DataError;
use crate::rng::Rng;
use crate::switches;
use std::fmt;
use std::str::FromStr;

/// The largest chance of an event to be dropped.
const DROP: f32 = 0.3;
/// The standard deviation of the jitter, as a share of the recording's duration.
const JITTER: f64 = 0.01;
/// The most columns and rows of a roll.
const ROLL: usize = 5;

/// Says which augmentations are on.
///
/// ```
/// use spikegrad_data::events::EventAugment;
/// let augment: EventAugment = "flip,roll".parse()?;
/// assert!(augment.flip && augment.roll && !augment.needs_events());
/// assert_eq!(augment.to_string(), "flip,roll");
/// # Ok::<(), spikegrad_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventAugment {
    /// Random mirror image.
    pub flip: bool,
    /// Random shift in space.
    pub roll: bool,
    /// Random shifts in time.
    pub jitter: bool,
    /// Random loss of events.
    pub drop: bool,
}

impl EventAugment {
    /// Leaves every recording as it is.
    pub const NONE: Self = Self { flip: false, roll: false, jitter: false, drop: false };

    /// Tells whether one of them works on events, so that ready frames do not do.
    #[must_use]
    pub fn needs_events(self) -> bool {
        self.jitter || self.drop
    }
}

impl FromStr for EventAugment {
    type Err = DataError;

    /// Reads names separated by commas, or `none`.
    ///
    /// Errors: [`DataError::Unknown`] listing the names known.
    fn from_str(text: &str) -> Result<Self, DataError> {
        let mut augment = Self::NONE;
        let switches = &mut [
            ("flip", &mut augment.flip),
            ("roll", &mut augment.roll),
            ("jitter", &mut augment.jitter),
            ("drop", &mut augment.drop),
        ];
        switches::read(text, switches, "event augmentation", "none, or some of flip,roll,jitter,drop")?;
        Ok(augment)
    }
}

impl fmt::Display for EventAugment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        switches::write(
            f,
            &[("flip", self.flip), ("roll", self.roll), ("jitter", self.jitter), ("drop", self.drop)],
        )
    }
}

/// Holds every random choice for one recording, drawn whether it is used or not.
#[derive(Clone, Debug, PartialEq)]
pub struct EventChoice {
    /// Whether frames are mirrored.
    pub mirror: bool,
    /// Columns that frames move right by, −5 to 5.
    pub right: isize,
    /// Rows that frames move down by, −5 to 5.
    pub down: isize,
    /// The chance of an event to be dropped, 0 to 0.3.
    pub drop: f32,
    /// The seeds of the draws for each event: its loss, its jitter.
    pub seeds: [u64; 2],
}

impl EventChoice {
    /// Draws the choices.
    pub fn draw(rng: &mut Rng) -> Self {
        let mut offset = || rng.below(2 * ROLL + 1) as isize - ROLL as isize;
        let (right, down) = (offset(), offset());
        let (mirror, drop) = (rng.uniform() < 0.5, rng.range(0.0, DROP));
        Self { mirror, right, down, drop, seeds: [rng.u64(), rng.u64()] }
    }
}

/// Applies the augmentations of events, and sorts the events again.
pub fn apply_to_events(augment: EventAugment, choice: &EventChoice, events: &mut Events) {
    let [loss, jitter] = choice.seeds.map(Rng::new);
    if augment.drop {
        let mut rng = loss;
        events.list.retain(|_| rng.uniform() >= choice.drop);
    }
    if augment.jitter {
        let (mut rng, deviation) = (jitter, JITTER * events.duration() as f64);
        for event in &mut events.list {
            let moved = event.t as f64 + deviation * f64::from(rng.normal());
            event.t = moved.round().max(0.0) as u64;
        }
        events.sort();
    }
}

/// Applies the augmentations of frames, \[…\]\[H\]\[W\], in place; `scratch` is overwritten.
pub fn apply_to_frames(
    augment: EventAugment,
    choice: &EventChoice,
    (height, width): (usize, usize),
    frames: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    if augment.flip && choice.mirror {
        frames.chunks_exact_mut(width).for_each(<[f32]>::reverse);
    }
    if augment.roll {
        for plane in frames.chunks_exact_mut(height * width) {
            scratch.clear();
            scratch.extend_from_slice(plane);
            roll(scratch, (height, width), (choice.down, choice.right), plane);
        }
    }
}

/// Moves a plane: out\[(y + down) mod H\]\[(x + right) mod W\] = plane\[y\]\[x\].
pub fn roll(plane: &[f32], (height, width): (usize, usize), (down, right): (isize, isize), out: &mut [f32]) {
    let (down, right) =
        (down.rem_euclid(height as isize) as usize, right.rem_euclid(width as isize) as usize);
    for (y, row) in plane.chunks_exact(width).enumerate() {
        let to = (y + down) % height * width;
        let (left, wrapped) = row.split_at(width - right);
        out[to + right..to + width].copy_from_slice(left);
        out[to..to + right].copy_from_slice(wrapped);
    }
}
