//! Average pooling without padding, and the global average.
//!
//! ```text
//! y[n,c,oy,ox] = 1/k² · Σ_{ky,kx < k} x[n, c, oy·s + ky, ox·s + kx]
//! ```
//!
//! Rows and columns that no window reaches are ignored (PyTorch's `ceil_mode = false`); their gradient is 0.

/// Sizes of an average pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Planes: images × channels.
    pub planes: usize,
    /// Input height.
    pub h: usize,
    /// Input width.
    pub w: usize,
    /// Window height and width.
    pub k: usize,
    /// Step between two windows.
    pub stride: usize,
}

impl Pool {
    /// Output height.
    pub fn out_h(&self) -> usize {
        (self.h - self.k) / self.stride + 1
    }

    /// Output width.
    pub fn out_w(&self) -> usize {
        (self.w - self.k) / self.stride + 1
    }

    /// Number of input values.
    pub fn x_len(&self) -> usize {
        self.planes * self.h * self.w
    }

    /// Number of output values.
    pub fn y_len(&self) -> usize {
        self.planes * self.out_h() * self.out_w()
    }

    /// Calls `tap(position in x, position in y)` for every value that enters a window.
    pub fn for_each_tap(&self, mut tap: impl FnMut(usize, usize)) {
        let (oh, ow) = (self.out_h(), self.out_w());
        for p in 0..self.planes {
            for oy in 0..oh {
                for ox in 0..ow {
                    for ky in 0..self.k {
                        for kx in 0..self.k {
                            let (y, x) = (oy * self.stride + ky, ox * self.stride + kx);
                            tap((p * self.h + y) * self.w + x, (p * oh + oy) * ow + ox);
                        }
                    }
                }
            }
        }
    }
}

/// Averages every window of `x`.
///
/// # Panics
/// The slice has another length than `pool` says.
pub fn avg_pool_forward(pool: &Pool, x: &[f64]) -> Vec<f64> {
    assert_eq!(x.len(), pool.x_len(), "size of x");
    let mut y = vec![0.0; pool.y_len()];
    pool.for_each_tap(|xi, yi| y[yi] += x[xi] / (pool.k * pool.k) as f64);
    y
}

/// Gradient with respect to the input of [`avg_pool_forward`].
///
/// # Panics
/// The slice has another length than `pool` says.
pub fn avg_pool_backward(pool: &Pool, g: &[f64]) -> Vec<f64> {
    assert_eq!(g.len(), pool.y_len(), "size of g");
    let mut dx = vec![0.0; pool.x_len()];
    pool.for_each_tap(|xi, yi| dx[xi] += g[yi] / (pool.k * pool.k) as f64);
    dx
}

/// Averages each plane of `hw` values to one number.
pub fn global_avg_forward(x: &[f64], hw: usize) -> Vec<f64> {
    x.chunks(hw).map(|plane| plane.iter().sum::<f64>() / hw as f64).collect()
}

/// Gradient with respect to the input of [`global_avg_forward`].
pub fn global_avg_backward(g: &[f64], hw: usize) -> Vec<f64> {
    g.iter().flat_map(|&g| std::iter::repeat_n(g / hw as f64, hw)).collect()
}
