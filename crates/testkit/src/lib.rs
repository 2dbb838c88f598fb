//! The slow, obvious version of every operation of spikegrad, once, in f64: oracle and teaching text.
//!
//! Everything here is a plain loop over plain slices, so that it can be read against the equation it states.
//! The fast kernels of the other crates are tested against it; it is itself tested against finite differences,
//! against adjoint identities, against a small reverse-mode autodiff ([`tape`]) and against training steps
//! that PyTorch computed.
//!
//! | module | contents |
//! |---|---|
//! | [`conv`], [`linear`], [`pool`], [`norm`] | the layers: forward, and backward beside it |
//! | [`surrogate`], [`lif`], [`neurons`] | the spiking neurons, the surrogate gradients and their scaling (SGS) |
//! | [`loss`], [`lipschitz`], [`optim`] | the loss and its Lipschitz term, and the optimiser's step |
//! | [`tape`] | reverse-mode autodiff over arrays, whose spike op applies the SGS rule |
//! | [`layout`], [`net`], [`text`] | whole nets on that tape, with PyTorch's parameter names, and their text form |
//! | [`exercise`] | a reader's gradients, graded |
//! | [`rng`], [`check`], [`temporary`] | random numbers, tolerances, finite differences, files of tests |
//!
//! Arrays are contiguous, `[T][N][C][H][W]`, with time folded into the batch wherever an operation has no
//! memory: `n` below stands for `T·N`.

#![forbid(unsafe_code)]

pub mod check;
pub mod conv;
pub mod exercise;
pub mod layout;
pub mod lif;
pub mod linear;
pub mod lipschitz;
pub mod loss;
pub mod net;
pub mod neurons;
pub mod norm;
pub mod optim;
pub mod pool;
pub mod rng;
pub mod surrogate;
pub mod tape;
pub mod temporary;
pub mod text;
