//! Exercise 4: the gradient of a convolution at its input.
//!
//! ```text
//! y[o, r, c] = Σ over i, a, b of  w[o, i, a, b] · x[i, r·s + a − p, c·s + b − p]
//! ```
//! with stride s and padding p; x is zero outside the image. Each product gives its x a share of the gradient of its y.

use spikegrad_testkit::conv::Conv;
use std::process::ExitCode;

/// ∂L/∂x (ci × h × w) for one image, from `g` = ∂L/∂y (co × out_h × out_w) and `weight` (co × ci × k × k).
pub fn conv_input_gradient(size: &Conv, g: &[f64], weight: &[f64]) -> Vec<f64> {
    let Conv { ci, h, w, co, k, stride, pad, .. } = *size;
    let (rows, columns) = (size.out_h(), size.out_w());
    let mut dx = vec![0.0; ci * h * w];
    for o in 0..co {
        for i in 0..ci {
            for (r, c) in (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c))) {
                for (a, b) in (0..k).flat_map(|a| (0..k).map(move |b| (a, b))) {
                    let gradient = g[(o * rows + r) * columns + c] * weight[((o * ci + i) * k + a) * k + b];
                    // BLANK: add the product to the x that it came from. Which row and column is that, and what if
                    // there is none?
                    let _ = (stride, pad, gradient);
                    dx[i * h * w] = f64::NAN;
                }
            }
        }
    }
    dx
}

/// Grades the exercise.
pub fn main() -> ExitCode {
    let grade = spikegrad_testkit::exercise::conv_input_gradient(conv_input_gradient);
    spikegrad_testkit::exercise::grade("conv_input_gradient", grade)
}
