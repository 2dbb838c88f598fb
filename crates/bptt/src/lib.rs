//! Backpropagation through time for leaky integrate-and-fire neurons, with surrogate gradient scaling.
//!
//! | module | contents |
//! |---|---|
//! | [`surrogate`] | the seven base surrogates, their primitives, and a user's own |
//! | [`sgs`] | surrogate gradient scaling: the paper's equation 5 |
//! | [`lif`] | the neuron unrolled in time, forward and backward, fused with batch norm's affine map |
//! | [`loss`] | cross-entropy, TET, label smoothing |
//! | [`lipschitz`] | the orthogonality term and its gradient |
//! | [`optim`], [`schedule`] | SGD, Adam, AdamW; learning rates; clipping |
//! | [`bound`] | a bound that tells whether a step can leave the range of an `f32` |
#![forbid(unsafe_code)]

pub mod bound;
mod error;
pub mod lif;
pub mod lipschitz;
pub mod loss;
pub mod optim;
pub mod readout;
pub mod schedule;
pub mod sgs;
pub mod surrogate;

pub use bound::Largest;
pub use error::ConfigError;
pub use lif::{Activation, LifConfig, Reset};
pub use loss::{LossConfig, LossKind, UserLoss};
pub use optim::{Optimizer, UserOptimizer};
pub use readout::Readout;
pub use schedule::{Schedule, UserSchedule};
pub use surrogate::{Surrogate, UserSurrogate};
