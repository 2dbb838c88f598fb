//! Activations that ops hand on: bits or floats, each under a number.

use spikegrad_tensor::memory::NoMemory;
use spikegrad_tensor::{Dims, LANES, Spikes, Tensor};

/// The number of a value of a net; value 0 is the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub(crate) usize);

impl ValueId {
    /// The input of a net.
    pub const INPUT: Self = Self(0);

    /// The number, from 0 for the input, in the order of planning.
    pub fn index(self) -> usize {
        self.0
    }
}

/// An activation.
#[derive(Debug, Default)]
pub enum Value {
    /// The value is taken out while an op writes it.
    #[default]
    Taken,
    /// Zeros and ones, one bit each.
    Spikes(Spikes),
    /// Floats.
    Dense(Tensor),
}

impl Value {
    /// Gets the memory of a planned value.
    pub(crate) fn allocate(&mut self) -> Result<(), NoMemory> {
        match self {
            Value::Taken => Ok(()),
            Value::Spikes(spikes) => spikes.allocate(),
            Value::Dense(dense) => dense.allocate(),
        }
    }

    /// Bytes held, or planned.
    pub fn bytes(&self) -> usize {
        match self {
            Value::Taken => 0,
            Value::Spikes(spikes) => spikes.bytes(),
            Value::Dense(dense) => dense.bytes(),
        }
    }

    /// Returns sixteen neighbouring channels of a pixel, the block at a place, as numbers.
    ///
    /// # Panics
    /// The value is taken out, or has no such block.
    pub fn lanes(&self, at: usize) -> [f32; LANES] {
        match self {
            Value::Spikes(spikes) => {
                let word = spikes.words()[at];
                std::array::from_fn(|lane| f32::from(word >> lane & 1))
            }
            Value::Dense(dense) => dense.blocks()[at].0,
            Value::Taken => unreachable!("an op does not read what it writes"),
        }
    }

    /// Returns the value as floats: itself, or spikes written out into `unpacked`, which must have their size.
    ///
    /// # Panics
    /// The value is taken out.
    pub fn floats<'a>(&'a self, unpacked: &'a mut Tensor) -> &'a Tensor {
        match self {
            Value::Dense(dense) => dense,
            Value::Spikes(spikes) => {
                spikes.unpack(unpacked);
                unpacked
            }
            Value::Taken => unreachable!("an op does not read what it writes"),
        }
    }
}

/// All values of a net, with their sizes.
#[derive(Debug, Default)]
pub struct Values {
    values: Vec<Value>,
    dims: Vec<Dims>,
}

impl Values {
    /// Plans a value and returns its number.
    pub(crate) fn add(&mut self, value: Value, dims: Dims) -> ValueId {
        self.values.push(value);
        self.dims.push(dims);
        ValueId(self.values.len() - 1)
    }

    /// Gets the memory of all planned values.
    pub(crate) fn allocate(&mut self) -> Result<(), NoMemory> {
        self.values.iter_mut().try_for_each(Value::allocate)
    }

    /// Counts the values.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// Returns a value. Panics if no value has this number.
    pub fn get(&self, id: ValueId) -> &Value {
        &self.values[id.0]
    }

    /// Returns a value, to write. Panics if no value has this number.
    pub(crate) fn get_mut(&mut self, id: ValueId) -> &mut Value {
        &mut self.values[id.0]
    }

    /// Returns the size of a value; `n` is time steps × batch, or batch where the value is the same at every step.
    pub fn dims(&self, id: ValueId) -> Dims {
        self.dims[id.0]
    }

    /// The sizes of all values.
    pub(crate) fn all_dims(&self) -> &[Dims] {
        &self.dims
    }

    /// Tells whether a value is kept as bits.
    pub fn is_spikes(&self, id: ValueId) -> bool {
        matches!(self.values[id.0], Value::Spikes(_))
    }

    /// Takes a value out, to write it while others are read; [`Values::put`] brings it back.
    pub fn take(&mut self, id: ValueId) -> Value {
        std::mem::take(&mut self.values[id.0])
    }

    /// Brings back a value that was taken out.
    pub fn put(&mut self, id: ValueId, value: Value) {
        self.values[id.0] = value;
    }

    /// Bytes of all values.
    pub(crate) fn bytes(&self) -> u128 {
        self.values.iter().map(|value| value.bytes() as u128).sum()
    }
}
