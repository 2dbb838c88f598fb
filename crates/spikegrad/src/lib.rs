//! Train spiking neural networks on a CPU, every gradient proven.
//!
//! | to | begin with |
//! |---|---|
//! | train on batches of one's own | [`Trainer::fit`], or [`Trainer::train_batch`] one at a time |
//! | train by hand, with a gradient of one's own | [`Trainer::forward`], [`Trainer::backward`], [`Trainer::accumulate`], [`Trainer::apply`] |
//! | read a stream step by step | [`Predictor`], [`models::Stream`] |
//! | choose a net, or spell one out | [`models::NetConfig`], [`models::LayerSpec`], [`models::Graph`] |
//! | choose a neuron, or a surrogate of one's own | [`bptt::LifConfig`], [`bptt::UserSurrogate`] |
//! | save, load, take weights from PyTorch | [`Trainer::save_weights`], [`Trainer::load_weights`], [`files`] |
//! | look at neurons and gradients while they run | [`Trainer::observe`], [`microscope`] |
//! | check gradients | [`gradcheck`], [`parity`] |
//! | know what a net costs before it runs | [`Trainer::plan`] |
//!
//! | crate | what it has |
//! |---|---|
//! | [`tensor`] | tensors, bit-packed spikes, kernels, instruction sets, threads |
//! | [`bptt`] | the neuron in time, surrogates, surrogate gradient scaling, losses, optimisers |
//! | [`models`] | nets as graphs of operations, parameters, files, streams |
//! | `data`, with the feature of that name | data sets, augmentation, batches |
//!
//! Every equation has an alias for the search of this page: `eq5` finds equation 5 of the paper, `eq-lif` the neuron.
//!
//! ```
//! use spikegrad::prelude::*;
//!
//! let net = NetConfig::new(NetKind::Mlp, 1, 4, 4, 2).scale(0.25);
//! let config = TrainConfig::new(net).batch(8).lr(5e-3).epochs(20);
//! let mut trainer = Trainer::new(config, Level::detect()?)?;
//!
//! // Class 1 is bright on the left, class 0 on the right.
//! let labels: Vec<u32> = (0..8).map(|i| i % 2).collect();
//! let pixel = |i: usize, p: usize| if (p % 4 < 2) == (labels[i] == 1) { 1.0 } else { -0.1 * i as f32 };
//! let images: Vec<f32> = (0..8 * 16).map(|k| pixel(k / 16, k % 16)).collect();
//!
//! for epoch in 0..20 {
//!     trainer.train_batch(&images, &labels, f64::from(epoch))?;
//! }
//! let logits = trainer.predict(&images)?;
//! let hits = logits.chunks(2).zip(&labels).filter(|(z, y)| (z[1] > z[0]) == (**y == 1)).count();
//! assert_eq!(hits, 8);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod clock;
mod config;
mod error;
mod evaluate;
pub mod files;
mod fit;
pub mod gradcheck;
mod groups;
mod inputs;
pub mod microscope;
pub mod parity;
mod predictor;
mod steps;
mod threads;
mod trainer;

pub use config::TrainConfig;
pub use error::{BatchError, Error};
pub use evaluate::Evaluation;
pub use fit::{EpochReport, Position, Progress};
pub use groups::{ParamGroup, Select};
pub use predictor::Predictor;
pub use spikegrad_bptt as bptt;
#[cfg(feature = "data")]
pub use spikegrad_data as data;
pub use spikegrad_models as models;
pub use spikegrad_tensor as tensor;
pub use threads::with_threads;
pub use trainer::{StepReport, Trainer};

/// The types that most programs need.
pub mod prelude {
    pub use crate::bptt::UserSurrogate;
    pub use crate::bptt::{LifConfig, LossConfig, LossKind, Optimizer, Reset, Schedule, Surrogate};
    pub use crate::models::{Init, Input, LayerSpec, NetConfig, NetKind, Norm, Stream};
    pub use crate::tensor::Level;
    pub use crate::{
        EpochReport, Error, Predictor, Progress, StepReport, TrainConfig, Trainer, with_threads,
    };
}

/// The README's example, compiled and run with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// The page on embedding, whose code is compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/embedding.md")]
struct EmbeddingPage;
