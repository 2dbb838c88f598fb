//! Tensors, bit-packed spikes and the kernels that train spiking networks on a CPU.
//!
//! | module | contents |
//! |---|---|
//! | [`level`] | which SIMD instruction set runs, picked once at run time |
//! | [`lanes`] | the vector types and operations in which kernels are written, for every instruction set |
//! | [`tensor`], [`half`], [`spikes`] | activations: dense `f32`, rounded to bfloat16, or one bit a neuron |
//! | [`conv`] | convolution over spikes and over dense values, three passes each |
//! | [`norm`] | batch-norm statistics and gradients |
//! | [`pool`], [`max_pool`], [`linear`] | pooling, flattening, fully connected layers |
//! | [`memory`] | allocations that may fail |
//! | [`magnitude`] | the largest magnitude of many numbers, in which NaN shows |
//! | [`gram`] | products of a weight with itself, for the Lipschitz term |
//! | [`parallel`] | work spread over cores with results that do not depend on their number |
//! | [`roof`] | the limits of arithmetic and memory, which kernels are compared with |
//!
//! Activations lie in *channel blocks*: sixteen channels of one pixel are neighbours ([`Block`]), then the
//! pixels of the image, then the blocks, then the images. Channels past the last real one are zero and stay
//! zero, so no kernel has a tail.
#![deny(unsafe_code)]

pub mod conv;
pub mod error;
pub mod gram;
pub mod half;
mod isa;
pub mod lanes;
pub mod level;
pub mod linear;
pub mod magnitude;
pub mod max_pool;
pub mod memory;
pub mod norm;
pub mod parallel;
pub mod pool;
mod register_tile;
pub mod rng;
pub mod roof;
pub mod spikes;
pub mod tensor;

pub use error::ShapeError;
pub use half::HalfTensor;
pub use lanes::{Kernel, Lanes};
pub use level::{Level, LevelError};
pub use magnitude::largest_magnitude;
pub use memory::NoMemory;
pub use parallel::{Scratch, Workers, Workspace};
pub use spikes::Spikes;
pub use tensor::{Block, Dims, LANES, Tensor};
