//! Fully connected layer.
//!
//! ```text
//! y[n,o] = Σ_i x[n,i]·w[o,i] + b[o]
//! ```
//!
//! | array | shape |
//! |---|---|
//! | `x` | n × inputs |
//! | `wt` | outputs × inputs |
//! | `bias` | outputs |
//! | `y`, `g` | n × outputs |

/// Sizes of a fully connected layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linear {
    /// Rows of the input (time steps × batch).
    pub n: usize,
    /// Values of one input row.
    pub inputs: usize,
    /// Values of one output row.
    pub outputs: usize,
}

/// Multiplies by the weights and adds the bias; an empty `bias` stands for none.
///
/// # Panics
/// A slice has another length than `linear` says.
pub fn linear_forward(linear: &Linear, x: &[f64], wt: &[f64], bias: &[f64]) -> Vec<f64> {
    let Linear { n, inputs, outputs } = *linear;
    assert_eq!((x.len(), wt.len()), (n * inputs, outputs * inputs), "sizes of x and wt");
    let mut y = vec![0.0; n * outputs];
    for b in 0..n {
        for o in 0..outputs {
            let mut sum = bias.get(o).copied().unwrap_or(0.0);
            for i in 0..inputs {
                sum += x[b * inputs + i] * wt[o * inputs + i];
            }
            y[b * outputs + o] = sum;
        }
    }
    y
}

/// Gradient with respect to the input.
pub fn linear_input_grad(linear: &Linear, g: &[f64], wt: &[f64]) -> Vec<f64> {
    let Linear { n, inputs, outputs } = *linear;
    let mut dx = vec![0.0; n * inputs];
    for b in 0..n {
        for o in 0..outputs {
            for i in 0..inputs {
                dx[b * inputs + i] += g[b * outputs + o] * wt[o * inputs + i];
            }
        }
    }
    dx
}

/// Gradient with respect to the weights.
pub fn linear_weight_grad(linear: &Linear, x: &[f64], g: &[f64]) -> Vec<f64> {
    let Linear { n, inputs, outputs } = *linear;
    let mut dw = vec![0.0; outputs * inputs];
    for b in 0..n {
        for o in 0..outputs {
            for i in 0..inputs {
                dw[o * inputs + i] += g[b * outputs + o] * x[b * inputs + i];
            }
        }
    }
    dw
}

/// Gradient with respect to the bias: the sum of `g` over the rows.
pub fn linear_bias_grad(linear: &Linear, g: &[f64]) -> Vec<f64> {
    let mut db = vec![0.0; linear.outputs];
    for row in g.chunks(linear.outputs) {
        for (db, g) in db.iter_mut().zip(row) {
            *db += g;
        }
    }
    db
}
