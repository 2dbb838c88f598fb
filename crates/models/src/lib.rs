//! Spiking networks: their layers, parameters by PyTorch's names, one training step, files.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | which net: architecture, sizes, neuron, normalisation, and its text form |
//! | [`graph`] | a net as a graph of ops: spelled out, planned, run |
//! | [`ops`] | the ops, one file each, forward beside backward |
//! | [`nets`] | the nets that have names, one file each, and their registry |
//! | [`params`] | one flat allocation of weights and one of gradients, ranges with names |
//! | [`net`], [`stream`] | a planned net: forward, backward; prediction step by step |
//! | [`plan`], [`available`] | what a net costs before it runs, and the memory that there is |
//! | [`inspect`] | neurons, norms, kernels, operations, energy, Lipschitz constants |
//! | [`durable`] | files whole or not at all, checksums |
//! | [`safetensors`], [`names`] | files, and the authors' own parameter names |
#![forbid(unsafe_code)]

pub mod available;
pub mod config;
pub mod durable;
mod foreign;
pub mod graph;
pub mod inspect;
mod json;
pub mod names;
pub mod net;
pub mod nets;
pub mod ops;
pub mod params;
pub mod plan;
pub mod safetensors;
pub mod stream;

pub use config::{Architecture, Init, Input, Kernels, NetConfig, Norm};
pub use graph::{Graph, Memory, NodeId};
pub use inspect::kernels::{KernelKind, KernelShape};
pub use inspect::operations::{InputKind, LayerOperations, UnitSpikes};
pub use inspect::spectral::{Lanczos, LipschitzConstant};
pub use inspect::{NormInfo, UnitInfo, energy};
pub use net::Net;
pub use nets::{LayerSpec, NetKind};
pub use params::Params;
pub use plan::{Bytes, LayerReport, PlanReport};
pub use stream::Stream;
