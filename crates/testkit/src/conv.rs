//! Two-dimensional convolution (cross-correlation, as in every deep-learning framework), square kernel.
//!
//! ```text
//! y[n,o,oy,ox] = Σ_{i,ky,kx} x[n, i, oy·s + ky − p, ox·s + kx − p] · w[o,i,ky,kx]
//! ```
//!
//! | array | shape |
//! |---|---|
//! | `x` | n × ci × h × w |
//! | `wt` | co × ci × k × k |
//! | `y`, `g` | n × co × out_h × out_w |
//!
//! The three passes run over the same list of *taps* (triples of positions in x, w and y that meet in one
//! product) and differ in one line, in which one of the three is the result.

/// Sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Images (time steps × batch).
    pub n: usize,
    /// Input channels.
    pub ci: usize,
    /// Input height.
    pub h: usize,
    /// Input width.
    pub w: usize,
    /// Output channels.
    pub co: usize,
    /// Kernel height and width.
    pub k: usize,
    /// Step between two applications of the kernel.
    pub stride: usize,
    /// Zeros added on each side.
    pub pad: usize,
}

impl Conv {
    /// Output height, `(h + 2p − k) / s + 1` rounded down.
    pub fn out_h(&self) -> usize {
        (self.h + 2 * self.pad - self.k) / self.stride + 1
    }

    /// Output width.
    pub fn out_w(&self) -> usize {
        (self.w + 2 * self.pad - self.k) / self.stride + 1
    }

    /// Number of input values.
    pub fn x_len(&self) -> usize {
        self.n * self.ci * self.h * self.w
    }

    /// Number of weights.
    pub fn w_len(&self) -> usize {
        self.co * self.ci * self.k * self.k
    }

    /// Number of output values.
    pub fn y_len(&self) -> usize {
        self.n * self.co * self.out_h() * self.out_w()
    }

    /// Calls `tap(position in x, position in w, position in y)` for every product of the convolution.
    pub fn for_each_tap(&self, mut tap: impl FnMut(usize, usize, usize)) {
        let Conv { n, ci, h, w, co, k, stride, pad } = *self;
        let (oh, ow) = (self.out_h(), self.out_w());
        for b in 0..n {
            for o in 0..co {
                for i in 0..ci {
                    for ky in 0..k {
                        for kx in 0..k {
                            let wi = ((o * ci + i) * k + ky) * k + kx;
                            // Columns whose image column ox·s + kx − p exists.
                            let first = pad.saturating_sub(kx).div_ceil(stride);
                            let last = (w + pad).saturating_sub(kx).div_ceil(stride).min(ow);
                            for oy in 0..oh {
                                // Row of the image, still counted from the padded edge.
                                let py = oy * stride + ky;
                                if py < pad || py >= h + pad {
                                    continue;
                                }
                                let x_row = ((b * ci + i) * h + py - pad) * w;
                                let y_row = ((b * co + o) * oh + oy) * ow;
                                for ox in first..last {
                                    tap(x_row + ox * stride + kx - pad, wi, y_row + ox);
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Convolves `x` with `wt`.
///
/// # Panics
/// A slice has another length than `conv` says.
pub fn conv_forward(conv: &Conv, x: &[f64], wt: &[f64]) -> Vec<f64> {
    assert_eq!((x.len(), wt.len()), (conv.x_len(), conv.w_len()), "sizes of x and wt");
    let mut y = vec![0.0; conv.y_len()];
    conv.for_each_tap(|xi, wi, yi| y[yi] += x[xi] * wt[wi]);
    y
}

/// Gradient with respect to the input, given the gradient `g` at the output.
///
/// # Panics
/// A slice has another length than `conv` says.
pub fn conv_input_grad(conv: &Conv, g: &[f64], wt: &[f64]) -> Vec<f64> {
    assert_eq!((g.len(), wt.len()), (conv.y_len(), conv.w_len()), "sizes of g and wt");
    let mut dx = vec![0.0; conv.x_len()];
    conv.for_each_tap(|xi, wi, yi| dx[xi] += g[yi] * wt[wi]);
    dx
}

/// Gradient with respect to the weights, given the gradient `g` at the output.
///
/// # Panics
/// A slice has another length than `conv` says.
pub fn conv_weight_grad(conv: &Conv, x: &[f64], g: &[f64]) -> Vec<f64> {
    assert_eq!((x.len(), g.len()), (conv.x_len(), conv.y_len()), "sizes of x and g");
    let mut dw = vec![0.0; conv.w_len()];
    conv.for_each_tap(|xi, wi, yi| dw[wi] += x[xi] * g[yi]);
    dw
}

/// Adds a number to each channel: `x` (n × c × `hw`), `bias` (c).
pub fn bias_forward(hw: usize, x: &[f64], bias: &[f64]) -> Vec<f64> {
    let plane =
        |(k, plane): (usize, &[f64])| plane.iter().map(|x| x + bias[k % bias.len()]).collect::<Vec<_>>();
    x.chunks(hw).enumerate().flat_map(plane).collect()
}

/// Gradient with respect to the bias of [`bias_forward`]: each channel's sum.
pub fn bias_grad(c: usize, hw: usize, g: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0; c];
    g.chunks(hw).enumerate().for_each(|(k, plane)| sums[k % c] += plane.iter().sum::<f64>());
    sums
}
