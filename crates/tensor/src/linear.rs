//! Fully connected layers and plain matrix products, through `matrixmultiply`.

use crate::tensor::{Dims, LANES, Tensor};
use matrixmultiply::sgemm;

/// A row-major view of a matrix, possibly transposed: element (r, c) is `data[r · row + c · col]`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// The numbers.
    pub data: &'a [f32],
    /// Rows and columns.
    pub size: (usize, usize),
    /// Distance of neighbours along a column and along a row.
    pub strides: (usize, usize),
}

impl<'a> Matrix<'a> {
    /// Views `data` as rows×columns, rows `row_stride` apart.
    pub fn new(data: &'a [f32], size: (usize, usize), row_stride: usize) -> Self {
        Self { data, size, strides: (row_stride, 1) }
    }

    /// Swaps rows and columns.
    pub fn t(self) -> Self {
        let ((r, c), (rs, cs)) = (self.size, self.strides);
        Self { data: self.data, size: (c, r), strides: (cs, rs) }
    }

    /// Returns a view of some of the rows.
    ///
    /// # Panics
    /// The matrix has no such rows.
    pub fn rows(self, rows: std::ops::Range<usize>) -> Self {
        let ((r, c), (rs, _)) = (self.size, self.strides);
        assert!(rows.start < rows.end && rows.end <= r);
        Self { data: &self.data[rows.start * rs..], size: (rows.len(), c), strides: self.strides }
    }

    fn span(&self) -> usize {
        let ((r, c), (rs, cs)) = (self.size, self.strides);
        if r == 0 || c == 0 { 0 } else { (r - 1) * rs + (c - 1) * cs + 1 }
    }
}

/// C = α·A·B + β·C, C row-major with rows `c_stride` apart.
///
/// With β = 0, C may hold NaN on entry.
///
/// # Panics
/// The sizes do not agree, or a slice is too short.
#[allow(unsafe_code)]
pub fn gemm(alpha: f32, a: Matrix<'_>, b: Matrix<'_>, beta: f32, c: &mut [f32], c_stride: usize) {
    let ((m, k), (kb, n)) = (a.size, b.size);
    assert_eq!(k, kb, "A has {k} columns, B has {kb} rows");
    assert!(a.data.len() >= a.span() && b.data.len() >= b.span() && c_stride >= n);
    assert!(m == 0 || n == 0 || c.len() >= (m - 1) * c_stride + n);
    let s = |x: usize| x as isize;
    // SAFETY: the spans of A, B and C, checked above, lie inside their slices; rows of C do not overlap.
    unsafe {
        let (pa, pb) = (a.data.as_ptr(), b.data.as_ptr());
        let (sa, sb) = (a.strides, b.strides);
        let pc = c.as_mut_ptr();
        sgemm(m, k, n, alpha, pa, s(sa.0), s(sa.1), pb, s(sb.0), s(sb.1), beta, pc, s(c_stride), 1);
    }
}

/// Up to this number of rows `linear` computes dot products: packing matrices would cost more than multiplying them.
const FEW: usize = 4;

/// y = x·Wᵀ + b for feature vectors x (n, in), W (out, in), b (out), or none: y is overwritten.
///
/// Numerics: sums are taken in one order up to four rows, and in another beyond; otherwise a row's result does not depend
/// on the number of rows. Up to four rows nothing is allocated.
///
/// # Panics
/// An argument is no feature vector (one pixel an image), or `bias` is not empty and has not one number for each output.
pub fn linear(x: &Tensor, weight: &[f32], bias: &[f32], y: &mut Tensor) {
    let (xd, yd) = (features(x.dims()), features(y.dims()));
    let w = Matrix::new(weight, (yd.c, xd.c), xd.c);
    let stride = yd.blocks() * LANES;
    for row in y.floats_mut().chunks_mut(stride) {
        match bias.is_empty() {
            true => row.fill(0.0),
            false => row[..yd.c].copy_from_slice(bias),
        }
        row[yd.c..].fill(0.0);
    }
    if xd.n <= FEW {
        return dots(x, weight, y);
    }
    let x = Matrix::new(x.floats(), (xd.n, xd.c), xd.blocks() * LANES);
    gemm(1.0, x, w.t(), 1.0, y.floats_mut(), stride);
}

/// Adds x·Wᵀ to y and reads each row of W once: sixteen lanes are summed by themselves, then added up.
fn dots(x: &Tensor, weight: &[f32], y: &mut Tensor) {
    let (inputs, stride) = (x.dims().c, y.dims().blocks() * LANES);
    let rows = x.floats().chunks(x.dims().blocks() * LANES);
    for (o, w) in weight.chunks(inputs).enumerate() {
        let (blocks, rest) = w.as_chunks::<LANES>();
        for (n, x) in rows.clone().enumerate() {
            let mut sums = [0.0f32; LANES];
            let (x, last) = x.split_at(blocks.len() * LANES);
            for (x, w) in x.as_chunks::<LANES>().0.iter().zip(blocks) {
                (0..LANES).for_each(|l| sums[l] += x[l] * w[l]);
            }
            sums.iter_mut().zip(last.iter().zip(rest)).for_each(|(sum, (x, w))| *sum += x * w);
            y.floats_mut()[n * stride + o] += sums.iter().sum::<f32>();
        }
    }
}

/// Computes the input's gradient, dx = g·W: dx is overwritten.
///
/// # Panics
/// An argument is no feature vector, or the sizes do not agree.
pub fn linear_backward_input(g: &Tensor, weight: &[f32], dx: &mut Tensor) {
    let (gd, xd) = (features(g.dims()), features(dx.dims()));
    let w = Matrix::new(weight, (gd.c, xd.c), xd.c);
    let g = Matrix::new(g.floats(), (gd.n, gd.c), gd.blocks() * LANES);
    let stride = xd.blocks() * LANES;
    gemm(1.0, g, w, 0.0, dx.floats_mut(), stride);
    dx.floats_mut().chunks_mut(stride).for_each(|row| row[xd.c..].fill(0.0));
}

/// Adds the gradients of weight and bias: dW += gᵀ·x and db += Σ_n g; `db` is empty where there is no bias.
///
/// # Panics
/// An argument is no feature vector, or the sizes do not agree.
pub fn linear_backward_weight(x: &Tensor, g: &Tensor, dw: &mut [f32], db: &mut [f32]) {
    let (gd, xd) = (features(g.dims()), features(x.dims()));
    let stride = gd.blocks() * LANES;
    let gm = Matrix::new(g.floats(), (gd.n, gd.c), stride);
    gemm(1.0, gm.t(), Matrix::new(x.floats(), (xd.n, xd.c), xd.blocks() * LANES), 1.0, dw, xd.c);
    for row in g.floats().chunks(stride) {
        db.iter_mut().zip(row).for_each(|(db, g)| *db += g);
    }
}

fn features(d: Dims) -> Dims {
    assert_eq!(d.pixels(), 1, "a linear layer reads feature vectors, got {d:?}");
    d
}
