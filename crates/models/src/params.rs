//! Parameters and buffers by name, in flat allocations.

use crate::Init;
use spikegrad_bptt::ConfigError;
use spikegrad_tensor::memory::{NoMemory, try_vec};
use spikegrad_tensor::rng::Rng;
use std::ops::{Deref, DerefMut, Range};
use std::sync::Arc;

/// A named range of a flat vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// PyTorch's name.
    pub name: String,
    /// Shape, outermost first: O×I×k×k for a convolution.
    pub shape: Vec<usize>,
    /// Its place in the flat vector.
    pub range: Range<usize>,
    /// Its role.
    pub role: Role,
}

/// The role of a parameter, which decides how it begins and which recipes of weight decay leave it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// A matrix or a kernel: drawn at random.
    Weight,
    /// A bias that belongs to the weight before it: drawn with it.
    Bias,
    /// A norm's factor, 1 at the beginning.
    Scale,
    /// A norm's summand, 0 at the beginning.
    Shift,
    /// A neuron's own, such as its decay: the op that has it sets its beginning.
    Neuron,
    /// A running estimate of a norm, which is not learned.
    Estimate,
}

/// The learned numbers of a net, their gradients, and batch norm's running estimates.
#[derive(Clone, Debug, Default)]
pub struct Params {
    /// Names of the weights.
    pub entries: Vec<Entry>,
    /// All weights.
    pub weights: Vec<f32>,
    /// All gradients, as `weights`.
    pub grads: Vec<f32>,
    /// Names of the running estimates.
    pub buffer_entries: Vec<Entry>,
    /// All running estimates.
    pub buffers: Vec<f32>,
    /// The numbers that are not 0 at the beginning.
    beginning: Beginning,
    /// Whether there are no gradients: the net predicts only.
    is_fixed: bool,
}

/// Parameters that several nets may hold together: whoever changes them first gets a copy of their own.
#[derive(Clone, Debug, Default)]
pub struct SharedParams(Arc<Params>);

impl Deref for SharedParams {
    type Target = Params;

    fn deref(&self) -> &Params {
        &self.0
    }
}

impl DerefMut for SharedParams {
    fn deref_mut(&mut self) -> &mut Params {
        Arc::make_mut(&mut self.0)
    }
}

impl From<Params> for SharedParams {
    fn from(params: Params) -> Self {
        Self(Arc::new(params))
    }
}

/// Ranges of weights and of running estimates, and what they begin with.
#[derive(Clone, Debug, Default)]
struct Beginning {
    weights: Vec<(Range<usize>, f32)>,
    buffers: Vec<(Range<usize>, f32)>,
}

/// The most numbers that a tensor or all weights may have: 2⁴⁶, 281 terabytes as `f32`.
pub(crate) const MOST_NUMBERS: usize = 1 << 46;

impl Params {
    /// Plans a parameter and returns its range.
    ///
    /// # Errors
    /// There are more parameters than [`MOST_NUMBERS`].
    pub(crate) fn add(
        &mut self,
        name: String,
        shape: Vec<usize>,
        role: Role,
    ) -> Result<Range<usize>, ConfigError> {
        let range = Self::push(&mut self.entries, name, shape, role)?;
        if role == Role::Scale {
            self.begin_at(&range, 1.0);
        }
        Ok(range)
    }

    /// Lets a planned parameter begin at a value.
    pub(crate) fn begin_at(&mut self, range: &Range<usize>, value: f32) {
        self.beginning.weights.push((range.clone(), value));
    }

    /// Plans a running estimate that is 0 or 1 at the beginning.
    ///
    /// # Errors
    /// As [`Params::add`].
    pub(crate) fn add_buffer(
        &mut self,
        name: String,
        len: usize,
        is_one: bool,
    ) -> Result<Range<usize>, ConfigError> {
        let range = Self::push(&mut self.buffer_entries, name, vec![len], Role::Estimate)?;
        if is_one {
            self.beginning.buffers.push((range.clone(), 1.0));
        }
        Ok(range)
    }

