//! Lipschitz regularisation: pulls the rows of a weight matrix toward an orthonormal set.
//!
//! ```text
//! L_R = (β/2)·‖W Wᵀ − I‖²_F        ∂L_R/∂W = 2β·(W Wᵀ − I)·W        W: rows × cols = out × (in·k·k)
//! ```
//!
//! The value is taken from the smaller of the two Gram matrices, `Wᵀ W` when rows > cols: it is smaller by
//! `(β/2)·(rows − cols)` then, the part that no weights could remove. The gradient is the same for both.

/// `W Wᵀ − I` (rows × rows) of `wt` (rows × cols).
pub fn gram_minus_identity(wt: &[f64], rows: usize) -> Vec<f64> {
    let cols = wt.len() / rows;
    let mut gram = vec![0.0; rows * rows];
    for (i, wi) in wt.chunks(cols).enumerate() {
        for (j, wj) in wt.chunks(cols).enumerate() {
            let dot: f64 = wi.iter().zip(wj).map(|(a, b)| a * b).sum();
            gram[i * rows + j] = if i == j { dot - 1.0 } else { dot };
        }
    }
    gram
}

/// The matrix (rows × cols) with its axes exchanged.
pub fn transpose(wt: &[f64], rows: usize) -> Vec<f64> {
    let cols = wt.len() / rows;
    (0..wt.len()).map(|i| wt[i % rows * cols + i / rows]).collect()
}

/// Value `(β/2)·‖W Wᵀ − I‖²_F` for one weight with `rows` outputs, from the smaller Gram matrix.
pub fn lipschitz_value(wt: &[f64], rows: usize, beta: f64) -> f64 {
    let cols = wt.len() / rows;
    let gram = if rows <= cols {
        gram_minus_identity(wt, rows)
    } else {
        gram_minus_identity(&transpose(wt, rows), cols)
    };
    gram.iter().map(|a| a * a).sum::<f64>() * beta / 2.0
}

/// Gradient `2β·(W Wᵀ − I)·W`.
pub fn lipschitz_grad(wt: &[f64], rows: usize, beta: f64) -> Vec<f64> {
    let cols = wt.len() / rows;
    let gram = gram_minus_identity(wt, rows);
    let mut grad = vec![0.0; wt.len()];
    for i in 0..rows {
        for j in 0..rows {
            for c in 0..cols {
                grad[i * cols + c] += 2.0 * beta * gram[i * rows + j] * wt[j * cols + c];
            }
        }
    }
    grad
}
