//! Max pooling, of values and of spikes, where it is an OR; forward and backward.
//!
//! ```text
//! y[q] = max over the window of q of x[p]          windows k×k, `stride` apart, over an image padded by −∞
//! ∂L/∂x[p] = Σ ∂L/∂y[q] over the windows q whose first largest element, in row order, is p
//! ```

use crate::tensor::{Block, Dims, LANES, Tensor};
use crate::{ShapeError, Spikes, Workers};
use std::ops::Range;

/// Max pooling over square windows. Rows and columns that no window reaches are left out, as in PyTorch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool {
    input: Dims,
    output: Dims,
    kernel: usize,
    stride: usize,
    padding: usize,
}

impl MaxPool {
    /// Plans pooling of `input` by windows of side `kernel`, `stride` apart.
    ///
    /// # Errors
    /// The window or the stride is 0, the padding is more than half of the window, or the window is larger than the
    /// padded image.
    pub fn plan(input: Dims, kernel: usize, stride: usize, padding: usize) -> Result<Self, ShapeError> {
        let Dims { h, w, .. } = input;
        if kernel == 0 || stride == 0 || padding > kernel / 2 {
            return Err(ShapeError::Pooling { kernel, stride, padding });
        }
        let padded = |side: usize| side.checked_add(2 * padding).filter(|&side| side >= kernel);
        match (padded(h), padded(w)) {
            (Some(ph), Some(pw)) if !input.is_empty() => {
                let output = Dims { h: (ph - kernel) / stride + 1, w: (pw - kernel) / stride + 1, ..input };
                Ok(Self { input, output, kernel, stride, padding })
            }
            _ => Err(ShapeError::Window { kernel: (kernel, kernel), image: (h, w) }),
        }
    }

    /// Size of the output.
    pub fn output(&self) -> Dims {
        self.output
    }

    /// Computes the largest number of each window: y is overwritten. A NaN is larger than any number.
    ///
    /// # Panics
    /// The sizes differ from those planned.
    pub fn forward(&self, x: &Tensor, y: &mut Tensor, workers: &mut Workers) {
        assert_eq!((x.dims(), y.dims()), (self.input, self.output));
        let planes = x.blocks().chunks(self.input.pixels());
        workers.run(planes.zip(y.blocks_mut().chunks_mut(self.output.pixels())), |(x, y), _| {
            for (q, y) in y.iter_mut().enumerate() {
                *y = x[self.first(q)];
                self.for_window(q, |p| {
                    y.0.iter_mut().zip(x[p].0).filter(|(y, x)| is_larger(*x, **y)).for_each(|(y, x)| *y = x);
                });
            }
        });
    }

    /// Computes the OR of each window's spikes: y is overwritten.
    ///
    /// # Panics
    /// The sizes differ from those planned.
    pub fn forward_spikes(&self, x: &Spikes, y: &mut Spikes, workers: &mut Workers) {
        assert_eq!((x.dims(), y.dims()), (self.input, self.output));
        let planes = x.words().chunks(self.input.pixels());
        workers.run(planes.zip(y.words_mut().chunks_mut(self.output.pixels())), |(x, y), _| {
            for (q, y) in y.iter_mut().enumerate() {
                *y = 0;
                self.for_window(q, |p| *y |= x[p]);
            }
        });
    }

    /// Brings each gradient to the first largest element of its window: dx is overwritten.
    ///
    /// # Panics
    /// The sizes differ from those planned.
    pub fn backward(&self, x: &Tensor, g: &Tensor, dx: &mut Tensor, workers: &mut Workers) {
        assert_eq!((x.dims(), g.dims(), dx.dims()), (self.input, self.output, self.input));
        let planes = x.blocks().chunks(self.input.pixels());
        self.route(g, dx, workers, planes, |x: &[Block], q| {
            let (mut at, mut most) = ([self.first(q); LANES], x[self.first(q)]);
            self.for_window(q, |p| {
                for (l, x) in x[p].0.into_iter().enumerate() {
                    if is_larger(x, most.0[l]) {
                        (at[l], most.0[l]) = (p, x);
                    }
                }
            });
            at
        });
    }

    /// Brings each gradient to the first spike of its window, or to its first pixel where there is none: dx is
    /// overwritten.
    ///
    /// # Panics
    /// The sizes differ from those planned.
    pub fn backward_spikes(&self, x: &Spikes, g: &Tensor, dx: &mut Tensor, workers: &mut Workers) {
        assert_eq!((x.dims(), g.dims(), dx.dims()), (self.input, self.output, self.input));
        let planes = x.words().chunks(self.input.pixels());
        self.route(g, dx, workers, planes, |x: &[u16], q| {
            let (mut at, mut found) = ([self.first(q); LANES], 0u16);
            self.for_window(q, |p| {
                let new = x[p] & !found;
                (0..LANES).filter(|l| new >> l & 1 == 1).for_each(|l| at[l] = p);
                found |= new;
            });
            at
        });
    }

    /// Adds each gradient at the pixels, one a lane, that `winner` names for its window.
    fn route<X: Copy + Send>(
        &self,
        g: &Tensor,
        dx: &mut Tensor,
        workers: &mut Workers,
        planes: impl Iterator<Item = X> + Send,
        winner: impl Fn(X, usize) -> [usize; LANES] + Sync,
    ) {
        let gradients = g.blocks().chunks(self.output.pixels());
        let tasks = planes.zip(gradients).zip(dx.blocks_mut().chunks_mut(self.input.pixels()));
        workers.run(tasks, |((x, g), dx), _| {
            dx.fill(Block::default());
            for (q, g) in g.iter().enumerate() {
                for (l, p) in winner(x, q).into_iter().enumerate() {
                    dx[p].0[l] += g.0[l];
                }
            }
        });
    }

    /// Returns the rows (or columns) of the image in the window of output row (or column) `q`.
    fn span(&self, q: usize, side: usize) -> Range<usize> {
        let begin = q * self.stride;
        begin.saturating_sub(self.padding)..(begin + self.kernel).saturating_sub(self.padding).min(side)
    }

    /// The first pixel of the window of output pixel `q`.
    fn first(&self, q: usize) -> usize {
        let rows = self.span(q / self.output.w, self.input.h);
        rows.start * self.input.w + self.span(q % self.output.w, self.input.w).start
    }

    /// Visits the pixels of a window in row order.
    fn for_window(&self, q: usize, mut visit: impl FnMut(usize)) {
        let columns = self.span(q % self.output.w, self.input.w);
        for row in self.span(q / self.output.w, self.input.h) {
            columns.clone().for_each(|column| visit(row * self.input.w + column));
        }
    }
}

fn is_larger(x: f32, most: f32) -> bool {
    x > most || x.is_nan() && !most.is_nan()
}