    fn push(
        entries: &mut Vec<Entry>,
        name: String,
        shape: Vec<usize>,
        role: Role,
    ) -> Result<Range<usize>, ConfigError> {
        let begin = planned(entries);
        let len = shape.iter().try_fold(1, |len: usize, &side| len.checked_mul(side));
        match len.and_then(|len| begin.checked_add(len)).filter(|&end| end <= MOST_NUMBERS) {
            Some(end) => {
                entries.push(Entry { name, shape, range: begin..end, role });
                Ok(begin..end)
            }
            None => Err(ConfigError::new(format!(
                "weight {name:?} of shape {shape:?} brings the weights above {MOST_NUMBERS} numbers, the most that can be planned"
            ))),
        }
    }

    /// Leaves the gradients out.
    pub(crate) fn fix(&mut self) {
        self.is_fixed = true;
    }

    /// Gradients that are planned.
    pub(crate) fn planned_gradients(&self) -> usize {
        if self.is_fixed { 0 } else { planned(&self.entries) }
    }

    /// Planned weights and running estimates.
    pub(crate) fn planned(&self) -> (usize, usize) {
        (planned(&self.entries), planned(&self.buffer_entries))
    }

    /// Gets the memory of what is planned, gradients included where there are any, and fills it with what it was planned to begin with.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(crate) fn allocate(&mut self) -> Result<(), NoMemory> {
        let (weights, buffers) = self.planned();
        self.weights = try_vec(weights, 0.0)?;
        self.grads = try_vec(if self.is_fixed { 0 } else { weights }, 0.0)?;
        self.buffers = try_vec(buffers, 0.0)?;
        let Beginning { weights, buffers } = &self.beginning;
        weights.iter().for_each(|(range, value)| self.weights[range.clone()].fill(*value));
        buffers.iter().for_each(|(range, value)| self.buffers[range.clone()].fill(*value));
        Ok(())
    }

    /// Draws weights, and the biases that belong to them, from `seed`, in the order of the net.
    pub fn initialise(&mut self, init: Init, seed: u64) {
        let mut rng = Rng::new(seed);
        let mut fan_in = 1;
        for entry in &self.entries {
            let weights = &mut self.weights[entry.range.clone()];
            let is_weight = entry.role == Role::Weight;
            if is_weight {
                fan_in = entry.shape.iter().skip(1).product();
            }
            match init {
                Init::Uniform if is_weight || entry.role == Role::Bias => {
                    let bound = 1.0 / (fan_in as f32).sqrt();
                    weights.iter_mut().for_each(|w| *w = bound * (2.0 * rng.uniform() - 1.0));
                }
                Init::Kaiming if is_weight => {
                    let deviation = (2.0 / fan_in as f32).sqrt();
                    weights.iter_mut().for_each(|w| *w = deviation * rng.normal());
                }
                _ => {}
            }
        }
    }

    /// Sets every gradient to zero.
    pub fn zero_grads(&mut self) {
        self.grads.fill(0.0);
    }

    /// Looks a weight up by name.
    pub fn get(&self, name: &str) -> Option<&[f32]> {
        let entry = self.entries.iter().find(|entry| entry.name == name)?;
        Some(&self.weights[entry.range.clone()])
    }

    /// The first running estimate that is not finite.
    pub fn first_estimate_not_finite(&self) -> Option<&str> {
        let at = self.buffers.iter().position(|x| !x.is_finite())?;
        let entry = self.buffer_entries.iter().find(|entry| entry.range.contains(&at));
        entry.map(|entry| entry.name.as_str())
    }

    /// The first weight whose gradient, or value, is not finite.
    pub fn first_not_finite(&self) -> Option<&str> {
        let broken = |data: &[f32], entry: &&Entry| !data[entry.range.clone()].iter().all(|x| x.is_finite());
        let entry = self.entries.iter().find(|e| broken(&self.weights, e) || broken(&self.grads, e));
        entry.map(|entry| entry.name.as_str())
    }
}

/// Numbers that a list of entries stands for.
fn planned(entries: &[Entry]) -> usize {
    entries.last().map_or(0, |entry| entry.range.end)
}
