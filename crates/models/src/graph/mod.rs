//! A net as a graph of ops: spelled out, planned, run.
//!
//! | file | holds |
//! |---|---|
//! | `spec` | [`Graph`]: named ops and what each reads; [`OpSpec`] |
//! | `settings`, `text` | settings of ops, and their text form |
//! | `builder` | [`Builder`]: planning, from a graph to ops with sizes |
//! | `op` | [`Op`]: forward, backward, and what the planner has to know of them |
//! | `values` | [`Values`]: activations, under numbers |
//! | `execution` | [`Execution`]: what ops share while a pass runs |
//! | `buffers` | which gradients share a buffer, from what each op reads and writes |
//! | `saving` | [`Saved`]: what is kept between forward and backward |
//! | `size` | sizes that can be computed with |

mod buffers;
mod builder;
mod execution;
mod op;
mod saving;
mod settings;
mod size;
mod spec;
mod text;
mod values;

pub(crate) use builder::{Planned, Purpose, build};
pub(crate) use text::parse;

pub use builder::Builder;
pub use execution::{Context, Draw, Execution, Gradients};
pub use op::{Component, GradientUse, NeuronsPart, NormPart, Op, OpBytes, ProductPart, Read};
pub use saving::{Memory, Saved};
pub use settings::{Setting, Settings};
pub use spec::{Graph, Node, NodeId, OpSpec, Output};
pub use values::{Value, ValueId, Values};
