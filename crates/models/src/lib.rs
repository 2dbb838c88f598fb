//! Spiking networks: their layers, parameters by PyTorch's names, one training step, files.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | which net: kind, sizes, neuron, normalisation |
//! | [`memory`] | what is kept between forward and backward: floats, half floats, or bits alone |
//! | [`params`] | one flat allocation of weights and one of gradients, ranges with names |
//! | [`plan`], [`available`] | what a net costs before it runs, and the memory that there is |
//! | [`net`] | a planned net: every buffer, forward, backward |
//! | [`build`] | ResNet-19, VGGSNN, LeNet, MLP, a small event net and nets of one's own as lists of layers |
//! | [`stream`] | prediction step by step, with state that the caller owns |
//! | [`inspect`] | who looks on while gradients run; neurons and normalisation laid open |
//! | [`shapes`] | the kernels that a planned net runs, for benchmarks |
//! | [`spectral`] | measured Lipschitz constants: the largest singular value of each layer |
//! | [`operations`] | synaptic operations, counted from the spikes of a forward |
//! | [`energy`] | what an inference would cost, by the models of the literature |
//! | [`durable`] | files whole or not at all, checksums |
//! | [`safetensors`], [`names`] | files, and the authors' own parameter names |
#![forbid(unsafe_code)]

pub mod available;
pub mod build;
pub mod config;
pub mod durable;
pub mod energy;
mod foreign;
pub mod inspect;
mod json;
mod layers;
pub mod memory;
pub mod names;
pub mod net;
pub mod operations;
pub mod params;
pub mod plan;
pub mod safetensors;
pub mod shapes;
pub mod spectral;
pub mod stream;

pub use build::LayerSpec;
pub use config::{Init, Input, Kernels, NetConfig, NetKind, Norm};
pub use inspect::{NormInfo, UnitInfo};
pub use memory::Memory;
pub use net::Net;
pub use operations::{InputKind, LayerOperations, UnitSpikes};
pub use params::Params;
pub use plan::{Bytes, LayerReport, PlanReport};
pub use shapes::{KernelKind, KernelShape};
pub use spectral::{Lanczos, LipschitzConstant};
pub use stream::Stream;
