//! Measurements: the machine's roofs, a net's kernels, whole training steps, and two measurements compared.
//!
//! | module | what |
//! |---|---|
//! | [`peak`] | multiply-adds and bytes a second at most |
//! | [`layers`] | every kernel of a net: [`subjects`] to time, [`sweep`] over densities, [`roofline`] |
//! | [`step`] | whole training steps |
//! | [`compare`] | two measurements: ratio, interval, test ([`crate::statistics`]) |

pub mod compare;
pub mod layers;
pub mod peak;
pub mod roofline;
mod rows;
pub mod step;
pub mod subjects;
pub mod sweep;
mod timing;

pub use timing::{check_rounds, threads};

use serde_json::Value;

/// What was measured: for programs and for people.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Figures as JSON.
    pub figures: Value,
    /// The same in words and tables.
    pub text: String,
}
