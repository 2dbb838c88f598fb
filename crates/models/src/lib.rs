//! Spiking networks: their layers, parameters by PyTorch's names, one training step, files.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | which net: kind, sizes, neuron, normalisation |
//! | [`memory`] | what is kept between forward and backward: floats, half floats, or bits alone |
//! | [`params`] | one flat allocation of weights and one of gradients, ranges with names |
//! | [`net`] | a planned net: every buffer, forward, backward |
//! | [`build`] | ResNet-19, VGGSNN, LeNet, MLP and a small event net as lists of layers |
//! | [`shapes`] | the kernels that a planned net runs, for benchmarks |
//! | [`safetensors`], [`names`] | files, and the authors' own parameter names |
#![forbid(unsafe_code)]

pub mod build;
pub mod config;
mod json;
mod layers;
pub mod memory;
pub mod names;
pub mod net;
pub mod params;
pub mod safetensors;
pub mod shapes;

pub use config::{Init, Input, Kernels, NetConfig, NetKind, Norm};
pub use memory::Memory;
pub use net::{Bytes, LayerReport, Net, PlanReport};
pub use params::Params;
pub use shapes::{KernelKind, KernelShape};
