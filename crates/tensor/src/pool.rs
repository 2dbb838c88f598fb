//! Average pooling, global average pooling and flattening, forward and backward.

use crate::tensor::{Block, Dims, LANES, Tensor};
use crate::{ShapeError, Workers};
use std::ops::Range;

/// Average pooling over windows: y = Σ x / (numbers of the window).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvgPool {
    input: Dims,
    output: Dims,
    /// Rows and columns of windows that do not overlap; none where the windows follow from the size of the output.
    kernel: Option<(usize, usize)>,
}

impl AvgPool {
    /// Plans pooling of `input` by kh×kw windows that do not overlap; rows and columns left over are dropped.
    ///
    /// # Errors
    /// The window is empty or larger than the image.
    pub fn plan(input: Dims, kernel: (usize, usize)) -> Result<Self, ShapeError> {
        if kernel.0 == 0 || kernel.1 == 0 || kernel.0 > input.h || kernel.1 > input.w {
            return Err(ShapeError::Window { kernel, image: (input.h, input.w) });
        }
        let output = Dims { h: input.h / kernel.0, w: input.w / kernel.1, ..input };
        Ok(Self { input, output, kernel: Some(kernel) })
    }

    /// Plans pooling of `input` to an image of `rows`×`columns`: window i of o along a side of s pixels reaches from
    /// ⌊i·s/o⌋ to ⌈(i + 1)·s/o⌉, as in PyTorch, so that windows may overlap.
    ///
    /// # Errors
    /// A side of either image is 0.
    pub fn adaptive(input: Dims, (rows, columns): (usize, usize)) -> Result<Self, ShapeError> {
        if rows == 0 || columns == 0 || input.is_empty() {
            return Err(ShapeError::Window { kernel: (rows, columns), image: (input.h, input.w) });
        }
        Ok(Self { input, output: Dims { h: rows, w: columns, ..input }, kernel: None })
    }

    /// Size of the output.
    pub fn output(&self) -> Dims {
        self.output
    }

    /// Averages each window: y is overwritten.
    ///
    /// # Panics
    /// A size differs from the planned one.
    pub fn forward(&self, x: &Tensor, y: &mut Tensor, workers: &mut Workers) {
        assert_eq!((x.dims(), y.dims()), (self.input, self.output));
        let planes = x.blocks().chunks(self.input.pixels());
        workers.run(planes.zip(y.blocks_mut().chunks_mut(self.output.pixels())), |(x, y), _| {
            for (q, y) in y.iter_mut().enumerate() {
                let mut sum = Block::default();
                let (rows, columns) = self.window(q);
                let scale = 1.0 / (rows.len() * columns.len()) as f32;
                for p in self.pixels(rows, columns) {
                    (0..LANES).for_each(|l| sum.0[l] += x[p].0[l]);
                }
                sum.0.iter_mut().for_each(|x| *x *= scale);
                *y = sum;
            }
        });
    }

    /// Spreads the gradient: dx = Σ g / (numbers of the window) over the windows of a pixel, 0 in rows left over; dx is
    /// overwritten.
    ///
    /// # Panics
    /// A size differs from the planned one.
    pub fn backward(&self, g: &Tensor, dx: &mut Tensor, workers: &mut Workers) {
        assert_eq!((g.dims(), dx.dims()), (self.output, self.input));
        let planes = g.blocks().chunks(self.output.pixels());
        workers.run(planes.zip(dx.blocks_mut().chunks_mut(self.input.pixels())), |(g, dx), _| {
            dx.fill(Block::default());
            for (q, g) in g.iter().enumerate() {
                let (rows, columns) = self.window(q);
                let scale = 1.0 / (rows.len() * columns.len()) as f32;
                let spread = Block(g.0.map(|g| g * scale));
                for p in self.pixels(rows, columns) {
                    match self.kernel {
                        Some(_) => dx[p] = spread,
                        None => dx[p].0.iter_mut().zip(spread.0).for_each(|(dx, g)| *dx += g),
                    }
                }
            }
        });
    }

    /// Input rows and columns of output pixel q.
    fn window(&self, q: usize) -> (Range<usize>, Range<usize>) {
        let (row, column) = (q / self.output.w, q % self.output.w);
        match self.kernel {
            Some((h, w)) => (row * h..(row + 1) * h, column * w..(column + 1) * w),
            None => {
                let span = |i: usize, side: usize, outputs: usize| {
                    i * side / outputs..((i + 1) * side).div_ceil(outputs)
                };
                (span(row, self.input.h, self.output.h), span(column, self.input.w, self.output.w))
            }
        }
    }

    /// Pixels of the input in rows and columns.
    fn pixels(&self, rows: Range<usize>, columns: Range<usize>) -> impl Iterator<Item = usize> {
        let w = self.input.w;
        rows.flat_map(move |row| columns.clone().map(move |column| row * w + column))
    }
}

/// Reorders an image to one feature vector in the order channel, row, column, as PyTorch's `flatten`.
///
/// # Panics
/// `y` has not one feature for each number of an image, or another number of images.
pub fn flatten(x: &Tensor, y: &mut Tensor) {
    let (d, features) = (x.dims(), y.dims());
    assert_eq!((features.n, features.c, features.pixels()), (d.n, d.c * d.pixels(), 1));
    let hw = d.pixels();
    for (x, y) in x.blocks().chunks(d.image_blocks()).zip(y.blocks_mut().chunks_mut(features.blocks())) {
        y.fill(Block::default());
        for f in 0..features.c {
            let (c, p) = (f / hw, f % hw);
            y[f / LANES].0[f % LANES] = x[c / LANES * hw + p].0[c % LANES];
        }
    }
}

/// Brings a feature gradient back to the image's order; dx is overwritten.
///
/// # Panics
/// `g` has not one feature for each number of an image, or another number of images.
pub fn flatten_backward(g: &Tensor, dx: &mut Tensor) {
    let (d, features) = (dx.dims(), g.dims());
    assert_eq!((features.n, features.c, features.pixels()), (d.n, d.c * d.pixels(), 1));
    let hw = d.pixels();
    for (g, dx) in g.blocks().chunks(features.blocks()).zip(dx.blocks_mut().chunks_mut(d.image_blocks())) {
        dx.fill(Block::default());
        for f in 0..features.c {
            let (c, p) = (f / hw, f % hw);
            dx[c / LANES * hw + p].0[c % LANES] = g[f / LANES].0[f % LANES];
        }
    }
}
