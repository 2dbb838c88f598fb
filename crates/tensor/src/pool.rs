//! Average pooling, global average pooling and flattening, forward and backward.

use crate::tensor::{Block, Dims, LANES, Tensor};
use crate::{ShapeError, Workers};

/// Average pooling over kh×kw windows that do not overlap: y = Σ x / (kh·kw); rows and columns left over are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvgPool {
    input: Dims,
    output: Dims,
    kernel: (usize, usize),
}

impl AvgPool {
    /// Plans pooling of `input` by `kernel`.
    ///
    /// # Errors
    /// The window is empty or larger than the image.
    pub fn plan(input: Dims, kernel: (usize, usize)) -> Result<Self, ShapeError> {
        if kernel.0 == 0 || kernel.1 == 0 || kernel.0 > input.h || kernel.1 > input.w {
            return Err(ShapeError::Window { kernel, image: (input.h, input.w) });
        }
        let output = Dims { h: input.h / kernel.0, w: input.w / kernel.1, ..input };
        Ok(Self { input, output, kernel })
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
        let scale = 1.0 / (self.kernel.0 * self.kernel.1) as f32;
        let planes = x.blocks().chunks(self.input.pixels());
        workers.run(planes.zip(y.blocks_mut().chunks_mut(self.output.pixels())), |(x, y), _| {
            for (q, y) in y.iter_mut().enumerate() {
                let mut sum = Block::default();
                for p in self.window(q) {
                    (0..LANES).for_each(|l| sum.0[l] += x[p].0[l]);
                }
                sum.0.iter_mut().for_each(|x| *x *= scale);
                *y = sum;
            }
        });
    }

    /// Spreads the gradient: dx = g / (kh·kw) inside windows, 0 in rows left over; dx is overwritten.
    ///
    /// # Panics
    /// A size differs from the planned one.
    pub fn backward(&self, g: &Tensor, dx: &mut Tensor, workers: &mut Workers) {
        assert_eq!((g.dims(), dx.dims()), (self.output, self.input));
        let scale = 1.0 / (self.kernel.0 * self.kernel.1) as f32;
        let planes = g.blocks().chunks(self.output.pixels());
        workers.run(planes.zip(dx.blocks_mut().chunks_mut(self.input.pixels())), |(g, dx), _| {
            dx.fill(Block::default());
            for (q, g) in g.iter().enumerate() {
                let spread = Block(g.0.map(|g| g * scale));
                self.window(q).for_each(|p| dx[p] = spread);
            }
        });
    }

    /// Input pixels of output pixel q.
    fn window(&self, q: usize) -> impl Iterator<Item = usize> {
        let (top, left) = (q / self.output.w * self.kernel.0, q % self.output.w * self.kernel.1);
        let (kernel, w) = (self.kernel, self.input.w);
        (0..kernel.0 * kernel.1).map(move |k| (top + k / kernel.1) * w + left + k % kernel.1)
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
