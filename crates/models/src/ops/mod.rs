//! The ops that nets are made of: one file an op, its settings, its planning, its forward and its backward.
//!
//! | op | reads | writes |
//! |---|---|---|
//! | [`Conv`] | an image | a current: convolution, with batch norm or without |
//! | [`Linear`] | a vector; an image is flattened first | a current |
//! | [`Neurons`] | one or two currents or values | spikes |
//! | [`Recurrent`] | a current | spikes, which come back at the next step |
//! | [`Elementwise`] | a value | a function of one's own of every number |
//! | [`UserNeurons`] | a current or a value | what a neuron model of one's own puts out |
//! | [`Add`] | two currents or values | their sum |
//! | [`And`], [`Iand`] | two values | their product, or that of the second with what the first is not; of spikes, spikes |
//! | [`AvgPool`] | an image | means over windows |
//! | [`MaxPool`] | an image | the largest of each window; of spikes, spikes |
//! | [`Flatten`] | an image | a vector |
//! | [`Dropout`] | a value | in training, some of its numbers, the same at every step |
//! | [`Upsample`] | an image | each pixel as a square; of spikes, spikes |
//! | [`Vote`] | a vector or an image | means over groups of channels |
//!
//! A current that one layer of neurons reads is never written out: the neurons' kernel computes it where it needs it.
//! Everything else that reads a current gets it as a value.

mod avg_pool;
mod conv;
mod conv_norm;
mod current;
mod dropout;
mod elementwise;
mod flatten;
mod gate;
mod linear;
mod max_pool;
mod neuron_parameters;
mod neuron_settings;
mod neurons;
mod params;
mod recurrent;
mod step_buffers;
mod step_norm;
mod upsample;
mod user_neurons;
mod vote;
mod window;

use crate::graph::{Builder, OpSpec, Setting, Settings, ValueId};
use spikegrad_bptt::{ConfigError, Surrogate};
use std::collections::BTreeMap;
use std::sync::Arc;

pub use avg_pool::AvgPool;
pub use conv::Conv;
pub(crate) use current::Current;
pub use dropout::Dropout;
pub use elementwise::Elementwise;
pub use flatten::Flatten;
pub use gate::{And, Iand};
pub use linear::Linear;
pub use max_pool::MaxPool;
pub(crate) use neuron_settings::{neuron_settings, read_neuron};
pub use neurons::{Add, Neurons};
pub use recurrent::Recurrent;
pub use upsample::Upsample;
pub use user_neurons::{Gradients as NeuronGradients, NeuronModel, Step, UserNeurons};
pub use vote::Vote;
pub use window::Window;

/// A current that its reader computes itself.
#[derive(Debug)]
pub struct Fused(Box<Current>);

impl Fused {
    pub(crate) fn new(current: Current) -> Self {
        Self(Box::new(current))
    }

    pub(crate) fn into_current(self) -> Current {
        *self.0
    }

    /// Plans the op that writes the current out.
    pub(crate) fn into_value(self, name: &str, builder: &mut Builder<'_>) -> Result<ValueId, ConfigError> {
        match *self.0 {
            Current::Linear { linear, .. } => linear::write_out(name, linear, builder),
            current => neurons::write_out(name, vec![current], builder),
        }
    }
}

/// Makes an op from its settings in a file.
type Factory = Arc<dyn Fn(&mut Settings) -> Result<Arc<dyn OpSpec>, ConfigError> + Send + Sync>;

/// The parts that files may name: kinds of ops, and a surrogate of one's own.
#[derive(Clone)]
pub struct Kinds {
    ops: BTreeMap<String, Factory>,
    surrogate: Option<Surrogate>,
}

impl std::fmt::Debug for Kinds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.ops.keys()).entries(&self.surrogate).finish()
    }
}

impl Default for Kinds {
    /// The ops of this crate.
    fn default() -> Self {
        Self { ops: BTreeMap::new(), surrogate: None }
            .with(Conv::KIND, Conv::read)
            .with(Linear::KIND, Linear::read)
            .with(Neurons::KIND, Neurons::read)
            .with(Recurrent::KIND, Recurrent::read)
            .with(Add::KIND, Add::read)
            .with(And::KIND, And::read)
            .with(Iand::KIND, Iand::read)
            .with(AvgPool::KIND, AvgPool::read)
            .with(MaxPool::KIND, MaxPool::read)
            .with(Flatten::KIND, Flatten::read)
            .with(Dropout::KIND, Dropout::read)
            .with(Upsample::KIND, Upsample::read)
            .with(Vote::KIND, Vote::read)
    }
}

impl Kinds {
    /// Adds a kind, or replaces it; `read` takes the settings it knows.
    pub fn with<S: OpSpec + 'static>(
        mut self,
        kind: &str,
        read: impl Fn(&mut Settings) -> Result<S, ConfigError> + Send + Sync + 'static,
    ) -> Self {
        let factory = move |settings: &mut Settings| read(settings).map(|op| Arc::new(op) as Arc<dyn OpSpec>);
        self.ops.insert(kind.to_string(), Arc::new(factory));
        self
    }

    /// Names the surrogate of nets whose files say that it is one's own.
    pub fn with_surrogate(mut self, surrogate: Surrogate) -> Self {
        self.surrogate = Some(surrogate);
        self
    }

    /// Takes the word for a surrogate of one's own out of a neuron's settings, if it is there, and gives the surrogate.
    pub(crate) fn own_surrogate(&self, neuron: &mut Settings) -> Result<Option<Surrogate>, ConfigError> {
        let is_own =
            |(name, value): &(String, Setting)| name == "surrogate" && *value == Setting::text("custom");
        if !neuron.pairs().iter().any(is_own) {
            return Ok(None);
        }
        neuron.take("surrogate");
        match &self.surrogate {
            Some(surrogate) => Ok(Some(surrogate.clone())),
            None => Err(ConfigError::new(
                "the net's surrogate is one of its author's own: Kinds::with_surrogate names it",
            )),
        }
    }

    /// Makes an op of a kind.
    pub(crate) fn read(&self, kind: &str, settings: &mut Settings) -> Result<Arc<dyn OpSpec>, ConfigError> {
        match self.ops.get(kind) {
            Some(factory) => factory(settings),
            None => {
                let known = self.ops.keys().cloned().collect::<Vec<_>>().join(", ");
                Err(ConfigError::unknown("op", kind, known))
            }
        }
    }
}
