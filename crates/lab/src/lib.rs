//! Experiments on spiking nets, without a command line: what the `spikegrad` command does, to be called.
//!
//! | module | what |
//! |---|---|
//! | [`settings`] | from a [`settings::RunConfig`] and a TOML file to a checked configuration; the one table of defaults |
//! | [`dataset`], [`score`](mod@score) | training and scoring images; accuracy, loss, confusion |
//! | [`run`] | training runs and their folders, with exact resume at any batch |
//! | [`checkpoint`], [`export`] | a trained net to look at; its weights under PyTorch's names |
//! | [`ablate`], [`robustness`], [`energy`] | the paper's experiments |
//! | [`gradcheck`], [`adjoint`], [`oracle`] | gradients against an f64 reference, differences and identities |
//! | [`doctor`], [`trace`] | neurons and gradients, step by step; what stands out |
//! | [`mod@bench`], [`statistics`] | speed, and whether a difference is chance |
//! | [`film`], [`recording`] | event recordings: made, summed up |
//!
//! An experiment hears from and tells the program around it by a [`Monitor`]; [`Silent`] is one that does neither. Charts and
//! pages come from the crate `spikegrad-report`.
#![forbid(unsafe_code)]

pub mod ablate;
pub mod adjoint;
pub mod bench;
pub mod checkpoint;
pub mod dataset;
pub mod doctor;
pub mod energy;
mod error;
pub mod export;
pub mod files;
pub mod film;
pub mod gradcheck;
mod monitor;
pub mod oracle;
pub mod recording;
pub mod robustness;
pub mod run;
pub mod score;
pub mod settings;
pub mod statistics;
pub mod trace;

pub use checkpoint::{Checkpoint, Opening};
pub use error::{Cause, Error, Result};
pub use monitor::{Monitor, Outline, Silent};
